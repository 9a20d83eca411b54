"""What columns know of an aggregate: which ones they can compute, and how values become the numbers of a program.

They compute `count()` and `agg(...)` with and without tumbling or hopping windows, by the key that records have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from moldau.streams.aggregations import Aggregates
from moldau.streams.dsl.windows import TimeWindows
from moldau.streams.operators.aggregates import NULL_DROPPED, Aggregator, StreamAggregate, plus_one
from moldau.streams.operators.record_cache import CACHED_KINDS
from moldau.streams.operators.time_windows import LATE_DROPPED, TimeWindowAggregate
from moldau.streams.operators.time_windows import NULL_DROPPED as NULL_KEY_DROPPED
from moldau.streams.serdes import Serde, primitive
from moldau.streams.topology.nodes import StoreSpec
from moldau.streams.trees import Tree

COUNT: Final[dict[str, Tree]] = {"count": ("count",)}
_DURATION_MAX: Final = 1 << 60
"""Longer windows are not computed with in 64 bits."""
_NUMBER_BYTES: Final = 8


class NotColumnarError(Exception):
    """A sub-topology is not for columns; the message says which part of it, and why."""


@dataclass(frozen=True, slots=True)
class ColumnAggregate:
    """One aggregate of a compiled sub-topology: its node, its store, and what a group holds.

    `trees` has the parts of a value by their names, `kind` is the struct that they are the fields of; None for a value
    that is its only part. `topics` are those that updates which leave the record cache go to as they are in the store;
    None if functions come behind it.
    """

    node: str
    spec: StoreSpec
    windows: TimeWindows | None
    trees: Mapping[str, Tree]
    kind: Any
    cached: bool
    topics: tuple[str, ...] | None = None

    @property
    def value_bytes(self) -> int:
        """About how long a value is when it is written."""
        return _NUMBER_BYTES * len(self.trees) + sum(len(name) + 4 for name in self.names or ())

    @property
    def names(self) -> list[str] | None:
        """What the parts are called where the value is written; None for a value that is its only part."""
        return None if self.kind is None else [field.encode_name for field in msgspec.structs.fields(self.kind)]

    @property
    def null_reason(self) -> str:
        """What is said of records that are dropped because something is null."""
        return NULL_DROPPED if self.windows is None else NULL_KEY_DROPPED

    @property
    def late_reason(self) -> str:
        """What is said of records that are dropped because they are late."""
        return LATE_DROPPED

    def value(self, parts: tuple[Any, ...]) -> Any:
        """The value of these parts."""
        return parts[0] if self.kind is None else self.kind(*parts)

    def parts(self, value: Any) -> tuple[Any, ...]:
        """The parts of a value."""
        return (value,) if self.kind is None else msgspec.structs.astuple(value)


def trees_of(aggregator: Aggregator) -> tuple[Any, Mapping[str, Tree]] | None:
    """The struct and the parts that an aggregator keeps, None if it is a function of somebody's own."""
    if aggregator is plus_one:
        return None, COUNT
    owner = getattr(aggregator, "__self__", None)
    return (owner.kind, owner.trees) if isinstance(owner, Aggregates) else None


def aggregated(
    operator: StreamAggregate | TimeWindowAggregate, node: str, key: Serde[Any] | None, *, caches: bool
) -> ColumnAggregate:
    """An aggregate for columns, by records' keys that are written as `key`.

    Raises:
        NotColumnarError: it has to be done record by record.
    """
    spec, known = operator.store, trees_of(operator.aggregator)
    assert spec is not None
    if known is None:
        raise NotColumnarError(f"{node} aggregates with a function of yours")
    kind, trees = known
    if spec.make is not None or spec.kind not in CACHED_KINDS:
        raise NotColumnarError(f"{node} has a store of the kind {spec.kind}")
    if spec.key is not key:
        raise NotColumnarError(f"{node} keeps keys otherwise than they were read")
    if kind is None and spec.value is not primitive.LONG:
        raise NotColumnarError(f"{node} keeps a count as {'nothing' if spec.value is None else spec.value.name}")
    windows = _windows_of(operator, node) if isinstance(operator, TimeWindowAggregate) else None
    return ColumnAggregate(node, spec, windows, trees, kind, cached=caches and spec.cached)


def _windows_of(operator: TimeWindowAggregate, node: str) -> TimeWindows:
    windows = operator.windows
    if not isinstance(windows, TimeWindows) or max(windows.size_ms, windows.grace_ms) > _DURATION_MAX:
        raise NotColumnarError(f"{node} has windows without an end")
    if operator.emit_on_close or operator.late is not None:
        raise NotColumnarError(f"{node} emits when windows close, or hands late records on")
    return windows
