"""What a layout says, done: values picked out of a record's struct, converted, and put into the last one, in one go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from moldau.connect.data import Schema, Struct, Type
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.layout import (
    Column,
    Constant,
    Converted,
    Layout,
    OfRecord,
    Taken,
    is_plainly_optional,
    origin_of,
)

Values: TypeAlias = list[Any]
AtOnce: TypeAlias = Callable[[ConnectRecord], ConnectRecord | None]
"""The record that comes of one whose value is a struct of the schema; None if it has to go the long way."""

_new: Final = object.__new__


def at_once(layout: Layout) -> AtOnce | None:
    """How a record is made of one with a struct of the first schema; None if that has to go the long way."""
    key_schema, key_columns = layout.key or (None, [])
    kept = [*layout.columns, *key_columns]
    if not all(_is_part_of(each, kept) for each in layout.fallible):
        return None
    base = _Base(layout.first, layout.taken_apart)
    picked = _picked([base.place(origin_of(each)) for each in kept])
    said = [
        (at, origin.said, origin in layout.not_null)
        for at, each in enumerate(kept)
        if isinstance(origin := origin_of(each), OfRecord)
    ]
    converted = [(at, convert) for at, each in enumerate(kept) for convert in _conversions(each)]
    opened, constants, schema, size = base.opened, base.constants, layout.schema, len(layout.columns)
    plain, structs = base.not_null(layout.not_null)
    looked_at = _picked(plain)

    def picked_from(record: ConnectRecord) -> ConnectRecord | None:
        values = record.value.values
        for at in opened:
            inner = values[at]
            if inner is None:
                return None
            # Not in place: the record keeps its own.
            values = values + inner.values
        if None in looked_at(values):
            return None
        for at in structs:
            if values[at] is None:
                return None
        own = list(picked(values + constants))
        for at, say, not_null in said:
            own[at] = found = say(record)
            if found is None and not_null:
                return None
        for at, convert in converted:
            value = own[at]
            if value is not None:
                own[at] = convert(value)
        made = record.copy()
        if key_schema is not None:
            made.key_schema = key_schema
            made.key = _struct(key_schema, own[size:])
            del own[size:]
        made.value_schema = schema
        made.value = _struct(schema, own)
        return made

    return picked_from


def _is_part_of(column: Column, kept: Iterable[Column]) -> bool:
    """Whether it is kept, or what is kept is made of it."""
    for each in kept:
        inner = each
        while inner is not column and isinstance(inner, Converted):
            inner = inner.column
        if inner is column:
            return True
    return False


class _Base:
    """The values of the first struct, those of structs within it that are taken apart, and constants, in one list."""

    def __init__(self, schema: Schema, taken_apart: Iterable[tuple[int, ...]]) -> None:
        self.opened: list[int] = []
        """Where the structs are whose values come behind; each may be within one before it."""
        self.constants: Values = []
        self._begins: dict[tuple[int, ...], int] = {(): 0}
        """Where the values of a struct begin, by its path."""
        self._schemas: dict[tuple[int, ...], Schema] = {(): schema}
        self._size = len(schema.fields)
        for path in taken_apart:
            for depth in range(1, len(path) + 1):
                self._open(path[:depth])

    def _open(self, path: tuple[int, ...]) -> None:
        if path not in self._begins:
            schema = self._schemas[path[:-1]].fields[path[-1]].schema
            self.opened.append(self._begins[path[:-1]] + path[-1])
            self._begins[path], self._schemas[path] = self._size, schema
            self._size += len(schema.fields)

    def place(self, column: Column) -> int:
        """Where the value of a column is."""
        if isinstance(column, Taken):
            return self._begins[column.path[:-1]] + column.path[-1]
        # What the record says has a place too, until it has said it.
        self.constants.append(column.value if isinstance(column, Constant) else None)
        return self._size + len(self.constants) - 1

    def not_null(self, said: Collection[Column]) -> tuple[list[int], list[int]]:
        """Where nothing may be null: `said` so, or by its schema. Structs by themselves.

        In a list they would compare themselves with null field by field.
        """
        plain, structs = [], []
        for path, schema in self._schemas.items():
            for field in schema.fields:
                inner, at = (*path, field.index), self._begins[path] + field.index
                if is_plainly_optional(field.schema) and Taken(inner) not in said:
                    continue
                if field.schema.type is not Type.STRUCT:
                    plain.append(at)
                elif inner not in self._begins:
                    structs.append(at)
        return plain, structs


def _struct(schema: Schema, values: Values) -> Struct:
    made = _new(Struct)
    made.schema = schema
    made.values = values
    return made


def _conversions(column: Column) -> list[Callable[[Any], Any]]:
    """The first one first."""
    found: list[Callable[[Any], Any]] = []
    while isinstance(column, Converted):
        found.insert(0, column.convert)
        column = column.column
    return found


def _picked(places: Sequence[int]) -> Callable[[Values], Sequence[Any]]:
    if not places:
        return lambda _values: ()
    if len(places) == 1:
        (only,) = places
        return lambda values: (values[only],)
    return itemgetter(*places)
