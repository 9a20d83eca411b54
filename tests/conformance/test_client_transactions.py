"""Transactions of clients that have their own implementation: aiokafka, kafkajs and franz-go.

librdkafka's and Java's are in test_transactions.py, with Kafka's own tools.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from tests.conformance.clients import Client, ClientError, Record
from tests.conformance.clients.aio import AioKafka
from tests.conformance.clients.confluent import ConfluentKafka
from tests.conformance.clients.process import FranzGo, KafkaJs
from tests.conformance.committed import committed
from tests.conformance.conftest import open_client, wait_until

TRANSACTIONAL: tuple[type[Client], ...] = (AioKafka, KafkaJs, FranzGo)
NewTopic = Callable[..., str]


@pytest.fixture(params=TRANSACTIONAL, ids=lambda kind: kind.name)
def client(request: pytest.FixtureRequest, opened: dict[type[Client], Client], bootstrap_servers: str) -> Client:
    return open_client(request, request.param, opened, bootstrap_servers)


@pytest.fixture
def transactional_id() -> str:
    return f"transactional-{uuid.uuid4().hex[:8]}"


def test_what_is_committed_is_read_and_what_is_aborted_is_not(
    client: Client, bootstrap_servers: str, new_topic: NewTopic, transactional_id: str
):
    topic = new_topic(1)
    for values, commit in ((["a", "b"], True), (["c", "d"], False), (["e"], True)):
        client.open_transaction("open", transactional_id, topic, values)
        client.end_transaction("open", commit=commit)
    assert committed(bootstrap_servers, topic, 3) == ["a", "b", "e"]


def test_a_producer_is_fenced_by_the_next_one_of_its_name(
    client: Client, bootstrap_servers: str, new_topic: NewTopic, transactional_id: str
):
    topic = new_topic(1)
    client.open_transaction("zombie", transactional_id, topic, ["from the zombie"])
    client.open_transaction("other", transactional_id, topic, ["from the other"])
    with pytest.raises(ClientError):
        client.end_transaction("zombie", commit=True)
    client.end_transaction("other", commit=True)
    assert committed(bootstrap_servers, topic, 1) == ["from the other"]


def test_records_are_transformed_once_with_their_offsets_or_not_at_all(
    client: Client, admin: ConfluentKafka, bootstrap_servers: str, new_topic: NewTopic, transactional_id: str
):
    source, target, group = new_topic(1), new_topic(1), f"transform-{uuid.uuid4().hex[:8]}"
    admin.produce(source, [Record(value=f"order {number}", partition=0) for number in range(6)])
    client.transform(group, transactional_id, source, target, 3, commit=False)
    assert committed(bootstrap_servers, target, 0) == []
    wait_until(lambda: admin.committed(group, source, [0]) == {}, "nothing is committed")
    client.transform(group, transactional_id, source, target, 4, commit=True)
    assert committed(bootstrap_servers, target, 4) == [f"ORDER {number}" for number in range(4)]
    wait_until(lambda: admin.committed(group, source, [0]) == {0: 4}, "the offset is committed")
    client.transform(group, transactional_id, source, target, 2, commit=True)
    assert committed(bootstrap_servers, target, 6) == [f"ORDER {number}" for number in range(6)]
