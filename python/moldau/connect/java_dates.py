"""Patterns of Java's `SimpleDateFormat`, in UTC, lenient and in English: what `TimestampConverter` and others take.

The rules are those of its documentation and of what it does: a letter repeated says how wide a number is written, or
whether a name is short (`MMM`) or long (`MMMM`); reading takes as many digits as there are unless another number
follows without anything between; what is beyond its range runs over into the next larger unit; `S` counts
milliseconds, so `.1` is one of them, not a hundred. Days before 1582-10-15 are days of the Julian calendar.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from moldau.connect.errors import DataError

DAY_MS: Final = 86_400_000
MONTHS: Final = tuple(calendar.month_name)[1:]
DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
LETTERS: Final = "GyMdkHmsSEDFwWahKzZYuXL"
NUMBERS: Final = "yYdkHmsSDFwWhKuML"
# The first day of the Gregorian calendar, 1582-10-15, in days since 1970.
GREGORIAN_FROM: Final = -141_427
ZONES: Final = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360,
    "PST": -480, "PDT": -420, "CET": 60, "CEST": 120, "WET": 0, "WEST": 60, "EET": 120, "EEST": 180, "BST": 60,
    "MSK": 180, "JST": 540, "Coordinated Universal Time": 0, "Greenwich Mean Time": 0,
}  # fmt: skip


class Run(NamedTuple):
    """A letter and how often it stands in the pattern; or text, with width 0."""

    letter: str
    width: int


class Civil(NamedTuple):
    """A day: `year` is astronomical (0 is 1 BC), `month` and `day` count from 1."""

    year: int
    month: int
    day: int


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970 of a day that may be out of range, in the calendar that was in use."""
    year += (month - 1) // 12
    month = (month - 1) % 12 + 1
    shifted = year - (month <= 2)
    julian = 365 * shifted + shifted // 4 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719_471
    gregorian = julian - shifted // 100 + shifted // 400 + 2
    return gregorian if gregorian >= GREGORIAN_FROM else julian


def civil_of(days: int) -> Civil:
    """The day that is `days` after 1970-01-01, in the calendar that was in use."""
    if days >= GREGORIAN_FROM:
        shifted = days + 719_468
        era, rest = divmod(shifted, 146_097)
        year_of_era = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
        day_of_year = rest - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
        year = era * 400 + year_of_era
    else:
        era, rest = divmod(days + 719_470, 1461)
        year_of_era = min(rest // 365, 3)
        day_of_year = rest - 365 * year_of_era
        year = era * 4 + year_of_era
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    return Civil(year + (month >= 10), (month + 2) % 12 + 1, day)


def runs_of(pattern: str) -> list[Run]:
    """The pattern in parts. Raises `ValueError` for a letter that means nothing, or a quote that is not closed."""
    runs: list[Run] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "'":
            text, at = _quoted(pattern, at)
            runs.append(Run(text, 0))
        elif letter.isascii() and letter.isalpha():
            if letter not in LETTERS:
                raise ValueError(f"Illegal pattern character '{letter}'")
            end = at
            while end < len(pattern) and pattern[end] == letter:
                end += 1
            runs.append(Run(letter, end - at))
            at = end
        else:
            runs.append(Run(letter, 0))
            at += 1
    return [run for run in runs if run.letter]


def _quoted(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("''", at):
        return "'", at + 2
    text = ""
    at += 1
    while at < len(pattern):
        if pattern.startswith("''", at):
            text += "'"
            at += 2
        elif pattern[at] == "'":
            return text, at + 1
        else:
            text += pattern[at]
            at += 1
    raise ValueError("Unterminated quote")


@dataclass(slots=True)
class Moment:
    """A moment with all that a pattern may ask of it."""

    milliseconds: int
    days: int = field(init=False)
    of_day: int = field(init=False)
    civil: Civil = field(init=False)

    def __post_init__(self) -> None:
        self.days, self.of_day = divmod(self.milliseconds, DAY_MS)
        self.civil = civil_of(self.days)

    @property
    def hour(self) -> int:
        return self.of_day // 3_600_000

    @property
    def weekday(self) -> int:
        """0 is Sunday."""
        return (self.days + 4) % 7

    @property
    def era_year(self) -> int:
        return self.civil.year if self.civil.year > 0 else 1 - self.civil.year

    @property
    def day_of_year(self) -> int:
        return self.days - days_of(self.civil.year, 1, 1) + 1

    @property
    def week(self) -> tuple[int, int]:
        """The year of the week and its number; weeks begin on Sunday, the first holds January 1."""
        year = self.civil.year
        following = days_of(year + 1, 1, 1)
        if self.days >= following - (following + 4) % 7:
            return year + 1, 1
        first = days_of(year, 1, 1)
        return year, (self.days - (first - (first + 4) % 7)) // 7 + 1

    @property
    def week_of_month(self) -> int:
        first = days_of(self.civil.year, self.civil.month, 1)
        return (self.days - (first - (first + 4) % 7)) // 7 + 1


def _padded(number: int, count: int) -> str:
    return f"{number:0{count}d}" if number >= 0 else f"-{-number:0{count}d}"


def _year(year: int, count: int) -> str:
    return f"{year % 100:02d}" if count == 2 else _padded(year, count)


def _month(moment: Moment, count: int) -> str:
    if count >= 3:
        name = MONTHS[moment.civil.month - 1]
        return name if count >= 4 else name[:3]
    return _padded(moment.civil.month, count)


WRITERS: Final[dict[str, Callable[[Moment, int], str]]] = {
    "G": lambda moment, _: "AD" if moment.civil.year > 0 else "BC",
    "y": lambda moment, count: _year(moment.era_year, count),
    "Y": lambda moment, count: _year(moment.week[0], count),
    "M": _month,
    "L": _month,
    "d": lambda moment, count: _padded(moment.civil.day, count),
    "k": lambda moment, count: _padded(moment.hour or 24, count),
    "H": lambda moment, count: _padded(moment.hour, count),
    "m": lambda moment, count: _padded(moment.of_day // 60_000 % 60, count),
    "s": lambda moment, count: _padded(moment.of_day // 1000 % 60, count),
    "S": lambda moment, count: _padded(moment.of_day % 1000, count),
    "E": lambda moment, count: DAYS[moment.weekday] if count >= 4 else DAYS[moment.weekday][:3],
    "D": lambda moment, count: _padded(moment.day_of_year, count),
    "F": lambda moment, count: _padded((moment.civil.day - 1) // 7 + 1, count),
    "w": lambda moment, count: _padded(moment.week[1], count),
    "W": lambda moment, count: _padded(moment.week_of_month, count),
    "a": lambda moment, _: "AM" if moment.hour < 12 else "PM",
    "h": lambda moment, count: _padded(moment.hour % 12 or 12, count),
    "K": lambda moment, count: _padded(moment.hour % 12, count),
    "u": lambda moment, count: _padded(moment.weekday or 7, count),
    "z": lambda _, count: "Coordinated Universal Time" if count >= 4 else "UTC",
    "Z": lambda _, __: "+0000",
    "X": lambda _, __: "Z",
}


class SimpleDateFormat:
    """Writes and reads moments, in milliseconds since 1970, after a pattern.

    Raises `ValueError` for a pattern that Java would refuse.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._runs = runs_of(pattern)
        for run in self._runs:
            if run.letter == "X" and run.width > 3:
                raise ValueError(f"invalid ISO 8601 format: length={run.width}")
        self._writers = [(WRITERS[run.letter] if run.width else None, run) for run in self._runs]
        # Two digits mean a year within 80 years before and 20 years after the format was made.
        self._century_from = civil_of(int(time.time()) // 86_400).year - 80
        self._write_last: tuple[int, str] = (-1, "")

    def format(self, milliseconds: int) -> str:
        """The text of a moment."""
        last, text = self._write_last
        if last == milliseconds and text:
            return text
        moment = Moment(milliseconds)
        text = "".join([writer(moment, run.width) if writer else run.letter for writer, run in self._writers])
        self._write_last = (milliseconds, text)
        return text

    def parse(self, text: str) -> int:
        """The moment that the beginning of `text` says. Raises `DataError` when it does not match the pattern."""
        found = Found()
        at = 0
        for index, run in enumerate(self._runs):
            if run.width == 0:
                if not text.startswith(run.letter, at):
                    raise self._mismatch(text, at)
                at += len(run.letter)
                continue
            following = self._runs[index + 1] if index + 1 < len(self._runs) else None
            end = self._read(run, text, at, found, exactly=_is_number(following))
            if end is None:
                raise self._mismatch(text, at)
            at = end
        return found.milliseconds()

    def _mismatch(self, text: str, at: int) -> DataError:
        return DataError(
            f"the timestamp {text!r} does not match the pattern {self.pattern!r} (from character {at + 1})"
        )

    def _read(self, run: Run, text: str, at: int, found: Found, *, exactly: bool) -> int | None:
        while at < len(text) and text[at] in " \t":
            at += 1
        if run.letter in NAMES and not (run.letter in "ML" and run.width <= 2):
            return _read_name(run.letter, text, at, found)
        if run.letter in "zZX":
            return _read_zone(run, text, at, found)
        match = WHOLE.match(text, at, at + run.width) if exactly else WHOLE.match(text, at)
        if match is None or (exactly and at + run.width > len(text)):
            return None
        number = int(match[0])
        if run.letter in "yY" and run.width <= 2 and match.end() - at == 2 and match[0].isdigit():
            number += (self._century_from // 100) * 100
            number += 100 if number < self._century_from else 0
        found.note(run.letter, number)
        return match.end()


WHOLE: Final = re.compile(r"-?[0-9]+")
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "G": ("BC", "AD"),
    "M": MONTHS,
    "L": MONTHS,
    "E": DAYS,
    "a": ("AM", "PM"),
}


def _is_number(run: Run | None) -> bool:
    return run is not None and run.width > 0 and run.letter in NUMBERS and not (run.letter in "ML" and run.width > 2)


def _read_name(letter: str, text: str, at: int, found: Found) -> int | None:
    """Read a name in whatever case, the long form before the short one."""
    rest = text[at:].lower()
    for width in (None, 3):
        for index, name in enumerate(NAMES[letter]):
            if rest.startswith(name[:width].lower()):
                found.note(letter, index + 1 if letter in "MLE" else index)
                return at + len(name[:width])
    return None


OFFSET: Final = re.compile(r"(?:GMT)?([+-])([0-9]{1,2}):?([0-9]{2})?")


def _read_zone(run: Run, text: str, at: int, found: Found) -> int | None:
    match = OFFSET.match(text, at)
    if match:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        found.zone_minutes = -minutes if match[1] == "-" else minutes
        return match.end()
    names = ["Z"] if run.letter == "X" else sorted(ZONES, key=len, reverse=True)
    for name in names:
        if text[at : at + len(name)].lower() == name.lower():
            found.zone_minutes = ZONES[name]
            return at + len(name)
    return None


class Found:
    """What was read, and the moment it makes up."""

    __slots__ = ("order", "values", "zone_minutes")

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.order: list[str] = []
        self.zone_minutes = 0

    def note(self, letter: str, value: int) -> None:
        letter = "M" if letter == "L" else letter
        if letter == "u":
            letter, value = "E", value % 7 + 1
        if letter == "k":
            letter, value = "H", 0 if value == 24 else value
        if letter == "h":
            letter, value = "K", 0 if value == 12 else value
        self.values[letter] = value
        self.order.append(letter)

    def milliseconds(self) -> int:
        get = self.values.get
        hour = get("H", 0)
        if self._last_of("K", "a") > self._last_of("H"):
            hour = get("K", 0) + 12 * get("a", 0)
        minutes = hour * 60 + get("m", 0) - self.zone_minutes
        return self._days() * DAY_MS + (minutes * 60 + get("s", 0)) * 1000 + get("S", 0)

    def _last_of(self, *letters: str) -> int:
        return max((at for at, letter in enumerate(self.order) if letter in letters), default=-1)

    def _days(self) -> int:
        """Of the ways to name a day, the one that was read last counts, as in Java's calendar."""
        get = self.values.get
        year = get("y", 1970)
        if get("G") == 0:
            year = 1 - year
        if "Y" in self.values and self._last_of("Y") > self._last_of("y"):
            return self._of_week(get("Y", 1970), get("w", 1))
        ways = {"d": self._last_of("d", "M"), "D": self._last_of("D"), "w": self._last_of("w"), "W": self._last_of("W")}
        ways["F"] = self._last_of("F")
        way = max(ways, key=lambda each: ways[each])
        if ways[way] < 0 and "E" in self.values and "y" not in self.values:
            return self._in_week_of(days_of(year, 1, 1))
        month = get("M", 1)
        if ways[way] < 0 or way == "d":
            return days_of(year, month, get("d", 1))
        if way == "D":
            return days_of(year, 1, 1) + get("D", 1) - 1
        if way == "w":
            return self._of_week(year, get("w", 1))
        first = days_of(year, month, 1)
        if way == "W":
            return self._in_week_of(first + (get("W", 1) - 1) * 7)
        weekday = get("E", 1) - 1
        return first + (weekday - (first + 4) % 7) % 7 + (get("F", 1) - 1) * 7

    def _of_week(self, year: int, week: int) -> int:
        return self._in_week_of(days_of(year, 1, 1) + (week - 1) * 7)

    def _in_week_of(self, days: int) -> int:
        """The weekday that was read (Sunday, if none was) of the week that `days` is in."""
        return days - (days + 4) % 7 + self.values.get("E", 1) - 1
