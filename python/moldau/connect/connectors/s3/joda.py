"""Times as text by the patterns of Joda-Time, which are not those of `SimpleDateFormat` and not those of `strftime`.

`YYYY` is the year of the era here, never the year of the week. Reference: `DateTimeFormat` of Joda-Time 2.14; the table
`tests/golden/connect/joda.json` was recorded from it. Knows no clock.

A locale is given to Joda as `new Locale("en-US")`, as the Confluent connectors do it: Java takes the whole text for a
language, does not know it, and answers with the names of its root locale (`Nov` for `MMMM` as well). That is kept here,
because the names are part of object names that others have written. A bare `en` has English names; names in other
languages are refused by `Pattern`, while patterns without names take any locale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from moldau.connect.connectors.s3.zones import DAY_MS, Zone, offset_text

Part = Callable[["Moment", Zone], str]


class Moment(NamedTuple):
    """An instant, taken apart in a zone."""

    instant_ms: int
    offset_ms: int
    year: int
    month: int
    day: int
    day_number: int
    """Days since 1970-01-01, local."""
    in_day_ms: int


class Names(NamedTuple):
    """What a locale calls things; index 0 is January, Monday, AM and BC."""

    months: tuple[str, ...]
    short_months: tuple[str, ...]
    days: tuple[str, ...]
    short_days: tuple[str, ...]
    halves: tuple[str, str]
    eras: tuple[str, str]


_SHORT_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_SHORT_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

ROOT = Names(_SHORT_MONTHS, _SHORT_MONTHS, _SHORT_DAYS, _SHORT_DAYS, ("AM", "PM"), ("BCE", "CE"))
ENGLISH = Names(_MONTHS, _SHORT_MONTHS, _DAYS, _SHORT_DAYS, ("AM", "PM"), ("BC", "AD"))


class Pattern:
    """One pattern, read once: `text(instant_ms, zone)` writes an instant.

    Raises `ValueError` for a letter that Joda does not have, and for names that cannot be served in that locale.
    """

    __slots__ = ("_parts", "finest_ms", "pattern")

    def __init__(self, pattern: str, locale: str = "en-US") -> None:
        self.pattern = pattern
        self._parts: list[str | Part] = []
        spans = [DAY_MS]
        for letter, text in _tokens(pattern):
            if letter == "":
                self._parts.append(text)
                continue
            self._parts.append(_part(letter, len(text), locale, text))
            spans.append(_SPANS_MS.get(letter, DAY_MS))
        self.finest_ms = min(spans)
        """The length of the shortest thing that the pattern names, in ms; a day when it names none shorter."""

    def text(self, instant_ms: int, zone: Zone) -> str:
        """Write an instant, given in ms since 1970-01-01 UTC, as it reads in a zone."""
        moment = moment_of(instant_ms, zone)
        return "".join(part if isinstance(part, str) else part(moment, zone) for part in self._parts)


def moment_of(instant_ms: int, zone: Zone) -> Moment:
    """Take an instant apart; any long will do, also before the year 1 and after 9999 (proleptic ISO calendar)."""
    offset = zone.offset_ms(instant_ms)
    day_number, in_day = divmod(instant_ms + offset, DAY_MS)
    year, month, day = civil(day_number)
    return Moment(instant_ms, offset, year, month, day, day_number, in_day)


def civil(day_number: int) -> tuple[int, int, int]:
    """Return year, month and day of a number of days since 1970-01-01."""
    era, in_era = divmod(day_number + 719_468, 146_097)
    year = (in_era - in_era // 1_460 + in_era // 36_524 - in_era // 146_096) // 365
    in_year = in_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * in_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, in_year - (153 * shifted + 2) // 5 + 1


def day_number_of(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 of a date: the other direction of `civil`."""
    year -= month <= 2
    era, in_era = divmod(year, 400)
    in_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + in_era * 365 + in_era // 4 - in_era // 100 + in_year - 719_468


def week_of(day_number: int) -> tuple[int, int]:
    """Return the ISO week-year and week of a day."""
    thursday = day_number - (day_number + 3) % 7 + 3
    year = civil(thursday)[0]
    return year, (thursday - day_number_of(year, 1, 1)) // 7 + 1


def _tokens(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield `(letter, run of it)`, or `("", text)` for text that is written as it stands."""
    at, size = 0, len(pattern)
    while at < size:
        letter = pattern[at]
        end = at + 1
        if letter.isascii() and letter.isalpha():
            while end < size and pattern[end] == letter:
                end += 1
            yield letter, pattern[at:end]
            at = end
            continue
        text, at = _literal(pattern, at)
        yield "", text


def _literal(pattern: str, at: int) -> tuple[str, int]:
    """Read text up to the next letter outside of quotes; two quotes are one, an open quote reaches to the end."""
    text: list[str] = []
    quoted = False
    while at < len(pattern):
        character = pattern[at]
        if character == "'":
            if pattern[at + 1 : at + 2] == "'":
                text.append("'")
                at += 2
                continue
            quoted = not quoted
        elif not quoted and character.isascii() and character.isalpha():
            break
        else:
            text.append(character)
        at += 1
    return "".join(text), at


def _number(value: int, width: int) -> str:
    """Write a number in at least that many digits; the sign is not counted."""
    return f"-{-value:0{width}d}" if value < 0 else f"{value:0{width}d}"


def _year_part(year: Callable[[Moment], int], width: int) -> Part:
    if width == 2:
        # Two digits are of the year as it is counted, not of the year of the era.
        counted = _YEARS["y"] if year is _year_of_era else year
        return lambda moment, _: f"{abs(counted(moment)) % 100:02d}"
    return lambda moment, _: _number(year(moment), width)


def _year_of_era(moment: Moment) -> int:
    return moment.year if moment.year > 0 else 1 - moment.year


_NUMBERS: dict[str, Callable[[Moment], int]] = {
    "C": lambda moment: _year_of_era(moment) // 100,
    "w": lambda moment: week_of(moment.day_number)[1],
    "e": lambda moment: (moment.day_number + 3) % 7 + 1,
    "D": lambda moment: moment.day_number - day_number_of(moment.year, 1, 1) + 1,
    "d": lambda moment: moment.day,
    "K": lambda moment: moment.in_day_ms // 3_600_000 % 12,
    "h": lambda moment: moment.in_day_ms // 3_600_000 % 12 or 12,
    "H": lambda moment: moment.in_day_ms // 3_600_000,
    "k": lambda moment: moment.in_day_ms // 3_600_000 or 24,
    "m": lambda moment: moment.in_day_ms // 60_000 % 60,
    "s": lambda moment: moment.in_day_ms // 1_000 % 60,
}

_YEARS: dict[str, Callable[[Moment], int]] = {
    "Y": _year_of_era,
    "y": lambda moment: moment.year,
    "x": lambda moment: week_of(moment.day_number)[0],
}

# What a pattern names that is shorter than a day.
_SPANS_MS = {
    "a": DAY_MS // 2, "K": 3_600_000, "h": 3_600_000, "H": 3_600_000, "k": 3_600_000,
    "m": 60_000, "s": 1_000, "S": 1, "z": 3_600_000, "Z": 3_600_000,
}  # fmt: skip


def _part(letter: str, width: int, locale: str, run: str) -> str | Part:
    if number := _NUMBERS.get(letter):
        return lambda moment, _: _number(number(moment), width)
    if year := _YEARS.get(letter):
        return _year_part(year, width)
    if letter == "S":
        return lambda moment, _: f"{moment.in_day_ms % 1_000:03d}".ljust(width, "0")[:width]
    if letter == "M" and width < 3:
        return lambda moment, _: _number(moment.month, width)
    if letter in "MEaG":
        return _name_part(letter, width, _names(locale, run))
    if letter == "z":
        if width > 3:
            raise ValueError(f"{run!r} is the long name of a time zone, which only Java has; use 'z', 'Z' or 'ZZZ'")
        return lambda moment, zone: zone.abbreviation(moment.instant_ms)
    if letter == "Z":
        if width > 2:
            return lambda _, zone: zone.id
        return lambda moment, _: offset_text(moment.offset_ms, ":" if width == 2 else "")
    raise ValueError(f"Illegal pattern component: {run}")


def _name_part(letter: str, width: int, names: Names) -> Part:
    if letter == "a":
        return lambda moment, _: names.halves[moment.in_day_ms >= DAY_MS // 2]
    if letter == "G":
        return lambda moment, _: names.eras[moment.year > 0]
    if letter == "M":
        months = names.months if width > 3 else names.short_months
        return lambda moment, _: months[moment.month - 1]
    days = names.days if width > 3 else names.short_days
    return lambda moment, _: days[(moment.day_number + 3) % 7]


def _names(locale: str, run: str) -> Names:
    language = locale.lower()
    if language == "en":
        return ENGLISH
    # `new Locale("de-DE")`: no language of two or three letters, so Java falls back to its root locale.
    if not (len(language) in {2, 3} and language.isalpha()):
        return ROOT
    raise ValueError(
        f"{run!r} needs names of locale {locale!r}, which are not here: use 'en', 'en-US' or a pattern of numbers"
    )
