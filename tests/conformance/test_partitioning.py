"""A key lands in the same partition, whether Java's producer or ours sent it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from bench.versus.jars import MissingToolError
from tests.conformance.clients import Record
from tests.conformance.clients.confluent import ConfluentKafka
from tests.conformance.clients.process import JavaClient

import moldau

PARTITIONS = 7
KEYS = [
    "",
    "a",
    "customer-uuid",
    "us-1",
    "Vltava",
    "Mělník",
    "日本語",
    *(str(uuid.uuid5(uuid.NAMESPACE_DNS, str(i))) for i in range(200)),
]


@pytest.fixture
def java(bootstrap_servers: str) -> Iterator[JavaClient]:
    try:
        client = JavaClient(bootstrap_servers)
    except MissingToolError as missing:
        pytest.skip(str(missing))
    yield client
    client.close()


def test_python_and_java_put_a_key_into_the_same_partition(
    java: JavaClient, admin: ConfluentKafka, bootstrap_servers: str
):
    topic = f"partitioning-{uuid.uuid4().hex[:8]}"
    admin.create_topic(topic, partitions=PARTITIONS)
    places: dict[str, int] = {}
    producer = moldau.Producer(bootstrap_servers=bootstrap_servers)
    for key in KEYS:
        producer.produce(
            topic,
            b"value",
            key,
            on_delivery=lambda _, message: places.update({message.key().decode(): message.partition()}),
        )
    assert producer.flush(timeout=30) == 0
    from_java = [partition for partition, _ in java.produce(topic, [Record("value", key) for key in KEYS])]
    assert [places[key] for key in KEYS] == from_java
    assert set(from_java) == set(range(PARTITIONS))
