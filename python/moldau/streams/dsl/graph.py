"""The graph behind the language: operations as they are called.

Calls only add nodes here and draw numbers; `plan` writes them into a `Topology` afterwards. Names and numbers are those
of Kafka's `InternalStreamsBuilder`: a counter that every generated name draws from, so that stores and topics keep
their names as long as the calls keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moldau.streams.errors import TopologyError
from moldau.streams.serdes import Serde
from moldau.streams.topology.nodes import Partitioner, SourceNode
from moldau.streams.topology.topology import Topology

if TYPE_CHECKING:
    from moldau.streams.operators.tables import TableOperator

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
        self.changes_keys = False
        self.changes_values = False
        self.is_merge = False
        """Whether streams come together here."""
        self.repartition: RepartitionParts | None = None
        self.stream_join: StreamJoinParts | None = None
        self.table_source: tuple[TableOperator, str] | None = None
        """Of a table that is read from a topic: its operator, and the topic."""
        self.grace_ms: int | None = None
        """Of a windowed aggregate: how long after its end a window closes."""

    def add_child(self, child: GraphNode) -> None:
        """Link both ways; a second link to the same child changes nothing."""
        if child not in self.children:
            self.children.append(child)
            child.parents.append(self)

    def remove_child(self, child: GraphNode) -> None:
        """Undo a link."""
        self.children.remove(child)
        child.parents.remove(self)


@dataclass(frozen=True, slots=True)
class Passage:
    """What goes through a repartition topic: the types, and how many partitions if somebody said so."""

    key: Serde[Any] | None
    value: Serde[Any] | None
    partitions: int | None = None
    partitioner: Partitioner | None = None


class RepartitionParts:
    """What of a repartition node counts before it is written: its topic, and whether its filter drops null keys."""

    def __init__(self, topic: str, passage: Passage, *, asked_for: bool) -> None:
        self.topic = topic
        self.passage = passage
        self.asked_for = asked_for
        """Whether `repartition()` was called; the others are only there because somebody needs equal keys together."""
        self.drops_null_keys = False


@dataclass(frozen=True, slots=True)
class StreamJoinParts:
    """What of a join of two streams can still become another node: with itself a stream needs only one store."""

    keeps_this: str
    keeps_other: str
    write_with_itself: Write


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
        self.nodes: dict[GraphNode, None] = {}
        """All but the root, in the order in which they were first added."""
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
        self.nodes.setdefault(node)
        return node


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
