"""DeleteRecords and DescribeLogDirs as bare frames: what Apache Kafka 4.3.1 answers, partition by partition.

`MOLDAU_TEST_BOOTSTRAP=apache-kafka` asks it the same.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from kio.schema.errors import ErrorCode
from kio.serial import entity_writer
from kio.static.primitive import i32Timedelta
from tests.conformance import frames
from tests.conformance.clients import Record
from tests.conformance.clients.confluent import ConfluentKafka
from tests.conformance.conftest import wait_until

DELETE_RECORDS, DESCRIBE_LOG_DIRS = 21, 35
HIGH_WATERMARK = -1


def ask(bootstrap_servers: str, api_key: int, version: int, request: Any) -> Any:
    out = io.BytesIO()
    entity_writer(type(request))(out, request)
    answer = frames.exchange(bootstrap_servers, frames.framed(frames.header(api_key, version) + out.getvalue()))
    assert answer is not None, "the connection was closed"
    return frames.parse(api_key, version, answer)


@pytest.fixture
def ten_records(admin: ConfluentKafka, new_topic: Callable[..., str]) -> Callable[..., str]:
    """Create a topic of one partition with ten records."""

    def create(**configs: str) -> str:
        topic = new_topic(1, **configs)
        admin.produce(topic, [Record(value=str(number), key="k", partition=0) for number in range(10)])
        return topic

    return create


@pytest.fixture
def delete(bootstrap_servers: str) -> Callable[..., list[tuple[str, int, int, str]]]:
    """DeleteRecords of (topic, [(partition, offset), …]), …; returns topic, partition, low watermark, error."""

    def delete_records(*asked: tuple[str, list[tuple[int, int]]]) -> list[tuple[str, int, int, str]]:
        schema = import_module("kio.schema.delete_records.v2.request")
        topics = tuple(
            schema.DeleteRecordsTopic(
                name=name,
                partitions=tuple(
                    schema.DeleteRecordsPartition(partition_index=index, offset=offset) for index, offset in partitions
                ),
            )
            for name, partitions in asked
        )
        request = schema.DeleteRecordsRequest(topics=topics, timeout=i32Timedelta.parse(dt.timedelta(seconds=10)))
        answer = ask(bootstrap_servers, DELETE_RECORDS, 2, request)
        return sorted(
            (topic.name, partition.partition_index, partition.low_watermark, partition.error_code.name)
            for topic in answer.topics
            for partition in topic.partitions
        )

    return delete_records


def test_records_are_deleted_up_to_an_offset_or_to_the_high_watermark(delete, ten_records):
    topic = ten_records()
    assert delete((topic, [(0, 4)])) == [(topic, 0, 4, "none")]
    assert delete((topic, [(0, 2)])) == [(topic, 0, 4, "none")], "what is gone stays gone"
    assert delete((topic, [(0, 11)])) == [(topic, 0, -1, "offset_out_of_range")]
    assert delete((topic, [(0, -2)])) == [(topic, 0, -1, "offset_out_of_range")]
    assert delete((topic, [(0, HIGH_WATERMARK)])) == [(topic, 0, 10, "none")]


def test_a_partition_that_is_named_twice_is_answered_once_for_the_last_offset(delete, ten_records):
    topic, other = ten_records(), ten_records()
    assert delete((topic, [(0, 8), (0, 3)]), (other, [(0, 1)]), (topic, [(0, 5), (1, 5)])) == sorted(
        [(topic, 0, 5, "none"), (topic, 1, -1, "unknown_topic_or_partition"), (other, 0, 1, "none")]
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("compact", (-1, "policy_violation")), ("compact,delete", (3, "none")), ("delete", (3, "none"))],
)
def test_records_of_a_topic_that_is_only_compacted_are_not_deleted(delete, ten_records, policy, expected):
    topic = ten_records(cleanup_policy=policy)
    assert delete((topic, [(0, 3)])) == [(topic, 0, *expected)]


def test_records_of_internal_topics_are_not_deleted(delete, ten_records, bootstrap_servers: str):
    committer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "makes-the-topic"})
    committed = TopicPartition(ten_records(), 0, 1)
    wait_until(lambda: committer.commit(offsets=[committed], asynchronous=False), "there are committed offsets")
    committer.close()
    assert delete(("__consumer_offsets", [(0, 0), (1000, 0)]), ("nobody-knows", [(0, 0)])) == [
        ("__consumer_offsets", 0, -1, "invalid_topic_exception"),
        ("__consumer_offsets", 1000, -1, "unknown_topic_or_partition"),
        ("nobody-knows", 0, -1, "unknown_topic_or_partition"),
    ]


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_log_directories_are_described_with_the_partitions_that_were_asked_for(
    bootstrap_servers: str, ten_records, version: int
):
    topic, other = ten_records(), ten_records()
    schema = import_module(f"kio.schema.describe_log_dirs.v{version}.request")
    asked = schema.DescribableLogDirTopic(topic=topic, partitions=(0, 7))
    answer = ask(bootstrap_servers, DESCRIBE_LOG_DIRS, version, schema.DescribeLogDirsRequest(topics=(asked,)))
    (directory,) = answer.results
    assert directory.error_code is ErrorCode.none
    (described,) = directory.topics
    (partition,) = described.partitions
    assert (described.name, partition.partition_index, partition.offset_lag) == (topic, 0, 0)
    assert partition.partition_size > 10 * 10
    assert partition.is_future_key is False
    if version >= 4:
        assert 0 < directory.usable_bytes <= directory.total_bytes
    if version >= 5:
        assert directory.is_cordoned is False

    everything = ask(bootstrap_servers, DESCRIBE_LOG_DIRS, version, schema.DescribeLogDirsRequest(topics=None))
    names = {topic.name for directory in everything.results for topic in directory.topics}
    assert {topic, other} <= names
    assert "__cluster_metadata" not in names
    nothing = ask(bootstrap_servers, DESCRIBE_LOG_DIRS, version, schema.DescribeLogDirsRequest(topics=()))
    assert [directory.topics for directory in nothing.results] == [()]
