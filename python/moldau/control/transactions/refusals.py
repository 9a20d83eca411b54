"""The shape of "no" for every request of the transaction machine."""

from __future__ import annotations

from typing import Final

from moldau.control.transactions.requests import (
    AddPartitions,
    DescribeTransaction,
    EndTransaction,
    InitProducerId,
    ListTransactions,
    VerifyPartitions,
)
from moldau.control.transactions.responses import (
    Answer,
    Described,
    Done,
    Ended,
    Initialised,
    Listed,
    TransactionResponse,
    Verified,
)
from moldau.errors import ErrorCode

_SAID_TO_CLIENTS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
}


def coordinator_error(append_error: ErrorCode) -> ErrorCode:
    """What a client is told when the coordinator's own log refused a record."""
    return _SAID_TO_CLIENTS.get(append_error, append_error)


def refuse(request: object, error: ErrorCode) -> TransactionResponse:
    """The answer to `request` that says nothing but `error`."""
    match request:
        case InitProducerId():
            return Initialised(error)
        case AddPartitions():
            return Answer(error)
        case VerifyPartitions():
            return Verified(error)
        case EndTransaction():
            return Ended(error)
        case DescribeTransaction():
            return Described(error)
        case ListTransactions():
            return Listed(error)
        case _:
            return Done()
