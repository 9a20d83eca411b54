"""Windows: tumbling, hopping, sliding, session, unlimited, and those of joins.

Every kind says its grace out loud, as in Kafka: how long after its end a window still takes late records. Times are ms
since 1970; windows are aligned to 1970, not to the first record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from moldau.streams.durations import Duration, milliseconds

INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """Windows of one size that begin every `advance_ms`: tumbling when that is the size, hopping when it is less."""

    size_ms: int
    advance_ms: int
    grace_ms: int

    @staticmethod
    def of_size_with_no_grace(size: Duration) -> TimeWindows:
        """Tumbling windows that close at their end."""
        return TimeWindows.of_size_and_grace(size, 0)

    @staticmethod
    def of_size_and_grace(size: Duration, grace: Duration) -> TimeWindows:
        """Tumbling windows that take records until `grace` after their end."""
        size_ms, grace_ms = milliseconds(size, "size"), _not_negative(grace, "grace")
        if size_ms <= 0:
            raise ValueError(f"size: a window is longer than nothing, not {size!r}")
        return TimeWindows(size_ms, size_ms, grace_ms)

    def advance_by(self, advance: Duration) -> TimeWindows:
        """Hopping windows: a new one every `advance`."""
        advance_ms = milliseconds(advance, "advance")
        if not 0 < advance_ms <= self.size_ms:
            raise ValueError(
                f"advance: more than nothing and not more than the size ({self.size_ms} ms), not {advance!r}"
            )
        return replace(self, advance_ms=advance_ms)

    def starts_for(self, timestamp: int) -> range:
        """The starts of all windows that hold a timestamp, the earliest first; none is before 1970."""
        first = max(0, timestamp - self.size_ms + self.advance_ms) // self.advance_ms * self.advance_ms
        return range(first, timestamp + 1, self.advance_ms)


@dataclass(frozen=True, slots=True)
class UnlimitedWindows:
    """One window from `start_ms` to the end of time."""

    start_ms: int = 0

    @staticmethod
    def of() -> UnlimitedWindows:
        """From 1970 on."""
        return UnlimitedWindows()

    def start_on(self, start_ms: int) -> UnlimitedWindows:
        """The same from another time (ms since 1970)."""
        if start_ms < 0:
            raise ValueError("start: ms since 1970, not before")
        return UnlimitedWindows(start_ms)

    @property
    def size_ms(self) -> int:
        """Endless."""
        return INT64_MAX

    @property
    def grace_ms(self) -> int:
        """None is needed: the window never closes."""
        return 0

    def starts_for(self, timestamp: int) -> range:
        """The one start, if the timestamp is not before it."""
        return range(self.start_ms, self.start_ms + (timestamp >= self.start_ms))


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """A window for every set of records that are no further apart than `difference_ms`; both ends are included."""

    difference_ms: int
    grace_ms: int

    @staticmethod
    def of_time_difference_with_no_grace(difference: Duration) -> SlidingWindows:
        """Windows that close when stream time passes their end."""
        return SlidingWindows.of_time_difference_and_grace(difference, 0)

    @staticmethod
    def of_time_difference_and_grace(difference: Duration, grace: Duration) -> SlidingWindows:
        """Windows that take records until `grace` after their end."""
        return SlidingWindows(_not_negative(difference, "difference"), _not_negative(grace, "grace"))


@dataclass(frozen=True, slots=True)
class SessionWindows:
    """Sessions: records of a key with no more than `gap_ms` between one and the next."""

    gap_ms: int
    grace_ms: int

    @staticmethod
    def of_inactivity_gap_with_no_grace(gap: Duration) -> SessionWindows:
        """Sessions that close one gap after their last record."""
        return SessionWindows.of_inactivity_gap_and_grace(gap, 0)

    @staticmethod
    def of_inactivity_gap_and_grace(gap: Duration, grace: Duration) -> SessionWindows:
        """Sessions that take records until `grace` after that."""
        gap_ms = milliseconds(gap, "gap")
        if gap_ms <= 0:
            raise ValueError(f"gap: longer than nothing, not {gap!r}")
        return SessionWindows(gap_ms, _not_negative(grace, "grace"))


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """Two records meet when the right one is at most `before_ms` before and `after_ms` after the left one."""

    before_ms: int
    after_ms: int
    grace_ms: int

    @staticmethod
    def of_time_difference_with_no_grace(difference: Duration) -> JoinWindows:
        """The same distance on both sides; late records meet nobody."""
        return JoinWindows.of_time_difference_and_grace(difference, 0)

    @staticmethod
    def of_time_difference_and_grace(difference: Duration, grace: Duration) -> JoinWindows:
        """The same distance on both sides; late records are taken until `grace` after the window."""
        difference_ms = _not_negative(difference, "difference")
        return JoinWindows(difference_ms, difference_ms, _not_negative(grace, "grace"))

    def before(self, difference: Duration) -> JoinWindows:
        """Another distance for right records that are earlier."""
        return self._checked(milliseconds(difference, "before"), self.after_ms)

    def after(self, difference: Duration) -> JoinWindows:
        """Another distance for right records that are later."""
        return self._checked(self.before_ms, milliseconds(difference, "after"))

    @property
    def size_ms(self) -> int:
        """The whole length of the window."""
        return self.before_ms + self.after_ms

    def _checked(self, before_ms: int, after_ms: int) -> JoinWindows:
        if before_ms + after_ms < 0:
            raise ValueError(f"the window ends ({after_ms} ms) before it begins ({-before_ms} ms)")
        return replace(self, before_ms=before_ms, after_ms=after_ms)


def _not_negative(duration: Duration, name: str) -> int:
    value = milliseconds(duration, name)
    if value < 0:
        raise ValueError(f"{name}: not less than nothing, not {duration!r}")
    return value


@dataclass(frozen=True, slots=True)
class EmitStrategy:
    """When a windowed aggregate hands on its results: with every update, or once when the window closes."""

    on_close: bool

    @staticmethod
    def on_window_update() -> EmitStrategy:
        """With every update (the default)."""
        return EmitStrategy(on_close=False)

    @staticmethod
    def on_window_close() -> EmitStrategy:
        """Once, when stream time has passed the end of the window and its grace."""
        return EmitStrategy(on_close=True)


def tumbling(size: Duration, *, grace: Duration = 0) -> TimeWindows:
    """Windows of one size, one after the other: `tumbling("1h")`."""
    return TimeWindows.of_size_and_grace(size, grace)


def hopping(size: Duration, advance: Duration, *, grace: Duration = 0) -> TimeWindows:
    """Windows of one size, a new one every `advance`."""
    return TimeWindows.of_size_and_grace(size, grace).advance_by(advance)


def sliding(difference: Duration, *, grace: Duration = 0) -> SlidingWindows:
    """A window for every set of records no further apart than `difference`."""
    return SlidingWindows.of_time_difference_and_grace(difference, grace)


def sessions(gap: Duration, *, grace: Duration = 0) -> SessionWindows:
    """Sessions that end with `gap` without a record."""
    return SessionWindows.of_inactivity_gap_and_grace(gap, grace)
