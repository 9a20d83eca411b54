"""What columns know of a join with a table: how its joiner becomes expressions over one record.

A record looks up the row of its key in the task's store. Of the row only that is told which the joiner computes with:
a field, a field of a field, or the row itself, each found out once per row by a function. Then the joiner is an
expression like any other, with registers where the row was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.operators.contract import View
from moldau.streams.operators.table_joins import NULL_DROPPED
from moldau.streams.trees import Tree, compiled, no_field

_RIGHT: Final = ("right",)


@dataclass(frozen=True, slots=True)
class ColumnJoin:
    """One join of a compiled sub-topology: its node, the table, and what its joiner wants to know of a row."""

    node: str
    view: View
    wanted: tuple[Tree, ...]

    @property
    def null_reason(self) -> str:
        """What is said of records that are dropped because something is null."""
        return NULL_DROPPED

    def functions(self) -> list[Callable[[Any], Any]]:
        """What tells the wanted of a row, None of which stands for one that is not there."""
        return [compiled(tree, no_field, "right") for tree in self.wanted]


def of_row(tree: Tree) -> tuple[Tree, ...]:
    """What a joiner wants to know of a row, each once."""
    return tuple(dict.fromkeys(_of_row(tree)))


def _of_row(tree: Tree) -> Iterator[Tree]:
    if _is_of_row(tree):
        yield tree
        return
    for part in _parts(tree):
        yield from _of_row(part)


def names_of_record(tree: Tree) -> Iterator[str]:
    """The fields of the record that a joiner reads."""
    match tree:
        case ("part", ("left",), name):
            yield name
        case _:
            for part in _parts(tree):
                yield from names_of_record(part)


def over_one(tree: Tree, registers: Mapping[Tree, int], whole: int | None, node: str) -> Tree:
    """A joiner as an expression over the record: what is of the row is in `registers`, `whole` has the record's value.

    Raises:
        NotColumnarError: it takes the record's value, which is no register.
    """
    if _is_of_row(tree):
        return "register", registers[tree]

    def again(part: Tree) -> Tree:
        return over_one(part, registers, whole, node)

    match tree:
        case ("part", ("left",), name):
            return "field", name
        case ("left",):
            if whole is None:
                raise NotColumnarError(f"{node} takes the value of its records as a whole")
            return "register", whole
        case ("constant", _):
            return tree
        case ("part", one, name):
            return "part", again(one), name
        case ("make", kind, parts):
            return "make", kind, tuple((name, again(part)) for name, part in parts)
        case (what, *parts):
            return what, *(again(part) for part in parts)
    raise AssertionError(tree)


def _is_of_row(tree: Tree) -> bool:
    """Whether it is the row, a field of it, or whether that is null: a field that is not there is null only there."""
    match tree:
        case ("right",):
            return True
        case ("part", one, _) | ("is_null", one):
            return _is_of_row(one)
    return False


def _parts(tree: Tree) -> Iterator[Tree]:
    match tree:
        case ("constant" | "field", _) | ("left",):
            return
        case ("part", one, _):
            yield one
        case ("make", _, parts):
            yield from (part for _, part in parts)
        case (_, *parts):
            yield from parts
