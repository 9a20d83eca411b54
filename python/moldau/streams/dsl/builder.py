"""`StreamsBuilder`: where a topology begins. Each call names a topic and gives a stream or a table of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, overload

from moldau.streams.dsl.global_table import GlobalKTable
from moldau.streams.dsl.graph import Graph, GraphNode, SourceGraphNode, write_source
from moldau.streams.dsl.grouped import stored_as
from moldau.streams.dsl.kstream import KStream
from moldau.streams.dsl.ktable import KTable
from moldau.streams.dsl.optimization import optimize, reuse_source_topics
from moldau.streams.dsl.options import Consumed, Materialized, key_value_spec
from moldau.streams.dsl.plan import Plan
from moldau.streams.operators.tables import TableSource
from moldau.streams.serdes import Serde, SerdeLike, serde_of
from moldau.streams.topology.nodes import SourceNode, StoreSpec
from moldau.streams.topology.optimization import NONE, SETTING, rules_of
from moldau.streams.topology.topology import Topology

K = TypeVar("K")
V = TypeVar("V")


class StreamsBuilder:
    """Collects the operations of one application; `build` makes its topology.

    A topic without `key=` has text keys. Values have no default: what JSON would make of them is not what was written.
    """

    def __init__(self) -> None:
        self.graph = Graph()

    @overload
    def stream(self, topic: str | Sequence[str] | re.Pattern[str], consumed: Consumed[K, V]) -> KStream[K, V]: ...
    @overload
    def stream(
        self, topic: str | Sequence[str] | re.Pattern[str], *, key: SerdeLike[K], value: SerdeLike[V]
    ) -> KStream[K, V]: ...
    @overload
    def stream(self, topic: str | Sequence[str] | re.Pattern[str], *, value: SerdeLike[V]) -> KStream[str, V]: ...
    @overload
    def stream(self, topic: str | Sequence[str] | re.Pattern[str]) -> KStream[str, Any]: ...
    def stream(
        self,
        topic: str | Sequence[str] | re.Pattern[str],
        consumed: Consumed[Any, Any] | None = None,
        *,
        key: Any = None,
        value: Any = None,
    ) -> KStream[Any, Any]:
        """The records of a topic, of several, or of all whose name matches a pattern."""
        read = _consumed(consumed, key, value)
        pattern = topic if isinstance(topic, re.Pattern) else None
        topics = () if isinstance(topic, re.Pattern) else (topic,) if isinstance(topic, str) else tuple(topic)
        return _stream(self.graph, topics, read, pattern)

    @overload
    def table(
        self,
        topic: str,
        consumed: Consumed[K, V],
        materialized: Materialized[Any, Any] | None = None,
        *,
        store: str | None = None,
    ) -> KTable[K, V]: ...
    @overload
    def table(
        self,
        topic: str,
        *,
        key: SerdeLike[K],
        value: SerdeLike[V],
        materialized: Materialized[Any, Any] | None = None,
        store: str | None = None,
    ) -> KTable[K, V]: ...
    @overload
    def table(
        self,
        topic: str,
        *,
        value: SerdeLike[V],
        materialized: Materialized[Any, Any] | None = None,
        store: str | None = None,
    ) -> KTable[str, V]: ...
    def table(
        self,
        topic: str,
        consumed: Consumed[Any, Any] | None = None,
        materialized: Materialized[Any, Any] | None = None,
        *,
        key: Any = None,
        value: Any = None,
        store: str | None = None,
    ) -> KTable[Any, Any]:
        """The newest value per key of a topic; with a name its store can be asked."""
        graph = self.graph
        read = _consumed(consumed, key, value)
        stored = stored_as(materialized, store, read.key, read.value)
        store_name = stored.name or graph.store_name(topic + "-")
        source_name = graph.name(read.name, "KSTREAM-SOURCE-", "-source")
        name = graph.name(read.name, "KTABLE-SOURCE-")
        operator = TableSource(key_value_spec(stored, store_name), stored=stored.name is not None)
        source = _source(source_name, (topic,), read)

        def write(topology: Topology, parents: list[str]) -> None:
            write_source(topology, source)
            topology.add_processor(name, operator, source_name)
            if operator.store is not None:
                topology.add_state_store(operator.store, name)

        node = graph.add(graph.root, GraphNode(name, write))
        node.table_source = operator, topic
        return KTable(graph, node, stored.key, stored.value, frozenset({source_name}), operator)

    @overload
    def global_table(
        self,
        topic: str,
        consumed: Consumed[K, V],
        materialized: Materialized[Any, Any] | None = None,
        *,
        store: str | None = None,
    ) -> GlobalKTable[K, V]: ...
    @overload
    def global_table(
        self,
        topic: str,
        *,
        key: SerdeLike[K],
        value: SerdeLike[V],
        materialized: Materialized[Any, Any] | None = None,
        store: str | None = None,
    ) -> GlobalKTable[K, V]: ...
    @overload
    def global_table(
        self,
        topic: str,
        *,
        value: SerdeLike[V],
        materialized: Materialized[Any, Any] | None = None,
        store: str | None = None,
    ) -> GlobalKTable[str, V]: ...
    def global_table(
        self,
        topic: str,
        consumed: Consumed[Any, Any] | None = None,
        materialized: Materialized[Any, Any] | None = None,
        *,
        key: Any = None,
        value: Any = None,
        store: str | None = None,
    ) -> GlobalKTable[Any, Any]:
        """A table of all partitions of a topic, on every instance."""
        graph = self.graph
        read = _consumed(consumed, key, value)
        stored = replace(stored_as(materialized, store, read.key, read.value), logged=False)
        store_name = stored.name or graph.store_name(topic + "-")
        source_name = graph.name(read.name, "KSTREAM-SOURCE-", "-source")
        name = graph.name(read.name, "KTABLE-SOURCE-")
        operator = TableSource(key_value_spec(stored, store_name), stored=True)

        def write(topology: Topology, parents: list[str]) -> None:
            assert operator.store is not None
            topology.add_global_store(
                operator.store,
                source_name,
                topic,
                name,
                operator,
                key=read.key,
                value=read.value,
                timestamp_extractor=read.timestamp_extractor,
            )

        graph.add(graph.root, GraphNode(name, write))
        return GlobalKTable(operator.view(), stored.name)

    def add_state_store(self, spec: StoreSpec) -> StreamsBuilder:
        """A store for `process()` to be connected to by name."""

        def write(topology: Topology, parents: list[str]) -> None:
            topology.add_state_store(spec)

        self.graph.add(self.graph.root, GraphNode(f"store {spec.name}", write))
        return self

    def build(self, config: Mapping[str, Any] | None = None, *, optimization: str | None = None) -> Topology:
        """The topology of everything that was called so far.

        Args:
            config: the settings of the application, of which `topology.optimization` counts here.
            optimization: the same alone: `none`, `all`, or rules of `dsl/optimization.py` with commas between.

        Raises:
            TopologyError: the calls do not make a topology.
            ValueError: there is no such optimisation.
        """
        given = optimization if optimization is not None else (config or {}).get(SETTING, NONE)
        try:
            rules = rules_of(given)
        except ValueError as error:
            raise ValueError(f"{SETTING} {error}") from None
        plan = Plan(self.graph)
        plan.merge_sources()
        optimize(plan, rules)
        plan.filter_null_keys()
        topology = plan.written()
        reuse_source_topics(plan, topology, rules)
        topology.optimization = rules
        return topology


def source_stream(graph: Graph, topic: str, key: Serde[Any] | None, value: Serde[Any] | None) -> KStream[Any, Any]:
    """A stream of one more topic in a graph that is being built."""
    return _stream(graph, (topic,), Consumed(key, value), None)


def _stream(
    graph: Graph, topics: tuple[str, ...], read: Consumed[Any, Any], pattern: re.Pattern[str] | None
) -> KStream[Any, Any]:
    name = graph.name(read.name, "KSTREAM-SOURCE-")
    node = graph.add(graph.root, SourceGraphNode(_source(name, topics, read, pattern)))
    return KStream(graph, node, read.key, read.value, frozenset({name}))


def _source(
    name: str, topics: tuple[str, ...], read: Consumed[Any, Any], pattern: re.Pattern[str] | None = None
) -> SourceNode:
    return SourceNode(name, topics, read.key, read.value, pattern, read.timestamp_extractor, read.offset_reset)


def _consumed(consumed: Consumed[Any, Any] | None, key: Any, value: Any) -> Consumed[Any, Any]:
    """One set of options of both spellings; keys are text when neither says otherwise."""
    read = consumed or Consumed()
    return replace(read, key=serde_of(key) or read.key or serde_of(str), value=serde_of(value) or read.value)
