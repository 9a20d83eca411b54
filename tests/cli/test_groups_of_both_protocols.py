"""`moldau group` on groups of the classic and of the consumer protocol."""

import time

import pytest
from confluent_kafka import Consumer
from tests.cli.conftest import moldau


@pytest.fixture
def member(servers, topic):
    """A member of the consumer protocol that has its partitions."""
    moldau("topic", "create", topic, "-p", "3", servers=servers)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "group.protocol": "consumer"})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 30
    while len(consumer.assignment()) < 3 and time.monotonic() < deadline:
        consumer.poll(0.1)
    assert len(consumer.assignment()) == 3
    yield consumer
    consumer.close()


@pytest.mark.usefixtures("member")
def test_a_group_of_the_consumer_protocol_is_described_with_its_epochs(servers, topic):
    listed = {one["group"]: one for one in moldau("group", "list", "-o", "json", servers=servers).json}
    assert (listed[topic]["protocol"], listed[topic]["state"]) == ("consumer", "stable")
    described = moldau("group", "describe", topic, "-o", "json", servers=servers).json
    assert (described["protocol"], described["assignor"]) == ("consumer", "uniform")
    assert described["epoch"] == described["assignment_epoch"] >= 2
    (one,) = described["members"]
    assert one["member_epoch"] == described["epoch"]
    assert (one["protocol"], one["subscribed"], one["expression"]) == ("consumer", [topic], None)
    assert one["assigned"] == one["target"] == {topic: [0, 1, 2]}
    table = moldau("group", "describe", topic, servers=servers).out
    assert "assignment epoch" in table
    assert "member epoch" in table
