"""What there is at the end: records of the topics, rows of the lake, offsets of the sink's group."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import fastavro
import pyarrow.parquet as pq
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.fault.connect.numbers import TOPIC
from tests.fault.connect.parts import PARTITIONS, SINK, TOPICS
from tests.fault.connect.verdict import TOMBSTONE, Event, Place, Row
from tests.fault.records import PATIENT
from tests.fault.workloads.ending import ends_of

PLACES = [TopicPartition(topic, number, 0) for topic in TOPICS for number in range(PARTITIONS)]


class Reader:
    """Reads the topics on and on; `events` are all so far, those of a partition in their order."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "judge",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # Markers of transactions take offsets too: only the end of a partition tells about them.
                "enable.partition.eof": True,
                **PATIENT,
            }
        )
        self._consumer.assign(PLACES)
        self.events: list[Event] = []
        self._next: dict[Place, int] = {}

    def read_to_the_end(self) -> None:
        """Take in what there is now."""
        ends = self.ends()
        deadline = time.monotonic() + 60
        while any(self._next.get(place, 0) < end for place, end in ends.items()):
            assert time.monotonic() < deadline, f"read up to {self._next} of {ends}"
            for message in self._consumer.consume(5000, 0.2):
                place, error = (message.topic(), message.partition()), message.error()
                if error is None:
                    self._next[place] = message.offset() + 1
                    self.events.append(event_of(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._next[place] = message.offset()
                else:
                    raise KafkaException(error)

    def ends(self) -> dict[Place, int]:
        found = {topic: ends_of(self._bootstrap_servers, topic, PARTITIONS) for topic in TOPICS}
        return {(topic, number): end for topic, ends in found.items() for number, end in enumerate(ends)}

    def close(self) -> None:
        self._consumer.close()


def numbers_in(bootstrap_servers: str) -> list[tuple[str, str]]:
    """Keys and values of the numbers that are committed, those of a partition in their order."""
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": "judge", "isolation.level": "read_committed"}
    consumer = Consumer({**settings, "enable.partition.eof": True, **PATIENT})
    consumer.assign([TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)])
    found: list[tuple[str, str]] = []
    ended: set[int] = set()
    deadline = time.monotonic() + 60
    while len(ended) < PARTITIONS:
        assert time.monotonic() < deadline, f"{TOPIC} was not read to its end"
        for message in consumer.consume(5000, 0.2):
            if message.error() is not None:
                ended.add(message.partition())
            else:
                found.append((message.key().decode(), message.value().decode()))
    consumer.close()
    return found


def event_of(message: Message) -> Event:
    topic = message.topic()
    place = (topic, message.partition(), message.offset(), TOPICS[topic])
    key = json.loads(message.key())["payload"]["id"]
    if message.value() is None:
        return Event(*place, key, TOMBSTONE)
    value = json.loads(message.value())["payload"]
    after, source = value["after"], value["source"]
    tag = None if after is None else after["tag"]
    return Event(*place, key, value["op"], source["txId"], source["lsn"], tag)


def rows_of(objects: Mapping[str, bytes]) -> list[Row]:
    """The records in all objects of a lake."""
    found = []
    for name, content in objects.items():
        for value in _values(name, content):
            row = value["after"] or value["before"]
            place = (value["kafka_topic"], value["kafka_partition"], value["kafka_offset"])
            found.append(Row(*place, value["op"], row["id"], name))
    return found


def _values(name: str, content: bytes) -> Iterable[dict[str, Any]]:
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(content)).to_pylist()  # type: ignore[no-any-return]
    if name.endswith(".avro"):
        return fastavro.reader(io.BytesIO(content))  # type: ignore[return-value]
    return map(json.loads, content.splitlines())


def committed_offsets(bootstrap_servers: str) -> dict[Place, int]:
    """What the group of the sink has; 0 where it has nothing."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **PATIENT})
    places = [TopicPartition(each.topic, each.partition) for each in PLACES]
    group = f"connect-{SINK}"
    answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])[group].result(30)
    return {(each.topic, each.partition): max(each.offset, 0) for each in answer.topic_partitions}
