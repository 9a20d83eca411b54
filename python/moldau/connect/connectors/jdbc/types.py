"""Types of Connect and Debezium's semantic types as types of PostgreSQL, and their values as COPY takes them.

A column's own type decides in the end: the server reads the text of a value as its column wants it. So a number that
says it is a day goes as a number into a column of numbers, and as a date into others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import msgspec

from moldau.connect.connectors.postgres.text import INFINITY_US, MINUS_INFINITY_US
from moldau.connect.converters.json_values import writer_of
from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.data.logical import from_unscaled
from moldau.connect.errors import DataError

Convert = Callable[[Any], Any]

NAMES: Final = {
    Type.INT8: "smallint",
    Type.INT16: "smallint",
    Type.INT32: "integer",
    Type.INT64: "bigint",
    Type.FLOAT32: "real",
    Type.FLOAT64: "double precision",
    Type.BOOLEAN: "boolean",
    Type.STRING: "text",
    Type.BYTES: "bytea",
    Type.MAP: "jsonb",
    Type.STRUCT: "jsonb",
}
TIME: Final = "io.debezium.time."
DATA: Final = "io.debezium.data."
VARIABLE: Final = f"{DATA}VariableScaleDecimal"
BITS: Final = f"{DATA}Bits"
NAMED: Final = {
    Decimal.LOGICAL_NAME: "numeric",
    Date.LOGICAL_NAME: "date",
    Time.LOGICAL_NAME: "time",
    Timestamp.LOGICAL_NAME: "timestamp",
    f"{TIME}Date": "date",
    f"{TIME}Time": "time",
    f"{TIME}MicroTime": "time",
    f"{TIME}NanoTime": "time",
    f"{TIME}Timestamp": "timestamp",
    f"{TIME}MicroTimestamp": "timestamp",
    f"{TIME}NanoTimestamp": "timestamp",
    f"{TIME}IsoDate": "date",
    f"{TIME}IsoTime": "time",
    f"{TIME}IsoTimestamp": "timestamp",
    f"{TIME}ZonedTime": "time with time zone",
    f"{TIME}ZonedTimestamp": "timestamp with time zone",
    f"{TIME}MicroDuration": "interval",
    f"{TIME}Interval": "interval",
    f"{DATA}Json": "jsonb",
    f"{DATA}Uuid": "uuid",
    f"{DATA}Xml": "xml",
    f"{DATA}Tsvector": "tsvector",
    VARIABLE: "numeric",
    BITS: "bit varying",
    f"{DATA}geometry.Point": "point",
}
# The parts of a second that a number counts.
MOMENTS: Final = {f"{TIME}Timestamp": 1000, f"{TIME}MicroTimestamp": 10**6, f"{TIME}NanoTimestamp": 10**9}
TIMES: Final = {f"{TIME}Time": 1000, f"{TIME}MicroTime": 10**6, f"{TIME}NanoTime": 10**9}
ISO: Final = frozenset({f"{TIME}ZonedTimestamp", f"{TIME}IsoTimestamp", f"{TIME}IsoDate"})
NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
INT32_MAX: Final = (1 << 31) - 1
DAY_S: Final = 86_400
CYCLE_DAYS: Final = 146_097
UNLIMITED: Final = (1 << 31) - 1
DAY: Final = dt.date(1970, 1, 1).toordinal()


def type_name(schema: Schema) -> str:
    """The type of a new column."""
    if schema.name in NAMED:
        return NAMED[schema.name]
    if schema.type is Type.ARRAY and schema.value_schema is not None:
        return f"{type_name(schema.value_schema)}[]"
    return NAMES.get(schema.type, "text")


def converter(schema: Schema, column_type: str) -> Convert | None:
    """What makes a value ready for a column of this type; None where it is taken as it is.

    What it returns raises `DataError`, ValueError and OverflowError for a value that has no place in PostgreSQL.
    """
    if column_type in NUMBERS and schema.type in {Type.INT32, Type.INT64} and schema.name not in LOGICAL:
        return None
    found = _semantic(schema, column_type)
    if found is not None:
        return found
    if schema.type is Type.ARRAY and schema.value_schema is not None and column_type.endswith("[]"):
        element = converter(schema.value_schema, column_type.removesuffix("[]"))
        return None if element is None else lambda value: [None if each is None else element(each) for each in value]
    if schema.type in {Type.STRUCT, Type.MAP, Type.ARRAY}:
        write = writer_of(schema, numeric=True, replace_null=True)
        encode = msgspec.json.Encoder(decimal_format="number").encode
        return lambda value: encode(write(value)).decode()
    if schema.type is Type.STRING:
        return _text
    return bytes if schema.type is Type.BYTES and schema.name != Decimal.LOGICAL_NAME else None


LOGICAL: Final = (Decimal.LOGICAL_NAME, Date.LOGICAL_NAME, Time.LOGICAL_NAME, Timestamp.LOGICAL_NAME)


def _semantic(schema: Schema, column_type: str) -> Convert | None:
    name = schema.name or ""
    if name in MOMENTS:
        zone = column_type.endswith("with time zone")
        return _moment(MOMENTS[name], zone=zone)
    if name in TIMES:
        return _time(TIMES[name])
    if name == f"{TIME}Date":
        return _date
    if name in ISO:
        return _iso
    if name == f"{TIME}MicroDuration":
        return lambda microseconds: f"{microseconds} microseconds"
    if name == VARIABLE:
        return lambda value: from_unscaled(int.from_bytes(value["value"], "big", signed=True), value["scale"])
    if name == f"{DATA}geometry.Point":
        return lambda value: f"({value['x']!r},{value['y']!r})"
    if name == BITS:
        length = int((schema.parameters or {}).get("length", 0))
        return lambda value: _bits(value, length)
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{type(value).__name__} in the place of a string: {value!r:.80}")
    if "\0" in value:
        raise DataError("a string holds a zero byte, which PostgreSQL does not store")
    return value


def _day(days: int) -> tuple[str, str]:
    """A day, also of years that Python has none of, and what stands behind it (BC)."""
    # Four hundred years have always the same number of days.
    cycles, rest = divmod(days, CYCLE_DAYS)
    day = dt.date.fromordinal(DAY + rest)
    year = day.year + 400 * cycles
    return f"{year if year > 0 else 1 - year:04}-{day.month:02}-{day.day:02}", "" if year > 0 else " BC"


def _iso(text: str) -> str:
    """ISO 8601 has a year 0 and signs before years, PostgreSQL has neither."""
    if text[:1] not in {"+", "-", "0"}:
        return text
    year, dash, rest = text[1:].partition("-") if text[:1] in {"+", "-"} else text.partition("-")
    if not year.isdigit() or not dash:
        return text
    number = -int(year) if text[:1] == "-" else int(year)
    return f"{number:04}-{rest}" if number > 0 else f"{1 - number:04}-{rest} BC"


def _date(days: int) -> str:
    if days in {INT32_MAX, -INT32_MAX - 1}:
        return "infinity" if days > 0 else "-infinity"
    return "".join(_day(days))


def _moment(parts: int, *, zone: bool) -> Convert:
    second_parts = min(parts, 10**6)
    infinite = INFINITY_US * second_parts // 10**6, MINUS_INFINITY_US * second_parts // 10**6

    def convert(number: int) -> str:
        if number in infinite:
            return "infinity" if number > 0 else "-infinity"
        days, rest = divmod(number, DAY_S * parts)
        day, era = _day(days)
        return f"{day} {clock(rest)}{'+00' if zone else ''}{era}"

    clock = _time(parts)
    return convert


def _time(parts: int) -> Convert:
    def convert(number: int) -> Any:
        seconds, rest = divmod(number, parts)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        # PostgreSQL has the hour 24, and no time of Python's.
        return f"{hour:02}:{minute:02}:{second:02}.{rest * 10**6 // parts:06}"

    return convert


def _bits(value: bytes, length: int) -> str:
    """The bits of a number; how many there were says the length, which a varbit without one does not."""
    number = int.from_bytes(value, "little")
    return f"{number:0{length}b}" if 0 < length < UNLIMITED else f"{number:b}"


def default_literal(schema: Schema) -> Any:
    """A default as a value of its column."""
    convert = converter(schema, type_name(schema))
    value = schema.default_value
    if isinstance(value, Struct) or value is None:
        return None
    return value if convert is None else convert(value)
