"""What all threads of an application share: the topology and where it lies, the settings, who this process is."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka.admin import AdminClient

from moldau.streams.errors import StreamsError
from moldau.streams.persistent import is_on_disk
from moldau.streams.runtime.internal_topics import existing_topics
from moldau.streams.runtime.layout import Layout, LayoutOptions, lay_out
from moldau.streams.runtime.settings import StreamsSettings
from moldau.streams.runtime.whereabouts import Whereabouts
from moldau.streams.state.contract import Store
from moldau.streams.topology.nodes import SourceNode
from moldau.streams.topology.topology import Topology

logger: Final = logging.getLogger("moldau.streams")

GONE_AFTER_MS: Final = 10_000
"""So long a topic has to be missing before it counts as deleted: a node that has just started knows few topics."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def layout_options(settings: StreamsSettings) -> LayoutOptions:
    """What of the settings the layout depends on."""
    return LayoutOptions(
        settings.application_id, settings.windowstore_changelog_additional_retention_ms, settings.topic_config
    )


@dataclass(slots=True)
class Environment:
    """Made once per application, read by all threads. Only `look_for_topics` changes it."""

    topology: Topology
    layout: Layout
    """Where the topology lies; another one takes its place when topics come that a pattern matches."""
    settings: StreamsSettings
    process_id: str
    admin: AdminClient
    global_stores: dict[str, Store] = field(default_factory=dict)
    """The stores of global tables, for every task to look into; they are there before the first task is made."""
    clock: Callable[[], int] = wall_clock_ms
    whereabouts: Whereabouts = field(default_factory=Whereabouts)
    _missing_since: dict[str, int] = field(default_factory=dict)

    @property
    def has_patterns(self) -> bool:
        """Whether a source reads whatever topics match a pattern."""
        return any(source.pattern is not None for source in self.topology.sources())

    def is_by_pattern(self, topic: str) -> bool:
        """Whether an input topic, by the cluster's name, is read because it matches a pattern and not by its name.

        One that is not read any more was: another thread has just found that it is gone.
        """
        sub = next((sub for sub in self.layout.sub_topologies if topic in sub.topics), None)
        if sub is None:
            return True
        sources = [node for node in sub.nodes if isinstance(node, SourceNode) and sub.topics[topic] in node.topics]
        return any(source.pattern is not None for source in sources)

    def look_for_topics(self) -> bool:
        """Take up topics that have come since and match a pattern, give up those that are gone; whether there are any.

        What would change the application's own topics is left out until it is started again: a topic of another width
        beside a store, or upstream of a repartition topic. One that is gone is then not read, and nothing else changes.
        """
        if not self.has_patterns:
            return False
        try:
            existing = existing_topics(self.admin)
            found = lay_out(
                self.topology,
                {**self._missing_just_now(existing), **existing},
                layout_options(self.settings),
            )
        except StreamsError as error:
            logger.warning("the topics that are there now cannot be read: %s", error)
            return False
        now, then = set(found.input_topics), set(self.layout.input_topics)
        if now == then:
            return False
        came, gone = ", ".join(sorted(now - then)), ", ".join(sorted(then - now))
        if found.internal_topics != self.layout.internal_topics:
            logger.warning(
                "the application goes on as it is: for the topics that have come (%s) or are gone (%s) its own topics "
                "would have to change",
                came or "none",
                gone or "none",
            )
            return False
        if came:
            logger.info("topics have come that are read from now on: %s", came)
        if gone:
            logger.warning("topics are gone, and the others are read on: %s", gone)
        self.layout = found
        return True

    def _missing_just_now(self, existing: Mapping[str, int]) -> dict[str, int]:
        """Input topics that are missing, but not for long: they may well be there."""
        now = self.clock()
        widths = {topic: count for sub in self.layout.sub_topologies for topic, count in sub.partitions.items()}
        missing = [topic for topic in widths if topic not in existing and self.is_by_pattern(topic)]
        self._missing_since = {topic: self._missing_since.get(topic, now) for topic in missing}
        return {topic: widths[topic] for topic, since in self._missing_since.items() if now - since < GONE_AFTER_MS}

    @property
    def may_miss_topics(self) -> bool:
        """Whether a topic was missing just now, so that it is worth to look again after `GONE_AFTER_MS`."""
        return any(self.clock() - since < GONE_AFTER_MS for since in self._missing_since.values())

    def on_cluster(self, topic: str) -> str:
        """The cluster's name of a topic of the topology."""
        return self.topology.internal_topic(self.settings.application_id, topic)

    def is_on_disk(self, stores: Iterable[str]) -> bool:
        """Whether any of these stores is kept on disk."""
        return any(is_on_disk(self.topology.stores[name]) for name in stores)

    def client_id(self, thread: int, role: str) -> str:
        """A client's name, as Kafka Streams names it."""
        name = self.settings.client_id or f"{self.settings.application_id}-{self.process_id}"
        return f"{name}-StreamThread-{thread}-{role}"

    @property
    def global_client_id(self) -> str:
        """The name of the client that reads global tables."""
        name = self.settings.client_id or f"{self.settings.application_id}-{self.process_id}"
        return f"{name}-global-consumer"

    def transactional_id(self, thread: int) -> str:
        """The name under which a thread's transactions are known, and its zombies fenced."""
        return f"{self.settings.application_id}-{self.process_id}-{thread}"


@dataclass(slots=True)
class ThreadCounts:
    """What one thread has done; read by anybody, written by the thread."""

    commits: int = 0
    commit_s: float = 0.0
    polls: int = 0
    process_s: float = 0.0
    records: int = 0
    rebalances: int = 0
    restored: int = 0
    sent: int = 0
    tasks_closed: int = 0
    tasks_created: int = 0

    def as_dict(self) -> dict[str, Any]:
        """By name."""
        return dataclasses.asdict(self)
