"""Whether a transaction may end now, for each of the two transaction protocols.

The first protocol knows a retry by the state alone: who commits what is committed is told that all is well. In the
second every transaction has an epoch of its own, so a retry is known by its epoch, which is the one before; the same
epoch means the next transaction. What the second protocol answers when nothing is open:

|                | abort, retry | abort       | commit, retry | commit    |
| -------------- | ------------ | ----------- | ------------- | --------- |
| Empty          | fenced       | next epoch  | fenced        | invalid   |
| CompleteAbort  | all is well  | next epoch  | invalid       | invalid   |
| CompleteCommit | invalid      | next epoch  | all is well   | invalid   |

An abort of nothing is allowed because a producer whose first request got lost cannot know whether anything began.

Source: Kafka's `TransactionCoordinator.endTransaction` and `endTransactionWithTV1` (release 4.3), KIP-890.
"""

from __future__ import annotations

from moldau.control.transactions.requests import EndTransaction
from moldau.control.transactions.transaction import (
    BUMPS_EPOCH_SINCE,
    ENDING,
    MAX_EPOCH,
    RESTING,
    Transaction,
    TransactionState,
)
from moldau.errors import ErrorCode


def verdict(current: Transaction, request: EndTransaction) -> ErrorCode | None:
    """None when the transaction is to be decided now; otherwise the answer, which is NONE for a retry."""
    if request.client_version >= BUMPS_EPOCH_SINCE:
        return _verdict_with_epochs(current, request)
    if current.producer_id != request.producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if current.producer_epoch != request.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if current.state is TransactionState.ONGOING:
        return None
    if current.state is TransactionState.EMPTY or not _is_same_outcome(current, request):
        return ErrorCode.INVALID_TXN_STATE
    return ErrorCode.CONCURRENT_TRANSACTIONS if current.state in ENDING else ErrorCode.NONE


def _verdict_with_epochs(current: Transaction, request: EndTransaction) -> ErrorCode | None:
    is_retry, took_over = _is_retry(current, request), _took_over(current, request)
    if current.producer_id != request.producer_id and not took_over:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    is_current = request.producer_epoch == current.producer_epoch
    if current.state in ENDING:
        if not is_retry:
            return ErrorCode.PRODUCER_FENCED
        same = _is_same_outcome(current, request)
        return ErrorCode.CONCURRENT_TRANSACTIONS if same else ErrorCode.INVALID_TXN_STATE
    if current.state in (TransactionState.ONGOING, TransactionState.EMPTY):
        if not is_current:
            return ErrorCode.PRODUCER_FENCED
        began = current.state is TransactionState.ONGOING
        return None if began or not request.commit else ErrorCode.INVALID_TXN_STATE
    assert current.state in RESTING, current
    if is_retry or took_over:
        return ErrorCode.NONE if _is_same_outcome(current, request) else ErrorCode.INVALID_TXN_STATE
    if not is_current:
        return ErrorCode.PRODUCER_FENCED
    return ErrorCode.INVALID_TXN_STATE if request.commit else None


def _is_retry(current: Transaction, request: EndTransaction) -> bool:
    return current.producer_epoch == request.producer_epoch + 1


def _took_over(current: Transaction, request: EndTransaction) -> bool:
    """A retry of the request whose epoch was the last one, so that another producer id has taken over since."""
    was_last = request.producer_epoch == MAX_EPOCH - 1 and current.producer_epoch == 0
    return was_last and current.previous_producer_id == request.producer_id


def _is_same_outcome(current: Transaction, request: EndTransaction) -> bool:
    committed = current.state in (TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT)
    return committed == request.commit
