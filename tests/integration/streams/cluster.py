"""What a user of a streams application does around it: make topics, write records, read what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from moldau.streams.runtime import KafkaStreams

WITHIN_S = 30.0


class Cluster:
    """A broker and clients of it."""

    def __init__(self, broker: Any, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.bootstrap = broker.bootstrap_servers
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self._apps: list[KafkaStreams] = []

    def create(self, partitions: int, *topics: str) -> None:
        for future in self.admin.create_topics([NewTopic(topic, partitions) for topic in topics]).values():
            future.result(WITHIN_S)

    def write(self, topic: str, records: Iterable[tuple[Any, ...]]) -> None:
        """Records are (key, value, timestamp), or with a partition as the fourth."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 1000000,
            }
        )
        errors = []

        def delivered(error, message):
            if error is not None:
                errors.append(error.str())

        for key, value, timestamp, *partition in records:
            producer.produce(topic, value, key, *partition, on_delivery=delivered, timestamp=timestamp)
        assert producer.flush(WITHIN_S) == 0
        assert not errors

    def read(self, topic: str) -> list[Any]:
        """Everything committed that is in a topic now, partition by partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "a-reader-without-commits",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        partitions = consumer.list_topics(topic, timeout=WITHIN_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found: dict[int, list[Any]] = {partition: [] for partition in partitions}
        open_ones = set(partitions)
        deadline = time.monotonic() + WITHIN_S
        while open_ones:
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            for message in consumer.consume(10000, 0.1):
                if message.error() is None:
                    found[message.partition()].append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    open_ones.discard(message.partition())
        consumer.close()
        return [message for partition in sorted(found) for message in found[partition]]

    def app(self, topology: Any, application_id: str, instance: str = "a", **settings: Any) -> KafkaStreams:
        """An instance with a folder of its own, closed when the test ends."""
        app = KafkaStreams(
            topology,
            application_id=application_id,
            bootstrap_servers=self.bootstrap,
            state_dir=str(self.folder / instance),
            **{"commit_interval_ms": 100, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500, **settings},
        )
        self._apps.append(app)
        return app

    def close(self) -> None:
        for app in self._apps:
            app.close()


def committed(cluster: Cluster, application_id: str) -> dict[tuple[str, int], int]:
    """The offsets of an application by topic and partition."""
    future = cluster.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(application_id)])[application_id]
    return {(one.topic, one.partition): one.offset for one in future.result(10).topic_partitions}


def eventually(condition: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return result
