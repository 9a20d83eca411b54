"""Avro schemas from JSON text.

A parser holds the named types that were defined so far; schemas that another one refers to are parsed first, by the
same parser. Every mistake is a `SchemaError` with the place of it.
Source: Apache Avro specification 1.12, "Schema Declaration" and "Names".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from moldau.registry.languages.avro.defaults import is_default_for
from moldau.registry.languages.avro.types import (
    MISSING,
    PRIMITIVES,
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Name,
    NamedType,
    Primitive,
    Record,
    Union,
    described,
)
from moldau.registry.languages.language import DEPTH_MAX, SchemaError

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
ORDERS: Final = ("ascending", "descending", "ignore")
RESERVED: Final = frozenset(
    {"type", "name", "namespace", "doc", "aliases", "fields", "symbols", "size", "items", "values"}
)
RESERVED_OF_FIELD: Final = frozenset({"name", "type", "doc", "default", "order", "aliases"})
FIXED_SIZE_MAX: Final = 1 << 31


def read_json(text: str) -> Any:
    """The JSON document in a text. A word that stands alone, as `string`, is taken for the name of a type."""
    try:
        return json.loads(text)
    except RecursionError:
        raise SchemaError("the schema is nested too deeply") from None
    except ValueError as error:
        if NAME.fullmatch(text.strip()):
            return text.strip()
        raise SchemaError(f"not JSON: {error}") from None


class Parser:
    """Reads schemas one after the other into one space of names."""

    def __init__(self, *, strict: bool) -> None:
        """`strict`: defaults must fit their types."""
        self.names: dict[str, NamedType] = {}
        self._strict = strict
        self._defaults: list[tuple[Field, str]] = []

    def parse(self, text: str) -> AvroType:
        """Raises SchemaError."""
        schema = self._type(read_json(text), "", "", 0)
        # Only now is every record whole that a default may be a value of.
        for field, path in self._defaults:
            if not is_default_for(field.default, field.type):
                raise SchemaError(
                    f"field {field.name!r}: the default {json.dumps(field.default)} is no {described(field.type)}", path
                )
        self._defaults.clear()
        return schema

    def _type(self, node: Any, namespace: str, path: str, depth: int) -> AvroType:
        if depth > DEPTH_MAX:
            raise SchemaError(f"the schema is nested deeper than {DEPTH_MAX}", path)
        if isinstance(node, str):
            return self._used(node, namespace, path)
        if isinstance(node, list):
            return self._union(node, namespace, path, depth)
        if not isinstance(node, dict):
            raise SchemaError(f"a type is a name, an object or a list, not {json.dumps(node)[:40]}", path)
        kind = node.get("type")
        if not isinstance(kind, str):
            raise SchemaError('an object needs a "type", and that is a name', path)
        match kind:
            case "record" | "error":
                return self._record(node, namespace, path, depth)
            case "enum":
                return self._enum(node, namespace, path)
            case "fixed":
                return self._fixed(node, namespace, path)
            case "array":
                return Array(self._inner(node, "items", namespace, path, depth), _properties(node))
            case "map":
                return Map(self._inner(node, "values", namespace, path, depth), _properties(node))
        if kind in PRIMITIVES:
            return Primitive(kind, _properties(node))
        return self._used(kind, namespace, f"{path}/type")

    def _used(self, written: str, namespace: str, path: str) -> AvroType:
        if written in PRIMITIVES:
            return Primitive(written)
        full = written if "." in written or not namespace else f"{namespace}.{written}"
        found = self.names.get(full) or self.names.get(written)
        if found is None:
            raise SchemaError(
                f"there is no type {written!r}; a type is defined before it is used, or referred to", path
            )
        return found

    def _inner(self, node: Mapping[str, Any], key: str, namespace: str, path: str, depth: int) -> AvroType:
        if key not in node:
            raise SchemaError(f"{node['type']} needs {json.dumps(key)}", path)
        return self._type(node[key], namespace, f"{path}/{key}", depth + 1)

    def _union(self, node: list[Any], namespace: str, path: str, depth: int) -> Union:
        branches: list[AvroType] = []
        seen: set[str] = set()
        for index, item in enumerate(node):
            place = f"{path}/{index}"
            branch = self._type(item, namespace, place, depth + 1)
            if isinstance(branch, Union):
                raise SchemaError("a union cannot stand directly in a union", place)
            key = branch.name.full if isinstance(branch, NamedType) else branch.kind
            if key in seen:
                raise SchemaError(f"the union has {key} twice", place)
            seen.add(key)
            branches.append(branch)
        return Union(tuple(branches))

    def _record(self, node: Mapping[str, Any], namespace: str, path: str, depth: int) -> Record:
        name = _name(node, namespace, path)
        record = Record(name, [], _doc(node, path), _aliases(node, name, path), _properties(node))
        self._define(record, path)
        fields = node.get("fields")
        if not isinstance(fields, list):
            raise SchemaError(f'record {name.full} needs a list of "fields"', path)
        seen: set[str] = set()
        for index, item in enumerate(fields):
            field = self._field(item, name.namespace, f"{path}/fields/{index}", depth)
            if field.name in seen:
                raise SchemaError(f"record {name.full} has the field {field.name!r} twice", f"{path}/fields/{index}")
            seen.add(field.name)
            record.fields.append(field)
        return record

    def _field(self, node: Any, namespace: str, path: str, depth: int) -> Field:
        if not isinstance(node, dict) or not isinstance(node.get("name"), str) or "type" not in node:
            raise SchemaError('a field is an object with a "name" and a "type"', path)
        name = node["name"]
        _check_name(name, path)
        order = str(node.get("order", "ascending")).lower()
        if order not in ORDERS:
            raise SchemaError(f"the order of field {name!r} is {node['order']!r}, not one of {', '.join(ORDERS)}", path)
        field = Field(
            name,
            self._type(node["type"], namespace, f"{path}/type", depth + 1),
            node.get("default", MISSING),
            _doc(node, path),
            order,
            tuple(_texts(node, "aliases", path)),
            _properties(node, RESERVED_OF_FIELD),
        )
        if self._strict and field.default is not MISSING:
            self._defaults.append((field, f"{path}/default"))
        return field

    def _enum(self, node: Mapping[str, Any], namespace: str, path: str) -> Enum:
        name = _name(node, namespace, path)
        symbols = _texts(node, "symbols", path)
        if "symbols" not in node:
            raise SchemaError(f'enum {name.full} needs a list of "symbols"', path)
        for symbol in symbols:
            _check_name(symbol, f"{path}/symbols")
        if len(set(symbols)) != len(symbols):
            raise SchemaError(f"enum {name.full} has a symbol twice", f"{path}/symbols")
        default = node.get("default")
        if default is not None and default not in symbols:
            raise SchemaError(f"the default {default!r} is no symbol of enum {name.full}", f"{path}/default")
        properties = _properties(node, RESERVED | {"default"})
        enum = Enum(name, tuple(symbols), default, _doc(node, path), _aliases(node, name, path), properties)
        self._define(enum, path)
        return enum

    def _fixed(self, node: Mapping[str, Any], namespace: str, path: str) -> Fixed:
        name = _name(node, namespace, path)
        size = node.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < FIXED_SIZE_MAX:
            raise SchemaError(f'fixed {name.full} needs a "size" in bytes', path)
        fixed = Fixed(name, size, _doc(node, path), _aliases(node, name, path), _properties(node))
        self._define(fixed, path)
        return fixed

    def _define(self, named: NamedType, path: str) -> None:
        if named.name.full in self.names:
            raise SchemaError(f"{named.name.full} is defined twice", path)
        self.names[named.name.full] = named


def _check_name(name: str, path: str) -> None:
    if not NAME.fullmatch(name):
        raise SchemaError(f"{name!r} is no name: letters, digits and _, no digit first", path)


def _name(node: Mapping[str, Any], namespace: str, path: str) -> Name:
    written = node.get("name")
    if not isinstance(written, str):
        raise SchemaError(f'{node["type"]} needs a "name"', path)
    space, _, simple = written.rpartition(".")
    if not space:
        given = node.get("namespace", namespace)
        if not isinstance(given, str):
            raise SchemaError("a namespace is a text", path)
        space = given
    for part in [simple, *(space.split(".") if space else ())]:
        _check_name(part, path)
    if not space and simple in PRIMITIVES:
        raise SchemaError(f"{simple!r} is a type of Avro and cannot be defined anew", path)
    return Name(simple, space)


def _aliases(node: Mapping[str, Any], name: Name, path: str) -> tuple[Name, ...]:
    aliases = []
    for alias in _texts(node, "aliases", path):
        space, _, simple = alias.rpartition(".")
        aliases.append(Name(simple, space or name.namespace))
    return tuple(aliases)


def _texts(node: Mapping[str, Any], key: str, path: str) -> list[str]:
    texts = node.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise SchemaError(f'"{key}" is a list of texts', f"{path}/{key}")
    return texts


def _doc(node: Mapping[str, Any], path: str) -> str | None:
    doc = node.get("doc")
    if doc is not None and not isinstance(doc, str):
        raise SchemaError('"doc" is a text', f"{path}/doc")
    return doc


def _properties(node: Mapping[str, Any], reserved: frozenset[str] = RESERVED) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in reserved}
