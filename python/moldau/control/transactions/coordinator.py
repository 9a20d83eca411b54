"""The transaction machine: one for each partition of `__transaction_state`, and every transactional id in it.

    decide(request, now)   what to write, what to answer, what to order
    apply(record)             the only way the state changes; recovery is nothing else

A transaction ends in two steps. The decision (PrepareCommit, PrepareAbort) is written, and from then on nothing can
change it; the client is answered. Then its markers are ordered from the shell (`WriteMarkers`), and when all of them
are written (`MarkersWritten`), so is the end (CompleteCommit, CompleteAbort). A node that dies in between finds the
decision in its log and orders the markers again: writing one twice does no harm.

Nothing is decided ahead of the log: requests of one partition are decided one after the other, each against what the
record of the one before has made true. So an append that fails needs nothing undone.

Source: Kafka's `TransactionCoordinator`, `TransactionStateManager` (release 4.3); KIP-98, KIP-360, KIP-890.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.control.machine import AppendFailed, Decision, Effect, Now, Order, ScheduleTimer
from moldau.control.transactions.ending import verdict
from moldau.control.transactions.records import encode_record
from moldau.control.transactions.refusals import coordinator_error, refuse
from moldau.control.transactions.requests import (
    AbortTimedOut,
    AddPartitions,
    DescribeTransaction,
    EndTransaction,
    ExpirationCheckDue,
    InitProducerId,
    ListTransactions,
    Loaded,
    MarkersWritten,
    ProducerIdAndEpoch,
    RunWithProducerId,
    TimeoutCheckDue,
    VerifyPartitions,
    WriteMarkers,
)
from moldau.control.transactions.responses import (
    NEEDS_PRODUCER_ID,
    Answer,
    Described,
    Done,
    Ended,
    Initialised,
    Listed,
    ListedTransaction,
    NeedsProducerId,
    TransactionResponse,
    Verified,
)
from moldau.control.transactions.settings import TransactionSettings
from moldau.control.transactions.transaction import (
    BUMPS_EPOCH_SINCE,
    ENDING,
    NO_EPOCH,
    NO_PRODUCER_ID,
    RESTING,
    WITHOUT_TIMEOUT,
    Transaction,
    TransactionRecord,
    TransactionState,
    is_exhausted,
)
from moldau.errors import ErrorCode

FORGOTTEN_AT_ONCE: Final = 500
"""Tombstones in one batch, so that it always fits into one; the rest come with the next turn."""
ABORTED_AT_ONCE_BYTES: Final = 250_000
"""So with transactions that have timed out: each may have thousands of partitions."""
RETRY_MS: Final = 1_000
"""When an end that could not be written is tried again."""


class TransactionCoordinator:
    """Decides about the transactional ids of one partition of `__transaction_state`."""

    answers_append_failed: Final = True
    """`decide` takes an `AppendFailed`."""

    def __init__(self, settings: TransactionSettings, transaction_version: int) -> None:
        """`transaction_version` is the cluster's finalized level; it counts where no client says which it speaks."""
        self.settings = settings
        self.transaction_version = transaction_version
        self.transactions: dict[str, Transaction] = {}
        self._is_loaded = False
        self._deadlines: dict[str, int] = {}
        """When an open transaction has had its time, by a clock that does not jump. An entry may be left of one that
        could not be written."""

    def decide(self, request: object, now: Now) -> Decision[TransactionRecord, Any]:
        """Decide about a request or an event of `requests`, or about an `AppendFailed`."""
        if not self._is_loaded and not isinstance(request, Loaded):
            return Decision(refuse(request, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))
        turn = _Turn(now)
        response = self._answer(turn, request)
        return Decision(response, tuple(turn.records), tuple(turn.effects))

    def apply(self, record: TransactionRecord) -> None:
        """Take in one record of the log, at start or after it was committed."""
        transactional_id, transaction = record.transactional_id, record.transaction
        if transaction is None:
            self.transactions.pop(transactional_id, None)
        else:
            self.transactions[transactional_id] = transaction
        if transaction is None or transaction.state is not TransactionState.ONGOING:
            self._deadlines.pop(transactional_id, None)

    def _answer(self, turn: _Turn, request: object) -> TransactionResponse:
        match request:
            case AddPartitions():
                return self._add_partitions(turn, request)
            case VerifyPartitions():
                return self._verify(request)
            case EndTransaction():
                return self._end(turn, request)
            case InitProducerId():
                return self._initialise(turn, request)
            case DescribeTransaction():
                return self._describe(request)
            case ListTransactions():
                return self._list(turn, request)
            case MarkersWritten():
                self._complete(turn, request)
            case Loaded():
                self._start(turn)
            case TimeoutCheckDue():
                self._check_timeouts(turn)
            case AbortTimedOut():
                self._abort_timed_out(turn, request)
            case ExpirationCheckDue():
                self._check_expiration(turn)
            case AppendFailed():
                return self._append_failed(turn, request)
            case _:
                raise TypeError(f"the transaction machine does not know {type(request).__name__}")
        return Done()

    # Producers

    def _initialise(self, turn: _Turn, request: InitProducerId) -> Initialised | NeedsProducerId:
        expected = request.expected
        current = self.transactions.get(request.transactional_id)
        if not request.transactional_id:
            return Initialised(ErrorCode.INVALID_REQUEST)
        if not 0 < request.timeout_ms <= self.settings.max_timeout_ms:
            return Initialised(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        if current is None:
            if request.spare_producer_id is None:
                return NEEDS_PRODUCER_ID
            current = Transaction.new(request.spare_producer_id, request.timeout_ms, turn.wall_ms)
        if expected is not None and not _may_continue(current, expected):
            return Initialised(ErrorCode.PRODUCER_FENCED)
        if current.state in ENDING:
            return Initialised(ErrorCode.CONCURRENT_TRANSACTIONS)
        if current.state is TransactionState.ONGOING:
            # The producer before has left a transaction open: shut it out, and let the new one come back.
            if not self._fence_and_abort(turn, request.transactional_id, current, request.spare_producer_id):
                return NEEDS_PRODUCER_ID
            return Initialised(ErrorCode.CONCURRENT_TRANSACTIONS)
        next_one = _next_producer(current, request, turn.wall_ms)
        if isinstance(next_one, Transaction):
            turn.write(request.transactional_id, next_one)
            return Initialised(ErrorCode.NONE, next_one.producer_id, next_one.producer_epoch)
        return next_one

    def _fence_and_abort(
        self, turn: _Turn, transactional_id: str, current: Transaction, spare_producer_id: int | None
    ) -> bool:
        """Abort over the head of the producer. False when that takes a producer id, and there is none at hand."""
        version = self.transaction_version
        if version < BUMPS_EPOCH_SINCE:
            current, version = current.fenced(), 0
        elif current.is_exhausted and spare_producer_id is None:
            return False
        self._decide_end(turn, transactional_id, current, False, version, spare_producer_id)
        return True

    # Transactions

    def _add_partitions(self, turn: _Turn, request: AddPartitions) -> Answer:
        error, current = self._of_producer(request)
        if current is None:
            return Answer(error)
        if current.state is TransactionState.ONGOING and request.partitions <= current.partitions:
            return Answer(ErrorCode.NONE)
        begun = current.with_partitions(request.partitions, request.client_version, turn.wall_ms)
        if current.state in RESTING:
            self._deadlines[request.transactional_id] = turn.steady_ms + begun.timeout_ms
        turn.write(request.transactional_id, begun)
        return Answer(ErrorCode.NONE)

    def _verify(self, request: VerifyPartitions) -> Verified:
        error, current = self._of_producer(request)
        if current is None:
            return Verified(error)
        return Verified(ErrorCode.NONE, request.partitions - current.partitions)

    def _of_producer(self, request: AddPartitions | VerifyPartitions) -> tuple[ErrorCode, Transaction | None]:
        """The transaction if the request comes from its producer and it may still grow, or the reason why not."""
        current = self.transactions.get(request.transactional_id)
        if not request.transactional_id:
            return ErrorCode.INVALID_REQUEST, None
        if current is None or current.producer_id != request.producer_id:
            return ErrorCode.INVALID_PRODUCER_ID_MAPPING, None
        if current.producer_epoch != request.producer_epoch:
            return ErrorCode.PRODUCER_FENCED, None
        if current.state in ENDING:
            return ErrorCode.CONCURRENT_TRANSACTIONS, None
        return ErrorCode.NONE, current

    def _end(self, turn: _Turn, request: EndTransaction) -> Ended | NeedsProducerId:
        if not request.transactional_id:
            return Ended(ErrorCode.INVALID_REQUEST)
        current = self.transactions.get(request.transactional_id)
        if current is None:
            return Ended(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        bumps = request.client_version >= BUMPS_EPOCH_SINCE
        error = verdict(current, request)
        if error is not None:
            told = bumps and error is ErrorCode.NONE
            return Ended(error, current.producer_id, current.producer_epoch) if told else Ended(error)
        if bumps and current.is_exhausted and request.spare_producer_id is None:
            return NEEDS_PRODUCER_ID
        done = self._decide_end(
            turn,
            request.transactional_id,
            current,
            request.commit,
            request.client_version,
            request.spare_producer_id,
        )
        return Ended(ErrorCode.NONE, done.producer_id, done.producer_epoch) if bumps else Ended(ErrorCode.NONE)

    def _decide_end(
        self,
        turn: _Turn,
        transactional_id: str,
        current: Transaction,
        commit: bool,
        version: int,
        spare_producer_id: int | None,
    ) -> Transaction:
        """Write the decision and order its markers. Returns what the transaction will be when they are written."""
        next_producer_id = NO_PRODUCER_ID
        if version >= BUMPS_EPOCH_SINCE and current.is_exhausted:
            assert spare_producer_id is not None, transactional_id
            next_producer_id = spare_producer_id
        decided = current.decided(
            commit=commit, client_version=version, now_ms=turn.wall_ms, next_producer_id=next_producer_id
        )
        done = decided.completed(turn.wall_ms)
        turn.write(transactional_id, decided)
        if decided.partitions:
            turn.effects.append(Order(_markers_of(transactional_id, decided)))
        else:
            turn.write(transactional_id, done)
        return done

    def _complete(self, turn: _Turn, request: MarkersWritten) -> None:
        current = self.transactions.get(request.transactional_id)
        written_for = (request.producer_id, request.producer_epoch)
        if current is None or current.state not in ENDING:
            return
        if (current.producer_id, current.producer_epoch) == written_for:
            turn.write(request.transactional_id, current.completed(turn.wall_ms))

    # Looking in

    def _describe(self, request: DescribeTransaction) -> Described:
        if not request.transactional_id:
            return Described(ErrorCode.INVALID_REQUEST)
        current = self.transactions.get(request.transactional_id)
        if current is None:
            return Described(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
        return Described(ErrorCode.NONE, current)

    def _list(self, turn: _Turn, request: ListTransactions) -> Listed:
        def is_wanted(transaction: Transaction) -> bool:
            return (
                (not request.producer_ids or transaction.producer_id in request.producer_ids)
                and (not request.states or transaction.state.told in request.states)
                and (request.longer_than_ms < 0 or turn.wall_ms - transaction.start_ms > request.longer_than_ms)
            )

        found = (
            ListedTransaction(transactional_id, transaction.producer_id, transaction.state.told)
            for transactional_id, transaction in self.transactions.items()
            if is_wanted(transaction)
        )
        return Listed(ErrorCode.NONE, tuple(found))

    # Life of the partition

    def _start(self, turn: _Turn) -> None:
        """Everything is applied: finish what was decided, and begin to watch time."""
        self._is_loaded = True
        for transactional_id, transaction in self.transactions.items():
            if transaction.state in ENDING:
                turn.effects.append(Order(_markers_of(transactional_id, transaction)))
            elif transaction.state is TransactionState.ONGOING:
                # What is left of its time. Only the time of day can tell, and it may have been set meanwhile.
                left_ms = transaction.start_ms + transaction.timeout_ms - turn.wall_ms
                left_ms = min(max(left_ms, 0), transaction.timeout_ms)
                self._deadlines[transactional_id] = turn.steady_ms + left_ms
        turn.watch_timeouts(self.settings.timeout_check_interval_ms)
        turn.watch_expiration(self.settings.expiration_check_interval_ms)

    def _check_timeouts(self, turn: _Turn) -> None:
        written_bytes = 0
        # Only of the open ones: most ids rest, for days.
        for transactional_id in self._deadlines:
            current = self.transactions.get(transactional_id)
            if current is None or not self._has_timed_out(turn, transactional_id, current):
                continue
            size_bytes = self._size_bytes(transactional_id, current)
            if turn.records and written_bytes + size_bytes > ABORTED_AT_ONCE_BYTES:
                turn.watch_timeouts(0)
                return
            written_bytes += size_bytes
            if not self._fence_and_abort(turn, transactional_id, current, None):
                again = AbortTimedOut(transactional_id, current.producer_id, current.producer_epoch)
                turn.effects.append(Order(RunWithProducerId(again)))
        turn.watch_timeouts(self.settings.timeout_check_interval_ms)

    def _size_bytes(self, transactional_id: str, transaction: Transaction) -> int:
        key, value = encode_record(TransactionRecord(transactional_id, transaction), self.transaction_version)
        return len(key) + len(value or b"")

    def _abort_timed_out(self, turn: _Turn, request: AbortTimedOut) -> None:
        current = self.transactions.get(request.transactional_id)
        meant = (request.producer_id, request.producer_epoch)
        if current is None or (current.producer_id, current.producer_epoch) != meant:
            return
        if self._has_timed_out(turn, request.transactional_id, current):
            self._fence_and_abort(turn, request.transactional_id, current, request.spare_producer_id)

    def _has_timed_out(self, turn: _Turn, transactional_id: str, transaction: Transaction) -> bool:
        if transaction.state is not TransactionState.ONGOING or transaction.timeout_ms == WITHOUT_TIMEOUT:
            return False
        return self._deadlines[transactional_id] < turn.steady_ms

    def _check_expiration(self, turn: _Turn) -> None:
        oldest_ms = turn.wall_ms - self.settings.id_expiration_ms
        unused = (
            transactional_id
            for transactional_id, transaction in self.transactions.items()
            if transaction.state in RESTING and transaction.last_update_ms <= oldest_ms
        )
        for transactional_id in unused:
            if len(turn.records) == FORGOTTEN_AT_ONCE:
                turn.watch_expiration(0)
                return
            turn.records.append(TransactionRecord(transactional_id, None))
        turn.watch_expiration(self.settings.expiration_check_interval_ms)

    def _append_failed(self, turn: _Turn, failed: AppendFailed) -> TransactionResponse:
        """Nothing has changed. Timers go on, and the end of a transaction is tried again: nobody else would."""
        turn.effects.extend(effect for effect in failed.decision.effects if isinstance(effect, ScheduleTimer))
        request = failed.request
        match request:
            case MarkersWritten():
                turn.schedule(("complete", request.transactional_id), turn.steady_ms + RETRY_MS, request)
            case TimeoutCheckDue():
                # Not at once, even if there is more to come: there may be no room for long.
                turn.watch_timeouts(self.settings.timeout_check_interval_ms)
            case ExpirationCheckDue():
                turn.watch_expiration(self.settings.expiration_check_interval_ms)
        return refuse(request, coordinator_error(failed.error))


class _Turn:
    """What was decided so far in one call of `decide`."""

    def __init__(self, now: Now) -> None:
        self.steady_ms = now.steady_ms
        self.wall_ms = now.wall_ms
        self.records: list[TransactionRecord] = []
        self.effects: list[Effect] = []

    def write(self, transactional_id: str, transaction: Transaction) -> None:
        self.records.append(TransactionRecord(transactional_id, transaction))

    def schedule(self, key: tuple[str, ...], at_ms: int, event: object) -> None:
        self.effects.append(ScheduleTimer(key, at_ms, event))

    def watch_timeouts(self, after_ms: int) -> None:
        self.schedule(("timeouts",), self.steady_ms + after_ms, TimeoutCheckDue())

    def watch_expiration(self, after_ms: int) -> None:
        self.schedule(("expiration",), self.steady_ms + after_ms, ExpirationCheckDue())


def _markers_of(transactional_id: str, decided: Transaction) -> WriteMarkers:
    return WriteMarkers(
        transactional_id,
        decided.producer_id,
        decided.producer_epoch,
        decided.is_committing,
        decided.partitions,
        decided.client_version,
    )


def _may_continue(current: Transaction, expected: ProducerIdAndEpoch) -> bool:
    """KIP-360: whether a producer that was `expected` may go on. Its epoch is compared when the next one is given."""
    return (
        current.producer_epoch == NO_EPOCH
        or expected.producer_id == current.producer_id
        or (expected.producer_id == current.previous_producer_id and is_exhausted(expected.producer_epoch))
    )


def _next_producer(
    current: Transaction, request: InitProducerId, now_ms: int
) -> Transaction | Initialised | NeedsProducerId:
    """The transactional id in the hands of the producer that asks for it."""
    expected, timeout_ms = request.expected, request.timeout_ms
    is_named = expected is not None
    if expected is not None and current.producer_epoch not in (NO_EPOCH, expected.producer_epoch):
        if expected.producer_epoch == current.last_producer_epoch:
            # The answer got lost. Nobody else has come since, or the last epoch would be forgotten.
            return current.initialised_again(timeout_ms, now_ms)
        return Initialised(ErrorCode.PRODUCER_FENCED)
    if not current.is_exhausted:
        return current.bumped(timeout_ms, now_ms, remembers=is_named)
    if request.spare_producer_id is None:
        return NEEDS_PRODUCER_ID
    return current.rotated(request.spare_producer_id, timeout_ms, now_ms, remembers=is_named)
