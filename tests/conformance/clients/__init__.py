"""Real Kafka clients behind one set of verbs, so that each behaviour is written down once and tried on all of them.

A test says `client.produce(...)`, `client.join(...)`, `client.commit(...)`; the classes of this package carry that out
with confluent-kafka, aiokafka, kafka-python, kcat, kafkajs, franz-go or the Java client. Nothing here knows our broker:
the same tests run against Apache Kafka, which is how we know that they are right.

What a client cannot do is declared in its `lacks`, with the reason; a test that needs it is skipped with that sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

Start = str | int
"""Where to begin: "earliest", "latest", or a timestamp in milliseconds."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record, text on both sides so that it survives JSON."""

    value: str | None
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    partition: int | None = None
    timestamp_ms: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class MemberState:
    """What a group member has seen so far."""

    partitions: frozenset[int]
    rebalances: int
    """How often the client was handed an assignment."""
    records: int
    """How many records the member was given since it joined."""


class ClientError(Exception):
    """The broker refused; `code` is Kafka's name of the error, in capitals."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass
class Client:
    """The verbs. `bootstrap_servers` is the broker under test."""

    bootstrap_servers: str
    name: ClassVar[str] = ""
    group_protocol: ClassVar[str] = "classic"
    """What its members join with: "classic" or "consumer" (KIP-848)."""
    compressions: ClassVar[frozenset[str]] = frozenset({"none", "gzip", "snappy", "lz4", "zstd"})
    lacks: ClassVar[Mapping[str, str]] = {}
    """Ability to the reason why this client does not have it. Abilities: see the keys used in the tests."""
    version: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Open what the client needs, and note its version."""

    def produce(self, topic: str, records: Sequence[Record], compression: str = "none") -> list[tuple[int, int]]:
        """Send with an idempotent producer and acks=all; return (partition, offset) of each record, in order."""
        raise NotImplementedError

    def consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int = 10_000
    ) -> list[Record]:
        """Read without a group until `count` records came or the time is over."""
        raise NotImplementedError

    def offset_of(self, topic: str, partition: int, at: Start) -> int | None:
        """Offset of the beginning, the end, or the first record not older than a timestamp; None if there is none."""
        raise NotImplementedError

    def join(self, member: str, group: str, topic: str, instance_id: str | None = None) -> None:
        """Start a group member that polls in the background; it reads from the earliest offset.

        A `topic` that begins with `^` is a regular expression, for clients that do not lack `regex`.
        """
        raise NotImplementedError

    def state(self, member: str) -> MemberState:
        """What the member has now."""
        raise NotImplementedError

    def commit(self, member: str) -> None:
        """Commit what the member was given so far."""
        raise NotImplementedError

    def leave(self, member: str) -> None:
        """Close the member as its library does: a dynamic member leaves the group, a static one does not.

        Does nothing when the member left before.
        """
        raise NotImplementedError

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """Committed offsets of a group; partitions without one are left out."""
        raise NotImplementedError

    def open_transaction(self, name: str, transactional_id: str, topic: str, values: Sequence[str]) -> None:
        """Start a transactional producer, begin a transaction and write to partition 0; it stays open under `name`."""
        raise NotImplementedError

    def end_transaction(self, name: str, *, commit: bool) -> None:
        """Commit or abort it and close its producer."""
        raise NotImplementedError

    def transform(
        self, group: str, transactional_id: str, source: str, target: str, count: int, *, commit: bool
    ) -> None:
        """Read `count` records of `source` for a group, write them to `target` with their values in capitals, and end
        that and the group's offsets as one transaction."""
        raise NotImplementedError

    def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str] | None = None) -> None:
        """Create with replication factor 1."""
        raise NotImplementedError

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has."""
        raise NotImplementedError

    def topic_config(self, topic: str) -> dict[str, str]:
        """The topic's effective settings."""
        raise NotImplementedError

    def set_topic_config(self, topic: str, key: str, value: str) -> None:
        """Change one setting."""
        raise NotImplementedError

    def grow_topic(self, topic: str, partitions: int) -> None:
        """Raise the number of partitions to `partitions`."""
        raise NotImplementedError

    def delete_topic(self, topic: str) -> None:
        """Delete the topic."""
        raise NotImplementedError

    def groups(self) -> set[str]:
        """Names of all groups."""
        raise NotImplementedError

    def delete_group(self, group: str) -> None:
        """Delete an empty group."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of connections and members."""
