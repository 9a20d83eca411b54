"""A topology: nodes added one by one, connected by name, and split into the sub-topologies that tasks are made of.

The rules and the order of sub-topologies are those of Kafka Streams' `InternalTopologyBuilder`: nodes that share an
edge or a store belong together, and groups are numbered by the first of their nodes that was added. An edge through a
topic does not join groups; that is what repartition topics are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moldau.streams.errors import TopologyError
from moldau.streams.operators.contract import Operator
from moldau.streams.serdes import SerdeLike, serde_of
from moldau.streams.topology.describe import TopologyDescription, describe
from moldau.streams.topology.groups import Groups
from moldau.streams.topology.nodes import (
    GlobalStore,
    Node,
    OffsetReset,
    Partitioner,
    ProcessorNode,
    RepartitionTopic,
    SinkNode,
    SourceNode,
    StoreSpec,
    TimestampExtractor,
    TopicChooser,
)
from moldau.streams.topology.picture import draw
from moldau.streams.topology.subtopology import SubTopology


class Topology:
    """The nodes, stores and internal topics of one application, in the order in which they were added."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.stores: dict[str, StoreSpec] = {}
        self.global_stores: dict[str, GlobalStore] = {}
        self.repartition_topics: dict[str, RepartitionTopic] = {}
        self.source_changelogs: dict[str, str] = {}
        """Stores that are restored from the topic that their table reads, so that they have no changelog."""
        self.copartitioned_sources: list[frozenset[str]] = []
        self.optimization: frozenset[str] = frozenset()
        """The rules of `topology.optimization` that it was built by."""
        self._groups = Groups()

    def add_source(
        self,
        name: str,
        *topics: str,
        key: SerdeLike[Any] | None = None,
        value: SerdeLike[Any] | None = None,
        pattern: re.Pattern[str] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
        offset_reset: OffsetReset | None = None,
    ) -> Topology:
        """Read `topics`, or those that match `pattern`, under a name; a topic has one source."""
        if not topics and pattern is None:
            raise TopologyError(f"source {name} reads no topic\nhint: name one, or give a pattern")
        for source in self.sources():
            taken = set(topics) & set(source.topics)
            if taken:
                raise TopologyError(
                    f"topic {min(taken)} is read by source {source.name} already\n"
                    "hint: read it once, and go on from that stream or table twice"
                )
        self._add(SourceNode(name, topics, serde_of(key), serde_of(value), pattern, timestamp_extractor, offset_reset))
        return self

    def add_processor(self, name: str, operator: Operator, *parents: str) -> Topology:
        """Put an operator behind its parents."""
        if not parents:
            raise TopologyError(f"processor {name} has no parent\nhint: name the node that it comes after")
        self._add(ProcessorNode(name, operator, parents))
        return self

    def add_sink(
        self,
        name: str,
        topic: str | TopicChooser,
        *parents: str,
        key: SerdeLike[Any] | None = None,
        value: SerdeLike[Any] | None = None,
        partitioner: Partitioner | None = None,
    ) -> Topology:
        """Write what the parents forward to a topic, or to the one that a function chooses per record."""
        if not parents:
            raise TopologyError(f"sink {name} has no parent\nhint: name the node that it comes after")
        self._add(SinkNode(name, topic, parents, serde_of(key), serde_of(value), partitioner))
        return self

    def add_state_store(self, spec: StoreSpec, *processors: str) -> Topology:
        """Add a store and connect processors to it; the same store may be added again."""
        known = self.stores.get(spec.name)
        if known is not None and known is not spec:
            raise TopologyError(f"there is a store {spec.name} already\nhint: give this one another name")
        self.stores[spec.name] = spec
        for processor in processors:
            self.connect(processor, spec.name)
        return self

    def connect(self, processor: str, *stores: str) -> Topology:
        """Let a processor use stores; all that use one store are in one sub-topology."""
        node = self.nodes.get(processor)
        if not isinstance(node, ProcessorNode):
            raise TopologyError(f"{processor} is not a processor of this topology, so no store can be connected to it")
        for store in stores:
            if store in self.global_stores:
                raise TopologyError(f"global store {store} is there for every processor; do not connect it")
            if store not in self.stores:
                raise TopologyError(
                    f"store {store} of processor {processor} has not been added\n"
                    "hint: add_state_store(...) before the processor that uses it"
                )
            users = self.users_of(store)
            if users:
                self._groups.unite(users[0], processor)
            if store not in node.stores:
                node.stores.append(store)
        return self

    def add_global_store(
        self,
        spec: StoreSpec,
        source: str,
        topic: str,
        processor: str,
        operator: Operator,
        *,
        key: SerdeLike[Any] | None = None,
        value: SerdeLike[Any] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
    ) -> Topology:
        """A store that every instance fills from all partitions of `topic` by itself."""
        self.add_source(source, topic, key=key, value=value, timestamp_extractor=timestamp_extractor)
        self._add(ProcessorNode(processor, operator, (source,), [spec.name]))
        self.stores[spec.name] = spec
        self.global_stores[spec.name] = GlobalStore(source, processor, spec.name, topic)
        return self

    def add_repartition_topic(self, topic: RepartitionTopic) -> None:
        """Declare an internal topic; its name on the cluster is prefixed with the application id."""
        self.repartition_topics.setdefault(topic.name, topic)

    def restore_from_source(self, store: str, topic: str) -> None:
        """The store holds nothing but the newest records of this topic: no changelog is written."""
        self.source_changelogs[store] = topic

    def copartition_sources(self, sources: Iterable[str]) -> None:
        """The topics of these source nodes must have equally many partitions; checked when the application starts."""
        self.copartitioned_sources.append(frozenset(sources))

    def sources(self) -> list[SourceNode]:
        """All source nodes in the order in which they were added."""
        return [node for node in self.nodes.values() if isinstance(node, SourceNode)]

    def users_of(self, store: str) -> list[str]:
        """The processors that are connected to a store."""
        return [node.name for node in self.nodes.values() if isinstance(node, ProcessorNode) and store in node.stores]

    def sub_topologies(self) -> list[SubTopology]:
        """The groups that become tasks, and those of global stores, numbered as Kafka numbers them."""
        global_sources = {store.source for store in self.global_stores.values()}
        return [
            SubTopology(
                number,
                tuple(self.nodes[name] for name in names),
                is_global=not global_sources.isdisjoint(names),
            )
            for number, names in enumerate(self._groups.in_order(self.nodes))
        ]

    def internal_topic(self, application_id: str, name: str) -> str:
        """The name of a topic on the cluster: internal ones carry the application id, others are what they are."""
        return f"{application_id}-{name}" if name in self.repartition_topics else name

    def changelog_topic(self, application_id: str, store: str) -> str | None:
        """The topic that a store is restored from: its own changelog, the topic that fills it, or None."""
        if store in self.global_stores:
            return self.global_stores[store].topic
        if store in self.source_changelogs:
            return self.source_changelogs[store]
        return f"{application_id}-{store}-changelog" if self.stores[store].logged else None

    def describe(self) -> TopologyDescription:
        """What was built, in the words of Kafka's `Topology#describe`; `str()` of it is Kafka's text."""
        return describe(self.sub_topologies(), self.global_stores.values())

    def svg(self) -> str:
        """What was built as a picture: sources, processors, stores and sinks of each sub-topology, as SVG."""
        return draw(self.sub_topologies())

    def _repr_svg_(self) -> str:
        """The picture, for notebooks."""
        return self.svg()

    def _add(self, node: Node) -> None:
        if node.name in self.nodes:
            raise TopologyError(f"there is a node {node.name} already\nhint: give this one another name")
        parents: Sequence[str] = () if isinstance(node, SourceNode) else node.parents
        for parent in parents:
            if parent == node.name or parent not in self.nodes:
                raise TopologyError(f"parent {parent} of {node.name} has not been added")
            if isinstance(self.nodes[parent], SinkNode):
                raise TopologyError(f"{node.name} cannot come after sink {parent}: nothing comes out of a sink")
        self.nodes[node.name] = node
        self._groups.add(node.name, parents)


def copartition_groups(topology: Topology) -> list[frozenset[str]]:
    """The topics that must have equally many partitions, one set per join, by their names in the topology."""
    by_name: Mapping[str, SourceNode] = {source.name: source for source in topology.sources()}
    groups = []
    for sources in topology.copartitioned_sources:
        topics = frozenset(topic for name in sources if name in by_name for topic in by_name[name].topics)
        if len(topics) > 1:
            groups.append(topics)
    return groups
