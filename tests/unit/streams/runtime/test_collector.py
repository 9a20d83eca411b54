"""What a thread's producer is given, and what becomes of what it refuses."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from moldau.streams.runtime.collector import LeftOut, ProductionError, RecordCollector
from moldau.streams.runtime.exception_handlers import Response
from moldau.streams.runtime.outcomes import FencedInstanceError, TaskMigratedError


class Message:
    """What a delivery report speaks of."""

    def __init__(self, topic, key, value):
        self.topic = lambda: topic
        self.partition = lambda: 0
        self.key = lambda: key
        self.value = lambda: value
        self.timestamp = lambda: (0, -1)
        self.headers = lambda: None
        self.offset = lambda: 7


class FakeProducer:
    """Reports what it was given when it is polled; some topics refuse values that begin with a dash."""

    def __init__(self, *refusing):
        self.refusing = refusing or ("out",)
        self.given = []
        self._reports = []

    def begin_transaction(self):
        pass

    def produce(self, topic, value, key, partition, on_delivery, callback, timestamp, headers):
        self.given.append((topic, value, timestamp))
        refused = topic in self.refusing and value.startswith(b"-")
        error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) if refused else None
        self._reports.append((on_delivery, error, Message(topic, key, value)))

    def poll(self, timeout):
        reports, self._reports = self._reports, []
        for report, error, message in reports:
            report(error, message)
        return len(self._reports)

    flush = poll

    def values_to(self, topic):
        return [value for name, value, _ in self.given if name == topic]


def collector_of(producer, decision=Response.CONTINUE, *, exactly_once=False, left_out=None):
    return RecordCollector(
        producer,
        exactly_once=exactly_once,
        handler=lambda failure: decision,
        left_out=left_out or LeftOut(),
        patience_s=30,
        dead_letters="dead",
    )


def emit(collector, value, timestamp=5):
    collector.begin()
    collector.emitter(lambda topic: topic)("out", b"k", value, timestamp, (), None, None, None)


def test_the_timestamp_0_is_not_written_as_the_time_of_the_wall():
    producer = FakeProducer()
    collector = collector_of(producer)
    emit(collector, b"x", 0)
    write = collector.changelog("log", 0, [])
    write(b"k", b"v", 0)
    write(b"k", b"v", 9)
    # Kafka writes some records of changelogs without a time.
    write(b"k", b"v", -1)
    assert [timestamp for _, _, timestamp in producer.given] == [1, 1, 9, 0]


def test_what_the_cluster_refuses_goes_to_the_dead_letters_and_is_waited_for():
    producer = FakeProducer()
    collector = collector_of(producer)
    emit(collector, b"-bad")
    emit(collector, b"good")
    collector.flush()
    assert producer.values_to("dead") == [b"-bad"]
    assert not producer._reports


def test_without_a_transaction_the_dead_letter_of_the_record_that_ends_the_thread_is_waited_for_too():
    producer = FakeProducer()
    collector = collector_of(producer, Response.FAIL)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="could not be written to out"):
        collector.flush()
    collector.abort()
    assert producer.values_to("dead") == [b"-bad"]
    assert not producer._reports


def test_a_dead_letter_that_is_refused_is_an_error_that_no_handler_decides():
    producer = FakeProducer("out", "dead")
    collector = collector_of(producer)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="a dead letter could not be written to dead"):
        collector.flush()


def test_in_a_transaction_the_dead_letter_is_written_where_its_record_is_left_out():
    producer, left_out = FakeProducer(), LeftOut()
    first = collector_of(producer, exactly_once=True, left_out=left_out)
    emit(first, b"-bad")
    with pytest.raises(TaskMigratedError, match="out refused a record"):
        first.flush()
    assert producer.values_to("dead") == []
    again = FakeProducer()
    second = collector_of(again, exactly_once=True, left_out=left_out)
    emit(second, b"-bad")
    assert again.values_to("out") == []
    assert again.values_to("dead") == [b"-bad"]


def test_a_commit_that_finds_the_static_member_fenced_is_the_end_of_it():
    class Fenced(FakeProducer):
        def send_offsets_to_transaction(self, *rest):
            raise KafkaException(KafkaError(KafkaError.FENCED_INSTANCE_ID, "shop-1", False, False, True))

    collector = collector_of(Fenced(), exactly_once=True)
    with pytest.raises(FencedInstanceError, match="of its own"):
        collector.commit([], b"")
