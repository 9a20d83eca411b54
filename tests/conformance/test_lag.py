"""`moldau lag` beside Kafka's own kafka-consumer-groups, on topics where offsets are not records.

Kafka's tool counts offsets from what was committed to the high watermark: records of open transactions that nobody can
read yet, markers that nobody ever gets, holes that compaction left. `moldau lag` says the same numbers where they mean
the same, and where not the difference is what is tested.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.cli.conftest import moldau
from tests.conformance.conftest import Tool, wait_until

GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
NewTopic = Callable[..., str]


class Scene:
    """A topic of one partition, a transactional producer, and a group that reads committed records."""

    def __init__(self, servers: str, topic: str, tool: Tool) -> None:
        self.servers, self.topic, self.tool = servers, topic, tool
        self.group = f"group-of-{topic}"
        self.producer = Producer({"bootstrap.servers": servers, "transactional.id": f"producer-of-{topic}"})
        self.producer.init_transactions(60)
        self.consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": self.group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )

    def begin(self, count: int) -> None:
        self.producer.begin_transaction()
        for number in range(count):
            self.producer.produce(self.topic, f"{number}".encode(), partition=0)
        assert self.producer.flush(30) == 0

    def commit(self, count: int) -> None:
        self.begin(count)
        self.producer.commit_transaction(30)

    def read_to_the_end(self) -> int:
        """Read everything there is and commit the last record, as programs do; how many records there were."""
        self.consumer.assign([TopicPartition(self.topic, 0, 0)])
        last, records = None, 0
        while True:
            message = self.consumer.poll(30)
            assert message is not None, "there is no end"
            if message.error() is not None:
                break
            last, records = message, records + 1
        assert last is not None
        self.consumer.commit(message=last, asynchronous=False)
        return records

    def lag(self, *more: str) -> dict[str, Any]:
        """What `moldau lag` says of the partition."""
        ended = moldau("lag", self.group, "--over", "0", "-o", "json", *more, servers=self.servers)
        assert ended.code == 0, ended.err
        (row,) = ended.json
        return row

    def kafkas(self) -> tuple[int, int, int]:
        """CURRENT-OFFSET, LOG-END-OFFSET and LAG of Kafka's tool."""
        described = self.tool(GROUPS, "--describe", "--group", self.group)
        found = re.search(rf"{self.topic}\s+0\s+(\d+)\s+(\d+)\s+(\d+)\s", described)
        assert found, described
        current, end, lag = map(int, found.groups())
        return current, end, lag


def commit(consumer: Consumer, offset: TopicPartition) -> None:
    """Commit it. A Kafka whose offsets topic is new answers for a while that it coordinates nothing."""

    def committed() -> bool:
        consumer.commit(offsets=[offset], asynchronous=False)
        return True

    wait_until(committed, f"{offset} is committed")


@pytest.fixture
def scene(bootstrap_servers: str, new_topic: NewTopic, tool: Tool) -> Scene:
    return Scene(bootstrap_servers, new_topic(1), tool)


def test_records_of_an_open_transaction_are_undecided_and_the_rest_is_kafkas_lag(scene: Scene):
    scene.commit(9)
    commit(scene.consumer, TopicPartition(scene.topic, 0, 4))
    scene.begin(5)
    # Nine records and a marker; five more behind it.
    assert scene.kafkas() == (4, 15, 11)
    row = scene.lag()
    assert (row["committed"], row["end_offset"], row["lag"], row["undecided"]) == (4, 10, 6, 5)
    uncommitted = scene.lag("--isolation", "read-uncommitted")
    assert (uncommitted["end_offset"], uncommitted["lag"]) == (15, 11)
    assert scene.read_to_the_end() == 9
    assert scene.lag()["lag"] == 0, "what waits for the transaction is not late"
    scene.producer.commit_transaction(30)
    row = scene.lag()
    assert (row["end_offset"], row["undecided"]) == (16, 0)
    assert row["lag"] == 6, "five records and their marker"


def test_a_marker_at_the_end_is_no_lag_that_never_goes_away(scene: Scene):
    scene.commit(5)
    assert scene.read_to_the_end() == 5
    current, end, lag = scene.kafkas()
    # Behind the record is the marker, which nobody will ever read.
    assert (current, end, lag) == (5, 6, 1)
    row = scene.lag()
    assert (row["committed"], row["end_offset"], row["lag"], row["lag_s"]) == (5, 6, 0, 0.0)


def test_records_that_were_aborted_are_no_lag_for_a_group_that_is_done(scene: Scene):
    scene.commit(3)
    assert scene.read_to_the_end() == 3
    scene.begin(7)
    scene.producer.abort_transaction(30)
    # Three records, a marker, seven aborted ones, a marker.
    assert scene.kafkas() == (3, 12, 9)
    row = scene.lag()
    assert (row["end_offset"], row["lag"], row["undecided"]) == (12, 0, 0)


def test_holes_of_compaction_where_the_group_goes_on_are_no_lag(
    bootstrap_servers: str, new_topic: NewTopic, tool: Tool
):
    eager = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": "0", "segment_ms": "1"}
    topic = new_topic(1, **eager)
    group, producer = f"group-{uuid.uuid4().hex[:8]}", Producer({"bootstrap.servers": bootstrap_servers})
    began_ms = round(time.time() * 1000) - 60_000
    for number in range(31):
        # Each record is old enough to roll the segment of the one before.
        key = "the same" if number < 30 else "another"
        producer.produce(topic, f"{number}", key=key, partition=0, timestamp=began_ms + 10 * number)
        assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False})
    commit(consumer, TopicPartition(topic, 0, 10))

    def first() -> int:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(10)
        return -1 if message is None or message.error() else message.offset()

    wait_until(lambda: first() >= 29, "everything but the last of the key is compacted away", 100)
    described = tool(GROUPS, "--describe", "--group", group)
    assert re.search(rf"{topic}\s+0\s+10\s+31\s+21\s", described), described
    ended = moldau("lag", group, "--over", "0", "-o", "json", servers=bootstrap_servers)
    (row,) = ended.json
    # Two records are left, and the group has none of them yet.
    assert (row["committed"], row["next_offset"], row["end_offset"], row["lag"]) == (10, 29, 31, 2)
    consumer.close()
