"""`moldau lag` against a real broker, as an ordinary client that joins no group."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from tests.cli.conftest import moldau, moldau_process

NOT_YET = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


@pytest.fixture
def group(topic):
    return f"group-of-{topic}"


def produce(servers, topic, count, partition=0, **settings):
    producer = Producer({"bootstrap.servers": servers, **settings})
    written_ms = round(time.time() * 1000) - 60_000
    for _ in range(count):
        producer.produce(topic, value=b"x", partition=partition, timestamp=written_ms)
    assert producer.flush(30) == 0


def commit(servers, group, topic, offset, partition=0):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    deadline = time.monotonic() + 30
    while True:
        try:
            consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
            break
        except KafkaException as refused:
            # The first commit of a cluster: Apache Kafka is still electing leaders for the offsets.
            if refused.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
    consumer.close()


def lag(servers, *words):
    ended = moldau("lag", *words, "--over", "0", "-o", "json", servers=servers)
    assert ended.code == 0, ended.err
    return {row["partition"]: row for row in ended.json}


def test_lag_is_told_in_records_and_in_seconds(servers, topic, group):
    moldau("topic", "create", topic, "-p", "2", servers=servers)
    produce(servers, topic, 100)
    commit(servers, group, topic, 40)
    found = lag(servers, group)
    assert (found[0]["committed"], found[0]["end_offset"], found[0]["lag"]) == (40, 100, 60)
    assert 60 <= found[0]["lag_s"] < 600
    assert found[0]["lag_s_from"] == "create-time"
    # The partition that nothing was committed in belongs to the group as well.
    assert (found[1]["committed"], found[1]["lag"], found[1]["lag_s"]) == (None, 0, 0.0)


def test_the_brokers_clock_is_named_where_it_is_the_brokers(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", "-c", "message.timestamp.type=LogAppendTime", servers=servers)
    produce(servers, topic, 2)
    found = lag(servers, group, "-t", topic)
    assert found[0]["lag_s_from"] == "append-time"
    assert found[0]["lag_s"] < 60


def test_nothing_committed_counts_from_the_log_start(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 100)
    assert moldau("topic", "trim", topic, "--before", "70", "--execute", servers=servers).code == 0
    assert moldau("topic", "offsets", topic, "-o", "json", servers=servers).json[0]["start_offset"] == 70
    found = lag(servers, group, "-t", topic)
    assert (found[0]["committed"], found[0]["log_start_offset"], found[0]["lag"]) == (None, 70, 30)
    # What the guide's program says: the end less 0.
    assert found[0]["end_offset"] - max(-1001, 0) == 100


def test_records_that_were_deleted_unread_are_told_as_lost(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 100)
    commit(servers, group, topic, 40)
    assert moldau("topic", "trim", topic, "--before", "70", "--execute", servers=servers).code == 0
    found = lag(servers, group)
    assert (found[0]["lag"], found[0]["lost"]) == (30, 30)
    assert "30 records were deleted before they were read" in moldau("lag", group, "--over", "0", servers=servers).err


def test_rates_come_from_two_looks(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 10)
    commit(servers, group, topic, 10)
    ended = moldau("lag", group, "--over", "0.05", "-o", "jsonl", servers=servers)
    assert [(row["consumed_per_s"], row["produced_per_s"], row["catch_up_s"]) for row in ended.lines] == [(0, 0, 0)]


def test_a_threshold_ends_with_6_after_everything_was_printed(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 100)
    commit(servers, group, topic, 40)
    words = ("lag", group, "--over", "0", "-o", "json")
    assert moldau(*words, "--threshold", "60", servers=servers).code == 0
    over = moldau(*words, "--threshold", "59", servers=servers)
    assert over.code == 6
    assert [row["over"] for row in over.json] == [True]
    assert "60 records behind" in over.err
    assert moldau(*words, "--threshold-seconds", "3600", servers=servers).code == 0
    assert moldau(*words, "--threshold-seconds", "30", servers=servers).code == 6


def test_failures_are_not_taken_for_alerts(servers, topic):
    assert moldau("lag", f"no-{topic}", servers=servers).code == 1
    assert moldau("lag", "-t", topic, servers=servers).code == 1
    assert moldau("lag", "--over", "-1", servers=servers).code == 2
    assert moldau("lag", servers="127.0.0.1:1").code == 3


def test_every_group_is_shown_without_a_name(servers, topic):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 5)
    for name in ("one", "two"):
        commit(servers, f"{name}-{topic}", topic, 1)
    ended = moldau("lag", "-t", topic, "--over", "0", "-o", "json", servers=servers)
    rows = {row["group"]: row["lag"] for row in ended.json}
    assert (rows[f"one-{topic}"], rows[f"two-{topic}"]) == (4, 4)


def test_eyes_get_a_line_for_each_topic_of_a_group_unless_it_is_named_or_partitions_are_asked_for(
    servers, topic, group
):
    moldau("topic", "create", topic, "-p", "3", servers=servers)
    produce(servers, topic, 5, partition=2)
    commit(servers, group, topic, 1, partition=2)

    def lines(*words):
        ended = moldau("lag", *words, "-t", topic, "--over", "0", servers=servers)
        return [line.split() for line in ended.out.splitlines() if line.startswith(group)]

    ((*counts, lag_s, per_s, catch_up_s),) = lines()
    assert counts == [group, topic, "3", "1", "4"]
    assert float(lag_s) >= 60
    assert (per_s, catch_up_s) == ("-", "-")
    assert len(lines(group)) == len(lines("--partitions")) == 3


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_that_has_committed_nothing_yet_is_behind_from_the_log_start(servers, topic, group, protocol):
    moldau("topic", "create", topic, "-p", "2", servers=servers)
    produce(servers, topic, 5)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "group.protocol": protocol})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 30
    while not consumer.assignment():
        assert time.monotonic() < deadline, "the group did not form"
        consumer.poll(0.1)
    found = lag(servers, group)
    consumer.close()
    assert {partition: (row["committed"], row["lag"]) for partition, row in found.items()} == {
        0: (None, 5),
        1: (None, 0),
    }


def test_looking_changes_nothing(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 5)
    commit(servers, group, topic, 1)
    before = moldau("group", "list", "-o", "json", servers=servers).json
    lag(servers, group)
    assert moldau("group", "list", "-o", "json", servers=servers).json == before
    assert lag(servers, group)[0]["committed"] == 1


def test_watching_ends_when_the_threshold_is_passed(servers, topic, group):
    moldau("topic", "create", topic, "-p", "1", servers=servers)
    produce(servers, topic, 5)
    commit(servers, group, topic, 5)
    words = ("lag", group, "-b", servers, "--over", "0", "--watch", "0.2", "--threshold", "3", "-o", "jsonl")
    with moldau_process(*words) as process:
        first = json.loads(process.stdout.readline())
        assert (first["lag"], first["over"]) == (0, False)
        produce(servers, topic, 4)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 6, err
    last = json.loads(out.splitlines()[-1])
    assert (last["lag"], last["over"]) == (4, True)
    assert last["produced_per_s"] is not None
