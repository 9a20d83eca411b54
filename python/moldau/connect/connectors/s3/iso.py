"""Texts of ISO 8601 to instants, as `ISODateTimeFormat.dateTimeParser()` of Joda-Time reads them.

A date, a week date or an ordinal date, or none; `T` and a time whose last part may have a fraction; an offset. Digits
may be fewer than usual (`2024-3-1`), a fraction may be longer than milliseconds and is cut. Where the text names no
offset, Java takes the time zone of its machine; here it is UTC.
"""

from __future__ import annotations

import re

from moldau.connect.connectors.s3.joda import civil, day_number_of, week_of
from moldau.connect.connectors.s3.zones import DAY_MS

_DATE = (
    r"(?P<year>[+-]?\d{1,9})(?:-W(?P<week>\d{1,2})(?:-(?P<weekday>\d))?"
    r"|-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?|-(?P<ordinal>\d{3}))?"
)
_TIME = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}))?)?(?:[.,](?P<fraction>\d+))?"
_OFFSET = r"(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d{1,3})?)?)?)"
_TEXT = re.compile(rf"(?:{_DATE})?(?:(?P<t>T)(?:{_TIME})?(?:{_OFFSET})?)?", re.ASCII)


def parse_instant_ms(text: str) -> int:
    """Return ms since 1970-01-01 UTC; raises `ValueError` for a text that Joda would not read."""
    match = _TEXT.fullmatch(text)
    if match is None or (match["year"] is None and match["hour"] is None):
        raise ValueError(f"{text!r} is no ISO 8601 date and time")
    try:
        return _day(match) * DAY_MS + _in_day_ms(match) - _offset_ms(match["zone"])
    except ValueError as error:
        raise ValueError(f"{text!r} is no ISO 8601 date and time: {error}") from None


def _day(match: re.Match[str]) -> int:
    if match["year"] is None:
        return 0
    year = int(match["year"])
    if match["week"] is not None:
        week, weekday = int(match["week"]), int(match["weekday"] or 1)
        fourth = day_number_of(year, 1, 4)
        day = fourth - (fourth + 3) % 7 + (week - 1) * 7 + weekday - 1
        if not 1 <= weekday <= 7 or week_of(day) != (year, week):
            raise ValueError("there is no such week")
        return day
    if match["ordinal"] is not None:
        day = day_number_of(year, 1, 1) + int(match["ordinal"]) - 1
        if civil(day)[0] != year:
            raise ValueError("there is no such day")
        return day
    month, of_month = int(match["month"] or 1), int(match["day"] or 1)
    day = day_number_of(year, month, of_month)
    if civil(day) != (year, month, of_month):
        raise ValueError("there is no such day")
    return day


def _in_day_ms(match: re.Match[str]) -> int:
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("hours go to 23, minutes and seconds to 59")
    unit = 1_000 if match["second"] else 60_000 if match["minute"] else 3_600_000
    fraction = match["fraction"] or "0"
    return hour * 3_600_000 + minute * 60_000 + second * 1_000 + int(fraction) * unit // int("1" + "0" * len(fraction))


def _offset_ms(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    digits = re.sub(r"\D", "", zone).ljust(9, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("no such offset")
    ahead = hours * 3_600_000 + minutes * 60_000 + seconds * 1_000 + int(digits[6:9])
    return -ahead if zone[0] == "-" else ahead
