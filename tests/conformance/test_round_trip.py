"""What a client sends comes back: values, keys, headers, timestamps, order, in every compression it knows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.conformance.clients import Client, Record
from tests.conformance.clients.confluent import ConfluentKafka

BASE_MS = 1_790_000_000_000


def test_keyed_records_come_back_whole_and_in_order_per_key(client: Client, new_topic: Callable[..., str]):
    topic = new_topic(3)
    sent = [
        Record(value=f"value {number} äöü", key=f"key-{number % 7}", headers=(("origin", "test"), ("unit", "€")))
        for number in range(210)
    ]

    placed = client.produce(topic, sent)
    found = client.consume(topic, [0, 1, 2], "earliest", len(sent))

    assert len(found) == len(sent)
    for key in {record.key for record in sent}:
        wanted = [(record.value, record.headers) for record in sent if record.key == key]
        assert [(record.value, record.headers) for record in found if record.key == key] == wanted
        assert len({record.partition for record in found if record.key == key}) == 1, "one key, one partition"
    for partition in range(3):
        offsets = [record.offset for record in found if record.partition == partition]
        assert offsets == list(range(len(offsets))), "offsets count up from zero without a gap"
    if "placement" not in client.lacks:
        assert set(placed) == {(record.partition, record.offset) for record in found}


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_stored_and_read_by_others(
    client: Client, admin: ConfluentKafka, new_topic: Callable[..., str], compression: str
):
    if compression not in client.compressions:
        pytest.skip(f"{client.name} does not bring {compression}")
    topic = new_topic(1)
    sent = [Record(value=f"{number}:" + "abc" * 50, partition=0) for number in range(100)]

    client.produce(topic, sent, compression)

    wanted = [record.value for record in sent]
    assert [record.value for record in client.consume(topic, [0], "earliest", 100)] == wanted
    assert [record.value for record in admin.consume(topic, [0], "earliest", 100)] == wanted


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_the_broker_compresses_when_the_topic_asks_for_it(
    client: Client, new_topic: Callable[..., str], compression: str
):
    if compression not in client.compressions:
        pytest.skip(f"{client.name} does not bring {compression}")
    topic = new_topic(1, compression_type=compression)
    sent = [Record(value=f"{number}:" + "abc" * 50, key="k", partition=0) for number in range(50)]

    client.produce(topic, sent)

    found = client.consume(topic, [0], "earliest", 50)
    assert [(record.value, record.key) for record in found] == [(record.value, "k") for record in sent]


@pytest.mark.needs("placement")
def test_null_values_and_empty_values_are_different(client: Client, new_topic: Callable[..., str]):
    topic = new_topic(1)
    client.produce(topic, [Record(value=None, key="a", partition=0), Record(value="", key="b", partition=0)])
    found = client.consume(topic, [0], "earliest", 2)
    assert [(record.key, record.value) for record in found] == [("a", None), ("b", "")]


@pytest.mark.needs("placement")
def test_consumption_starts_at_a_timestamp(client: Client, new_topic: Callable[..., str]):
    topic = new_topic(1)
    sent = [Record(value=str(number), partition=0, timestamp_ms=BASE_MS + number * 1000) for number in range(20)]
    client.produce(topic, sent)

    found = client.consume(topic, [0], BASE_MS + 12_500, 7)

    assert [record.value for record in found] == [str(number) for number in range(13, 20)]
    assert [record.timestamp_ms for record in found] == [BASE_MS + number * 1000 for number in range(13, 20)]


def test_a_reader_from_the_end_does_not_see_what_was_there(client: Client, new_topic: Callable[..., str]):
    topic = new_topic(1)
    client.produce(topic, [Record(value=str(number), partition=0) for number in range(10)])
    assert client.consume(topic, [0], "latest", 1, timeout_ms=1500) == []


def test_log_append_time_replaces_the_clients_timestamp(client: Client, new_topic: Callable[..., str]):
    topic = new_topic(1, message_timestamp_type="LogAppendTime")
    client.produce(topic, [Record(value="x", partition=0, timestamp_ms=1_000_000)])
    (found,) = client.consume(topic, [0], "earliest", 1)
    assert found.timestamp_ms is not None
    assert found.timestamp_ms > BASE_MS


def test_a_record_over_the_limit_is_refused_and_the_next_one_taken(
    admin: ConfluentKafka, new_topic: Callable[..., str]
):
    topic = new_topic(1, max_message_bytes="2000")
    with pytest.raises(Exception, match="MSG_SIZE_TOO_LARGE"):
        admin.produce(topic, [Record(value="x" * 5000, partition=0)])
    assert admin.produce(topic, [Record(value="small", partition=0)]) == [(0, 0)]
