"""What a thread without transactions writes, and what becomes of what is refused."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.fake_producer import FakeRecordProducer, refuse

from moldau.client.producing import ProduceError
from moldau.errors import ErrorCode
from moldau.streams.runtime.batch_collector import BatchCollector
from moldau.streams.runtime.exception_handlers import Failure, Response
from moldau.streams.runtime.outcomes import ProductionError


def collector_of(producer, decision=Response.CONTINUE, *, patience_s=30, asked=None):
    def handler(failure):
        if asked is not None:
            asked.append(failure)
        return decision

    return BatchCollector(producer, handler=handler, patience_s=patience_s, dead_letters="dead")


def emit(collector, value, timestamp=5, partitioner=None):
    collector.begin()
    collector.emitter(lambda topic: topic)("out", b"k", value, timestamp, (), "k", "v", partitioner)


def test_the_timestamp_0_is_not_written_and_none_at_all_is_the_time_of_the_wall():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    emit(collector, b"x", 0)
    write = collector.changelog("log", 0, [])
    for timestamp in (0, 9, -1):
        write(b"k", b"v", timestamp)
    collector.flush()
    times = [record[0] for _, _, record in producer.written]
    assert times[:3] == [1, 1, 9]
    assert times[3] > 10**12


def test_the_position_in_a_changelog_is_behind_the_last_record_that_is_there():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    write = collector.changelog("log", 0, [])
    write(b"k", b"v", 5)
    write(b"k", b"w", 5)
    assert collector.changelog_positions == {}
    collector.flush()
    assert collector.changelog_positions == {("log", 0): 2}
    assert collector.sent == 2


def test_what_the_cluster_refuses_goes_to_the_dead_letters_and_is_waited_for():
    asked = []
    producer = refuse("out")
    collector = collector_of(producer, asked=asked)
    emit(collector, b"-bad")
    emit(collector, b"good")
    collector.flush()
    assert producer.values_of("dead") == [b"-bad"]
    assert producer.values_of("out") == [b"good"]
    (failure,) = asked
    assert (failure.topic, failure.partition, failure.key, failure.value) == ("out", 0, b"k", b"-bad")
    assert isinstance(failure.error, KafkaException)
    assert failure.error.args[0].code() == KafkaError.INVALID_RECORD


def test_the_dead_letter_of_the_record_that_ends_the_thread_is_waited_for_too():
    producer = refuse("out")
    collector = collector_of(producer, Response.FAIL)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="could not be written to out"):
        collector.flush()
    collector.abort()
    assert producer.values_of("dead") == [b"-bad"]


def test_a_dead_letter_that_is_refused_is_an_error_that_no_handler_decides():
    collector = collector_of(refuse("out", "dead"))
    emit(collector, b"-bad")
    with pytest.raises(ProductionError, match="a dead letter could not be written to dead"):
        collector.flush()


def test_a_sink_may_write_to_the_topic_of_the_dead_letters_too():
    producer = refuse("dead")
    collector = collector_of(producer)
    collector.emitter(lambda topic: "dead")("out", b"k", b"-bad", 5, (), None, None, None)
    with pytest.raises(ProductionError, match="a dead letter could not be written to dead"):
        collector.flush()


def test_a_record_that_is_too_large_is_asked_about_at_once():
    asked = []
    producer = FakeRecordProducer(bytes_max=10)
    collector = collector_of(producer, asked=asked)
    emit(collector, b"x" * 11)
    assert asked[0].error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_a_topic_that_cannot_be_written_to_is_asked_about_with_each_record():
    asked = []
    producer = FakeRecordProducer(missing={"out"})
    collector = collector_of(producer, asked=asked)
    emit(collector, b"a")
    emit(collector, b"b")
    assert [failure.value for failure in asked] == [b"a", b"b"]
    collector.flush()
    assert producer.values_of("dead") == [b"a", b"b"]


def test_where_there_is_no_room_it_waits_and_loses_nothing():
    producer = FakeRecordProducer(room=2)
    collector = collector_of(producer)
    for number in range(7):
        emit(collector, b"%d" % number)
    collector.flush()
    assert producer.values_of("out") == [b"%d" % number for number in range(7)]


def test_where_there_is_no_room_for_too_long_it_is_an_error():
    producer = FakeRecordProducer(room=0)
    with pytest.raises(ProductionError, match="no record could be written"):
        emit(collector_of(producer, patience_s=0), b"a")


def test_a_partitioner_decides_and_one_that_decides_for_nothing_is_refused():
    asked = []
    producer = FakeRecordProducer(partitions=3)
    collector = collector_of(producer, asked=asked)
    emit(collector, b"a", partitioner=lambda topic, key, value, count: count - 1)
    emit(collector, b"b", partitioner=lambda topic, key, value, count: None)
    emit(collector, b"c", partitioner=lambda topic, key, value, count: count)
    collector.flush()
    assert [(partition, record[2]) for topic, partition, record in producer.written if topic == "out"] == [
        (2, b"a"),
        (0, b"b"),
    ]
    assert [failure.value for failure in asked] == [b"c"]


def test_a_producer_that_cannot_go_on_is_an_error():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    producer.failure = ProduceError("not allowed", ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    with pytest.raises(ProductionError, match="not allowed"):
        collector.serve()
    with pytest.raises(ProductionError, match="not allowed"):
        collector.flush()


def test_a_last_dead_letter_that_cannot_be_written_does_not_hinder_the_end(caplog):
    producer = refuse("out", "dead")
    collector = collector_of(producer, Response.FAIL)
    emit(collector, b"-bad")
    with pytest.raises(ProductionError):
        collector.flush()
    collector.abort()
    assert "dead letter" in caplog.text


def test_a_dead_letter_of_a_record_in_process_is_written():
    producer = FakeRecordProducer()
    collector = collector_of(producer)
    collector.dead_letter(Failure(ValueError("no"), "0_0", "in", 0, 3, b"k", b"v", 5, ()))
    collector.flush()
    assert producer.values_of("dead") == [b"v"]
