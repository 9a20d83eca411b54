"""Repartition topics: where records go when their key has changed and somebody needs equal keys in one place."""

from __future__ import annotations

import re
from typing import Final

from moldau.streams.dsl.graph import Graph, GraphNode, Passage, RepartitionParts
from moldau.streams.operators.stateless import FilterNullKeys, PassThrough
from moldau.streams.topology.nodes import RepartitionTopic
from moldau.streams.topology.topology import Topology

SUFFIX: Final = "-repartition"
_GENERATED: Final = re.compile(r"KSTREAM.*-[0-9]{10}")


def repartition_node(graph: Graph, prefix: str, passage: Passage, *, asked_for: bool = False) -> GraphNode:
    """A node that is a filter, a sink to `<prefix>-repartition` and a source of it; its name is the source's.

    Three numbers are drawn also when the names come from the prefix, as in Kafka. The caller adds it to the graph.
    One that was not asked for by name, `repartition()`, may become one with others when the topology is optimised.
    """
    topic = prefix if prefix.endswith(SUFFIX) else prefix + SUFFIX
    sink, null_filter, source = (graph.number(f"KSTREAM-{part}-") for part in ("SINK", "FILTER", "SOURCE"))
    if not _GENERATED.fullmatch(prefix):
        sink, null_filter, source = f"{topic}-sink", f"{topic}-filter", f"{topic}-source"
    parts = RepartitionParts(topic, passage, asked_for=asked_for)

    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_repartition_topic(RepartitionTopic(topic, passage.partitions))
        topology.add_processor(null_filter, FilterNullKeys() if parts.drops_null_keys else PassThrough(), *parents)
        topology.add_sink(
            sink, topic, null_filter, key=passage.key, value=passage.value, partitioner=passage.partitioner
        )
        topology.add_source(source, topic, key=passage.key, value=passage.value)

    node = GraphNode(source, write)
    node.repartition = parts
    return node
