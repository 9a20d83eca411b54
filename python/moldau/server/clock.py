"""Time, as an argument: the one place of the shell that reads a clock, and the timers that machines ask for.

A machine orders a timer with an effect and gets its event back through `decide`; it never learns how the waiting is
done. Tests hand in a clock of their own and drive a thousand simulated hours without waiting for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Protocol


class Cancellable(Protocol):
    """Something that will happen unless it is cancelled before."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Milliseconds since the epoch, and a call at a later one."""

    def now_ms(self) -> int: ...

    def call_at(self, at_ms: int, callback: Callable[[], None]) -> Cancellable: ...


class SystemClock:
    """The wall clock, with the running loop's timers. Waiting is monotonic: a clock that is set does not stretch it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, at_ms: int, callback: Callable[[], None]) -> Cancellable:
        return self._loop.call_later(max(0, at_ms - self.now_ms()) / 1000, callback)


class Timers:
    """The pending timers of one machine, by key; a later timer with the same key replaces the earlier one."""

    def __init__(self, clock: Clock, fire: Callable[[object, int], None]) -> None:
        """`fire` gets the event and the time it was due, in milliseconds."""
        self._clock = clock
        self._fire = fire
        self._pending: dict[Hashable, Cancellable] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def schedule(self, key: Hashable, at_ms: int, event: object) -> None:
        self.cancel(key)

        def due() -> None:
            del self._pending[key]
            self._fire(event, at_ms)

        self._pending[key] = self._clock.call_at(at_ms, due)

    def cancel(self, key: Hashable) -> None:
        handle = self._pending.pop(key, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        for key in list(self._pending):
            self.cancel(key)
