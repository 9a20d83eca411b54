"""The command-line tools that come with Apache Kafka, run as their shell scripts run them.

Each costs a JVM, so a test here goes through several steps of one tool's work instead of one.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conformance.clients import Record
from tests.conformance.clients.confluent import ConfluentConsumer, ConfluentKafka
from tests.conformance.conftest import Tool, wait_until

TOPICS = "org.apache.kafka.tools.TopicCommand"
CONFIGS = "kafka.admin.ConfigCommand"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
ALL_GROUPS = "org.apache.kafka.tools.GroupsCommand"
PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
GET_OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments"


def test_kafka_topics_creates_describes_grows_and_deletes(tool: Tool):
    name = f"tools-{uuid.uuid4().hex[:8]}"
    created = tool(TOPICS, "--create", "--topic", name, "--partitions", "2", "--config", "retention.ms=60000")
    assert f"Created topic {name}." in created
    tool(TOPICS, "--alter", "--topic", name, "--partitions", "4")
    described = tool(TOPICS, "--describe", "--topic", name)
    assert "PartitionCount: 4" in described
    assert "retention.ms=60000" in described
    assert re.search(rf"Topic: {name}\s+Partition: 3\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+", described)
    assert name in tool(TOPICS, "--list").splitlines()
    tool(TOPICS, "--delete", "--topic", name)


def test_kafka_configs_sets_shows_and_removes_a_topic_setting(tool: Tool, new_topic: Callable[..., str]):
    topic = new_topic(1)
    of_topic = ("--entity-type", "topics", "--entity-name", topic)
    tool(CONFIGS, "--alter", *of_topic, "--add-config", "max.message.bytes=2097152")
    shown = tool(CONFIGS, "--describe", *of_topic)
    assert "max.message.bytes=2097152" in shown
    assert "DYNAMIC_TOPIC_CONFIG:max.message.bytes=2097152" in shown
    assert "DEFAULT_CONFIG:message.max.bytes=1048588" in shown
    tool(CONFIGS, "--alter", *of_topic, "--delete-config", "max.message.bytes")
    assert "max.message.bytes" not in tool(CONFIGS, "--describe", *of_topic)


def test_console_producer_and_consumer_exchange_keys_and_headers(tool: Tool, new_topic: Callable[..., str]):
    topic = new_topic(1)
    lines = "".join(f"origin:test|key-{number}|value {number}\n" for number in range(20))
    reading = ["parse.headers=true", "parse.key=true", "headers.delimiter=|", "key.separator=|"]
    options = [part for entry in reading for part in ("--reader-property", entry)]
    tool(PRODUCER, "--topic", topic, "--compression-codec", "zstd", *options, stdin=lines)

    printing = ["print.headers=true", "print.key=true", "print.offset=true", "print.partition=true"]
    options = [part for entry in printing for part in ("--formatter-property", entry)]
    shown = tool(
        CONSUMER, "--topic", topic, "--from-beginning", "--max-messages", "20", "--timeout-ms", "20000", *options
    )
    assert shown.splitlines() == [
        f"Partition:0\tOffset:{number}\torigin:test\tkey-{number}\tvalue {number}" for number in range(20)
    ]


def test_get_offsets_and_consumer_groups_tell_positions_and_reset_them(
    tool: Tool, admin: ConfluentKafka, new_topic: Callable[..., str]
):
    topic, group = new_topic(2), f"tools-{uuid.uuid4().hex[:8]}"
    admin.produce(topic, [Record(value=str(number), partition=number % 2) for number in range(30)])
    assert sorted(tool(GET_OFFSETS, "--topic", topic).split()) == [f"{topic}:0:15", f"{topic}:1:15"]
    assert sorted(tool(GET_OFFSETS, "--topic", topic, "--time", "-2").split()) == [f"{topic}:0:0", f"{topic}:1:0"]

    consume = ("--topic", topic, "--group", group, "--from-beginning", "--max-messages", "30", "--timeout-ms", "20000")
    assert len(tool(CONSUMER, *consume).split()) == 30
    tool(GROUPS, "--group", group, "--topic", f"{topic}:0", "--reset-offsets", "--to-offset", "5", "--execute")
    described = tool(GROUPS, "--describe", "--group", group)
    rows = [line.split()[2:6] for line in described.splitlines() if topic in line]
    assert sorted(rows) == [["0", "5", "15", "10"], ["1", "15", "15", "0"]], described
    tool(GROUPS, "--delete", "--group", group)
    assert group not in tool(GROUPS, "--list").split()


def test_groups_of_the_consumer_protocol_are_shown_with_type_epochs_and_assignments(
    tool: Tool, bootstrap_servers: str, new_topic: Callable[..., str]
):
    topic, group = new_topic(2), f"tools-{uuid.uuid4().hex[:8]}"
    client = ConfluentConsumer(bootstrap_servers)
    client.join("a", group, topic)
    try:
        wait_until(lambda: client.state("a").partitions == {0, 1}, "the member has its partitions")
        listed = tool(ALL_GROUPS, "--list")
        assert re.search(rf"{group}\s+Consumer\s+consumer", listed), listed
        assert re.search(rf"{group}\s+Consumer", tool(GROUPS, "--list", "--type")), (
            "kafka-consumer-groups knows the type"
        )
        state = tool(GROUPS, "--describe", "--group", group, "--state", "--verbose")
        assert re.search(rf"{group}\s.*\suniform\s+Stable\s+2\s+2\s+1", state), state
        members = tool(GROUPS, "--describe", "--group", group, "--members", "--verbose")
        assert f"{topic}:0,1" in members, members
    finally:
        client.leave("a")


def test_kafka_dump_log_reads_our_segments_indexes_and_snapshots(
    tool: Tool, admin: ConfluentKafka, new_topic: Callable[..., str], broker_directory: Path
):
    if os.environ.get("MOLDAU_TEST_BOOTSTRAP", "") not in ("", "apache-kafka"):
        pytest.skip("the broker under test was started elsewhere, its directory is not known")
    topic = new_topic(1, segment_bytes="1048576", index_interval_bytes="512")
    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
        # librdkafka batches; several calls give several batches, and enough bytes to roll a segment.
        for _ in range(4):
            rows = [Record(value=f"{number}-" + os.urandom(400).hex(), key=f"k{number}") for number in range(250)]
            admin.produce(topic, rows, compression)
    (folder,) = [path for path in broker_directory.rglob(f"{topic}-0") if path.is_dir()]
    segments = sorted(folder.glob("*.log"))
    assert len(segments) >= 2
    files = [*segments, *sorted(folder.glob("*.index")), *sorted(folder.glob("*.timeindex"))]
    dumped = tool(DUMP_LOG, "--deep-iteration", "--files", ",".join(map(str, files)), connect=False)
    assert "isvalid: false" not in dumped
    assert "Mismatches" not in dumped
    assert "Found timestamp mismatch" not in dumped
    counts = re.findall(r"baseOffset: \d+ lastOffset: \d+ count: (\d+)", dumped)
    assert sum(map(int, counts)) == 5 * 4 * 250
    assert set(re.findall(r"compresscodec: (\w+)", dumped)) == {"none", "gzip", "snappy", "lz4", "zstd"}

    (snapshot,) = sorted(folder.glob("*.snapshot"))[-1:]
    shown = tool(DUMP_LOG, "--files", str(snapshot), connect=False)
    assert "producerId:" in shown


def test_kafka_dump_log_decodes_our_cluster_metadata_and_offsets(
    tool: Tool, admin: ConfluentKafka, new_topic: Callable[..., str], broker_directory: Path
):
    if os.environ.get("MOLDAU_TEST_BOOTSTRAP", "") not in ("", "apache-kafka"):
        pytest.skip("the broker under test was started elsewhere, its directory is not known")
    topic, group = new_topic(1), f"dump-{uuid.uuid4().hex[:8]}"
    admin.produce(topic, [Record(value="x", partition=0)])
    consumed = tool(CONSUMER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "1")
    assert consumed.split() == ["x"]

    (metadata,) = [path for path in broker_directory.rglob("__cluster_metadata-0/*0.log") if path.is_file()]
    shown = tool(DUMP_LOG, "--cluster-metadata-decoder", "--files", str(metadata), connect=False)
    assert f'"type":"TOPIC_RECORD","version":0,"data":{{"name":"{topic}"' in shown
    assert '"type":"PARTITION_RECORD"' in shown

    offsets = [path for path in broker_directory.rglob("__consumer_offsets-*/*.log") if path.stat().st_size > 0]
    assert offsets
    shown = tool(DUMP_LOG, "--offsets-decoder", "--files", ",".join(map(str, offsets)), connect=False)
    assert f'"group":"{group}"' in shown
    assert f'"topic":"{topic}"' in shown
