"""Python's garbage collector in processes that serve.

What they handle are small objects that live for one request or batch and are gone without it; what they keep, they keep
for as long as they run. With Python's thresholds a node that admits thousands of members looks through everything it
knows a dozen times on the way: a third of its time, a tenth of a second each, in which nobody is answered.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

COLLECT_AFTER: Final = 50_000
"""New containers that the collector lets pass before it looks; Python's own threshold is a small part of it."""


def look_seldom() -> None:
    """To be called by commands that run until they are stopped."""
    gc.set_threshold(COLLECT_AFTER, 20, 50)


class _Blocks:
    """Those in which the collector looks seldom; they may overlap, in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._before: tuple[int, int, int] | None = None

    def enter(self) -> None:
        with self._lock:
            self._open += 1
            before = gc.get_threshold()
            if self._open == 1 and gc.isenabled() and 0 < before[0] < COLLECT_AFTER:
                self._before = before
                look_seldom()

    def leave(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0 and self._before is not None:
                gc.set_threshold(*self._before)
                self._before = None


_BLOCKS: Final = _Blocks()


@contextmanager
def looking_seldom() -> Iterator[None]:
    """The same while the block lasts; a collector that is off, or looks as seldom already, is left as it is.

    Of blocks that overlap the first one decides, and the last one restores.
    """
    _BLOCKS.enter()
    try:
        yield
    finally:
        _BLOCKS.leave()


def keep_what_is_there() -> None:
    """Never look at what the start has made and read: the little of it that nobody needs is not worth the search."""
    gc.freeze()
