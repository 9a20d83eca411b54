"""The member over sockets: against a coordinator that refuses, lies, hangs and goes away."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from tests.unit.client.fake_broker import HANG_UP, SAY_NOTHING, FakeBroker

from moldau.client.membership import (
    Brokers,
    Commit,
    CommitRefusedError,
    FencedMemberError,
    GroupError,
    GroupMember,
    GroupSettings,
    RebalanceInProgressError,
)
from moldau.client.protocol.errors import ConnectionLostError
from moldau.client.protocol.questions import (
    FIND_COORDINATOR,
    HEARTBEAT,
    JOIN_GROUP,
    LEAVE_GROUP,
    OFFSET_COMMIT,
    OFFSET_FETCH,
    SYNC_GROUP,
)
from moldau.errors import ErrorCode

PATIENCE_S = 30.0


class Listener:
    def __init__(self):
        self.heard = []

    def protocols(self, reason):
        self.heard.append(("protocols", reason))
        return {"p": b"what I have"}

    def assign(self, protocol, members):
        self.heard.append(("assign", protocol, [member.member_id for member in members]))
        return {member.member_id: b"for " + member.metadata for member in members}

    def assigned(self, membership, assignment):
        self.heard.append(("assigned", membership.generation_id, assignment))

    def lost(self, reason):
        self.heard.append(("lost", reason))

    def has(self, kind):
        return [one for one in self.heard if one[0] == kind]


class Coordinator:
    """A group of one, kindly; `instead` has by API key a list of answers to give first."""

    def __init__(self, **broker):
        self.instead = {}
        self.generation = 0
        self.broker = FakeBroker(self.answer, **broker)

    def answer(self, api_key, version, request):
        waiting = self.instead.get(api_key)
        if waiting:
            said = waiting.pop(0)
            return said(version, request) if callable(said) else said
        if api_key == JOIN_GROUP:
            self.generation += 1
            members = [{"member_id": "m-1", "metadata": request.protocols[0].metadata}]
            return {
                "error_code": 0,
                "generation_id": self.generation,
                "protocol_type": "work",
                "protocol_name": "p",
                "leader": "m-1",
                "member_id": "m-1",
                "members": members,
            }
        if api_key == SYNC_GROUP:
            return {"error_code": 0, "protocol_type": "work", "protocol_name": "p", "assignment": b"yours"}
        if api_key == OFFSET_COMMIT:
            return committed(request, 0)
        return None if api_key == FIND_COORDINATOR else {"error_code": 0}


def committed(request, error_code):
    rows = [
        {
            "name": topic.name,
            "partitions": [
                {"partition_index": one.partition_index, "error_code": error_code} for one in topic.partitions
            ],
        }
        for topic in request.topics
    ]
    return {"topics": rows}


@pytest.fixture
def coordinator():
    made = Coordinator()
    yield made
    made.broker.close()


@pytest.fixture
def member_of():
    members = []

    def make(coordinator, listener, **settings):
        settings = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 20, "retry_backoff_ms": 5, **settings}
        made = GroupMember(
            Brokers({"bootstrap.servers": coordinator.broker.address}), GroupSettings("g", "work", **settings), listener
        )
        members.append(made)
        return made

    yield make
    for member in members:
        member.close(timeout_s=5)


def poll_until(member, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        member.poll(0.05)


def settled(member_of, coordinator, **settings):
    listener = Listener()
    member = member_of(coordinator, listener, **settings)
    poll_until(member, lambda: member.is_stable and listener.has("assigned"))
    return member, listener


def test_a_member_joins_leads_and_gets_what_is_assigned(coordinator, member_of):
    _, listener = settled(member_of, coordinator)
    assert listener.heard == [("protocols", ""), ("assign", "p", ["m-1"]), ("assigned", 1, b"yours")]
    (sync,) = coordinator.broker.of(SYNC_GROUP)
    assert [(one.member_id, one.assignment) for one in sync.assignments] == [("m-1", b"for what I have")]


def test_heartbeats_go_out_while_nobody_polls(coordinator, member_of):
    settled(member_of, coordinator)
    coordinator.broker.wait_for(lambda: len(coordinator.broker.of(HEARTBEAT)) >= 3, "heartbeats")


def test_closing_leaves_the_group_and_says_why(coordinator, member_of):
    member, _ = settled(member_of, coordinator)
    member.close("we go home")
    (leave,) = coordinator.broker.of(LEAVE_GROUP)
    assert [(one.member_id, one.reason) for one in leave.members] == [("m-1", "we go home")]


def test_closing_does_not_wait_for_a_join_that_takes_its_time(coordinator, member_of):
    member, _ = settled(member_of, coordinator)
    coordinator.instead[JOIN_GROUP] = [SAY_NOTHING]
    member.rejoin("for the test")
    poll_until(member, lambda: len(coordinator.broker.of(JOIN_GROUP)) == 2)
    begun = time.monotonic()
    member.close(timeout_s=PATIENCE_S)
    assert time.monotonic() - begun < PATIENCE_S / 2
    assert len(coordinator.broker.of(LEAVE_GROUP)) == 1


def test_a_coordinator_that_hangs_is_given_up_after_the_request_timeout(coordinator, member_of):
    coordinator.instead[HEARTBEAT] = [SAY_NOTHING]
    settled(member_of, coordinator, request_timeout_ms=200)
    coordinator.broker.wait_for(lambda: len(coordinator.broker.of(HEARTBEAT)) >= 3, "heartbeats after the hang")
    assert len(coordinator.broker.of(FIND_COORDINATOR)) == 2


RUBBISH = {
    "nothing": b"",
    "torn": b"\0" * 3,
    "endless tags": b"\xff\xff\xff\xff\xff\xff",
    "a tag of two gigabytes": b"\x01\x00\xff\xff\xff\xff\x0f",
}
MANY_MEMBERS = b"\0" + struct.pack(">ihi", 0, 0, 1) + b"\2p\2p\2l\0\2m" + b"\xff\xff\xff\xff\x0f"


@pytest.mark.parametrize(
    ("api_key", "rubbish"),
    [(key, rubbish) for key in (JOIN_GROUP, SYNC_GROUP, HEARTBEAT) for rubbish in RUBBISH.values()]
    + [(JOIN_GROUP, MANY_MEMBERS)],
)
def test_rubbish_costs_the_connection_and_nothing_else(coordinator, member_of, api_key, rubbish):
    coordinator.instead[api_key] = [rubbish]
    member, _ = settled(member_of, coordinator)
    coordinator.broker.wait_for(lambda: len(coordinator.broker.of(HEARTBEAT)) >= 2, "heartbeats")
    poll_until(member, lambda: member.is_stable)
    assert len(coordinator.broker.of(FIND_COORDINATOR)) >= 2


@pytest.mark.parametrize("size", [-1, 0, 3, 101 << 20, 2**31 - 1])
def test_a_frame_that_lies_about_its_size_is_no_reason_to_allocate(size):
    def answers(*_):
        raise AssertionError

    broker = FakeBroker(answers)
    broker._answer = lambda connection, _frame: connection.sendall(struct.pack(">i", size) + b"x" * 8)
    with broker, pytest.raises(Exception, match="no Kafka broker"):
        Brokers({"bootstrap.servers": broker.address}).open_any()


def test_a_connection_that_is_cut_in_the_middle_is_opened_again(coordinator, member_of):
    coordinator.instead[SYNC_GROUP] = [HANG_UP]
    _, listener = settled(member_of, coordinator)
    assert len(coordinator.broker.of(JOIN_GROUP)) == 2
    assert listener.has("assigned")[0][1] == 2


def test_a_coordinator_that_moves_is_followed(coordinator, member_of):
    other = Coordinator()
    try:
        member, _ = settled(member_of, coordinator)
        coordinator.instead[HEARTBEAT] = [{"error_code": 16}]
        coordinator.instead[FIND_COORDINATOR] = [
            lambda version, request: coordinator.broker.as_coordinator(version, request, port=other.broker.port)
        ]
        other.broker.wait_for(lambda: other.broker.of(HEARTBEAT), "heartbeats at the other one")
        assert member.is_stable
    finally:
        other.broker.close()


def test_an_old_broker_is_spoken_to_in_its_own_versions(member_of):
    old = {JOIN_GROUP: (0, 2), SYNC_GROUP: (0, 1), HEARTBEAT: (0, 1), LEAVE_GROUP: (0, 1), FIND_COORDINATOR: (0, 1)}
    coordinator = Coordinator(versions={**old, OFFSET_COMMIT: (0, 3)})
    try:
        member, _ = settled(member_of, coordinator)
        member.commit({("t", 0): Commit(5)}, PATIENCE_S)
        member.close()
        (leave,) = coordinator.broker.of(LEAVE_GROUP)
        assert leave.member_id == "m-1"
    finally:
        coordinator.broker.close()


def test_a_static_member_is_refused_by_a_broker_that_knows_none(member_of):
    coordinator = Coordinator(versions={JOIN_GROUP: (0, 4)})
    try:
        member = member_of(coordinator, Listener(), group_instance_id="i-1")
        with pytest.raises(GroupError, match="static"):
            poll_until(member, lambda: False)
    finally:
        coordinator.broker.close()


def test_a_refusal_is_raised_by_poll_and_the_next_poll_tries_again(coordinator, member_of):
    coordinator.instead[JOIN_GROUP] = [{"error_code": 81, "protocol_name": None}]
    listener = Listener()
    member = member_of(coordinator, listener)
    with pytest.raises(GroupError) as caught:
        poll_until(member, lambda: False)
    assert caught.value.code is ErrorCode.GROUP_MAX_SIZE_REACHED
    poll_until(member, lambda: member.is_stable)


def test_an_error_of_the_listener_is_raised_by_poll_and_it_is_asked_again(coordinator, member_of):
    listener = Listener()
    member = member_of(coordinator, listener)
    ask, listener.protocols = listener.protocols, lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        poll_until(member, lambda: False)
    listener.protocols = ask
    poll_until(member, lambda: member.is_stable)


def test_what_changes_while_the_listener_says_what_it_brings_is_asked_for_again(coordinator, member_of):
    listener = Listener()
    member = member_of(coordinator, listener)
    ask = listener.protocols

    def protocols(reason):
        said = ask(reason)
        if len(listener.has("protocols")) > 1:
            return {"p": b"what I have now"}
        other = threading.Thread(target=member.rejoin, args=("more to divide",))
        other.start()
        other.join()
        return said

    listener.protocols = protocols
    poll_until(member, lambda: member.is_stable)
    assert [reason for _, reason in listener.has("protocols")] == ["", "more to divide"]
    assert {bytes(one.protocols[0].metadata) for one in coordinator.broker.of(JOIN_GROUP)} == {b"what I have now"}


def test_wakeup_ends_a_poll_that_waits(coordinator, member_of):
    member, _ = settled(member_of, coordinator)
    timer = threading.Timer(0.05, member.wakeup)
    timer.start()
    begun = time.monotonic()
    assert not member.poll(PATIENCE_S)
    assert time.monotonic() - begun < PATIENCE_S / 2
    timer.join()


def test_a_member_that_does_not_poll_leaves(coordinator, member_of):
    member, listener = settled(member_of, coordinator, rebalance_timeout_ms=300)
    coordinator.broker.wait_for(lambda: coordinator.broker.of(LEAVE_GROUP), "a request to leave")
    poll_until(member, lambda: listener.has("lost") and member.is_stable)
    assert listener.has("assigned")[-1][1] == 2


def test_offsets_are_committed_in_the_name_of_the_generation(coordinator, member_of):
    member, _ = settled(member_of, coordinator)
    member.commit({("t", 0): Commit(2**40, "hello"), ("t", 3): Commit(1)}, PATIENCE_S)
    (request,) = coordinator.broker.of(OFFSET_COMMIT)
    assert (request.generation_id_or_member_epoch, request.member_id) == (1, "m-1")
    (topic,) = request.topics
    assert [(one.partition_index, one.committed_offset, one.committed_metadata) for one in topic.partitions] == [
        (0, 2**40, "hello"),
        (3, 1, None),
    ]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (25, CommitRefusedError),
        (22, CommitRefusedError),
        (27, RebalanceInProgressError),
        (82, FencedMemberError),
        (30, GroupError),
        (29, GroupError),
        (12, GroupError),
    ],
)
def test_a_commit_that_is_refused_says_what_it_means(coordinator, member_of, code, error):
    member, listener = settled(member_of, coordinator)
    coordinator.instead[OFFSET_COMMIT] = [lambda _, request: committed(request, code)]
    with pytest.raises(error) as caught:
        member.commit({("t", 0): Commit(1)}, PATIENCE_S)
    assert type(caught.value) is error
    assert int(caught.value.code) == code
    if error is CommitRefusedError:
        poll_until(member, lambda: listener.has("lost") and member.is_stable)


@pytest.mark.parametrize("code", [3, 7, 14, 15, 16])
def test_a_commit_that_may_succeed_later_is_repeated(coordinator, member_of, code):
    member, _ = settled(member_of, coordinator)
    coordinator.instead[OFFSET_COMMIT] = [lambda _, request: committed(request, code)]
    member.commit({("t", 0): Commit(1)}, PATIENCE_S)
    assert len(coordinator.broker.of(OFFSET_COMMIT)) == 2


def test_a_commit_ends_when_its_time_is_over(coordinator, member_of):
    member, _ = settled(member_of, coordinator)
    coordinator.instead[OFFSET_COMMIT] = [lambda _, request: committed(request, 14)] * 100
    with pytest.raises(ConnectionLostError, match="LOAD_IN_PROGRESS"):
        member.commit({("t", 0): Commit(1)}, 0.3)


def test_a_commit_does_not_wait_for_a_join(coordinator, member_of):
    member, _ = settled(member_of, coordinator)
    coordinator.instead[JOIN_GROUP] = [SAY_NOTHING]
    member.rejoin("for the test")
    poll_until(member, lambda: member.is_rebalancing and len(coordinator.broker.of(JOIN_GROUP)) == 2)
    member.commit({("t", 0): Commit(1)}, PATIENCE_S)


def test_who_was_fenced_is_told_so_before_it_polls(coordinator, member_of):
    member, listener = settled(member_of, coordinator, group_instance_id="i-1")
    coordinator.instead[HEARTBEAT] = [{"error_code": 82}]
    deadline = time.monotonic() + PATIENCE_S
    while member.is_stable:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with pytest.raises(FencedMemberError, match=r"i-1.*\nhint:"):
        member.group_metadata()
    with pytest.raises(FencedMemberError, match="i-1"):
        member.commit({("t", 0): Commit(1)}, PATIENCE_S)
    with pytest.raises(FencedMemberError, match="i-1"):
        member.poll(PATIENCE_S)
    assert not listener.has("lost")


@pytest.mark.parametrize("said", [HANG_UP, SAY_NOTHING, {"error_code": ErrorCode.NOT_COORDINATOR}])
def test_a_member_knows_for_how_long_the_coordinator_has_not_answered(coordinator, member_of, said):
    member, _ = settled(member_of, coordinator, request_timeout_ms=50)
    poll_until(member, lambda: member.unreachable_s == 0)
    away = threading.Event()
    away.set()
    coordinator.instead[HEARTBEAT] = Endless(said, away)
    poll_until(member, lambda: member.unreachable_s > 0.2)
    away.clear()
    poll_until(member, lambda: member.unreachable_s == 0)


@pytest.mark.parametrize("code", [ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.GROUP_MAX_SIZE_REACHED])
def test_a_member_that_is_refused_is_not_heard(coordinator, member_of, code):
    member, _ = settled(member_of, coordinator)
    poll_until(member, lambda: member.unreachable_s == 0)
    refused = threading.Event()
    refused.set()
    for api_key in (HEARTBEAT, JOIN_GROUP):
        coordinator.instead[api_key] = Endless({"error_code": code}, refused)

    deadline = time.monotonic() + PATIENCE_S
    while member.unreachable_s <= 0.2:
        assert time.monotonic() < deadline
        with contextlib.suppress(GroupError):
            member.poll(0.05)
    refused.clear()
    while member.unreachable_s > 0:
        assert time.monotonic() < deadline
        with contextlib.suppress(GroupError):
            member.poll(0.05)


class Endless:
    """The same answer for as long as `away` is set."""

    def __init__(self, said, away):
        self._said = said
        self._away = away

    def __bool__(self):
        return self._away.is_set()

    def pop(self, _place):
        return self._said


def test_closing_ends_the_search_for_the_coordinator():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It accepts connections and never says a word: without an end from outside that takes two minutes.
        servers = f"127.0.0.1:{silent.getsockname()[1]}"
        brokers = Brokers({"bootstrap.servers": servers, "socket.connection.setup.timeout.ms": 120_000})
        member = GroupMember(brokers, GroupSettings("g", "work"), Listener())
        connection, _ = silent.accept()
        member.close()
        assert not member._thread.is_alive()
        connection.close()


def offsets_told(version, request, error_code=0, group_error=0):
    """The answer of a group that has committed 5 in each partition that is asked for."""
    asked = request.groups[0].topics if version >= 8 else request.topics
    topics = [
        {
            "name": topic.name,
            "partitions": [
                {
                    "partition_index": one,
                    "committed_offset": 5 if not error_code else -1,
                    "committed_leader_epoch": 2,
                    "metadata": "m",
                    "error_code": error_code,
                }
                for one in topic.partition_indexes
            ],
        }
        for topic in asked
    ]
    if version >= 8:
        return {"groups": [{"group_id": "g", "topics": topics, "error_code": group_error}]}
    return {"topics": topics, "error_code": group_error}


# The oldest has no epochs, the next ones one group to a request.
@pytest.mark.parametrize(("version", "epoch"), [(1, -1), (5, 2), (7, 2), (8, 2), (9, 2)])
def test_a_member_is_told_how_far_its_group_has_come(member_of, version, epoch):
    coordinator = Coordinator(versions={OFFSET_FETCH: (version, version)})
    coordinator.instead[OFFSET_FETCH] = [offsets_told]
    member, _ = settled(member_of, coordinator)
    found = member.committed([("a", 0), ("a", 3), ("b", 1)], PATIENCE_S)
    assert found == dict.fromkeys([("a", 0), ("a", 3), ("b", 1)], Commit(5, "m", epoch))
    if version >= 7:
        assert coordinator.broker.of(OFFSET_FETCH)[0].require_stable
    coordinator.broker.close()


@pytest.mark.parametrize(
    "instead",
    [
        HANG_UP,
        lambda version, request: offsets_told(version, request, group_error=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS),
        lambda version, request: offsets_told(version, request, group_error=ErrorCode.NOT_COORDINATOR),
        # A transaction may still move it.
        lambda version, request: offsets_told(version, request, error_code=ErrorCode.UNSTABLE_OFFSET_COMMIT),
        # A node that has just started knows no topic.
        lambda version, request: offsets_told(version, request, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_offsets_that_cannot_be_told_at_the_moment_are_asked_for_again(coordinator, member_of, instead):
    coordinator.instead[OFFSET_FETCH] = [instead, instead, offsets_told]
    member, _ = settled(member_of, coordinator)
    assert member.committed([("a", 0)], PATIENCE_S) == {("a", 0): Commit(5, "m", 2)}


def test_offsets_of_a_topic_that_may_be_gone_are_none(coordinator, member_of):
    coordinator.instead[OFFSET_FETCH] = [
        lambda version, request: offsets_told(version, request, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    ]
    member, _ = settled(member_of, coordinator)
    assert member.committed([("a", 0)], PATIENCE_S, lambda topic: topic == "a")["a", 0].offset == -1


def test_a_group_that_refuses_to_tell_its_offsets_is_an_error(coordinator, member_of):
    coordinator.instead[OFFSET_FETCH] = [
        lambda version, request: offsets_told(version, request, group_error=ErrorCode.GROUP_AUTHORIZATION_FAILED)
    ]
    member, _ = settled(member_of, coordinator)
    with pytest.raises(GroupError, match="GROUP_AUTHORIZATION_FAILED"):
        member.committed([("a", 0)], PATIENCE_S)


def test_offsets_of_a_topic_that_stays_unknown_are_given_up(coordinator, member_of, monkeypatch):
    monkeypatch.setattr("moldau.client.membership.member._UNKNOWN_S", 0.0)
    coordinator.instead[OFFSET_COMMIT] = [lambda version, request: committed(request, 3)]
    member, _ = settled(member_of, coordinator)
    with pytest.raises(GroupError, match="UNKNOWN_TOPIC_OR_PARTITION"):
        member.commit({("a", 0): Commit(5)}, PATIENCE_S)
    coordinator.instead[OFFSET_FETCH] = [
        lambda version, request: offsets_told(version, request, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    ]
    with pytest.raises(GroupError, match="UNKNOWN_TOPIC_OR_PARTITION"):
        member.committed([("a", 0)], PATIENCE_S)
