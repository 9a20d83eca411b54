"""What a value looks like: `Schema` and its `Field`s. A schema never changes once it is built.

Two schemas are equal when all they say is equal, documentation and defaults included, as with Java's `ConnectSchema`.
Since one object usually serves every record of a topic, equality looks at identity first, and the hash is computed
once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from moldau.connect.errors import DataError


class Type(enum.Enum):
    """The types of Connect; the value is the name that Kafka's JSON and messages use."""

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOLEAN = "boolean"
    STRING = "string"
    BYTES = "bytes"
    ARRAY = "array"
    MAP = "map"
    STRUCT = "struct"

    # Members are compared by identity; the hash that goes with it is that of the object, which C computes.
    __hash__ = object.__hash__

    @property
    def is_primitive(self) -> bool:
        """Whether a value of this type holds no other values."""
        return self not in {Type.ARRAY, Type.MAP, Type.STRUCT}


INTEGER_RANGES: Final[Mapping[Type, tuple[int, int]]] = {
    Type.INT8: (-(1 << 7), (1 << 7) - 1),
    Type.INT16: (-(1 << 15), (1 << 15) - 1),
    Type.INT32: (-(1 << 31), (1 << 31) - 1),
    Type.INT64: (-(1 << 63), (1 << 63) - 1),
}


class Field:
    """A field of a struct: its `name`, its place (`index`) and its `schema`."""

    __slots__ = ("index", "name", "schema")

    def __init__(self, name: str, index: int, schema: Schema) -> None:
        self.name = name
        self.index = index
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Field):
            return NotImplemented
        return self.name == other.name and self.index == other.index and self.schema == other.schema

    def __hash__(self) -> int:
        return hash((self.name, self.index, self.schema))

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.index}, {self.schema!r})"


class Schema:
    """The shape of a value. Build one with `SchemaBuilder`, or take a ready one: `Schema.STRING_SCHEMA`.

    `type` and `optional` are always set; `default_value` is what stands in for None; `name`, `version`, `doc` and
    `parameters` are None when nobody set them. A STRUCT has `fields` in order and `by_name`; an ARRAY has
    `value_schema`, a MAP also `key_schema`.
    """

    __slots__ = (
        "_hash",
        "by_name",
        "default_value",
        "doc",
        "fields",
        "key_schema",
        "name",
        "optional",
        "parameters",
        "type",
        "value_schema",
        "version",
    )

    INT8_SCHEMA: ClassVar[Schema]
    INT16_SCHEMA: ClassVar[Schema]
    INT32_SCHEMA: ClassVar[Schema]
    INT64_SCHEMA: ClassVar[Schema]
    FLOAT32_SCHEMA: ClassVar[Schema]
    FLOAT64_SCHEMA: ClassVar[Schema]
    BOOLEAN_SCHEMA: ClassVar[Schema]
    STRING_SCHEMA: ClassVar[Schema]
    BYTES_SCHEMA: ClassVar[Schema]
    OPTIONAL_INT8_SCHEMA: ClassVar[Schema]
    OPTIONAL_INT16_SCHEMA: ClassVar[Schema]
    OPTIONAL_INT32_SCHEMA: ClassVar[Schema]
    OPTIONAL_INT64_SCHEMA: ClassVar[Schema]
    OPTIONAL_FLOAT32_SCHEMA: ClassVar[Schema]
    OPTIONAL_FLOAT64_SCHEMA: ClassVar[Schema]
    OPTIONAL_BOOLEAN_SCHEMA: ClassVar[Schema]
    OPTIONAL_STRING_SCHEMA: ClassVar[Schema]
    OPTIONAL_BYTES_SCHEMA: ClassVar[Schema]

    def __init__(
        self,
        type: Type,  # noqa: A002 - Connect's own word
        *,
        optional: bool = False,
        default_value: Any = None,
        name: str | None = None,
        version: int | None = None,
        doc: str | None = None,
        parameters: Mapping[str, str] | None = None,
        fields: Sequence[Field] = (),
        key_schema: Schema | None = None,
        value_schema: Schema | None = None,
    ) -> None:
        self.type = type
        self.optional = optional
        self.default_value = default_value
        self.name = name
        self.version = version
        self.doc = doc
        self.parameters = dict(parameters) if parameters else None
        self.fields = tuple(fields)
        self.by_name = {field.name: field for field in self.fields}
        self.key_schema = key_schema
        self.value_schema = value_schema
        self._hash: int | None = None

    def field(self, name: str) -> Field | None:
        """The field with this name, or None. Raises `DataError` when this is not the schema of a struct."""
        if self.type is not Type.STRUCT:
            raise DataError(f"{self} has no fields: only a struct has")
        return self.by_name.get(name)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Schema):
            return NotImplemented
        return (
            hash(self) == hash(other)
            and self.type is other.type
            and self.optional == other.optional
            and self.name == other.name
            and self.version == other.version
            and self.doc == other.doc
            and self.default_value == other.default_value
            and self.fields == other.fields
            and self.key_schema == other.key_schema
            and self.value_schema == other.value_schema
            and self.parameters == other.parameters
        )

    def __hash__(self) -> int:
        # Defaults may be lists and maps, so they are left to the comparison.
        if self._hash is None:
            parameters = frozenset(self.parameters.items()) if self.parameters else None
            self._hash = hash(
                (
                    self.type.value,
                    self.optional,
                    self.name,
                    self.version,
                    self.doc,
                    self.fields,
                    self.key_schema,
                    self.value_schema,
                    parameters,
                )
            )
        return self._hash

    def __repr__(self) -> str:
        return f"Schema{{{self.name}:{self.type.name}}}" if self.name is not None else f"Schema{{{self.type.name}}}"


def _ready_made() -> None:
    for kind in Type:
        if kind.is_primitive:
            setattr(Schema, f"{kind.name}_SCHEMA", Schema(kind))
            setattr(Schema, f"OPTIONAL_{kind.name}_SCHEMA", Schema(kind, optional=True))


_ready_made()


class SchemaAndValue(NamedTuple):
    """A value with its schema; the schema is None for data that has none."""

    schema: Schema | None
    value: Any


NULL: Final = SchemaAndValue(None, None)
