"""Python's garbage collector in processes that serve.

What they handle are small objects that live for one request or batch and are gone without it; what they keep, they keep
for as long as they run. With Python's thresholds a node that admits thousands of members looks through everything it
knows a dozen times on the way: a third of its time, a tenth of a second each, in which nobody is answered.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

COLLECT_AFTER: Final = 50_000
"""New containers that the collector lets pass before it looks (Python: 700)."""


def look_seldom() -> None:
    """To be called by commands that run until they are stopped."""
    gc.set_threshold(COLLECT_AFTER, 20, 50)


@contextmanager
def looking_seldom() -> Iterator[None]:
    """The same while the block lasts; a collector that is off, or looks as seldom already, is left as it is."""
    before = gc.get_threshold()
    if gc.isenabled() and 0 < before[0] < COLLECT_AFTER:
        look_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)


def keep_what_is_there() -> None:
    """Never look at what the start has made and read: the little of it that nobody needs is not worth the search."""
    gc.freeze()
