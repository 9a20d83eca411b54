"""The records of `__transaction_state`, byte for byte as Apache Kafka 4.3 writes them.

One kind of record: the key is a transactional id, the value everything that is known about it. A key without a value
says that the id was not used for so long that it is forgotten. Both begin with an int16: of the key it is the kind of
record (0), of the value the version.

Version 0 is how Kafka wrote them before 4.0, and how a cluster whose `transaction.version` is 0 writes them still;
version 1 has room for what KIP-890 needs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from moldau.control.schema import (
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    Message,
    SchemaError,
    array,
    decode,
    encode,
    struct_of,
    wire,
)
from moldau.control.transactions.transaction import (
    NO_EPOCH,
    NO_PRODUCER_ID,
    TopicPartition,
    Transaction,
    TransactionRecord,
    TransactionState,
)

TRANSACTION_LOG: Final = 0
"""The only kind of record in this topic."""
_NULL_SINCE_EVER: Final = 0


@dataclass(frozen=True, slots=True)
class TransactionLogKey(Message, versions=(0, 0)):
    transactional_id: str = wire(STRING)


@dataclass(frozen=True, slots=True)
class PartitionsOfTopic(Message):
    topic: str = wire(STRING)
    partition_ids: tuple[int, ...] = wire(array(INT32))


@dataclass(frozen=True, slots=True)
class TransactionLogValue(Message, versions=(0, 1), flexible_since=1):
    producer_id: int = wire(INT64)
    previous_producer_id: int = wire(INT64, since=1, tag=0, default=NO_PRODUCER_ID)
    next_producer_id: int = wire(INT64, since=1, tag=1, default=NO_PRODUCER_ID)
    producer_epoch: int = wire(INT16)
    next_producer_epoch: int = wire(INT16, since=1, tag=3, default=NO_EPOCH)
    transaction_timeout_ms: int = wire(INT32)
    transaction_status: int = wire(INT8)
    transaction_partitions: tuple[PartitionsOfTopic, ...] | None = wire(
        array(struct_of(PartitionsOfTopic)), nullable_since=_NULL_SINCE_EVER, default=None
    )
    transaction_last_update_timestamp_ms: int = wire(INT64)
    transaction_start_timestamp_ms: int = wire(INT64)
    client_transaction_version: int = wire(INT16, since=1, tag=2)


def encode_record(record: TransactionRecord, transaction_version: int) -> tuple[bytes, bytes | None]:
    """Key and value of `record` as they stand in the log of a cluster with this `transaction.version`.

    Raises:
        SchemaError: a value does not fit, such as a transactional id of more than 32767 bytes.
    """
    key = struct.pack(">h", TRANSACTION_LOG) + encode(TransactionLogKey(record.transactional_id), 0)
    transaction = record.transaction
    if transaction is None:
        return key, None
    value_version = 1 if transaction_version >= 1 else 0
    value = TransactionLogValue(
        producer_id=transaction.producer_id,
        previous_producer_id=transaction.previous_producer_id,
        next_producer_id=transaction.next_producer_id,
        producer_epoch=transaction.producer_epoch,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_status=transaction.state,
        transaction_partitions=None if transaction.state is TransactionState.EMPTY else _by_topic(transaction),
        transaction_last_update_timestamp_ms=transaction.last_update_ms,
        transaction_start_timestamp_ms=transaction.start_ms,
        client_transaction_version=transaction.client_version,
    )
    return key, struct.pack(">h", value_version) + encode(value, value_version)


def decode_record(key: bytes | None, value: bytes | None) -> TransactionRecord | None:
    """What a record of the log says; None for a kind of record that a later Kafka may have added.

    Raises:
        SchemaError: the bytes do not follow the schema.
    """
    if key is None:
        raise SchemaError("a record of __transaction_state has no key")
    kind, body = _number_and_body(key)
    if kind != TRANSACTION_LOG:
        return None
    transactional_id = decode(TransactionLogKey, 0, body).transactional_id
    if value is None:
        return TransactionRecord(transactional_id, None)
    version, body = _number_and_body(value)
    known = decode(TransactionLogValue, version, body)
    try:
        state = TransactionState(known.transaction_status)
    except ValueError:
        raise SchemaError(f"there is no transaction state {known.transaction_status}") from None
    partitions = (
        TopicPartition(each.topic, partition)
        for each in known.transaction_partitions or ()
        for partition in each.partition_ids
    )
    transaction = Transaction(
        producer_id=known.producer_id,
        producer_epoch=known.producer_epoch,
        timeout_ms=known.transaction_timeout_ms,
        state=state,
        last_update_ms=known.transaction_last_update_timestamp_ms,
        start_ms=known.transaction_start_timestamp_ms,
        partitions=frozenset(partitions),
        previous_producer_id=known.previous_producer_id,
        next_producer_id=known.next_producer_id,
        client_version=known.client_transaction_version,
    )
    return TransactionRecord(transactional_id, transaction)


def _by_topic(transaction: Transaction) -> tuple[PartitionsOfTopic, ...]:
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        topics.setdefault(topic, []).append(partition)
    return tuple(PartitionsOfTopic(topic, tuple(partitions)) for topic, partitions in topics.items())


def _number_and_body(data: bytes) -> tuple[int, memoryview]:
    if len(data) < 2:
        raise SchemaError(f"{len(data)} bytes are too few for the leading int16")
    return struct.unpack_from(">h", data)[0], memoryview(data)[2:]
