"""A global store as all tasks see it: one thread writes, many read.

In memory a look-up is one step of a dict and needs no lock; on disk it moves entries between caches. What goes through
many entries is gathered under the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from moldau.streams.state.contract import ChangelogWriter


class SharedStore:
    """A store behind a lock; what it has beyond `Store` it has by the names of the store within."""

    def __init__(self, store: Any, lock: threading.RLock) -> None:
        self.name: str = store.name
        self._store = store
        self._lock = lock
        if not hasattr(store, "table") and hasattr(store, "get"):
            self.get: Callable[[Any], Any] = store.get

    def flush(self, write: ChangelogWriter) -> None:
        """As the store within."""
        with self._lock:
            self._store.flush(write)

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """As the store within."""
        with self._lock:
            self._store.restore(key, value, timestamp)

    def close(self) -> None:
        """As the store within."""
        with self._lock:
            self._store.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                answer = found(*arguments, **named)
                return iter(list(answer)) if isinstance(answer, Iterator) else answer

        setattr(self, name, call)
        return call
