"""Between the coordinators' records and the bytes of their internal topics."""

from __future__ import annotations

import struct
from typing import Final

from moldau.control.groups import records as group_records
from moldau.control.groups.records import CoordinatorRecord, OffsetRecord, PendingOffsetRecord
from moldau.control.machine import TransactionMarker
from moldau.control.schema import SchemaError
from moldau.control.transactions import records as transaction_records
from moldau.control.transactions.transaction import TransactionRecord
from moldau.server.core_types import StoredRecord
from moldau.server.runner import KeyAndValue

NO_PRODUCER_ID: Final = -1
ABORT: Final = 0
COMMIT: Final = 1


class OffsetsCodec:
    """`__consumer_offsets`: what a record says depends on the batch it came in (KIP-98)."""

    def encode(self, record: CoordinatorRecord) -> KeyAndValue:
        return group_records.encode_record(record)

    def decode(self, record: StoredRecord) -> CoordinatorRecord | None:
        if record.is_control:
            return decode_marker(record)
        decoded = group_records.decode_record(record.key, record.value)
        if record.producer_id == NO_PRODUCER_ID or not isinstance(decoded, OffsetRecord) or decoded.value is None:
            return decoded
        return PendingOffsetRecord(record.producer_id, decoded)


class TransactionsCodec:
    """`__transaction_state`, in the version that the cluster has agreed on."""

    def __init__(self, transaction_version: int) -> None:
        self._transaction_version = transaction_version

    def encode(self, record: TransactionRecord) -> KeyAndValue:
        return transaction_records.encode_record(record, self._transaction_version)

    def decode(self, record: StoredRecord) -> TransactionRecord | None:
        return None if record.is_control else transaction_records.decode_record(record.key, record.value)


def decode_marker(record: StoredRecord) -> TransactionMarker | None:
    """What a control record says; None when it does not end a transaction.

    Raises:
        SchemaError: the record is shorter than any marker.
    """
    try:
        _, kind = struct.unpack_from(">hh", record.key or b"")
        if kind not in (ABORT, COMMIT):
            return None
        _, coordinator_epoch = struct.unpack_from(">hi", record.value or b"")
    except struct.error as error:
        raise SchemaError(f"the control record at offset {record.offset} is too short: {error}") from None
    return TransactionMarker(record.producer_id, record.producer_epoch, coordinator_epoch, kind == COMMIT)
