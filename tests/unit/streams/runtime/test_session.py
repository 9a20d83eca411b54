"""What a session does in the group's callbacks and with what the group refuses, without a cluster."""

from __future__ import annotations

import math
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from moldau.streams import Materialized, StreamsBuilder
from moldau.streams.persistent import TaskDatabase
from moldau.streams.runtime.collector import LeftOut
from moldau.streams.runtime.environment import Environment, ThreadCounts
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.layout import LayoutOptions, lay_out
from moldau.streams.runtime.session import Session
from moldau.streams.runtime.settings import load

INPUT = ("in", 0)


class FakeConsumer:
    """As librdkafka: what was paused is so until it is resumed, whatever is assigned in between."""

    def __init__(self, config):
        self.paused = set()
        self.messages = []
        self.committed_offsets = []
        self.refusals = []

    def committed(self, partitions, timeout):
        return [TopicPartition(one.topic, one.partition, 0) for one in partitions]

    def commit(self, offsets, asynchronous):
        if self.refusals:
            refusal = self.refusals.pop()
            if isinstance(refusal, Exception):
                raise refusal
            return [SimpleNamespace(error=None), SimpleNamespace(error=refusal)]
        self.committed_offsets.append([(one.topic, one.offset) for one in offsets])
        return []

    def assign(self, partitions):
        pass

    incremental_assign = incremental_unassign = assign

    def pause(self, partitions):
        self.paused |= {(one.topic, one.partition) for one in partitions}

    def resume(self, partitions):
        self.paused -= {(one.topic, one.partition) for one in partitions}

    def get_watermark_offsets(self, partition, cached):
        return -1001, -1001

    def consume(self, number, timeout):
        taken, self.messages = self.messages, []
        return taken

    def unsubscribe(self):
        pass

    close = unsubscribe


class FakeProducer:
    """Everything is delivered at once."""

    def __init__(self, config):
        self.offset = 0

    def produce(self, topic, value, key, partition, on_delivery, callback, timestamp, headers):
        self.offset += 1
        on_delivery(None, SimpleNamespace(offset=lambda: self.offset - 1))

    def poll(self, timeout):
        return 0

    flush = poll


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
    monkeypatch.setattr("confluent_kafka.Producer", FakeProducer)
    builder = StreamsBuilder()
    builder.stream("in", key=str, value=str).group_by_key().count(Materialized.as_("counts"))
    topology = builder.build()
    settings = load({"application.id": "app", "bootstrap.servers": "nowhere:9092", "state.dir": str(tmp_path)})
    environment = Environment(topology, lay_out(topology, {"in": 1}, LayoutOptions("app")), settings, "process", admin)
    made = Session(environment, 1, Gate(), ThreadCounts(), LeftOut())
    yield made
    made.close(clean=False)


def assign(session):
    session._on_assign(session._consumer, [TopicPartition(*INPUT)])


def revoke(session):
    session._on_revoke(session._consumer, [TopicPartition(*INPUT)])


def test_a_rebalance_while_state_is_restored_keeps_what_came_so_far(session, admin, tmp_path):
    admin.end = 4
    assign(session)
    session._restorer._consumer.messages = [Record("app-counts-changelog", 0, b"a", b"\0" * 7 + b"\1")]
    session._restore()
    assert session._consumer.paused == {INPUT}
    revoke(session)
    assert session._callback_error is None
    database = TaskDatabase(tmp_path / "app" / "0_0" / "rocksdb")
    assert database.position("counts") == 1
    database.close()


def test_a_partition_that_was_paused_when_it_went_away_is_read_when_it_comes_back(session, admin):
    admin.end = 4
    assign(session)
    session._restorer._consumer.messages = [Record("app-counts-changelog", 0, b"a", b"\0" * 7 + b"\1")]
    session._restore()
    revoke(session)
    # Nothing is left to be restored, so nothing that is read to its end will resume it.
    admin.end = 1
    assign(session)
    assert session.is_running
    assert not session._consumer.paused


def work(session):
    session._next_commit = math.inf
    assign(session)
    session._work([Record("in", 0, b"k", b"v")])
    assert session.tasks.needs_commit


def test_offsets_that_are_refused_in_a_rebalance_are_committed_with_it(session):
    work(session)
    session._consumer.refusals = [KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))]
    session.commit()
    assert session._consumer.committed_offsets == []
    revoke(session)
    assert session._consumer.committed_offsets == [[("in", 1)]]


def test_an_offset_that_is_refused_among_others_is_an_error(session):
    work(session)
    session._consumer.refusals = [KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(KafkaException):
        session.commit()
    assert session.tasks.needs_commit


def test_an_assignment_that_comes_while_the_session_closes_asks_the_cluster_nothing(session, monkeypatch):
    asked = []
    monkeypatch.setattr(session._consumer, "committed", lambda *_args, **_more: asked.append(1))
    monkeypatch.setattr(session._consumer, "close", lambda: assign(session))
    session.close(clean=True)
    assert not asked
    assert session._callback_error is None
