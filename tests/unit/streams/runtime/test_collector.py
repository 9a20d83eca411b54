"""What a thread's producer is given, and what becomes of what it refuses."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from moldau.streams.runtime.collector import LeftOut, ProductionError, RecordCollector
from moldau.streams.runtime.exception_handlers import Failure, Response
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

    def send_offsets_to_transaction(self, *rest):
        pass

    commit_transaction = abort_transaction = purge = send_offsets_to_transaction

    def values_to(self, topic):
        return [value for name, value, _ in self.given if name == topic]


class RefusingAtOnce(FakeProducer):
    """The client itself does not take what is written to the dead letters."""

    def __init__(self, error, *refusing):
        super().__init__(*refusing)
        self.error = error
        self.tries = 0
        self.aborted = 0

    def produce(self, topic, *rest):
        if topic == "dead":
            self.tries += 1
            assert self.tries < 10, "it never ends"
            raise self.error
        super().produce(topic, *rest)

    def abort_transaction(self, *rest):
        self.aborted += 1


class Fenced(FakeProducer):
    """Fenced while reports of deliveries wait: the binding calls them with its own error raised already."""

    def poll(self, timeout):
        try:
            raise KafkaException(KafkaError(KafkaError._FENCED))
        except KafkaException as error:
            raise SystemError("returned a result with an exception set") from error

    flush = commit_transaction = poll


def too_large():
    return KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))


def collector_of(producer, decision=Response.CONTINUE, *, exactly_once=False, left_out=None, patience_s=30):
    return RecordCollector(
        producer,
        exactly_once=exactly_once,
        handler=lambda failure: decision,
        left_out=left_out or LeftOut(),
        patience_s=patience_s,
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


@pytest.mark.parametrize("decision", list(Response))
def test_a_dead_letter_that_the_client_refuses_at_once_is_no_dead_letter_of_its_own(decision):
    producer = RefusingAtOnce(too_large())
    collector = collector_of(producer, decision)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="could not be written to"):
        collector.flush()
    collector.abort()
    assert producer.tries == 1
    assert collector._letters_on_their_way == 0


def test_a_dead_letter_of_a_record_in_process_that_is_refused_at_once_is_an_error():
    collector = collector_of(RefusingAtOnce(too_large()))
    collector.dead_letter(Failure(ValueError("no"), "0_0", "in", 0, 3, b"k", b"v", 5, ()))
    with pytest.raises(ProductionError, match="a dead letter could not be written to dead"):
        collector.serve()
    assert collector._letters_on_their_way == 0


def test_a_dead_letter_that_is_refused_at_once_because_of_another_instance_is_a_migration():
    fenced = KafkaException(KafkaError(KafkaError._FENCED))
    collector = collector_of(RefusingAtOnce(fenced))
    collector.dead_letter(Failure(ValueError("no"), "0_0", "in", 0, 3, b"k", b"v", 5, ()))
    with pytest.raises(TaskMigratedError):
        collector.serve()
    assert collector._letters_on_their_way == 0


def test_an_error_of_the_producer_while_there_is_no_room_is_not_one_of_the_record():
    class Full(FakeProducer):
        def produce(self, *record):
            raise BufferError

        def poll(self, timeout):
            raise KafkaException(KafkaError(KafkaError._INVALID_ARG))

    collector = collector_of(Full())
    with pytest.raises(KafkaException):
        emit(collector, b"good")
    with pytest.raises(KafkaException):
        collector.dead_letter(Failure(ValueError("no"), "0_0", "in", 0, 3, b"k", b"v", 5, ()))
    assert collector._letters_on_their_way == 0
    assert collector._failed is None


def test_a_sink_may_write_to_the_topic_of_the_dead_letters_too():
    producer, left_out = FakeProducer("dead"), LeftOut()

    def emit_to_dead(collector):
        collector.begin()
        collector.emitter(lambda topic: "dead")("out", b"k", b"-bad", 5, (), None, None, None)

    first = collector_of(producer, exactly_once=True, left_out=left_out)
    emit_to_dead(first)
    with pytest.raises(TaskMigratedError, match="dead refused a record"):
        first.flush()
    second = collector_of(producer, exactly_once=True, left_out=left_out)
    emit_to_dead(second)
    with pytest.raises(ProductionError, match="a dead letter could not be written to dead"):
        second.flush()
    assert first._letters_on_their_way == second._letters_on_their_way == 0


@pytest.mark.parametrize("error", [BufferError(), too_large()])
def test_a_last_dead_letter_that_cannot_be_written_does_not_hinder_the_end(error, caplog):
    producer = RefusingAtOnce(error)
    collector = collector_of(producer, Response.FAIL, patience_s=-1)
    emit(collector, b"-bad")
    producer.poll(0)
    collector.abort()
    assert "dead letter" in caplog.text
    assert collector._letters_on_their_way == 0


def test_the_last_dead_letter_for_which_there_was_no_room_is_tried_again_in_the_end():
    producer = RefusingAtOnce(BufferError())
    collector = collector_of(producer, Response.FAIL)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="could not be written to out"):
        collector.serve()
    producer.produce = lambda *record: FakeProducer.produce(producer, *record)
    collector.abort()
    assert producer.values_to("dead") == [b"-bad"]
    assert not producer._reports


def test_the_dead_letter_of_the_record_that_ends_the_thread_does_not_hinder_the_abort_of_its_transaction():
    producer = RefusingAtOnce(BufferError())
    collector = collector_of(producer, Response.FAIL, exactly_once=True)
    emit(collector, b"-bad")
    producer.poll(0)
    collector.abort()
    assert (producer.tries, producer.aborted) == (0, 1)
    # Nothing of it is left to whoever works on.
    collector.serve()
    assert producer.tries == 0


def test_what_is_left_out_is_forgotten_with_the_commit_of_the_transaction_that_left_it_out():
    producer, left_out = FakeProducer(), LeftOut()

    def attempt(*values):
        collector = collector_of(producer, exactly_once=True, left_out=left_out)
        for value in values:
            emit(collector, value)
        return collector

    def refused(*values):
        collector = attempt(*values)
        with pytest.raises(TaskMigratedError, match="out refused a record"):
            collector.flush()
        collector.abort()

    refused(b"-a")
    # It was left out here, but that does not count.
    refused(b"-a", b"-b")
    # Another task was faster than the one whose records come again.
    retry = attempt(b"good")
    retry.flush()
    retry.commit([], b"")
    assert len(left_out.known) == 2
    del producer.given[:]
    emit(retry, b"-a")
    emit(retry, b"-b")
    assert [value for _, value, _ in producer.given] == [b"-a", b"-b"]
    assert producer.values_to("out") == []
    retry.flush()
    retry.commit([], b"")
    assert left_out.known == {}
    # What is refused may be another by now.
    emit(retry, b"-a")
    assert producer.values_to("out") == [b"-a"]


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


def test_a_producer_that_is_fenced_while_reports_wait_means_that_the_work_is_elsewhere():
    collector = collector_of(Fenced(), exactly_once=True)
    with pytest.raises(TaskMigratedError):
        collector.flush()
    with pytest.raises(TaskMigratedError):
        collector._persist(Fenced().commit_transaction)


def test_an_error_of_the_interpreter_stays_what_it_is():
    class Broken(FakeProducer):
        def flush(self, timeout):
            raise SystemError("of its own")

    with pytest.raises(SystemError, match="of its own"):
        collector_of(Broken()).flush()
