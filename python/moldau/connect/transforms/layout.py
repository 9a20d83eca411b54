"""Changes in a row as one: where each value comes from, worked out once for a schema.

Most of what transforms do to a struct is to put its values in other places. Each says so of columns
(`Changed.lay_out`), and what comes of a whole chain is then picked out of the first struct in one go (`picking.py`).
Whatever cannot be said of columns, and each record with null where that means more than null, is left to the changes
themselves: they know the rules for defaults and for errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from moldau.connect.data import Schema
from moldau.connect.records import ConnectRecord


class NotOfColumnsError(Exception):
    """A change that has to see the values."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A value as it is in the first struct: the indexes of fields, one for each struct on the way."""

    path: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """The same for every record; never null."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class OfRecord:
    """Said by the record around the value."""

    said: Callable[[ConnectRecord], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """Made of another column's value; null only of null."""

    column: Column
    convert: Callable[[Any], Any]


Column: TypeAlias = Taken | Constant | OfRecord | Converted


class Layout:
    """The columns of a struct on its way through changes, and of the key if one of them has made it."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        """Of the struct as it is now."""
        self.columns: list[Column] = [Taken((field.index,)) for field in schema.fields]
        self.key: tuple[Schema, list[Column]] | None = None
        self.first = schema
        """Of the struct before all changes."""
        self.fallible: list[Column] = []
        """What may be an error, though it may not be kept."""
        self.not_null: set[Column] = set()
        """Where null means more than null, at any step."""
        self.taken_apart: dict[tuple[int, ...], None] = {}
        """Paths of structs whose fields became columns: what is null in them counts though it is not kept."""
        self._note(schema)

    def become(self, schema: Schema, columns: Iterable[Column]) -> None:
        """What a change has made of the struct."""
        # What a conversion, or the record, says may be an error though a later change leaves it out.
        self.fallible += [each for each in self.columns if isinstance(each, OfRecord | Converted)]
        self.columns = list(columns)
        self.schema = schema
        self._note(schema)

    def _note(self, schema: Schema) -> None:
        for column, field in zip(self.columns, schema.fields, strict=True):
            origin = origin_of(column)
            if isinstance(origin, Taken):
                self.taken_apart[origin.path[:-1]] = None
            if not is_plainly_optional(field.schema):
                self.not_null.add(origin)


def within(column: Column, index: int) -> Taken:
    """A field of the struct in a column. Raises `NotOfColumnsError`."""
    if not isinstance(column, Taken):
        raise NotOfColumnsError
    return Taken((*column.path, index))


def is_plainly_optional(schema: Schema) -> bool:
    """Whether null in its place is null and no more: neither an error nor a default."""
    return schema.optional and schema.default_value is None


def origin_of(column: Column) -> Taken | Constant | OfRecord:
    """The column that conversions begin with."""
    while isinstance(column, Converted):
        column = column.column
    return column
