"""The JSON Schema of a Connect schema, as Confluent's `JsonSchemaData` makes it: to the letter, so with the same id.

Members stand in the order in which the Java library writes them; properties, and what only Connect has, in that of the
hash maps that they are kept in there (`java_maps`, with the tables of Java 21).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from moldau.connect.converters.java_maps import copied_order, hash_order
from moldau.connect.converters.json_schema_names import (
    CONNECT_INDEX,
    CONNECT_PARAMETERS,
    CONNECT_TYPE,
    CONNECT_VERSION,
    ENUM,
    KEY,
    NAMESPACE,
    NULL_SYMBOL,
    VALUE,
    JsonSchemaSettings,
    is_object_map,
    is_union,
)
from moldau.connect.converters.json_schema_values import writer_of
from moldau.connect.data import Decimal, Schema, Type
from moldau.connect.data.java_text import java_double
from moldau.connect.data.schema_copies import required
from moldau.connect.errors import DataError

Node = dict[str, Any]
NULL: Final[Node] = {"type": "null"}
NUMBERS: Final = {
    **dict.fromkeys((Type.INT8, Type.INT16, Type.INT32, Type.INT64), "integer"),
    **dict.fromkeys((Type.FLOAT32, Type.FLOAT64), "number"),
}


def json_schema(schema: Schema, settings: JsonSchemaSettings) -> str:
    """The text to register. Raises `DataError` for what cannot be said."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    return encode(_Maker(settings).node(schema)).decode()


class _Maker:
    def __init__(self, settings: JsonSchemaSettings) -> None:
        self._settings = settings

    def node(self, schema: Schema, index: int | None = None, *, branch: bool = False) -> Node:
        """`index` is the place among the fields around it; a `branch` leaves out that its value may be null."""
        place: Node = {} if index is None else {CONNECT_INDEX: index}
        if is_union(schema):
            branches = [self.node(required(field.schema), field.index, branch=True) for field in schema.fields]
            return {**place, "oneOf": [NULL, *branches] if schema.optional else branches}
        if schema.type is Type.STRUCT and schema.optional:
            return {**place, "oneOf": [NULL, self.node(required(schema))]}
        if schema.optional and not branch:
            return {**place, "oneOf": [NULL, self._annotated(schema, {})]}
        return self._annotated(schema, place)

    def _annotated(self, schema: Schema, place: Node) -> Node:
        before, properties, after = self._parts(schema)
        found = dict(before)
        if schema.name is not None:
            found["title"] = schema.name
        if schema.doc is not None:
            found["description"] = schema.doc
        if schema.default_value is not None:
            found["default"] = _written(writer_of(schema, self._settings)(schema.default_value))
        if schema.version is not None:
            properties[CONNECT_VERSION] = schema.version
        parameters = {name: text for name, text in (schema.parameters or {}).items() if not name.startswith(NAMESPACE)}
        if parameters:
            order = hash_order(hash_order(parameters), len(parameters))
            properties[CONNECT_PARAMETERS] = {name: parameters[name] for name in order}
        properties |= place
        for name in copied_order(hash_order(properties)):
            found[name] = properties[name]
        return found | after

    def _parts(self, schema: Schema) -> tuple[Node, Node, Node]:
        """What stands before the annotations, what only Connect has, and what stands behind."""
        kind = schema.type
        if kind in NUMBERS:
            return {"type": NUMBERS[kind]}, {CONNECT_TYPE: kind.value}, {}
        if kind is Type.BOOLEAN:
            return {}, {}, {"type": "boolean"}
        if kind is Type.STRING:
            symbols = _symbols(schema)
            return {"type": "string"} if symbols is None else {"enum": symbols}, {}, {}
        if kind is Type.BYTES:
            numeric = schema.name == Decimal.LOGICAL_NAME and self._settings.numeric
            return {"type": "number" if numeric else "string"}, {CONNECT_TYPE: "bytes"}, {}
        if kind is Type.ARRAY:
            return {"type": "array"}, {}, {"items": self.node(_inner(schema.value_schema))}
        if kind is Type.MAP:
            return self._map(schema)
        closed = {} if self._settings.additional_properties else {"additionalProperties": False}
        fields = {field.name: self.node(field.schema, field.index) for field in schema.fields}
        return {"type": "object", **closed}, {}, {"properties": _hashed(fields)} if fields else {}

    def _map(self, schema: Schema) -> tuple[Node, Node, Node]:
        keys, values = _inner(schema.key_schema), _inner(schema.value_schema)
        if is_object_map(schema):
            return {"type": "object"}, {CONNECT_TYPE: "map"}, {"additionalProperties": self.node(values)}
        fields = _hashed({KEY: self.node(keys, 0), VALUE: self.node(values, 1)})
        return {"type": "array"}, {CONNECT_TYPE: "map"}, {"items": {"type": "object", "properties": fields}}


def _hashed(fields: Node) -> Node:
    return {name: fields[name] for name in copied_order(hash_order(fields))}


def _symbols(schema: Schema) -> list[str | None] | None:
    parameters = schema.parameters or {}
    if ENUM not in parameters:
        return None
    prefix = f"{ENUM}."
    names = [name.removeprefix(prefix) for name in parameters if name.startswith(prefix)]
    return [None if name == NULL_SYMBOL else name for name in names]


def _written(value: Any) -> Any:
    """A default as the Java library writes it: a number without the zeros at its end."""
    if not isinstance(value, float):
        return value
    text = java_double(value)
    return msgspec.Raw((text if "E" in text else text.rstrip("0").rstrip(".")).encode())


def _inner(schema: Schema | None) -> Schema:
    if schema is None:
        raise DataError("an array or a map has no schema for what is in it, which JSON Schema needs")
    return schema
