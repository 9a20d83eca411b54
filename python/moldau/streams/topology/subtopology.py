"""One group of connected nodes: what one task runs for one partition."""

from __future__ import annotations

from dataclasses import dataclass

from moldau.streams.topology.nodes import Node, ProcessorNode, SinkNode, SourceNode


@dataclass(frozen=True, slots=True)
class SubTopology:
    """A numbered group of nodes in the order in which they were added; `is_global` groups get no tasks."""

    id: int
    nodes: tuple[Node, ...]
    is_global: bool = False

    @property
    def source_topics(self) -> tuple[str, ...]:
        """What the tasks of this group read, by the names of the topology."""
        return tuple(topic for node in self.nodes if isinstance(node, SourceNode) for topic in node.topics)

    @property
    def sink_topics(self) -> tuple[str, ...]:
        """The fixed topics that the group writes to, by the names of the topology."""
        return tuple(node.topic for node in self.nodes if isinstance(node, SinkNode) and isinstance(node.topic, str))

    @property
    def store_names(self) -> tuple[str, ...]:
        """The stores that a task of this group opens."""
        names = (store for node in self.nodes if isinstance(node, ProcessorNode) for store in node.stores)
        return tuple(dict.fromkeys(names))
