"""What all threads of an application share: the topology and where it lies, the settings, who this process is."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
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
from moldau.streams.topology.topology import Topology

logger: Final = logging.getLogger("moldau.streams")


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

    @property
    def has_patterns(self) -> bool:
        """Whether a source reads whatever topics match a pattern."""
        return any(source.pattern is not None for source in self.topology.sources())

    def look_for_topics(self) -> bool:
        """Take up topics that have come since and match a pattern; whether there are any.

        What would change the application's own topics is left out until it is started again: a topic of another width
        beside a store, or upstream of a repartition topic.
        """
        if not self.has_patterns:
            return False
        try:
            found = lay_out(self.topology, existing_topics(self.admin), layout_options(self.settings))
        except StreamsError as error:
            logger.warning("topics that have come cannot be read: %s", error)
            return False
        now, then = set(found.input_topics), set(self.layout.input_topics)
        if not now > then:
            return False
        names = ", ".join(sorted(now - then))
        if found.internal_topics != self.layout.internal_topics:
            logger.warning("%s cannot be read: the application's own topics would have to change", names)
            return False
        logger.info("topics have come that are read from now on: %s", names)
        self.layout = found
        return True

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
