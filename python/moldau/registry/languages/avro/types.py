"""An Avro schema as a tree. Names are resolved: a use of a named type is the object of its definition.

So a recursive type is a cycle of objects, and whoever walks the tree remembers where he was.
Source: Apache Avro specification 1.12, "Schema Declaration".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class Missing:
    """No default was given; None is a default of its own."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

Properties = Mapping[str, Any]
"""Attributes that the specification does not know, `logicalType` among them, in the order in which they came."""


@dataclass(frozen=True, slots=True)
class Name:
    """The full name of a record, enum or fixed; `namespace` is "" for none."""

    simple: str
    namespace: str

    @property
    def full(self) -> str:
        return f"{self.namespace}.{self.simple}" if self.namespace else self.simple

    def seen_from(self, namespace: str) -> str:
        """How it is written inside of a namespace."""
        return self.simple if self.namespace in ("", namespace) else self.full


@dataclass(eq=False, slots=True)
class Primitive:
    kind: str
    properties: Properties = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Array:
    items: AvroType
    properties: Properties = field(default_factory=dict)
    kind: str = "array"


@dataclass(eq=False, slots=True)
class Map:
    values: AvroType
    properties: Properties = field(default_factory=dict)
    kind: str = "map"


@dataclass(eq=False, slots=True)
class Union:
    branches: tuple[AvroType, ...]
    kind: str = "union"


@dataclass(eq=False, slots=True)
class Enum:
    name: Name
    symbols: tuple[str, ...]
    default: str | None = None
    doc: str | None = None
    aliases: tuple[Name, ...] = ()
    properties: Properties = field(default_factory=dict)
    kind: str = "enum"


@dataclass(eq=False, slots=True)
class Fixed:
    name: Name
    size: int
    doc: str | None = None
    aliases: tuple[Name, ...] = ()
    properties: Properties = field(default_factory=dict)
    kind: str = "fixed"


@dataclass(eq=False, slots=True)
class Field:
    name: str
    type: AvroType
    default: Any = MISSING
    doc: str | None = None
    order: str = "ascending"
    aliases: tuple[str, ...] = ()
    properties: Properties = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Record:
    """`fields` is filled after the record is known by name, because its fields may use it."""

    name: Name
    fields: list[Field]
    doc: str | None = None
    aliases: tuple[Name, ...] = ()
    properties: Properties = field(default_factory=dict)
    kind: str = "record"


NamedType = Record | Enum | Fixed
AvroType = Primitive | Array | Map | Union | Enum | Fixed | Record


def described(schema: AvroType) -> str:
    """The type in a few words, for messages."""
    if isinstance(schema, Record | Enum | Fixed):
        return f"{schema.kind} {schema.name.full}"
    if isinstance(schema, Array):
        return f"array of {described(schema.items)}"
    if isinstance(schema, Map):
        return f"map of {described(schema.values)}"
    if isinstance(schema, Union):
        return "union of " + ", ".join(described(branch) for branch in schema.branches)
    logical = schema.properties.get("logicalType")
    return f"{schema.kind} ({logical})" if isinstance(logical, str) else schema.kind
