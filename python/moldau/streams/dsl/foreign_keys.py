"""Joins of tables by a foreign key: the nodes, two topics and the store between the two sides.

Names and numbers are those of Kafka's `KTableImpl#doJoinOnForeignKey`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moldau.streams.dsl.abstract_stream import processor_node
from moldau.streams.dsl.callback import joiner_of, takes_key
from moldau.streams.dsl.graph import Graph, GraphNode
from moldau.streams.dsl.options import Materialized, TableJoined, key_value_spec
from moldau.streams.operators.foreign_keys import (
    AnswerSubscribers,
    AnswerSubscription,
    Extractor,
    KeepSubscription,
    ResolveAnswer,
    SubscribeToForeign,
)
from moldau.streams.operators.tables import TableSource
from moldau.streams.serdes import Serde, required
from moldau.streams.serdes.foreign_key import response_serde, subscription_serde
from moldau.streams.serdes.primitive import BYTES, STRING
from moldau.streams.topology.nodes import Partitioner, RepartitionTopic, StoreSpec
from moldau.streams.topology.topology import Topology

if TYPE_CHECKING:
    from moldau.streams.dsl.ktable import KTable

_PREFIX = "KTABLE-FK-JOIN-"
_REGISTRATION = f"{_PREFIX}SUBSCRIPTION-REGISTRATION-"
_PROCESSOR = f"{_PREFIX}SUBSCRIPTION-PROCESSOR-"
_RESPONSE = f"{_PREFIX}SUBSCRIPTION-RESPONSE-"


def foreign_key_join(
    this: KTable[Any, Any],
    other: KTable[Any, Any],
    extractor: Callable[..., Any],
    joiner: Callable[[Any, Any], Any],
    joined: TableJoined,
    stored: Materialized[Any, Any],
    *,
    left: bool,
) -> KTable[Any, Any]:
    """The table of rows of `this` with those of `other` that their foreign keys name."""
    from moldau.streams.dsl.ktable import KTable, table_node

    other.operator.send_old_values(force=True)
    this.operator.send_old_values(force=True)
    parts = _Parts(this, other, extractor, joiner, joined, left=left)
    resolver = parts.add()
    graph = this.graph
    result = graph.name(joined.name, f"{_PREFIX}OUTPUT-", "-result")
    spec = key_value_spec(
        replace(stored, key=stored.key or this.key_serde), stored.name or graph.store_name(f"{_PREFIX}OUTPUT-")
    )
    operator = TableSource(spec, stored=stored.name is not None)
    node = graph.add(resolver, table_node(result, operator))
    return KTable(graph, node, spec.key, spec.value, parts.result_sources, operator)


class _Parts:
    """One join while it is put into the graph; all names are drawn first, in Kafka's order."""

    def __init__(
        self,
        this: KTable[Any, Any],
        other: KTable[Any, Any],
        extractor: Callable[..., Any],
        joiner: Callable[[Any, Any], Any],
        joined: TableJoined,
        *,
        left: bool,
    ) -> None:
        self._this = this
        self._other = other
        self._extractor: Extractor = extractor if takes_key(extractor) else lambda _, value: extractor(value)
        self._joiner = joiner_of(joiner)
        self._joined = joined
        self._left = left
        self._key: Serde[Any] = this.key_serde or STRING
        self._foreign: Serde[Any] = other.key_serde or STRING
        self._value = required(this.value_serde, f"the left table of a foreign-key join ({this.node.name})", "value")
        self._other_value = required(
            other.value_serde, f"the right table of a foreign-key join ({other.node.name})", "value"
        )
        self.result_sources: frozenset[str] = frozenset()

    def add(self) -> GraphNode:
        """Put all nodes into the graph; the last one gives the rows of the result."""
        graph, name = self._this.graph, self._name
        topic = f"{name('-subscription-registration', _REGISTRATION)}-topic"
        asked = graph.add(self._this.node, self._asking(name("-subscription-registration-processor", _REGISTRATION)))
        to_other = name("-subscription-registration-sink", "KTABLE-SINK-")
        from_this = name("-subscription-registration-source", "KTABLE-SOURCE-")
        source = _topic_between(
            graph,
            [asked],
            (to_other, topic, from_this),
            (self._foreign, subscription_serde(self._key)),
            _by_key_alone(self._joined.other_partitioner),
        )
        graph.copartitioned.append(self._other.sources | {from_this})
        answers = self._answering(source)
        response = f"{name('-subscription-response', _RESPONSE)}-topic"
        to_this = name("-subscription-response-sink", "KTABLE-SINK-")
        from_other = name("-subscription-response-source", "KTABLE-SOURCE-")
        source = _topic_between(
            graph,
            answers,
            (to_this, response, from_other),
            (self._key, response_serde(self._other_value)),
            _by_key_alone(self._joined.partitioner) or _to_who_asked,
        )
        self.result_sources = self._this.sources | {from_other}
        graph.copartitioned.append(self.result_sources)
        view = self._this.operator.view()
        resolver = name("-subscription-response-resolver", f"{_RESPONSE}RESOLVER-PROCESSOR-")
        operator = ResolveAnswer(view, self._value, self._joiner, self._left)
        return graph.add(source, processor_node(resolver, operator, view))

    def _name(self, suffix: str, prefix: str) -> str:
        return self._this.graph.name(self._joined.name, prefix, suffix)

    def _asking(self, name: str) -> GraphNode:
        this = self._this.operator
        return processor_node(name, SubscribeToForeign(this, self._extractor, self._foreign, self._value, self._left))

    def _answering(self, source: GraphNode) -> list[GraphNode]:
        """The nodes of the right side that answer: to a subscription, and to a change of the right row."""
        graph, key, foreign = self._this.graph, self._key, self._foreign
        store = StoreSpec(
            self._name("-subscription-store", f"{_PREFIX}SUBSCRIPTION-STATE-STORE-"),
            "timestamped",
            BYTES,
            subscription_serde(key),
        )
        receive = self._name("-subscription-receive", _PROCESSOR)
        kept = graph.add(source, _with_store(receive, KeepSubscription(store.name, foreign, key), store))
        view = self._other.operator.view()
        join_foreign = self._name("-subscription-join-foreign", _PROCESSOR)
        answered = graph.add(kept, processor_node(join_foreign, AnswerSubscription(view), view))
        foreign_join = self._name("-foreign-join-subscription", _PROCESSOR)
        operator = AnswerSubscribers(self._other.operator, store.name, foreign, key)
        told = graph.add(self._other.node, _with_store(foreign_join, operator, store))
        return [answered, told]


def _with_store(name: str, operator: Any, store: StoreSpec) -> GraphNode:
    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_processor(name, operator, *parents)
        topology.add_state_store(store, name)

    return GraphNode(name, write)


def _topic_between(
    graph: Graph,
    parents: list[GraphNode],
    names: tuple[str, str, str],
    serdes: tuple[Serde[Any], Serde[Any]],
    partitioner: Partitioner | None,
) -> GraphNode:
    """A sink, an internal topic, and a source of it; the source is returned."""
    sink_name, topic, source_name = names
    key, value = serdes

    def write_sink(topology: Topology, above: list[str]) -> None:
        topology.add_repartition_topic(RepartitionTopic(topic))
        topology.add_sink(sink_name, topic, *above, key=key, value=value, partitioner=partitioner)

    def write_source(topology: Topology, above: list[str]) -> None:
        topology.add_source(source_name, topic, key=key, value=value)

    sink = graph.add(parents, GraphNode(sink_name, write_sink))
    return graph.add(sink, GraphNode(source_name, write_source))


def _by_key_alone(partitioner: Partitioner | None) -> Partitioner | None:
    """The partitioner of a table's topic, without the value: that of the wire is not the table's."""
    if partitioner is None:
        return None
    return lambda topic, key, _, count: partitioner(topic, key, None, count)


def _to_who_asked(topic: str, key: Any, value: Any, partitions: int) -> int | None:
    partition: int | None = value.partition
    return partition
