"""A table in Connect's terms: its key, row and envelope schemas, and rows from raw columns, compiled once per shape.

Shape by Debezium: envelope version 2 with before, after, source, transaction, op and three clocks. Key columns are in
the key even when they are left out of the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.connectors.postgres import source_info
from moldau.connect.connectors.postgres.catalog import Column, Table, TableId, TypeInfo, Types
from moldau.connect.connectors.postgres.columns import ColumnRules, is_characters
from moldau.connect.connectors.postgres.defaults import default_value
from moldau.connect.connectors.postgres.naming import Topics
from moldau.connect.connectors.postgres.pgoutput import UNCHANGED, RawRow
from moldau.connect.connectors.postgres.source_types import source_type_parameters
from moldau.connect.connectors.postgres.text import Parse
from moldau.connect.connectors.postgres.types import (
    Kernel,
    Modes,
    column_type,
    placeholder,
)
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.errors import DataError
from moldau.connect.name_adjustment import Adjust

ENVELOPE_VERSION: Final = 2
# Overhead that `varchar(n)` and `char(n)` count into their modifier (manual, pg_attribute.atttypmod).
_HEADER_BYTES: Final = 4


class StaleEnumError(DataError):
    """A row holds a label that the enum did not have when the table was read."""


@dataclass(frozen=True, slots=True)
class ColumnPart:
    """One column of a struct: where it stands in the raw row, and what its text, absence and omission become.

    `kernel` names the compiled twin of `convert`, where it has one.
    """

    index: int
    convert: Parse
    null: Any
    unchanged: Any
    kernel: Kernel | None


@dataclass(frozen=True)
class Shape:
    """All that rules how tables become schemas."""

    modes: Modes
    rules: ColumnRules
    topics: Topics
    adjust: Adjust
    adjust_field: Adjust
    key_columns: Sequence[tuple[Any, tuple[str, ...]]] = ()
    comments: bool = False

    def custom_key(self, table: TableId) -> tuple[str, ...] | None:
        """The columns that `message.key.columns` names for a table."""
        found = tuple(column for matches, columns in self.key_columns if matches(str(table)) for column in columns)
        return found or None


class TableSchema:
    """`table.columns` are in the order of the raw rows that `row` and `key` are given."""

    def __init__(self, table: Table, types: Types, shape: Shape) -> None:
        self.id = table.id
        self.table = table
        self.topic = shape.topics.of_table(table.id)
        self._enums: dict[int, TypeInfo] = {}
        name = shape.adjust(self.topic)
        parts, fields = self._columns(table, types, shape)
        self.value_schema = self._struct(f"{name}.Value", fields, shape, table.comment).optional().build()
        self.parts = parts
        self.key_parts, key_fields = self._key(table, types, shape, shape.custom_key(table.id) or ())
        if not key_fields:
            self.key_parts, key_fields = self._key(table, types, shape, table.key)
        self.key_schema = self._struct(f"{name}.Key", key_fields, shape, None).build() if key_fields else None
        self.envelope_schema = envelope_schema(f"{name}.Envelope", self.value_schema)
        self.key_indexes = tuple(part.index for part in self.key_parts)

    @staticmethod
    def _struct(name: str, fields: list[tuple[str, Schema]], shape: Shape, comment: str | None) -> SchemaBuilder:
        builder = SchemaBuilder.struct().name(name)
        if shape.comments and comment:
            builder = builder.doc(comment)
        for field, schema in fields:
            builder = builder.field(shape.adjust_field(field), schema)
        return builder

    def _columns(self, table: Table, types: Types, shape: Shape) -> tuple[list[ColumnPart], list[tuple[str, Schema]]]:
        parts, fields = [], []
        for index, column in enumerate(table.columns):
            if not shape.rules.is_included(table.id, column.name):
                continue
            made = self._part(table, index, column, types, shape, masked=True)
            if made is not None:
                parts.append(made[0])
                fields.append((column.name, made[1]))
        return parts, fields

    def _key(
        self, table: Table, types: Types, shape: Shape, names: Sequence[str]
    ) -> tuple[list[ColumnPart], list[tuple[str, Schema]]]:
        parts, fields = [], []
        places = {column.name: index for index, column in enumerate(table.columns)}
        for name in names:
            if name not in places:
                continue
            made = self._part(table, places[name], table.columns[places[name]], types, shape, masked=False)
            if made is not None:
                parts.append(made[0])
                fields.append((name, made[1]))
        return parts, fields

    def _part(
        self, table: Table, index: int, column: Column, types: Types, shape: Shape, *, masked: bool
    ) -> tuple[ColumnPart, Schema] | None:
        kind = column_type(types, column.type_oid, column.modifier, shape.modes)
        if kind is None:
            return None
        info, modifier = types.resolved(column.type_oid, column.modifier)
        builder = kind.schema()
        convert = kind.convert(builder.build())
        change = None
        if masked:
            length = modifier - _HEADER_BYTES if info.name in ("varchar", "bpchar") and modifier > 0 else 0
            change = shape.rules.change(table.id, column.name, length) if is_characters(info) else None
            if shape.rules.tells_source_type(table.id, column, info):
                builder = builder.parameters(source_type_parameters(column, types))
            if shape.comments and column.comment and builder.build().doc is None:
                builder = builder.doc(column.comment)
        if change is not None:
            builder = builder.parameter(*change[1])
        if column.nullable:
            builder = builder.optional()
        if column.default is not None:
            default = default_value(column.default, types.get(column.type_oid), builder.build(), convert)
            if default is not None:
                builder = builder.default_value(default)
        schema = builder.build()
        convert, kernel = kind.convert(schema), kind.kernel
        if info.kind == "e":
            # Only what knows the labels sees that one is new.
            convert, kernel = self._label_of(info), None
        null = None if column.nullable else kind.zero(schema)
        unchanged = placeholder(schema, shape.modes)
        if change is not None:
            null, unchanged = change[0](null), change[0](unchanged)
            convert, kernel = _changed(convert, change[0]), None
        return ColumnPart(index, convert, null, unchanged, kernel), schema

    def _label_of(self, info: TypeInfo) -> Parse:
        labels = {label.encode(): label for label in info.labels}
        self._enums[info.oid] = info

        def parse(raw: bytes) -> str:
            label = labels.get(raw)
            if label is None:
                raise StaleEnumError(f"the enum {info.name} has no label {raw.decode()!r}")
            return label

        return parse

    @property
    def enum_oids(self) -> set[int]:
        return set(self._enums)

    def row(self, raw: RawRow) -> Struct:
        """A row's struct. Raises `DataError` for a text that is not one of its column's type."""
        return Struct.of(self.value_schema, self._values(self.parts, raw))

    def key(self, raw: RawRow) -> Struct | None:
        if self.key_schema is None:
            return None
        return Struct.of(self.key_schema, self._values(self.key_parts, raw))

    def _values(self, parts: list[ColumnPart], raw: RawRow) -> list[Any]:
        values: list[Any] = []
        add = values.append
        try:
            for part in parts:
                text = raw[part.index]
                if text is None:
                    add(part.null)
                elif text.__class__ is bytes:
                    add(part.convert(text))
                else:
                    add(part.unchanged)
        except (ValueError, ArithmeticError, TypeError) as error:
            column = self.table.columns[part.index].name
            raise DataError(
                f"a value of {self.id}.{column} cannot be read: {error}; column.exclude.list leaves the column out,"
                " event.processing.failure.handling.mode=warn the row"
            ) from error
        return values

    def keys_differ(self, old: RawRow, new: RawRow) -> bool:
        """Whether two rows have another key; a column that was not sent has not changed."""
        return any(new[index] is not UNCHANGED and old[index] != new[index] for index in self.key_indexes)


def _changed(convert: Parse, change: Any) -> Parse:
    return lambda raw: change(convert(raw))


def envelope_schema(name: str, value_schema: Schema) -> Schema:
    builder = SchemaBuilder.struct().name(name).version(ENVELOPE_VERSION)
    builder = builder.field("before", value_schema).field("after", value_schema)
    builder = builder.field("source", source_info.SCHEMA).field("transaction", source_info.TRANSACTION_SCHEMA)
    builder = builder.field("op", Schema.STRING_SCHEMA)
    for clock in ("ts_ms", "ts_us", "ts_ns"):
        builder = builder.field(clock, Schema.OPTIONAL_INT64_SCHEMA)
    return builder.build()
