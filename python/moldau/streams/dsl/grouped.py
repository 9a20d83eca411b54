"""`KGroupedStream`: records by key, waiting for an aggregate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from moldau.streams.aggregations import Aggregates, Aggregation
from moldau.streams.dsl.abstract_stream import AbstractStream
from moldau.streams.dsl.callback import with_key
from moldau.streams.dsl.graph import Graph, GraphNode, Passage
from moldau.streams.dsl.options import Materialized, Name, key_value_spec, name_of
from moldau.streams.dsl.repartition import repartition_node
from moldau.streams.dsl.windows import SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from moldau.streams.operators.aggregates import Aggregator, StreamAggregate, no_value, plus_one, reduction, zero
from moldau.streams.operators.tables import TableOperator
from moldau.streams.serdes import Serde, SerdeLike, serde_for_value, serde_of
from moldau.streams.serdes.primitive import LONG

if TYPE_CHECKING:
    from moldau.streams.dsl.cogrouped import CogroupedKStream
    from moldau.streams.dsl.ktable import KTable
    from moldau.streams.dsl.session_windowed import SessionWindowedKStream
    from moldau.streams.dsl.windowed import TimeWindowedKStream

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class KGroupedStream(AbstractStream[K, V]):
    """Records whose equal keys meet in one place, after a repartition topic if their keys were changed."""

    def __init__(
        self,
        graph: Graph,
        node: GraphNode,
        key: Serde[Any],
        value: Serde[Any] | None,
        sources: frozenset[str],
        *,
        repartition_required: bool,
        repartition_name: str | None,
    ) -> None:
        super().__init__(graph, node, key, value, sources)
        self.repartition_required = repartition_required
        self.repartition_name = repartition_name
        self._repartition: GraphNode | None = None

    def count(
        self, materialized: Materialized[Any, Any] | None = None, *, name: Name = None, store: str | None = None
    ) -> KTable[K, int]:
        """How many records there were per key."""
        stored = stored_as(materialized, store, self.key_serde, LONG)
        if materialized is not None and stored.name is None:
            self.graph.store_name("KSTREAM-AGGREGATE-")
        return self._table("AGGREGATE", name, stored, zero, plus_one)

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]:
        """One value per key, made of the one so far and each new one."""
        stored = stored_as(materialized, store, self.key_serde, self.value_serde)
        return self._table("REDUCE", name, stored, no_value, reduction(reducer))

    @overload
    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[K, A]: ...
    @overload
    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[V, A], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[K, A]: ...
    def aggregate(
        self,
        initializer: Callable[[], Any],
        aggregator: Callable[..., Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: Any = None,
    ) -> KTable[K, Any]:
        """One aggregate per key: `aggregator(key, value, aggregate)`, or without the key.

        The type of the aggregate is that of the first one, unless it is given.
        """
        stored = stored_as(materialized, store, self.key_serde, serde_of(value), initializer)
        return self._table("AGGREGATE", name, stored, initializer, with_key(aggregator))

    @overload
    def cogroup(self, aggregator: Callable[[K, V, A], A]) -> CogroupedKStream[K, A]: ...
    @overload
    def cogroup(self, aggregator: Callable[[V, A], A]) -> CogroupedKStream[K, A]: ...
    def cogroup(self, aggregator: Callable[..., Any]) -> CogroupedKStream[K, Any]:
        """The first of several grouped streams that make one aggregate: `aggregator` is how this one adds to it."""
        from moldau.streams.dsl.cogrouped import CogroupedKStream

        return CogroupedKStream(self, aggregator)

    @overload
    def windowed_by(self, windows: TimeWindows | UnlimitedWindows | SlidingWindows) -> TimeWindowedKStream[K, V]: ...
    @overload
    def windowed_by(self, windows: SessionWindows) -> SessionWindowedKStream[K, V]: ...
    def windowed_by(self, windows: Any) -> Any:
        """Group further by time."""
        from moldau.streams.dsl.windowed import windowed

        return windowed(self, windows)

    window = windowed_by

    def agg(self, *, store: str | None = None, name: Name = None, **parts: Aggregation) -> KTable[K, Any]:
        """Several aggregations at once: `agg(revenue=col.amount.sum(), n=count())` gives values with these fields."""
        aggregates = Aggregates(parts)
        stored = stored_as(None, store, self.key_serde, serde_of(aggregates.kind))
        return self._table("AGGREGATE", name, stored, no_value, aggregates.step).results(aggregates, name)

    def _table(
        self,
        kind: str,
        name: Name,
        stored: Materialized[Any, Any],
        initializer: Callable[[], Any],
        aggregator: Aggregator,
    ) -> KTable[K, Any]:
        store_name = stored.name or self.graph.store_name(f"KSTREAM-{kind}-")
        node_name = self.graph.name(name_of(name), f"KSTREAM-{kind}-")
        operator = StreamAggregate(key_value_spec(stored, store_name), initializer, aggregator)
        return self.table(node_name, operator, store_name, stored.key, stored.value)

    def table(
        self,
        name: str,
        operator: TableOperator,
        store_name: str,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
    ) -> KTable[Any, Any]:
        """The table of an aggregate of this group, behind a repartition topic if one is needed."""
        from moldau.streams.dsl.ktable import KTable, table_node

        parent, sources = self.repartitioned(store_name)
        node = self.graph.add(parent, table_node(name, operator))
        table: KTable[Any, Any] = KTable(self.graph, node, key, value, sources, operator)
        table.grouped_serdes = self.key_serde, self.value_serde
        return table

    def repartitioned(self, store_name: str) -> tuple[GraphNode, frozenset[str]]:
        """The node that an aggregate comes after, and its sources; a topic that was given a name is used again."""
        if not self.repartition_required:
            return self.node, self.sources
        prefix = self.repartition_name or store_name
        node = repartition_node(self.graph, prefix, Passage(self.key_serde, self.value_serde))
        if self._repartition is None or self.repartition_name is None:
            self._repartition = node
        self.graph.add(self.node, self._repartition)
        return self._repartition, frozenset({self._repartition.name})


def stored_as(
    materialized: Materialized[Any, Any] | None,
    store: str | None,
    key: Serde[Any] | None,
    value: Serde[Any] | None,
    initializer: Callable[[], Any] | None = None,
) -> Materialized[Any, Any]:
    """One set of options of both spellings, with types that are known from elsewhere where none was given."""
    given = materialized or Materialized()
    known = given.value or value
    if known is None and initializer is not None:
        known = serde_for_value(initializer())
    return replace(given, name=store or given.name, key=given.key or key, value=known)
