"""Flatten: fields of fields become fields, their names joined. Lists stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.data import Field, Schema, SchemaBuilder, Struct
from moldau.connect.data import Type as DataType
from moldau.connect.errors import DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import (
    Changed,
    OfKey,
    OfStructs,
    OfValue,
    Values,
    copy_basics,
    filled,
    require_map,
)
from moldau.connect.transforms.layout import Column, Layout, within


class Part(NamedTuple):
    """A field of a struct; `inner` are the parts of a struct in it, `width` is how many fields they make."""

    field: Field
    inner: tuple[Part, ...] | None
    width: int


# What is taken from a struct without nulls: fields side by side, or those of the struct at an index.
Piece: TypeAlias = "slice | tuple[int, Pieces]"


class Pieces(NamedTuple):
    """The same parts for the usual case, in which nothing is null."""

    parts: tuple[Part, ...]
    pieces: tuple[Piece, ...]


class Flatten(OfStructs):
    """See the module. A map in a struct is refused; a map without a schema is flattened as structs are."""

    PURPOSE = "flattening"
    CONFIG = ConfigDef().define(
        "delimiter", Type.STRING, ".", importance=Importance.MEDIUM, doc="What stands between the names."
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._delimiter: str = settings["delimiter"]

    def changed(self, schema: Schema) -> Changed:
        builder = copy_basics(schema, SchemaBuilder.struct())
        parts = self._parts(schema, "", builder, optional=schema.optional, default=schema.default_value)
        pieces = _pieces(parts)

        def flat(values: Values, record: ConnectRecord) -> Values:
            found: Values = []
            _take(values, pieces, found)
            return found

        made = builder.build()

        def lay_out(layout: Layout) -> None:
            before = layout.columns
            layout.become(made, [each for part in parts for each in _columns(before[part.field.index], part)])

        return Changed(made, flat, lay_out)

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


def _pieces(parts: tuple[Part, ...]) -> Pieces:
    pieces: list[Piece] = []
    for part in parts:
        at = part.field.index
        if part.inner is not None:
            pieces.append((at, _pieces(part.inner)))
        elif pieces and isinstance(pieces[-1], slice):
            pieces[-1] = slice(pieces[-1].start, at + 1)
        else:
            pieces.append(slice(at, at + 1))
    return Pieces(parts, tuple(pieces))


def _take(values: Values, pieces: Pieces, found: Values) -> None:
    if None in values:
        _fill(values, pieces.parts, found)
        return
    for piece in pieces.pieces:
        if piece.__class__ is slice:
            found += values[piece]
        else:
            at, inner = piece  # type: ignore[misc]  # (mypy does not follow `__class__`)
            _take(values[at].values, inner, found)


def _columns(column: Column, part: Part) -> list[Column]:
    if part.inner is None:
        return [column]
    return [each for inner in part.inner for each in _columns(within(column, inner.field.index), inner)]


def _fill(values: Values, parts: tuple[Part, ...], found: Values) -> None:
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
