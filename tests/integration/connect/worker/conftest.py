"""A Connect worker beside a broker, and a way to ask it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

import moldau
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.service import ConnectThread

WAIT_S = 90.0


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """What `look` gives once it is what is wanted."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = look()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, f"still {found!r}"
        time.sleep(0.05)


class Worker:
    """A worker over HTTP, for tests."""

    def __init__(self, url: str, bootstrap_servers: str) -> None:
        self.url = url
        self.bootstrap_servers = bootstrap_servers
        self.http = httpx.Client(base_url=url, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, **({"json": body} if body is not None else {}))
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def create(self, name: str, config: Mapping[str, str], **more: Any) -> None:
        self.ask("POST", "/connectors", {"name": name, "config": dict(config), **more})

    def states(self, name: str) -> tuple[str, list[str]] | None:
        answer = self.http.get(f"/connectors/{name}/status")
        if answer.status_code != 200:
            return None
        body = answer.json()
        return body["connector"]["state"], [task["state"] for task in body["tasks"]]

    def wait(self, name: str, connector: str = "RUNNING", tasks: list[str] | None = None) -> None:
        wanted = (connector, ["RUNNING"] if tasks is None else tasks)
        eventually(lambda: self.states(name), lambda found: found == wanted)

    def trace(self, name: str) -> str:
        return self.ask("GET", f"/connectors/{name}/status")["tasks"][0]["trace"]

    def records(self, topic: str, count: int) -> list[Any]:
        """The first `count` records of a topic."""
        consumer = moldau.Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": f"test-{topic}-{time.monotonic_ns()}",
                "auto.offset.reset": "earliest",
            }
        )
        try:
            consumer.subscribe([topic])
            found: list[Any] = []
            deadline = time.monotonic() + WAIT_S
            while len(found) < count:
                assert time.monotonic() < deadline, f"{len(found)} of {count} records in {topic}"
                found += [each for each in consumer.consume(count, timeout=0.2) if each.error() is None]
            return found
        finally:
            consumer.close()

    def send(self, topic: str, *values: str | bytes | None) -> None:
        producer = moldau.Producer({"bootstrap.servers": self.bootstrap_servers})
        for value in values:
            producer.produce(topic, value)
        assert producer.flush(WAIT_S) == 0


def settings_for(broker: moldau.Broker, name: str, **more: str) -> WorkerSettings:
    """Of a group with topics of its own."""
    given = {
        "bootstrap.servers": broker.bootstrap_servers,
        "listeners": "http://127.0.0.1:0",
        "group.id": name,
        "config.storage.topic": f"{name}-configs",
        "offset.storage.topic": f"{name}-offsets",
        "offset.storage.partitions": "3",
        "status.storage.topic": f"{name}-status",
        "offset.flush.interval.ms": "200",
        "scheduled.rebalance.max.delay.ms": "500",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    }
    return WorkerSettings({**given, **more})


@pytest.fixture(scope="session")
def connect_broker() -> Iterator[moldau.Broker]:
    with moldau.Broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def connect(connect_broker) -> Iterator[Worker]:
    """One worker for tests whose connectors and topics have names of their own."""
    with ConnectThread(settings_for(connect_broker, "shared")) as running:
        yield Worker(running.url, connect_broker.bootstrap_servers)


@pytest.fixture
def name(request) -> str:
    """Of a connector, a topic, a group."""
    return request.node.name.replace("[", "-").strip("]")[:60]
