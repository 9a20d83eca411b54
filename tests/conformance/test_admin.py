"""Topics and their settings through each client's admin interface."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from tests.conformance.clients import Client, ClientError, Record
from tests.conformance.clients.confluent import ConfluentKafka
from tests.conformance.conftest import wait_until

pytestmark = pytest.mark.needs("admin")


@pytest.fixture
def name() -> str:
    return f"conformance-{uuid.uuid4().hex[:12]}"


def test_a_topic_is_created_with_settings_changed_grown_and_deleted(client: Client, admin: ConfluentKafka, name: str):
    client.create_topic(name, 2, {"retention.ms": "3600000", "cleanup.policy": "compact"})
    wait_until(lambda: client.partition_count(name) == 2, "the topic is there")
    settings = client.topic_config(name)
    assert settings["retention.ms"] == "3600000"
    assert settings["cleanup.policy"] == "compact"
    assert settings["segment.bytes"] == "1073741824", "what was not set has the default"

    client.set_topic_config(name, "retention.ms", "7200000")
    wait_until(lambda: client.topic_config(name)["retention.ms"] == "7200000", "the new setting is there")

    client.grow_topic(name, 5)
    wait_until(lambda: client.partition_count(name) == 5, "the topic has grown")
    client.produce(name, [Record(value="x", key="k", partition=4)])

    client.delete_topic(name)
    # Asked for all topics: to ask for this one by name would let some clients create it again.
    wait_until(lambda: name not in admin._admin.list_topics(timeout=10).topics, "the topic is gone")


def test_refusals_carry_kafkas_error_codes(client: Client, name: str, new_topic: Callable[..., str]):
    existing = new_topic(3)
    with pytest.raises(ClientError) as refused:
        client.create_topic(existing, 1)
    assert refused.value.code == "TOPIC_ALREADY_EXISTS"
    with pytest.raises(ClientError) as refused:
        client.create_topic(name, 1, {"no.such.setting": "1"})
    assert refused.value.code == "INVALID_CONFIG"
    with pytest.raises(ClientError) as refused:
        client.grow_topic(existing, 2)
    assert refused.value.code == "INVALID_PARTITIONS"
    with pytest.raises(ClientError) as refused:
        client.delete_topic(name)
    assert refused.value.code == "UNKNOWN_TOPIC_OR_PARTITION"


def test_a_deleted_topic_comes_back_empty_under_the_same_name(
    client: Client, admin: ConfluentKafka, new_topic: Callable[..., str]
):
    name = new_topic(1)
    client.produce(name, [Record(value=str(number), partition=0) for number in range(5)])
    client.delete_topic(name)
    wait_until(lambda: name not in admin._admin.list_topics(timeout=10).topics, "the topic is gone")
    client.create_topic(name, 1)
    wait_until(lambda: admin.partition_count(name) == 1, "the topic is back")
    wait_until(lambda: client.offset_of(name, 0, "latest") == 0, "the new topic is empty")
