"""A folder as the place for objects: `store.url=file:///…`, for a first try, a test, a lake on one machine.

An object is written below `.incomplete`, flushed to the disk, then renamed, so a reader sees all of it or nothing. What
a crash leaves in `.incomplete` is removed by the next task that starts: every file there is locked by who writes it.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path
from typing import Any

from moldau.connect.connectors.s3.storage import ObjectExistsError, Storage, Upload
from moldau.connect.errors import ConnectError, DataError, RetriableError

INCOMPLETE = ".incomplete"


class FolderStorage(Storage):
    """Objects as files below a folder, which is made when it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        try:
            (self.root / INCOMPLETE).mkdir(parents=True, exist_ok=True)
            self._remove_left_behind()
        except OSError as error:
            raise _failed("cannot be used as the place for objects", self.root, error) from error

    def create(self, key: str, *, replace: bool = True) -> Upload:
        return FolderUpload(key, self.path_of(key), self.root / INCOMPLETE, replace=replace)

    def exists(self, key: str) -> bool:
        return self.path_of(key).exists()

    def path_of(self, key: str) -> Path:
        """Return the file of a key. Raises `DataError` for a key that would leave the folder, or hide in it."""
        parts = key.split("/")
        if any(part in {"", ".", "..", INCOMPLETE} or "\0" in part for part in parts):
            raise DataError(f"{key!r} cannot be the name of a file: a part of it is empty, '.', '..' or {INCOMPLETE!r}")
        return self.root.joinpath(*parts)

    def _remove_left_behind(self) -> None:
        for path in (self.root / INCOMPLETE).iterdir():
            try:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            except (BlockingIOError, FileNotFoundError):
                continue


class FolderUpload(Upload):
    """One file on its way."""

    def __init__(self, key: str, target: Path, incomplete: Path, *, replace: bool) -> None:
        super().__init__(key)
        self._target = target
        self._replace = replace
        self._path = incomplete / uuid.uuid4().hex
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError as error:
            self._descriptor = -1
            raise _failed("cannot be made", self._path, error) from error

    def _write(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise _failed("cannot be written", self._path, error) from error

    def _commit(self) -> None:
        try:
            os.fsync(self._descriptor)
            made = _make_folders(self._target.parent)
            if self._replace:
                self._path.replace(self._target)
            else:
                # A link fails where the name is taken; a rename would take it.
                self._target.hardlink_to(self._path)
                self._path.unlink()
            for folder in (self._target.parent, *made):
                _flush_folder(folder)
        except FileExistsError as error:
            raise ObjectExistsError(f"{self._target} is there already") from error
        except OSError as error:
            raise _failed("cannot be put in its place", self._target, error) from error
        os.close(self._descriptor)
        self._descriptor = -1

    def _abort(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._path.unlink(missing_ok=True)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and return the parents of those that were made, whose entries must reach the disk too."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [each.parent for each in missing]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(what: str, path: Path, error: OSError) -> ConnectError:
    """Say what failed; a full disk may have room later, a folder without rights will not get them by itself."""
    stays = isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError)
    return (ConnectError if stays else RetriableError)(f"{path} {what}: {error.strerror or error}")
