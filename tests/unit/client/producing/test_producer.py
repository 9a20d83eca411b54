"""The producer over sockets: brokers that move, hang up, say nothing and come back."""

from __future__ import annotations

import time

import pytest
from tests.unit.client.fake_broker import HANG_UP
from tests.unit.client.producing.leader import Leader

from moldau.client.producing import (
    Delivered,
    NoRoomError,
    ProduceError,
    ProduceSettings,
    RecordProducer,
    Refused,
    TooLargeError,
)
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.questions import PRODUCE

PATIENCE_S = 30.0
SETTINGS = ProduceSettings(linger_s=0.0, retry_backoff_s=0.01, missing_topic_s=0.2)


@pytest.fixture
def leader():
    made = Leader()
    yield made
    made.broker.close()


def producer_of(leader, settings=SETTINGS):
    return RecordProducer(Brokers({"bootstrap.servers": leader.broker.address}), settings)


@pytest.fixture
def producer(leader):
    made = producer_of(leader)
    yield made
    made.close()


def give(producer, *values):
    number = producer.open("t", PATIENCE_S)
    for value in values:
        producer.append(number, -1, b"k", value, 5, None)


def test_records_are_written_in_their_order_and_reported(leader, producer):
    give(producer, *(b"%d" % number for number in range(100)))
    assert producer.flush(PATIENCE_S)
    assert leader.log == [b"%d" % number for number in range(100)]
    reports = producer.reports()
    assert sum(one.records for one in reports) == 100
    assert reports[0] == Delivered("t", 0, 0, reports[0].records)
    assert producer.reports() == []
    assert producer.partition_count("t") == 1


# NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS
@pytest.mark.parametrize("refusal", [HANG_UP, 6, 7, 19, b"rubbish"])
def test_what_passes_is_sent_again(leader, producer, refusal):
    leader.instead = [refusal, refusal]
    give(producer, b"a")
    assert producer.flush(PATIENCE_S)
    assert leader.log == [b"a"]


def test_a_leader_on_another_port_is_found(leader, producer):
    other = Leader()
    give(producer, b"a")
    assert producer.flush(PATIENCE_S)
    leader.instead = [6]
    leader.leader_port = other.leader_port = other.broker.port
    give(producer, b"b")
    assert producer.flush(PATIENCE_S)
    assert other.log == [b"b"]
    other.broker.close()


def test_a_record_that_nobody_takes_is_handed_back(leader, producer):
    # INVALID_RECORD
    leader.instead = [87]
    give(producer, b"bad")
    assert producer.flush(PATIENCE_S)
    (refused,) = producer.reports()
    assert isinstance(refused, Refused)
    assert refused.batch.records() == [(5, b"k", b"bad", [])]
    assert "INVALID_RECORD" in str(refused.error)


def test_a_topic_that_is_not_there_is_an_error(producer):
    with pytest.raises(ProduceError, match=r"cannot write to gone: .*UNKNOWN_TOPIC_OR_PARTITION"):
        producer.open("gone", PATIENCE_S)


def test_a_cluster_that_is_not_there_is_waited_for_no_longer_than_was_said():
    producer = RecordProducer(Brokers({"bootstrap.servers": "127.0.0.1:1"}), SETTINGS)
    with pytest.raises(ProduceError, match="nobody says how many partitions"):
        producer.open("t", 0.2)
    producer.close()


def test_what_is_too_large_and_what_finds_no_room_is_refused_at_once(leader):
    producer = producer_of(leader, ProduceSettings(linger_s=3600.0, record_bytes_max=1000, buffer_bytes=100))
    number = producer.open("t", PATIENCE_S)
    with pytest.raises(TooLargeError, match=r"max\.request\.size"):
        producer.append(number, -1, b"k", b"v" * 1000, 5, None)
    producer.append(number, -1, b"k", b"v" * 100, 5, None)
    with pytest.raises(NoRoomError):
        producer.append(number, -1, b"k", b"w", 5, None)
    # Nobody waits for linger.ms when there is no room.
    deadline = time.monotonic() + PATIENCE_S
    while not producer.reports():
        assert time.monotonic() < deadline
        producer.wait_for_room(1.0)
    producer.append(number, -1, b"k", b"w", 5, None)
    assert producer.flush(PATIENCE_S)
    assert leader.log == [b"v" * 100, b"w"]
    producer.close()


def test_a_producer_that_is_not_allowed_is_an_error(leader):
    # CLUSTER_AUTHORIZATION_FAILED
    leader.identities = [(31, -1, -1)]
    producer = producer_of(leader)
    give(producer, b"a")
    assert not producer.flush(PATIENCE_S)
    with pytest.raises(ProduceError, match="CLUSTER_AUTHORIZATION_FAILED"):
        producer.reports()
    producer.close()


class PanicLike(BaseException):
    """As PyO3's `PanicException`: no `Exception`, so that nobody takes it for an error that passes."""


def test_a_panic_reaches_whoever_writes(leader, producer, monkeypatch):
    def panic(*_):
        raise PanicLike("index out of bounds")

    monkeypatch.setattr("moldau.client.producing.machine.ProduceMachine.answered", panic)
    give(producer, b"a")
    assert not producer.flush(PATIENCE_S)
    with pytest.raises(ProduceError, match="index out of bounds"):
        producer.reports()


def test_closing_ends_all_threads_though_a_leader_says_nothing(leader, producer):
    leader.instead = [HANG_UP] * 1000
    give(producer, b"a")
    leader.broker.wait_for(lambda: leader.broker.of(PRODUCE), "nothing was sent")
    producer.close()
    assert not any(thread.is_alive() for thread in producer._asking.threads.values())
