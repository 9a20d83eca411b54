"""The Connect schema of a JSON Schema, as Confluent's `JsonSchemaData` makes it, whoever wrote the JSON Schema.

Fields stand as `connect.index` says, else as the text has them. A schema that contains itself is refused: those of
Connect cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from moldau.connect.converters.json_schema_documents import Documents, Place
from moldau.connect.converters.json_schema_names import (
    CONNECT_INDEX,
    CONNECT_PARAMETERS,
    CONNECT_TYPE,
    CONNECT_VERSION,
    ENUM,
    KEY,
    NULL_SYMBOL,
    ONE_OF,
    VALUE,
    JsonSchemaSettings,
)
from moldau.connect.converters.json_schema_values import reader_of
from moldau.connect.data import Schema, SchemaBuilder, Type
from moldau.connect.errors import DataError, SchemaBuilderError

log = logging.getLogger(__name__)

NUMBERS: Final = {
    kind.value: kind for kind in Type if kind.is_primitive and ("int" in kind.value or "fl" in kind.value)
}
CHOICES: Final = ("oneOf", "anyOf")
# What a schema without a type is about.
KEYWORDS: Final = {
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties"),
    "array": ("items", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


class JsonSchemaReading:
    """A JSON Schema, given as text, with the texts that it refers to."""

    def __init__(self, text: str, references: Mapping[str, str], settings: JsonSchemaSettings) -> None:
        self._documents = Documents(text, references)
        self._settings = settings
        self._open: set[int] = set()

    def connect_schema(self, version: int | None = None) -> Schema:
        """The schema. `version` is the registry's, for a schema that names none itself.

        Raises:
            DataError: Connect has no such schema.
        """
        return self._schema(self._documents.start(), version=version)

    def title(self) -> str:
        """The name that subjects are named after; empty when there is none."""
        root = self._documents.root
        return str(root.get("title") or "") if isinstance(root, dict) else ""

    def _schema(self, place: Place, *, version: int | None = None, optional: bool = False) -> Schema:
        place = self._documents.followed(place)
        node = place.node
        if not isinstance(node, dict):
            raise DataError(f"a JSON Schema that is {node!r:.40} says nothing about its values, as Connect needs")
        if id(node) in self._open:
            raise DataError(f"{node.get('title') or 'a JSON Schema'} contains itself, which a schema of Connect cannot")
        self._open.add(id(node))
        try:
            return self._inside(place, version, optional=optional)
        finally:
            self._open.remove(id(node))

    def _inside(self, place: Place, version: int | None, *, optional: bool) -> Schema:
        node = place.node
        kind = _kind(node)
        several = [name for name in ("allOf", *CHOICES) if name in node]
        if isinstance(kind, list):
            branches = [Place({**node, "type": each}, place.document) for each in kind]
            return self._choice(place, branches, version, optional=optional)
        if "const" in node or "enum" in node:
            values = [node["const"]] if "const" in node else node["enum"]
            # Of a const, and of numbers, only the type is left.
            if kind is None or (kind == "string" and "const" not in node):
                return self._finished(_enum(values), node if kind is None else {}, version, optional=optional)
        elif several and (kind is not None or len(several) > 1 or several == ["allOf"]):
            return self._together(place, several, version, optional=optional)
        elif several:
            branches = [Place(each, place.document) for each in node[several[0]]]
            return self._choice(place, branches, version, optional=optional)
        if kind is None:
            raise DataError("a JSON Schema without a type says nothing about its values, as Connect needs")
        return self._finished(self._typed(kind, place), node, version, optional=optional)

    def _choice(self, place: Place, branches: list[Place], version: int | None, *, optional: bool) -> Schema:
        nullable = [branch for branch in branches if _is_null(branch.node)]
        others = [branch for branch in branches if not _is_null(branch.node)]
        if len(branches) == 1 and self._settings.flatten_singletons and others:
            return self._schema(others[0])
        if len(branches) == 2 and len(others) == 1:
            return self._schema(others[0], version=version, optional=True)
        builder = SchemaBuilder.struct().name(ONE_OF)
        for index, branch in enumerate(others):
            builder.field(f"{ONE_OF}.field.{index}", self._schema(branch, optional=True))
        node = {name: value for name, value in place.node.items() if name != "title"}
        return self._finished(builder, node, version, optional=optional or bool(nullable))

    def _together(self, place: Place, several: list[str], version: int | None, *, optional: bool) -> Schema:
        """Several schemas at once: the properties of all of them, else the one that says most."""
        fields: dict[str, tuple[Place, bool]] = {}
        self._collect(place, fields, set())
        if fields:
            builder = SchemaBuilder.struct()
            for name, (each, is_required) in fields.items():
                may_lack = self._settings.optional_unless_required and not is_required
                builder.field(name, self._schema(each, optional=may_lack))
            return self._finished(builder, {}, None, optional=optional)
        choice = next((name for name in CHOICES if name in several), None)
        if choice is not None:
            branches = [Place(each, place.document) for each in place.node[choice]]
            return self._choice(Place({}, place.document), branches, version, optional=optional)
        parts = [self._documents.followed(Place(each, place.document)) for each in place.node["allOf"]]
        for wanted in (_is_choice, _is_enum, _has_type):
            for part in parts:
                if isinstance(part.node, dict) and wanted(part.node):
                    return self._schema(part, version=version, optional=optional)
        if _kind(place.node) is not None:
            return self._finished(self._typed(place.node["type"], place), place.node, version, optional=optional)
        raise DataError("allOf has no schema in it that Connect has")

    def _collect(self, place: Place, fields: dict[str, tuple[Place, bool]], seen: set[int]) -> None:
        place = self._documents.followed(place)
        node = place.node
        if not isinstance(node, dict) or id(node) in seen:
            return
        seen.add(id(node))
        for name, each in _members(node, "properties"):
            fields[name] = Place(each, place.document), name in node.get("required", ())
        for each in node.get("allOf", ()):
            self._collect(Place(each, place.document), fields, seen)

    def _typed(self, kind: Any, place: Place) -> SchemaBuilder:
        node = place.node
        said = node.get(CONNECT_TYPE)
        if kind == "boolean":
            return SchemaBuilder.boolean()
        if kind == "string":
            return SchemaBuilder.bytes() if said == "bytes" else SchemaBuilder.string()
        if kind in {"integer", "number"}:
            if said is None:
                return SchemaBuilder.int64() if kind == "integer" else SchemaBuilder.float64()
            if said == "bytes":
                return SchemaBuilder.bytes()
            if said not in NUMBERS:
                raise DataError(f"{kind} cannot have the {CONNECT_TYPE} {said!r}")
            return SchemaBuilder(NUMBERS[said])
        if kind == "array":
            return self._array(place)
        if kind == "object":
            if said == "map":
                values = node.get("additionalProperties")
                return SchemaBuilder.map(Schema.STRING_SCHEMA, self._schema(Place(values, place.document)))
            return self._struct(place)
        raise DataError(f"a schema of Connect cannot be {kind}")

    def _array(self, place: Place) -> SchemaBuilder:
        items = place.node.get("items")
        if not isinstance(items, dict):
            raise DataError("an array says nothing about its items, as Connect needs")
        if place.node.get(CONNECT_TYPE) == "map" and _kind(items) == "object":
            fields = dict(_members(items, "properties"))
            if not {KEY, VALUE} <= fields.keys():
                raise DataError(f"the entries of a map have a key and a value, not {', '.join(fields) or 'nothing'}")
            keys, values = (self._schema(Place(fields[name], place.document)) for name in (KEY, VALUE))
            return SchemaBuilder.map(keys, values)
        return SchemaBuilder.array(self._schema(Place(items, place.document)))

    def _struct(self, place: Place) -> SchemaBuilder:
        builder = SchemaBuilder.struct()
        fields = list(enumerate(_members(place.node, "properties")))
        fields.sort(key=lambda field: _index(field[1][1], field[0]))
        needed = place.node.get("required", ())
        for _, (name, each) in fields:
            may_lack = self._settings.optional_unless_required and name not in needed
            builder.field(name, self._schema(Place(each, place.document), optional=may_lack))
        return builder

    def _finished(
        self, builder: SchemaBuilder, node: Mapping[str, Any], version: int | None, *, optional: bool
    ) -> Schema:
        """The annotations, and the default."""
        if isinstance(node.get("title"), str):
            builder.name(node["title"])
        version = node.get(CONNECT_VERSION, version)
        if version is not None:
            builder.version(version)
        if isinstance(node.get("description"), str):
            builder.doc(node["description"])
        parameters = node.get(CONNECT_PARAMETERS)
        if isinstance(parameters, dict):
            builder.parameters({name: str(value) for name, value in parameters.items()})
        if optional:
            builder.optional()
        if node.get("default") is not None:
            made = builder.build()
            try:
                builder.default_value(reader_of(made)(node["default"]))
            except (DataError, SchemaBuilderError, ValueError, TypeError) as error:
                log.warning("the default %r of %s is left out: %s", node["default"], made, error)
        return builder.build()


def _kind(node: Mapping[str, Any]) -> Any:
    """The type, a list of types, or None."""
    kind = node.get("type")
    if isinstance(kind, list):
        return kind if len(kind) > 1 else kind[0]
    if kind is not None:
        return kind
    return next((name for name, words in KEYWORDS.items() if any(word in node for word in words)), None)


def _members(node: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    members = node.get(name)
    return list(members.items()) if isinstance(members, dict) else []


def _index(node: Any, place: int) -> int:
    index = node.get(CONNECT_INDEX) if isinstance(node, dict) else None
    return index if isinstance(index, int) else place


def _is_null(node: Any) -> bool:
    return isinstance(node, dict) and node.get("type") == "null"


def _is_choice(node: Mapping[str, Any]) -> bool:
    return any(name in node for name in CHOICES)


def _is_enum(node: Mapping[str, Any]) -> bool:
    return "enum" in node


def _has_type(node: Mapping[str, Any]) -> bool:
    return _kind(node) is not None


def _enum(values: list[Any]) -> SchemaBuilder:
    builder = SchemaBuilder.string().parameter(ENUM, "")
    for value in values:
        symbol = NULL_SYMBOL if value is None else value if isinstance(value, str) else str(value)
        builder.parameter(f"{ENUM}.{symbol}", symbol)
    return builder
