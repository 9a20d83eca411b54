"""A worker of ours and one of Apache Kafka's in one group: they share the work, and each takes over from the other.

Both have the FileStream source; each connector reads a file of its own into a topic of its own. A line that comes twice
or not at all would show that an offset was not found, or that two had the same task.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from bench.versus.apache_kafka import java
from bench.versus.jars import MissingToolError, jars_of
from bench.versus.ports import free_port
from tests.conformance.conftest import JVM_OPTIONS

import moldau
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.service import ConnectThread

POM = Path(__file__).parent / "connect" / "pom.xml"
CONNECTORS = 4
WAIT_S = 90.0


class JavaWorker:
    """`connect-distributed` of Kafka, in a process of its own."""

    def __init__(self, folder: Path, settings: Mapping[str, str], plugins: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        file = folder / f"worker-{self.port}.properties"
        given = {**settings, "listeners": self.url, "plugin.path": str(plugins), "plugin.discovery": "service_load"}
        file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        self.log = (folder / f"worker-{self.port}.log").open("w")
        command = java("org.apache.kafka.connect.cli.ConnectDistributed", str(file), jvm_options=JVM_OPTIONS)
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)

    def close(self) -> None:
        """Ask it to end, as its script does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            finally:
                self.process.kill()
        self.log.close()


class Group:
    """Workers, and the files and topics of their connectors."""

    def __init__(self, bootstrap_servers: str, folder: Path, plugins: Path) -> None:
        self.name = f"both-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.plugins = plugins
        self.bootstrap_servers = bootstrap_servers
        self.stack = contextlib.ExitStack()
        self.written: Counter[str] = Counter()
        self.settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": self.name,
            "config.storage.topic": f"{self.name}-configs",
            "offset.storage.topic": f"{self.name}-offsets",
            "offset.storage.partitions": "3",
            "status.storage.topic": f"{self.name}-status",
            "config.storage.replication.factor": "1",
            "offset.storage.replication.factor": "1",
            "status.storage.replication.factor": "1",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.flush.interval.ms": "500",
            "scheduled.rebalance.max.delay.ms": "1000",
            "heartbeat.interval.ms": "500",
            "session.timeout.ms": "6000",
        }

    def java(self) -> JavaWorker:
        made = JavaWorker(self.folder, self.settings, self.plugins)
        self.stack.callback(made.close)
        self.wait_for(lambda: self.ask(made.url, "GET", "/connectors") is not None, "Kafka's worker answers")
        return made

    def ours(self) -> ConnectThread:
        made = ConnectThread(WorkerSettings({**self.settings, "listeners": "http://127.0.0.1:0"}))
        return self.stack.enter_context(made)

    def ask(self, url: str, method: str, path: str, body: Any = None) -> Any:
        """What a worker answers; None when it does not, or not now."""
        try:
            answer = httpx.request(method, f"{url}{path}", **({} if body is None else {"json": body}), timeout=30)
        except httpx.TransportError:
            return None
        assert answer.status_code < 400 or answer.status_code in {404, 409, 500}, answer.text
        return answer.json() if answer.status_code < 400 and answer.content else None

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {WAIT_S:g} s"
            time.sleep(0.1)

    def file_of(self, connector: str) -> Path:
        return self.folder / f"{connector}.txt"

    def connectors(self) -> list[str]:
        return [f"{self.name}-{number}" for number in range(CONNECTORS)]

    def create(self, url: str, connector: str) -> None:
        self.file_of(connector).touch()
        config = {
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
            "tasks.max": "1",
            "file": str(self.file_of(connector)),
            "topic": connector,
        }
        request = {"name": connector, "config": config}
        self.wait_for(lambda: self.ask(url, "POST", "/connectors", request) is not None, f"{connector} is created")

    def owners(self, url: str) -> tuple[Counter[str], Counter[str]]:
        """How many connectors, and how many tasks, run where."""
        running: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for connector in self.connectors():
            status = self.ask(url, "GET", f"/connectors/{connector}/status") or {"connector": {}, "tasks": []}
            for kind, each in ((0, status["connector"]), *((1, task) for task in status["tasks"])):
                if each.get("state") == "RUNNING":
                    running[kind][each["worker_id"]] += 1
        return running

    def wait_for_owners(self, url: str, *owners: str) -> None:
        share = dict.fromkeys((owner.removeprefix("http://") for owner in owners), CONNECTORS // len(owners))
        self.wait_for(lambda: self.owners(url) == (share, share), f"{CONNECTORS} connectors run in {owners}")

    def flow(self, label: str) -> None:
        """Write a line to each file, and see that each arrives, once."""
        for connector in self.connectors():
            with self.file_of(connector).open("a") as file:
                file.write(f"{connector} {label}\n")
            self.written[f"{connector} {label}"] += 1
        consumer = moldau.Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
                "topic.metadata.refresh.interval.ms": 500,
            }
        )
        try:
            consumer.subscribe(self.connectors())
            read: Counter[str] = Counter()

            def all_there() -> bool:
                for message in consumer.consume(100, 0.2):
                    if message.error() is None:
                        read[message.value().decode()] += 1
                return read.keys() == self.written.keys()

            self.wait_for(all_there, f"the lines of {label!r} arrive")
            assert read == self.written
        finally:
            consumer.close()


@pytest.fixture
def group(bootstrap_servers: str, tmp_path: Path) -> Iterator[Group]:
    try:
        plugins = jars_of(POM, "connect-file-jars")
    except MissingToolError as missing:
        pytest.skip(str(missing))
    made = Group(bootstrap_servers, tmp_path, plugins)
    with made.stack:
        yield made


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_worker_of_ours_and_one_of_kafkas_share_a_group_and_take_over_from_each_other(group: Group):
    theirs = group.java()
    for connector in group.connectors()[:2]:
        group.create(theirs.url, connector)
    ours = group.ours()
    # Kafka's leads: it came first. What is asked of ours is passed on to it.
    for connector in group.connectors()[2:]:
        group.create(ours.url, connector)
    group.wait_for_owners(ours.url, ours.url, theirs.url)
    group.wait_for_owners(theirs.url, ours.url, theirs.url)
    group.flow("both")

    theirs.close()
    group.wait_for_owners(ours.url, ours.url)
    group.flow("ours alone, which leads now")

    theirs = group.java()
    group.wait_for_owners(theirs.url, ours.url, theirs.url)
    group.flow("both again")
    for connector in group.connectors():
        # Wherever it runs: from a follower it takes two steps, the first to the leader.
        for url in (theirs.url, ours.url):
            path = f"/connectors/{connector}/tasks/0/restart"
            group.wait_for(
                lambda url=url, path=path: httpx.post(f"{url}{path}", timeout=30).status_code == 204, f"{url} {path}"
            )
    group.wait_for_owners(ours.url, ours.url, theirs.url)
    group.flow("after restarts")

    ours.close()
    group.wait_for_owners(theirs.url, theirs.url)
    group.flow("theirs alone")
