"""What a consumer group sees of the cluster around it: topics, the settings of groups, and what needs compiled code.

The group machine decides about members; which topics there are is decided by the metadata machine. The shell hands in
a `Cluster` that shows the present state of the metadata image, so that a group can compare it with the state that its
target assignment was computed for. A hash of the topics is kept with the group, durably: that is how a group notices
after a restart that a topic has grown while it was away.

Source: `Utils.computeTopicHash` and `computeGroupHash` of Apache Kafka 4.3. The bytes must be Kafka's, or a node of
the other kind would rebalance every group once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from moldau.control.access.authorizer import Client


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as assignors see it."""

    name: str
    id: UUID
    partition_count: int
    racks: tuple[tuple[str, ...], ...] = ()
    """The racks of each partition's replicas; empty when no broker has a rack."""


class Cluster(Protocol):
    """The rest of the cluster, as it is at the time of the call."""

    @property
    def version(self) -> int:
        """A number that grows whenever a topic is created, changed or deleted (Kafka: offset of the metadata log)."""
        ...

    @property
    def version_of_new_topics(self) -> int:
        """The `version` at which a topic was last created."""
        ...

    def topic_named(self, name: str) -> TopicFacts | None: ...
    def topic_with(self, topic_id: UUID) -> TopicFacts | None: ...

    def problem_with(self, expression: str) -> str | None:
        """What is wrong with a regular expression (RE2 syntax); None when nothing is."""
        ...

    def topics_matching(self, expression: str, client: Client | None) -> frozenset[str]:
        """The names that a valid expression matches as a whole, but for those that `client` may not know of.

        The cost is linear in the length of all names.
        """
        ...

    def hash64(self, data: bytes) -> int:
        """XXH3, 64 bits, seed 0, as a signed number."""
        ...

    def hash_of(self, topic: TopicFacts) -> int:
        """`topic_hash` of a topic as it is now. Its cost is linear in the partitions, so it should be remembered."""
        ...

    def session_timeout_ms(self, group_id: str) -> int: ...
    def heartbeat_interval_ms(self, group_id: str) -> int: ...
    def assignment_interval_ms(self, group_id: str) -> int: ...


def metadata_hash(cluster: Cluster, topic_names: Iterable[str]) -> int:
    """The hash of those topics that exist; 0 when none does."""
    topics = (cluster.topic_named(name) for name in sorted(topic_names, key=_java_order))
    hashes = [cluster.hash_of(topic) for topic in topics if topic is not None]
    return cluster.hash64(struct.pack(f"<{len(hashes)}q", *hashes)) if hashes else 0


def topic_hash(hash64: Callable[[bytes], int], topic: TopicFacts) -> int:
    """Kafka's hash of one topic.

    Args:
        hash64: XXH3, 64 bits, seed 0, as a signed number.
    """
    # A version byte, the id as two longs, the name, the number of partitions, then number and racks of each.
    data = bytearray(b"\x00")
    data += topic.id.bytes[7::-1] + topic.id.bytes[:7:-1]
    data += _java_string(topic.name)
    data += struct.pack("<i", topic.partition_count)
    for partition in range(topic.partition_count):
        data += struct.pack("<i", partition)
        for rack in sorted(topic.racks[partition] if topic.racks else (), key=_java_order):
            data += struct.pack("<i", len(rack.encode("utf-16-le")) // 2) + _java_string(rack)
    return hash64(bytes(data))


def _java_string(text: str) -> bytes:
    """UTF-16 units and their number, as the hash library that Kafka uses feeds a string."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units + struct.pack("<i", len(units) // 2)


def _java_order(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
