"""The broker under test, and each real client in turn.

`MOLDAU_TEST_BOOTSTRAP` chooses the broker: nothing starts a Moldau node for the session, `HOST:PORT` takes one that is
running, `apache-kafka` starts Apache Kafka. The last is how we know that a test asks for what Kafka does.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.versus import apache_kafka
from bench.versus.apache_kafka import java
from bench.versus.jars import MissingToolError
from tests.conformance.clients import Client
from tests.conformance.clients.aio import AioKafka
from tests.conformance.clients.confluent import ConfluentConsumer, ConfluentKafka
from tests.conformance.clients.kafka_python import KafkaPython
from tests.conformance.clients.kcat import Kcat
from tests.conformance.clients.process import FranzGo, FranzGoConsumer, JavaClient, JavaConsumer, KafkaJs

CLIENTS: tuple[type[Client], ...] = (ConfluentKafka, AioKafka, KafkaPython, Kcat, KafkaJs, FranzGo, JavaClient)
CONSUMER_PROTOCOL: tuple[type[Client], ...] = (ConfluentConsumer, FranzGoConsumer, JavaConsumer)
"""Those that speak KIP-848."""
# Members learn of a rebalance with their next heartbeat: the tests do not want to wait five seconds for each.
QUICK_HEARTBEATS = {
    "group.consumer.min.heartbeat.interval.ms": 500,
    "group.consumer.heartbeat.interval.ms": 500,
    "group.consumer.assignment.interval.ms": 0,
}

# A tool that lives for a second is not worth the optimising compiler.
JVM_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Xshare:auto"]
TOOL_TIMEOUT_S = 60
Tool = Callable[..., str]


@pytest.fixture(scope="session")
def broker_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the node that `bootstrap_servers` starts."""
    return tmp_path_factory.mktemp("broker")


@pytest.fixture(scope="session")
def bootstrap_servers(broker_directory: Path) -> Iterator[str]:
    chosen = os.environ.get("MOLDAU_TEST_BOOTSTRAP", "")
    quick = {key: str(value) for key, value in QUICK_HEARTBEATS.items()}
    if chosen == "apache-kafka":
        with apache_kafka.prepare(broker_directory, settings=quick) as node:
            yield node.bootstrap_servers
    elif chosen:
        yield chosen
    else:
        import moldau

        with moldau.Broker(broker_directory, **QUICK_HEARTBEATS) as broker:
            yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def opened(bootstrap_servers: str) -> Iterator[dict[type[Client], Client]]:
    """Clients that were used so far; opening one costs a process or a connection, so it is kept for the session."""
    clients: dict[type[Client], Client] = {}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.name)
def client(request: pytest.FixtureRequest, opened: dict[type[Client], Client], bootstrap_servers: str) -> Client:
    return open_client(request, request.param, opened, bootstrap_servers)


def open_client(
    request: pytest.FixtureRequest, kind: type[Client], opened: dict[type[Client], Client], bootstrap_servers: str
) -> Client:
    """The client of this kind; skips the test when it cannot be had, or lacks what the test needs."""
    if kind not in opened:
        try:
            opened[kind] = kind(bootstrap_servers)
        except MissingToolError as missing:
            pytest.skip(f"{kind.name}: {missing}")
    for marker in request.node.iter_markers("needs"):
        for ability in marker.args:
            if ability in opened[kind].lacks:
                pytest.skip(opened[kind].lacks[ability])
    return opened[kind]


@pytest.fixture(scope="session")
def admin(opened: dict[type[Client], Client], bootstrap_servers: str) -> ConfluentKafka:
    """The client with which tests prepare what they need and look at it from outside."""
    admin = opened.setdefault(ConfluentKafka, ConfluentKafka(bootstrap_servers))
    assert isinstance(admin, ConfluentKafka)
    return admin


@pytest.fixture
def new_topic(admin: ConfluentKafka) -> Callable[..., str]:
    """Create a topic with a name of its own and wait until clients can see it."""

    def create(partitions: int = 3, **configs: str) -> str:
        name = f"conformance-{uuid.uuid4().hex[:12]}"
        admin.create_topic(name, partitions, {key.replace("_", "."): value for key, value in configs.items()})
        wait_until(lambda: admin.partition_count(name) == partitions, "the topic is in the metadata")
        return name

    return create


@pytest.fixture
def tool(bootstrap_servers: str) -> Tool:
    """Run one of Kafka's tools against the broker, as its shell script would; return what it printed.

    Fails with both streams when its status is not 0.
    """
    try:
        java("kafka.Kafka")
    except MissingToolError as missing:
        pytest.skip(str(missing))

    def run(main_class: str, *arguments: str, stdin: str | None = None, connect: bool = True) -> str:
        command = java(main_class, *arguments, jvm_options=JVM_OPTIONS)
        command += ["--bootstrap-server", bootstrap_servers] if connect else []
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
        assert done.returncode == 0, f"{main_class} {arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Ask until it holds. An error of the broker counts as not yet: metadata is allowed to come later."""
    deadline = time.monotonic() + timeout_s
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except Exception as raised:  # noqa: BLE001 - reported below when it stays
            last = raised
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s:.0f} s: {what}" + (f" ({last!r})" if last else ""))
