"""What all threads of an application share: the topology and where it lies, the settings, who this process is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka.admin import AdminClient

from moldau.streams.persistent import is_on_disk
from moldau.streams.runtime.layout import Layout
from moldau.streams.runtime.settings import StreamsSettings
from moldau.streams.runtime.whereabouts import Whereabouts
from moldau.streams.state.contract import Store
from moldau.streams.topology.topology import Topology


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Environment:
    """Made once per application, read by all threads."""

    topology: Topology
    layout: Layout
    settings: StreamsSettings
    process_id: str
    admin: AdminClient
    global_stores: dict[str, Store] = field(default_factory=dict)
    """The stores of global tables, for every task to look into; they are there before the first task is made."""
    clock: Callable[[], int] = wall_clock_ms
    whereabouts: Whereabouts = field(default_factory=Whereabouts)

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
