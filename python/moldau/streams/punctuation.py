"""Punctuators: functions that a processor asks to be called by stream time or by the wall clock.

Due times are as in Kafka's `PunctuationQueue`: stream time punctuates as soon as it is known and then at fixed steps;
the wall clock one interval after the schedule was made. A jump over several intervals punctuates once.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

Punctuate = Callable[[int], None]


class PunctuationType(Enum):
    """Which clock a punctuator follows."""

    STREAM_TIME = "stream_time"
    WALL_CLOCK_TIME = "wall_clock_time"


class Punctuator:
    """One schedule; `cancel` ends it, and the task forgets it."""

    def __init__(self, kind: PunctuationType, first_due: int, interval: int, call: Punctuate) -> None:
        self.kind = kind
        self._due = first_due
        self._interval = interval
        self._call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Never call it again."""
        self.cancelled = True

    def run_if_due(self, now: int) -> bool:
        """Call it when its time has come, once however late it is, and set the next time on its grid."""
        if now < self._due:
            return False
        self._call(now)
        self._due += self._interval
        if self._due <= now:
            self._due += ((now - self._due) // self._interval + 1) * self._interval
        return True
