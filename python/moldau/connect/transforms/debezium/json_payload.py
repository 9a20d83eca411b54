"""JSON of a payload as a struct: what `table.expand.json.payload` makes of it.

The schema is guessed from the one document: every field is optional, integers are INT32 or INT64 by their size, an
array takes the schema of its first element, and structs are named after their path. A null is left out, or is
optional bytes, as the settings say; an empty array is left out. Objects of an array share one schema with the fields
of all of them, in the order in which they are first seen.
"""

from __future__ import annotations

import json
from typing import Any, Final

from moldau.connect.data import Field, Schema, SchemaBuilder, Struct, Type
from moldau.connect.data.schema import INTEGER_RANGES
from moldau.connect.errors import DataError


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# What follows the document is not looked at, as in Debezium.
_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


class JsonPayload:
    """Reads payloads; `keep_nulls` makes optional bytes of null."""

    def __init__(self, *, keep_nulls: bool) -> None:
        self._keep_nulls = keep_nulls

    def expand(self, name: str, text: str) -> tuple[Schema, Struct]:
        """The struct that `text` says, with its schema, which is called `name`.

        Raises `DataError` for what is no JSON object, and for arrays with elements of more than one type.
        """
        if not text.startswith("{"):
            raise DataError(f"it is no JSON object: {text!r:.40}")
        try:
            document, _ = _DECODER.raw_decode(text)
            schema = self._schema(name, document)
        except (ValueError, RecursionError) as error:
            raise DataError(f"it cannot be read as JSON: {error}") from error
        assert schema is not None
        struct = _value(document, schema)
        struct.validate()
        return schema, struct

    def _schema(self, path: str | None, value: Any) -> Schema | None:
        """The schema of a value; None when the field is to be left out."""
        if value is None:
            return Schema.OPTIONAL_BYTES_SCHEMA if self._keep_nulls else None
        if isinstance(value, dict):
            return self._object(path, value)
        if isinstance(value, list):
            return SchemaBuilder.array(self._element(path, value)).optional().build() if value else None
        return _scalar(value)

    def _object(self, path: str | None, value: dict[str, Any]) -> Schema:
        builder = SchemaBuilder.struct().name(path).optional()
        prefix = f"{path}." if path else ""
        for name, each in value.items():
            schema = self._schema(prefix + name, each)
            if schema is not None:
                builder.field(name, schema)
        return builder.build()

    def _element(self, path: str | None, values: list[Any]) -> Schema:
        present = [each for each in values if each is not None]
        if present and isinstance(present[0], dict):
            _require_same([dict if isinstance(each, dict) else type(each) for each in present])
            return _merged([self._object(path, each) for each in present])
        if present and not isinstance(present[0], list):
            _require_same(
                [_scalar(each) if isinstance(each, (str, bool, int, float)) else type(each) for each in present]
            )
        else:
            _require_same([type(each) for each in present])
        schema = self._schema(None, present[0] if present else None)
        if schema is None:
            raise DataError("an array has no element that tells its type")
        return schema


def _scalar(value: Any) -> Schema:
    if isinstance(value, str):
        return Schema.OPTIONAL_STRING_SCHEMA
    if isinstance(value, bool):
        return Schema.OPTIONAL_BOOLEAN_SCHEMA
    if isinstance(value, float):
        return Schema.OPTIONAL_FLOAT64_SCHEMA
    for kind, schema in ((Type.INT32, Schema.OPTIONAL_INT32_SCHEMA), (Type.INT64, Schema.OPTIONAL_INT64_SCHEMA)):
        low, high = INTEGER_RANGES[kind]
        if low <= value <= high:
            return schema
    raise DataError(f"{value} does not fit into 64 bits")


def _require_same(kinds: list[Any]) -> None:
    if any(kind is not kinds[0] for kind in kinds):
        raise DataError("an array has elements of more than one type")


def _merged(schemas: list[Schema]) -> Schema:
    """One schema with the fields of all; where one says optional bytes (a null) and another a type, the type."""
    different = list(dict.fromkeys(schemas))
    if len(different) == 1:
        return different[0]
    fields: dict[str, Field] = {}
    for schema in different:
        for field in schema.fields:
            known = fields.get(field.name)
            if known is None or (known.schema.type is Type.BYTES and field.schema.type is not Type.BYTES):
                fields[field.name] = field
    # Not optional, as in Debezium: such an array takes no null.
    builder = SchemaBuilder.struct().name(schemas[0].name)
    for name, field in fields.items():
        builder.field(name, field.schema)
    return builder.build()


def _value(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        if schema.type is not Type.STRUCT:
            raise DataError("an array has objects whose fields differ in type")
        return Struct.of(schema, [_value(value.get(field.name), field.schema) for field in schema.fields])
    if isinstance(value, list) and schema.value_schema is not None:
        return [_value(each, schema.value_schema) for each in value]
    return value
