"""What a reader of committed records gets."""

from __future__ import annotations

import time
import uuid

from confluent_kafka import Consumer, TopicPartition

WITHIN_S = 90
"""Apache Kafka's coordinator waits 30 s for the answer to a marker that a restart has swallowed, and sends it again."""


def committed(bootstrap_servers: str, topic: str, count: int) -> list[str]:
    """The values of a topic, partition by partition as they come; fewer than `count` when no more come in time.

    Then the reader's own statistics and errors are printed: a failing test shows them.
    """
    statistics: list[str] = []
    errors: list[str] = []
    reader = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"reader-{uuid.uuid4().hex[:8]}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "statistics.interval.ms": 5000,
            "stats_cb": statistics.append,
        }
    )
    partitions = reader.list_topics(topic, 30).topics[topic].partitions
    reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: list[str] = []
    deadline = time.monotonic() + WITHIN_S
    while len(found) < count and time.monotonic() < deadline:
        message = reader.poll(0.5)
        if message is None:
            continue
        if message.error() is None:
            found.append(message.value().decode())
        else:
            errors.append(str(message.error()))
    if len(found) < count:
        print(*errors, *statistics[-1:], sep="\n")
    # What is not committed would come now.
    extra = reader.consume(10, 0.5)
    reader.close()
    return found + [message.value().decode() for message in extra if message.error() is None]
