"""A request was carried out and its answer was lost: what the broker says when it is sent again, or something else is.

Clients retry with the same epoch and the same sequence numbers. Whatever they do not know, the log and the coordinator
do: these tests say the rules of Kafka 4.3 (`ProducerAppendInfo`, `ProducerStateEntry`, `TransactionCoordinator`) one by
one, and `MOLDAU_TEST_BOOTSTRAP=apache-kafka` asks Apache Kafka.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from kio.schema.errors import ErrorCode
from tests.conformance.committed import committed
from tests.conformance.conftest import wait_until
from tests.conformance.raw_transactions import RawProducer, committed_offset, patiently

NewTopic = Callable[..., str]
OK = ErrorCode.none
FIRST_PROTOCOL = 11
"""Produce of clients that add partitions themselves; version 12 lets the broker add them."""


@pytest.fixture
def idempotent(bootstrap_servers: str) -> RawProducer:
    made = RawProducer(bootstrap_servers, None)
    made.begin_life()
    return made


@pytest.fixture
def producer(bootstrap_servers: str) -> RawProducer:
    made = RawProducer(bootstrap_servers, f"lost-{uuid.uuid4().hex[:8]}")
    made.begin_life()
    return made


# Batches


def test_a_batch_that_is_sent_again_is_there_once(bootstrap_servers: str, idempotent: RawProducer, new_topic: NewTopic):
    topic = new_topic(1)
    assert idempotent.produce(topic, ["a", "b"], 0) == (OK, 0)
    assert idempotent.produce(topic, ["a", "b"], 0) == (OK, 0)
    assert idempotent.produce(topic, ["c"], 2) == (OK, 2)
    assert idempotent.produce(topic, ["a", "b"], 0) == (OK, 0)
    assert committed(bootstrap_servers, topic, 3) == ["a", "b", "c"]


def test_the_last_five_batches_are_remembered_and_an_older_one_is_refused(
    bootstrap_servers: str, idempotent: RawProducer, new_topic: NewTopic
):
    topic = new_topic(1)
    for sequence in range(6):
        assert idempotent.produce(topic, [f"{sequence}"], sequence) == (OK, sequence)
    assert idempotent.produce(topic, ["1"], 1) == (OK, 1)
    assert idempotent.produce(topic, ["0"], 0)[0] is ErrorCode.out_of_order_sequence_number
    assert committed(bootstrap_servers, topic, 6) == [f"{number}" for number in range(6)]


def test_a_gap_is_refused_and_what_fills_it_is_taken(
    bootstrap_servers: str, idempotent: RawProducer, new_topic: NewTopic
):
    topic = new_topic(1)
    assert idempotent.produce(topic, ["a"], 0) == (OK, 0)
    assert idempotent.produce(topic, ["c"], 2)[0] is ErrorCode.out_of_order_sequence_number
    assert idempotent.produce(topic, ["b"], 1) == (OK, 1)
    assert idempotent.produce(topic, ["c"], 2) == (OK, 2)
    assert committed(bootstrap_servers, topic, 3) == ["a", "b", "c"]


def test_a_producer_that_the_partition_does_not_know_may_begin_anywhere(idempotent: RawProducer, new_topic: NewTopic):
    assert idempotent.produce(new_topic(1), ["a"], 7) == (OK, 0)


def test_an_epoch_begins_with_sequence_zero(producer: RawProducer, new_topic: NewTopic):
    topic = new_topic(1)
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0) == (OK, 0)
    assert producer.end(commit=True).error_code is OK
    producer.begin_life()
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["b"], 1)[0] is ErrorCode.out_of_order_sequence_number
    assert producer.produce(topic, ["b"], 0) == (OK, 2)


def test_a_batch_of_an_epoch_that_is_over_is_refused(producer: RawProducer, new_topic: NewTopic):
    topic = new_topic(1)
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0) == (OK, 0)
    zombie_epoch = producer.epoch
    # The open transaction is aborted, and with its marker the partition learns of the newer epoch.
    producer.begin_life()
    producer.epoch, epoch = zombie_epoch, producer.epoch
    assert epoch > zombie_epoch
    assert producer.produce(topic, ["b"], 1)[0] is ErrorCode.invalid_producer_epoch


@pytest.mark.parametrize("version", [FIRST_PROTOCOL, FIRST_PROTOCOL + 1])
def test_the_first_batch_of_a_transaction_that_is_sent_again_is_there_once(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic, version: int
):
    topic = new_topic(1)
    if version == FIRST_PROTOCOL:
        assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0, version) == (OK, 0)
    assert producer.produce(topic, ["a"], 0, version) == (OK, 0)
    assert producer.end(commit=True, version=3 if version == FIRST_PROTOCOL else 5).error_code is OK
    assert committed(bootstrap_servers, topic, 1) == ["a"]


@pytest.mark.parametrize(
    ("version", "refused"), [(10, ErrorCode.invalid_txn_state), (11, ErrorCode.transaction_abortable)]
)
def test_a_batch_after_the_end_of_its_transaction_is_refused(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic, version: int, refused: ErrorCode
):
    topic = new_topic(1)
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0, version) == (OK, 0)
    assert producer.end(commit=True).error_code is OK
    assert committed(bootstrap_servers, topic, 1) == ["a"]
    late = patiently(lambda: producer.produce_once(topic, ["b"], 1, version), lambda found: found[0])
    assert late[0] is refused


# Offsets


def test_offsets_that_were_added_and_committed_twice_count_once_and_with_the_commit(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic
):
    topic, group = new_topic(1), f"lost-{uuid.uuid4().hex[:8]}"
    for _ in range(2):
        assert producer.add_offsets(group) is OK
    for _ in range(2):
        assert producer.commit_offset(group, topic, 5) is OK
    assert producer.end(commit=True).error_code is OK
    wait_until(lambda: committed_offset(bootstrap_servers, group, topic) == (OK, 5), "the offset is committed")


def test_offsets_whose_addition_was_not_answered_are_gone_with_an_abort(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic
):
    """The client does not know that they were added, aborts, and commits the next transaction without them."""
    topic, group = new_topic(1), f"lost-{uuid.uuid4().hex[:8]}"
    assert producer.add_offsets(group) is OK
    assert producer.commit_offset(group, topic, 5) is OK
    assert producer.end(commit=False).error_code is OK
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0) == (OK, 0)
    assert producer.end(commit=True).error_code is OK
    assert committed(bootstrap_servers, topic, 1) == ["a"]
    wait_until(lambda: committed_offset(bootstrap_servers, group, topic) == (OK, -1), "nothing is committed")


def test_a_group_that_is_added_after_the_end_begins_a_transaction_that_can_be_ended(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic
):
    """An AddOffsetsToTxn that was on its way when the client gave up; in the first protocol nothing tells it apart."""
    topic, group = new_topic(1), f"lost-{uuid.uuid4().hex[:8]}"
    assert producer.add_partition(topic) is OK
    assert producer.end(commit=False).error_code is OK
    assert patiently(lambda: producer.add_offsets(group), lambda code: code) is OK
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0)[0] is OK
    assert producer.end(commit=True).error_code is OK
    assert committed(bootstrap_servers, topic, 1) == ["a"]
    assert committed_offset(bootstrap_servers, group, topic) == (OK, -1)


# Ends


@pytest.mark.parametrize("commit", [True, False], ids=["after a commit", "after an abort"])
def test_an_abort_of_what_the_coordinator_never_heard_of(producer: RawProducer, new_topic: NewTopic, commit: bool):
    """AddOffsetsToTxn never arrived, the client gives up and aborts. What comes of it is decided by the end before:
    after an abort it looks like that abort, asked again; after a commit it is INVALID_TXN_STATE, which ends a client.
    """
    assert producer.add_partition(new_topic(1)) is OK
    assert producer.end(commit=commit).error_code is OK
    answer = patiently(lambda: producer.end(commit=False))
    assert answer.error_code is (ErrorCode.invalid_txn_state if commit else OK)


def test_a_new_client_may_abort_what_the_coordinator_never_heard_of(producer: RawProducer, new_topic: NewTopic):
    assert producer.produce(new_topic(1), ["a"], 0, 12)[0] is OK
    producer.epoch = producer.end(commit=True, version=5).producer_epoch
    answer = patiently(lambda: producer.end(commit=False, version=5))
    assert (answer.error_code, answer.producer_epoch) == (OK, producer.epoch + 1)


def test_the_end_of_one_transaction_does_not_end_the_next_of_a_new_client(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic
):
    topic = new_topic(1)
    assert producer.produce(topic, ["a"], 0, 12)[0] is OK
    old, new = producer.epoch, producer.end(commit=True, version=5).producer_epoch
    producer.epoch = new
    assert producer.produce(topic, ["b"], 0, 12)[0] is OK
    producer.epoch = old
    assert producer.end(commit=True, version=5).error_code is ErrorCode.producer_fenced
    assert committed(bootstrap_servers, topic, 1) == ["a"]
    producer.epoch = new
    assert producer.end(commit=False, version=5).error_code is OK
    assert committed(bootstrap_servers, topic, 1) == ["a"]
