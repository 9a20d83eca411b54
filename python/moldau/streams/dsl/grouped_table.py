"""`KGroupedTable`: rows under a new key, waiting for an aggregate that can add and take away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from moldau.streams.aggregations import Aggregates, Aggregation
from moldau.streams.dsl.abstract_stream import AbstractStream
from moldau.streams.dsl.callback import with_key
from moldau.streams.dsl.graph import Graph, GraphNode
from moldau.streams.dsl.grouped import stored_as
from moldau.streams.dsl.options import Materialized, Name, key_value_spec, name_of
from moldau.streams.dsl.repartition import SUFFIX
from moldau.streams.errors import TopologyError
from moldau.streams.operators.aggregates import (
    Aggregator,
    TableAggregate,
    minus_one,
    no_value,
    plus_one,
    reduction,
    zero,
)
from moldau.streams.serdes import Serde, SerdeLike, required, serde_of
from moldau.streams.serdes.change import change_serde
from moldau.streams.serdes.primitive import LONG
from moldau.streams.topology.nodes import RepartitionTopic
from moldau.streams.topology.topology import Topology

if TYPE_CHECKING:
    from moldau.streams.dsl.ktable import KTable

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class KGroupedTable(AbstractStream[K, V]):
    """Changes of rows, always through a repartition topic."""

    def __init__(
        self,
        graph: Graph,
        node: GraphNode,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        sources: frozenset[str],
        repartition_name: str | None,
    ) -> None:
        super().__init__(graph, node, key, value, sources)
        self._repartition_name = repartition_name
        self._repartition: GraphNode | None = None

    def count(
        self, materialized: Materialized[Any, Any] | None = None, *, name: Name = None, store: str | None = None
    ) -> KTable[K, int]:
        """How many rows there are per key."""
        stored = stored_as(materialized, store, self.key_serde, LONG)
        return self._table("AGGREGATE", name, stored, zero, plus_one, minus_one)

    def reduce(
        self,
        adder: Callable[[V, V], V],
        subtractor: Callable[[V, V], V],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]:
        """One value per key: `adder(held, new)` and `subtractor(held, old)`."""
        stored = stored_as(materialized, store, self.key_serde, self.value_serde)
        return self._table("REDUCE", name, stored, no_value, reduction(adder), reduction(subtractor))

    @overload
    def aggregate(
        self,
        initializer: Callable[[], A],
        adder: Callable[[K, V, A], A],
        subtractor: Callable[[K, V, A], A],
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
        adder: Callable[[V, A], A],
        subtractor: Callable[[V, A], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[K, A]: ...
    def aggregate(
        self,
        initializer: Callable[[], A],
        adder: Callable[..., A],
        subtractor: Callable[..., A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[K, A]:
        """One aggregate per key: `adder` and `subtractor` take `(key, value, aggregate)`, or no key."""
        stored = stored_as(materialized, store, self.key_serde, serde_of(value), initializer)
        return self._table("AGGREGATE", name, stored, initializer, with_key(adder), with_key(subtractor))

    def agg(self, *, store: str | None = None, name: Name = None, **parts: Aggregation) -> KTable[K, Any]:
        """Several aggregations at once, of sums, means and counts: `agg(stock=col.pieces.sum(), n=count())`."""
        aggregates = Aggregates(parts)
        if aggregates.one_way:
            raise TopologyError(
                f"{aggregates.one_way[0]} cannot be told without a row that is gone: it is a least or a greatest one\n"
                "hint: sum, mean and count can; aggregate(...) takes a function of yours that takes rows away"
            )
        stored = stored_as(None, store, self.key_serde, serde_of(aggregates.kind))
        return self._table("AGGREGATE", name, stored, no_value, aggregates.step, aggregates.without).results(
            aggregates, name
        )

    def _table(
        self,
        kind: str,
        name: Name,
        stored: Materialized[Any, Any],
        initializer: Callable[[], Any],
        adder: Aggregator,
        subtractor: Aggregator,
    ) -> KTable[K, Any]:
        from moldau.streams.dsl.ktable import KTable, table_node

        graph, given = self.graph, name_of(name)
        store_name = stored.name or graph.store_name("KTABLE-AGGREGATE-")
        sink = graph.name(given, "KSTREAM-SINK-", "-sink")
        source = graph.name(given, "KSTREAM-SOURCE-", "-source")
        node_name = graph.name(given, f"KTABLE-{kind}-")
        topic = f"{self._repartition_name or store_name}{SUFFIX}"
        if self._repartition is None or self._repartition_name is None:
            self._repartition = self._passage(sink, source, topic)
        graph.add(self.node, self._repartition)
        operator = TableAggregate(key_value_spec(stored, store_name), initializer, adder, subtractor)
        node = graph.add(self._repartition, table_node(node_name, operator))
        return KTable(graph, node, stored.key, stored.value, frozenset({source}), operator)

    def _passage(self, sink: str, source: str, topic: str) -> GraphNode:
        """A sink and a source of the topic; what goes through is changes, old and new value in one record."""
        changes = change_serde(required(self.value_serde, f"group_by ({topic})", "value"))

        def write(topology: Topology, parents: list[str]) -> None:
            topology.add_repartition_topic(RepartitionTopic(topic))
            topology.add_sink(sink, topic, *parents, key=self.key_serde, value=changes)
            topology.add_source(source, topic, key=self.key_serde, value=changes)

        return GraphNode(source, write)
