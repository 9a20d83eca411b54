"""Which partition a record goes to, where the one who produces decides it in Python.

Without a callable, librdkafka's `murmur2_random` decides: the hash of Kafka's Java clients, so that a key lands in the
same partition whichever language produced it. With a callable, `PartitionChooser` asks it once for each record that
has a key, as the guide writes it: `partitioner(key_bytes, all_partitions, available)`. Records without a key are not
asked about; they are spread as without a callable.

What is known of a topic's partitions is asked from the cluster once, and again when it has become old, so a topic that
grew is seen after `topic.metadata.refresh.interval.ms` and not at once, as in every Kafka client.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException

PARTITION_UNASSIGNED = -1
"""Tells librdkafka to choose."""

METADATA_RETRY_S = 0.1

Partitioner = Callable[[bytes, Sequence[int], Sequence[int]], int]
"""(key, all partitions of the topic, those that have a leader now) -> one of all partitions."""


ListTopics = Callable[..., Any]
"""(topic, timeout=seconds) -> ClusterMetadata of confluent-kafka, which does not export that name to type checkers."""


@dataclasses.dataclass(frozen=True, slots=True)
class KnownPartitions:
    """The partitions of one topic, sorted, and when they were asked for (seconds, monotonic)."""

    every: tuple[int, ...]
    members: frozenset[int]
    available: tuple[int, ...]
    asked_at_s: float


class PartitionChooser:
    """Asks a callable for the partition of a record; keeps what it needs to know of each topic."""

    def __init__(
        self,
        partitioner: Partitioner,
        list_topics: ListTopics,
        *,
        max_block_ms: int,
        max_age_ms: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._partitioner = partitioner
        self._list_topics = list_topics
        self._max_block_s = max_block_ms / 1000
        self._max_age_s = max_age_ms / 1000
        self._clock = clock
        self._sleep = sleep
        self._known: dict[str, KnownPartitions] = {}

    def choose(self, topic: str, key: str | bytes | None) -> int:
        """The partition for a record. Raises KafkaException if the topic cannot be looked up, ValueError if the
        callable answers something that is not a partition of the topic.
        """
        if key is None:
            return PARTITION_UNASSIGNED
        known = self._known.get(topic)
        if known is None or self._clock() - known.asked_at_s > self._max_age_s:
            known = self._known[topic] = self._ask(topic)
        partition = self._partitioner(key.encode() if isinstance(key, str) else key, known.every, known.available)
        if partition not in known.members:
            raise ValueError(
                f"the partitioner answered {partition!r} for topic {topic}, which has the partitions "
                f"{known.every[0]} to {known.every[-1]}: it must return one of all_partitions"
            )
        return partition

    def _ask(self, topic: str) -> KnownPartitions:
        """Asks until the topic has partitions: one that is created by being asked for has none at first."""
        deadline_s = self._clock() + self._max_block_s
        while True:
            left_s = max(deadline_s - self._clock(), 0.001)
            metadata = self._list_topics(topic, timeout=left_s).topics[topic]
            if metadata.error is None and metadata.partitions:
                every = tuple(sorted(metadata.partitions))
                available = tuple(number for number in every if metadata.partitions[number].leader >= 0)
                return KnownPartitions(every, frozenset(every), available, self._clock())
            if self._clock() + METADATA_RETRY_S >= deadline_s:
                raise KafkaException(metadata.error or KafkaError(KafkaError.LEADER_NOT_AVAILABLE, topic))
            self._sleep(METADATA_RETRY_S)
