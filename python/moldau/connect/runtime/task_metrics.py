"""What a task counts of itself.

Each number is changed by one thread, once for a batch and never for a record, so nothing is locked; whoever looks sees
each number whole, if not all of them of the same moment. Only what looks themselves change, a rate's memory of earlier
ones, has a lock: two may look at once. Windows are Kafka's two samples of thirty seconds: what is
shown is of the last half minute to minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 30.0

Clock = Callable[[], float]


class Window:
    """Sum, count and maximum of what was noted in this window and the one before."""

    __slots__ = ("_before", "_clock", "_now", "_started")

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._now = (0.0, 0, 0.0)
        self._before = (0.0, 0, 0.0)

    def note(self, value: float) -> None:
        """Called by one thread."""
        self._turn()
        total, count, most = self._now
        self._now = (total + value, count + 1, max(most, value))

    def _turn(self) -> None:
        gone = self._clock() - self._started
        if gone < WINDOW_S:
            return
        self._before = self._now if gone < 2 * WINDOW_S else (0.0, 0, 0.0)
        self._now = (0.0, 0, 0.0)
        self._started += gone - gone % WINDOW_S

    def seen(self) -> tuple[float, float]:
        """The average and the maximum; by any thread."""
        gone = self._clock() - self._started
        # What is older than two windows counts no more, also when nothing came since.
        parts = [self._now] if gone < 2 * WINDOW_S else []
        parts += [self._before] if gone < WINDOW_S else []
        count = sum(part[1] for part in parts)
        if not count:
            return 0.0, 0.0
        return sum(part[0] for part in parts) / count, max(part[2] for part in parts)


class Rate:
    """How fast a total grows, by what it was at earlier looks."""

    __slots__ = ("_clock", "_looking", "_looks")

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._looking = threading.Lock()
        self._looks = [(clock(), 0.0)]

    def of(self, total: float) -> float:
        """A second, since the look that is nearest to a minute ago."""
        with self._looking:
            now = self._clock()
            while len(self._looks) > 1 and now - self._looks[1][0] >= 2 * WINDOW_S:
                del self._looks[0]
            since, before = self._looks[0]
            if now - self._looks[-1][0] >= 1:
                self._looks.append((now, total))
        return max(total - before, 0.0) / max(now - since, 1.0)


class States:
    """How long a task was in each state."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[str, float] = {}
        self._entered = (clock(), "unassigned")

    def enter(self, state: str) -> None:
        """From now on it is in this one."""
        now = self._clock()
        since, before = self._entered
        self._spent[before] = self._spent.get(before, 0.0) + now - since
        self._entered = (now, state)

    @property
    def now(self) -> str:
        return self._entered[1]

    def ratio(self, state: str) -> float:
        """The part of its time, 0 to 1."""
        spent, (since, current) = dict(self._spent), self._entered
        spent[current] = spent.get(current, 0.0) + self._clock() - since
        whole = sum(spent.values())
        return spent.get(state, 0.0) / whole if whole else 0.0


class TaskMetrics:
    """Of one task. `taken` are records polled of a source or consumed for a sink, `given` those put to a sink."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.states = States(clock)
        self.batches = Window(clock)
        self.batch_ms = Window(clock)
        """Polls of a source that gave something, puts of a sink."""
        self.commit_ms = Window(clock)
        self.commits = 0
        self.commits_failed = 0
        self.taken = 0
        self.given = 0
        self.left_out = 0
        self.taken_rate = Rate(clock)
        self.given_rate = Rate(clock)

    def committed(self, since: float, *, ok: bool) -> None:
        """A commit of offsets that began at `since` has ended."""
        self.commit_ms.note((self.clock() - since) * 1000)
        if ok:
            self.commits += 1
        else:
            self.commits_failed += 1
