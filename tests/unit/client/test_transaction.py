"""What a transaction block does when one of its calls fails. The failures are written by hand; that is the point."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from moldau.client.transaction import ATTEMPTS, transact

FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
AGAIN = KafkaError(KafkaError._TIMED_OUT, "not yet", retriable=True)
ABORT = KafkaError(KafkaError._MSG_TIMED_OUT, "a record failed", txn_requires_abort=True)


class Producer:
    """Notes its calls; fails those it is told to, as often as it is told to."""

    def __init__(self, **failures: list[KafkaError]) -> None:
        self.failures = failures
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.failures.get(name):
            raise KafkaException(self.failures[name].pop(0))

    def begin_transaction(self) -> None:
        self._call("begin")

    def commit_transaction(self, timeout: float) -> None:
        self._call("commit")

    def abort_transaction(self, timeout: float) -> None:
        self._call("abort")

    def send_offsets_to_transaction(self, positions, group, timeout) -> None:
        self.sent = positions
        self._call("offsets")


class Consumer:
    """Stands at offset 5 of one partition and nowhere in another."""

    went_back = 0

    def __init__(self, failure: KafkaError | None = None) -> None:
        self.failure = failure

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("topic", 0), TopicPartition("topic", 1)]

    def position(self, partitions):
        return [TopicPartition("topic", 0, 5), TopicPartition("topic", 1)]

    def consumer_group_metadata(self) -> object:
        return object()

    def seek_to_committed(self) -> None:
        self.went_back += 1
        if self.failure is not None:
            raise KafkaException(self.failure)


def run(producer: Producer, consumer: Consumer | None = None, error: BaseException | None = None) -> None:
    with transact(producer, consumer, -1):
        if error is not None:
            raise error


def test_a_block_that_ends_is_committed_with_the_positions_that_are_known():
    producer, consumer = Producer(), Consumer()
    run(producer, consumer)
    assert producer.calls == ["begin", "offsets", "commit"]
    assert [(each.partition, each.offset) for each in producer.sent] == [(0, 5)]
    assert consumer.went_back == 0


@pytest.mark.parametrize("error", [ZeroDivisionError(), KafkaException(AGAIN), KeyboardInterrupt(), SystemExit()])
def test_a_block_that_raises_is_aborted_and_the_consumer_sent_back(error: BaseException):
    producer, consumer = Producer(), Consumer()
    with pytest.raises(type(error)) as raised:
        run(producer, consumer, error)
    assert raised.value is error
    assert producer.calls == ["begin", "abort"]
    assert consumer.went_back == 1


def test_a_commit_that_must_be_aborted_is():
    producer, consumer = Producer(commit=[ABORT]), Consumer()
    with pytest.raises(KafkaException, match="a record failed"):
        run(producer, consumer)
    assert producer.calls == ["begin", "offsets", "commit", "abort"]
    assert consumer.went_back == 1


def test_offsets_that_are_refused_abort_the_transaction():
    producer, consumer = Producer(offsets=[ABORT]), Consumer()
    with pytest.raises(KafkaException):
        run(producer, consumer)
    assert producer.calls == ["begin", "offsets", "abort"]
    assert consumer.went_back == 1


def test_a_call_that_may_be_made_again_is():
    producer = Producer(commit=[AGAIN, AGAIN], abort=[AGAIN])
    run(producer)
    assert producer.calls == ["begin", "commit", "commit", "commit"]
    producer.calls.clear()
    with pytest.raises(ZeroDivisionError):
        run(producer, error=ZeroDivisionError())
    assert producer.calls == ["begin", "abort", "abort"]


def test_a_commit_of_unknown_outcome_is_neither_aborted_nor_read_again():
    producer, consumer = Producer(commit=[AGAIN] * ATTEMPTS), Consumer()
    with pytest.raises(KafkaException) as raised:
        run(producer, consumer)
    assert "abort" not in producer.calls
    assert consumer.went_back == 0
    assert "not known whether" in raised.value.__notes__[0]


def test_a_fenced_producer_hides_nothing():
    producer = Producer(abort=[FENCED])
    with pytest.raises(ZeroDivisionError) as raised:
        run(producer, error=ZeroDivisionError())
    assert "could not be aborted either: fenced" in raised.value.__notes__[0]


def test_a_consumer_that_cannot_go_back_is_said_louder_than_the_error_of_the_block():
    error = ZeroDivisionError()
    with pytest.raises(KafkaException) as raised:
        run(Producer(), Consumer(ABORT), error)
    assert raised.value.__context__ is error


def test_a_transaction_that_does_not_begin_is_not_aborted():
    producer = Producer(begin=[FENCED])
    with pytest.raises(KafkaException):
        run(producer)
    assert producer.calls == ["begin"]
