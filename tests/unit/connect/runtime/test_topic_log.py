"""A worker's own topic: what a node that goes away in the middle of a question costs."""

import time
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from moldau.connect.errors import ConnectError
from moldau.connect.runtime import topic_log
from moldau.connect.runtime.names import State
from moldau.connect.runtime.status_records import Status
from moldau.connect.runtime.stores import TopicStatusStore
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
