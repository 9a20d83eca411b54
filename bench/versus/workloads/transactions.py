"""Transactions of confluent-kafka's producer: a few records each, and read, change, write with offsets inside.

The figure of commit is `commit_transaction()`: the records are sent, acknowledged, and the end of the transaction is
durable when it returns. One producer, one transaction at a time, as an application has it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from bench.versus.broker_process import BrokerProcess
from bench.versus.sample import Sample
from bench.versus.workloads import Workload, create_topics, measured, percentiles, rate

RECORDS = (1, 10, 100)
COUNT, QUICK_COUNT = 2000, 40
WARM_UP = 10
VALUE = bytes(100)
WAIT_S = 60


def _producer(node: BrokerProcess) -> Producer:
    producer = Producer(
        {"bootstrap.servers": node.bootstrap_servers, "transactional.id": f"bench-{uuid.uuid4()}", "linger.ms": 0}
    )
    producer.init_transactions(WAIT_S)
    return producer


def _commit(producer: Producer) -> float:
    started = time.perf_counter()
    producer.commit_transaction(WAIT_S)
    return time.perf_counter() - started


def _transaction(producer: Producer, topic: str, records: int) -> float:
    producer.begin_transaction()
    for _ in range(records):
        producer.produce(topic, VALUE, partition=0)
    return _commit(producer)


def _produce(node: BrokerProcess, topic: str, records: int, count: int) -> Iterator[Sample]:
    producer = _producer(node)
    for _ in range(WARM_UP):
        _transaction(producer, topic, records)
    with measured(node) as taken:
        commits = [_transaction(producer, topic, records) for _ in range(count)]
    row = f"transactions of {records} record{'s' if records > 1 else ''}"
    yield rate(row, "transaction", count, taken)
    yield from percentiles(f"{row}, commit", commits)


def _copy(producer: Producer, consumer: Consumer, topic: str, records: int) -> float:
    """One consume-transform-produce: `records` in, as many out, and their offsets in the same transaction."""
    taken: list[bytes] = []
    deadline = time.monotonic() + WAIT_S
    while len(taken) < records:
        for message in consumer.consume(records - len(taken), 1.0):
            error = message.error()
            if error is not None:
                raise RuntimeError(error.str())
            taken.append(message.value() or b"")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(taken)} of {records} records came")
    started = time.perf_counter()
    producer.begin_transaction()
    for value in taken:
        producer.produce(topic, value[::-1], partition=0)
    positions = consumer.position(consumer.assignment())
    producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), WAIT_S)
    _commit(producer)
    return time.perf_counter() - started


def _consume_transform_produce(node: BrokerProcess, source: str, target: str, count: int) -> Iterator[Sample]:
    records = 10
    filler = Producer({"bootstrap.servers": node.bootstrap_servers})
    for _ in range((count + WARM_UP) * records):
        filler.produce(source, VALUE, partition=0)
        filler.poll(0)
    if filler.flush(WAIT_S) != 0:
        raise RuntimeError("the source was not filled in time")
    consumer = Consumer(
        {
            "bootstrap.servers": node.bootstrap_servers,
            "group.id": f"bench-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(source, 0, 0)])
    producer = _producer(node)
    for _ in range(WARM_UP):
        _copy(producer, consumer, target, records)
    with measured(node) as taken:
        copies = [_copy(producer, consumer, target, records) for _ in range(count)]
    consumer.close()
    row = "consume-transform-produce, 10 records and their offsets"
    yield rate(row, "transaction", count, taken)
    yield from percentiles(f"{row}, begin to commit", copies)


def measure(node: BrokerProcess, quick: bool) -> Iterator[Sample]:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    create_topics(node, [NewTopic(f"{name}-source", 1, 1), NewTopic(f"{name}-target", 1, 1)])
    count = QUICK_COUNT if quick else COUNT
    for records in RECORDS:
        yield from _produce(node, f"{name}-target", records, count)
    yield from _consume_transform_produce(node, f"{name}-source", f"{name}-target", count)


WORKLOAD = Workload(measure)
