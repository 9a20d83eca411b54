"""From PostgreSQL's text of a value to numbers, strings and bytes, one function per kind of text.

Texts come from a session with ISO dates, interval style `postgres` and UTC (`connection.SESSION`). Every function takes
bytes and is called once per value, so the common shape of a text is tried first. Times are counted in microseconds.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from struct import Struct
from typing import Any, Final, Literal, TypeAlias

Parse: TypeAlias = Callable[[bytes], Any]

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a timestamp without time zone counts from it
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
MICROSECOND: Final = timedelta(microseconds=1)
DAY_US: Final = 86_400_000_000
INT32_MAX: Final = 2**31 - 1
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# What Debezium gives for infinity: the largest and smallest instants that PostgreSQL's Java driver knows.
INFINITY_US: Final = 9_223_372_036_825_200_000
MINUS_INFINITY_US: Final = -9_223_372_036_832_400_000
# A month has 365.25 / 12 days where an interval becomes a number.
MONTH_US: Final = 2_629_800_000_000

_DATE = re.compile(rb"(\d{4,})-(\d\d)-(\d\d)( BC)?")
_STAMP = re.compile(rb"(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?( BC)?")
_CLOCK = re.compile(rb"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_OFFSET = re.compile(rb"([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$")
_SPAN = re.compile(rb"([+-]?\d+) (year|mon|day)s?")
_SPAN_CLOCK = re.compile(rb"(-?\+?)(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def boolean(text: bytes) -> bool:
    return text == b"t"


string: Final[Callable[[bytes], str]] = bytes.decode


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; the year may be zero, negative or beyond 9999."""
    cycles, shifted = divmod(year, 400)
    # 400 years are 146,097 days; year 0 of a cycle is a leap year as 2000 is.
    return date(2000 + shifted, month, day).toordinal() - EPOCH_DAY + (cycles - 5) * 146_097


def _year(text: bytes, before_christ: bytes | None) -> int:
    year = int(text)
    return 1 - year if before_christ else year


def date_days(text: bytes) -> int:
    try:
        return date.fromisoformat(text.decode()).toordinal() - EPOCH_DAY
    except ValueError:
        pass
    if text == b"infinity":
        return INT32_MAX
    if text == b"-infinity":
        return -INT32_MAX - 1
    match = _matched(_DATE, text, "date")
    return days_from_civil(_year(match[1], match[4]), int(match[2]), int(match[3]))


def clock_us(text: bytes) -> int:
    """A time of day; 24:00:00 is a day."""
    match = _matched(_CLOCK, text, "time")
    fraction = match[4]
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
    return seconds * 1_000_000 + (int(fraction.ljust(6, b"0")) if fraction else 0)


def timestamp_us(text: bytes) -> int:
    try:
        return (datetime.fromisoformat(text.decode()) - EPOCH) // MICROSECOND
    except ValueError:
        pass
    if text == b"infinity":
        return INFINITY_US
    if text == b"-infinity":
        return MINUS_INFINITY_US
    match = _matched(_STAMP, text, "timestamp")
    days = days_from_civil(_year(match[1], match[8]), int(match[2]), int(match[3]))
    seconds = int(match[4]) * 3600 + int(match[5]) * 60 + int(match[6])
    fraction = int(match[7].ljust(6, b"0")) if match[7] else 0
    return days * DAY_US + seconds * 1_000_000 + fraction


def zoned_timestamp(digits: int) -> Parse:
    """ISO-8601 in UTC, with as many digits of the second as the column has."""

    def parse(text: bytes) -> str:
        if len(text) == 29 and text[4] == 0x2D and digits == 6:
            plain = text.decode()
            return f"{plain[:10]}T{plain[11:26]}Z"
        if text in (b"infinity", b"-infinity"):
            return text.decode()
        match = _matched(_STAMP, text, "timestamptz")
        fraction = (match[7] or b"").ljust(digits, b"0")[:digits].decode()
        day = f"{iso_year(_year(match[1], match[8]))}-{match[2].decode()}-{match[3].decode()}"
        return f"{day}T{match[4].decode()}:{match[5].decode()}:{match[6].decode()}{'.' if fraction else ''}{fraction}Z"

    return parse


def iso_year(year: int) -> str:
    """As Java prints it: four digits, a sign when there are more or when it is before the year 0."""
    if 0 <= year <= 9999:
        return f"{year:04d}"
    return f"{'-' if year < 0 else '+'}{abs(year):04d}"


def zoned_time(text: bytes) -> str:
    """A time with an offset, moved to UTC; fractions without trailing zeros."""
    offset = _OFFSET.search(text)
    if offset is None:
        raise ValueError(f"{text!r} is no timetz")
    shift = int(offset[2]) * 3600 + int(offset[3] or 0) * 60 + int(offset[4] or 0)
    clock = text[: offset.start()]
    microseconds = clock_us(clock)
    if microseconds == DAY_US and shift == 0:
        return "24:00:00Z"
    return iso_clock((microseconds - (shift if offset[1] == b"+" else -shift) * 1_000_000) % DAY_US)


def iso_clock(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    tail = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{tail}Z"


def iso_date(text: bytes) -> str:
    match = _DATE.fullmatch(text)
    if match is None:
        return text.decode()
    return f"{iso_year(_year(match[1], match[4]))}-{match[2].decode()}-{match[3].decode()}Z"


def iso_timestamp(text: bytes) -> str:
    match = _STAMP.fullmatch(text)
    if match is None:
        return text.decode()
    fraction = (match[7] or b"").rstrip(b"0").decode()
    day = f"{iso_year(_year(match[1], match[8]))}-{match[2].decode()}-{match[3].decode()}"
    return f"{day}T{match[4].decode()}:{match[5].decode()}:{match[6].decode()}{'.' if fraction else ''}{fraction}Z"


def interval_parts(text: bytes) -> tuple[int, int, int, int, int, Decimal]:
    """Years, months, days, hours, minutes and seconds, each with its own sign."""
    parts = {b"year": 0, b"mon": 0, b"day": 0}
    for amount, unit in _SPAN.findall(text):
        parts[unit] = int(amount)
    hours = minutes = 0
    seconds = Decimal(0)
    clock = _SPAN_CLOCK.search(text)
    if clock is not None:
        sign = -1 if clock[1] == b"-" else 1
        hours, minutes, seconds = sign * int(clock[2]), sign * int(clock[3]), sign * Decimal(clock[4].decode())
    return parts[b"year"], parts[b"mon"], parts[b"day"], hours, minutes, seconds


def interval_us(text: bytes) -> int:
    """An interval as microseconds, kept within 64 bits."""
    years, months, days, hours, minutes, seconds = interval_parts(text)
    clock = (hours * 3600 + minutes * 60) * 1_000_000 + int(seconds * 1_000_000)
    return max(INT64_MIN, min(INT64_MAX, (years * 12 + months) * MONTH_US + days * DAY_US + clock))


def interval_iso(text: bytes) -> str:
    years, months, days, hours, minutes, seconds = interval_parts(text)
    told = format(seconds.normalize(), "f") if seconds else "0"
    return f"P{years}Y{months}M{days}DT{hours}H{minutes}M{told}S"


def bits(text: bytes) -> bytes:
    """A bit string as a little-endian number, in as few bytes as it needs."""
    number = int(text, 2) if text else 0
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def bit(text: bytes) -> bool:
    return text == b"1"


def bytea(text: bytes) -> bytes:
    if text[:2] != b"\\x":
        raise ValueError(f"{text[:20]!r} is no bytea in hexadecimal")
    return bytes.fromhex(text[2:].decode())


def bytea_as(mode: str) -> Parse:
    """`binary.handling.mode`: bytes, base64, base64-url-safe or hex."""
    encode: dict[str, Callable[[bytes], Any]] = {
        "base64": lambda raw: base64.b64encode(raw).decode(),
        "base64-url-safe": lambda raw: base64.urlsafe_b64encode(raw).decode(),
        "hex": bytes.hex,
    }
    if mode == "bytes":
        return bytea
    chosen = encode[mode]
    return lambda text: chosen(bytea(text))


def binary_of(mode: str) -> Callable[[bytes], Any]:
    """How raw bytes appear under `binary.handling.mode`."""
    parse = bytea_as(mode)
    return lambda raw: parse(b"\\x" + raw.hex().encode())


def money(digits: int) -> Callable[[bytes], Decimal]:
    """`-$1,234.56` in the C locale, with so many digits after the point."""
    step = Decimal(1).scaleb(-digits)

    def parse(text: bytes) -> Decimal:
        amount = Decimal(text.decode().replace("$", "").replace(",", ""))
        return amount.quantize(step)

    return parse


_NUMBER = rb"[^,()<>{}\[\]]+"


def floats(text: bytes) -> list[float]:
    """The numbers of a geometric text, in their order."""
    return [float(number) for number in re.findall(_NUMBER, text)]


_WKB_POINT = Struct("<BIdd").pack
_WKB_HEAD = Struct("<BII")


def point_wkb(x: float, y: float) -> bytes:
    return _WKB_POINT(1, 1, x, y)


def line_wkb(points: list[tuple[float, float]]) -> bytes:
    return _WKB_HEAD.pack(1, 2, len(points)) + _doubles(points)


def polygon_wkb(ring: list[tuple[float, float]]) -> bytes:
    return _WKB_HEAD.pack(1, 3, 1) + len(ring).to_bytes(4, "little") + _doubles(ring)


def _doubles(points: list[tuple[float, float]]) -> bytes:
    return b"".join(Struct("<dd").pack(x, y) for x, y in points)


def pairs(numbers: list[float]) -> list[tuple[float, float]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


_ARRAY_ITEM = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^",{}]+)', re.DOTALL)


class NestedArrayError(ValueError):
    """An array of arrays, which Kafka Connect's schema of a column, made from its type alone, cannot say."""


def array_items(text: bytes) -> list[bytes | None]:
    """The elements' texts of a one-dimensional array. Raises `ValueError`."""
    if text[:1] == b"[":
        # Bounds that do not start at 1: `[0:2]={...}`.
        text = text[text.index(b"=") + 1 :]
    if text[:1] != b"{" or text[-1:] != b"}":
        raise ValueError(f"{text[:40]!r} is no array")
    if text[1:2] == b"{":
        raise NestedArrayError(f"{text[:40]!r} has more than one dimension")
    items: list[bytes | None] = []
    position, end = 1, len(text) - 1
    while position < end:
        match = _ARRAY_ITEM.match(text, position, end)
        if match is None:
            raise ValueError(f"{text[:40]!r} is no array: byte {position}")
        quoted, plain = match.groups()
        if plain is None:
            items.append(_unescaped(quoted))
        else:
            items.append(None if plain.upper() == b"NULL" else plain)
        position = match.end() + 1
    return items


def _unescaped(text: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL) if b"\\" in text else text


def hstore_json(text: bytes) -> str:
    return json.dumps(hstore(text), ensure_ascii=False, separators=(",", ":"))


def vector(text: bytes) -> list[float]:
    """Pgvector's `[1,2.5,3]`."""
    return [float(number) for number in text[1:-1].split(b",")]


def sparse_vector(text: bytes) -> list[Any]:
    """Pgvector's `{1:1.5,3:2}/5`: its dimensions, and values by their place from 1."""
    pairs_, dimensions = text.rsplit(b"/", 1)
    entries = [entry.split(b":") for entry in pairs_[1:-1].split(b",") if entry]
    return [int(dimensions), {int(place): float(value) for place, value in entries}]


_EWKB_SRID: Final = 0x2000_0000


def postgis(text: bytes) -> list[Any]:
    """PostGIS's hexadecimal EWKB, and its SRID when it names one."""
    raw = bytes.fromhex(text.decode())
    order: Literal["little", "big"] = "little" if raw[0] == 1 else "big"
    has_srid = int.from_bytes(raw[1:5], order) & _EWKB_SRID
    return [raw, int.from_bytes(raw[5:9], order) if has_srid else None, None]


_HSTORE_PAIR = re.compile(rb'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, |$)', re.DOTALL)


def hstore(text: bytes) -> dict[str, str | None]:
    pairs_: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _HSTORE_PAIR.match(text, position)
        if match is None:
            raise ValueError(f"{text[:40]!r} is no hstore: byte {position}")
        value = match[2]
        pairs_[_unescaped(match[1]).decode()] = None if value is None else _unescaped(value).decode()
        position = match.end()
    return pairs_


def _matched(pattern: re.Pattern[bytes], text: bytes, what: str) -> re.Match[bytes]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no {what}")
    return match
