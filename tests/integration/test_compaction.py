"""Compaction as a user sees it: a topic of settings that change often stays small, and keeps the last of each."""

import pytest
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from tests.integration.clients import admin, consumer, create_topic, produce

import moldau

TOPIC = "prices"
SMALLEST_SEGMENT = {"segment.bytes": "1048576"}


@pytest.fixture
def broker():
    with moldau.Broker(log_cleaner_backoff_ms=50) as running:
        yield running


def fill(broker, first):
    """More than a segment of records of three keys; returns the last value of each."""
    last = {}
    for key in ("a", "b", "c"):
        values = [b"%06d" % number + b"x" * 10_000 for number in range(first, first + 40)]
        produce(broker, TOPIC, values, key=key)
        last[key.encode()] = values[-1]
    return last


def read(broker):
    """Everything in the topic up to its end, however many offsets have no record any more."""
    client = consumer(broker, "reader", **{"enable.partition.eof": True})
    client.assign([TopicPartition(TOPIC, 0, 0)])
    messages = []
    while True:
        message = client.poll(20)
        assert message is not None
        if message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF
            client.close()
            return messages
        messages.append(message)


def last_of_each_key(messages):
    return {message.key(): message.value() for message in messages}


def test_a_compacted_topic_keeps_the_last_record_of_each_key_and_little_else(broker, eventually):
    create_topic(broker, TOPIC, config={"cleanup.policy": "compact", **SMALLEST_SEGMENT})
    fill(broker, 0)
    last = fill(broker, 1000)
    eventually(lambda: len(read(broker)) < 150, within_s=30)
    assert last_of_each_key(read(broker)) == last


def test_a_topic_that_is_compacted_from_now_on_shrinks_without_waiting(broker, eventually):
    create_topic(broker, TOPIC, config=SMALLEST_SEGMENT)
    fill(broker, 0)
    last = fill(broker, 1000)
    assert len(read(broker)) == 240
    entry = ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource("topic", TOPIC, incremental_configs=[entry])
    client = admin(broker)
    client.incremental_alter_configs([resource])[resource].result(10)
    eventually(lambda: len(read(broker)) < 150, within_s=30)
    assert last_of_each_key(read(broker)) == last
