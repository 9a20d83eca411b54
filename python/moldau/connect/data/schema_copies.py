"""A schema that differs from another in one thing."""

from __future__ import annotations

from typing import Any

from moldau.connect.data.schema import Schema


def required(schema: Schema) -> Schema:
    """The same schema, null left out."""
    return changed(schema, optional=False) if schema.optional else schema


def changed(schema: Schema, **differences: Any) -> Schema:
    """The same schema but for `differences`, which are arguments of `Schema`."""
    said: dict[str, Any] = {
        "optional": schema.optional,
        "default_value": schema.default_value,
        "name": schema.name,
        "version": schema.version,
        "doc": schema.doc,
        "parameters": schema.parameters,
        "fields": schema.fields,
        "key_schema": schema.key_schema,
        "value_schema": schema.value_schema,
    }
    return Schema(schema.type, **{**said, **differences})
