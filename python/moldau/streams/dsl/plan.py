"""A graph on its way into a topology: what one build may still rearrange.

The nodes are copies, so that a graph can be built again, also by other rules. They are written in the order of the
calls, but never before their parents, as Kafka's `InternalStreamsBuilder#buildAndOptimizeTopology` does it.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterator
from typing import Any

from moldau.streams.dsl.graph import Graph, GraphNode, SourceGraphNode
from moldau.streams.errors import TopologyError
from moldau.streams.topology.topology import Topology


class Plan:
    """The nodes of a graph with links of their own, and which sources must have equally many partitions."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        copies = {node: copy.copy(node) for node in (graph.root, *graph.nodes)}
        for node, own in copies.items():
            own.parents = [copies[parent] for parent in node.parents]
            own.children = [copies[child] for child in node.children]
        self.root = copies[graph.root]
        self.nodes = [copies[node] for node in graph.nodes]
        self.copartitioned = list(graph.copartitioned)

    def merge_sources(self) -> None:
        """Two sources that read the same topics become one."""
        by_topic: dict[Any, SourceGraphNode] = {}
        for node in list(self.root.children):
            if not isinstance(node, SourceGraphNode):
                continue
            source = node.source
            for topic in source.topics if source.pattern is None else (source.pattern,):
                first = by_topic.setdefault(topic, node)
                if first is node:
                    continue
                if first.source.topics != source.topics:
                    raise TopologyError(
                        f"topic {topic} is read by two sources that do not read the same topics\n"
                        "hint: one stream per topic, and merge(...) where they come together"
                    )
                self._take_over(first, node)
                break

    def _take_over(self, first: SourceGraphNode, other: SourceGraphNode) -> None:
        for child in list(other.children):
            other.remove_child(child)
            first.add_child(child)
        self.root.remove_child(other)
        self.rename_source(other.name, first.name)

    def rename_source(self, before: str, after: str) -> None:
        """What had to be as wide as one source has to be as wide as the one that took its place."""
        self.copartitioned = [
            frozenset(after if name == before else name for name in group) for group in self.copartitioned
        ]

    def filter_null_keys(self) -> None:
        """A repartition topic carries null keys only to joins that can use them (left and outer ones)."""
        for node in below(self.root):
            if node.repartition is not None:
                node.repartition.drops_null_keys = not any(one.relaxed_null_keys for one in below(node))

    def written(self) -> Topology:
        """Everything in a new topology."""
        topology = Topology()
        waiting: list[tuple[int, int, GraphNode]] = [(0, 0, self.root)]
        written: set[GraphNode] = set()
        count = 0
        while waiting:
            node = heapq.heappop(waiting)[2]
            if node in written or not written.issuperset(node.parents):
                continue
            node.write(topology, [parent.name for parent in node.parents if parent is not self.root])
            written.add(node)
            for child in node.children:
                count += 1
                heapq.heappush(waiting, (child.priority, count, child))
        for sources in self.copartitioned:
            topology.copartition_sources(sources)
        return topology


def below(node: GraphNode) -> Iterator[GraphNode]:
    """All nodes that records of this one can come to."""
    seen: set[int] = set()
    todo = list(node.children)
    while todo:
        child = todo.pop()
        if id(child) not in seen:
            seen.add(id(child))
            yield child
            todo.extend(child.children)
