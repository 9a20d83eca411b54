"""From the first InitProducerId to the end of a transaction, its timeouts, its restarts."""

import pytest
from tests.unit.control.transactions.driver import ID, ORDERS, Driver

from moldau.control.machine import AppendFailed, ScheduleTimer
from moldau.control.transactions.records import encode_record
from moldau.control.transactions.requests import (
    AddPartitions,
    DescribeTransaction,
    ExpirationCheckDue,
    ListTransactions,
    MarkersWritten,
    TimeoutCheckDue,
)
from moldau.control.transactions.transaction import MAX_EPOCH, TopicPartition
from moldau.errors import ErrorCode

MANY = frozenset(TopicPartition("orders", number) for number in range(500))


@pytest.fixture
def node():
    return Driver().load()


def test_a_transaction_of_the_second_protocol_has_an_epoch_of_its_own(node):
    producer = node.producer()
    assert producer == (4000, 0)
    assert node.add(producer) is ErrorCode.NONE
    ended = node.end(producer)
    assert (ended.error, ended.producer_id, ended.producer_epoch) == (ErrorCode.NONE, 4000, 1)
    assert node.state == "PrepareCommit"
    (order,) = node.write_markers()
    assert (order.producer_epoch, order.commit, order.partitions, order.transaction_version) == (1, True, ORDERS, 2)
    assert node.state == "CompleteCommit"
    assert node.add((4000, 1)) is ErrorCode.NONE
    assert node.add((4000, 0)) is ErrorCode.PRODUCER_FENCED


def test_a_transaction_of_the_first_protocol_keeps_its_epoch(node):
    producer = node.producer()
    node.add(producer, client_version=0)
    ended = node.end(producer, commit=False, client_version=0)
    assert (ended.error, ended.producer_id, ended.producer_epoch) == (ErrorCode.NONE, -1, -1)
    (order,) = node.write_markers()
    assert (order.producer_epoch, order.commit, order.transaction_version) == (0, False, 0)
    assert node.state == "CompleteAbort"
    assert node.add(producer, client_version=0) is ErrorCode.NONE


def test_while_markers_are_written_everything_else_waits(node):
    producer = node.producer()
    node.add(producer)
    node.end(producer)
    current = (producer[0], 1)
    assert node.add(current) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert node.verify(current).error is ErrorCode.CONCURRENT_TRANSACTIONS
    assert node.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
    assert node.end(producer).error is ErrorCode.CONCURRENT_TRANSACTIONS
    assert node.end(producer, commit=False).error is ErrorCode.INVALID_TXN_STATE
    node.write_markers()
    again = node.end(producer)
    assert (again.error, again.producer_epoch) == (ErrorCode.NONE, 1), "a retry learns the new epoch"


def test_a_new_producer_aborts_what_the_one_before_left_open_and_shuts_it_out(node):
    zombie = node.producer()
    node.add(zombie)
    assert node.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
    (order,) = node.write_markers()
    assert (order.producer_epoch, order.commit) == (1, False)
    assert node.producer() == (zombie[0], 2)
    assert node.add(zombie) is ErrorCode.PRODUCER_FENCED
    assert node.end(zombie).error is ErrorCode.PRODUCER_FENCED


def test_a_cluster_of_the_first_protocol_fences_with_the_next_epoch_as_well():
    node = Driver(version=1).load()
    zombie = node.producer()
    node.add(zombie, client_version=0)
    node.init()
    (order,) = node.write_markers()
    assert (order.producer_epoch, order.transaction_version) == (1, 0)
    assert node.producer() == (zombie[0], 2)


def test_a_transaction_that_is_open_for_too_long_is_aborted(node):
    producer = node.producer(timeout_ms=30_000)
    node.add(producer)
    node.wait(30_000)
    assert node.state == "Ongoing"
    node.wait(20_000)
    assert node.state == "PrepareAbort"
    node.write_markers()
    assert node.end(producer).error is ErrorCode.INVALID_TXN_STATE, "the epoch before: an abort it never asked for"
    assert node.add(producer) is ErrorCode.PRODUCER_FENCED


def test_adding_partitions_does_not_give_a_transaction_more_time(node):
    producer = node.producer(timeout_ms=30_000)
    node.add(producer)
    node.wait(25_000)
    node.add(producer, {TopicPartition("invoices", 0)})
    node.wait(20_000)
    assert node.state == "PrepareAbort"
    assert node.markers[0].partitions == ORDERS | {TopicPartition("invoices", 0)}


def test_partitions_that_are_known_are_not_written_again(node):
    producer = node.producer()
    node.add(producer)
    length = len(node.log)
    assert node.add(producer, {TopicPartition("orders", 1)}) is ErrorCode.NONE
    assert len(node.log) == length


def test_verification_names_the_partitions_that_are_missing(node):
    producer = node.producer()
    node.add(producer, {TopicPartition("orders", 0)})
    assert node.verify(producer).missing == {TopicPartition("orders", 1)}
    assert node.verify((producer[0], 9)).error is ErrorCode.PRODUCER_FENCED
    assert node.verify((1, 0)).error is ErrorCode.INVALID_PRODUCER_ID_MAPPING


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_a_timeout_that_the_broker_does_not_allow_is_refused(node, timeout_ms):
    assert node.init(timeout_ms=timeout_ms).error is ErrorCode.INVALID_TRANSACTION_TIMEOUT


# Producers that go on after an error (KIP-360)


def test_a_producer_that_goes_on_gets_the_next_epoch_and_a_retry_the_same(node):
    producer = node.producer()
    assert node.producer(expected=producer) == (producer[0], 1)
    assert node.producer(expected=producer) == (producer[0], 1), "the answer got lost"
    assert node.init(expected=(producer[0], 7)).error is ErrorCode.PRODUCER_FENCED
    assert node.init(expected=(77, 0)).error is ErrorCode.PRODUCER_FENCED


def test_a_producer_cannot_go_on_once_another_has_taken_over(node):
    first = node.producer()
    node.producer()
    assert node.init(expected=first).error is ErrorCode.PRODUCER_FENCED


# The last epoch


def exhausted(node):
    """The producer of the last epoch that is given away."""
    producer = node.producer()
    for _ in range(MAX_EPOCH - 1):
        producer = node.producer(expected=producer)
    assert producer[1] == MAX_EPOCH - 1
    return producer


@pytest.fixture(scope="module")
def log_of_an_exhausted_producer():
    node = Driver().load()
    producer = exhausted(node)
    return node.log[-1:], producer


@pytest.fixture
def exhausted_node(log_of_an_exhausted_producer):
    log, producer = log_of_an_exhausted_producer
    node = Driver(log).load()
    node.producer_ids = iter(range(5000, 6000))
    return node, producer


def test_after_the_last_epoch_comes_another_producer_id(exhausted_node):
    node, producer = exhausted_node
    assert node.producer() == (5000, 0)
    assert node.init(expected=producer).error is ErrorCode.PRODUCER_FENCED


def test_a_commit_in_the_last_epoch_hands_over_to_another_producer_id(exhausted_node):
    node, producer = exhausted_node
    node.add(producer)
    ended = node.end(producer)
    assert (ended.error, ended.producer_id, ended.producer_epoch) == (ErrorCode.NONE, 5000, 0)
    (order,) = node.write_markers()
    assert (order.producer_id, order.producer_epoch) == (producer[0], MAX_EPOCH)
    again = node.end(producer)
    assert (again.error, again.producer_id, again.producer_epoch) == (ErrorCode.NONE, 5000, 0)
    assert node.add((5000, 0)) is ErrorCode.NONE


def test_a_transaction_of_the_last_epoch_that_times_out_hands_over_too(exhausted_node):
    node, producer = exhausted_node
    node.add(producer)
    node.wait(120_000)
    (order,) = node.write_markers()
    assert (order.commit, order.producer_epoch) == (False, MAX_EPOCH)
    assert node.machine.transactions[ID].producer_id == 5000


# Restarts


@pytest.mark.parametrize("commit", [True, False])
def test_a_decision_whose_markers_are_not_known_to_be_written_is_finished_after_a_restart(node, commit):
    producer = node.producer()
    node.add(producer)
    node.end(producer, commit=commit)
    (before,) = node.markers
    after = node.restarted()
    assert after.write_markers() == [before]
    assert after.state == ("CompleteCommit" if commit else "CompleteAbort")


def test_an_open_transaction_is_open_after_a_restart_and_its_time_goes_on(node):
    producer = node.producer(timeout_ms=30_000)
    node.add(producer)
    node.wait(25_000)
    after = node.restarted()
    assert after.verify(producer).missing == frozenset()
    after.wait(15_000)
    assert after.state == "PrepareAbort"


def test_nothing_is_answered_before_the_log_is_read():
    node = Driver()
    assert node.init().error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert node.ask(DescribeTransaction(ID)).error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS


def test_late_news_of_markers_change_nothing(node):
    producer = node.producer()
    node.add(producer)
    node.end(producer)
    (order,) = node.write_markers()
    node.add((producer[0], 1))
    node.end((producer[0], 1))
    node.ask(MarkersWritten(ID, order.producer_id, order.producer_epoch))
    assert node.state == "PrepareCommit"


# A log that refuses


def test_an_append_that_fails_changes_nothing_and_says_so(node):
    producer = node.producer()
    node.append_error = ErrorCode.KAFKA_STORAGE_ERROR
    assert node.add(producer) is ErrorCode.NOT_COORDINATOR
    assert node.end(producer).error in (ErrorCode.INVALID_TXN_STATE, ErrorCode.NOT_COORDINATOR)
    node.append_error = None
    assert node.state == "Empty"
    assert node.add(producer) is ErrorCode.NONE


def test_the_end_of_a_transaction_that_could_not_be_written_is_tried_again(node):
    producer = node.producer()
    node.add(producer)
    node.end(producer)
    node.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    node.write_markers()
    assert node.state == "PrepareCommit"
    node.append_error = None
    node.wait(2_000)
    assert node.state == "CompleteCommit"


def test_time_is_watched_on_after_an_append_that_failed(node):
    producer = node.producer(timeout_ms=1_000)
    node.add(producer)
    node.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    node.wait(20_000)
    node.append_error = None
    node.wait(20_000)
    assert node.state == "PrepareAbort"


@pytest.mark.parametrize(("check", "wait_ms"), [(TimeoutCheckDue(), 60_001), (ExpirationCheckDue(), 604_800_001)])
def test_what_was_too_much_for_one_batch_and_refused_is_tried_again_but_not_at_once(check, wait_ms):
    node = Driver().load()
    for number in range(600):
        producer = node.producer(f"id-{number}")
        if isinstance(check, TimeoutCheckDue):
            node.add(producer, MANY, transactional_id=f"id-{number}")
    node.now_ms += wait_ms
    decision = node.machine.decide(check, node.now())
    failed = AppendFailed(check, decision, ErrorCode.KAFKA_STORAGE_ERROR)
    again = node.machine.decide(failed, node.now())
    due = [each for each in again.effects if isinstance(each, ScheduleTimer) and each.event == check][-1]
    assert due.at_ms >= node.now_ms + 1_000


def test_many_transactions_time_out_in_batches_that_fit():
    node = Driver().load()
    for number in range(600):
        node.add(node.producer(f"id-{number}"), MANY, transactional_id=f"id-{number}")
    largest, original = 0, node.machine.decide

    def decide(request, now):
        nonlocal largest
        decision = original(request, now)
        largest = max(largest, sum(len(data) for record in decision.records for data in encode_record(record, 2)))
        return decision

    node.machine.decide = decide
    node.wait(80_000)
    assert {transaction.state.told for transaction in node.machine.transactions.values()} == {"PrepareAbort"}
    assert len(node.markers) == 600
    assert largest < 1_000_000


# Forgetting, and looking in


def test_an_id_that_is_unused_for_long_is_forgotten_and_an_open_one_is_not():
    week = 604_800_000
    node = Driver(max_timeout_ms=2**31 - 1).load()
    node.producer()
    open_one = node.producer("open", timeout_ms=2**31 - 1)
    node.ask(AddPartitions("open", *open_one, ORDERS, 2))
    node.wait(week + 3_600_000)
    assert set(node.machine.transactions) == {"open"}
    assert set(node.restarted().machine.transactions) == {"open"}


def test_many_ids_are_forgotten_in_batches_that_fit():
    node = Driver().load()
    for number in range(1_200):
        node.producer(f"id-{number}")
    node.wait(604_800_000 + 3_600_000)
    assert node.machine.transactions == {}


def test_transactions_are_listed_by_state_producer_and_duration(node):
    producer = node.producer("a")
    node.ask(AddPartitions("a", *producer, ORDERS, 2))
    node.producer("b")
    node.now_ms += 5_000

    def listed(**filters):
        return [each.transactional_id for each in node.ask(ListTransactions(**filters)).transactions]

    assert listed() == ["a", "b"]
    assert listed(states=frozenset({"Ongoing"})) == ["a"]
    assert listed(states=frozenset({"Open"})) == []
    assert listed(producer_ids=frozenset({4001})) == ["b"]
    assert "a" in listed(longer_than_ms=4_999)
    assert "a" not in listed(longer_than_ms=5_000)


def test_an_id_that_nobody_used_is_not_found(node):
    assert node.ask(DescribeTransaction("nobody")).error is ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    assert node.ask(DescribeTransaction("")).error is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_transaction_has_its_time_however_the_clock_is_set(node, hours):
    node.add(node.producer(timeout_ms=60_000))
    node.clock_ahead_ms = hours * 3_600_000
    node.wait(60_000)
    assert node.state == "Ongoing"
    node.wait(10_001)
    assert node.state == "PrepareAbort"


def test_after_a_restart_a_transaction_has_what_is_left_of_its_time(node):
    node.add(node.producer(timeout_ms=60_000))
    node.wait(40_000)
    again = node.restarted()
    again.wait(20_000)
    assert again.state == "Ongoing"
    again.wait(10_001)
    assert again.state == "PrepareAbort"


def test_a_clock_that_was_set_back_before_a_restart_gives_a_transaction_its_time_once_more_at_most(node):
    node.add(node.producer(timeout_ms=60_000))
    node.clock_ahead_ms = -24 * 3_600_000
    again = node.restarted()
    again.wait(60_000)
    assert again.state == "Ongoing"
    again.wait(10_001)
    assert again.state == "PrepareAbort"
