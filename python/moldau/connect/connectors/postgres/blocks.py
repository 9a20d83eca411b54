"""What readers hand on to the task: a queue whose length is a number of rows and of bytes."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Bounds(NamedTuple):
    """What may wait at most. One item may be larger than both when nothing else waits."""

    rows: int
    bytes: int


class Waiting(Generic[Item]):
    """First in, first out; `put` waits while it is full."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._items: deque[tuple[Item, int, int]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self.rows = 0
        self.bytes = 0

    def put(self, item: Item, rows: int = 0, size: int = 0) -> bool:
        """False, and the item is not taken, once it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(rows, size))
            if self._stopped:
                return False
            self._items.append((item, rows, size))
            self.rows += rows
            self.bytes += size
            self._changed.notify_all()
            return True

    def _has_room(self, rows: int, size: int) -> bool:
        bounds = self._bounds
        return not self._items or (self.rows + rows <= bounds.rows and self.bytes + size <= bounds.bytes)

    def get(self, timeout_s: float) -> Item | None:
        """The next; None when none comes within the time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._stopped, timeout_s) or not self._items:
                return None
            item, rows, size = self._items.popleft()
            self.rows -= rows
            self.bytes -= size
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Let everybody go."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped
