"""`kill -9` of a Connect worker, and of its node: no record is lost, and each task goes on in order."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import moldau
from moldau.client import KafkaException, TopicPartition

PLUGINS = Path(__file__).resolve().parents[1] / "integration" / "connect" / "worker"
TASKS = 3
COUNT = 3000
WAIT_S = 90.0

CHILD = """
import sys
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.service import run
settings = WorkerSettings({
    "bootstrap.servers": sys.argv[1],
    "plugin.path": sys.argv[2],
    "listeners": "http://127.0.0.1:0",
    "offset.flush.interval.ms": "100",
    "offset.storage.partitions": "5",
    "session.timeout.ms": "6000",
    "scheduled.rebalance.max.delay.ms": "1000",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
})
run(settings, [], lambda url: print(url, flush=True))
"""


def start(bootstrap_servers: str) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, bootstrap_servers, str(PLUGINS)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


def eventually(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sent(bootstrap_servers: str, topic: str) -> int:
    consumer = moldau.Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "unused"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    except KafkaException:
        return 0
    finally:
        consumer.close()


def create(url: str, name: str, config: dict[str, str]) -> None:
    answer = httpx.post(f"{url}/connectors", json={"name": name, "config": config}, timeout=90)
    assert answer.status_code == 201, answer.text


def numbers_by_task(bootstrap_servers: str, topic: str) -> dict[bytes, list[int]]:
    consumer = moldau.Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"judge-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found: dict[bytes, list[int]] = {}
    try:
        consumer.subscribe([topic])
        while True:
            message = consumer.poll(WAIT_S)
            assert message is not None
            if message.error() is not None:
                return found
            found.setdefault(message.key(), []).append(int(message.value()))
    finally:
        consumer.close()


def check(bootstrap_servers: str, topic: str) -> None:
    """Everything is there, each task in its order but for what was sent again."""
    for numbers in (found := numbers_by_task(bootstrap_servers, topic)).values():
        assert sorted(set(numbers)) == list(range(COUNT))
        for before, after in itertools.pairwise(numbers):
            assert after <= before + 1, f"{after} comes after {before}"
    assert len(found) == TASKS


def counter(topic: str) -> dict[str, str]:
    return {
        "connector.class": "plugins_of_ours:Counter",
        "tasks.max": str(TASKS),
        "topic": topic,
        "count": str(COUNT),
        "pause": "0.02",
    }


@pytest.mark.timeout(300)
def test_no_record_of_a_source_is_lost_when_its_worker_is_killed():
    with moldau.Broker() as broker:
        servers = broker.bootstrap_servers
        child, url = start(servers)
        create(url, "numbers", counter("numbers"))
        for turn in range(1, 4):
            eventually(lambda turn=turn: sent(servers, "numbers") > turn * TASKS * COUNT // 5)
            child.kill()
            child.wait()
            child, url = start(servers)
        eventually(lambda: all(each[-1] == COUNT - 1 for each in numbers_by_task(servers, "numbers").values()))
        child.terminate()
        assert child.wait(60) == 0
        check(servers, "numbers")


@pytest.mark.timeout(300)
def test_a_sink_has_every_record_whenever_its_worker_is_killed(tmp_path):
    copy = tmp_path / "copy.txt"
    with moldau.Broker() as broker:
        servers = broker.bootstrap_servers
        child, url = start(servers)
        create(url, "numbers", counter("numbers"))
        sink = {"connector.class": "FileStreamSink", "topics": "numbers", "file": str(copy)}
        # The group waits so long for a member that is dead.
        create(url, "copy", {**sink, "consumer.override.session.timeout.ms": "6000"})
        for turn in range(1, 3):
            eventually(lambda turn=turn: copy.exists() and len(copy.read_text().split()) > turn * COUNT)
            child.kill()
            child.wait()
            child, url = start(servers)
        eventually(lambda: set(copy.read_text().split()) >= set(map(str, range(COUNT))))
        eventually(lambda: len(copy.read_text().split()) >= TASKS * COUNT)
        child.terminate()
        assert child.wait(60) == 0


@pytest.mark.timeout(300)
def test_a_node_that_is_killed_and_comes_back_costs_no_record_and_no_restart(new_node):
    node = new_node()
    node.start()
    servers = node.bootstrap_servers
    child, url = start(servers)
    try:
        # This node creates no topic by itself.
        creation = {f"topic.creation.default.{what}": "1" for what in ("partitions", "replication.factor")}
        create(url, "numbers", {**counter("numbers"), **creation})
        eventually(lambda: sent(servers, "numbers") > TASKS * COUNT // 10)
        node.kill()
        node.start()
        eventually(lambda: sent(servers, "numbers") >= TASKS * COUNT)
        states = httpx.get(f"{url}/connectors/numbers/status", timeout=90).json()["tasks"]
        assert [each["state"] for each in states] == ["RUNNING"] * TASKS
        check(servers, "numbers")
        assert sent(servers, "numbers") == TASKS * COUNT
    finally:
        child.terminate()
        child.wait(60)
