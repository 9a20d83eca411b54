"""Where objects go: a bucket (`bucket.py`) or a folder (`folder.py`), behind two small classes.

An object is nothing until `Upload.commit` has returned: not in a listing, not under its name. Whatever ends an upload
before that, an error or the garbage collector included, throws it away. Files of `pyarrow` are written through an
`Upload` as well, so it is an `io.RawIOBase`: `closed` must be an attribute, and `close` must never complete an object.
"""

from __future__ import annotations

import io
from typing import Any

from moldau.connect.errors import RetriableError


class ObjectExistsError(RetriableError):
    """There is an object under this name already, and the upload was not to replace one."""


class Upload(io.RawIOBase):
    """One object on its way. `commit` makes it visible, `abort` and `close` throw it away."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.position = 0
        self._committed = False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def write(self, data: Any, /) -> int:
        """Take all of `data`. Raises `RetriableError` for a failure that may pass, else `ConnectError`."""
        if self.closed:
            raise ValueError(f"{self.key} is no longer being written")
        size = memoryview(data).nbytes
        self._write(data)
        self.position += size
        return size

    def commit(self) -> None:
        """Make the object visible, whole and durable, and close the upload. Raises as `write` does."""
        if self.closed:
            raise ValueError(f"{self.key} is no longer being written")
        try:
            self._commit()
            self._committed = True
        finally:
            self.close()

    def abort(self) -> None:
        """Throw away what was written; nothing when the object is committed."""
        self.close()

    def close(self) -> None:
        if self.closed:
            return
        try:
            if not self._committed:
                self._abort()
        finally:
            super().close()

    def _write(self, data: Any) -> None:
        raise NotImplementedError

    def _commit(self) -> None:
        raise NotImplementedError

    def _abort(self) -> None:
        raise NotImplementedError


class Storage:
    """A place for objects under names with `/` in them."""

    def check(self) -> None:
        """Raise `ConnectError`, with what to do, when nothing can be written here."""
        raise NotImplementedError

    def create(self, key: str, *, replace: bool = True) -> Upload:
        """Begin an object. With `replace=False`, `commit` raises `ObjectExistsError` when the name is taken."""
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        """Whether there is an object under this name."""
        raise NotImplementedError
