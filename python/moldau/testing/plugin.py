"""The pytest plugin: a broker for the session, a fresh topic for each test, and clients that close themselves.

Under pytest-xdist every worker is a session and has a broker of its own on a port of its own, so tests never meet.
`MOLDAU_TEST_BOOTSTRAP=host:port` runs the same tests against a cluster that is already there, of whatever make;
topics are deleted there when their test is over.
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from moldau.client import AdminClient
    from moldau.testing.client import KafkaClient
    from moldau.testing.container import KafkaContainer
    from moldau.testing.faults import KafkaFaults

EXTERNAL_BOOTSTRAP = "MOLDAU_TEST_BOOTSTRAP"
TOPIC_NAME_MAX = 249
ADMIN_TIMEOUT_S = 15


@dataclasses.dataclass(frozen=True)
class ExternalBroker:
    """A cluster that was there before the tests and stays after them."""

    bootstrap_servers: str

    def get_bootstrap_server(self) -> str:
        """`host:port` for any client."""
        return self.bootstrap_servers


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kafka_topic(partitions=1, config={}): how the topic of the fixture kafka_topic is created",
    )


@pytest.fixture(scope="session")
def kafka_broker_settings() -> Mapping[str, Any]:
    """Broker settings with underscores for dots. Override it in your conftest.py to have others."""
    return {}


@pytest.fixture(scope="session")
def kafka_broker(kafka_broker_settings: Mapping[str, Any]) -> Iterator[KafkaContainer | ExternalBroker]:
    """A broker for the whole session: `bootstrap_servers`, or `get_bootstrap_server()` as testcontainers has it."""
    external = os.environ.get(EXTERNAL_BOOTSTRAP)
    if external:
        yield ExternalBroker(external)
        return
    from moldau.testing.container import KafkaContainer

    with KafkaContainer(**kafka_broker_settings) as broker:
        yield broker


@pytest.fixture(scope="session")
def bootstrap_servers(kafka_broker: KafkaContainer | ExternalBroker) -> str:
    """`host:port` of the broker, for any client."""
    return kafka_broker.bootstrap_servers


@pytest.fixture
def kafka_client(bootstrap_servers: str) -> Iterator[KafkaClient]:
    """Producers, consumers and an admin client that are closed when the test is over."""
    from moldau.testing.client import KafkaClient

    with KafkaClient(bootstrap_servers) as client:
        yield client


@pytest.fixture
def kafka_faults(kafka_broker: KafkaContainer | ExternalBroker) -> Iterator[KafkaFaults]:
    """The broker's faults, undone when the test is over, however it ends; a broker that is down is started again."""
    if isinstance(kafka_broker, ExternalBroker):
        pytest.skip(f"{EXTERNAL_BOOTSTRAP} is set: nothing can be made to go wrong in a cluster that is not ours")
    from moldau.testing.faults import KafkaFaults

    with KafkaFaults(kafka_broker) as faults:
        yield faults


@pytest.fixture
def kafka_topic(request: pytest.FixtureRequest, kafka_broker: KafkaContainer | ExternalBroker) -> Iterator[str]:
    """The name of a topic that exists and is empty. `@pytest.mark.kafka_topic(partitions=3)` says how it is made."""
    from confluent_kafka.admin import NewTopic

    from moldau.client import AdminClient

    marker = request.node.get_closest_marker("kafka_topic")
    wanted: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    name = topic_name(request.node.name)
    admin = AdminClient(bootstrap_servers=kafka_broker.bootstrap_servers)
    topic = NewTopic(name, wanted.pop("partitions", 1), 1, config=wanted.pop("config", {}))
    if wanted:
        raise pytest.UsageError(f"kafka_topic takes partitions and config, not {', '.join(wanted)}")
    admin.create_topics([topic], operation_timeout=ADMIN_TIMEOUT_S)[name].result(ADMIN_TIMEOUT_S)
    wait_until_led(admin, name)
    yield name
    if isinstance(kafka_broker, ExternalBroker):
        admin.delete_topics([name], operation_timeout=ADMIN_TIMEOUT_S)[name].result(ADMIN_TIMEOUT_S)


def wait_until_led(admin: AdminClient, topic: str) -> None:
    """A created topic is announced a moment later; a client that is told "unknown topic" would report that first."""
    deadline_s = time.monotonic() + ADMIN_TIMEOUT_S
    while True:
        metadata = admin.list_topics(topic, timeout=ADMIN_TIMEOUT_S).topics[topic]
        if metadata.error is None and all(partition.leader >= 0 for partition in metadata.partitions.values()):
            return
        if time.monotonic() > deadline_s:
            raise TimeoutError(
                f"topic {topic} has no leader {ADMIN_TIMEOUT_S} s after it was created: {metadata.error}"
            )
        time.sleep(0.02)


def topic_name(test: str) -> str:
    """A legal name that no other test, worker or run has, and by which one knows the test."""
    suffix = f"-{uuid.uuid4().hex[:8]}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", test)[: TOPIC_NAME_MAX - len(suffix)].strip("-.") + suffix
