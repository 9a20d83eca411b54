"""The graph behind the language: operations as they are called, and the topology that they become.

Calls only add nodes here and draw numbers; `build` writes them into a `Topology` afterwards, in the order of the calls
but never before their parents. Names and numbers are those of Kafka's `InternalStreamsBuilder`: a counter that every
generated name draws from, so that stores and topics keep their names as long as the calls keep their order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moldau.streams.errors import TopologyError
from moldau.streams.topology.nodes import SourceNode
from moldau.streams.topology.topology import Topology

Write = Callable[[Topology, list[str]], None]
"""`write(topology, parent_names)`: what a node puts into the topology."""


class GraphNode:
    """One operation: its name is that of the topology's node which its children come after."""

    def __init__(self, name: str, write: Write) -> None:
        self.name = name
        self.write = write
        self.parents: list[GraphNode] = []
        self.children: list[GraphNode] = []
        self.priority = -1
        self.relaxed_null_keys = False
        self.repartition: RepartitionParts | None = None
        self.grace_ms: int | None = None
        """Of a windowed aggregate: how long after its end a window closes."""

    def add_child(self, child: GraphNode) -> None:
        """Link both ways; a second link to the same child changes nothing."""
        if child not in self.children:
            self.children.append(child)
            child.parents.append(self)


class RepartitionParts:
    """What a repartition node can still change before it is written: whether its filter drops null keys."""

    def __init__(self) -> None:
        self.drops_null_keys = False


class SourceGraphNode(GraphNode):
    """A node that reads topics; two that read the same topics become one."""

    def __init__(self, source: SourceNode) -> None:
        super().__init__(source.name, self._write)
        self.source = source

    def _write(self, topology: Topology, parents: list[str]) -> None:
        write_source(topology, self.source)


def write_source(topology: Topology, node: SourceNode) -> None:
    """Add a source as it was described."""
    topology.add_source(
        node.name,
        *node.topics,
        key=node.key,
        value=node.value,
        pattern=node.pattern,
        timestamp_extractor=node.timestamp_extractor,
        offset_reset=node.offset_reset,
    )


def _write_nothing(topology: Topology, parents: list[str]) -> None:
    """The root is no node of the topology."""


class Graph:
    """All operations of one builder."""

    def __init__(self) -> None:
        self.root = GraphNode("root", _write_nothing)
        self.root.priority = 0
        self.copartitioned: list[frozenset[str]] = []
        self._numbers = 0
        self._priorities = 0

    def number(self, prefix: str) -> str:
        """A new generated name, such as KSTREAM-FILTER-0000000001."""
        name = f"{prefix}{self._numbers:010d}"
        self._numbers += 1
        return name

    def name(self, given: str | None, prefix: str, suffix: str = "") -> str:
        """The given name with its suffix, or a new one. A number is drawn either way: names later do not shift."""
        generated = self.number(prefix)
        return generated if given is None else f"{given}{suffix}"

    def store_name(self, prefix: str) -> str:
        """A new name for a store nobody named."""
        return self.number(f"{prefix}STATE-STORE-")

    def add(self, parents: GraphNode | Iterable[GraphNode], node: GraphNode) -> GraphNode:
        """Put a node behind its parents, in the order of calls."""
        for parent in [parents] if isinstance(parents, GraphNode) else parents:
            parent.add_child(node)
            self._priorities += 1
            node.priority = self._priorities
        return node

    def build(self) -> Topology:
        """Write everything into a new topology."""
        self._merge_sources()
        self._filter_null_keys()
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

    def _merge_sources(self) -> None:
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
        for child in other.children:
            child.parents.remove(other)
            first.add_child(child)
        other.children = []
        self.root.children.remove(other)
        self.copartitioned = [
            frozenset(first.name if name == other.name else name for name in group) for group in self.copartitioned
        ]

    def _filter_null_keys(self) -> None:
        """A repartition topic carries null keys only to joins that can use them (left and outer ones)."""
        for node in _below(self.root):
            if node.repartition is not None:
                node.repartition.drops_null_keys = not any(one.relaxed_null_keys for one in _below(node))


def grace_of(node: GraphNode) -> int:
    """How long after its end the windows of a table close: that of the aggregate above, the greatest of several.

    Raises TopologyError when there is none: then nothing says when a result is the last one.
    """
    if node.grace_ms is not None:
        return node.grace_ms
    if not node.parents:
        raise TopologyError(
            "only a table of windows can wait until they close, and this has none\n"
            "hint: Suppressed.until_time_limit(...), or group_by_key().windowed_by(...) before the aggregate"
        )
    return max(grace_of(parent) for parent in node.parents)


def _below(node: GraphNode) -> Iterator[GraphNode]:
    seen: set[int] = set()
    todo = list(node.children)
    while todo:
        child = todo.pop()
        if id(child) not in seen:
            seen.add(id(child))
            yield child
            todo.extend(child.children)
