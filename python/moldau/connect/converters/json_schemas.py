"""Schemas of Connect as JSON, in the form of `JsonConverter`'s envelope."""

from __future__ import annotations

from typing import Any, Final

from moldau.connect.converters.json_values import reader_of, writer_of
from moldau.connect.data import Schema, SchemaBuilder, Type
from moldau.connect.errors import DataError

NAMES: Final = {kind: kind.value for kind in Type} | {Type.FLOAT32: "float", Type.FLOAT64: "double"}
PRIMITIVES: Final = {NAMES[kind]: kind for kind in Type if kind.is_primitive}


def to_json_schema(schema: Schema | None, *, numeric: bool, replace_null: bool) -> dict[str, Any] | None:
    """What stands under `schema`; `numeric` says how a decimal default is written."""
    if schema is None:
        return None

    def inner(each: Schema | None) -> dict[str, Any] | None:
        return to_json_schema(each, numeric=numeric, replace_null=replace_null)

    found: dict[str, Any] = {"type": NAMES[schema.type]}
    if schema.type is Type.ARRAY:
        found["items"] = inner(schema.value_schema)
    elif schema.type is Type.MAP:
        found["keys"] = inner(schema.key_schema)
        found["values"] = inner(schema.value_schema)
    elif schema.type is Type.STRUCT:
        found["fields"] = [{**(inner(field.schema) or {}), "field": field.name} for field in schema.fields]
    found["optional"] = schema.optional
    if schema.name is not None:
        found["name"] = schema.name
    if schema.version is not None:
        found["version"] = schema.version
    if schema.doc is not None:
        found["doc"] = schema.doc
    if schema.parameters is not None:
        found["parameters"] = schema.parameters
    if schema.default_value is not None:
        found["default"] = writer_of(schema, numeric=numeric, replace_null=replace_null)(schema.default_value)
    return found


def from_json_schema(node: Any, *, replace_null: bool) -> Schema:
    """The schema that stands under `schema`. Raises `DataError` for what is none."""
    if not isinstance(node, dict):
        raise DataError(f"a schema is an object, not {node!r:.80}")
    builder = _builder(node, replace_null=replace_null)
    builder.optional() if node.get("optional") is True else builder.required()
    for name, kind in (("name", str), ("version", int), ("doc", str)):
        value = node.get(name)
        if isinstance(value, kind) and not isinstance(value, bool):
            getattr(builder, name)(value)
    parameters = node.get("parameters")
    if isinstance(parameters, dict):
        wrong = [name for name, value in parameters.items() if not isinstance(value, str)]
        if wrong:
            raise DataError(f"the parameter {wrong[0]!r} of a schema is not a string")
        builder.parameters(parameters)
    if "default" in node:
        builder.default_value(reader_of(builder.build(), replace_null=replace_null).read(node["default"]))
    return builder.build()


def _builder(node: dict[str, Any], *, replace_null: bool) -> SchemaBuilder:
    kind = node.get("type")
    if not isinstance(kind, str):
        raise DataError(f"a schema needs a 'type': {node!r:.80}")
    if kind in PRIMITIVES:
        return SchemaBuilder(PRIMITIVES[kind])

    def inner(name: str) -> Schema:
        if node.get(name) is None:
            raise DataError(f"a schema of type {kind} needs {name!r}")
        return from_json_schema(node[name], replace_null=replace_null)

    if kind == "array":
        return SchemaBuilder.array(inner("items"))
    if kind == "map":
        return SchemaBuilder.map(inner("keys"), inner("values"))
    if kind != "struct":
        raise DataError(f"a schema cannot be of type {kind!r}")
    fields = node.get("fields")
    if not isinstance(fields, list):
        raise DataError("the 'fields' of a struct's schema are not a list")
    builder = SchemaBuilder.struct()
    for field in fields:
        if not isinstance(field, dict) or not isinstance(field.get("field"), str):
            raise DataError(f"a field of a struct's schema needs its name under 'field': {field!r:.80}")
        builder.field(field["field"], from_json_schema(field, replace_null=replace_null))
    return builder
