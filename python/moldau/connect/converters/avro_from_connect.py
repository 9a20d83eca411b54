"""The Avro schema of a Connect schema, as Confluent's `AvroData` makes it: to the letter, so that its id is the same.

A schema is made as a tree in which named types have their full names and stand wherever they are used, then written
as Java's Avro library writes it: a named type in full at its first place and by its name at others, a namespace only
where it is another one than around it, no spaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

from moldau.connect.converters.avro_names import (
    ANYTHING,
    AVRO_PROPERTY,
    DECIMAL_PRECISION,
    DEFAULT_FULL_NAME,
    DEFAULT_PRECISION,
    ENUM,
    ENUM_DEFAULT,
    ENUM_DOC,
    FIELD_DEFAULT,
    FIELD_DOC,
    INTERNAL_TYPE,
    MAP_ENTRY,
    NAMESPACE,
    PRIMITIVES,
    RECORD_DOC,
    AvroSettings,
    enum_name,
    fixed_size,
    is_avro_map,
    is_union,
)
from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.data.java_text import java_double, shortest_float32
from moldau.connect.data.schema_copies import required
from moldau.connect.errors import DataError

LOGICAL: Final = {
    Time.LOGICAL_NAME: "time-millis",
    Timestamp.LOGICAL_NAME: "timestamp-millis",
    Date.LOGICAL_NAME: "date",
}
CONNECT_TYPES: Final = {Type.INT8: "int8", Type.INT16: "int16"}

Node = Any
"""A name of a primitive type, a list (a union), or an object; see the module."""


def avro_schema(schema: Schema | None, settings: AvroSettings) -> str:
    """The text to register. Raises `DataError` for what Avro cannot say."""
    node = anything() if schema is None else _Maker(settings).node(schema)
    return msgspec.json.encode(_Written({}).node(node, None)).decode()


def record_name(schema: Schema | None, settings: AvroSettings) -> str:
    """The name that subjects are named after: of a record in full, of another type that type."""
    if schema is None:
        return ANYTHING
    if is_union(schema):
        return "union"
    if schema.type is Type.STRUCT:
        return settings.scrubbed_full(schema.name) if schema.name else DEFAULT_FULL_NAME
    name = enum_name(schema) if settings.enhanced else None
    kinds = {**PRIMITIVES, Type.ARRAY: "array", Type.MAP: "map" if _is_map(schema, settings) else "array"}
    return name or kinds[schema.type]


def _is_map(schema: Schema, settings: AvroSettings) -> bool:
    return schema.type is Type.MAP and is_avro_map(schema, settings)


def anything() -> Node:
    """The schema of values that have none."""
    record: dict[str, Any] = {"type": "record", "name": ANYTHING}
    entry: dict[str, Any] = {"type": "record", "name": f"{NAMESPACE}.{MAP_ENTRY}"}
    entry["fields"] = [{"name": "key", "type": record}, {"name": "value", "type": record}]
    simple = ("boolean", "bytes", "double", "float", "int", "long", "string")
    types = {name: name for name in simple} | {
        "array": {"type": "array", "items": record},
        "map": {"type": "array", "items": entry},
    }
    record["fields"] = [{"name": name, "type": ["null", node], "default": None} for name, node in types.items()]
    return record


class _Maker:
    def __init__(self, settings: AvroSettings) -> None:
        self._settings = settings
        self._made: dict[Schema, Node] = {}
        self._unnamed = 0
        self._seen: set[str] = set()
        self._entries: list[dict[str, Any]] = []

    def node(self, schema: Schema, *, branch: bool = False) -> Node:
        """`branch` leaves out that a value may be null: the union around it says so."""
        if schema.type is Type.STRUCT and not is_union(schema) and schema.optional:
            return ["null", self.node(required(schema))]
        if not schema.optional and not is_union(schema) and schema in self._made:
            return self._made[schema]
        base = self._base(schema)
        if isinstance(base, list):
            return base
        node = self._annotated(schema, base)
        if schema.optional and not branch:
            return [node, "null"] if schema.default_value is not None else ["null", node]
        if not schema.optional:
            self._made[schema] = node
        return node

    def _base(self, schema: Schema) -> Any:
        if schema.type is Type.STRUCT:
            return self._union(schema) if is_union(schema) else self._record(schema)
        if schema.type is Type.ARRAY:
            return {"type": "array", "items": self.node(_inner(schema.value_schema))}
        if schema.type is Type.MAP:
            if is_avro_map(schema, self._settings):
                return {"type": "map", "values": self.node(_inner(schema.value_schema))}
            return {"type": "array", "items": self._entry(schema)}
        if self._settings.enhanced and enum_name(schema) is not None:
            return self._enum(schema)
        size = fixed_size(schema)
        if size is not None:
            return {"type": "fixed", "name": self._full_name(schema), "size": size}
        return {"type": PRIMITIVES[schema.type]}

    def _full_name(self, schema: Schema) -> str:
        if schema.name is not None:
            return self._settings.scrubbed_full(schema.name)
        self._unnamed += 1
        return DEFAULT_FULL_NAME if self._unnamed == 1 else f"{DEFAULT_FULL_NAME}{self._unnamed}"

    def _union(self, schema: Schema) -> list[Node]:
        branches = [self.node(required(field.schema), branch=True) for field in schema.fields]
        kinds = [_branch_name(branch) for branch in branches]
        if len(set(kinds)) < len(kinds):
            twice = next(kind for kind in kinds if kinds.count(kind) > 1)
            raise DataError(
                f"a union would have two branches of type {twice}, which Avro does not allow\n"
                "hint: enhanced.avro.schema.support=true keeps enums from being strings"
            )
        return ["null", *branches] if schema.optional else branches

    def _record(self, schema: Schema) -> dict[str, Any]:
        parameters = schema.parameters or {}
        node: dict[str, Any] = {"type": "record", "name": self._full_name(schema)}
        if RECORD_DOC in parameters:
            node["doc"] = parameters[RECORD_DOC]
        scrubbed = self._settings.scrubbed
        node["fields"] = [
            self._field(scrubbed(field.name), field.schema, parameters.get(FIELD_DOC + field.name))
            for field in schema.fields
        ]
        names = [field["name"] for field in node["fields"]]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"two fields of {schema} have the name {twice} in Avro")
        return node

    def _field(self, name: str, schema: Schema, doc: str | None = None) -> dict[str, Any]:
        field: dict[str, Any] = {"name": name, "type": self.node(schema)}
        if doc is not None:
            field["doc"] = doc
        if schema.default_value is not None:
            if self._has_avro_default(schema):
                field["default"] = self.default(schema, schema.default_value)
        elif schema.optional:
            field["default"] = None
        if schema.name is not None:
            # A named type that stands here by its name cannot say what is particular here; the field does.
            parameters = _parameters(schema)
            if self._settings.meta_data and schema.name in self._seen and parameters and _is_named(field["type"]):
                field["connect.parameters"] = parameters
            self._seen.add(schema.name)
        return field

    def _has_avro_default(self, schema: Schema) -> bool:
        """Whether Avro takes the default: it does not where numbers are NaN, and maps arrays of entries."""
        if schema.type in {Type.FLOAT32, Type.FLOAT64}:
            return math.isfinite(schema.default_value)
        if schema.type is Type.STRUCT:
            return not schema.optional
        if schema.type is Type.ARRAY:
            return all(self._is_of_first_branch(_inner(schema.value_schema), each) for each in schema.default_value)
        return schema.type is not Type.MAP or is_avro_map(schema, self._settings)

    def _is_of_first_branch(self, schema: Schema, value: Any) -> bool:
        """Whether a value in a default is of the branch that Avro takes it for: the first, if there are two."""
        if schema.optional and (value is None) is not (schema.default_value is None):
            return False
        if schema.type is Type.ARRAY and value is not None:
            return all(self._is_of_first_branch(_inner(schema.value_schema), each) for each in value)
        return True

    def _entry(self, schema: Schema) -> dict[str, Any]:
        fields = [self._field("key", _inner(schema.key_schema)), self._field("value", _inner(schema.value_schema))]
        if schema.name is not None:
            name = self._settings.scrubbed_full(schema.name)
            return {"type": "record", "name": name, "fields": fields, INTERNAL_TYPE: MAP_ENTRY}
        for known in self._entries:
            if known["fields"] == fields:
                return dict(known)
        # Maps of two types would both have the name MapEntry, which Avro does not allow.
        node: dict[str, Any] = {"type": "record", "name": f"{NAMESPACE}.{MAP_ENTRY}", "fields": fields}
        if self._entries:
            node["name"] = f"{node['name']}{len(self._entries) + 1}"
            node[INTERNAL_TYPE] = MAP_ENTRY
        self._entries.append(node)
        return node

    def _enum(self, schema: Schema) -> dict[str, Any]:
        parameters = schema.parameters or {}
        simple = self._full_name(schema).rpartition(".")[2]
        node: dict[str, Any] = {"type": "enum", "name": parameters[ENUM]}
        if ENUM_DOC + simple in parameters:
            node["doc"] = parameters[ENUM_DOC + simple]
        prefix = f"{ENUM}."
        node["symbols"] = [name.removeprefix(prefix) for name in parameters if name.startswith(prefix)]
        if ENUM_DEFAULT + simple in parameters:
            node["default"] = parameters[ENUM_DEFAULT + simple]
        return node

    def _annotated(self, schema: Schema, node: dict[str, Any]) -> Node:
        parameters = schema.parameters or {}
        decimal = schema.name == Decimal.LOGICAL_NAME
        if decimal:
            node["scale"] = Decimal.scale(schema)
            node["precision"] = int(parameters.get(DECIMAL_PRECISION, DEFAULT_PRECISION))
        if self._settings.meta_data:
            self._annotate(schema, node)
        if decimal:
            node["logicalType"] = "decimal"
        elif schema.name in LOGICAL:
            node["logicalType"] = LOGICAL[schema.name]
        node |= {name: value for name, value in parameters.items() if name.startswith(AVRO_PROPERTY)}
        return node["type"] if len(node) == 1 else node

    def _annotate(self, schema: Schema, node: dict[str, Any]) -> None:
        if schema.doc is not None:
            node["connect.doc"] = schema.doc
        if schema.version is not None:
            node["connect.version"] = schema.version
        parameters = _parameters(schema)
        if parameters:
            node["connect.parameters"] = parameters
        if schema.default_value is not None and FIELD_DEFAULT not in (schema.parameters or {}):
            node["connect.default"] = self.default(schema, schema.default_value)
        if schema.name is not None:
            node["connect.name"] = schema.name
        if schema.type in CONNECT_TYPES:
            node["connect.type"] = CONNECT_TYPES[schema.type]

    def default(self, schema: Schema, value: Any) -> Any:
        """A default as JSON."""
        if value is None:
            return None
        if schema.name is not None and schema.name in DEFAULTS:
            value = DEFAULTS[schema.name](schema, value)
        if schema.type is Type.BYTES:
            return bytes(value).decode("latin-1")
        if schema.type is Type.FLOAT32:
            return float(shortest_float32(value)) if math.isfinite(value) else java_double(value)
        if schema.type is Type.FLOAT64:
            return value if math.isfinite(value) else java_double(value)
        if schema.type is Type.ARRAY:
            return [self.default(_inner(schema.value_schema), each) for each in value]
        if schema.type is Type.MAP:
            keys, values = _inner(schema.key_schema), _inner(schema.value_schema)
            if is_avro_map(schema, self._settings):
                return {key: self.default(values, each) for key, each in value.items()}
            return [[self.default(keys, key), self.default(values, each)] for key, each in value.items()]
        if isinstance(value, Struct):
            if is_union(schema):
                return next((self.default(f.schema, v) for f, v in _pairs(value) if v is not None), None)
            scrubbed = self._settings.scrubbed
            return {scrubbed(field.name): self.default(field.schema, each) for field, each in _pairs(value)}
        return value


def _branch_name(node: Node) -> str:
    return node if isinstance(node, str) else str(node.get("name", node["type"]))


def _parameters(schema: Schema) -> dict[str, str]:
    return {name: value for name, value in (schema.parameters or {}).items() if name != FIELD_DEFAULT}


def _is_named(node: Node) -> bool:
    return any(isinstance(branch, dict) and "name" in branch for branch in (node if isinstance(node, list) else [node]))


def _pairs(value: Struct) -> Any:
    return ((field, value.get(field.name)) for field in value.schema.fields)


DEFAULTS: Final[dict[str, Callable[[Schema, Any], Any]]] = {
    Decimal.LOGICAL_NAME: Decimal.from_logical,
    Date.LOGICAL_NAME: lambda _schema, value: Date.from_logical(value),
    Time.LOGICAL_NAME: lambda _schema, value: Time.from_logical(value),
    Timestamp.LOGICAL_NAME: lambda _schema, value: Timestamp.from_logical(value),
}


def _inner(schema: Schema | None) -> Schema:
    if schema is None:
        raise DataError("an array or a map has no schema for what is in it, which Avro needs")
    return schema


class _Written:
    """The form in which Java's Avro library writes a schema."""

    def __init__(self, seen: dict[str, Node]) -> None:
        self._seen = seen

    def node(self, node: Node, namespace: str | None) -> Any:
        """`namespace` is that of the record around it."""
        if isinstance(node, str):
            return node
        if isinstance(node, list):
            return [self.node(branch, namespace) for branch in node]
        if "name" in node:
            return self._named(node, namespace)
        inside = "items" if node["type"] == "array" else "values"
        return {**node, inside: self.node(node[inside], namespace)} if inside in node else node

    def _named(self, node: dict[str, Any], namespace: str | None) -> Any:
        full: str = node["name"]
        space, _, simple = full.rpartition(".")
        known = self._seen.get(full)
        if known is not None:
            if known is not node and known != node:
                raise DataError(
                    f"two types with the name {full} are not the same, which Avro does not allow\n"
                    "hint: give one of the two schemas another name, with the SetSchemaMetadata transform for example"
                )
            return simple if space == (namespace or "") else full
        self._seen[full] = node
        written: dict[str, Any] = {"type": node["type"], "name": simple}
        if space != (namespace or ""):
            written["namespace"] = space
        for key, value in node.items():
            if key == "fields":
                written[key] = [{**field, "type": self.node(field["type"], space)} for field in value]
            elif key not in {"type", "name"}:
                written[key] = value
        return written
