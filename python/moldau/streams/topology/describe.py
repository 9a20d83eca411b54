"""What a topology looks like, in the text of Kafka's `Topology#describe`, to the byte.

Nodes stand in the order of how much comes after them, the largest first, then by name; so do neighbours in a list. A
node that can be reached on two ways counts twice: that is how Kafka counts.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from moldau.streams.topology.java_order import hash_order
from moldau.streams.topology.nodes import GlobalStore, Node, SinkNode, SourceNode
from moldau.streams.topology.subtopology import SubTopology

_NOTHING: Final = "none"


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """One node with its neighbours by name: `kind` is Source, Processor or Sink, `detail` what stands in brackets."""

    kind: str
    name: str
    detail: str
    successors: tuple[str, ...]
    predecessors: tuple[str, ...]

    def __str__(self) -> str:
        after = "" if self.kind == "Sink" else f"\n      --> {_listed(self.successors)}"
        before = "" if self.kind == "Source" else f"\n      <-- {_listed(self.predecessors)}"
        return f"{self.kind}: {self.name} ({self.detail}){after}{before}"


@dataclass(frozen=True, slots=True)
class SubTopologyDescription:
    """One sub-topology: its number and its nodes."""

    id: int
    nodes: tuple[NodeDescription, ...]
    is_global: bool

    def __str__(self) -> str:
        if self.is_global:
            lines = "".join(f"    {node}\n" for node in self.nodes)
            return f"Sub-topology: {self.id} for global store (will not generate tasks)\n{lines}"
        return f"Sub-topology: {self.id}\n" + "".join(f"    {node}\n" for node in self.nodes) + "\n"


@dataclass(frozen=True, slots=True)
class TopologyDescription:
    """All sub-topologies; `str()` is Kafka's text."""

    sub_topologies: tuple[SubTopologyDescription, ...]

    def __str__(self) -> str:
        return "Topologies:\n " + "".join(f"  {part}" for part in self.sub_topologies)


def describe(groups: Iterable[SubTopology], global_stores: Iterable[GlobalStore]) -> TopologyDescription:
    """Describe each group; that of a global store is its source and its processor."""
    stores = {store.source: store for store in global_stores}
    return TopologyDescription(
        tuple(
            _global_group(group.id, next(stores[node.name] for node in group.nodes if node.name in stores))
            if group.is_global
            else _group(group)
            for group in groups
        )
    )


def _global_group(number: int, store: GlobalStore) -> SubTopologyDescription:
    source = NodeDescription("Source", store.source, f"topics: [{store.topic}]", (store.processor,), ())
    processor = NodeDescription("Processor", store.processor, f"stores: [{store.store}]", (), (store.source,))
    return SubTopologyDescription(number, (source, processor), is_global=True)


def _group(group: SubTopology) -> SubTopologyDescription:
    nodes = {node.name: node for node in group.nodes}
    parents = {node.name: () if isinstance(node, SourceNode) else node.parents for node in group.nodes}
    neighbours = _Neighbours(parents)
    in_order = sorted(nodes, key=neighbours.rank)
    described = tuple(
        NodeDescription(
            *_kind_and_detail(nodes[name]), tuple(neighbours.successors[name]), tuple(neighbours.predecessors[name])
        )
        for name in in_order
    )
    return SubTopologyDescription(group.id, described, is_global=False)


class _Neighbours:
    """Links between nodes, made in Kafka's order.

    The order matters: a neighbour is put in its place by the weights of that moment, which grow as links are added.
    """

    def __init__(self, parents: Mapping[str, tuple[str, ...]]) -> None:
        self._weights = dict.fromkeys(parents, 1)
        self.successors: dict[str, list[str]] = {name: [] for name in parents}
        self.predecessors: dict[str, list[str]] = {name: [] for name in parents}
        for name in hash_order(parents):
            for parent in parents[name]:
                self._insert(self.predecessors[name], parent)
                self._insert(self.successors[parent], name)
                self._weigh(parent, self._weights[name])

    def rank(self, name: str) -> tuple[int, str]:
        """What nodes are sorted by: the heavier first, then by name."""
        return -self._weights[name], name

    def _insert(self, names: list[str], name: str) -> None:
        if name not in names:
            bisect.insort(names, name, key=self.rank)

    def _weigh(self, name: str, weight: int) -> None:
        """A node and all that is above it so far get heavier, once per way up."""
        above = [name]
        while above:
            node = above.pop()
            self._weights[node] += weight
            above.extend(self.predecessors[node])


def _kind_and_detail(node: Node) -> tuple[str, str, str]:
    if isinstance(node, SourceNode):
        topics = node.pattern.pattern if node.pattern is not None else f"[{', '.join(hash_order(node.topics))}]"
        return "Source", node.name, f"topics: {topics}"
    if isinstance(node, SinkNode):
        detail = f"topic: {node.topic}" if isinstance(node.topic, str) else f"extractor class: {node.topic!r}"
        return "Sink", node.name, detail
    return "Processor", node.name, f"stores: [{', '.join(hash_order(node.stores))}]"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or _NOTHING
