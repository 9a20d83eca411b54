"""How a schema is made: `SchemaBuilder.struct().name("order").field("id", Schema.INT64_SCHEMA).build()`.

A property can be set once. A builder may stand wherever a schema is asked for; it is built there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from moldau.connect.data.schema import Field, Schema, Type
from moldau.connect.data.struct import validate_value
from moldau.connect.errors import DataError, SchemaBuilderError


class SchemaBuilder:
    """Collects what a schema says. Every call but `build` returns the builder.

    Raises `SchemaBuilderError` for a property that was set before, a field named twice, a default that does not fit.
    """

    __slots__ = (
        "_default_value",
        "_doc",
        "_fields",
        "_key_schema",
        "_name",
        "_optional",
        "_parameters",
        "_type",
        "_value_schema",
        "_version",
    )

    def __init__(self, type: Type) -> None:  # noqa: A002 - Connect's own word
        self._type = type
        self._optional: bool | None = None
        self._default_value: Any = None
        self._name: str | None = None
        self._version: int | None = None
        self._doc: str | None = None
        self._parameters: dict[str, str] = {}
        self._fields: dict[str, Field] = {}
        self._key_schema: Schema | None = None
        self._value_schema: Schema | None = None

    @classmethod
    def int8(cls) -> Self:
        return cls(Type.INT8)

    @classmethod
    def int16(cls) -> Self:
        return cls(Type.INT16)

    @classmethod
    def int32(cls) -> Self:
        return cls(Type.INT32)

    @classmethod
    def int64(cls) -> Self:
        return cls(Type.INT64)

    @classmethod
    def float32(cls) -> Self:
        return cls(Type.FLOAT32)

    @classmethod
    def float64(cls) -> Self:
        return cls(Type.FLOAT64)

    @classmethod
    def boolean(cls) -> Self:
        return cls(Type.BOOLEAN)

    @classmethod
    def string(cls) -> Self:
        return cls(Type.STRING)

    @classmethod
    def bytes(cls) -> Self:
        return cls(Type.BYTES)

    @classmethod
    def struct(cls) -> Self:
        return cls(Type.STRUCT)

    @classmethod
    def array(cls, value_schema: Schema | SchemaBuilder) -> Self:
        builder = cls(Type.ARRAY)
        builder._value_schema = built(value_schema)
        return builder

    @classmethod
    def map(cls, key_schema: Schema | SchemaBuilder, value_schema: Schema | SchemaBuilder) -> Self:
        builder = cls(Type.MAP)
        builder._key_schema = built(key_schema)
        builder._value_schema = built(value_schema)
        return builder

    def optional(self) -> Self:
        """None is a value."""
        self._can_set("optional", self._optional, new=True)
        self._optional = True
        return self

    def required(self) -> Self:
        """None is not a value; so it is when nothing is said."""
        self._can_set("optional", self._optional, new=False)
        self._optional = False
        return self

    def default_value(self, value: Any) -> Self:
        """What stands in for None."""
        self._can_set("default", self._default_value, value)
        try:
            validate_value(self.build(), value, "the default")
        except DataError as error:
            raise SchemaBuilderError(f"the default of {self.build()} does not fit: {error}") from error
        self._default_value = value
        return self

    def name(self, name: str | None) -> Self:
        self._can_set("name", self._name, name)
        self._name = name
        return self

    def version(self, version: int | None) -> Self:
        self._can_set("version", self._version, version)
        self._version = version
        return self

    def doc(self, doc: str | None) -> Self:
        self._can_set("doc", self._doc, doc)
        self._doc = doc
        return self

    def parameter(self, name: str, value: str) -> Self:
        self._parameters[name] = value
        return self

    def parameters(self, parameters: Mapping[str, str] | None) -> Self:
        self._parameters.update(parameters or {})
        return self

    def field(self, name: str, schema: Schema | SchemaBuilder) -> Self:
        """Add a field behind those that are there."""
        if self._type is not Type.STRUCT:
            raise SchemaBuilderError(f"{self._type.name} takes no field {name!r}: only a struct has fields")
        if not name:
            raise SchemaBuilderError("a field needs a name")
        if name in self._fields:
            raise SchemaBuilderError(f"the struct has a field {name!r} already")
        self._fields[name] = Field(name, len(self._fields), built(schema))
        return self

    def build(self) -> Schema:
        """The schema; the builder can go on."""
        return Schema(
            self._type,
            optional=bool(self._optional),
            default_value=self._default_value,
            name=self._name,
            version=self._version,
            doc=self._doc,
            parameters=self._parameters,
            fields=tuple(self._fields.values()),
            key_schema=self._key_schema,
            value_schema=self._value_schema,
        )

    @staticmethod
    def _can_set(what: str, old: Any, new: Any) -> None:
        if old is not None and old != new:
            raise SchemaBuilderError(f"{what} of the schema is set already, to {old!r}; it cannot become {new!r}")


def built(schema: Schema | SchemaBuilder) -> Schema:
    """The schema itself, or the one that a builder builds."""
    if isinstance(schema, SchemaBuilder):
        return schema.build()
    if not isinstance(schema, Schema):
        raise SchemaBuilderError(f"a schema is needed here, not {schema!r}")
    return schema
