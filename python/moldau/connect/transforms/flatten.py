"""Flatten: fields of fields become fields, their names joined. Lists stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.data import Field, Schema, SchemaBuilder, Struct
from moldau.connect.data import Type as DataType
from moldau.connect.errors import DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import (
    OfKey,
    OfValue,
    OneSide,
    Plans,
    copy_basics,
    filled,
    require_map,
    require_struct,
)


class Part(NamedTuple):
    """A field of a struct; `inner` are the parts of a struct in it, `width` is how many fields they make."""

    field: Field
    inner: tuple[Part, ...] | None
    width: int


class Flatten(OneSide):
    """See the module. A map in a struct is refused; a map without a schema is flattened as structs are."""

    PURPOSE = "flattening"
    CONFIG = ConfigDef().define(
        "delimiter", Type.STRING, ".", importance=Importance.MEDIUM, doc="What stands between the names."
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._delimiter: str = settings["delimiter"]
        self._plans = Plans(self._plan)

    def _plan(self, schema: Schema) -> tuple[Schema, tuple[Part, ...], bool]:
        builder = copy_basics(schema, SchemaBuilder.struct())
        parts = self._parts(schema, "", builder, optional=schema.optional, default=schema.default_value)
        return builder.build(), parts, all(part.inner is None for part in parts)

    def _parts(
        self, schema: Schema, prefix: str, builder: SchemaBuilder, *, optional: bool, default: Struct | None
    ) -> tuple[Part, ...]:
        parts = []
        for field in schema.fields:
            name = f"{prefix}{self._delimiter}{field.name}" if prefix else field.name
            each = field.schema
            instead = each.default_value
            if instead is None and default is not None:
                instead = default.get(field.name)
            may_be_null = optional or each.optional
            if each.type is DataType.STRUCT:
                inner = self._parts(each, name, builder, optional=may_be_null, default=instead)
                parts.append(Part(field, inner, sum(part.width for part in inner)))
                continue
            if each.type is DataType.MAP:
                raise DataError(f"field {name!r} is a map, which Flatten cannot take apart when there is a schema")
            made = copy_basics(each, _builder_like(each))
            if may_be_null:
                made.optional()
            if instead is not None:
                made.default_value(instead)
            builder.field(name, made)
            parts.append(Part(field, None, 1))
        return tuple(parts)

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        struct = require_struct(value, self.PURPOSE)
        flat, parts, is_flat = self._plans.of(schema)
        if is_flat and None not in struct.values:
            return flat, Struct.of(flat, struct.values.copy())
        values: list[Any] = []
        _fill(struct.values, parts, values)
        return flat, Struct.of(flat, values)

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        flat: dict[str, Any] = {}
        self._flatten(require_map(value, self.PURPOSE), "", flat)
        return flat

    def _flatten(self, value: dict[str, Any], prefix: str, flat: dict[str, Any]) -> None:
        for name, each in value.items():
            full = f"{prefix}{self._delimiter}{name}" if prefix else name
            if isinstance(each, dict):
                self._flatten(each, full, flat)
            elif isinstance(each, Struct):
                raise DataError(f"field {full!r} is a struct, which Flatten cannot take apart when there is no schema")
            else:
                flat[full] = each


def _builder_like(schema: Schema) -> SchemaBuilder:
    if schema.type is DataType.ARRAY and schema.value_schema is not None:
        return SchemaBuilder.array(schema.value_schema)
    return SchemaBuilder(schema.type)


def _fill(values: list[Any], parts: tuple[Part, ...], found: list[Any]) -> None:
    for field, inner, width in parts:
        value = values[field.index]
        if inner is None:
            found.append(value if value is not None else filled(field, value, replace_null=True))
        elif value is None:
            found.extend([None] * width)
        else:
            _fill(value.values, inner, found)


class FlattenKey(OfKey, Flatten):
    """`Flatten$Key`."""


class FlattenValue(OfValue, Flatten):
    """`Flatten$Value`."""
