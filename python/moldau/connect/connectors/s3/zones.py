"""A time zone as Joda-Time sees it: its offset at any instant in ms, its name, and the way back from local time.

Reference: `DateTimeZone` of Joda-Time 2.14. `zoneinfo` has the rules; it only knows the years 1 to 9999, so an instant
outside of them is moved by whole cycles of 400 years, after which the calendar repeats. Knows no clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

DAY_MS = 86_400_000
CYCLE_MS = 146_097 * DAY_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 1000-01-01 and 9000-01-01: far enough from both ends of what `datetime` can say.
EARLIEST_MS = -30_610_224_000_000
LATEST_MS = 221_845_392_000_000
# Offsets change on a quarter of an hour everywhere since local mean time was given up.
QUARTER_MS = 900_000

_FIXED = re.compile(r"([+-])(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{3}))?)?")


class Zone:
    """One time zone; make it with `zone_of`."""

    __slots__ = ("_fixed", "_fixed_ms", "_rules", "id")

    def __init__(self, zone_id: str, rules: tzinfo) -> None:
        self.id = zone_id
        self._rules = rules
        self._fixed = isinstance(rules, timezone)
        self._fixed_ms = 0 if not self._fixed else _milliseconds(rules.utcoffset(EPOCH))

    def offset_ms(self, instant_ms: int) -> int:
        """How far local time is ahead of UTC at an instant, in ms."""
        if self._fixed:
            return self._fixed_ms
        return _milliseconds(self._local(instant_ms).utcoffset())

    def steady_span(self, instant_ms: int) -> tuple[int, int, int]:
        """Return `(from_ms, until_ms, offset_ms)`: a span around an instant in which the offset stays what it is."""
        if self._fixed:
            return -(1 << 63), 1 << 63, self._fixed_ms
        start = instant_ms - instant_ms % QUARTER_MS
        offset = self.offset_ms(instant_ms)
        if offset == self.offset_ms(start) == self.offset_ms(start + QUARTER_MS - 1):
            return start, start + QUARTER_MS, offset
        return instant_ms, instant_ms + 1, offset

    def to_utc(self, local_ms: int) -> int:
        """Return the instant of a local time; in a gap or an overlap the one that Joda's lenient conversion takes."""
        guess = self.offset_ms(local_ms)
        offset = self.offset_ms(local_ms - guess)
        if guess != offset and guess < 0 and self.offset_ms(local_ms - guess) != self.offset_ms(local_ms - offset):
            offset = guess
        return local_ms - offset

    def start_of_day(self, instant_ms: int) -> int:
        """Return the first instant of the local day that an instant lies in."""
        local = instant_ms + self.offset_ms(instant_ms)
        midnight = local - local % DAY_MS
        start = self.to_utc(midnight)
        # A clock that was put back has midnight twice: the first one counts.
        offset_before = self.offset_ms(start - DAY_MS // 8)
        earlier = midnight - offset_before
        return earlier if earlier < start and self.offset_ms(earlier) == offset_before else start

    def day_later(self, instant_ms: int) -> int:
        """Return the instant at which it is the same local time a day later."""
        offset = self.offset_ms(instant_ms)
        later = instant_ms + DAY_MS
        return later if self.offset_ms(later) == offset else self.to_utc(later + offset)

    def abbreviation(self, instant_ms: int) -> str:
        """Return the short name of the zone at an instant, or its offset when the zone has no letters for it."""
        if self.id == "UTC":
            return "UTC"
        name = None if self._fixed else self._local(instant_ms).tzname()
        return name if name is not None and name.isalpha() else offset_text(self.offset_ms(instant_ms), ":")

    def _local(self, instant_ms: int) -> datetime:
        if not EARLIEST_MS <= instant_ms < LATEST_MS:
            cycles = (instant_ms - LATEST_MS) // CYCLE_MS + 1 if instant_ms > 0 else 0
            instant_ms = max(instant_ms - cycles * CYCLE_MS, EARLIEST_MS)
        return (EPOCH + timedelta(milliseconds=instant_ms)).astimezone(self._rules)


@lru_cache(maxsize=256)
def zone_of(zone_id: str) -> Zone:
    """Return the zone of a Joda identifier: a name of the time zone database, `UTC`, `Z` or `+hh:mm`.

    Raises `ValueError` with what is wrong when there is none.
    """
    if zone_id in {"UTC", "Z"}:
        return Zone("UTC", UTC)
    if fixed := _FIXED.fullmatch(zone_id):
        sign, *parts = fixed.groups(default="0")
        hours, minutes, seconds, thousandths = (int(part) for part in parts)
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError(f"{zone_id!r} is no offset: hours go to 23, minutes and seconds to 59")
        ahead = timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=thousandths)
        return Zone("UTC" if not ahead else zone_id, timezone(-ahead if sign == "-" else ahead))
    # `ZoneInfo` opens a file of that name, on some systems whatever its case: only names of the database count.
    if zone_id not in available_timezones():
        raise ValueError(f"The datetime zone id {zone_id!r} is not recognised")
    try:
        return Zone(zone_id, ZoneInfo(zone_id))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"The datetime zone id {zone_id!r} is not recognised") from error


def offset_text(offset_ms: int, delimiter: str) -> str:
    """Write an offset as `+hh<delimiter>mm`."""
    sign, rest = ("-", -offset_ms) if offset_ms < 0 else ("+", offset_ms)
    return f"{sign}{rest // 3_600_000:02d}{delimiter}{rest // 60_000 % 60:02d}"


def _milliseconds(offset: timedelta | None) -> int:
    assert offset is not None
    return offset // timedelta(milliseconds=1)
