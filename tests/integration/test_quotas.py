"""Quotas as clients meet them: confluent-kafka's throttle events, refused changes of topics, a restart."""

import threading
import time

from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic
from tests.conformance.frames import exchange, parse
from tests.golden.metadata.access_scenario import CLIENT, FETCH, MUTATION, PRODUCE, REQUEST, USER, quota, quotas
from tests.golden.metadata.admin_scenario import comparable, create, delete, encoded, grow, topic
from tests.integration.clients import admin, consume, consumer, create_topic, produce

import moldau
from moldau.errors import ErrorCode


def ask(broker, step):
    key, version, values = step
    return comparable(parse(key, version, exchange(broker.bootstrap_servers, encoded(key, version, values))))


def set_quota(broker, entity, key, value):
    (answer,) = ask(broker, quota(entity, (key, value)))["entries"]
    assert answer["error_code"] == 0, answer


def test_a_producer_is_told_that_it_is_throttled_and_loses_nothing(broker):
    create_topic(broker, "orders")
    set_quota(broker, {CLIENT: "loud"}, PRODUCE, 20_000.0)
    throttled = []
    produced = produce(
        broker,
        "orders",
        [b"x" * 10_000 for _ in range(25)],
        **{"client.id": "loud", "throttle_cb": throttled.append, "batch.size": 20_000},
    )
    assert len(produced) == 25
    assert any(event.throttle_time > 0 for event in throttled), throttled


def test_a_producer_of_another_name_is_not(broker):
    create_topic(broker, "orders")
    set_quota(broker, {CLIENT: "loud"}, PRODUCE, 1.0)
    throttled = []
    produce(
        broker,
        "orders",
        [b"x" * 10_000 for _ in range(25)],
        **{"client.id": "quiet", "throttle_cb": throttled.append},
    )
    assert throttled == []


def test_a_consumer_is_throttled_and_gets_everything(broker):
    produce(broker, "orders", [b"x" * 10_000 for _ in range(25)], **{"batch.size": 20_000})
    set_quota(broker, {USER: "ANONYMOUS"}, FETCH, 20_000.0)
    throttled = []
    client = consumer(broker, "g", **{"throttle_cb": throttled.append, "client.id": "reader"})
    client.subscribe(["orders"])
    assert len(consume(client, 25, within_s=60)) == 25
    client.close()
    assert any(event.throttle_time > 0 for event in throttled), throttled


def test_a_client_that_keeps_the_node_busy_is_slowed_down(broker):
    set_quota(broker, {USER: None}, REQUEST, 1e-6)
    throttled = []
    create_topic(broker, "orders")
    produce(broker, "orders", [b"x"], throttle_cb=throttled.append)
    assert throttled


def test_changes_of_topics_above_the_quota_are_refused_until_it_has_recovered(broker):
    set_quota(broker, {USER: "ANONYMOUS"}, MUTATION, 1.0)
    # The burst of eleven windows lets the first through; it leaves a debt of three seconds.
    assert codes(broker, create(topic("first", 14))) == [ErrorCode.NONE]
    begun = time.monotonic()
    for refused in (create(topic("second")), grow("first", 15), delete("first")):
        assert codes(broker, refused) == [ErrorCode.THROTTLING_QUOTA_EXCEEDED]
    # What is wrong for another reason is told that reason, and costs nothing.
    assert codes(broker, create(topic("first"))) == [ErrorCode.TOPIC_ALREADY_EXISTS]
    assert codes(broker, delete("nobody")) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    while codes(broker, delete("first")) == [ErrorCode.THROTTLING_QUOTA_EXCEEDED]:
        assert time.monotonic() - begun < 30
        time.sleep(0.05)
    assert time.monotonic() - begun > 2.0
    assert codes(broker, create(topic("third"))) == [ErrorCode.THROTTLING_QUOTA_EXCEEDED]


def test_an_old_client_changes_topics_all_the_same_and_waits_afterwards(broker):
    # librdkafka asks in a version that does not know the refusal.
    set_quota(broker, {USER: "ANONYMOUS"}, MUTATION, 1.0)
    client = admin(broker)
    client.create_topics([NewTopic("first", 13)])["first"].result(30)
    begun = time.monotonic()
    client.create_topics([NewTopic("second", 1)])["second"].result(30)
    assert time.monotonic() - begun > 1.0


def codes(broker, step):
    return [answer["error_code"] for answers in ask(broker, step).values() for answer in answers]


def test_quotas_are_in_force_after_a_restart(tmp_path):
    with moldau.Broker(tmp_path) as broker:
        set_quota(broker, {CLIENT: None}, PRODUCE, 10.0)
    with moldau.Broker(tmp_path) as broker:
        assert ask(broker, quotas((CLIENT, 1, None)))["entries"][0]["values"] == [{"key": PRODUCE, "value": 10.0}]
        throttled = threading.Event()
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap_servers, "throttle_cb": lambda event: throttled.set()}
        )
        producer.produce("orders", b"x" * 1000)
        deadline = time.monotonic() + 30
        while not throttled.is_set() and time.monotonic() < deadline:
            producer.poll(0.1)
        assert throttled.is_set()
