"""Groups of both protocols through each client's own membership code."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from tests.conformance.clients import Client, ClientError, Record
from tests.conformance.clients.confluent import ConfluentKafka
from tests.conformance.conftest import CLIENTS, CONSUMER_PROTOCOL, open_client, wait_until

TWO_HEARTBEATS_S = 1.2
"""A rebalance has reached every member by then."""
PARTITIONS = frozenset(range(4))


@pytest.fixture(params=CLIENTS + CONSUMER_PROTOCOL, ids=lambda kind: kind.name)
def client(request: pytest.FixtureRequest, opened: dict[type[Client], Client], bootstrap_servers: str) -> Client:
    return open_client(request, request.param, opened, bootstrap_servers)


@pytest.fixture
def topic(admin: ConfluentKafka, new_topic: Callable[..., str]) -> str:
    """Ten records in each of four partitions."""
    name = new_topic(len(PARTITIONS))
    admin.produce(name, [Record(value=str(n), partition=n % len(PARTITIONS)) for n in range(40)])
    return name


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


@contextlib.contextmanager
def joined(client: Client, member: str, group: str, topic: str, instance_id: str | None = None) -> Iterator[None]:
    client.join(member, group, topic, instance_id)
    try:
        yield
    finally:
        client.leave(member)


def test_a_single_member_gets_everything_and_reads_it(client: Client, topic: str, group: str):
    with joined(client, "a", group, topic):
        wait_until(lambda: client.state("a").partitions == PARTITIONS, "the member has all partitions")
        wait_until(lambda: client.state("a").records == 40, "the member has read all records")


def test_two_members_share_and_the_survivor_takes_over(client: Client, topic: str, group: str):
    with joined(client, "a", group, topic), joined(client, "b", group, topic):

        def shared() -> bool:
            first, second = client.state("a").partitions, client.state("b").partitions
            return len(first) == len(second) == 2 and first | second == PARTITIONS

        wait_until(shared, "both members have two partitions each")
        client.leave("a")
        wait_until(lambda: client.state("b").partitions == PARTITIONS, "the member that stayed has all partitions")


@pytest.mark.needs("commit", "committed")
def test_committed_offsets_are_fetched_and_resumed_from(client: Client, admin: ConfluentKafka, topic: str, group: str):
    with joined(client, "a", group, topic):
        wait_until(lambda: client.state("a").records == 40, "the member has read all records")
        client.commit("a")
    wanted = dict.fromkeys(PARTITIONS, 10)
    assert client.committed(group, topic, sorted(PARTITIONS)) == wanted
    assert admin.committed(group, topic, sorted(PARTITIONS)) == wanted

    admin.produce(topic, [Record(value="new", partition=1)])
    with joined(client, "b", group, topic):
        wait_until(lambda: client.state("b").records == 1, "the next member begins after the committed offsets")


def test_what_a_member_commits_on_leaving_is_kept(client: Client, admin: ConfluentKafka, topic: str, group: str):
    if client.name != "kcat":
        pytest.skip("only kcat commits by itself when it leaves; the other clients are told to in the test above")
    with joined(client, "a", group, topic):
        wait_until(lambda: client.state("a").records == 40, "the member has read all records")
    assert admin.committed(group, topic, sorted(PARTITIONS)) == dict.fromkeys(PARTITIONS, 10)


@pytest.mark.needs("static_membership")
@pytest.mark.parametrize("restarted", ["leader", "follower"])
def test_a_static_member_that_restarts_causes_no_rebalance(client: Client, topic: str, group: str, restarted: str):
    """In the consumer protocol nobody leads, and the two cases differ in who was there first."""
    if restarted == "leader" and "static_leader" in client.lacks:
        pytest.skip(client.lacks["static_leader"])
    # Who has been alone in a group leads it, for as long as it is a member.
    leader, follower = "a", "b"
    with joined(client, leader, group, topic, "instance-a"):
        wait_until(lambda: client.state(leader).partitions == PARTITIONS, "the first member has all partitions")
        with joined(client, follower, group, topic, "instance-b"):

            def shared() -> bool:
                return len(client.state("a").partitions) == len(client.state("b").partitions) == 2

            wait_until(shared, "both members have two partitions each")
            left, stays = (leader, follower) if restarted == "leader" else (follower, leader)
            before = _once_it_is_quiet(client, stays)
            held = client.state(left).partitions
            client.leave(left)
            client.join(left, group, topic, f"instance-{left}")
            wait_until(lambda: client.state(left).partitions == held, "the restarted member has its old partitions")
            time.sleep(TWO_HEARTBEATS_S)
            assert client.state(stays).rebalances == before


def _once_it_is_quiet(client: Client, member: str) -> int:
    """How many rebalances the member saw, when it sees no more: a cooperative one has a round without partitions."""
    seen = -1
    while (now := client.state(member).rebalances) != seen:
        seen = now
        time.sleep(TWO_HEARTBEATS_S)
    return seen


@pytest.mark.needs("admin", "delete_group")
def test_a_group_is_listed_guarded_while_in_use_and_deleted_when_empty(client: Client, topic: str, group: str):
    with joined(client, "a", group, topic):
        wait_until(lambda: client.state("a").partitions == PARTITIONS, "the member has all partitions")
        wait_until(lambda: group in client.groups(), "the group is listed")
        with pytest.raises(ClientError) as refused:
            client.delete_group(group)
        assert refused.value.code == "NON_EMPTY_GROUP"
    if client.name == "kafkajs":
        # kafkajs' disconnect() leaves the group in the background.
        wait_until(lambda: _deleted(client, group), "the group is empty and deleted")
    else:
        client.delete_group(group)
    assert group not in client.groups()


def _deleted(client: Client, group: str) -> bool:
    client.delete_group(group)
    return True
