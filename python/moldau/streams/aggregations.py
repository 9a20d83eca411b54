"""What is made of the values of a group: counts, sums, means, the least and the greatest, and several of them at once.

`None` counts for nothing in all of them but `count()`, which counts records. A group keeps numbers from which its
results can be told, with one value more, with one less, and of two sessions that became one: a mean keeps its sum and
how many values are in it, exactly, and is divided only when somebody wants to know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from moldau.streams.trees import Tree, mean_of

Number = int | float | str | None

Function = Callable[[Any], Any]
"""What one value counts for."""

SUM: Final = "sum"
COUNT: Final = "count"


@dataclass(frozen=True, slots=True)
class Kept:
    """One number of a group: where it begins, what a value adds, what two sessions make together, and what it is
    without a value that was in it (None: nobody can say).

    `tree` says the same for the second executor: `("count",)`, or `"sum"`, `"min"`, `"max"`, `"counted"` and what of.
    """

    first: Number
    step: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    tree: Tree
    without: Callable[[Any, Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One result of a group: the number itself, or of a mean the two that it is made of, by `SUM` and `COUNT`."""

    kept: Kept | Mapping[str, Kept]


def count() -> Aggregation:
    """How many records there are in a group."""
    return Aggregation(
        Kept(0, lambda held, _: held + 1, lambda one, other: one + other, ("count",), lambda held, _: held - 1)
    )


def sum_of(function: Function, tree: Tree) -> Aggregation:
    """The sum of what values count for."""
    return Aggregation(_sum(function, tree))


def mean_over(function: Function, tree: Tree) -> Aggregation:
    """The mean of what values count for, of none at all None."""
    return Aggregation({SUM: _sum(function, tree), COUNT: _counted(function, tree)})


def chosen(function: Function, tree: Tree, name: str, choose: Callable[[Any, Any], Any]) -> Aggregation:
    """What `choose`, which is min or max, takes of them."""

    def of_both(one: Any, other: Any) -> Any:
        if one is None or other is None:
            return one if other is None else other
        return choose(one, other)

    return Aggregation(Kept(None, lambda held, value: of_both(held, function(value)), of_both, (name, tree)))


def _sum(function: Function, tree: Tree) -> Kept:
    def step(held: Any, value: Any) -> Any:
        more = function(value)
        return held if more is None else held + more

    def without(held: Any, value: Any) -> Any:
        less = function(value)
        return held if less is None else held - less

    return Kept(0, step, lambda one, other: one + other, ("sum", tree), without)


def _counted(function: Function, tree: Tree) -> Kept:
    return Kept(
        0,
        lambda held, value: held if function(value) is None else held + 1,
        lambda one, other: one + other,
        ("counted", tree),
        lambda held, value: held if function(value) is None else held - 1,
    )


class Aggregates:
    """Several aggregations at once: what an `agg(...)` call keeps per group, a frozen struct with a field for each.

    A mean has two fields, and a property that tells it. `results` is then the tree of what goes on from the table: a
    struct with a field for each aggregation. Without a mean what is kept is what goes on, and `results` is None.
    """

    def __init__(self, parts: Mapping[str, Aggregation]) -> None:
        if not parts:
            raise ValueError("agg needs at least one aggregation\nhint: such as agg(total=col.amount.sum())")
        _check(parts)
        self._kept: dict[str, Kept] = {}
        self._written: dict[str, str] = {}
        told = {name: self._keep(name, part, parts) for name, part in parts.items()}
        means = {name: tree for name, tree in told.items() if tree[0] == "mean"}
        self.kind: Any = msgspec.defstruct(
            "Aggregates",
            [(name, Number) for name in self._kept],
            namespace={name: _property(tree) for name, tree in means.items()},
            rename=self._written or None,
            frozen=True,
        )
        self.trees = {name: kept.tree for name, kept in self._kept.items()}
        self.results: Tree | None = None
        if means:
            kind = msgspec.defstruct("Aggregates", [(name, Any) for name in parts], frozen=True)
            self.results = "make", kind, tuple(told.items())
        self._first = self.kind(*(kept.first for kept in self._kept.values()))
        self._steps = [(name, kept.step) for name, kept in self._kept.items()]
        self._merges = [(name, kept.merge) for name, kept in self._kept.items()]
        self._withouts = [(name, kept.without) for name, kept in self._kept.items() if kept.without is not None]
        self.one_way = [name for name, kept in self._kept.items() if kept.without is None]
        """The parts that no value can be taken out of again."""

    def _keep(self, name: str, part: Aggregation, parts: Mapping[str, Aggregation]) -> Tree:
        """Note what is kept for an aggregation; the tree that tells it."""
        if isinstance(part.kept, Kept):
            self._kept[name] = part.kept
            return "field", name
        fields = []
        for what, kept in part.kept.items():
            field = f"{name}_{what}"
            while field in parts or field in self._kept:
                field += "_"
            self._kept[field] = kept
            # No part can be called like that in JSON: names of parts have no dot.
            self._written[field] = f"{name}.{what}"
            fields.append(("field", field))
        return "mean", *fields

    def step(self, key: Any, value: Any, held: Any) -> Any:
        """With one value more; None is an empty group, which is no row of a table."""
        if held is None:
            held = self._first
        return self.kind(*[step(getattr(held, name), value) for name, step in self._steps])

    def without(self, key: Any, value: Any, held: Any) -> Any:
        """With one value less."""
        return self.kind(*[without(getattr(held, name), value) for name, without in self._withouts])

    def merge(self, key: Any, one: Any, other: Any) -> Any:
        """Of two sessions that became one; of none None."""
        if one is None:
            return other
        return self.kind(*[merge(getattr(one, name), getattr(other, name)) for name, merge in self._merges])


def _check(parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if not name.isidentifier():
            raise ValueError(f"{name!r} is not the name of a field")
        if not isinstance(part, Aggregation):
            raise TypeError(
                f"{name} is no aggregation: {part!r}\n"
                "hint: sum(), mean(), min() and max() of an expression are, such as col.amount.sum(), and so is count()"
            )


def _property(tree: Tree) -> property:
    _, (_, total), (_, how_many) = tree
    return property(lambda held: mean_of(getattr(held, total), getattr(held, how_many)))
