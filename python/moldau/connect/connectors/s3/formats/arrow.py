"""Values of Connect as columns of Arrow, named and typed as Confluent's Avro and Parquet writers would.

Converting record by record costs more than all the rest of a sink, so values are converted column by column: a schema
is compiled once into converters, each of which turns a list of Python values into one array. Structs inside of structs
are columns of columns.

What differs from Confluent's files: a Decimal without `connect.decimal.precision` has the precision 38 (theirs has 64,
which Polars, DuckDB and Spark cannot read), lists have three levels (`list.element`), an enumeration is a string.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.errors import DataError

PRECISION = "connect.decimal.precision"
LARGEST_PRECISION = 38

Convert = Callable[[Sequence[Any]], pa.Array]
"""Turns values of one field, None where there is none, into an array of as many."""

_PLAIN: dict[Type, pa.DataType] = {
    # Parquet has small integers; Avro, which stands between Connect and Parquet at Confluent's, has not.
    Type.INT8: pa.int32(),
    Type.INT16: pa.int32(),
    Type.INT32: pa.int32(),
    Type.INT64: pa.int64(),
    Type.FLOAT32: pa.float32(),
    Type.FLOAT64: pa.float64(),
    Type.BOOLEAN: pa.bool_(),
    Type.STRING: pa.string(),
    Type.BYTES: pa.binary(),
}


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the columns of a struct. Raises `DataError` for a schema that no table can have."""
    if schema.type is not Type.STRUCT or not schema.fields:
        raise DataError(f"a table has columns, {schema} has no fields")
    return pa.schema([arrow_field(field.name, field.schema) for field in schema.fields])


def arrow_field(name: str, schema: Schema) -> pa.Field:
    """Return the field of a table or of a struct that holds values of a schema."""
    return pa.field(name, arrow_type(schema), nullable=schema.optional)


def arrow_type(schema: Schema) -> pa.DataType:
    """Return the type of Arrow for values of a schema."""
    if schema.name == Decimal.LOGICAL_NAME:
        return pa.decimal128(_precision(schema), Decimal.scale(schema))
    if schema.name == Date.LOGICAL_NAME:
        return pa.date32()
    if schema.name == Time.LOGICAL_NAME:
        return pa.time32("ms")
    if schema.name == Timestamp.LOGICAL_NAME:
        return pa.timestamp("ms", "UTC")
    if schema.type is Type.ARRAY:
        return pa.list_(arrow_field("element", _inner(schema.value_schema)))
    if schema.type is Type.MAP:
        key, value = _inner(schema.key_schema), _inner(schema.value_schema)
        if _is_name(key):
            return pa.map_(pa.field("key", pa.string(), nullable=False), arrow_field("value", value))
        # Maps of Avro have names for keys; anything else is a list of pairs there.
        pair = pa.struct([arrow_field("key", key), arrow_field("value", value)])
        return pa.list_(pa.field("element", pair, nullable=False))
    if schema.type is Type.STRUCT:
        return pa.struct([arrow_field(field.name, field.schema) for field in schema.fields])
    return _PLAIN[schema.type]


def converter(schema: Schema, path: str) -> Convert:
    """Compile a schema; `path` names the field in errors. The converter raises `DataError` for what does not fit."""
    if schema.type is Type.STRUCT:
        convert = _struct_converter(schema, path)
    elif schema.type is Type.ARRAY:
        convert = _list_converter(schema, path)
    elif schema.type is Type.MAP:
        convert = _map_converter(schema, path)
    else:
        convert = _plain_converter(schema, path)
    default, optional = schema.default_value, schema.optional

    def checked(values: Sequence[Any]) -> pa.Array:
        if default is not None:
            values = [default if value is None else value for value in values]
        array = convert(values)
        if not optional and array.null_count:
            raise DataError(f"field {path!r} is required but is null")
        return array

    return checked


def columns(schema: Schema) -> Callable[[Sequence[Sequence[Any]]], list[pa.Array]]:
    """Compile a struct: from rows, each the values of a `Struct` in order, to one array a field."""
    converters = [converter(field.schema, field.name) for field in schema.fields]

    def convert(rows: Sequence[Sequence[Any]]) -> list[pa.Array]:
        return [each(column) for each, column in zip(converters, zip(*rows, strict=True), strict=True)]

    return convert


def _plain_converter(schema: Schema, path: str) -> Convert:
    kind = arrow_type(schema)

    def convert(values: Sequence[Any]) -> pa.Array:
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"field {path!r} ({schema.name or schema.type.value}): {error}") from error

    return convert


def _struct_converter(schema: Schema, path: str) -> Convert:
    fields = [arrow_field(field.name, field.schema) for field in schema.fields]
    converters = [converter(field.schema, f"{path}.{field.name}") for field in schema.fields]

    blank = Struct.of(schema, [_blank(field.schema) for field in schema.fields])

    def children(present: Sequence[Struct]) -> list[pa.Array]:
        inner = zip(*(struct.values for struct in present), strict=True) if present else [()] * len(fields)
        return [convert(column) for convert, column in zip(converters, inner, strict=True)]

    def convert(values: Sequence[Struct | None]) -> pa.Array:
        if not fields:
            return pa.array([None if value is None else {} for value in values], pa.struct([]))
        # Only structs that are there are converted; a blank one stands for those that are null, since their required
        # fields may not be null either, masked as they are.
        present = [value for value in values if value is not None]
        arrays = children(present if len(present) == len(values) else [blank, *present])
        if len(present) == len(values):
            return pa.StructArray.from_arrays(arrays, fields=fields)
        return _spread(arrays, values, fields)

    return convert


def _spread(arrays: list[pa.Array], values: Sequence[Any], fields: list[pa.Field]) -> pa.Array:
    """Put structs where they belong: the first of `arrays` to the places that are null, the others in order."""
    places = iter(range(1, len(values) + 1))
    taken = pa.array([0 if value is None else next(places) for value in values], pa.int32())
    return pa.StructArray.from_arrays([array.take(taken) for array in arrays], fields=fields, mask=_mask(values))


def _blank(schema: Schema) -> Any:
    """Return the smallest value there is of a schema."""
    if schema.optional:
        return None
    if schema.type is Type.STRUCT:
        return Struct.of(schema, [_blank(field.schema) for field in schema.fields])
    if schema.name in _LOGICAL_BLANKS:
        return _LOGICAL_BLANKS[schema.name]
    return _BLANKS[schema.type]


_LOGICAL_BLANKS: dict[str | None, Any] = {
    Decimal.LOGICAL_NAME: decimal.Decimal(0),
    Date.LOGICAL_NAME: dt.date(1970, 1, 1),
    Time.LOGICAL_NAME: dt.time(),
    Timestamp.LOGICAL_NAME: dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
}
_BLANKS: dict[Type, Any] = {
    Type.INT8: 0,
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


def _list_converter(schema: Schema, path: str) -> Convert:
    kind, element = arrow_type(schema), converter(_inner(schema.value_schema), f"{path}[]")
    return lambda values: _lists(kind, values, element)


def _map_converter(schema: Schema, path: str) -> Convert:
    kind = arrow_type(schema)
    keys = converter(_inner(schema.key_schema), f"{path} (key)")
    items = converter(_inner(schema.value_schema), f"{path} (value)")
    if isinstance(kind, pa.MapType):
        return lambda values: _maps(kind, values, keys, items)
    fields = list(kind.value_type)

    def pairs(flat: Sequence[tuple[Any, Any]]) -> pa.Array:
        arrays = [keys([key for key, _ in flat]), items([item for _, item in flat])]
        return pa.StructArray.from_arrays(arrays, fields=fields)

    return lambda values: _lists(kind, [None if value is None else list(value.items()) for value in values], pairs)


def _lists(kind: pa.DataType, values: Sequence[Any], element: Convert) -> pa.Array:
    flat = element([entry for value in values if value is not None for entry in value])
    return pa.ListArray.from_arrays(_offsets(values), flat, type=kind, mask=_mask(values))


def _maps(kind: pa.DataType, values: Sequence[Any], keys: Convert, items: Convert) -> pa.Array:
    present = [value for value in values if value is not None]
    flat_keys = keys([key for value in present for key in value])
    flat_items = items([item for value in present for item in value.values()])
    return pa.MapArray.from_arrays(_offsets(values), flat_keys, flat_items, type=kind, mask=_mask(values))


def _offsets(values: Sequence[Any]) -> pa.Array:
    """Where each value begins among the entries of all; what is null has none."""
    return pa.array(accumulate((0 if value is None else len(value) for value in values), initial=0), pa.int32())


def _mask(values: Sequence[Any]) -> pa.Array | None:
    return pa.array([value is None for value in values], pa.bool_()) if None in values else None


def _precision(schema: Schema) -> int:
    text = (schema.parameters or {}).get(PRECISION, LARGEST_PRECISION)
    try:
        return min(int(text), LARGEST_PRECISION)
    except ValueError:
        raise DataError(f"{schema}: {PRECISION} is {text!r}, not a number") from None


def _is_name(key: Schema) -> bool:
    return key.type is Type.STRING and not key.optional


def _inner(schema: Schema | None) -> Schema:
    if schema is None:
        raise DataError("a list or a map has no schema for what is in it")
    return schema
