"""Beginnings, ends and timestamps, as each client asks for them."""

from __future__ import annotations

from collections.abc import Callable

import confluent_kafka
import pytest
from tests.conformance.clients import Client, Record
from tests.conformance.clients.confluent import ConfluentKafka

BASE_MS = 1_790_000_000_000


@pytest.fixture
def topic(admin: ConfluentKafka, new_topic: Callable[..., str]) -> str:
    """Ten records in partition 0, a second apart; nothing in partition 1."""
    name = new_topic(2)
    admin.produce(name, [Record(value=str(n), partition=0, timestamp_ms=BASE_MS + n * 1000) for n in range(10)])
    return name


def test_beginning_and_end_of_a_partition(client: Client, topic: str):
    assert client.offset_of(topic, 0, "earliest") == 0
    assert client.offset_of(topic, 0, "latest") == 10
    assert client.offset_of(topic, 1, "earliest") == 0
    assert client.offset_of(topic, 1, "latest") == 0


def test_first_record_not_older_than_a_timestamp(client: Client, topic: str):
    assert client.offset_of(topic, 0, BASE_MS - 1) == 0
    assert client.offset_of(topic, 0, BASE_MS + 4000) == 4
    assert client.offset_of(topic, 0, BASE_MS + 4001) == 5
    if client.name != "kcat":  # kcat 1.7.1 prints the end where the broker found nothing
        assert client.offset_of(topic, 0, BASE_MS + 9001) is None


def test_deleted_records_move_the_beginning(client: Client, admin: ConfluentKafka, topic: str):
    futures = admin._admin.delete_records([confluent_kafka.TopicPartition(topic, 0, 6)])
    (deleted,) = (future.result(20) for future in futures.values())
    assert deleted.low_watermark == 6
    assert client.offset_of(topic, 0, "earliest") == 6
    assert [record.value for record in client.consume(topic, [0], "earliest", 4)] == ["6", "7", "8", "9"]


def test_the_newest_timestamp_is_found_out_of_order(admin: ConfluentKafka, new_topic: Callable[..., str]):
    name = new_topic(1)
    for milliseconds in (5000, 9000, 1000):
        admin.produce(name, [Record(value="x", partition=0, timestamp_ms=BASE_MS + milliseconds)])
    wanted = {confluent_kafka.TopicPartition(name, 0): confluent_kafka.admin.OffsetSpec.max_timestamp()}
    (found,) = (future.result(20) for future in admin._admin.list_offsets(wanted).values())
    assert (found.offset, found.timestamp) == (1, BASE_MS + 9000)
