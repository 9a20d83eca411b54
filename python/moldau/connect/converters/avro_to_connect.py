"""The Connect schema of an Avro schema, as Confluent's `AvroData` makes it, and the schema that the codec is given.

The codec's schema has the same bytes as the registered one, but hands out what Connect wants: of the logical types only
those that Connect has, and each branch of a union with a choice as a record of one field, `branch0`, `branch1`, so that
it is known which one a value was. (A record is written as its fields one behind another, so that one of one field is
written as that field.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from moldau.client.serdes.names import NAMED, Names, name_and_inside
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
    FIXED_SIZE,
    INTERNAL_TYPE,
    MAP_ENTRY,
    NAMESPACE,
    RECORD_DOC,
    UNION,
    AvroSettings,
)
from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp, Type
from moldau.connect.data.java_text import to_float32
from moldau.connect.data.schema_copies import changed
from moldau.connect.errors import DataError, SchemaBuilderError

log = logging.getLogger(__name__)

SIMPLE: Final = {
    "boolean": Type.BOOLEAN,
    "double": Type.FLOAT64,
    "float": Type.FLOAT32,
    "int": Type.INT32,
    "long": Type.INT64,
    "string": Type.STRING,
    "bytes": Type.BYTES,
    "fixed": Type.BYTES,
}
ANNOTATED: Final = {"int8": Type.INT8, "int16": Type.INT16}
BUILDERS: Final[dict[tuple[str, str], Callable[[], SchemaBuilder]]] = {
    ("int", "date"): Date.builder,
    ("int", "time-millis"): Time.builder,
    ("long", "timestamp-millis"): Timestamp.builder,
}
PRECISION_MAX: Final = 1_000_000_000
"""In the codec, which would refuse a decimal with more digits than its schema says; Connect does not."""


class _Absent:
    """No default, which is another thing than a default of null."""


ABSENT: Final = _Absent()


class AvroReading:
    """An Avro schema, given as text, with the texts that it refers to."""

    def __init__(self, text: str, references: Sequence[str], settings: AvroSettings) -> None:
        self._names = Names(text, references)
        self._settings = settings
        self._open: set[str] = set()

    def connect_schema(self, version: int | None = None) -> Schema | None:
        """The schema, None for values without one. `version` is the registry's, for a schema that names none itself.

        Raises:
            DataError: Connect has no such schema.
        """
        node, namespace = self._names.resolved(self._names.root, "")
        if isinstance(node, dict) and node.get("type") == "record" and full_of(node, namespace) == ANYTHING:
            return None
        return self._schema(node, namespace, version=version)

    def root_name(self) -> str:
        """The name that subjects are named after."""
        node, namespace = self._names.resolved(self._names.root, "")
        if isinstance(node, list):
            return "union"
        return full_of(node, namespace) if node["type"] in NAMED else str(node["type"])

    def codec_schema(self) -> str:
        """See the module."""
        return msgspec.json.encode(_Codec(self._names).node(self._names.root, "")).decode()

    def _schema(
        self,
        node: Any,
        namespace: str,
        *,
        optional: bool = False,
        default: Any = ABSENT,
        version: int | None = None,
    ) -> Schema:
        node, namespace = self._names.resolved(node, namespace)
        if isinstance(node, list):
            branches = [branch for branch in node if not is_null(branch)]
            if len(branches) == 1 and (len(node) == 2 or (len(node) == 1 and self._settings.flatten_singletons)):
                return self._schema(branches[0], namespace, optional=len(node) == 2)
            return self._finished(self._union(node, namespace), {}, default, version, optional=optional)
        kind: str = node["type"]
        if kind not in NAMED:
            return self._finished(self._unnamed(node, namespace), node, default, version, optional=optional)
        full, inside = name_and_inside(node, namespace)
        if full in self._open:
            raise DataError(f"{full} contains itself, which a schema of Connect cannot")
        self._open.add(full)
        builder = self._named(node, full, inside)
        self._open.remove(full)
        # The name of a fixed is not that of the decimal in it.
        name = None if kind == "fixed" and builder.build().name is not None else full
        return self._finished(builder, node, default, version, optional=optional, name=name)

    def _unnamed(self, node: dict[str, Any], namespace: str) -> SchemaBuilder:
        kind: str = node["type"]
        if kind == "array":
            items, inside = self._names.resolved(node["items"], namespace)
            if _is_map_entry(items, inside):
                return self._map(items, inside)
            return SchemaBuilder.array(self._schema(node["items"], namespace))
        if kind == "map":
            return SchemaBuilder.map(Schema.STRING_SCHEMA, self._schema(node["values"], namespace))
        if kind not in SIMPLE:
            raise DataError(
                f"a schema of Connect cannot be {kind}" if kind == "null" else f"{kind!r} is no type of Avro"
            )
        logical = str(node.get("logicalType", "")).lower()
        if (kind, logical) in BUILDERS:
            return BUILDERS[kind, logical]()
        if kind == "int" and not logical and node.get("connect.type") is not None:
            if node["connect.type"] not in ANNOTATED:
                raise DataError(f"an int cannot have the connect.type {node['connect.type']!r}")
            return SchemaBuilder(ANNOTATED[node["connect.type"]])
        return _bytes_builder(node) if SIMPLE[kind] is Type.BYTES else SchemaBuilder(SIMPLE[kind])

    def _map(self, entry: dict[str, Any], namespace: str) -> SchemaBuilder:
        fields = {field["name"]: field["type"] for field in entry["fields"]}
        if fields.keys() != {"key", "value"}:
            raise DataError(f"the entries of a map have the fields key and value, not {', '.join(fields)}")
        inside = name_and_inside(entry, namespace)[1]
        return SchemaBuilder.map(self._schema(fields["key"], inside), self._schema(fields["value"], inside))

    def _named(self, node: dict[str, Any], full: str, inside: str) -> SchemaBuilder:
        if node["type"] == "fixed":
            return _bytes_builder(node).parameter(FIXED_SIZE, str(node["size"]))
        if node["type"] == "enum":
            return self._enum(node, full)
        builder = SchemaBuilder.struct()
        meta_data = self._settings.meta_data
        if meta_data and node.get("doc") is not None:
            builder.parameter(RECORD_DOC, node["doc"])
        for field in node["fields"]:
            if meta_data and field.get("doc") is not None:
                builder.parameter(FIELD_DOC + field["name"], field["doc"])
            schema = self._schema(field["type"], inside, default=field.get("default", ABSENT))
            said = field.get("connect.parameters")
            if meta_data and isinstance(said, dict):
                schema = _with_parameters(schema, said)
            builder.field(field["name"], schema)
        return builder

    def _enum(self, node: dict[str, Any], full: str) -> SchemaBuilder:
        builder = SchemaBuilder.string()
        simple = full.rpartition(".")[2]
        if self._settings.meta_data:
            if node.get("doc") is not None:
                builder.parameter(ENUM_DOC + simple, node["doc"])
            if node.get("default") is not None:
                builder.parameter(ENUM_DEFAULT + simple, node["default"])
        builder.parameter(ENUM, full)
        for symbol in node["symbols"]:
            builder.parameter(f"{ENUM}.{symbol}", symbol)
        return builder

    def _union(self, branches: Sequence[Any], namespace: str) -> SchemaBuilder:
        builder = SchemaBuilder.struct().name(UNION)
        for branch in branches:
            if is_null(branch):
                builder.optional()
                continue
            node, outer = self._names.resolved(branch, namespace)
            name = node["type"] if node["type"] not in NAMED else full_of(node, outer)
            if not self._settings.enhanced:
                name = name.rpartition(".")[2]
            builder.field(name, self._schema(branch, namespace, optional=True))
        return builder

    def _finished(
        self,
        builder: SchemaBuilder,
        node: dict[str, Any],
        default: Any,
        version: int | None,
        *,
        optional: bool,
        name: str | None = None,
    ) -> Schema:
        """What stands in properties, and the default."""
        said = builder.build()
        meta_data = self._settings.meta_data
        if meta_data and isinstance(node.get("connect.doc"), str):
            builder.doc(node["connect.doc"])
        version = node.get("connect.version", version)
        if version is not None:
            builder.version(version)
        if meta_data and node.get("connect.parameters") is not None:
            builder.parameters(_strings(node["connect.parameters"]))
        builder.parameters({key: str(value) for key, value in node.items() if key.startswith(AVRO_PROPERTY)})
        if default is ABSENT:
            default = node.get("connect.default", ABSENT)
        elif meta_data and node.get("connect.default") is None:
            builder.parameter(FIELD_DEFAULT, "true")
        connect_name = node.get("connect.name", name)
        if connect_name is not None and not connect_name.startswith(DEFAULT_FULL_NAME):
            builder.name(connect_name)
        if optional and not said.optional:
            builder.optional()
        if default is not ABSENT and default is not None:
            try:
                builder.default_value(default_of(builder.build(), default))
            except (DataError, SchemaBuilderError, ValueError, TypeError, KeyError) as error:
                log.warning("the default %r of %s is left out: %s", default, builder.build(), error)
        return builder.build()


def is_null(node: Any) -> bool:
    """Whether a branch of a union is null."""
    return node == "null" or (isinstance(node, dict) and node.get("type") == "null")


def full_of(node: dict[str, Any], namespace: str) -> str:
    """The full name of a named type."""
    return name_and_inside(node, namespace)[0]


def _is_map_entry(node: Any, namespace: str) -> bool:
    if not isinstance(node, dict) or node["type"] != "record":
        return False
    return full_of(node, namespace) == f"{NAMESPACE}.{MAP_ENTRY}" or node.get(INTERNAL_TYPE) == MAP_ENTRY


def _bytes_builder(node: dict[str, Any]) -> SchemaBuilder:
    if str(node.get("logicalType", "")).lower() != "decimal":
        return SchemaBuilder.bytes()
    builder = Decimal.builder(_whole(node, "scale", 0))
    precision = _whole(node, "precision", DEFAULT_PRECISION)
    return builder if precision == DEFAULT_PRECISION else builder.parameter(DECIMAL_PRECISION, str(precision))


def _whole(node: dict[str, Any], name: str, default: int) -> int:
    value = node.get(name, default)
    if not isinstance(value, int):
        raise DataError(f"the {name} of a decimal is a whole number, not {value!r}")
    return value


def _strings(parameters: Any) -> dict[str, str]:
    if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
        raise DataError(f"connect.parameters is an object of strings, not {parameters!r:.80}")
    return parameters


def _with_parameters(schema: Schema, said: dict[str, Any]) -> Schema:
    parameters = {name: str(value) for name, value in said.items()}
    known = schema.parameters or {}
    if all(known.get(name) == value for name, value in parameters.items()):
        return schema
    return changed(schema, parameters={**known, **parameters})


def default_of(schema: Schema, value: Any) -> Any:
    """A default, given as JSON, as a value of its schema."""
    if value is None:
        return None
    if schema.type is Type.STRUCT:
        if schema.name == UNION:
            first = schema.fields[0]
            return Struct(schema).put(first.name, default_of(first.schema, value))
        found = Struct(schema)
        for field in schema.fields:
            given = value.get(field.name)
            found.put(field.name, field.schema.default_value if given is None else default_of(field.schema, given))
        return found
    if schema.type is Type.ARRAY and schema.value_schema is not None:
        return [default_of(schema.value_schema, each) for each in value]
    if schema.type is Type.MAP and schema.key_schema is not None and schema.value_schema is not None:
        pairs = value.items() if isinstance(value, dict) else value
        return {default_of(schema.key_schema, key): default_of(schema.value_schema, each) for key, each in pairs}
    if schema.type in {Type.FLOAT32, Type.FLOAT64}:
        return to_float32(float(value)) if schema.type is Type.FLOAT32 else float(value)
    if schema.type is Type.BYTES:
        value = value.encode("latin-1")
    logical = UP.get(schema.name) if schema.name is not None else None
    return value if logical is None else logical(schema, value)


UP: Final[dict[str, Callable[[Schema, Any], Any]]] = {
    Decimal.LOGICAL_NAME: Decimal.to_logical,
    Date.LOGICAL_NAME: lambda _schema, value: Date.to_logical(value),
    Time.LOGICAL_NAME: lambda _schema, value: Time.to_logical(value),
    Timestamp.LOGICAL_NAME: lambda _schema, value: Timestamp.to_logical(value),
}


class _Codec:
    """Makes the schema for the codec: every named type by its full name, defined where it first stands."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._defined: set[str] = set()
        self._branches = 0

    def node(self, node: Any, namespace: str) -> Any:
        node, namespace = self._names.resolved(node, namespace)
        if isinstance(node, list):
            return self._union(node, namespace)
        kind = node["type"]
        if kind in NAMED:
            return self._named(node, namespace)
        if kind == "array":
            return {"type": "array", "items": self.node(node["items"], namespace)}
        if kind == "map":
            return {"type": "map", "values": self.node(node["values"], namespace)}
        logical = str(node.get("logicalType", "")).lower()
        if (kind, logical) in BUILDERS:
            return {"type": kind, "logicalType": logical}
        return {"type": kind, **_decimal(node)} if kind == "bytes" else kind

    def _union(self, branches: Sequence[Any], namespace: str) -> Any:
        one = sum(not is_null(branch) for branch in branches) == 1
        found: list[Any] = []
        index = 0
        for branch in branches:
            if is_null(branch):
                found.append("null")
                continue
            found.append(self.node(branch, namespace) if one else self._branch(branch, namespace, index))
            index += 1
        return found

    def _branch(self, node: Any, namespace: str, index: int) -> Any:
        self._branches += 1
        field = {"name": f"branch{index}", "type": self.node(node, namespace)}
        return {"type": "record", "name": f"moldau.Branch{self._branches}", "fields": [field]}

    def _named(self, node: dict[str, Any], namespace: str) -> Any:
        full, inside = name_and_inside(node, namespace)
        # A name without a namespace would be taken for one of the namespace around it.
        name = full if "." in full else f"moldau.global.{full}"
        if full in self._defined:
            return name
        self._defined.add(full)
        if node["type"] == "enum":
            return {"type": "enum", "name": name, "symbols": node["symbols"]}
        if node["type"] == "fixed":
            return {"type": "fixed", "name": name, "size": node["size"], **_decimal(node)}
        fields = [self._field(field, inside) for field in node["fields"]]
        return {"type": "record", "name": name, "fields": fields}

    def _field(self, field: dict[str, Any], namespace: str) -> dict[str, Any]:
        # The default is for values that are written with a schema that has more fields than they have.
        default = {"default": field["default"]} if "default" in field else {}
        return {"name": field["name"], "type": self.node(field["type"], namespace), **default}


def _decimal(node: dict[str, Any]) -> dict[str, Any]:
    scale = node.get("scale", 0)
    if str(node.get("logicalType", "")).lower() != "decimal" or not isinstance(scale, int) or scale < 0:
        return {}
    return {"logicalType": "decimal", "precision": PRECISION_MAX, "scale": scale}
