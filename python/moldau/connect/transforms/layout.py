"""Changes in a row as one: where each value comes from, worked out once for a schema.

Most of what transforms do to a struct is to put its values in other places. Each says so of columns
(`Changed.lay_out`), and what comes of a whole chain is then picked out of the first struct in one go. Whatever cannot
be said of columns, and each record with null where that means more than null, is left to the changes themselves: they
know the rules for defaults and for errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeAlias

from moldau.connect.data import Schema, Struct, Type
from moldau.connect.records import ConnectRecord

Values: TypeAlias = list[Any]
AtOnce: TypeAlias = Callable[[ConnectRecord], ConnectRecord | None]
"""The record that comes of one whose value is a struct of the schema; None if it has to go the long way."""

_new: Final = object.__new__


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
        self._first = schema
        self._fallible: list[Column] = []
        self._not_null: set[Column] = set()
        self._taken_apart: dict[tuple[int, ...], None] = {}
        """Paths of structs whose fields became columns: what is null in them counts though it is not kept."""
        self._note(schema)

    def become(self, schema: Schema, columns: Iterable[Column]) -> None:
        """What a change has made of the struct."""
        # What a conversion, or the record, says may be an error though a later change leaves it out.
        self._fallible += [each for each in self.columns if isinstance(each, OfRecord | Converted)]
        self.columns = list(columns)
        self.schema = schema
        self._note(schema)

    def _note(self, schema: Schema) -> None:
        for column, field in zip(self.columns, schema.fields, strict=True):
            origin = _origin(column)
            if isinstance(origin, Taken):
                self._taken_apart[origin.path[:-1]] = None
            if not is_plainly_optional(field.schema):
                self._not_null.add(origin)

    def at_once(self) -> AtOnce | None:
        """How a record is made of one with a struct of the first schema; None if that has to go the long way."""
        key_schema, key_columns = self.key or (None, [])
        kept = [*self.columns, *key_columns]
        if not all(_is_part_of(each, kept) for each in self._fallible):
            return None
        base = _Base(self._first, self._taken_apart)
        picked = _picked([base.place(_origin(each)) for each in kept])
        said = [
            (at, origin.said, origin in self._not_null)
            for at, each in enumerate(kept)
            if isinstance(origin := _origin(each), OfRecord)
        ]
        converted = [(at, convert) for at, each in enumerate(kept) for convert in _conversions(each)]
        opened, constants, schema, size = base.opened, base.constants, self.schema, len(self.columns)
        plain, structs = base.not_null(self._not_null)
        looked_at = _picked(plain)

        def at_once(record: ConnectRecord) -> ConnectRecord | None:
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

        return at_once


def within(column: Column, index: int) -> Taken:
    """A field of the struct in a column. Raises `NotOfColumnsError`."""
    if not isinstance(column, Taken):
        raise NotOfColumnsError
    return Taken((*column.path, index))


def is_plainly_optional(schema: Schema) -> bool:
    """Whether null in its place is null and no more: neither an error nor a default."""
    return schema.optional and schema.default_value is None


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


def _origin(column: Column) -> Taken | Constant | OfRecord:
    while isinstance(column, Converted):
        column = column.column
    return column


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
