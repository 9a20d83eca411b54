"""Transactions over sockets: coordinators that hang up, move, take their time and refuse."""

from __future__ import annotations

import pytest
from tests.unit.client.fake_broker import HANG_UP
from tests.unit.client.producing.leader import Leader

from moldau.client.membership import Commit, GroupMetadata
from moldau.client.producing import (
    AbortableError,
    FatalError,
    ProduceError,
    ProduceSettings,
    RecordProducer,
    UnfinishedError,
)
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.questions import (
    ADD_OFFSETS_TO_TXN,
    ADD_PARTITIONS_TO_TXN,
    END_TXN,
    FIND_COORDINATOR,
    INIT_PRODUCER_ID,
    PRODUCE,
    TXN_OFFSET_COMMIT,
)
from moldau.errors import ErrorCode

PATIENCE_S = 30.0
SETTINGS = ProduceSettings(linger_s=0.0, retry_backoff_s=0.01, transactional_id="id")
MEMBER = GroupMetadata("group", 3, "member")
OFFSETS = {("in", 0): Commit(7)}


class Coordinator(Leader):
    """The leader of `t`, who coordinates everything as well; `first` has codes, or worse, to answer first, by API."""

    def __init__(self, version):
        super().__init__({"transaction.version": version} if version else None)
        self.first = {}
        self.versions = {}
        self.epoch = 0
        self.ends = []

    def answer(self, api_key, version, request):
        self.versions.setdefault(api_key, set()).add(version)
        if api_key == PRODUCE:
            return super().answer(api_key, version, request)
        waiting = self.first.get(api_key)
        said = waiting.pop(0) if waiting else 0
        if not isinstance(said, int):
            return said
        if api_key == FIND_COORDINATOR:
            return self.broker.as_coordinator(version, request, said)
        if api_key == INIT_PRODUCER_ID:
            return {"throttle_time": 0, "error_code": said, "producer_id": 7, "producer_epoch": self.epoch}
        if api_key == ADD_PARTITIONS_TO_TXN:
            parts = [{"partition_index": 0, "partition_error_code": said}]
            rows = [{"name": "t", "results_by_partition": parts}]
            return {"throttle_time": 0, "results_by_topic_v3_and_below": rows}
        if api_key == TXN_OFFSET_COMMIT:
            parts = [{"partition_index": 0, "error_code": said}]
            return {"throttle_time": 0, "topics": [{"name": "in", "partitions": parts}]}
        if api_key == END_TXN and not said:
            self.ends.append(request.committed)
            self.epoch += version >= 5
        return {"throttle_time": 0, "error_code": said, "producer_id": 7, "producer_epoch": self.epoch}


@pytest.fixture(params=[0, 1, 2], ids="transaction.version {}".format)
def coordinator(request):
    made = Coordinator(request.param)
    made.version = request.param
    yield made
    made.broker.close()


@pytest.fixture
def producer(coordinator):
    made = RecordProducer(Brokers({"bootstrap.servers": coordinator.broker.address}), SETTINGS)
    yield made
    made.close()


def transact(producer, *values):
    number = producer.open("t", PATIENCE_S)
    producer.begin_transaction()
    for value in values:
        producer.append(number, -1, b"k", value, 5, None)
    producer.send_offsets_to_transaction(OFFSETS, MEMBER, PATIENCE_S)


def test_transactions_are_spoken_in_the_protocol_of_the_cluster(coordinator, producer):
    producer.init_transactions(PATIENCE_S)
    for value in (b"a", b"b"):
        transact(producer, value)
        producer.commit_transaction(PATIENCE_S)
    transact(producer, b"c")
    producer.abort_transaction(PATIENCE_S)
    assert coordinator.log[:2] == [b"a", b"b"]
    assert coordinator.ends == [True, True, False]
    if coordinator.version == 2:
        assert not coordinator.versions.keys() & {ADD_OFFSETS_TO_TXN, ADD_PARTITIONS_TO_TXN}
        newest = {PRODUCE: {12}, END_TXN: {5}, TXN_OFFSET_COMMIT: {5}}
    else:
        newest = {
            PRODUCE: {11},
            END_TXN: {4},
            TXN_OFFSET_COMMIT: {4},
            ADD_PARTITIONS_TO_TXN: {3},
            ADD_OFFSETS_TO_TXN: {4},
        }
    assert {key: coordinator.versions[key] for key in newest} == newest


@pytest.mark.parametrize("trouble", [HANG_UP, b"rubbish", 14, 15, 16, 51])
@pytest.mark.parametrize(
    "api_key",
    [FIND_COORDINATOR, INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, TXN_OFFSET_COMMIT, END_TXN],
)
def test_whatever_passes_is_asked_again(coordinator, producer, api_key, trouble):
    coordinator.first[api_key] = [trouble, trouble]
    producer.init_transactions(PATIENCE_S)
    transact(producer, b"a")
    producer.commit_transaction(PATIENCE_S)
    assert coordinator.log == [b"a"]
    assert coordinator.ends == [True]


def test_records_are_part_of_a_transaction_or_not_taken(producer):
    producer.init_transactions(PATIENCE_S)
    number = producer.open("t", PATIENCE_S)
    with pytest.raises(ProduceError, match="there is no transaction"):
        producer.append(number, -1, b"k", b"v", 5, None)


def test_without_a_transactional_id_there_are_no_transactions(coordinator):
    producer = RecordProducer(Brokers({"bootstrap.servers": coordinator.broker.address}), ProduceSettings())
    with pytest.raises(ProduceError, match=r"transactional\.id"):
        producer.begin_transaction()
    producer.close()


def test_who_is_fenced_is_told_from_then_on(coordinator, producer):
    producer.init_transactions(PATIENCE_S)
    transact(producer, b"a")
    coordinator.first[END_TXN] = [int(ErrorCode.PRODUCER_FENCED)]
    for call in (producer.commit_transaction, producer.abort_transaction, producer.init_transactions):
        with pytest.raises(FatalError, match="PRODUCER_FENCED"):
            call(PATIENCE_S)
    with pytest.raises(FatalError, match="PRODUCER_FENCED"):
        producer.begin_transaction()
    # What was written before is told first.
    assert len(producer.reports()) == 1
    with pytest.raises(FatalError, match="PRODUCER_FENCED"):
        producer.reports()


def test_a_member_that_is_none_any_more_aborts_and_goes_on(coordinator, producer):
    producer.init_transactions(PATIENCE_S)
    coordinator.first[TXN_OFFSET_COMMIT] = [int(ErrorCode.ILLEGAL_GENERATION)]
    with pytest.raises(AbortableError, match="ILLEGAL_GENERATION"):
        transact(producer, b"a")
    with pytest.raises(AbortableError, match="ILLEGAL_GENERATION"):
        producer.commit_transaction(PATIENCE_S)
    producer.abort_transaction(PATIENCE_S)
    transact(producer, b"b")
    producer.commit_transaction(PATIENCE_S)
    assert coordinator.ends[-1] is True


def test_a_commit_that_takes_longer_is_waited_for_with_another_call(coordinator, producer):
    producer.init_transactions(PATIENCE_S)
    transact(producer, b"a")
    assert producer.flush(PATIENCE_S)
    coordinator.first[END_TXN] = [int(ErrorCode.CONCURRENT_TRANSACTIONS)] * 1_000_000
    with pytest.raises(UnfinishedError, match="nobody says that it is committed"):
        producer.commit_transaction(0.05)
    # It may be committed: nobody can abort it any more.
    with pytest.raises(ProduceError, match="committing"):
        producer.abort_transaction(PATIENCE_S)
    coordinator.first[END_TXN].clear()
    producer.commit_transaction(PATIENCE_S)
    transact(producer, b"b")
    producer.commit_transaction(PATIENCE_S)
    assert coordinator.log == [b"a", b"b"]


def test_a_record_that_is_refused_is_reported_and_the_transaction_aborted(coordinator, producer):
    producer.init_transactions(PATIENCE_S)
    coordinator.instead = [int(ErrorCode.INVALID_RECORD)]
    number = producer.open("t", PATIENCE_S)
    producer.begin_transaction()
    producer.append(number, -1, b"k", b"bad", 5, None)
    with pytest.raises(AbortableError, match="INVALID_RECORD"):
        producer.commit_transaction(PATIENCE_S)
    (refused,) = producer.reports()
    assert refused.batch.records() == [(5, b"k", b"bad", [])]
    producer.abort_transaction(PATIENCE_S)
    assert producer.reports() == []


def test_a_cluster_that_is_not_there_is_waited_for_no_longer_than_was_said():
    producer = RecordProducer(Brokers({"bootstrap.servers": "127.0.0.1:1"}), SETTINGS)
    with pytest.raises(UnfinishedError, match="nobody says who we are"):
        producer.init_transactions(0.1)
    producer.close()
    assert not any(thread.is_alive() for thread in producer._asking.threads.values())


def test_closing_ends_the_thread_though_a_coordinator_says_nothing(coordinator, producer):
    producer.init_transactions(PATIENCE_S)
    coordinator.first[END_TXN] = [HANG_UP] * 1_000_000
    transact(producer, b"a")
    with pytest.raises(UnfinishedError):
        producer.commit_transaction(0.05)
    producer.close()
    assert not any(thread.is_alive() for thread in producer._asking.threads.values())


def test_a_mistake_of_ours_reaches_whoever_waits(coordinator, producer, monkeypatch):
    def panic(*_):
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("moldau.client.producing.transactions.TransactionMachine.answered", panic)
    with pytest.raises(ProduceError, match="not foreseen"):
        producer.init_transactions(PATIENCE_S)
