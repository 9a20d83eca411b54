"""The type table: for a PostgreSQL type the schema of its column and the function from its text to the value.

`column_type` follows Debezium's table (documentation, "Data type mappings") under the modes of the settings. A column
whose type has no place in Connect is left out, or is the bytes of its text with `include.unknown.datatypes`.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeAlias

from moldau.connect.connectors.postgres import semantic, text
from moldau.connect.connectors.postgres.catalog import TypeInfo, Types
from moldau.connect.data import Schema, SchemaBuilder, Struct, Type

NO_MODIFIER: Final = -1
UNBOUNDED: Final = 2_147_483_647


# The name of a compiled kernel and its number: digits, or microseconds of a unit.
Kernel: TypeAlias = tuple[str, int]
TEXT: Final[Kernel] = ("text", 0)
INTEGER: Final[Kernel] = ("integer", 0)
DOUBLE: Final[Kernel] = ("double", 0)


@dataclass(frozen=True)
class Modes:
    """How values appear, by the settings of the same names."""

    decimal: str = "precise"
    time: str = "adaptive"
    binary: str = "bytes"
    interval: str = "numeric"
    hstore: str = "json"
    money_digits: int = 2
    unknown_too: bool = False
    placeholder: str = "__debezium_unavailable_value"


@dataclass(frozen=True)
class ColumnType:
    """`schema()` makes a new builder, `convert(schema)` the function from text to value for a built schema.

    `zero(schema)` is what a NOT NULL column holds when the server sends nothing for it, as in the old key of a row.
    `kernel` names the compiled twin of `convert`, where there is one (`compiled.py`).
    """

    schema: Callable[[], SchemaBuilder]
    convert: Callable[[Schema], text.Parse]
    zero: Callable[[Schema], Any] = field(default=lambda schema: ZEROS.get(schema.type))
    kernel: Kernel | None = None


ZEROS: Final[dict[Type, Any]] = {
    Type.INT16: 0,
    Type.INT32: 0,
    Type.INT64: 0,
    Type.FLOAT32: 0.0,
    Type.FLOAT64: 0.0,
    Type.BOOLEAN: False,
    Type.STRING: "",
    Type.BYTES: b"",
    Type.ARRAY: [],
    Type.MAP: {},
}


def _plain(
    schema: Callable[[], SchemaBuilder], parse: text.Parse, zero: Any = None, kernel: Kernel | None = None
) -> ColumnType:
    if kernel is None and parse is text.string:
        kernel = TEXT
    if zero is None:
        return ColumnType(schema, lambda _: parse, kernel=kernel)
    return ColumnType(schema, lambda _: parse, lambda _: zero, kernel)


_STRING = _plain(SchemaBuilder.string, text.string)
_SIMPLE: Final[dict[str, ColumnType]] = {
    "bool": _plain(SchemaBuilder.boolean, text.boolean, kernel=("boolean", 0)),
    "int2": _plain(SchemaBuilder.int16, int, kernel=INTEGER),
    "int4": _plain(SchemaBuilder.int32, int, kernel=INTEGER),
    "int8": _plain(SchemaBuilder.int64, int, kernel=INTEGER),
    "oid": _plain(SchemaBuilder.int64, int, kernel=INTEGER),
    "float4": _plain(SchemaBuilder.float32, float),
    "float8": _plain(SchemaBuilder.float64, float, kernel=DOUBLE),
    "json": _plain(semantic.json, text.string),
    "jsonb": _plain(semantic.json, text.string),
    "xml": _plain(lambda: semantic.text("Xml"), text.string),
    "uuid": _plain(lambda: semantic.text("Uuid"), text.string),
    "tsvector": _plain(lambda: semantic.text("Tsvector"), text.string),
    "timetz": _plain(lambda: semantic.time_type("ZonedTime"), text.zoned_time, "00:00:00Z"),
} | dict.fromkeys(
    [
        "text",
        "varchar",
        "bpchar",
        "char",
        "name",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "int4range",
        "int8range",
        "numrange",
        "tsrange",
        "tstzrange",
        "daterange",
    ],
    _STRING,
)
# Arrays that Debezium leaves out, whatever `include.unknown.datatypes` says.
_NO_ARRAYS: Final = frozenset(["money", "name", "interval", "bit", "varbit", "xml", "point", "refcursor"])


def column_type(types: Types, oid: int, modifier: int, modes: Modes) -> ColumnType | None:
    """What to do with a column, or None when it has no place in an event."""
    info, modifier = types.resolved(oid, modifier)
    if info.kind == "e":
        return _plain(lambda: semantic.enum(info.labels), text.string)
    if info.element_oid:
        return _array(types, info, modifier, modes)
    found = _scalar(info, modifier, modes)
    if found is None and modes.unknown_too:
        return _plain(_bytes_schema(modes.binary), text.binary_of(modes.binary))
    return found


def _scalar(info: TypeInfo, modifier: int, modes: Modes) -> ColumnType | None:
    if info.schema != "pg_catalog":
        return _of_extension(info, modes)
    simple = _SIMPLE.get(info.name)
    if simple is not None:
        return simple
    maker = _MADE.get(info.name)
    return None if maker is None else maker(modifier, modes)


def _bytes_schema(mode: str) -> Callable[[], SchemaBuilder]:
    return SchemaBuilder.bytes if mode == "bytes" else SchemaBuilder.string


def _bytea(modifier: int, modes: Modes) -> ColumnType:
    kernel = ("bytes", 0) if modes.binary == "bytes" else None
    return _plain(_bytes_schema(modes.binary), text.bytea_as(modes.binary), kernel=kernel)


def _bits(modifier: int, modes: Modes) -> ColumnType:
    """bit(n): one bit is a boolean, more are `Bits`; the modifier is the length."""
    length = UNBOUNDED if modifier == NO_MODIFIER else modifier
    if length == 1:
        return _plain(SchemaBuilder.boolean, text.bit, kernel=("bit", 0))
    return _plain(lambda: semantic.bits(length), text.bits)


def numeric_shape(modifier: int) -> tuple[int, int] | None:
    """Precision and scale of numeric(p, s); the scale is signed since PostgreSQL 15. None without them."""
    if modifier == NO_MODIFIER:
        return None
    packed = modifier - 4
    return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 0x400) - 0x400


def _numeric(modifier: int, modes: Modes) -> ColumnType:
    shape = numeric_shape(modifier)
    if modes.decimal == "double":
        return _plain(SchemaBuilder.float64, float, kernel=DOUBLE)
    if modes.decimal == "string":
        return _plain(SchemaBuilder.string, text.string, "0")
    if shape is None:
        return ColumnType(
            semantic.variable_scale_decimal,
            lambda schema: lambda raw: _variable(schema, raw),
            lambda schema: semantic.variable_scale_value(schema, Decimal(0)),
        )
    precision, scale = shape
    parse = _exact if scale >= 0 else _exact_with(scale)
    kernel = ("decimal", scale) if scale >= 0 else None
    return _plain(lambda: semantic.decimal(scale, precision), parse, Decimal(0).scaleb(-scale), kernel)


def _exact(raw: bytes) -> Decimal | None:
    number = Decimal(raw.decode())
    # NaN and infinity have no bytes: they become null, as with Debezium; `double` and `string` keep them.
    return number if number.is_finite() else None


def _exact_with(scale: int) -> text.Parse:
    step = Decimal(1).scaleb(-scale)

    def parse(raw: bytes) -> Decimal | None:
        number = _exact(raw)
        return None if number is None else number.quantize(step)

    return parse


def _variable(schema: Schema, raw: bytes) -> Struct | None:
    number = Decimal(raw.decode())
    return semantic.variable_scale_value(schema, number) if number.is_finite() else None


def _money(modifier: int, modes: Modes) -> ColumnType:
    parse = text.money(modes.money_digits)
    if modes.decimal == "double":
        return _plain(SchemaBuilder.float64, lambda raw: float(parse(raw)))
    if modes.decimal == "string":
        return _plain(SchemaBuilder.string, lambda raw: str(parse(raw)), str(parse(b"0")))
    return _plain(lambda: semantic.decimal(modes.money_digits, None), parse, parse(b"0"))


def _date(modifier: int, modes: Modes) -> ColumnType:
    if modes.time == "isostring":
        return _plain(lambda: semantic.time_type("IsoDate"), text.iso_date, "1970-01-01Z")
    if modes.time == "connect":
        return _plain(lambda: semantic.connect_time("Date"), _connect_date, dt.date(1970, 1, 1))
    return _plain(lambda: semantic.time_type("Date"), text.date_days, kernel=("days", 0))


def _connect_date(raw: bytes) -> dt.date:
    return dt.date.fromordinal(text.date_days(raw) + text.EPOCH_DAY)


def digits_of(modifier: int) -> int:
    """The digits of a second that a column keeps."""
    return 6 if modifier == NO_MODIFIER else modifier & 0xFFFF


_THOUSANDTH = 1000


def _time(modifier: int, modes: Modes) -> ColumnType:
    if modes.time == "isostring":
        return _plain(lambda: semantic.time_type("IsoTime"), _iso_time, "00:00:00Z")
    if modes.time == "connect":
        return _plain(lambda: semantic.connect_time("Time"), _connect_clock, dt.time())
    if modes.time == "nanoseconds":
        return _plain(lambda: semantic.time_type("NanoTime"), lambda raw: text.clock_us(raw) * _THOUSANDTH)
    if modes.time == "adaptive" and digits_of(modifier) <= 3:
        kernel = ("clock", _THOUSANDTH)
        return _plain(lambda: semantic.time_type("Time"), lambda raw: text.clock_us(raw) // _THOUSANDTH, None, kernel)
    return _plain(lambda: semantic.time_type("MicroTime"), text.clock_us, kernel=("clock", 1))


def _iso_time(raw: bytes) -> str:
    return text.iso_clock(text.clock_us(raw) % text.DAY_US)


def _connect_clock(raw: bytes) -> dt.time:
    milliseconds = text.clock_us(raw) % text.DAY_US // _THOUSANDTH
    seconds, rest = divmod(milliseconds, 1000)
    return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60, rest * 1000)


def _timestamp(modifier: int, modes: Modes) -> ColumnType:
    if modes.time == "isostring":
        return _plain(lambda: semantic.time_type("IsoTimestamp"), text.iso_timestamp, "1970-01-01T00:00:00Z")
    if modes.time == "connect":
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return _plain(lambda: semantic.connect_time("Timestamp"), _connect_moment, epoch)
    if modes.time == "nanoseconds":
        return _plain(lambda: semantic.time_type("NanoTimestamp"), _nanoseconds)
    adaptive = modes.time in ("adaptive", "adaptive_time_microseconds")
    if adaptive and digits_of(modifier) <= 3:
        kernel = ("timestamp", _THOUSANDTH)
        schema = partial(semantic.time_type, "Timestamp")
        return _plain(schema, lambda raw: text.timestamp_us(raw) // _THOUSANDTH, None, kernel)
    return _plain(lambda: semantic.time_type("MicroTimestamp"), text.timestamp_us, kernel=("timestamp", 1))


def _nanoseconds(raw: bytes) -> int:
    return max(text.INT64_MIN, min(text.INT64_MAX, text.timestamp_us(raw) * _THOUSANDTH))


def _connect_moment(raw: bytes) -> dt.datetime:
    milliseconds = text.timestamp_us(raw) // _THOUSANDTH
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)


def _timestamptz(modifier: int, modes: Modes) -> ColumnType:
    digits = digits_of(modifier)
    parse = text.zoned_timestamp(digits)
    zero = parse(b"1970-01-01 00:00:00+00")
    return _plain(lambda: semantic.time_type("ZonedTimestamp"), parse, zero, ("zoned", digits))


def _interval(modifier: int, modes: Modes) -> ColumnType:
    if modes.interval == "string":
        return _plain(lambda: semantic.time_type("Interval"), text.interval_iso, "P0Y0M0DT0H0M0S")
    return _plain(lambda: semantic.time_type("MicroDuration"), text.interval_us)


def _point_value(schema: Schema, x: float, y: float) -> Struct:
    return Struct.of(schema, [x, y, text.point_wkb(x, y), None])


def _point(modifier: int, modes: Modes) -> ColumnType:
    return ColumnType(
        semantic.point,
        lambda schema: lambda raw: _point_value(schema, *text.floats(raw)),
        lambda schema: _point_value(schema, 0.0, 0.0),
    )


def _circle(modifier: int, modes: Modes) -> ColumnType:
    def value(schema: Schema, x: float, y: float, radius: float) -> Struct:
        return Struct.of(schema, [_point_value(schema.fields[0].schema, x, y), radius])

    return ColumnType(
        semantic.circle,
        lambda schema: lambda raw: value(schema, *text.floats(raw)),
        lambda schema: value(schema, 0.0, 0.0, 0.0),
    )


def _line(modifier: int, modes: Modes) -> ColumnType:
    return ColumnType(
        semantic.line,
        lambda schema: lambda raw: Struct.of(schema, text.floats(raw)),
        lambda schema: Struct.of(schema, [0.0, 1.0, 0.0]),
    )


def _shape(kind: str) -> Callable[[int, Modes], ColumnType]:
    """box, lseg, path and polygon as WKB, with the PostgreSQL type in the extensions."""

    def wkb(raw: bytes) -> tuple[bytes, dict[str, str]]:
        points = text.pairs(text.floats(raw))
        if kind == "box":
            (x1, y1), (x2, y2) = points
            return text.polygon_wkb([(x1, y1), (x1, y2), (x2, y2), (x2, y1), (x1, y1)]), {"type": kind}
        if kind == "polygon":
            ring = points if points[0] == points[-1] else [*points, points[0]]
            return text.polygon_wkb(ring), {"type": kind}
        if kind == "path":
            return text.line_wkb(points), {"type": kind, "closed": "false" if raw[:1] == b"[" else "true"}
        return text.line_wkb(points), {"type": kind}

    def value(schema: Schema, raw: bytes) -> Struct:
        shape, extensions = wkb(raw)
        return Struct.of(schema, [shape, None, extensions])

    return lambda _modifier, _modes: ColumnType(
        semantic.geometry,
        lambda schema: lambda raw: value(schema, raw),
        lambda schema: Struct.of(schema, [text.point_wkb(0.0, 0.0), None, {"type": kind}]),
    )


_MADE: Final[dict[str, Callable[[int, Modes], ColumnType]]] = {
    "bit": _bits,
    "varbit": _bits,
    "bytea": _bytea,
    "numeric": _numeric,
    "money": _money,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "interval": _interval,
    "point": _point,
    "circle": _circle,
    "line": _line,
    "box": _shape("box"),
    "lseg": _shape("lseg"),
    "path": _shape("path"),
    "polygon": _shape("polygon"),
}


def _of_extension(info: TypeInfo, modes: Modes) -> ColumnType | None:
    name = info.name
    if name in ("citext", "isbn"):
        return _STRING
    if name == "ltree":
        return _plain(lambda: semantic.text("Ltree"), text.string)
    if name == "hstore":
        if modes.hstore == "json":
            return _plain(semantic.json, text.hstore_json, "{}")
        optional = Schema.OPTIONAL_STRING_SCHEMA
        return _plain(lambda: SchemaBuilder.map(Schema.STRING_SCHEMA, optional), text.hstore)
    if name in ("vector", "halfvec"):
        builder = semantic.double_vector if name == "vector" else semantic.float_vector
        return _plain(builder, text.vector)
    if name == "sparsevec":
        return ColumnType(
            semantic.sparse_vector,
            lambda schema: lambda raw: Struct.of(schema, text.sparse_vector(raw)),
            lambda schema: Struct.of(schema, [0, {}]),
        )
    if name in ("geometry", "geography"):
        return ColumnType(
            lambda: semantic.geometry(name.capitalize()),
            lambda schema: lambda raw: Struct.of(schema, text.postgis(raw)),
            lambda schema: Struct.of(schema, [text.point_wkb(0.0, 0.0), None, None]),
        )
    return None


def _array(types: Types, info: TypeInfo, modifier: int, modes: Modes) -> ColumnType | None:
    element = types.get(info.element_oid)
    if element.kind == "d" or (element.schema == "pg_catalog" and element.name in _NO_ARRAYS):
        return None
    if element.kind == "e":
        # Debezium's schema of such an element is not optional; a NULL among them is passed on all the same.
        return _array_of(semantic.enum(element.labels).build(), text.string)
    inner = _scalar(element, modifier, modes)
    if inner is None:
        if not modes.unknown_too:
            return None
        inner = _plain(_bytes_schema(modes.binary), text.binary_of(modes.binary))
    schema = inner.schema().optional().build()
    return _array_of(schema, inner.convert(schema))


def _array_of(element: Schema, convert: text.Parse) -> ColumnType:
    def parse(raw: bytes) -> list[Any] | None:
        try:
            items = text.array_items(raw)
        except text.NestedArrayError:
            return None
        return [None if item is None else convert(item) for item in items]

    return _plain(lambda: SchemaBuilder.array(element), parse)


def placeholder(schema: Schema, modes: Modes) -> Any:
    """What stands for a TOASTed value that was not sent, in a type that the column's schema takes."""
    said = modes.placeholder
    if schema.type is Type.BYTES and schema.name is None:
        return said.encode()
    if schema.type is Type.STRING and schema.name is None and modes.binary != "bytes":
        return said
    if schema.type is Type.MAP:
        return {said: said}
    if schema.type is Type.ARRAY:
        return _array_placeholder(schema.value_schema, said)
    if schema.type is Type.STRING:
        return said
    return None


def _array_placeholder(element: Schema | None, said: str) -> list[Any]:
    assert element is not None
    if element.type in (Type.INT32, Type.INT64) and element.name is None:
        return list(said.encode())
    if element.name == "io.debezium.data.Uuid":
        return [str(name_uuid(said.encode()))]
    if element.type is Type.STRING:
        return [said]
    if element.type is Type.BYTES and element.name is None:
        return [said.encode()]
    return []


def name_uuid(name: bytes) -> uuid.UUID:
    """Java's `UUID.nameUUIDFromBytes`: a version 3 UUID of the name alone."""
    from hashlib import md5

    return uuid.UUID(bytes=md5(name, usedforsecurity=False).digest(), version=3)
