"""What our own producer writes, read back by a client that is not ours, from our node and from Apache Kafka."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from moldau.client.producing import Delivered, RecordProducer, Refused, produce_settings
from moldau.client.protocol.brokers import Brokers

PATIENCE_S = 60.0
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture
def topic(bootstrap_servers):
    name = f"produced-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 3)])[name].result(PATIENCE_S)
    return name


def read(bootstrap_servers, topic, count):
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": uuid.uuid4().hex, "check.crcs": True})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(3)])
    found, deadline = defaultdict(list), time.monotonic() + PATIENCE_S
    while sum(map(len, found.values())) < count:
        assert time.monotonic() < deadline, f"{sum(map(len, found.values()))} of {count}"
        for message in consumer.consume(1000, 0.5):
            assert message.error() is None, message.error()
            found[message.partition()].append(message)
    assert consumer.consume(1, 0.2) == []
    consumer.close()
    return found


def producer_of(bootstrap_servers, **settings):
    native = {"bootstrap.servers": bootstrap_servers, "linger.ms": 5, **settings}
    return RecordProducer(Brokers(native), produce_settings(native))


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_written_is_read_with_keys_headers_and_times(bootstrap_servers, topic, codec):
    producer = producer_of(bootstrap_servers, **{"compression.type": codec, "batch.size": 2000})
    number = producer.open(topic, PATIENCE_S)
    given = [
        (
            None if index % 7 == 0 else b"k%d" % (index % 50),
            None if index % 11 == 0 else b"value %d " % index * 5,
            1_700_000_000_000 + index,
            [("n", b"%d" % index), ("null", None)] if index % 3 == 0 else None,
        )
        for index in range(1000)
    ]
    for key, value, timestamp, headers in given:
        producer.append(number, -1, key, value, timestamp, headers)
    assert producer.flush(PATIENCE_S)
    reports = producer.reports()
    producer.close()
    found = read(bootstrap_servers, topic, len(given))
    rows = {
        (message.key(), message.value(), message.timestamp()[1], tuple(message.headers() or ()))
        for messages in found.values()
        for message in messages
    }
    assert rows == {(key, value, timestamp, tuple(headers or ())) for key, value, timestamp, headers in given}
    # Where the reports say that they are, and in the order in which they were given.
    ends = defaultdict(int)
    for one in reports:
        assert isinstance(one, Delivered)
        assert one.base_offset == ends[one.partition]
        ends[one.partition] += one.records
    assert ends == {partition: len(messages) for partition, messages in found.items()}
    for messages in found.values():
        by_key = defaultdict(list)
        for message in messages:
            by_key[message.key()].append(message.timestamp()[1])
        assert all(times == sorted(times) for key, times in by_key.items() if key is not None)


def test_a_key_goes_where_other_clients_send_it(bootstrap_servers, topic):
    other = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random"})
    producer = producer_of(bootstrap_servers)
    number = producer.open(topic, PATIENCE_S)
    for index in range(200):
        other.produce(topic, b"theirs", b"key-%d" % index)
        producer.append(number, -1, b"key-%d" % index, b"ours", 5, None)
    assert other.flush(PATIENCE_S) == 0
    assert producer.flush(PATIENCE_S)
    producer.close()
    for messages in read(bootstrap_servers, topic, 400).values():
        keys = {value: {one.key() for one in messages if one.value() == value} for value in (b"ours", b"theirs")}
        assert keys[b"ours"] == keys[b"theirs"]


def test_of_a_batch_only_the_record_that_is_too_large_for_the_topic_is_refused(bootstrap_servers, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"max.message.bytes": "1000"})
    admin.alter_configs([resource])[resource].result(PATIENCE_S)
    producer = producer_of(bootstrap_servers, **{"linger.ms": 60_000})
    number = producer.open(topic, PATIENCE_S)
    values = [b"v%d" % index * 100 if index % 10 else b"large" * 1000 for index in range(40)]
    for value in values:
        producer.append(number, 1, b"k", value, 5, None)
    assert producer.flush(PATIENCE_S)
    reports = producer.reports()
    producer.close()
    refused = [record[2] for one in reports if isinstance(one, Refused) for record in one.batch.records()]
    assert refused == [b"large" * 1000] * 4
    found = read(bootstrap_servers, topic, 36)
    assert [message.value() for message in found[1]] == [value for value in values if len(value) < 1000]


def test_a_producer_that_begins_again_with_another_epoch_is_taken(bootstrap_servers, topic):
    producer = producer_of(bootstrap_servers)
    number = producer.open(topic, PATIENCE_S)
    for index in range(3):
        producer.append(number, 0, b"k", b"%d" % index, 5, None)
        assert producer.flush(PATIENCE_S)
        with producer._changed:
            # As after a batch of which nobody knows whether it was written.
            (writing,) = producer._machine._idle.values()
            producer._machine._count_anew(writing)
    producer.close()
    assert [message.value() for message in read(bootstrap_servers, topic, 3)[0]] == [b"0", b"1", b"2"]
