"""Time, as an argument: the one place of the shell that reads a clock, and the timers that machines ask for.

A machine orders a timer with an effect and gets its event back through `decide`; it never learns how the waiting is
done. Tests hand in a clock of their own and drive a thousand simulated hours without waiting for one.

There are two times (`control.machine.Now`). What times out does so by the steady one, whatever becomes of the time of
day; what is written, and what is compared with something written, has the time of day, as in Kafka.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Hashable
from typing import Final, Protocol

from moldau.control.machine import Now

FEW_REPLACED: Final = 64
"""So many timers that were replaced or cancelled may stand in the order before it is made anew."""

_Timer = tuple[int, int, Hashable, object]
"""When it is due, its number, its key, its event. No two have one number, so keys and events are never compared."""


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
    """The pending timers of one machine, by key; a later timer with the same key replaces the earlier one.

    The clock is asked for one call, at the time of the earliest: a timer of an event loop costs several times what an
    entry of a heap does, and a machine has one for each member of its groups.
    """

    def __init__(self, clock: Clock, fire: Callable[[object, int], None]) -> None:
        """`fire` gets the event and the steady time it was due, in milliseconds."""
        self._clock = clock
        self._fire = fire
        self._pending: dict[Hashable, _Timer] = {}
        self._numbers = itertools.count()
        self._in_order: list[_Timer] = []
        """A heap of all that are pending, and of some that are not any more."""
        self._call: Cancellable | None = None
        self._call_at_ms = 0
        self._firing = False

    def __len__(self) -> int:
        return len(self._pending)

    def schedule(self, key: Hashable, at_ms: int, event: object) -> None:
        self._pending[key] = timer = (at_ms, next(self._numbers), key, event)
        heapq.heappush(self._in_order, timer)
        if not self._firing and (self._call is None or at_ms < self._call_at_ms):
            self._ask_for(at_ms)
        self._forget_the_replaced()

    def cancel(self, key: Hashable) -> None:
        if self._pending.pop(key, None) is None:
            return
        if not self._pending:
            self.cancel_all()
        else:
            self._forget_the_replaced()

    def cancel_all(self) -> None:
        self._pending.clear()
        self._in_order.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _ask_for(self, at_ms: int) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call_at_ms = at_ms
        self._call = self._clock.call_at(at_ms, self._due)

    def _due(self) -> None:
        """What is due by now, in its order; of one time, in the order in which it was asked for."""
        self._call = None
        self._firing = True
        now_ms = self._clock.now().steady_ms
        try:
            while self._in_order:
                timer = self._in_order[0]
                at_ms, _, key, event = timer
                is_pending = self._pending.get(key) is timer
                if is_pending and at_ms > now_ms:
                    break
                heapq.heappop(self._in_order)
                if is_pending:
                    del self._pending[key]
                    self._fire(event, at_ms)
        finally:
            # Also when one of them has failed: the others are not its fault.
            self._firing = False
            if self._in_order:
                self._ask_for(self._in_order[0][0])

    def _forget_the_replaced(self) -> None:
        """Once they are more than those that are pending, which is seldom: all that come and go cost little each."""
        if len(self._in_order) > 2 * len(self._pending) + FEW_REPLACED:
            self._in_order = list(self._pending.values())
            heapq.heapify(self._in_order)
