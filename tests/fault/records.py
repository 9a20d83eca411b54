"""Numbered records: written so that the acknowledged ones are known, read back so that loss and repetition show."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PATIENT = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0}
TIMEOUT_S = 30.0


def create_topic(bootstrap_servers: str, topic: str, partitions: int = 1, **configs: str) -> None:
    """Create it and wait until it has its partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **PATIENT})
    config = {key.replace("_", "."): value for key, value in configs.items()}
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while len(admin.list_topics(topic, TIMEOUT_S).topics[topic].partitions) < partitions:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def produce(
    bootstrap_servers: str, topic: str, values: list[str], partition: int = 0, timeout_ms: int = 20_000
) -> tuple[list[str], list[str]]:
    """Send in lots of ten, each a batch of its own; the values acknowledged and the names of errors."""
    # The lot waits for its flush: without a linger its first record may leave alone.
    settings = {"bootstrap.servers": bootstrap_servers, "linger.ms": 500, "delivery.timeout.ms": timeout_ms, **PATIENT}
    producer = Producer({**settings, "enable.idempotence": True})
    acknowledged: list[str] = []
    errors: list[str] = []

    def report(error: object, message: Message) -> None:
        if error is None:
            acknowledged.append(message.value().decode())
        else:
            errors.append(error.name())  # type: ignore[attr-defined]

    for start in range(0, len(values), 10):
        for value in values[start : start + 10]:
            producer.produce(topic, value, partition=partition, on_delivery=report)
        producer.flush(timeout_ms / 1000 + 5)
        if errors:
            break
    return acknowledged, errors


def read(bootstrap_servers: str, topic: str, partitions: int = 1) -> dict[int, list[str]]:
    """Everything in the topic, per partition in offset order; fails on a gap in the offsets."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reader", "check.crcs": True, **PATIENT})
    found: dict[int, list[str]] = {number: [] for number in range(partitions)}
    ends: dict[int, int] = {}
    for number in found:
        start, ends[number] = consumer.get_watermark_offsets(TopicPartition(topic, number), TIMEOUT_S)
        assert start == 0
    consumer.assign([TopicPartition(topic, number, 0) for number in found])
    deadline = time.monotonic() + 2 * TIMEOUT_S
    while any(len(found[number]) < ends[number] for number in found):
        assert time.monotonic() < deadline, f"read {[len(values) for values in found.values()]} of {ends}"
        for message in consumer.consume(10_000, 0.5):
            assert message.error() is None, message.error()
            values = found[message.partition()]
            assert message.offset() == len(values), "offsets count up without a gap"
            values.append(message.value().decode())
    consumer.close()
    return found


def numbered(count: int, first: int = 0) -> list[str]:
    """Values that tell their place."""
    return [f"{number:08d}-" + "x" * 100 for number in range(first, first + count)]
