"""Heartbeats that Rust answers for the group machine, with a real client and a real node."""

from collections import Counter

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

import moldau
from moldau.server.dispatch import Dispatcher

HEARTBEATS = {"classic": 12, "consumer": 68}


@pytest.fixture
def asked(monkeypatch):
    """What Python was asked, by API key."""
    counts = Counter()
    start = Dispatcher.start

    def count(self, request):
        counts[request.api_key] += 1
        start(self, request)

    monkeypatch.setattr(Dispatcher, "start", count)
    return counts


@pytest.fixture
def broker():
    settings = {
        "group_min_session_timeout_ms": 1_000,
        "group_initial_rebalance_delay_ms": 0,
        "group_consumer_min_session_timeout_ms": 1_000,
        "group_consumer_session_timeout_ms": 1_500,
        "group_consumer_min_heartbeat_interval_ms": 50,
        "group_consumer_heartbeat_interval_ms": 50,
        "group_consumer_assignment_interval_ms": 0,
        "group_consumer_min_assignment_interval_ms": 0,
    }
    with moldau.Broker(**settings) as running:
        admin = AdminClient({"bootstrap.servers": running.bootstrap_servers})
        admin.create_topics([NewTopic("orders", 4, 1)])["orders"].result(30)
        yield running


def consumer(broker, protocol):
    settings = {
        "bootstrap.servers": broker.bootstrap_servers,
        "group.id": "billing",
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
    }
    if protocol == "classic":
        settings |= {"session.timeout.ms": 1_500, "heartbeat.interval.ms": 50}
    member = Consumer(settings)
    member.subscribe(["orders"])
    return member


def heartbeats(broker, protocol):
    """How many were answered, by whomever."""
    times = broker._node.shell.core.request_times()
    return sum(sum(buckets) for key, buckets, _ in times if key == HEARTBEATS[protocol])


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_live_on_heartbeats_that_python_never_sees_and_still_hear_of_every_change(
    broker, asked, eventually, protocol
):
    first, key = consumer(broker, protocol), HEARTBEATS[protocol]

    def poll(*members):
        for member in members:
            member.poll(0.01)
        return [len(member.assignment()) for member in members]

    eventually(lambda: poll(first) == [4], within_s=60)
    # For longer than two sessions, most of the heartbeats are answered without Python.
    sent_before, asked_before = heartbeats(broker, protocol), asked[key]
    eventually(lambda: poll(first) == [4] and heartbeats(broker, protocol) > sent_before + 80, within_s=60)
    assert asked[key] - asked_before < 40
    assert poll(first) == [4]
    # Another one comes, and goes: the first is told with its next heartbeat.
    second = consumer(broker, protocol)
    eventually(lambda: poll(first, second) == [2, 2], within_s=60)
    second.close()
    eventually(lambda: poll(first) == [4], within_s=60)
    if protocol == "consumer":
        # It is the coordinator that watches the topics.
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_partitions([NewPartitions("orders", 6)])["orders"].result(30)
        eventually(lambda: poll(first) == [6], within_s=60)
    first.close()
