"""What a session does in the group's callbacks and with what the group refuses, without a cluster."""

from __future__ import annotations

import math
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.fake_producer import FakeRecordProducer
from tests.fake_reader import FakeReader
from tests.record_batches import batch

from moldau._core import RecordBlock
from moldau.client.fetching import Fetched, FetchError
from moldau.client.membership import (
    Commit,
    CommitRefusedError,
    FencedMemberError,
    GroupError,
    RebalanceInProgressError,
)
from moldau.errors import ErrorCode
from moldau.streams import Materialized, StreamsBuilder
from moldau.streams.errors import StreamsError
from moldau.streams.persistent import ENTRY_BYTES, KEPT_BYTES, DatabaseInUseError, TaskDatabase
from moldau.streams.runtime.environment import GONE_AFTER_MS, Environment, ThreadCounts
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.layout import LayoutOptions, TaskId, lay_out
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.outcomes import FencedInstanceError, TaskMigratedError
from moldau.streams.runtime.session import Session
from moldau.streams.runtime.settings import load
from moldau.streams.runtime.subscription import Given
from moldau.streams.runtime.task_manager import TaskManager
from moldau.streams.runtime.whereabouts import Whereabouts

INPUT = ("in", 0)


class FakeConsumer:
    """What reads changelogs."""

    def __init__(self, config):
        self.messages = []

    def incremental_assign(self, partitions):
        pass

    incremental_unassign = incremental_assign

    def consume(self, number, timeout):
        taken, self.messages = self.messages, []
        return taken

    def close(self):
        pass


class FakeMember:
    """A member in a stable group of one."""

    def __init__(self):
        self.is_rebalancing = False
        self.commits = []
        self.refusals = []
        self.reasons = []

    def commit(self, offsets, timeout_s):
        if self.refusals:
            raise self.refusals.pop()
        self.commits.append([(topic, one.offset) for (topic, _), one in offsets.items()])
        self.leader_epochs = [one.leader_epoch for one in offsets.values()]

    def committed(self, places, timeout_s, may_go):
        return dict.fromkeys(places, Commit(0))

    def rejoin(self, reason):
        self.reasons.append(reason)

    def poll(self, timeout_s):
        if self.refusals:
            raise self.refusals.pop()

    def close(self):
        pass


class FakeAdmin:
    """A changelog that ends at `end`."""

    def __init__(self, end):
        self.end = end

    def list_offsets(self, request, **options):
        found = {}
        for place in request:
            found[place] = Future()
            found[place].set_result(SimpleNamespace(offset=self.end))
        return found


class Record:
    """What confluent-kafka gives."""

    def __init__(self, topic, offset, key, value):
        self.topic = lambda: topic
        self.partition = lambda: 0
        self.offset = lambda: offset
        self.key = lambda: key
        self.value = lambda: value
        self.timestamp = lambda: (1, 1000)
        self.headers = lambda: None
        self.error = lambda: None


@pytest.fixture
def admin():
    return FakeAdmin(0)


@pytest.fixture
def session(admin, tmp_path, monkeypatch):
    monkeypatch.setattr("confluent_kafka.Consumer", FakeConsumer)
    monkeypatch.setattr("moldau.streams.runtime.outlet.RecordProducer", FakeRecordProducer)
    monkeypatch.setattr("moldau.streams.runtime.session.RecordReader", FakeReader)
    builder = StreamsBuilder()
    builder.stream("in", key=str, value=str).group_by_key().count(Materialized.as_("counts"))
    topology = builder.build()
    settings = load({"application.id": "app", "bootstrap.servers": "nowhere:9092", "state.dir": str(tmp_path)})
    environment = Environment(topology, lay_out(topology, {"in": 1}, LayoutOptions("app")), settings, "process", admin)
    made = Session(environment, 1, Gate(), ThreadCounts(), LeftOut())
    made._member = FakeMember()
    yield made
    made.close(clean=False)


TASK = TaskId(0, 0)


@pytest.mark.parametrize(("threads", "megabytes"), [(1, 64), (4, 64), (4, 2048)])
def test_what_caches_and_stores_may_hold_is_shared_by_the_threads(session, admin, tmp_path, threads, megabytes):
    topology = session._environment.topology
    settings = load(
        {
            "application.id": "app",
            "bootstrap.servers": "nowhere:9092",
            "state.dir": str(tmp_path),
            "num.stream.threads": threads,
            "statestore.cache.max.bytes": megabytes * 1024 * 1024,
        }
    )
    environment = Environment(topology, session._environment.layout, settings, "process", admin)
    made = TaskManager(environment, session.collector, ThreadCounts(), lambda *_: -1)
    assert made._cache.limit == megabytes * 1024 * 1024 // threads
    assert made._room.entries == max(KEPT_BYTES, megabytes * 1024 * 1024 // threads) // ENTRY_BYTES


def test_all_stores_of_a_thread_have_one_room(session):
    assign(session)
    (task,) = session.tasks.tasks.values()
    assert [*session.tasks._room.overlays] == [task.stores["counts"]._cache]


def assign(session, *, standby=False):
    active, copies = (frozenset(), frozenset({TASK})) if standby else (frozenset({TASK}), frozenset())
    session._take(active, copies, Given([], [], {}))


def revoke(session):
    session._take(frozenset(), frozenset(), Given([], [], {}))


def changelog(session, *offsets):
    session._restorer._consumer.messages = [
        Record("app-counts-changelog", offset, b"a", b"\0" * 7 + bytes([offset])) for offset in offsets
    ]
    session._restore()


def test_a_task_that_is_taken_away_while_it_is_restored_keeps_what_came_so_far(session, admin, tmp_path):
    admin.end = 4
    assign(session)
    changelog(session, 0)
    assert session._reader.paused == {INPUT}
    revoke(session)
    database = TaskDatabase(tmp_path / "app" / "0_0" / "rocksdb")
    assert database.position("counts") == 1
    database.close()


def test_a_partition_that_was_paused_when_it_went_away_is_read_when_it_comes_back(session, admin):
    admin.end = 4
    assign(session)
    changelog(session, 0)
    revoke(session)
    # Nothing is left to be restored, so nothing that is read to its end will resume it.
    admin.end = 1
    assign(session)
    assert session.is_running
    assert not session._reader.paused


def test_a_task_goes_on_where_the_group_has_come_to_or_where_its_source_says(session, monkeypatch):
    told = {INPUT: Commit(7, "AgAAAAAAAAAF\0", 3)}
    monkeypatch.setattr(session._member, "committed", lambda places, timeout_s, may_go: told)
    assign(session)
    (task,) = session.tasks.tasks.values()
    assert task.positions() == [("in", 7, 5)]
    assert session._reader.positions == {INPUT: 7}
    revoke(session)
    told.clear()
    assign(session)
    (task,) = session.tasks.tasks.values()
    assert task.positions() == []


def test_with_an_offset_the_epoch_of_its_leader_is_committed(session, monkeypatch):
    monkeypatch.setattr(session._member, "committed", lambda places, timeout_s, may_go: {INPUT: Commit(7, None, 3)})
    assign(session)
    session._work([Fetched("in", 0, None, 0, 0, 7, at_end=True)])
    (task,) = session.tasks.tasks.values()
    assert task.inputs["in"].leader_epoch == 3
    session._next_commit = math.inf
    session._work(
        [Fetched("in", 0, RecordBlock(batch(7, [(1000, b"k", b"v")], epoch=4), 7, None), 0, 1, 8, at_end=False)]
    )
    session.commit()
    assert session._member.commits == [[("in", 8)]]
    assert session._member.leader_epochs == [4]


def test_a_group_that_does_not_say_where_it_is_ends_the_session(session, monkeypatch):
    def refuse(places, timeout_s, may_go):
        raise GroupError("not authorised", ErrorCode.GROUP_AUTHORIZATION_FAILED)

    monkeypatch.setattr(session._member, "committed", refuse)
    with pytest.raises(StreamsError, match="not authorised"):
        assign(session)


def test_what_is_taken_away_is_committed_and_the_group_is_asked_to_divide_again(session):
    work(session)
    revoke(session)
    assert session._member.commits == [[("in", 1)]]
    assert len(session._member.reasons) == 1
    assert not session.tasks.tasks


def test_what_stays_is_not_touched_by_a_rebalance(session):
    work(session)
    (task,) = session.tasks.tasks.values()
    assign(session)
    assert list(session.tasks.tasks.values()) == [task]
    assert task.needs_commit
    assert not session._member.reasons


def test_a_copy_that_is_given_the_task_goes_on_with_what_it_has(session, admin):
    admin.end = 1
    assign(session, standby=True)
    # It follows beyond what was the end when it began.
    changelog(session, 0, 1, 2)
    (copy,) = session.tasks.standbys.values()
    assert session.is_running
    assert not session.ready_tasks(stale=False)
    assert session.ready_tasks(stale=True) == [copy]
    admin.end = 5
    assign(session)
    assert session.tasks.tasks == {TASK: copy}
    assert not session.is_running
    assert session._reader.paused == {INPUT}
    changelog(session, 3, 4)
    assert session.is_running
    assert copy.stores["counts"].get("a")[0] == 4
    assert not session._reader.paused
    assert session._counts.restored == 5


def test_what_a_query_has_read_of_a_copy_is_not_what_the_task_goes_on_with(session, admin):
    admin.end = 1
    assign(session, standby=True)
    (copy,) = session.tasks.standbys.values()
    assert copy.stores["counts"].get("a") is None
    changelog(session, 0, 1)
    session._restorer.keep_standbys()
    assert copy.stores["counts"].get("a")[0] == 1
    changelog(session, 2)
    admin.end = 3
    assign(session)
    assert copy.stores["counts"].get("a")[0] == 2


def test_a_copy_that_has_everything_goes_on_at_once(session, admin):
    admin.end = 3
    assign(session, standby=True)
    changelog(session, 0, 1, 2)
    assign(session)
    assert session.is_running
    assert not session._restorer.has_work


def test_a_copy_that_is_not_wanted_any_more_is_closed_and_kept_on_disk(session, admin, tmp_path):
    admin.end = 3
    assign(session, standby=True)
    changelog(session, 0, 1)
    revoke(session)
    assert not session.tasks.standbys
    assert not session._restorer.has_work
    assert session._environment.whereabouts.positions() == {TASK: 2}


def test_what_earlier_runs_left_on_disk_is_known_before_the_first_task(session, admin, tmp_path):
    admin.end = 3
    assign(session, standby=True)
    changelog(session, 0, 1)
    revoke(session)
    found = Whereabouts()
    found.look_at_disk(tmp_path / "app", session._environment.layout)
    assert found.positions() == {TASK: 2}


def work(session):
    session._next_commit = math.inf
    assign(session)
    session._work([Fetched("in", 0, RecordBlock(batch(0, [(1000, b"k", b"v")]), 0, None), 0, 1, 1, at_end=False)])
    assert session.tasks.needs_commit


def unreadable(session, monkeypatch, code):
    def poll(timeout_s):
        raise FetchError("in-0 cannot be read on", code)

    monkeypatch.setattr(session._reader, "poll", poll)
    with pytest.raises(StreamsError, match="in-0 cannot be read on"):
        session._read(session._member)


@pytest.mark.parametrize("code", [None, ErrorCode.CORRUPT_MESSAGE, ErrorCode.OFFSET_OUT_OF_RANGE])
def test_what_was_read_before_what_cannot_be_read_is_done_and_committed(session, monkeypatch, code):
    work(session)
    session.tasks.distribute(
        [Fetched("in", 0, RecordBlock(batch(1, [(1000, b"k", b"v")]), 1, None), 0, 1, 2, at_end=False)]
    )
    unreadable(session, monkeypatch, code)
    assert session._member.commits == [[("in", 2)]]


def test_nothing_is_committed_when_a_topic_is_gone(session, monkeypatch):
    work(session)
    unreadable(session, monkeypatch, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert session._member.commits == []


def test_a_collector_that_wants_a_commit_does_not_wait_until_it_is_time(session, monkeypatch):
    work(session)
    session._work([])
    assert session._member.commits == []
    monkeypatch.setattr(type(session.collector), "wants_commit", True)
    session._work([])
    assert session._member.commits == [[("in", 1)]]


def test_nothing_is_committed_while_the_next_generation_is_on_its_way(session):
    work(session)
    session._member.is_rebalancing = True
    session.commit()
    assert session._member.commits == []
    session._member.is_rebalancing = False
    session.commit()
    assert session._member.commits == [[("in", 1)]]


@pytest.fixture
def by_pattern(session, monkeypatch):
    """Its input is read because it matches a pattern."""
    monkeypatch.setattr(Environment, "has_patterns", True)
    monkeypatch.setattr(Environment, "is_by_pattern", lambda environment, topic: topic == "in")
    return session


def miss(session, seconds, place=INPUT):
    session._reader.missing = lambda: {place: seconds}


def test_nothing_is_committed_while_a_topic_is_missing_that_may_come_back(by_pattern):
    work(by_pattern)
    miss(by_pattern, GONE_AFTER_MS / 1000 - 0.1)
    by_pattern.commit()
    by_pattern.commit(last=True)
    assert by_pattern._member.commits == []
    assert by_pattern.tasks.needs_commit
    by_pattern._reader.missing = dict
    by_pattern.commit()
    assert by_pattern._member.commits == [[("in", 1)]]


def test_what_a_topic_that_was_deleted_had_is_committed_without_its_offset(by_pattern):
    work(by_pattern)
    miss(by_pattern, GONE_AFTER_MS / 1000)
    by_pattern.commit()
    assert by_pattern._member.commits == []
    assert not by_pattern.tasks.needs_commit


def test_the_offset_of_a_topic_that_is_read_by_its_name_is_never_left_out(by_pattern, monkeypatch):
    work(by_pattern)
    monkeypatch.setattr(Environment, "is_by_pattern", lambda environment, topic: False)
    for seconds in (0.0, GONE_AFTER_MS / 1000):
        miss(by_pattern, seconds)
        by_pattern.commit()
    assert by_pattern._member.commits == [[("in", 1)]]


def test_a_transaction_that_cannot_wait_for_a_missing_topic_is_begun_again(by_pattern, monkeypatch):
    work(by_pattern)
    miss(by_pattern, 0.0)
    monkeypatch.setattr(by_pattern, "_is_overdue", lambda now: True)
    with pytest.raises(TaskMigratedError, match="whether a topic was deleted"):
        by_pattern.commit()
    assert by_pattern._member.commits == []


def test_offsets_that_are_refused_in_a_rebalance_are_committed_later(session):
    work(session)
    session._member.refusals = [RebalanceInProgressError("not now")]
    session.commit()
    assert session._member.commits == []
    assert session.tasks.needs_commit
    session.commit()
    assert session._member.commits == [[("in", 1)]]


def test_what_is_read_in_order_has_what_was_written_before_a_commit_that_was_refused(session):
    work(session)
    (task,) = session.tasks.tasks.values()
    session._member.refusals = [RebalanceInProgressError("not now")]
    session.commit()
    assert task.needs_commit
    assert [key for key, _ in task.stores["counts"].all()] == ["k"]


def test_a_task_that_cannot_be_committed_before_it_goes_ends_the_session(session):
    work(session)
    session._member.refusals = [RebalanceInProgressError("not now")]
    with pytest.raises(TaskMigratedError):
        revoke(session)


def test_a_commit_of_somebody_who_is_no_member_any_more_ends_the_session(session):
    work(session)
    session._member.refusals = [CommitRefusedError("gone")]
    with pytest.raises(TaskMigratedError):
        session.commit()


def test_a_static_member_that_was_fenced_ends_and_says_what_to_do(session):
    work(session)
    session._member.refusals = [FencedMemberError("as shop-1 has come another")]
    with pytest.raises(FencedInstanceError, match=r"shop-1 has come another\nhint: .*group\.instance\.id of its own"):
        session.commit()
    session._member.refusals = [FencedMemberError("as shop-1 has come another")]
    with pytest.raises(FencedInstanceError):
        session._take_part(session._member)


def test_a_member_that_begins_in_a_generation_in_which_tasks_move_asks_for_the_next_one(session):
    session._take(frozenset(), frozenset(), Given([], [], {}, settled=False))
    assert not session._member.reasons
    assert session._next_look < math.inf
    session._next_look = 0.0
    session._take_part(session._member)
    assert len(session._member.reasons) == 1
    # Whoever was there before leaves that to those who give up what moves.
    session._take(frozenset(), frozenset(), Given([], [], {}, settled=False))
    assert session._next_look == math.inf


def test_who_is_on_the_way_into_the_next_generation_does_not_ask_for_one_more(session):
    session._take(frozenset(), frozenset(), Given([], [], {}, settled=False))
    session._next_look = 0.0
    session._member.is_rebalancing = True
    session._take_part(session._member)
    assert not session._member.reasons
    # That generation says whether to look again.
    assert session._next_look == math.inf


@pytest.mark.parametrize("standby", [False, True])
def test_a_task_whose_database_is_still_open_elsewhere_is_begun_when_it_is_free(session, tmp_path, standby):
    database = TaskDatabase(tmp_path / "app" / "0_0" / "rocksdb")
    assign(session, standby=standby)
    assert not session.tasks.tasks
    assert not session.tasks.standbys
    assert session.is_running is standby
    session._take_part(session._member)
    assert not session.tasks.tasks
    database.close()
    session._next_try = 0.0
    session._take_part(session._member)
    assert session.is_running
    assert list(session.tasks.standbys if standby else session.tasks.tasks) == [TASK]


def test_a_database_that_is_never_free_is_an_error_in_the_end(session, tmp_path, monkeypatch):
    database = TaskDatabase(tmp_path / "app" / "0_0" / "rocksdb")
    assign(session)
    (since,) = session.tasks._in_use.values()
    session.tasks._in_use[TASK] = since - 301
    session._next_try = 0.0
    with pytest.raises(DatabaseInUseError):
        session._take_part(session._member)
    # What is given again is waited for again.
    assign(session)
    assert not session.is_running
    database.close()


def test_offsets_that_are_refused_for_good_are_an_error(session):
    work(session)
    session._member.refusals = [GroupError("not authorised", ErrorCode.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(StreamsError, match="not authorised"):
        session.commit()
    assert session.tasks.needs_commit


def test_what_hinders_an_abort_leaves_no_task_open(session, monkeypatch):
    work(session)

    def fail():
        raise KafkaException(KafkaError(KafkaError._FATAL))

    monkeypatch.setattr(session.collector, "abort", fail)
    with pytest.raises(KafkaException):
        session._end_work(clean=False)
    assert not session.tasks.tasks
    monkeypatch.undo()


def test_a_session_that_cannot_be_made_leaves_no_thread(monkeypatch, session):
    closed = []

    class Producer(FakeRecordProducer):
        def close(self):
            closed.append("producer")

    def fail(*_):
        raise OSError("no more threads")

    monkeypatch.setattr("moldau.streams.runtime.outlet.RecordProducer", Producer)
    monkeypatch.setattr("moldau.streams.runtime.session.RecordReader", fail)
    with pytest.raises(OSError, match="no more threads"):
        Session(session._environment, 1, Gate(), ThreadCounts(), LeftOut())
    assert closed == ["producer"]
