"""Several grouped streams that make one aggregate, each with its own way to add to it: `CogroupedKStream`.

All of them write into one store; what comes out of their nodes is merged into one table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from moldau.streams.dsl.abstract_stream import processor_node
from moldau.streams.dsl.callback import with_key
from moldau.streams.dsl.graph import GraphNode, Passage
from moldau.streams.dsl.grouped import KGroupedStream, stored_as
from moldau.streams.dsl.ktable import KTable, table_node
from moldau.streams.dsl.options import Materialized, Name, key_value_spec, name_of
from moldau.streams.dsl.repartition import repartition_node
from moldau.streams.dsl.window_stores import session_store
from moldau.streams.dsl.windowed import AlignedWindows, aligned_aggregate, aligned_key, aligned_store
from moldau.streams.dsl.windows import SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from moldau.streams.operators.aggregates import Aggregator, StreamAggregate
from moldau.streams.operators.sessions import SessionAggregate
from moldau.streams.operators.tables import TableOperator, TablePassThrough
from moldau.streams.serdes import Serde, SerdeLike, Windowed, serde_of, session_windowed_serde

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")

_AGGREGATE = "COGROUPKSTREAM-AGGREGATE-"
_MERGE = "COGROUPKSTREAM-MERGE-"


class CogroupedKStream(Generic[K, A]):
    """Grouped streams with one key, waiting for their common aggregate."""

    def __init__(self, grouped: KGroupedStream[K, Any], aggregator: Callable[..., A]) -> None:
        self.first = grouped
        self._aggregators: dict[KGroupedStream[K, Any], Aggregator] = {}
        self._parents: dict[KGroupedStream[K, Any], tuple[GraphNode, frozenset[str]]] = {}
        self.cogroup(grouped, aggregator)

    @overload
    def cogroup(self, grouped: KGroupedStream[K, V], aggregator: Callable[[K, V, A], A]) -> CogroupedKStream[K, A]: ...
    @overload
    def cogroup(self, grouped: KGroupedStream[K, V], aggregator: Callable[[V, A], A]) -> CogroupedKStream[K, A]: ...
    def cogroup(self, grouped: KGroupedStream[K, Any], aggregator: Callable[..., A]) -> CogroupedKStream[K, A]:
        """One more stream: `aggregator(key, value, aggregate)`, or without the key, adds its records."""
        self._aggregators[grouped] = with_key(aggregator)
        return self

    def aggregate(
        self,
        initializer: Callable[[], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[K, A]:
        """One aggregate per key of all streams; its type is that of the first one, unless it is given."""
        stored = self.stored_as(materialized, store, value, initializer)
        spec = key_value_spec(stored, self.store_name(stored))
        return self.table(name, spec.name, lambda add: StreamAggregate(spec, initializer, add), stored.key, stored)

    @overload
    def windowed_by(
        self, windows: TimeWindows | UnlimitedWindows | SlidingWindows
    ) -> TimeWindowedCogroupedKStream[K, A]: ...
    @overload
    def windowed_by(self, windows: SessionWindows) -> SessionWindowedCogroupedKStream[K, A]: ...
    def windowed_by(self, windows: Any) -> Any:
        """Group further by time."""
        if isinstance(windows, TimeWindows | UnlimitedWindows | SlidingWindows):
            return TimeWindowedCogroupedKStream(self, windows)
        if isinstance(windows, SessionWindows):
            return SessionWindowedCogroupedKStream(self, windows)
        raise TypeError(f"windows are needed here, such as TimeWindows.of_size_with_no_grace('1h'), not {windows!r}")

    window = windowed_by

    def stored_as(
        self,
        materialized: Materialized[Any, Any] | None,
        store: str | None,
        value: SerdeLike[Any] | None,
        initializer: Callable[[], Any],
    ) -> Materialized[Any, Any]:
        """How the aggregate is kept; keys are those of the first stream."""
        return stored_as(materialized, store, self.first.key_serde, serde_of(value), initializer)

    def store_name(self, stored: Materialized[Any, Any]) -> str:
        """The name that was given to the store, or a new one."""
        return stored.name or self.first.graph.store_name(_AGGREGATE)

    def table(
        self,
        name: Name,
        store_name: str,
        operator_of: Callable[[Aggregator], TableOperator],
        key: Serde[Any] | None,
        stored: Materialized[Any, Any],
    ) -> KTable[Any, Any]:
        """A node per stream, `operator_of(aggregator)`, and one where they are merged into a table."""
        graph, given = self.first.graph, name_of(name)
        parents = self._behind_repartition_topics(store_name)
        operators, nodes = [], []
        for number, (grouped, aggregator) in enumerate(self._aggregators.items()):
            operator = operator_of(aggregator)
            node_name = graph.name(given, _AGGREGATE, f"-cogroup-agg-{number}")
            operators.append(operator)
            nodes.append(graph.add(parents[grouped][0], table_node(node_name, operator)))
        merged = TablePassThrough(operators)
        node = graph.add(nodes, processor_node(graph.name(given, _MERGE, "-cogroup-merge"), merged))
        sources = frozenset[str]().union(*(parent_sources for _, parent_sources in parents.values()))
        return KTable(graph, node, key, stored.value, sources, merged)

    def _behind_repartition_topics(
        self, store_name: str
    ) -> dict[KGroupedStream[K, Any], tuple[GraphNode, frozenset[str]]]:
        """Where each stream comes out with equal keys in one place; a second aggregate uses the same topics again."""
        graph = self.first.graph
        for grouped in self._aggregators:
            if not grouped.repartition_required:
                self._parents[grouped] = grouped.node, grouped.sources
                continue
            passage = Passage(grouped.key_serde, grouped.value_serde)
            node = repartition_node(graph, grouped.repartition_name or store_name, passage)
            if grouped not in self._parents:
                graph.add(grouped.node, node)
                self._parents[grouped] = node, frozenset({node.name})
        graph.copartitioned.append(frozenset[str]().union(*(sources for _, sources in self._parents.values())))
        return self._parents


class TimeWindowedCogroupedKStream(Generic[K, A]):
    """Cogrouped streams by key and window."""

    def __init__(self, cogrouped: CogroupedKStream[K, A], windows: AlignedWindows) -> None:
        self._cogrouped = cogrouped
        self._windows = windows

    def aggregate(
        self,
        initializer: Callable[[], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[Windowed[K], A]:
        """One aggregate per key and window of all streams."""
        cogrouped, windows = self._cogrouped, self._windows
        stored = cogrouped.stored_as(materialized, store, value, initializer)
        spec = aligned_store(windows, stored, cogrouped.store_name(stored), emits_on_close=False)
        return cogrouped.table(
            name,
            spec.name,
            lambda add: aligned_aggregate(windows, spec, initializer, add),
            aligned_key(windows, stored),
            stored,
        )


class SessionWindowedCogroupedKStream(Generic[K, A]):
    """Cogrouped streams by key and session."""

    def __init__(self, cogrouped: CogroupedKStream[K, A], windows: SessionWindows) -> None:
        self._cogrouped = cogrouped
        self._windows = windows

    def aggregate(
        self,
        initializer: Callable[[], A],
        merger: Callable[..., A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[Windowed[K], A]:
        """One aggregate per key and session; `merger(key, one, other)`, or without the key, joins two sessions."""
        cogrouped, gap, grace = self._cogrouped, self._windows.gap_ms, self._windows.grace_ms
        stored = cogrouped.stored_as(materialized, store, value, initializer)
        spec = session_store(stored, cogrouped.store_name(stored), gap + grace, emits_on_close=False)
        merge = with_key(merger)
        return cogrouped.table(
            name,
            spec.name,
            lambda add: SessionAggregate(spec, gap, grace, initializer, add, merge, emit_on_close=False),
            None if stored.key is None else session_windowed_serde(stored.key),
            stored,
        )
