"""Values of Connect as JSON that has a JSON Schema, and back; what `json_values` does not do itself.

Maps whose keys are no strings are arrays of `{"key": ..., "value": ...}`; the struct of a choice is whatever branch has
a value. What JSON does not have is null, whatever the schema says: `required` is no matter of Connect.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from typing import Any, Final

from moldau.connect.converters.json_schema_names import KEY, VALUE, JsonSchemaSettings, is_object_map, is_union
from moldau.connect.converters.json_values import Writing, nullable, value_reader, value_writer
from moldau.connect.data import Schema, Struct, Type
from moldau.connect.data.schema import INTEGER_RANGES
from moldau.connect.errors import DataError

Way = Callable[[Any], Any]
"""From a value to a value."""


def writer_of(schema: Schema | None, settings: JsonSchemaSettings) -> Way:
    """What makes a value of `schema` ready for JSON. Raises `DataError` when called with one that is not of it."""
    return _writing_of(schema, settings).written


def _writing_of(schema: Schema | None, settings: JsonSchemaSettings) -> Writing:
    if schema is None:
        raise DataError("an array or a map has no schema for what is in it, which JSON Schema needs")
    return nullable(schema, _present_writer(schema, settings), replace_null=not settings.ignore_defaults)


def _present_writer(schema: Schema, settings: JsonSchemaSettings) -> Way:
    def inner(each: Schema | None) -> Writing:
        return _writing_of(each, settings)

    if is_union(schema):
        return _union_writer(schema, settings)
    if schema.type is Type.MAP:
        keys, values = inner(schema.key_schema).written, inner(schema.value_schema).written
        if is_object_map(schema):
            return lambda value: {key: values(each) for key, each in value.items()}
        return lambda value: [{KEY: keys(key), VALUE: values(each)} for key, each in value.items()]
    return value_writer(schema, inner, numeric=settings.numeric)


def _union_writer(schema: Schema, settings: JsonSchemaSettings) -> Way:
    writers = [_present_writer(field.schema, settings) for field in schema.fields]

    def write(value: Any) -> Any:
        if value.__class__ is not Struct or len(value.values) != len(writers):
            raise DataError(f"a value is not of {schema} but {getattr(value, 'schema', value)!r:.80}")
        for writer, each in zip(writers, value.values, strict=True):
            if each is not None:
                return writer(each)
        if schema.optional:
            return None
        raise DataError(f"no branch of {schema} has a value, and it cannot be null")

    return write


def reader_of(schema: Schema | None) -> Way:
    """What makes a value of `schema` out of JSON. Raises `DataError` when called with what is not of it."""
    if schema is None:
        return lambda value: value
    read = _present_reader(schema)

    def found(value: Any) -> Any:
        if value is not None:
            return read(value)
        if schema.default_value is None and not schema.optional:
            raise DataError(f"null in the place of {schema}, which is required")
        return schema.default_value

    return found


def _present_reader(schema: Schema) -> Way:
    if is_union(schema):
        return _union_reader(schema)
    if schema.type is Type.STRUCT:
        return _struct_reader(schema)
    if schema.type is Type.MAP and not is_object_map(schema):
        return _entries_reader(schema)
    return value_reader(schema, reader_of)


def _struct_reader(schema: Schema) -> Way:
    readers = [(field.name, reader_of(field.schema), field.schema.default_value) for field in schema.fields]

    def read(value: Any) -> Struct:
        if value.__class__ is not dict:
            raise DataError(f"{value!r:.80} in the place of {schema}")
        values: list[Any] = []
        try:
            for name, read_field, default in readers:
                values.append(read_field(value[name]) if name in value else default)
        except DataError as error:
            raise DataError(f"field {readers[len(values)][0]!r}: {error}") from error
        return Struct.of(schema, values)

    return read


def _entries_reader(schema: Schema) -> Way:
    keys, values = reader_of(schema.key_schema), reader_of(schema.value_schema)

    def read(entries: Any) -> dict[Any, Any]:
        if not isinstance(entries, list):
            raise DataError(f"a map whose keys are no strings is an array of entries, not {entries!r:.80}")
        for entry in entries:
            if not isinstance(entry, dict) or entry.keys() != {KEY, VALUE}:
                raise DataError(f"an entry of a map has a key and a value: {entry!r:.80}")
        return {keys(entry[KEY]): values(entry[VALUE]) for entry in entries}

    return read


FITTING: Final[Mapping[Type, tuple[type, ...]]] = {
    **dict.fromkeys(INTEGER_RANGES, (int,)),
    **dict.fromkeys((Type.FLOAT32, Type.FLOAT64), (int, float, decimal.Decimal)),
    Type.BOOLEAN: (bool,),
    Type.STRING: (str,),
    Type.BYTES: (decimal.Decimal,),
    Type.ARRAY: (list,),
    Type.MAP: (dict, list),
    Type.STRUCT: (),
}


def _union_reader(schema: Schema) -> Way:
    branches = [(field.index, field.schema, reader_of(field.schema)) for field in schema.fields]

    def read(value: Any) -> Struct:
        values: list[Any] = [None] * len(branches)
        best, most = None, 0
        for index, branch, reader in branches:
            if _fits(branch, value):
                values[index] = reader(value)
                return Struct.of(schema, values)
            if (alike := _alike(branch, value)) > most:
                best, most = index, alike
        if best is None and isinstance(value, str):
            # Bytes are text too; Java's converter does not try them.
            best = next((index for index, branch, _ in branches if branch.type is Type.BYTES), None)
        if best is None:
            raise DataError(f"{value!r:.80} is none of the branches of a choice")
        values[best] = branches[best][2](value)
        return Struct.of(schema, values)

    return read


def _fits(branch: Schema, value: Any) -> bool:
    kinds = FITTING[branch.type]
    return isinstance(value, kinds) and (branch.type is Type.BOOLEAN or not isinstance(value, bool))


def _alike(branch: Schema, value: Any) -> int:
    """How many names an object shares with a struct, and the objects in it with the structs in that."""
    if branch.type is not Type.STRUCT or not isinstance(value, dict):
        return 0
    shared = [field for field in branch.fields if field.name in value]
    return len(shared) + sum(_alike(field.schema, value[field.name]) for field in shared)
