"""JSON in a text as a struct, its schema found by looking: what EventRouter makes of a payload.

Every field is optional. An object is a struct, named by the way to it; a list must be of one type; numbers are INT32,
INT64 or FLOAT64, whichever is the first that holds them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.data import Type as DataType
from moldau.connect.errors import DataError


def expanded(name: str, text: str, *, keeps_null: bool) -> tuple[Schema, Any]:
    """Schema and value. Raises `DataError` for what is no object, or cannot be given a schema."""
    if not text.startswith(("{", "[")):
        raise DataError(f"it is no JSON object, as it begins with {text[:1]!r}")
    try:
        node = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DataError(f"it is no JSON: {error}") from error
    schema = _schema(name, node, keeps_null=keeps_null)
    if schema is None or schema.type is not DataType.STRUCT:
        raise DataError("it is a list, not an object")
    return schema, _value(schema, node)


def _schema(name: str, node: Any, *, keeps_null: bool) -> Schema | None:
    if node is None:
        return Schema.OPTIONAL_BYTES_SCHEMA if keeps_null else None
    if isinstance(node, bool):
        return Schema.OPTIONAL_BOOLEAN_SCHEMA
    if isinstance(node, str):
        return Schema.OPTIONAL_STRING_SCHEMA
    if isinstance(node, int) and -(1 << 63) <= node < 1 << 63:
        return Schema.OPTIONAL_INT32_SCHEMA if -(1 << 31) <= node < 1 << 31 else Schema.OPTIONAL_INT64_SCHEMA
    if isinstance(node, int | float):
        return Schema.OPTIONAL_FLOAT64_SCHEMA
    if isinstance(node, list):
        return _list_schema(name, node, keeps_null=keeps_null)
    builder = SchemaBuilder.struct().name(name).optional()
    for key, each in node.items():
        inner = _schema(f"{name}.{key}", each, keeps_null=keeps_null)
        if inner is not None:
            builder.field(key, inner)
    return builder.build()


def _list_schema(name: str, node: list[Any], *, keeps_null: bool) -> Schema | None:
    if not node:
        return None
    found = [_schema(name, each, keeps_null=keeps_null) for each in node if each is not None]
    schemas = [each for each in found if each is not None]
    if not schemas:
        raise DataError(f"the list {name!r} says nothing of its type")
    if any(each.type is not schemas[0].type for each in schemas):
        raise DataError(f"the list {name!r} is not of one type")
    merged = schemas[0]
    for each in schemas[1:]:
        merged = _merged(merged, each) if merged.type is DataType.STRUCT else merged
    return SchemaBuilder.array(merged).optional().build()


def _merged(one: Schema, other: Schema) -> Schema:
    fields = {field.name: field.schema for field in one.fields}
    for field in other.fields:
        if field.name not in fields or fields[field.name].type is DataType.BYTES:
            fields[field.name] = field.schema
    builder = SchemaBuilder.struct().name(one.name)
    for name, schema in fields.items():
        builder.field(name, schema)
    return builder.build()


def _value(schema: Schema, node: Any) -> Any:
    if node is None or schema.type is DataType.BYTES:
        return None
    if schema.type is DataType.STRUCT:
        return Struct.of(schema, [_value(field.schema, node.get(field.name)) for field in schema.fields])
    if schema.type is DataType.ARRAY and schema.value_schema is not None:
        return [_value(schema.value_schema, each) for each in node]
    return float(node) if schema.type is DataType.FLOAT64 else node
