"""What transforms share: the side of a record they work on, plans made once for a schema, changes of structs."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.data import Field, Schema, SchemaBuilder, Struct
from moldau.connect.errors import DataError
from moldau.connect.plugin import Transformation
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.layout import Layout

# Kafka's, whose behaviour it is.
VERSION: Final = "4.3.1"
REPLACE_NULL: Final = "replace.null.with.default"
PLANS_MAX: Final = 1000
Plan = TypeVar("Plan")


class KafkaTransformation(Transformation[ConnectRecord]):
    """A transform with its settings in `CONFIG`; `take` gets them parsed."""

    CONFIG: ClassVar[ConfigDef] = ConfigDef()

    def version(self) -> str:
        return VERSION

    def config(self) -> ConfigDef:
        return self.CONFIG

    def configure(self, configs: Mapping[str, Any]) -> None:
        self.take(self.CONFIG.parse(configs))

    def take(self, settings: Mapping[str, Any]) -> None:
        """Take the settings, by name."""


class OneSide(KafkaTransformation):
    """A transform of the key or the value. Extended by one class for each with `OfKey` or `OfValue` before it."""

    PURPOSE: ClassVar[str]
    PASSES_NULL: ClassVar[bool] = True

    @abc.abstractmethod
    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        """The new schema and value."""

    @abc.abstractmethod
    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        """The new value of one that has no schema."""


Values = list[Any]
Change = Callable[[Values, ConnectRecord], Values]
"""Makes the new values of a struct of the old ones, which it may keep and change."""


class Changed(NamedTuple):
    """What becomes of all structs of a schema.

    `lay_out` says the same of columns, if it can be said of them: what `change` does to whole values, no more and no
    less. It may raise `NotOfColumnsError`.
    """

    schema: Schema
    change: Change
    lay_out: Callable[[Layout], None] | None = None


class OfStructs(OneSide):
    """A transform that does the same to each struct of a schema; what, is worked out once (`changed`)."""

    @abc.abstractmethod
    def changed(self, schema: Schema) -> Changed:
        """What becomes of structs of a schema. Raises `DataError`."""

    def configure(self, configs: Mapping[str, Any]) -> None:
        super().configure(configs)
        self._changes = Plans(self.changed)

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        struct = require_struct(value, self.PURPOSE)
        made, change, _ = self._changes.of(struct.schema)
        return made, Struct.of(made, change(struct.values.copy(), record))

    def at_once(self, schema: Schema) -> Changed | None:
        """The same for who makes several changes at once; None where this is no matter of structs."""
        return self._changes.of(schema)


class OfKey:
    """Works on the key."""

    def apply(self: Any, record: ConnectRecord) -> ConnectRecord:
        key, schema = record.key, record.key_schema
        if key is None and self.PASSES_NULL:
            return record
        if schema is None:
            return record.with_key(None, self.without_schema(key, record))
        return record.with_key(*self.with_schema(schema, key, record))


class OfValue:
    """Works on the value."""

    def changed_values(self: Any, schema: Schema) -> Changed | None:
        """What `apply` does to the values of structs of a schema; None if it has to see each record."""
        return self.at_once(schema) if isinstance(self, OfStructs) else None

    def apply(self: Any, record: ConnectRecord) -> ConnectRecord:
        value, schema = record.value, record.value_schema
        if value is None and self.PASSES_NULL:
            return record
        if schema is None:
            return record.with_value(None, self.without_schema(value, record))
        return record.with_value(*self.with_schema(schema, value, record))


_UNKNOWN: Final = object()


class Plans(Generic[Plan]):
    """What was worked out for a schema, by schema, also that it is nothing. The last one is found by identity."""

    __slots__ = ("_known", "_last", "_last_schema", "_make")

    def __init__(self, make: Callable[[Schema], Plan]) -> None:
        self._make = make
        self._known: dict[Schema, Plan] = {}
        self._last_schema: Schema | None = None
        self._last: Any = None

    def of(self, schema: Schema) -> Plan:
        if schema is self._last_schema:
            return self._last  # type: ignore[no-any-return]
        plan: Any = self._known.get(schema, _UNKNOWN)
        if plan is _UNKNOWN:
            plan = self._make(schema)
            if len(self._known) >= PLANS_MAX:
                self._known.pop(next(iter(self._known)), None)
            self._known[schema] = plan
        self._last_schema = schema
        self._last = plan
        return plan  # type: ignore[no-any-return]


def with_replace_null(definition: ConfigDef) -> ConfigDef:
    """The settings with the one that most transforms have since KIP-1040."""
    return definition.define(
        REPLACE_NULL,
        Type.BOOLEAN,
        True,
        importance=Importance.MEDIUM,
        doc="Whether a field that is null and has a default gets the default.",
    )


def require_map(value: Any, purpose: str) -> dict[str, Any]:
    """A value without a schema as a map. Raises `DataError`, also for null, as Kafka does."""
    if not isinstance(value, dict):
        raise DataError(f"only a map can be used without a schema for [{purpose}], not {_named(value)}")
    return value


def require_struct(value: Any, purpose: str) -> Struct:
    """A value as a struct. Raises `DataError`, also for null, as Kafka does."""
    if not isinstance(value, Struct):
        raise DataError(f"only a struct can be used for [{purpose}], not {_named(value)}")
    return value


def _named(value: Any) -> str:
    if value is None:
        return "null\nhint: leave tombstones out of the transform with a predicate RecordIsTombstone and negate=true"
    return type(value).__name__


def values_of(struct: Struct, *, replace_null: bool) -> Values:
    """A copy of the values, with defaults for null if asked for. Raises `DataError` for a required one that is null."""
    return whole(struct.schema, struct.values.copy(), replace_null=replace_null)


def whole(schema: Schema, values: Values, *, replace_null: bool) -> Values:
    """Values of a schema, with defaults for null if asked for. Raises `DataError` for a required one that is null."""
    if None not in values:
        return values
    return [filled(field, value, replace_null=replace_null) for field, value in zip(schema.fields, values, strict=True)]


def filled(field: Field, value: Any, *, replace_null: bool) -> Any:
    """The value of a field, or its default if asked for, or null where that is allowed."""
    if value is not None:
        return value
    schema = field.schema
    if replace_null and schema.default_value is not None:
        return schema.default_value
    if not schema.optional:
        raise DataError(f"field {field.name!r} is required ({schema.type.name}) but is null")
    return None


def copy_basics(source: Schema, builder: SchemaBuilder) -> SchemaBuilder:
    """Name, version, documentation and parameters of `source`, put on `builder`."""
    return builder.name(source.name).version(source.version).doc(source.doc).parameters(source.parameters)
