"""Kafka's tools that measure and verify: those of its own system tests, and the two that show and cut a log.

Each is a program that counts what it sent or read; the test compares the counts with what is in the topic.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.versus.apache_kafka import java
from bench.versus.jars import MissingToolError
from bench.versus.load import java_tools

TIMEOUT_S = 120
RECORDS = 2_000
TOOLS = "org.apache.kafka.tools"
JVM_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]


def run(tool: str, *arguments: str) -> str:
    try:
        command = java(f"{TOOLS}.{tool}", *arguments, jvm_options=JVM_OPTIONS)
    except MissingToolError as missing:
        pytest.skip(str(missing))
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{tool} {arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def events(output: str) -> list[dict[str, Any]]:
    """The JSON lines of a verifiable tool."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("protocol", ["CLASSIC", "CONSUMER"])
def test_what_the_verifiable_producer_sent_the_verifiable_consumer_reads_and_commits(
    protocol: str, bootstrap_servers: str, new_topic: Callable[..., str]
):
    topic = new_topic(3)
    where = ("--bootstrap-server", bootstrap_servers, "--topic", topic, "--max-messages", str(RECORDS))
    sent = events(run("VerifiableProducer", *where))
    acknowledged = [int(event["value"]) for event in sent if event["name"] == "producer_send_success"]
    assert sorted(acknowledged) == list(range(RECORDS))

    seen = events(run("VerifiableConsumer", *where, "--group-id", topic, "--group-protocol", protocol, "--verbose"))
    values = [int(event["value"]) for event in seen if event["name"] == "record_data"]
    assert sorted(values) == list(range(RECORDS))
    commits = [event for event in seen if event["name"] == "offsets_committed"]
    assert {event["success"] for event in commits} == {True}
    committed = {part["partition"]: part["offset"] for event in commits for part in event["offsets"]}
    assert sum(committed.values()) == RECORDS


def test_the_performance_tools_send_and_read_every_record(bootstrap_servers: str, new_topic: Callable[..., str]):
    topic = new_topic(2)
    try:
        assert java_tools.produce(bootstrap_servers, topic, RECORDS, 100) > 0
    except MissingToolError as missing:
        pytest.skip(str(missing))
    assert java_tools.consume(bootstrap_servers, topic, RECORDS) >= 0
    offsets = run("GetOffsetShell", "--bootstrap-server", bootstrap_servers, "--topic", topic)
    assert sum(int(line.rpartition(":")[2]) for line in offsets.split()) == RECORDS


@pytest.mark.parametrize("acks", ["1", "all"])
def test_end_to_end_latency_is_measured_through_the_node(
    acks: str, bootstrap_servers: str, new_topic: Callable[..., str]
):
    said = run("EndToEndLatency", bootstrap_servers, new_topic(1), "200", acks, "100")
    assert re.search(r"Percentiles: 50th = \d+, 99th = \d+, 99.9th = \d+", said), said


def test_kafka_delete_records_and_log_dirs_agree_on_what_is_left(
    bootstrap_servers: str, new_topic: Callable[..., str], tmp_path: Path
):
    topic = new_topic(1)
    where = ("--bootstrap-server", bootstrap_servers)
    run("VerifiableProducer", *where, "--topic", topic, "--max-messages", "100")
    wanted = tmp_path / "offsets.json"
    wanted.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 60}]}))
    assert "low_watermark: 60" in run("DeleteRecordsCommand", *where, "--offset-json-file", str(wanted))
    first = run("GetOffsetShell", *where, "--topic", topic, "--time", "-2")
    assert first.strip() == f"{topic}:0:60"
    described = run("LogDirsCommand", *where, "--describe", "--topic-list", topic)
    [broker] = json.loads(described.splitlines()[-1])["brokers"]
    partitions = [part for directory in broker["logDirs"] for part in directory["partitions"]]
    [part] = [part for part in partitions if part["partition"] == f"{topic}-0"]
    assert part["size"] > 0
    assert (part["offsetLag"], part["isFuture"]) == (0, False)
