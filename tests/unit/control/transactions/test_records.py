"""`__transaction_state` as Apache Kafka 4.3.1 wrote it (`tests/golden/transactions`), read and written again.

The file is what a node of Apache Kafka had in its only partition of the topic after librdkafka (the first protocol) had
committed, aborted and been fenced, and Kafka's TransactionalMessageCopier (the second protocol) had committed twice.
Topics stand in a record in the order of a Java hash map, here in that of their names: that is the one difference.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.control.transactions.driver import Driver

from moldau.control.schema import SchemaError
from moldau.control.transactions.records import decode_record, encode_record
from moldau.control.transactions.requests import AddPartitions, EndTransaction, InitProducerId, MarkersWritten
from moldau.control.transactions.transaction import TopicPartition, Transaction, TransactionRecord, TransactionState

GOLDEN = Path(__file__).parents[3] / "golden" / "transactions" / "kafka-4.3.1.jsonl"
WRITTEN = [
    (bytes.fromhex(row["key"]), None if row["value"] is None else bytes.fromhex(row["value"]))
    for row in map(json.loads, GOLDEN.read_text().splitlines())
]
ids = {decode_record(*pair).transactional_id for pair in WRITTEN}


def assert_same(ours, kafkas):
    for mine, theirs in zip(ours, kafkas, strict=True):
        decoded = decode_record(*theirs)
        assert decode_record(*mine) == decoded
        assert len(mine[1]) == len(theirs[1])
        if len({topic for topic, _ in decoded.transaction.partitions}) < 2:
            assert mine == theirs


@pytest.mark.parametrize("number", range(len(WRITTEN)))
def test_what_kafka_wrote_is_written_again_byte_for_byte(number):
    record = decode_record(*WRITTEN[number])
    assert_same([encode_record(record, 2)], [WRITTEN[number]])


def test_a_partition_that_kafka_wrote_is_taken_over():
    node = Driver(WRITTEN).load()
    assert ids == {"first protocol", "second protocol ü"}
    states = {name: each.state.told for name, each in node.machine.transactions.items()}
    assert states == {"first protocol": "Empty", "second protocol ü": "CompleteCommit"}
    assert node.markers == []
    before = node.machine.transactions["second protocol ü"]
    taken_over = node.init(transactional_id="second protocol ü")
    assert (taken_over.producer_id, taken_over.producer_epoch) == (before.producer_id, before.producer_epoch + 1)


def test_the_machine_writes_the_records_that_kafka_writes():
    """The same requests at the same times give the same bytes, first protocol, second protocol, fencing and all."""
    for transactional_id in sorted(ids):
        rows = [pair for pair in WRITTEN if decode_record(*pair).transactional_id == transactional_id]
        node = Driver().load()
        for pair in rows:
            wanted = decode_record(*pair).transaction
            current = node.machine.transactions.get(transactional_id)
            node.now_ms = wanted.last_update_ms
            node.ask(request_for(transactional_id, current, wanted))
        assert_same(node.log, rows)


def request_for(transactional_id, current, wanted):
    """What made Kafka write `wanted` after `current`."""
    if wanted.state is TransactionState.EMPTY:
        return InitProducerId(transactional_id, wanted.timeout_ms, spare_producer_id=wanted.producer_id)
    producer = (current.producer_id, current.producer_epoch)
    if wanted.state is TransactionState.ONGOING:
        added = wanted.partitions - (current.partitions if current.state is TransactionState.ONGOING else frozenset())
        return AddPartitions(transactional_id, *producer, added, wanted.client_version)
    if wanted.state in (TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT):
        return MarkersWritten(transactional_id, *producer)
    if wanted.client_version == 2 and current.client_version == 0:
        # A new producer has come and found the transaction of a client of the first protocol open.
        return InitProducerId(transactional_id, current.timeout_ms)
    commit = wanted.state is TransactionState.PREPARE_COMMIT
    return EndTransaction(transactional_id, *producer, commit, wanted.client_version)


def test_an_older_cluster_gets_the_older_version():
    transaction = Transaction(7, 3, 1000, TransactionState.ONGOING, 5, 4, frozenset({TopicPartition("orders", 1)}))
    key, value = encode_record(TransactionRecord("id", transaction), 0)
    assert value[:2] == b"\x00\x00"
    assert decode_record(key, value).transaction == transaction


def test_a_tombstone_forgets_and_an_unknown_kind_is_left_alone():
    key, value = encode_record(TransactionRecord("id", None), 2)
    assert (value, decode_record(key, None)) == (None, TransactionRecord("id", None))
    assert decode_record(b"\x00\x63abc", b"") is None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_other_bytes_are_refused_and_never_crash(key, value):
    for written in (key, b"\x00\x00" + key):
        try:
            decode_record(written, value)
        except SchemaError:
            continue


@given(
    st.builds(
        Transaction,
        producer_id=st.integers(0, 2**63 - 1),
        producer_epoch=st.integers(-1, 32767),
        timeout_ms=st.integers(0, 2**31 - 1),
        state=st.sampled_from([state for state in TransactionState if state is not TransactionState.EMPTY]),
        last_update_ms=st.integers(0, 2**63 - 1),
        start_ms=st.integers(-1, 2**63 - 1),
        partitions=st.frozensets(st.builds(TopicPartition, st.text(max_size=8), st.integers(0, 2**31 - 1)), max_size=5),
        previous_producer_id=st.integers(-1, 2**63 - 1),
        next_producer_id=st.integers(-1, 2**63 - 1),
        client_version=st.integers(0, 2),
    )
)
def test_every_transaction_reads_back(transaction):
    record = TransactionRecord("id ü", transaction)
    assert decode_record(*encode_record(record, 2)) == record
