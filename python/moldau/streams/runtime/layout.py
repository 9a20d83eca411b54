"""How a topology lies on a cluster: how many tasks, which internal topics, how many partitions each.

Pure decisions from the topology and the partition counts of its input topics. The rules are those of Kafka Streams'
`RepartitionTopics`, `CopartitionedTopicsEnforcer` and `InternalTopicConfig`: a repartition topic has as many partitions
as the widest input of those who write to it, unless it was told or is joined with something; a changelog has one per
task; topic settings are Kafka's, so that an application of either kind takes over from the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from moldau.internal_names import is_internal_topic
from moldau.streams.errors import CopartitionError, StreamsError, TopologyError
from moldau.streams.topology.nodes import Node, SourceNode, StoreSpec
from moldau.streams.topology.subtopology import SubTopology
from moldau.streams.topology.topology import Topology, copartition_groups

_INT64_MAX: Final = 2**63 - 1
_REPARTITION_CONFIG: Final = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "retention.ms": "-1",
    "segment.bytes": "52428800",
}
_SEPARATE_RETENTION: Final = frozenset({"window", "session", "join_window"})


class TaskId(NamedTuple):
    """A task: the number of its sub-topology and its partition. As text Kafka's: `0_3`."""

    sub_topology: int
    partition: int

    def __str__(self) -> str:
        return f"{self.sub_topology}_{self.partition}"


class MissingTopicsError(StreamsError):
    """Input topics are not on the cluster; `topics` has their names."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = tuple(sorted(topics))
        names = ", ".join(self.topics)
        super().__init__(
            f"there {'is no topic' if len(self.topics) == 1 else 'are no topics'} {names}\n"
            f"hint: create what the application reads before it starts: moldau topic create {' '.join(self.topics)}"
        )


@dataclass(frozen=True, slots=True)
class InternalTopic:
    """A topic that belongs to the application. `config` has only what is set for it."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SubTopologyLayout:
    """One sub-topology on the cluster: `topics` maps the cluster's names of its inputs to the topology's."""

    id: int
    nodes: tuple[Node, ...]
    topics: Mapping[str, str]
    partitions: Mapping[str, int]
    stores: tuple[str, ...]

    @property
    def tasks(self) -> int:
        """How many tasks there are: one per partition of the widest input."""
        return max(self.partitions.values())

    def inputs(self, partition: int) -> list[str]:
        """The cluster's names of the topics that have this partition."""
        return [topic for topic, count in self.partitions.items() if partition < count]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. Names of topics are the cluster's."""

    sub_topologies: tuple[SubTopologyLayout, ...]
    repartition_topics: tuple[InternalTopic, ...]
    changelog_topics: tuple[InternalTopic, ...]
    changelogs: Mapping[str, str]
    """Store to the topic that its changes are written to, and that it is restored from."""
    source_changelogs: Mapping[str, str] = field(default_factory=dict)
    """Store to the input topic that it is restored from, as far as that was worked on; nothing is written for it."""
    global_sub_topologies: tuple[SubTopologyLayout, ...] = ()
    """What every instance reads as a whole; they have no tasks."""

    @property
    def input_topics(self) -> list[str]:
        """What the consumers subscribe to."""
        return sorted({topic for sub in self.sub_topologies for topic in sub.topics})

    @property
    def internal_topics(self) -> tuple[InternalTopic, ...]:
        """All topics that the application creates."""
        return (*self.repartition_topics, *self.changelog_topics)

    def sub_topology_of(self, topic: str) -> SubTopologyLayout:
        """The sub-topology that reads a topic."""
        return next(sub for sub in self.sub_topologies if topic in sub.topics)

    @property
    def global_stores(self) -> list[str]:
        """The stores that every instance has as a whole."""
        return [store for sub in self.global_sub_topologies for store in sub.stores]

    @property
    def stores(self) -> list[str]:
        """All stores by name."""
        return sorted({*self.global_stores, *(store for sub in self.sub_topologies for store in sub.stores)})

    def sub_topology_with(self, store: str) -> SubTopologyLayout:
        """The sub-topology whose tasks have a store; raises StreamsError that lists the stores there are."""
        for sub in (*self.sub_topologies, *self.global_sub_topologies):
            if store in sub.stores:
                return sub
        known = ", ".join(self.stores)
        raise StreamsError(f"there is no store {store}\nhint: there are: {known or 'none'}")


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """What of the settings a layout depends on."""

    application_id: str
    additional_retention_ms: int = 86_400_000
    topic_config: Mapping[str, str] = field(default_factory=dict)


def lay_out(topology: Topology, existing: Mapping[str, int], options: LayoutOptions) -> Layout:
    """The layout of a topology; `existing` has the partition counts of the cluster's topics.

    Raises:
        MissingTopicsError: an input topic is not there.
        CopartitionError: two sides of a join have different numbers of partitions.
    """
    offered = _offered_to_patterns(topology, existing, options.application_id)
    subs = [_resolve_patterns(sub, offered) for sub in topology.sub_topologies()]
    external = {topic for sub in subs for topic in sub.source_topics if topic not in topology.repartition_topics}
    missing = external - existing.keys()
    if missing:
        raise MissingTopicsError(missing)
    counts = {topic: existing[topic] for topic in external}
    running = [sub for sub in subs if not sub.is_global]
    counts.update(_repartition_counts(topology, running, counts))
    _copartition(topology, counts)

    def on_cluster(topic: str) -> str:
        return topology.internal_topic(options.application_id, topic)

    def layout_of(sub: SubTopology) -> SubTopologyLayout:
        return SubTopologyLayout(
            sub.id,
            sub.nodes,
            {on_cluster(topic): topic for topic in sub.source_topics},
            {on_cluster(topic): counts[topic] for topic in sub.source_topics},
            tuple(store for store in sub.store_names if sub.is_global or store not in topology.global_stores),
        )

    layouts = tuple(layout_of(sub) for sub in running)
    _check_widths(layouts)
    return Layout(
        layouts,
        tuple(
            InternalTopic(on_cluster(name), counts[name], {**_REPARTITION_CONFIG, **options.topic_config})
            for name in topology.repartition_topics
        ),
        *_changelogs(topology, layouts, options),
        {store: on_cluster(topic) for store, topic in topology.source_changelogs.items()},
        tuple(layout_of(sub) for sub in subs if sub.is_global),
    )


def _offered_to_patterns(topology: Topology, existing: Iterable[str], application_id: str) -> list[str]:
    """The topics that a pattern may match: neither the cluster's own, nor those that the application makes itself."""
    own = {topology.internal_topic(application_id, name) for name in topology.repartition_topics}
    stores = topology.stores.keys() - topology.source_changelogs.keys()
    own |= {topology.changelog_topic(application_id, store) or "" for store in stores}
    return sorted(topic for topic in existing if topic not in own and not is_internal_topic(topic))


def _resolve_patterns(sub: SubTopology, offered: Iterable[str]) -> SubTopology:
    """The sub-topology with the topics that are there now in place of patterns."""

    def resolve(node: Node) -> Node:
        if not isinstance(node, SourceNode) or node.pattern is None:
            return node
        matching = tuple(topic for topic in offered if node.pattern.fullmatch(topic))
        if not matching:
            raise MissingTopicsError([node.pattern.pattern])
        return replace(node, topics=matching)

    return replace(sub, nodes=tuple(resolve(node) for node in sub.nodes))


def _repartition_counts(topology: Topology, subs: list[SubTopology], counts: Mapping[str, int]) -> dict[str, int]:
    """Partition counts of the repartition topics: as told, else those of the widest input upstream."""
    known = dict(counts)
    known.update((name, topic.partitions) for name, topic in topology.repartition_topics.items() if topic.partitions)
    open_ones = [name for name in topology.repartition_topics if name not in known]
    upstream = {
        name: [topic for sub in subs if name in sub.sink_topics for topic in sub.source_topics] for name in open_ones
    }
    while open_ones:
        ready = [name for name in open_ones if upstream[name] and known.keys() >= set(upstream[name])]
        # The two topics of a foreign-key join lead to each other: then what is known of the inputs has to do.
        ready = ready or [name for name in open_ones if not known.keys().isdisjoint(upstream[name])][:1]
        if not ready:
            raise TopologyError(
                f"the partitions of {', '.join(open_ones)} depend on each other\n"
                "hint: give one of them a number: `.repartition(Repartitioned.number_of_partitions(n))`"
            )
        for name in ready:
            known[name] = max(known[topic] for topic in upstream[name] if topic in known)
            open_ones.remove(name)
    return {name: known[name] for name in topology.repartition_topics}


def _copartition(topology: Topology, counts: dict[str, int]) -> None:
    """Give joined repartition topics the number of their partners; refuse input topics that differ."""
    for group in copartition_groups(topology):
        fixed = {
            topic: counts[topic]
            for topic in group
            if topic not in topology.repartition_topics or topology.repartition_topics[topic].partitions
        }
        if len(set(fixed.values())) > 1:
            raise CopartitionError(fixed)
        wanted = next(iter(fixed.values()), max(counts[topic] for topic in group))
        for topic in group:
            counts[topic] = wanted


def _check_widths(layouts: Iterable[SubTopologyLayout]) -> None:
    """A key would have a state in the task of one topic's partition and another one in that of the other's."""
    for sub in layouts:
        if sub.stores and len(set(sub.partitions.values())) > 1:
            raise CopartitionError(dict(sub.partitions))


def _changelogs(
    topology: Topology, layouts: Iterable[SubTopologyLayout], options: LayoutOptions
) -> tuple[tuple[InternalTopic, ...], dict[str, str]]:
    topics: list[InternalTopic] = []
    changelogs: dict[str, str] = {}
    for sub in layouts:
        for store in sub.stores:
            topic = topology.changelog_topic(options.application_id, store)
            if topic is not None and store not in topology.source_changelogs:
                changelogs[store] = topic
                topics.append(InternalTopic(topic, sub.tasks, changelog_config(topology.stores[store], options)))
    return tuple(topics), changelogs


def changelog_config(spec: StoreSpec, options: LayoutOptions) -> dict[str, str]:
    """Kafka's topic settings of a store's changelog: compacted, and for windows deleted after their retention."""
    config = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
    if spec.kind == "versioned" and spec.retention_ms is not None:
        config["min.compaction.lag.ms"] = str(min(spec.retention_ms + options.additional_retention_ms, _INT64_MAX))
    elif spec.kind in _SEPARATE_RETENTION and spec.retention_ms is not None:
        config["cleanup.policy"] = "compact,delete"
        config["retention.ms"] = str(min(spec.retention_ms + options.additional_retention_ms, _INT64_MAX))
    return {**config, **options.topic_config, **spec.log_config}
