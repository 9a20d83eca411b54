"""How values of a schema go into JSON and come out of it. Each function here is made once for a schema.

What JSON has itself (numbers, text, true, lists) goes as it is. A struct is an object; so is a map whose keys are
strings, any other map is a list of pairs. Bytes are base64, dates, times and timestamps are their numbers.
"""

from __future__ import annotations

import binascii
import datetime as dt
import decimal
import math
from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from moldau.connect.converters.json_shapes import quick_reader, shape_of
from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.data.java_text import java_double, shortest_float32, to_float32
from moldau.connect.data.schema import INTEGER_RANGES
from moldau.connect.errors import DataError

Writer = Callable[[Any], Any]


class Writing(NamedTuple):
    """What writes a value, `written` null too; `of_value` does not look whether it is null."""

    written: Writer
    of_value: Writer


class Reader(NamedTuple):
    """`read` makes a value of what was in JSON; `exact` when numbers with a point must come as decimals.

    `quick` makes one of the JSON itself, when it is as it should be; what it raises says little.
    """

    schema: Schema | None
    read: Callable[[Any], Any]
    exact: bool
    quick: Callable[[Any], Any] | None = None


def plain(value: Any) -> Any:
    """A value without a schema, ready for JSON. Structs inside take their own schema."""
    kind = value.__class__
    if kind is dict:
        if all(key.__class__ is str for key in value):
            return {key: plain(each) for key, each in value.items()}
        return [[plain(key), plain(each)] for key, each in value.items()]
    if kind is list:
        return [plain(each) for each in value]
    if kind is float:
        return value if math.isfinite(value) else java_double(value)
    if kind in PLAIN or isinstance(value, str | int):
        return value
    if isinstance(value, Struct):
        return _own_writer(value.schema)(value)
    raise DataError(f"{kind.__name__} has no type in Connect that goes without a schema: {value!r:.80}")


@lru_cache(1000)
def _own_writer(schema: Schema) -> Writer:
    return writer_of(schema, numeric=False, replace_null=True)


PLAIN: Final = frozenset({str, int, bool, bytes, bytearray, memoryview, type(None)})


def writer_of(schema: Schema | None, *, numeric: bool, replace_null: bool) -> Writer:
    """What makes a value of `schema` ready for JSON. Raises `DataError` when called with one that is not of it."""
    return _writing_of(schema, numeric=numeric, replace_null=replace_null).written


def _writing_of(schema: Schema | None, *, numeric: bool, replace_null: bool) -> Writing:
    if schema is None:
        return Writing(plain, plain)

    def inner(each: Schema | None) -> Writing:
        return _writing_of(each, numeric=numeric, replace_null=replace_null)

    write = value_writer(schema, inner, numeric=numeric)
    if schema.type is Type.STRUCT and not schema.optional and schema.default_value is None:
        # It refuses null itself.
        return Writing(write, write)
    return nullable(schema, write, replace_null=replace_null)


def nullable(schema: Schema, write: Writer, *, replace_null: bool) -> Writing:
    """`write` for values that may be null: the default stands in for null if `replace_null`."""
    instead: Any = _Required
    if schema.default_value is not None and replace_null:
        instead = write(schema.default_value)
    elif schema.optional:
        instead = None

    def written(value: Any) -> Any:
        if value is None:
            if instead is _Required:
                raise _null(schema)
            return instead
        return write(value)

    return Writing(written, write)


def _null(schema: Schema) -> DataError:
    return DataError(f"null in the place of {schema}, which is required and has no default")


class _Required:
    """Stands for no replacement of null."""


def value_writer(schema: Schema, inner: Callable[[Schema | None], Writing], *, numeric: bool) -> Writer:
    """What writes a value that is not null; `inner` makes what writes the values in it."""
    logical = _logical_writer(schema, numeric=numeric)
    if logical is not None:
        return logical
    if schema.type is Type.STRUCT:
        return _struct_writer(schema, inner)
    if schema.type is Type.ARRAY:
        element = inner(schema.value_schema).written
        return lambda value: [element(each) for each in value]
    if schema.type is Type.MAP:
        keys, values = inner(schema.key_schema).written, inner(schema.value_schema).written
        if schema.key_schema is not None and schema.key_schema.type is Type.STRING:
            return lambda value: {key: values(each) for key, each in value.items()}
        return lambda value: [[keys(key), values(each)] for key, each in value.items()]
    if schema.type is Type.FLOAT64:
        return _float64
    if schema.type is Type.FLOAT32:
        return _float32
    return lambda value: value


def _float64(value: float) -> Any:
    return value if math.isfinite(value) else java_double(value)


def _float32(value: float) -> Any:
    return float(shortest_float32(value)) if math.isfinite(value) else java_double(value)


def _struct_writer(schema: Schema, inner: Callable[[Schema | None], Writing]) -> Writer:
    names = [field.name for field in schema.fields]
    writings = [inner(field.schema) for field in schema.fields]
    writers = [each.written for each in writings]
    # Only these need a look at every value; the others do when something is null.
    special = [(field.index, writings[field.index].of_value) for field in schema.fields if not _as_is(field.schema)]
    shape = shape_of(schema)

    def write(value: Any) -> Any:
        if value.__class__ is not Struct or (value.schema is not schema and value.schema != schema):
            if value is None:
                raise _null(schema)
            raise DataError(f"a value is not of {schema} but {getattr(value, 'schema', value)!r:.80}")
        values = value.values
        if None in values:
            values = [writer(each) for writer, each in zip(writers, values, strict=True)]
        elif special:
            values = values.copy()
            for index, writer in special:
                values[index] = writer(values[index])
        return dict(zip(names, values, strict=True)) if shape is None else shape(*values)

    return write


def _as_is(schema: Schema) -> bool:
    return schema.name not in LOGICAL and schema.type in AS_IS


AS_IS: Final = (Type.INT8, Type.INT16, Type.INT32, Type.INT64, Type.BOOLEAN, Type.STRING, Type.BYTES)
LOGICAL: Final = (Decimal.LOGICAL_NAME, Date.LOGICAL_NAME, Time.LOGICAL_NAME, Timestamp.LOGICAL_NAME)


def _logical_writer(schema: Schema, *, numeric: bool) -> Writer | None:
    if schema.name == Decimal.LOGICAL_NAME:
        if numeric:
            return _checked(decimal.Decimal, lambda value: value)
        return _checked(decimal.Decimal, lambda value: Decimal.from_logical(schema, value))
    if schema.name == Date.LOGICAL_NAME:
        return _checked(dt.date, Date.from_logical)
    if schema.name == Time.LOGICAL_NAME:
        return _checked(dt.time, Time.from_logical)
    if schema.name == Timestamp.LOGICAL_NAME:
        return _checked(dt.datetime, Timestamp.from_logical)
    return None


def _checked(kind: type, write: Writer) -> Writer:
    def checked(value: Any) -> Any:
        if not isinstance(value, kind):
            raise DataError(f"{type(value).__name__} in the place of a {kind.__name__}: {value!r:.80}")
        return write(value)

    return checked


def reader_of(schema: Schema | None, *, replace_null: bool) -> Reader:
    """What makes a value of `schema` out of JSON. Raises `DataError` when called with what is not of it."""
    if schema is None:
        return Reader(None, lambda value: value, exact=False)
    exact = has_decimal(schema)
    quick = None if exact else quick_reader(schema, lambda each: _reader(each, replace_null=replace_null))
    return Reader(schema, _reader(schema, replace_null=replace_null), exact, quick)


def has_decimal(schema: Schema | None) -> bool:
    """Whether there are decimals in it, so that numbers with a point must be read exactly."""
    if schema is None:
        return False
    return (
        schema.name == Decimal.LOGICAL_NAME
        or has_decimal(schema.key_schema)
        or has_decimal(schema.value_schema)
        or any(has_decimal(field.schema) for field in schema.fields)
    )


def _reader(schema: Schema | None, *, replace_null: bool) -> Callable[[Any], Any]:
    if schema is None:
        return lambda value: value
    read = value_reader(schema, lambda each: _reader(each, replace_null=replace_null))
    default = schema.default_value if replace_null else None

    def found(value: Any) -> Any:
        if value is None:
            if default is None and not schema.optional:
                raise DataError(f"null in the place of {schema}, which is required")
            return default
        return read(value)

    return found


def value_reader(schema: Schema, inner: Callable[[Schema | None], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """What reads a value that is not null; `inner` makes what reads the values in it."""
    logical = _logical_reader(schema)
    if logical is not None:
        return logical
    if schema.type is Type.STRUCT:
        return _struct_reader(schema, inner)
    if schema.type is Type.ARRAY:
        element = inner(schema.value_schema)
        return _of(list, schema, lambda value: [element(each) for each in value])
    if schema.type is Type.MAP:
        return _map_reader(schema, inner)
    limits = INTEGER_RANGES.get(schema.type)
    if limits is not None:
        return _integer(schema, *limits)
    if schema.type in {Type.FLOAT32, Type.FLOAT64}:
        return _floating(schema)
    if schema.type is Type.BYTES:
        return _of(str, schema, _from_base64)
    return _of(bool if schema.type is Type.BOOLEAN else str, schema, lambda value: value)


def _struct_reader(schema: Schema, inner: Callable[[Schema | None], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    # Text and booleans are what JSON has: seen to be that, they are taken as they are.
    readers = [(field.name, _taken_as_it_is(field.schema), inner(field.schema)) for field in schema.fields]

    def read(value: Any) -> Struct:
        if value.__class__ is not dict:
            raise _wrong(schema, value)
        get = value.get
        values: list[Any] = []
        try:
            for name, kind, read_field in readers:
                found = get(name)
                values.append(found if found.__class__ is kind else read_field(found))
        except DataError as error:
            raise DataError(f"field {readers[len(values)][0]!r}: {error}") from error
        return Struct.of(schema, values)

    return read


def _taken_as_it_is(schema: Schema) -> type | None:
    if schema.name in LOGICAL:
        return None
    return {Type.STRING: str, Type.BOOLEAN: bool}.get(schema.type)


def _map_reader(schema: Schema, inner: Callable[[Schema | None], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    keys, values = inner(schema.key_schema), inner(schema.value_schema)
    if schema.key_schema is None or schema.key_schema.type is Type.STRING:
        return _of(dict, schema, lambda value: {key: values(each) for key, each in value.items()})

    def read(pairs: list[Any]) -> dict[Any, Any]:
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise DataError(f"a map whose keys are no strings is a list of pairs, not of {pair!r:.80}")
        return {keys(key): values(each) for key, each in pairs}

    return _of(list, schema, read)


def _logical_reader(schema: Schema) -> Callable[[Any], Any] | None:
    if schema.name == Decimal.LOGICAL_NAME:
        return lambda value: _decimal(schema, value)
    if schema.name == Date.LOGICAL_NAME:
        return _of(int, schema, Date.to_logical)
    if schema.name == Time.LOGICAL_NAME:
        return _of(int, schema, Time.to_logical)
    if schema.name == Timestamp.LOGICAL_NAME:
        return _of(int, schema, Timestamp.to_logical)
    return None


def _decimal(schema: Schema, value: Any) -> decimal.Decimal:
    if isinstance(value, str):
        return Decimal.to_logical(schema, _from_base64(value))
    if isinstance(value, decimal.Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return decimal.Decimal(value)
    raise _wrong(schema, value)


def _from_base64(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except binascii.Error as error:
        raise DataError(f"{value!r:.80} is not base64: {error}") from error


def _integer(schema: Schema, low: int, high: int) -> Callable[[Any], Any]:
    def read(value: Any) -> int:
        if value.__class__ is not int:
            raise _wrong(schema, value)
        if not low <= value <= high:
            raise DataError(f"{value} does not fit into {schema.type.name} ({low} to {high})")
        return int(value)

    return read


SPECIAL_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _floating(schema: Schema) -> Callable[[Any], Any]:
    rounded = to_float32 if schema.type is Type.FLOAT32 else float

    def read(value: Any) -> float:
        if value.__class__ is float or value.__class__ is int or isinstance(value, decimal.Decimal):
            return rounded(float(value))
        if value.__class__ is str and value in SPECIAL_NUMBERS:
            return SPECIAL_NUMBERS[value]
        raise _wrong(schema, value)

    return read


def _of(kind: type, schema: Schema, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if value.__class__ is not kind:
            raise _wrong(schema, value)
        return read(value)

    return checked


def _wrong(schema: Schema, value: Any) -> DataError:
    return DataError(f"{value!r:.80} in the place of {schema}")
