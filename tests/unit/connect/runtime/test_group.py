"""What a worker does with what its group says, without a cluster: the member is a fake that is driven by hand."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest
from tests.unit.connect.runtime.worlds import work

from moldau.client.membership import JoinedMember
from moldau.client.membership import Membership as Place
from moldau.connect.errors import ConnectError
from moldau.connect.runtime import group
from moldau.connect.runtime.config_stores import ConfigStore
from moldau.connect.runtime.group import GroupMembership
from moldau.connect.runtime.group_protocol import (
    CONFIG_MISMATCH,
    EAGER,
    SESSIONED,
    Given,
    WorkerState,
    read_given,
    read_state,
    write_given,
    write_state,
)
from moldau.connect.runtime.refusals import RefusedError
from moldau.connect.runtime.settings import WorkerSettings

WAIT_S = 30.0
URL, OTHER = "http://me:8083/", "http://other:8083/"


class FakeMember:
    """Calls its listener when a test says so, inside of `poll`, as the real one does."""

    made: list[FakeMember]

    def __init__(self, _brokers, settings, listener) -> None:
        self.settings = settings
        self.listener = listener
        self.membership = Place(3, "me", SESSIONED)
        self.unreachable_s = 0.0
        self.calls: list[str] = []
        self.closed: str | None = None
        self._work: queue.Queue = queue.Queue()
        self._done = threading.Event()
        self.made.append(self)

    def poll(self, timeout_s):
        self._done.set()
        action, self._done = self._work.get(timeout=WAIT_S)
        action()

    def do(self, action=lambda: None):
        """Have something done by the group's thread, and all that follows from it."""
        found, done = [], threading.Event()
        self._work.put((lambda: found.append(action()), done))
        assert done.wait(WAIT_S)
        return found[0] if found else None

    def rejoin(self, reason):
        self.calls.append(reason)

    def wakeup(self):
        self._work.put((lambda: None, threading.Event()))

    def close(self, reason):
        self.closed = reason
        self._done.set()


class Group:
    """One worker and what it is told."""

    def __init__(self, **more: str) -> None:
        self.configs = ConfigStore()
        self.configs.start(lambda _event: None)
        given = {"bootstrap.servers": "nowhere:9092", "worker.sync.timeout.ms": "1", "worker.unsync.backoff.ms": "1"}
        self.membership = GroupMembership(WorkerSettings({**given, **more}), URL, self.configs)
        self.stopped: list[str] = []
        self.refuses_to_stop = False
        self.changes = threading.Semaphore(0)
        self.membership.start(self.changes.release, self._release)
        self.told = 0

    def _release(self) -> None:
        if self.refuses_to_stop:
            raise RefusedError("Request timed out")
        self.stopped.append(str(self.runs))

    @property
    def member(self) -> FakeMember:
        return FakeMember.made[-1]

    @property
    def runs(self):
        return self.membership.assignment(self.configs.snapshot())

    @property
    def offset(self) -> int:
        return self.configs.snapshot().offset + 1

    def connector(self, name: str, tasks: int) -> None:
        self.configs.put_connector(name, {"name": name})
        self.configs.put_tasks(name, [{}] * tasks)

    def give(self, generation: int = 3, protocol: str = SESSIONED, **more) -> None:
        given = Given(**{"error": 0, "leader": "other", "leader_url": OTHER, "offset": self.offset, **more})
        place = Place(generation, "me", protocol)
        self.member.do(lambda: self.member.listener.assigned(place, write_given(given, protocol)))

    def joins(self, protocol: str = SESSIONED) -> WorkerState:
        return read_state(self.member.do(lambda: self.member.listener.protocols(""))[protocol])

    def divide(self, protocol: str = SESSIONED, **states: WorkerState) -> dict[str, Given]:
        """As the leader, with what others bring."""
        mine = self.member.listener.protocols("")[protocol]
        others = [JoinedMember(name, None, write_state(state, protocol)) for name, state in states.items()]
        answer = self.member.do(
            lambda: self.member.listener.assign(protocol, [JoinedMember("me", None, mine), *others])
        )
        return {name: read_given(each) for name, each in answer.items()}


@pytest.fixture
def worker(request, monkeypatch) -> Iterator[Group]:
    """With a connector x of two tasks."""
    FakeMember.made = []
    monkeypatch.setattr(group, "GroupMember", FakeMember)
    made = Group(**getattr(request, "param", {}))
    made.connector("x", 2)
    while not FakeMember.made:
        threading.Event().wait(0.01)
    yield made
    made.membership.stop()


def test_a_worker_says_where_it_is_and_how_far_it_has_read_and_what_it_has(worker):
    assert worker.joins() == WorkerState(URL, worker.offset)
    worker.give(assigned=work("x", "x-1"))
    brought = worker.joins()
    assert brought.has is not None
    assert brought.has.assigned == work("x", "x-1")
    assert worker.member.settings.protocol_type == "connect"


def test_what_is_assigned_comes_to_what_there_is(worker):
    worker.give(assigned=work("x", ""))
    worker.give(generation=4, assigned=work("", "x-0"))
    assert worker.runs == work("x", "x-0")
    assert worker.membership.generation == 4
    assert worker.membership.leader_url == OTHER
    assert not worker.membership.leads


def test_what_is_revoked_has_stopped_before_the_group_is_asked_to_divide_again(worker):
    worker.give(assigned=work("x", "x-0 x-1"))
    worker.give(revoked=work("", "x-1"))
    assert worker.stopped == [str(work("x", "x-0"))]
    assert worker.member.calls == ["what was revoked has stopped"]
    assert worker.joins().has.revoked == work()


def test_nobody_hears_that_something_has_stopped_which_still_runs(worker, monkeypatch):
    monkeypatch.setattr(group, "RETRY_S", 0.01)
    worker.give(assigned=work("x", "x-0 x-1"))
    worker.refuses_to_stop = True
    worker.give(revoked=work("", "x-1"))
    assert worker.stopped == worker.member.calls == []
    with pytest.raises(ConnectError, match="still runs"):
        worker.membership.protocols("")
    worker.refuses_to_stop = False
    worker.member.do()
    assert worker.stopped == [str(work("x", "x-0"))]
    assert worker.member.calls == ["what was revoked has stopped"]


def test_nothing_begins_by_configurations_that_are_older_than_the_leaders(worker):
    worker.give(assigned=work("x", "x-0"))
    first = worker.member
    worker.give(assigned=work("", "x-1"), offset=worker.offset + 5)
    # It could not read them in time: it has left, stopped everything, and is coming back.
    assert first.closed is not None
    assert "worker.sync.timeout.ms" in first.closed
    assert worker.runs == work()
    assert worker.membership.leader_url is None


def test_configurations_that_are_read_in_time_are_enough(worker):
    offset = worker.offset
    worker.configs.refresh = lambda given_up: worker.configs.put_logger("some", "INFO")
    worker.give(assigned=work("x", "x-0"), offset=offset + 1)
    assert worker.runs == work("x", "x-0")


def test_who_knows_more_than_the_leader_asks_to_divide_again_and_begins_nothing(worker):
    worker.give(assigned=work("x", "x-0"), offset=worker.offset - 1)
    assert worker.runs == work()
    assert len(worker.member.calls) == 1
    # What it was given it keeps: the leader shall not think that it is lost.
    assert worker.joins().has.assigned == work("x", "x-0")


def test_a_new_connector_is_divided_once(worker):
    worker.give(assigned=work("x", "x-0 x-1"))
    worker.connector("y", 1)
    for _ in range(3):
        assert worker.membership.settle(worker.configs.snapshot())
    assert worker.member.calls == ["connectors or tasks were added or removed"]
    worker.give(assigned=work("y", "y-0"))
    worker.membership.settle(worker.configs.snapshot())
    assert len(worker.member.calls) == 1


def test_a_change_that_adds_and_removes_nothing_is_not_divided(worker):
    worker.give(assigned=work("x", "x-0 x-1"))
    worker.configs.put_connector("x", {"name": "x", "changed": "true"})
    worker.configs.put_tasks("x", [{"changed": "true"}] * 2)
    worker.membership.settle(worker.configs.snapshot())
    assert not worker.member.calls


def test_nothing_is_settled_before_the_first_assignment(worker):
    assert not worker.membership.settle(worker.configs.snapshot())


def test_what_was_deleted_is_not_brought_and_has_stopped(worker):
    worker.give(assigned=work("x", "x-0 x-1"))
    worker.configs.remove_connector("x")
    assert worker.joins().has.assigned == work()
    assert worker.stopped == ["nothing"]


def test_who_is_put_out_of_the_group_goes_on_and_leads_no_more(worker):
    worker.give(assigned=work("x", "x-0"), leader="me", leader_url=URL)
    assert worker.membership.leads
    worker.member.do(lambda: worker.member.listener.lost("the session is over"))
    assert not worker.membership.leads
    assert worker.membership.leader_url is None
    assert worker.runs == work("x", "x-0")
    assert worker.joins().has.assigned == work("x", "x-0")


def test_without_a_coordinator_everything_stops_before_others_can_have_it(worker):
    worker.give(assigned=work("x", "x-0"))
    worker.member.unreachable_s = 6.9
    worker.member.do()
    assert worker.runs == work("x", "x-0")
    worker.member.unreachable_s = 7.1
    worker.member.do()
    assert worker.runs == work()
    assert worker.stopped == ["nothing"]
    worker.member.unreachable_s = 0.0
    assert worker.joins() == WorkerState(URL, worker.offset)
    assert len(worker.member.calls) == 1


def test_a_leader_divides_and_knows_who_has_what(worker):
    found = worker.divide(b=WorkerState(OTHER, 1))
    assert {each.leader_url for each in found.values()} == {URL}
    assert {each.leader for each in found.values()} == {"me"}
    assert {each.offset for each in found.values()} == {worker.offset}
    assert found["b"].assigned == work("x", "x-0")
    assert found["me"].assigned == work("", "x-1")
    worker.give(leader="me", leader_url=URL, assigned=work("", "x-1"))
    assert worker.membership.owner_of("x") == OTHER
    assert worker.membership.owner_of("y") is None


def test_who_does_not_lead_sends_to_the_leader(worker):
    worker.give()
    assert worker.membership.owner_of("x") == OTHER


def test_a_leader_that_knows_less_than_a_member_has_everybody_ask_again(worker):
    found = worker.divide(b=WorkerState(OTHER, 99))
    assert {each.error for each in found.values()} == {CONFIG_MISMATCH}
    assert {each.offset for each in found.values()} == {99}
    assert not any(each.assigned for each in found.values())


def test_an_assignment_with_an_error_changes_nothing_but_is_asked_for_again(worker):
    worker.give(assigned=work("x", "x-0"))
    worker.give(error=CONFIG_MISMATCH)
    assert worker.runs == work("x", "x-0")
    assert len(worker.member.calls) == 1


@pytest.mark.parametrize("worker", [{"heartbeat.interval.ms": "10"}], indirect=True)
def test_after_the_delay_it_asks_again(worker):
    worker.give(delay_ms=1)
    threading.Event().wait(0.002)
    worker.member.do()
    assert worker.member.calls == ["the delay of the last rebalance is over"]


@pytest.mark.parametrize("worker", [{"connect.protocol": "eager"}], indirect=True)
def test_eagerly_everything_stops_before_work_is_divided(worker):
    worker.give(protocol=EAGER, assigned=work("x", "x-0"))
    assert worker.runs == work("x", "x-0")
    assert list(worker.member.do(lambda: worker.member.listener.protocols(""))) == [EAGER]
    assert worker.stopped == ["nothing"]
    worker.give(protocol=EAGER, assigned=work("", "x-1"))
    assert worker.runs == work("", "x-1")
    assert not worker.membership.signs


def test_in_a_group_with_one_that_is_old_nobody_signs(worker):
    worker.give(protocol=SESSIONED)
    assert worker.membership.signs
    worker.give(protocol="compatible")
    assert not worker.membership.signs


def test_what_cannot_be_read_is_asked_for_again(worker, monkeypatch):
    monkeypatch.setattr(group, "RETRY_S", 0.001)
    worker.member.do(lambda: worker.member.listener.assigned(Place(3, "me", SESSIONED), b""))
    assert len(worker.member.calls) == 1


def test_a_worker_that_stops_leaves(worker):
    worker.membership.stop()
    assert worker.member.closed == "the worker stops"
