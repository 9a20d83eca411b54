"""Time, as an argument: the one place of the shell that reads a clock, and the timers that machines ask for.

A machine orders a timer with an effect and gets its event back through `decide`; it never learns how the waiting is
done. Tests hand in a clock of their own and drive a thousand simulated hours without waiting for one.

There are two times (`control.machine.Now`). What times out does so by the steady one, whatever becomes of the time of
day; what is written, and what is compared with something written, has the time of day, as in Kafka.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Protocol

from moldau.control.machine import Now


class Cancellable(Protocol):
    """Something that will happen unless it is cancelled before."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Both times, and a call at a later steady one."""

    def now(self) -> Now: ...

    def now_ms(self) -> int:
        """The time of day, in milliseconds since the epoch: for what is written."""
        ...

    def call_at(self, steady_ms: int, callback: Callable[[], None]) -> Cancellable: ...


class SystemClock:
    """The clocks of the machine, and the running loop's timers. The steady time is the loop's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> Now:
        return Now(steady_ms=int(self._loop.time() * 1000), wall_ms=self.now_ms())

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, steady_ms: int, callback: Callable[[], None]) -> Cancellable:
        # The loop may be early by what its clock cannot tell apart, and `now` rounds down: who is called finds that it
        # is time.
        return self._loop.call_at(steady_ms / 1000 + 1e-6, callback)


class Timers:
    """The pending timers of one machine, by key; a later timer with the same key replaces the earlier one."""

    def __init__(self, clock: Clock, fire: Callable[[object, int], None]) -> None:
        """`fire` gets the event and the steady time it was due, in milliseconds."""
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
