"""A group that moves from the classic to the consumer protocol and back while it runs, with real clients of each."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupType
from tests.conformance.clients import Client, Record
from tests.conformance.clients.confluent import ConfluentConsumer, ConfluentKafka
from tests.conformance.clients.process import FranzGo, FranzGoConsumer, JavaClient, JavaConsumer
from tests.conformance.conftest import CONSUMER_PROTOCOL, open_client, wait_until

PARTITIONS = frozenset(range(4))
PAIRS = {
    "confluent-kafka": (ConfluentKafka, ConfluentConsumer),
    "java": (JavaClient, JavaConsumer),
    "franz-go": (FranzGo, FranzGoConsumer),
    "java-to-confluent-kafka": (JavaClient, ConfluentConsumer),
}


@pytest.fixture
def topic(admin: ConfluentKafka, new_topic: Callable[..., str]) -> str:
    name = new_topic(len(PARTITIONS))
    admin.produce(name, [Record(value=str(n), partition=n % len(PARTITIONS)) for n in range(40)])
    return name


@pytest.fixture
def group() -> str:
    return f"moving-{uuid.uuid4().hex[:12]}"


def shared(*members: tuple[Client, str]) -> bool:
    """Whether the members have all partitions, each of them one owner and everyone some."""
    owned = [client.state(name).partitions for client, name in members]
    return all(owned) and sum(map(len, owned)) == len(PARTITIONS) and frozenset().union(*owned) == PARTITIONS


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_group_moves_to_the_consumer_protocol_and_back_member_by_member(
    pair: tuple[type[Client], type[Client]],
    request: pytest.FixtureRequest,
    opened: dict[type[Client], Client],
    bootstrap_servers: str,
    admin: ConfluentKafka,
    topic: str,
    group: str,
):
    classic, modern = (open_client(request, kind, opened, bootstrap_servers) for kind in pair)
    with contextlib.ExitStack() as leaving:
        for client, names in ((classic, "ab"), (modern, "cd")):
            for name in names:
                leaving.callback(client.leave, f"{name}-{group}")
        a, b = ((classic, f"{name}-{group}") for name in "ab")
        c, d = ((modern, f"{name}-{group}") for name in "cd")

        def join(member: tuple[Client, str]) -> None:
            member[0].join(member[1], group, topic)

        def leave(member: tuple[Client, str]) -> None:
            member[0].leave(member[1])

        join(a)
        join(b)
        wait_until(lambda: shared(a, b), "the classic members share")
        assert admin.group_type(group) is ConsumerGroupType.CLASSIC
        join(c)
        wait_until(lambda: shared(a, b, c), "a member of the consumer protocol is among them")
        assert admin.group_type(group) is ConsumerGroupType.CONSUMER
        leave(a)
        join(d)
        leave(b)
        wait_until(lambda: shared(c, d), "the whole group has moved")
        join(a)
        wait_until(lambda: shared(a, c, d), "a classic member has come back")
        leave(c)
        leave(d)
        wait_until(lambda: shared(a), "the classic member is alone")
        assert admin.group_type(group) is ConsumerGroupType.CLASSIC


@pytest.mark.parametrize("kind", CONSUMER_PROTOCOL, ids=lambda kind: kind.name)
def test_a_topic_that_grows_is_shared_out_anew(
    kind: type[Client],
    request: pytest.FixtureRequest,
    opened: dict[type[Client], Client],
    bootstrap_servers: str,
    admin: ConfluentKafka,
    topic: str,
    group: str,
):
    client = open_client(request, kind, opened, bootstrap_servers)
    client.join(group, group, topic)
    try:
        wait_until(lambda: client.state(group).partitions == PARTITIONS, "the member has everything")
        admin.grow_topic(topic, 6)
        wait_until(lambda: client.state(group).partitions == frozenset(range(6)), "the new partitions are its own")
    finally:
        client.leave(group)


@pytest.mark.parametrize("kind", [ConfluentConsumer, JavaConsumer], ids=lambda kind: kind.name)
def test_a_regular_expression_is_resolved_by_the_coordinator(
    kind: type[Client],
    request: pytest.FixtureRequest,
    opened: dict[type[Client], Client],
    bootstrap_servers: str,
    topic: str,
    group: str,
):
    client = open_client(request, kind, opened, bootstrap_servers)
    client.join(group, group, f"^{topic[:-1]}.$")
    try:
        wait_until(lambda: client.state(group).partitions == PARTITIONS, "the member has the topic that matches")
        wait_until(lambda: client.state(group).records == 40, "and reads it")
    finally:
        client.leave(group)
