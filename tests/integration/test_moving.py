"""A partition moves to another log directory while it is written and read (AlterReplicaLogDirs)."""

import threading
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.conformance.conftest import wait_until
from tests.conformance.frames import exchange, parse
from tests.golden.metadata.admin_scenario import encoded

import moldau
from moldau.errors import ErrorCode

ALTER, DESCRIBE = 34, 35


@pytest.fixture
def directories(tmp_path):
    return [str(tmp_path / "one"), str(tmp_path / "two")]


@pytest.fixture
def broker(tmp_path, directories):
    with moldau.Broker(tmp_path / "one", log_dirs=directories) as broker:
        yield broker


def create(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)


def ask(broker, key, version, values):
    answer = exchange(broker.bootstrap_servers, encoded(key, version, values))
    assert answer is not None, "the connection was closed"
    return parse(key, version, answer)


def move(broker, *wishes):
    """The error of each (topic, partition) of (directory, topic, partition), …"""
    dirs = [{"path": path, "topics": [{"name": topic, "partitions": [index]}]} for path, topic, index in wishes]
    results = ask(broker, ALTER, 2, {"dirs": dirs}).results
    partitions = ((topic.topic_name, each) for topic in results for each in topic.partitions)
    return {(topic, int(each.partition_index)): ErrorCode(int(each.error_code)) for topic, each in partitions}


def described(broker, topic):
    """(directory, is it a copy, lag) of each replica of a topic's first partition."""
    values = {"topics": [{"topic": topic, "partitions": [0]}]}
    return [
        (directory.log_dir, each.is_future_key, int(each.offset_lag))
        for directory in ask(broker, DESCRIBE, 4, values).results
        for found in directory.topics
        for each in found.partitions
    ]


def here_and_there(broker, directories, topic):
    ((here, _, _),) = described(broker, topic)
    return here, next(each for each in directories if each != here)


def produce(broker, topic, count, first=0):
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 5})
    for number in range(first, first + count):
        producer.produce(topic, f"{number}".encode().ljust(1000), partition=0)
        if number % 500 == 0:
            producer.flush(30)
    assert producer.flush(30) == 0


def consume(broker, topic, count):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while len(found) < count:
        messages = consumer.consume(1000, 30)
        assert messages, f"only {len(found)} of {count}"
        found += [int(message.value()) for message in messages if message.error() is None]
    consumer.close()
    return found


def test_a_partition_moves_while_it_is_written_and_read(broker, directories):
    create(broker, "orders")
    produce(broker, "orders", 2_000)
    here, there = here_and_there(broker, directories, "orders")
    writer = threading.Thread(target=produce, args=(broker, "orders", 3_000, 2_000))
    writer.start()
    assert move(broker, (there, "orders", 0)) == {("orders", 0): ErrorCode.NONE}
    wait_until(lambda: described(broker, "orders") == [(there, False, 0)], "the partition has moved")
    writer.join()
    assert consume(broker, "orders", 5_000) == list(range(5_000))
    assert (Path(there) / "orders-0").is_dir()
    assert not (Path(here) / "orders-0").exists()


def test_a_copy_is_told_with_its_lag_survives_a_kill_and_ends_with_another_wish(tmp_path, directories):
    slowly = {"replica_alter_log_dirs_io_max_bytes_per_second": 1000}
    with moldau.Broker(tmp_path / "one", log_dirs=directories, **slowly) as broker:
        create(broker, "orders")
        produce(broker, "orders", 3_000)
        here, there = here_and_there(broker, directories, "orders")
        on_its_way = sorted([(here, False), (there, True)])
        assert move(broker, (there, "orders", 0)) == {("orders", 0): ErrorCode.NONE}
        assert sorted(each[:2] for each in described(broker, "orders")) == on_its_way
        lag = next(lag for _, is_copy, lag in described(broker, "orders") if is_copy)
        assert 0 < lag <= 3_000
        broker.kill()
        broker.restart()
        assert sorted(each[:2] for each in described(broker, "orders")) == on_its_way
        assert move(broker, (here, "orders", 0)) == {("orders", 0): ErrorCode.NONE}
        assert described(broker, "orders") == [(here, False, 0)]
        assert consume(broker, "orders", 3_000) == list(range(3_000))


def test_every_wish_that_cannot_be_granted_has_its_error(broker, directories):
    create(broker, "orders")
    somewhere, long = directories[0], "x" * 240
    wishes = [("/nowhere", "orders", 0), (somewhere, "nope", 0), (somewhere, "orders", 7), (somewhere, long, 0)]
    assert move(broker, *wishes) == {
        ("orders", 0): ErrorCode.LOG_DIR_NOT_FOUND,
        ("nope", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("orders", 7): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        (long, 0): ErrorCode.INVALID_TOPIC_EXCEPTION,
    }


def test_of_two_wishes_for_one_partition_the_last_counts(broker, directories):
    create(broker, "orders")
    _, there = here_and_there(broker, directories, "orders")
    assert move(broker, ("/nowhere", "orders", 0), (there, "orders", 0)) == {("orders", 0): ErrorCode.NONE}
    wait_until(lambda: described(broker, "orders") == [(there, False, 0)], "the partition has moved")


def test_a_topic_is_made_where_it_was_wished_before_it_was(broker, directories):
    for directory in directories:
        topic = f"wished-{Path(directory).name}"
        assert move(broker, (directory, topic, 0)) == {(topic, 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        create(broker, topic)
        assert described(broker, topic) == [(directory, False, 0)]
