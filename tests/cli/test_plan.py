"""`moldau plan`: the guide's chapter on partition counts, as a command."""

from __future__ import annotations

import time

import pytest
from tests.cli.conftest import moldau

GUIDE = ("plan", "--peak", "100", "--consumers", "4", "--replication-factor", "3")


def test_the_guides_example_is_24_partitions_with_the_reason():
    ended = moldau(*GUIDE)
    assert ended.code == 0
    assert "partitions              24        write throughput" in ended.out
    assert "10; 2 times that for headroom is 20" in " ".join(ended.out.split())
    assert "min.insync.replicas=2" in ended.out
    assert "3.54 hours" in ended.err
    assert max(map(len, ended.out.splitlines())) <= 100


def test_a_plan_for_programs_holds_exact_numbers():
    plan = moldau(*GUIDE, "-o", "json").json
    assert plan["topic"] == {
        "partitions": 24,
        "replication_factor": 3,
        "configs": {
            "retention.ms": "604800000",
            "retention.bytes": "5100480000000",
            "compression.type": "zstd",
            "min.insync.replicas": "2",
            "cleanup.policy": "delete",
            "message.timestamp.type": "CreateTime",
        },
    }
    assert plan["disk"]["unit"] == "bytes"
    assert plan["records_s"] == 100_000


def test_the_planned_topic_is_created_with_its_settings(servers, topic):
    planned = ("--peak", "2", "--consumers", "3", "-r", "1", "--retention", "12h", "--apply", topic)
    ended = moldau("plan", *planned, "-o", "json", servers=servers)
    assert ended.code == 0, ended.err
    deadline = time.monotonic() + 30
    # A broker of Apache Kafka hears of a topic a moment after its controller has created it.
    while (shown := moldau("topic", "describe", topic, "-o", "json", servers=servers)).code != 0:
        assert time.monotonic() < deadline, shown.err
    described = shown.json
    assert len(described["partitions"]) == ended.json["partitions"]["value"] == 6
    settings = {one["setting"]: one["value"] for one in described["settings"]}
    assert settings["retention.ms"] == "43200000"
    assert settings["compression.type"] == "zstd"
    again = moldau("plan", *planned, servers=servers)
    assert again.code == 1
    assert "already exists" in again.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--peak", "0"), "peak_mb_s is 0"),
        (("--peak", "1", "--retention", "7"), "--retention 7"),
        (("--peak", "1", "--record-size", "big"), "--record-size big"),
        (("--peak", "1", "--broker-disk", "4XB"), "--broker-disk 4XB"),
    ],
)
def test_a_wrong_number_is_wrong_usage(words, says):
    ended = moldau("plan", *words)
    assert ended.code == 2
    assert says in ended.err


def test_sizes_are_read_as_people_write_them():
    plan = moldau("plan", "--peak", "1", "--record-size", "2KiB", "--process-memory", "100MB", "-o", "json").json
    assert plan["records_s"] == 489
    assert plan["memory_per_broker"]["value"] == plan["page_cache_per_broker"]["value"] + 100_000_000
