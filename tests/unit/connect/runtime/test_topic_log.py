"""A worker's own topic: what a node that goes away in the middle of a question costs."""

import json
import time
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from moldau.connect.errors import ConnectError
from moldau.connect.runtime import topic_log
from moldau.connect.runtime.names import State, TaskId
from moldau.connect.runtime.status_records import Status, status_value
from moldau.connect.runtime.status_stores import TopicStatusStore
from moldau.connect.runtime.topic_log import Clients, TopicLog, TopicSettings


class Asked:
    """Answers so many questions with a lost connection, then with an end."""

    def __init__(self, losses):
        self.losses = losses
        self.timeouts_s = []

    def get_watermark_offsets(self, place, timeout):
        self.timeouts_s.append(timeout)
        if self.losses:
            self.losses -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return 0, 7 + place.partition


def log_of(partitions):
    log = TopicLog(TopicSettings("t", "offset.storage.topic"), Clients({}, {}, {}), lambda *_record: None)
    log._positions = dict.fromkeys(range(partitions), 0)
    return log


def test_a_node_that_goes_away_in_the_middle_of_the_question_is_asked_again(monkeypatch):
    monkeypatch.setattr(topic_log, "ASK_AGAIN_S", 0.0)
    assert log_of(2)._ends(Asked(3), time.monotonic() + 30) == {0: 7, 1: 8}


def test_who_stops_waits_for_no_answer_until_the_deadline(monkeypatch):
    monkeypatch.setattr(topic_log, "ASK_AGAIN_S", 0.0)
    asked = Asked(1)
    assert log_of(1)._ends(asked, time.monotonic() + 1000) == {0: 7}
    assert asked.timeouts_s == [topic_log.ANSWER_S] * 2


def test_after_the_deadline_or_when_nobody_waits_any_more_it_is_not_asked_again():
    asked = Asked(1_000_000)
    assert log_of(1)._ends(asked, time.monotonic()) is None
    assert log_of(1)._ends(asked, time.monotonic() + 30, lambda: True) is None
    closing = log_of(1)
    closing._closing.set()
    assert closing._ends(asked, time.monotonic() + 30) is None
    assert asked.losses == 1_000_000 - 3


class Slow:
    """Takes a second for each answer, by a clock of its own."""

    def __init__(self):
        self.now = 0.0
        self.asked = 0

    def monotonic(self):
        return self.now

    def get_watermark_offsets(self, _place, timeout):
        assert timeout >= 1
        self.asked += 1
        self.now += 1
        return 0, 7


def test_many_partitions_have_one_deadline_unless_whoever_waits_gives_up_himself(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(topic_log, "time", slow)
    assert log_of(25)._ends(slow, 10.0) is None
    assert slow.asked == 10
    assert log_of(25)._ends(slow, slow.now + 10, lambda: False) == dict.fromkeys(range(25), 7)
    assert log_of(25)._ends(slow, slow.now + 10, lambda: True) is None


class Broken:
    """A producer that says at every call that it is of no more use."""

    def __init__(self):
        self.calls = []

    def _fail(self, name):
        self.calls.append(name)
        raise KafkaException(KafkaError(KafkaError._FATAL, "out of order", fatal=True))

    def produce(self, *_arguments, **_more):
        self._fail("produce")

    def poll(self, _timeout_s):
        self._fail("poll")

    def flush(self, _timeout_s):
        self._fail("flush")

    def purge(self):
        self._fail("purge")


class Sound:
    """One that takes records."""

    def __init__(self):
        self.taken = []

    def produce(self, topic, value, key, on_delivery):
        self.taken.append((topic, key, value))

    def poll(self, _timeout_s):
        return 0


def test_a_producer_that_has_failed_for_good_is_replaced(monkeypatch):
    made = [broken := Broken(), sound := Sound()]
    monkeypatch.setattr(topic_log, "Producer", lambda _settings: made.pop(0))
    log = log_of(1)
    log.send("k", b"v")
    log.poll()
    assert sound.taken == [("t", "k", b"v")]
    assert broken.calls[0] == "produce"


def test_a_log_whose_producer_has_failed_for_good_is_closed_all_the_same(caplog):
    log = log_of(1)
    log._producer = Broken()
    log.stop()
    assert "t may be lost: out of order" in caplog.text


def test_a_log_that_is_closed_says_so_to_who_reads_it(monkeypatch):
    log = log_of(1)
    log._watcher = Asked(0)
    log.stop()
    with pytest.raises(ConnectError, match="t is not read any more"):
        log.read_to_end()


def test_who_says_a_status_does_not_fail_for_it(monkeypatch, caplog):
    def refuse(*_arguments, **_more):
        raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large"))

    settings = TopicSettings("statuses", "status.storage.topic")
    store = TopicStatusStore(settings, Clients({}, {}, {}))
    store._open = True
    store._log._producer = SimpleNamespace(produce=refuse)
    status = Status(State.FAILED, "here:1", 1, "long")
    store.put("c", status)
    assert store.get("c") == status
    assert "status-connector-c was not written: too large" in caplog.text


class Losing:
    """Takes records, and says of each later that it was not written; then it is of no more use."""

    def __init__(self, tells=True):
        self.reports = []
        self.tells = tells
        self.broken = False

    def produce(self, _topic, _value, _key, on_delivery):
        if self.broken:
            raise KafkaException(KafkaError(KafkaError._FATAL, "out of order", fatal=True))
        self.reports.append(on_delivery)

    def poll(self, _timeout_s):
        return 0

    def purge(self):
        reports, self.reports = self.reports, []
        for each in reports if self.tells else ():
            each(KafkaError(KafkaError._PURGE_QUEUE), None)

    def flush(self, _timeout_s):
        return 0


def statuses(monkeypatch, *producers):
    made = list(producers)
    monkeypatch.setattr(topic_log, "Producer", lambda _settings: made.pop(0))
    store = TopicStatusStore(TopicSettings("s", "status.storage.topic"), Clients({}, {}, {}))
    store._open = True
    return store


def written(producer):
    return [(key, json.loads(value)["state"]) for _topic, key, value in producer.taken]


RUNNING, FAILED, PAUSED = (Status(state, "here:1", 1) for state in (State.RUNNING, State.FAILED, State.PAUSED))
TASK = TaskId("c", 0)


@pytest.mark.parametrize("tells", [True, False])
def test_statuses_that_a_producer_has_lost_when_it_failed_for_good_are_written_by_the_next_one(monkeypatch, tells):
    losing, sound = Losing(tells), Sound()
    store = statuses(monkeypatch, losing, sound)
    store.put("c", RUNNING)
    store.put(TASK, RUNNING)
    store.put(TASK, FAILED)
    losing.broken = True
    store.put("d", PAUSED)
    store.tell_again()
    assert dict(written(sound)) == {
        "status-connector-c": "RUNNING",
        "status-task-c-0": "FAILED",
        "status-connector-d": "PAUSED",
    }
    # Once each is enough.
    before = list(sound.taken)
    store.tell_again()
    assert sound.taken == before


def test_a_status_that_was_not_written_is_not_written_over_what_another_worker_says_since(monkeypatch):
    losing, sound = Losing(), Sound()
    store = statuses(monkeypatch, losing, sound)
    store.put(TASK, FAILED)
    losing.purge()
    # An older one of this worker's own comes back: it says nothing new.
    store._take("status-task-c-0", status_value(RUNNING))
    assert store.get(TASK) == FAILED
    elsewhere = Status(State.RUNNING, "there:1", 2)
    store._take("status-task-c-0", status_value(elsewhere))
    store.tell_again()
    assert (store.get(TASK), losing.reports) == (elsewhere, [])


def test_a_status_that_was_not_written_is_not_written_over_a_later_one(monkeypatch):
    losing = Losing()
    store = statuses(monkeypatch, losing)
    store.put(TASK, RUNNING)
    losing.purge()
    store.put(TASK, FAILED)
    losing.reports.clear()
    store.tell_again()
    assert (store.get(TASK), losing.reports) == (FAILED, [])


ELSEWHERE = Status(State.RUNNING, "there:1", 2)


@pytest.mark.parametrize("tells", [True, False])
def test_a_status_that_is_lost_is_not_written_over_what_came_while_it_was_on_its_way(monkeypatch, tells):
    losing, sound = Losing(tells), Sound()
    store = statuses(monkeypatch, losing, sound)
    store.put(TASK, FAILED)
    store._take("status-task-c-0", status_value(ELSEWHERE))
    assert store.get(TASK) == FAILED
    losing.broken = True
    store.put("d", PAUSED)
    store.tell_again()
    assert store.get(TASK) == ELSEWHERE
    assert dict(written(sound)) == {"status-connector-d": "PAUSED"}


def test_a_status_that_comes_back_stands_behind_what_came_before_it(monkeypatch):
    store = statuses(monkeypatch, Losing())
    store.put(TASK, RUNNING)
    store.put(TASK, FAILED)
    for status in (ELSEWHERE, RUNNING, FAILED):
        store._take("status-task-c-0", status_value(status))
        assert store.get(TASK) == FAILED
    store._take("status-task-c-0", status_value(ELSEWHERE))
    assert store.get(TASK) == ELSEWHERE


def test_a_status_of_which_an_older_one_is_not_written_is_on_its_way_all_the_same(monkeypatch):
    losing = Losing()
    store = statuses(monkeypatch, losing)
    store.put(TASK, RUNNING)
    store.put(TASK, FAILED)
    first, _second = losing.reports
    first(KafkaError(KafkaError._MSG_TIMED_OUT), None)
    store._take("status-task-c-0", status_value(ELSEWHERE))
    store._take("status-task-c-0", status_value(FAILED))
    store.tell_again()
    assert (store.get(TASK), len(losing.reports)) == (FAILED, 2)
