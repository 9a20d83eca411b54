"""Values of Connect as the Avro codec takes them, and its values as those of Connect.

For each schema the way is worked out once. Most values are the same on both sides: of a struct only the fields that are
not are looked at one by one, the others change hands together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from moldau.connect.converters.avro_names import AvroSettings, is_avro_map, is_union
from moldau.connect.data import Decimal, Schema, Struct, Timestamp, Type
from moldau.connect.errors import DataError

Way = Callable[[Any], Any]
"""From a value to a value."""


def writer_of(schema: Schema | None, settings: AvroSettings) -> Way:
    """What makes a value for the codec of a value of `schema`.

    Raises `DataError` when called with a value that Avro cannot hold; whether it fits its schema the codec finds out.
    """
    return to_anything if schema is None else _writer(schema, settings) or _same


def reader_of(schema: Schema | None, settings: AvroSettings) -> Way:
    """What makes a value of `schema` of the codec's."""
    return _from_anything if schema is None else _reader(schema, settings) or _same


def _same(value: Any) -> Any:
    return value


def _writer(schema: Schema, settings: AvroSettings) -> Way | None:
    """None where the value is taken as it is."""
    way = _present_writer(schema, settings)
    default = None if settings.ignore_defaults and schema.optional else schema.default_value
    if default is not None:
        default = way(default) if way is not None else default
    if way is None:
        return None if default is None else lambda value: default if value is None else value
    write = way
    return lambda value: default if value is None else write(value)


def _present_writer(schema: Schema, settings: AvroSettings) -> Way | None:
    """The way of a value that is not null."""
    if schema.type is Type.STRUCT:
        return _union_writer(schema, settings) if is_union(schema) else _struct_writer(schema, settings)
    if schema.type is Type.ARRAY and schema.value_schema is not None:
        element = _writer(schema.value_schema, settings)
        return None if element is None else lambda value: [element(each) for each in value]
    if schema.type is Type.MAP and schema.key_schema is not None and schema.value_schema is not None:
        keys = _writer(schema.key_schema, settings) or _same
        values = _writer(schema.value_schema, settings)
        if not is_avro_map(schema, settings):
            known = values or _same
            return lambda value: [{"key": keys(key), "value": known(each)} for key, each in value.items()]
        return None if values is None else lambda value: {key: values(each) for key, each in value.items()}
    if schema.name == Decimal.LOGICAL_NAME and Decimal.scale(schema) < 0:
        return lambda value: Decimal.from_logical(schema, value)
    if schema.name == Timestamp.LOGICAL_NAME:
        return _timestamp
    return _bytes if schema.type is Type.BYTES and schema.name != Decimal.LOGICAL_NAME else None


def _timestamp(value: Any) -> Any:
    # The codec takes one without a zone for one of this machine's.
    return Timestamp.from_logical(value) if isinstance(value, dt.datetime) and value.tzinfo is None else value


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _struct_writer(schema: Schema, settings: AvroSettings) -> Way:
    names = [settings.scrubbed(field.name) for field in schema.fields]
    writers = [_writer(field.schema, settings) for field in schema.fields]
    special = [(names[index], writer, index) for index, writer in enumerate(writers) if writer is not None]

    def write(value: Any) -> Any:
        if value.__class__ is not Struct or (value.schema is not schema and value.schema != schema):
            raise DataError(f"a value is not of {schema} but {getattr(value, 'schema', value)!r:.80}")
        values = value.values
        found = dict(zip(names, values, strict=True))
        for name, writer, index in special:
            found[name] = writer(values[index])
        return found

    return write


def _union_writer(schema: Schema, settings: AvroSettings) -> Way:
    writers = [_present_writer(field.schema, settings) or _same for field in schema.fields]
    names = [f"branch{index}" for index in range(len(writers))]
    alone = len(names) == 1

    def write(value: Any) -> Any:
        if value.__class__ is not Struct or len(value.values) != len(names):
            raise DataError(f"a value is not of {schema} but {getattr(value, 'schema', value)!r:.80}")
        for name, writer, each in zip(names, writers, value.values, strict=True):
            if each is not None:
                return writer(each) if alone else {name: writer(each)}
        return None

    return write


def _reader(schema: Schema, settings: AvroSettings) -> Way | None:
    """None where the value is taken as it is."""
    way = _present_reader(schema, settings)
    if way is None or not schema.optional:
        return way
    read = way
    return lambda value: None if value is None else read(value)


def _present_reader(schema: Schema, settings: AvroSettings) -> Way | None:
    if schema.type is Type.STRUCT:
        return _union_reader(schema, settings) if is_union(schema) else _struct_reader(schema, settings)
    if schema.type is Type.ARRAY and schema.value_schema is not None:
        element = _reader(schema.value_schema, settings)
        return None if element is None else lambda value: [element(each) for each in value]
    if schema.type is Type.MAP and schema.key_schema is not None and schema.value_schema is not None:
        return _map_reader(
            _reader(schema.key_schema, settings) or _same, _reader(schema.value_schema, settings) or _same
        )
    if schema.name == Decimal.LOGICAL_NAME and Decimal.scale(schema) < 0:
        return lambda value: Decimal.to_logical(schema, value)
    return None


def _map_reader(keys: Way, values: Way) -> Way:
    def read(value: Any) -> Any:
        if value.__class__ is dict:
            return value if values is _same else {key: values(each) for key, each in value.items()}
        return {keys(entry["key"]): values(entry["value"]) for entry in value}

    return read


def _struct_reader(schema: Schema, settings: AvroSettings) -> Way:
    readers = [_reader(field.schema, settings) for field in schema.fields]
    special = [(index, reader) for index, reader in enumerate(readers) if reader is not None]

    def read(value: dict[str, Any]) -> Struct:
        values = list(value.values())
        for index, reader in special:
            values[index] = reader(values[index])
        return Struct.of(schema, values)

    return read


def _union_reader(schema: Schema, settings: AvroSettings) -> Way:
    readers = [_present_reader(field.schema, settings) or _same for field in schema.fields]
    places = {f"branch{index}": index for index in range(len(readers))}
    alone = len(readers) == 1

    def read(value: Any) -> Struct:
        if alone:
            return Struct.of(schema, [readers[0](value)])
        values: list[Any] = [None] * len(readers)
        for name, each in value.items():
            values[places[name]] = readers[places[name]](each)
        return Struct.of(schema, values)

    return read


FITTING: Final = (
    (bool, "boolean"),
    (bytes | bytearray, "bytes"),
    (float, "double"),
    (int, "long"),
    (str, "string"),
)


def to_anything(value: Any) -> dict[str, Any]:
    """A value that has no schema as a record of which one field is set. Raises `DataError` for other things."""
    if value is None:
        return {}
    for kind, name in FITTING:
        if isinstance(value, kind):
            return {name: value}
    if isinstance(value, list):
        return {"array": [to_anything(each) for each in value]}
    if isinstance(value, dict):
        return {"map": [{"key": to_anything(key), "value": to_anything(each)} for key, each in value.items()]}
    raise DataError(f"{type(value).__name__} without a schema cannot be written as Avro: {value!r:.80}")


def _from_anything(value: dict[str, Any]) -> Any:
    for name, each in value.items():
        if each is None:
            continue
        if name == "array":
            return [_from_anything(inner) for inner in each]
        if name == "map":
            return {_from_anything(entry["key"]): _from_anything(entry["value"]) for entry in each}
        return each
    return None
