"""Avro schemas as JSON text: the form in which Java's library writes them, which is what Confluent's registry stores.

Everything is kept: docs, aliases, defaults, attributes of one's own. What changes is white space, the order of the
specification's attributes, and how names are written: a namespace only where it differs from the one around it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moldau.registry.languages.avro.types import (
    MISSING,
    Array,
    AvroType,
    Enum,
    Field,
    Map,
    NamedType,
    Primitive,
    Record,
    Union,
)

FIRST_PROPERTIES: Final = ("logicalType", "precision", "scale")


class Writer:
    """Writes one schema. `known`: full names that are written as names, because the reader has them already."""

    def __init__(self, known: Iterable[str] = (), *, in_order: bool = False) -> None:
        """`in_order`: attributes and aliases sorted, so that what means the same is written the same."""
        self._known = set(known)
        self._in_order = in_order

    def text(self, schema: AvroType) -> str:
        """The schema as compact JSON."""
        return json.dumps(self._type(schema, ""), ensure_ascii=False, separators=(",", ":"))

    def _type(self, schema: AvroType, namespace: str) -> Any:
        if isinstance(schema, Primitive):
            properties = self._properties(schema.properties)
            return {"type": schema.kind, **properties} if properties else schema.kind
        if isinstance(schema, Union):
            return [self._type(branch, namespace) for branch in schema.branches]
        if isinstance(schema, Array):
            return {
                "type": "array",
                "items": self._type(schema.items, namespace),
                **self._properties(schema.properties),
            }
        if isinstance(schema, Map):
            return {
                "type": "map",
                "values": self._type(schema.values, namespace),
                **self._properties(schema.properties),
            }
        return self._named(schema, namespace)

    def _named(self, schema: NamedType, namespace: str) -> Any:
        name = schema.name
        if name.full in self._known:
            return name.seen_from(namespace)
        self._known.add(name.full)
        written: dict[str, Any] = {"type": schema.kind, "name": name.simple}
        if name.namespace != namespace:
            written["namespace"] = name.namespace
        if schema.doc is not None:
            written["doc"] = schema.doc
        if isinstance(schema, Record):
            written["fields"] = [self._field(field, name.namespace) for field in schema.fields]
        elif isinstance(schema, Enum):
            written["symbols"] = list(schema.symbols)
            if schema.default is not None:
                written["default"] = schema.default
        else:
            written["size"] = schema.size
        written |= self._properties(schema.properties)
        if schema.aliases:
            written["aliases"] = self._list(alias.seen_from(name.namespace) for alias in schema.aliases)
        return written

    def _field(self, field: Field, namespace: str) -> Any:
        written: dict[str, Any] = {"name": field.name, "type": self._type(field.type, namespace)}
        if field.doc is not None:
            written["doc"] = field.doc
        if field.default is not MISSING:
            written["default"] = field.default
        if field.order != "ascending":
            written["order"] = field.order
        if field.aliases:
            written["aliases"] = self._list(field.aliases)
        return {**written, **self._properties(field.properties)}

    def _list(self, texts: Iterable[str]) -> list[str]:
        return sorted(texts) if self._in_order else list(texts)

    def _properties(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._in_order or not properties:
            return properties
        first = [key for key in FIRST_PROPERTIES if key in properties]
        rest = sorted(key for key in properties if key not in FIRST_PROPERTIES)
        return {key: properties[key] for key in [*first, *rest]}
