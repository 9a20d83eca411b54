"""Reads what a lag is made of from any Kafka cluster, as an ordinary client that joins no group.

Committed offsets are read before the ends: what is committed in between makes the lag a little too large and never
negative. How long a group has been waiting is not on any server; one record is read where each group goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.connection import Connection
from moldau.cli.lag.arithmetic import Ends, FirstRecord, GroupPlace, Place, Sample
from moldau.cli.outcome import RefusedError
from moldau.cli.places import end_offsets, start_offsets
from moldau.internal_names import is_internal_group

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition
    from confluent_kafka.admin import AdminClient

PARTITIONS_AT_ONCE: Final = 500
"""How many partitions one consumer reads a record from; more would be answered in frames without end."""


class LagReader:
    """Samples groups again and again through one connection."""

    def __init__(
        self, connection: Connection, groups: Sequence[str], topics: Sequence[str], *, committed: bool
    ) -> None:
        """Prepare to read.

        Args:
            groups: their names; every group of the cluster that is somebody's when there is none.
            topics: only these topics, committed or not; those that a group has to do with when there is none.
            committed: whether groups read with isolation.level=read_committed.
        """
        self._connection = connection
        self._admin: AdminClient = connection.admin()
        self._groups = groups
        self._topics = topics
        self._committed = committed

    def sample(self) -> Sample:
        """Offsets of every group and partition now.

        Raises:
            RefusedError: there is no such group or topic.
            CommandError: the cluster cannot be asked.
        """
        groups = self._groups or self._all_groups()
        committed = dict(zip(groups, self._committed_by(groups), strict=True))
        assigned = self._assigned(groups)
        for group in self._groups:
            if not committed[group] and assigned[group] is None and not self._topics:
                raise RefusedError(f"there is no group {group}", "`moldau group list` shows those that there are")
        partitions = self._partitions()
        wanted: dict[GroupPlace, int | None] = {}
        for group in groups:
            known = {topic for topic, _ in committed[group]} | (assigned[group] or set())
            for topic in self._topics or sorted(known & partitions.keys()):
                # Every partition of the topic: one that nothing was committed in is the one that is forgotten.
                wanted |= {(group, topic, index): committed[group].get((topic, index)) for index in partitions[topic]}
        return Sample(time.monotonic(), wanted, self._ends({at[1:] for at in wanted}))

    def first_records(self, sample: Sample) -> dict[GroupPlace, FirstRecord | None]:
        """The record that each group reads next, where there may be one; partitions that do not answer are left out."""
        by_group: dict[str, dict[Place, int]] = {}
        for group, topic, partition in sample.committed:
            next_offset = sample.next_offset((group, topic, partition))
            if next_offset < sample.ends[topic, partition].end_offset:
                by_group.setdefault(group, {})[topic, partition] = next_offset
        found: dict[GroupPlace, FirstRecord | None] = {}
        for group, places in by_group.items():
            rows = list(places.items())
            for begin in range(0, len(rows), PARTITIONS_AT_ONCE):
                read = self._read_first(dict(rows[begin : begin + PARTITIONS_AT_ONCE]))
                found |= {(group, *place): record for place, record in read.items()}
        return found

    # Questions to the cluster

    def _all_groups(self) -> list[str]:
        listing = self._connection.answer(self._admin.list_consumer_groups(request_timeout=self._connection.timeout_s))
        return sorted(group.group_id for group in listing.valid if not is_internal_group(group.group_id))

    def _committed_by(self, groups: Sequence[str]) -> list[dict[Place, int]]:
        from confluent_kafka import ConsumerGroupTopicPartitions

        from moldau.client.coordinators import wait_for_coordinators

        timeout_s = self._connection.timeout_s
        self._connection.carry_out(lambda: wait_for_coordinators(self._admin, groups, timeout_s))
        asked = [self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]) for group in groups]
        answers = []
        for group, futures in zip(groups, asked, strict=True):
            places = self._connection.answer(futures[group]).topic_partitions or ()
            answers.append({(place.topic, place.partition): place.offset for place in places if place.offset >= 0})
        return answers

    def _assigned(self, groups: Sequence[str]) -> dict[str, set[str] | None]:
        """The topics that members of each group own; None for a group without members."""
        if not groups:
            return {}
        futures = self._admin.describe_consumer_groups(list(groups), request_timeout=self._connection.timeout_s)
        return {group: self._topics_of(future) for group, future in futures.items()}

    def _topics_of(self, future: Any) -> set[str] | None:
        try:
            members = self._connection.answer(future).members
        except RefusedError:
            # A group of another kind (Connect, share), or one that is gone: what it has committed is all there is.
            return None
        places = [member.assignment.topic_partitions for member in members if member.assignment is not None]
        return {place.topic for each in places for place in each} if members else None

    def _partitions(self) -> dict[str, list[int]]:
        metadata = self._connection.carry_out(lambda: self._admin.list_topics(timeout=self._connection.timeout_s))
        for topic in self._topics:
            if topic not in metadata.topics:
                raise RefusedError(f"there is no topic {topic}", "`moldau topic list` shows those that there are")
        return {name: sorted(topic.partitions) for name, topic in metadata.topics.items()}

    def _ends(self, places: Iterable[Place]) -> dict[Place, Ends]:
        places = sorted(places)
        first = start_offsets(self._admin, self._connection, places)
        high = end_offsets(self._admin, self._connection, places)
        end = end_offsets(self._admin, self._connection, places, committed=True) if self._committed else high
        # Asked one after the other: what was written in between is no transaction in doubt.
        return {place: Ends(first[place], end[place], max(high[place], end[place])) for place in places}

    def _read_first(self, starts: Mapping[Place, int]) -> dict[Place, FirstRecord | None]:
        from confluent_kafka import TopicPartition

        consumer = self._connection.consumer(
            "moldau-lag",
            **{
                "isolation.level": "read_committed" if self._committed else "read_uncommitted",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "queued.min.messages": 1,
                "fetch.message.max.bytes": 16_384,
            },
        )
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
            return self._collect(consumer, len(starts))
        finally:
            consumer.close()

    def _collect(self, consumer: Consumer, count: int) -> dict[Place, FirstRecord | None]:
        from confluent_kafka import KafkaError

        found: dict[Place, FirstRecord | None] = {}
        deadline = time.monotonic() + self._connection.timeout_s
        while len(found) < count and time.monotonic() < deadline:
            for message in consumer.consume(num_messages=count, timeout=0.2):
                place, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - it has no other name
                    raise self._connection.explained(error)
                if place not in found:
                    found[place] = _record(message) if error is None else None
                    consumer.pause([_place_of(message)])
        return found


def _place_of(message: Message) -> TopicPartition:
    from confluent_kafka import TopicPartition

    return TopicPartition(str(message.topic()), int(message.partition() or 0))


def _record(message: Message) -> FirstRecord:
    from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

    kind, timestamp_ms = message.timestamp()
    names = {TIMESTAMP_CREATE_TIME: "create-time", TIMESTAMP_LOG_APPEND_TIME: "append-time"}
    known = kind in names and timestamp_ms >= 0
    return FirstRecord(int(message.offset() or 0), timestamp_ms if known else None, names[kind] if known else None)
