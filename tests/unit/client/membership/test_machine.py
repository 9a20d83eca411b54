"""What a member does about everything that the group can say, without a socket."""

import random

import pytest

from moldau.client.membership.errors import FencedMemberError, GroupError
from moldau.client.membership.machine import (
    Assigned,
    AssignmentWanted,
    Failed,
    GroupMachine,
    GroupSettings,
    Lost,
    Membership,
    ProtocolsWanted,
    Stage,
)
from moldau.client.membership.requests import (
    Answer,
    CoordinatorAnswer,
    FindCoordinator,
    Heartbeat,
    Join,
    JoinAnswer,
    JoinedMember,
    Leave,
    Sync,
    SyncAnswer,
)
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.errors import ConnectionLostError, UnservedError
from moldau.errors import ErrorCode

HERE = Address("here", 9092)
THERE = Address("there", 9092)
NONE = ErrorCode.NONE
FATAL_FOR_JOIN = [
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ErrorCode.INVALID_SESSION_TIMEOUT,
    ErrorCode.INVALID_GROUP_ID,
    ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.GROUP_MAX_SIZE_REACHED,
    ErrorCode.UNSUPPORTED_VERSION,
    ErrorCode.UNKNOWN_SERVER_ERROR,
]


class Driven:
    """A machine with its clock, led through the protocol by few words."""

    def __init__(self, **settings):
        self.now = 100.0
        self.machine = GroupMachine(GroupSettings("g", "work", **settings), random.Random(1), self.now)
        self.member_id = "m-1"

    def expect(self, kind):
        request = self.machine.next(self.now)
        assert isinstance(request, kind), request
        return request

    def nothing(self):
        assert self.machine.next(self.now) is None

    def answer(self, request, answer):
        self.machine.answered(request, answer, self.now)

    def find(self, address=HERE):
        self.answer(self.expect(FindCoordinator), CoordinatorAnswer(NONE, None, address))

    def bring(self, **protocols):
        self.machine.polled(self.now)
        wanted = self.machine.wanted
        assert isinstance(wanted, ProtocolsWanted)
        self.machine.join(protocols or {"p": b"me"}, wanted.asked)

    def join(self, generation=1, *, leads=False):
        request = self.expect(Join)
        members = (JoinedMember(self.member_id, None, b"me"), JoinedMember("other", None, b"x")) if leads else ()
        leader = self.member_id if leads else "other"
        self.answer(request, JoinAnswer(NONE, None, generation, "work", "p", leader, self.member_id, members))
        return request

    def sync(self, assignment=b"all"):
        request = self.expect(Sync)
        self.answer(request, SyncAnswer(NONE, None, "work", "p", assignment))
        return request

    def settle(self, generation=1):
        """As a follower in a stable group, with the news of it taken."""
        if self.machine.coordinator is None:
            self.find()
        self.bring()
        self.join(generation)
        self.sync()
        assert self.machine.news.popleft() == Assigned(Membership(generation, self.member_id, "p"), b"all")

    def beat(self, error=NONE):
        self.now += 3.0
        request = self.expect(Heartbeat)
        self.answer(request, Answer(error))
        return request

    def wait(self):
        """Until the next try is due."""
        wait_s = self.machine.wait_s(self.now)
        assert wait_s is not None
        assert wait_s > 0
        self.now += wait_s

    def failure(self):
        (news,) = self.machine.news
        self.machine.news.clear()
        assert isinstance(news, Failed)
        return news.error


@pytest.fixture
def driven():
    return Driven()


def test_a_follower_gets_what_the_leader_gave_it(driven):
    driven.find()
    driven.nothing()
    driven.bring(p=b"1", q=b"2")
    request = driven.join(4)
    assert (request.member_id, request.protocols) == ("", (("p", b"1"), ("q", b"2")))
    assert driven.sync(b"mine").assignments == ()
    assert list(driven.machine.news) == [Assigned(Membership(4, "m-1", "p"), b"mine")]
    assert driven.machine.stage is Stage.STABLE


def test_a_leader_is_asked_what_everybody_gets_and_says_so_to_the_group(driven):
    driven.find()
    driven.bring()
    driven.join(2, leads=True)
    wanted = driven.machine.wanted
    assert isinstance(wanted, AssignmentWanted)
    assert [member.metadata for member in wanted.members] == [b"me", b"x"]
    driven.nothing()
    driven.machine.assign(wanted.membership, {"m-1": b"a", "other": b"b"}, driven.now)
    assert driven.sync().assignments == (("m-1", b"a"), ("other", b"b"))


def test_a_leader_that_takes_its_time_sends_heartbeats_meanwhile(driven):
    driven.find()
    driven.bring()
    driven.join(2, leads=True)
    driven.beat()
    driven.machine.assign(driven.machine.membership, {}, driven.now)
    driven.expect(Sync)


def test_a_leader_that_is_told_to_skip_the_assignment_asks_nobody_for_it(driven):
    driven.find()
    driven.bring()
    answer = JoinAnswer(NONE, None, 1, "work", "p", "m-1", "m-1", (JoinedMember("m-1", "i", b""),), True)
    driven.answer(driven.expect(Join), answer)
    assert driven.machine.wanted is None
    assert driven.sync().assignments == ()


def test_an_assignment_of_an_old_generation_is_ignored(driven):
    driven.find()
    driven.bring()
    driven.join(2, leads=True)
    driven.machine.assign(Membership(1, "m-1", "p"), {}, driven.now)
    assert driven.machine.stage is Stage.ASSIGNING


def test_the_first_join_is_repeated_at_once_with_the_member_id_that_came_back(driven):
    driven.find()
    driven.bring()
    driven.answer(driven.expect(Join), JoinAnswer(ErrorCode.MEMBER_ID_REQUIRED, member_id="m-9"))
    assert driven.expect(Join).member_id == "m-9"


def test_static_members_say_who_they_are_in_every_request():
    driven = Driven(group_instance_id="i-1")
    driven.find()
    driven.bring()
    requests = [driven.join(), driven.sync(), driven.beat()]
    assert {request.group.group_instance_id for request in requests} == {"i-1"}


def test_heartbeats_go_out_at_their_interval_while_the_group_is_stable(driven):
    driven.settle()
    driven.nothing()
    assert driven.machine.wait_s(driven.now) == pytest.approx(3.0)
    assert driven.beat().generation_id == 1
    driven.nothing()


def test_a_rebalance_asks_for_protocols_and_changes_nothing_about_what_is_held(driven):
    driven.settle()
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    assert isinstance(driven.machine.wanted, ProtocolsWanted)
    assert not driven.machine.news
    # Until the user has said what it brings, the group is told that it is there.
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    driven.bring()
    assert driven.expect(Join).member_id == "m-1"


def test_a_member_may_ask_for_a_rebalance_and_says_why(driven):
    driven.settle()
    driven.machine.rejoin("more partitions")
    driven.bring()
    assert driven.expect(Join).reason == "more partitions"


def test_what_a_member_brings_is_asked_for_again_when_it_changes_before_the_group_heard_of_it(driven):
    driven.settle()
    driven.machine.rejoin("more partitions")
    driven.bring(p=b"I have all")
    driven.machine.failed(driven.expect(Join), ConnectionLostError("gone"), driven.now, passes=True)
    driven.machine.rejoin("everything was stopped")
    driven.bring(p=b"I have nothing")
    driven.wait()
    driven.find()
    request = driven.join(2)
    assert dict(request.protocols) == {"p": b"I have nothing"}
    assert request.reason == "everything was stopped"
    driven.sync()
    assert driven.machine.wanted is None


def test_a_heartbeat_that_tells_of_a_rebalance_does_not_ask_again_for_what_was_brought_meanwhile(driven):
    driven.settle()
    driven.machine.rejoin("more partitions")
    driven.now += 3.0
    heartbeat = driven.expect(Heartbeat)
    driven.bring(p=b"I have all")
    driven.answer(heartbeat, Answer(ErrorCode.REBALANCE_IN_PROGRESS))
    assert dict(driven.join(2).protocols) == {"p": b"I have all"}


def test_a_join_that_failed_is_not_sent_again_with_what_is_true_no_more(driven):
    driven.settle()
    driven.machine.rejoin("more partitions")
    driven.bring(p=b"I have all")
    request = driven.expect(Join)
    driven.machine.rejoin("everything was stopped")
    assert driven.machine.wanted is None
    driven.machine.failed(request, ConnectionLostError("gone"), driven.now, passes=True)
    driven.bring(p=b"I have nothing")
    driven.wait()
    driven.find()
    assert dict(driven.join(2).protocols) == {"p": b"I have nothing"}


@pytest.mark.parametrize("leads", [False, True])
def test_what_changes_when_the_group_has_heard_of_it_is_brought_to_one_generation_more(driven, leads):
    driven.settle()
    driven.machine.rejoin("more partitions")
    driven.bring(p=b"I have all")
    request = driven.expect(Join)
    driven.machine.rejoin("everything was stopped")
    leader = driven.member_id if leads else "other"
    driven.answer(request, JoinAnswer(NONE, None, 2, "work", "p", leader, driven.member_id, ()))
    driven.machine.rejoin("everything was stopped, again")
    if leads:
        assert isinstance(driven.machine.wanted, AssignmentWanted)
        driven.machine.assign(driven.machine.membership, {}, driven.now)
    driven.sync()
    assert driven.machine.news.popleft().membership.generation_id == 2
    driven.bring(p=b"I have nothing")
    request = driven.join(3)
    assert dict(request.protocols) == {"p": b"I have nothing"}
    driven.sync()
    assert driven.machine.wanted is None


@pytest.mark.parametrize(
    ("error", "member_id"), [(ErrorCode.ILLEGAL_GENERATION, "m-1"), (ErrorCode.UNKNOWN_MEMBER_ID, "")]
)
def test_a_member_whose_place_is_gone_loses_what_it_has_and_joins_again(driven, error, member_id):
    driven.settle()
    driven.beat(error)
    (news,) = driven.machine.news
    assert isinstance(news, Lost)
    assert error.name in news.reason
    driven.machine.news.clear()
    driven.bring()
    assert driven.expect(Join).member_id == member_id


def test_a_heartbeat_of_an_old_generation_says_nothing_about_this_one(driven):
    driven.settle()
    driven.now += 3
    late = driven.expect(Heartbeat)
    # A commit was refused meanwhile.
    assert not driven.machine.commit_refused(driven.machine.membership, ErrorCode.UNKNOWN_MEMBER_ID, driven.now)
    driven.machine.news.clear()
    driven.answer(late, Answer(ErrorCode.UNKNOWN_MEMBER_ID))
    assert not driven.machine.news


def test_a_fenced_member_fails_and_has_nothing_any_more(driven):
    driven.settle()
    driven.beat(ErrorCode.FENCED_INSTANCE_ID)
    (failed,) = driven.machine.news
    assert isinstance(failed.error, FencedMemberError)
    assert driven.machine.membership == Membership()


@pytest.mark.parametrize("error", FATAL_FOR_JOIN)
def test_a_join_that_is_refused_for_good_is_said_and_not_repeated_before_the_next_poll(driven, error):
    driven.find()
    driven.bring()
    driven.answer(driven.expect(Join), JoinAnswer(error))
    failure = driven.failure()
    assert isinstance(failure, GroupError)
    assert failure.code is error
    driven.now += 1000
    driven.nothing()
    driven.bring()
    driven.expect(Join)


@pytest.mark.parametrize("error", [ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.REBALANCE_IN_PROGRESS])
def test_a_join_that_comes_too_early_is_repeated_later(driven, error):
    driven.find()
    driven.bring()
    driven.answer(driven.expect(Join), JoinAnswer(error))
    driven.nothing()
    driven.wait()
    driven.expect(Join)


@pytest.mark.parametrize("error", [ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE])
@pytest.mark.parametrize("where", ["join", "sync", "heartbeat"])
def test_a_coordinator_that_has_moved_is_looked_for_again(driven, error, where):
    driven.find()
    driven.bring()
    if where == "join":
        driven.answer(driven.expect(Join), JoinAnswer(error))
    else:
        driven.join()
        if where == "sync":
            driven.answer(driven.expect(Sync), SyncAnswer(error))
        else:
            driven.sync()
            driven.beat(error)
    driven.wait()
    driven.find(THERE)
    assert driven.machine.coordinator == THERE
    if where == "heartbeat":
        assert driven.machine.stage is Stage.STABLE


@pytest.mark.parametrize("error", [ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID])
def test_a_sync_that_comes_too_late_begins_again_and_what_was_held_is_lost(driven, error):
    driven.settle()
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    driven.bring()
    driven.join(2)
    driven.answer(driven.expect(Sync), SyncAnswer(error))
    assert isinstance(driven.machine.news.popleft(), Lost)
    driven.bring()
    driven.expect(Join)


def test_a_sync_into_another_rebalance_joins_again_and_loses_nothing(driven):
    driven.settle()
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    driven.bring()
    driven.join(2)
    driven.answer(driven.expect(Sync), SyncAnswer(ErrorCode.REBALANCE_IN_PROGRESS))
    assert not driven.machine.news
    driven.bring()
    assert driven.join(3).member_id == "m-1"


@pytest.mark.parametrize("error", [ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.UNKNOWN_SERVER_ERROR])
@pytest.mark.parametrize("where", ["sync", "heartbeat", "find"])
def test_what_nobody_can_mend_is_said(driven, error, where):
    if where == "find":
        driven.answer(driven.expect(FindCoordinator), CoordinatorAnswer(error))
    elif where == "sync":
        driven.find()
        driven.bring()
        driven.join()
        driven.answer(driven.expect(Sync), SyncAnswer(error))
    else:
        driven.settle()
        driven.beat(error)
    assert driven.failure().code is error
    driven.now += 1000
    driven.nothing()


def test_a_group_of_another_type_is_refused(driven):
    driven.find()
    driven.bring()
    driven.answer(driven.expect(Join), JoinAnswer(NONE, None, 1, "consumer", "p", "x", "m-1"))
    assert driven.failure().code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_connection_that_breaks_is_followed_by_looking_for_the_coordinator(driven):
    driven.settle()
    driven.now += 3
    driven.machine.failed(driven.expect(Heartbeat), ConnectionLostError("gone"), driven.now, passes=True)
    driven.nothing()
    driven.wait()
    driven.find(THERE)
    driven.expect(Heartbeat)


def test_the_wait_between_tries_grows_and_ends_at_its_bound(driven):
    waits = []
    for _ in range(8):
        driven.machine.failed(driven.expect(FindCoordinator), ConnectionLostError("no"), driven.now, passes=True)
        waits.append(driven.machine.wait_s(driven.now))
        driven.wait()
    assert waits[0] == pytest.approx(0.1, rel=0.21)
    assert waits[-1] == pytest.approx(1.0, rel=0.21)


def test_a_broker_without_the_protocol_is_a_failure_and_no_reason_to_try_for_ever(driven):
    driven.find()
    driven.bring()
    driven.machine.failed(driven.expect(Join), UnservedError("too old"), driven.now, passes=False)
    assert "too old" in str(driven.failure())
    driven.now += 100
    driven.nothing()


def test_a_member_that_does_not_poll_leaves_and_joins_again_when_it_does(driven):
    driven.settle()
    driven.machine.polled(driven.now)
    driven.now += 300.1
    request = driven.expect(Leave)
    assert request.member_id == "m-1"
    assert isinstance(driven.machine.news.popleft(), Lost)
    driven.answer(request, Answer(NONE))
    driven.now += 1000
    driven.nothing()
    driven.bring()
    assert driven.expect(Join).member_id == ""


def test_a_poll_is_news_only_where_it_was_waited_for(driven):
    driven.settle()
    assert not driven.machine.polled(driven.now)
    driven.now += 300.1
    driven.answer(driven.expect(Leave), Answer(NONE))
    assert driven.machine.polled(driven.now)
    assert not driven.machine.polled(driven.now)


def test_a_static_member_that_does_not_poll_stops_and_does_not_leave():
    driven = Driven(group_instance_id="i-1")
    driven.settle()
    driven.now += 301
    driven.nothing()
    assert isinstance(driven.machine.news.popleft(), Lost)


def test_a_member_that_is_closed_leaves(driven):
    driven.settle()
    driven.machine.leave("done", driven.now)
    request = driven.expect(Leave)
    assert (request.member_id, request.reason) == ("m-1", "done")
    driven.answer(request, Answer(NONE))
    assert driven.machine.stage is Stage.LEFT
    driven.nothing()


def test_a_member_that_is_closed_while_it_joins_leaves_as_well(driven):
    driven.settle()
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    driven.bring()
    request = driven.expect(Join)
    driven.machine.leave("done", driven.now)
    driven.machine.failed(request, ConnectionLostError("cut short"), driven.now, passes=True)
    assert driven.expect(Leave).member_id == "m-1"


def test_a_static_member_is_closed_without_leaving():
    driven = Driven(group_instance_id="i-1")
    driven.settle()
    driven.machine.leave("done", driven.now)
    driven.nothing()
    assert driven.machine.stage is Stage.LEFT


def test_leaving_is_tried_once(driven):
    driven.settle()
    driven.machine.leave("done", driven.now)
    driven.machine.failed(driven.expect(Leave), ConnectionLostError("gone"), driven.now, passes=True)
    driven.nothing()
    assert driven.machine.stage is Stage.LEFT


def test_a_commit_that_is_refused_for_a_rebalance_asks_for_protocols(driven):
    driven.settle()
    assert driven.machine.commit_refused(driven.machine.membership, ErrorCode.REBALANCE_IN_PROGRESS, driven.now)
    assert isinstance(driven.machine.wanted, ProtocolsWanted)


def test_a_commit_whose_generation_ended_while_we_joined_costs_no_place(driven):
    driven.settle()
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    driven.bring()
    request = driven.expect(Join)
    assert driven.machine.commit_refused(driven.machine.membership, ErrorCode.ILLEGAL_GENERATION, driven.now)
    answer = JoinAnswer(NONE, None, 2, "work", "p", "other", "m-1")
    driven.answer(request, answer)
    driven.sync()
    assert [type(one) for one in driven.machine.news] == [Assigned]


def test_a_commit_that_is_refused_while_we_join_gives_the_place_up_whatever_the_join_says(driven):
    driven.settle()
    driven.beat(ErrorCode.REBALANCE_IN_PROGRESS)
    driven.bring()
    request = driven.expect(Join)
    assert not driven.machine.commit_refused(driven.machine.membership, ErrorCode.UNKNOWN_MEMBER_ID, driven.now)
    assert isinstance(driven.machine.news.popleft(), Lost)
    driven.answer(request, JoinAnswer(NONE, None, 2, "work", "p", "other", "m-7"))
    driven.bring()
    assert driven.expect(Join).member_id == "m-7"


def test_a_member_that_hears_anything_at_any_time_never_hangs_and_never_asks_two_things_at_once():
    """Every answer at every stage: there is always something to send, to wait for or to ask the user."""
    errors = [*FATAL_FOR_JOIN, *ErrorCode.__members__.values()]
    for seed in range(300):
        chance = random.Random(seed)
        driven = Driven()
        machine = driven.machine
        for _ in range(60):
            machine.polled(driven.now)
            while machine.news:
                machine.news.popleft()
            machine.polled(driven.now)
            wanted = machine.wanted
            if isinstance(wanted, ProtocolsWanted):
                machine.join({"p": b""}, machine.wanted.asked)
            elif isinstance(wanted, AssignmentWanted):
                machine.assign(wanted.membership, {}, driven.now)
            request = machine.next(driven.now)
            if request is None:
                wait_s = machine.wait_s(driven.now)
                assert wait_s is not None or machine.wanted is not None or machine.news, (seed, machine.stage)
                driven.now += wait_s or 0.0
                continue
            assert machine.next(driven.now) is None
            if chance.random() < 0.2:
                machine.failed(request, ConnectionLostError("x"), driven.now, passes=chance.random() < 0.8)
                continue
            machine.answered(request, _any_answer(request, chance, errors), driven.now)


def _any_answer(request, chance, errors):
    error = NONE if chance.random() < 0.6 else chance.choice(errors)
    if isinstance(request, FindCoordinator):
        return CoordinatorAnswer(error, None, None if error else HERE)
    if isinstance(request, Join):
        leader = chance.choice(["m-1", "other"])
        members = (JoinedMember("m-1", None, b""),) if leader == "m-1" else ()
        return JoinAnswer(error, None, chance.randrange(9), "work", "p", leader, "m-1", members)
    if isinstance(request, Sync):
        return SyncAnswer(error, None, "work", "p", b"")
    return Answer(error)


@pytest.mark.parametrize("error", [None, ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS])
def test_between_a_sync_that_failed_and_the_next_poll_heartbeats_go_out(driven, error):
    driven.settle()
    driven.machine.rejoin("again")
    driven.bring()
    driven.join(2)
    request = driven.expect(Sync)
    if error is None:
        driven.machine.failed(request, ConnectionLostError("gone"), driven.now, passes=True)
        driven.wait()
        driven.find()
    else:
        driven.answer(request, SyncAnswer(error))
    for _ in range(3):
        assert driven.machine.wait_s(driven.now) <= 3.0
        assert driven.beat().generation_id == 2
    driven.bring()
    driven.expect(Join)


def test_who_does_not_poll_after_a_sync_that_failed_loses_its_place_in_the_end(driven):
    driven.settle()
    driven.machine.rejoin("again")
    driven.bring()
    driven.join(2)
    driven.answer(driven.expect(Sync), SyncAnswer(ErrorCode.REBALANCE_IN_PROGRESS))
    driven.now += 301
    driven.expect(Leave)
    (news,) = driven.machine.news
    assert isinstance(news, Lost)


def test_the_answer_to_a_sync_may_take_as_long_as_the_leader_may(driven):
    driven.find()
    driven.bring()
    joining = driven.join()
    patience = driven.machine.patience_s(driven.expect(Sync), driven.now)
    assert patience == driven.machine.patience_s(joining, driven.now)
    assert patience > 300
