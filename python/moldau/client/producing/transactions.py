"""What a transactional producer asks its coordinators, and what the answers mean. No clock, socket or thread.

    NEW ──initialise──► INITIALISING ──► READY ──begin──► OPEN ──end──► COMMITTING or ABORTING ──► READY
                                                           │                                        (or INITIALISING)
                              ENDED ◄── whatever is fatal ─┴─ an error that spoils the transaction waits for its abort

One question is on its way at a time, and the next one follows from where we are; so a question without an answer is
asked again until there is one. That holds for the end of a transaction above all: whether it was committed is never
guessed.

There are two protocols. In the first the coordinator is told of each partition before anything is sent to it
(AddPartitionsToTxn), of the group before its offsets are (AddOffsetsToTxn), and the epoch stays what it is. In the
second (KIP-890, `transaction.version` 2) leaders and the group's coordinator do that by themselves, and with each end
comes the next epoch, so what is late from one transaction never gets into the next. Which one it is is looked at when
no transaction is open; who changes it begins anew with the next epoch.

In the first protocol something may be on its way of which nobody knows whether it will arrive, or a leader has lost
count. Then the transaction is aborted and InitProducerId gives the next epoch, behind which it is refused. (KIP-360)

Source: KIP-98, KIP-360, KIP-447 (offsets in the name of a member), KIP-890, KIP-1050 (what an error asks for); Kafka's
`TransactionManager` (release 4.3).
"""

from __future__ import annotations

import enum
from typing import Any, Final

from moldau.client.membership.requests import GroupMetadata
from moldau.client.producing.errors import AbortableError, FatalError, ProduceError
from moldau.client.producing.settings import ProduceSettings
from moldau.client.producing.transaction_requests import (
    CONCURRENT_BACKOFF_S,
    FIRST_PRODUCE,
    NOBODY,
    SECOND_PRODUCE,
    SECOND_PROTOCOL,
    AddOffsets,
    AddPartitions,
    CommitOffsets,
    EndTransaction,
    FindCoordinator,
    Identity,
    InitProducerId,
    Offsets,
    TransactionRequest,
    Versions,
    codes_of,
)
from moldau.client.protocol import coordinators
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.coordinators import Coordinates
from moldau.client.protocol.partitions import Partition
from moldau.errors import ErrorCode

_MOVED: Final = frozenset({ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR, ErrorCode.REQUEST_TIMED_OUT})
_SPOILS: Final = frozenset(
    {
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
        ErrorCode.INVALID_GROUP_ID,
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
        ErrorCode.OPERATION_NOT_ATTEMPTED,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        ErrorCode.TRANSACTION_ABORTABLE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_PRODUCER_ID,
    }
)
"""What coordinators say of one transaction only; whatever else they refuse ends the producer, as in Kafka's client."""
_LEADERS_SPOIL: Final = frozenset(
    {
        # Perhaps we are fenced, perhaps only late: the answer to the abort tells.
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.TRANSACTION_ABORTABLE,
        ErrorCode.UNKNOWN_PRODUCER_ID,
    }
)
_LEADERS_END: Final = frozenset(
    {
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)


class Stage(enum.Enum):
    """Where a producer stands."""

    NEW = "new"
    INITIALISING = "initialising"
    READY = "ready"
    OPEN = "open"
    COMMITTING = "committing"
    ABORTING = "aborting"
    ENDED = "ended"


class TransactionMachine:
    """The transactions of one producer, one after the other. Whoever drives it holds a lock around each call."""

    def __init__(self, settings: ProduceSettings) -> None:
        assert settings.transactional_id is not None, "without a name nobody could be fenced"
        self.settings = settings
        self.transactional_id = settings.transactional_id
        self.stage = Stage.NEW
        self.identity = NOBODY
        self.coordinator: Address | None = None
        self.second_protocol = False
        self.error: FatalError | AbortableError | None = None
        """Why the producer, or this transaction, is over."""
        self._takes_more = True
        """Whether what is here is still sent although the transaction is spoilt: to find all that is refused."""
        self._offered = False
        """Whether the cluster speaks the second protocol, as a coordinator has said when it was greeted."""
        self._groups: dict[str, Address] = {}
        self._to_add: dict[Partition, None] = {}
        self._added: set[Partition] = set()
        self._offsets: dict[str, tuple[GroupMetadata, Offsets]] = {}
        self._groups_added: set[str] = set()
        self._began = False
        """Whether the coordinator may know of this transaction."""
        self._is_sure = True
        """Whether it does know of it, if it may."""
        self._may_be_late = False
        """Whether there was a question without an answer, which may still arrive."""
        self._next_epoch = False
        """Whether the next transaction is to have another epoch, in the first protocol."""
        self._in_flight: TransactionRequest | None = None
        self._attempt = 0
        self._retry_at = 0.0

    # What the owner does.

    def initialise(self) -> None:
        """Take over the transactional id: who had it is fenced, and what they left open is aborted."""
        if self.stage is Stage.NEW:
            self.stage = Stage.INITIALISING

    def begin(self) -> None:
        """Begin a transaction. The cluster hears of it with its first record."""
        self._raise_ended()
        if self.stage is not Stage.READY:
            raise ProduceError(f"a transaction cannot begin, the producer is {self.stage.value}")
        self.stage = Stage.OPEN

    def send_offsets(self, group: GroupMetadata, offsets: Offsets) -> None:
        """Have these offsets committed with the transaction, too; `has_sent_offsets` says when the group has all."""
        self._raise_ended()
        if self.stage is not Stage.OPEN:
            raise ProduceError(f"there is no transaction, the producer is {self.stage.value}")
        self.raise_spoilt()
        if offsets:
            _, waiting = self._offsets.get(group.group_id, (group, {}))
            self._offsets[group.group_id] = group, {**waiting, **offsets}

    @property
    def has_sent_offsets(self) -> bool:
        """Whether all offsets are where they wait for the end."""
        return not self._offsets

    def end(self, *, commit: bool) -> None:
        """Commit or abort; it is over when the stage is `READY` again. Once more is the same once more."""
        self._raise_ended()
        wanted = Stage.COMMITTING if commit else Stage.ABORTING
        if self.stage is wanted:
            return
        if self.stage is not Stage.OPEN:
            raise ProduceError(f"there is no transaction to be ended, the producer is {self.stage.value}")
        if commit:
            self.raise_spoilt()
            assert self.has_sent_offsets, "offsets are waited for before the commit"
        self.stage = wanted

    def raise_spoilt(self) -> None:
        """Raise why this transaction cannot be committed, if it cannot."""
        if self.error is not None:
            raise self.error

    def _raise_ended(self) -> None:
        if isinstance(self.error, FatalError):
            raise self.error

    # What the machine that sends records asks.

    @property
    def sends(self) -> bool:
        """Whether records may be sent."""
        return self.stage is Stage.OPEN and self._takes_more

    @property
    def aborts(self) -> bool:
        """Whether records that are here are to be dropped."""
        return self.stage in {Stage.ABORTING, Stage.ENDED}

    @property
    def failure(self) -> ProduceError | None:
        """Why nothing more is sent, unless somebody asked for that."""
        if self.stage is Stage.ENDED or (self.stage is Stage.OPEN and not self._takes_more):
            return self.error
        return None

    @property
    def produce_versions(self) -> Versions:
        """The versions of Produce that do as the protocol says."""
        return SECOND_PRODUCE if self.second_protocol else FIRST_PRODUCE

    def add(self, place: Partition) -> None:
        """Something is to be written to this partition."""
        if not self.second_protocol and place not in self._added:
            self._to_add[place] = None

    def has(self, place: Partition) -> bool:
        """Whether it may be sent there already."""
        return self.second_protocol or place in self._added

    def sending(self) -> None:
        """Something is sent: in the second protocol that begins the transaction."""
        self._began = True

    def lost_count(self) -> None:
        """What a leader has of this producer is not known. The second protocol has another epoch after each end."""
        self._next_epoch = True

    def refused(self, said: str, code: ErrorCode | None) -> None:
        """A record was given up: the rest is sent, so that all that is refused is known, and then comes the abort."""
        self._spoil(AbortableError(f"the transaction cannot be committed: {said}", code), takes_more=True)

    def is_over(self, code: ErrorCode, said: str) -> bool:
        """Whether what a leader says is not of the record but of the transaction, which is over then."""
        if code in _LEADERS_END:
            self._end_all(FatalError(said, code))
        elif code in _LEADERS_SPOIL:
            self.is_unclear(said, code)
        return code in _LEADERS_END or code in _LEADERS_SPOIL

    def is_unclear(self, said: str, code: ErrorCode) -> None:
        """What a leader has of this transaction is not known: nothing more is sent, and it has to be aborted."""
        self.lost_count()
        self._spoil(AbortableError(said, code), takes_more=False)

    def _spoil(self, error: AbortableError, *, takes_more: bool) -> None:
        if self.stage is Stage.OPEN:
            self.error = self.error or error
            self._takes_more = self._takes_more and takes_more
            self._offsets.clear()

    def _end_all(self, error: FatalError) -> None:
        if self.stage is not Stage.ENDED:
            self.error, self.stage = error, Stage.ENDED

    # Questions.

    def next(self, now: float, *, is_empty: bool) -> TransactionRequest | None:
        """What to ask now; it counts as asked. `is_empty` says whether no record is here or on its way."""
        if self._in_flight is not None or now < self._retry_at:
            return None
        self._in_flight = self._next(is_empty=is_empty)
        return self._in_flight

    def _next(self, *, is_empty: bool) -> TransactionRequest | None:
        if self.stage is Stage.INITIALISING:
            timeout_ms = self.settings.transaction_timeout_ms
            return self._of_coordinator(InitProducerId(self.transactional_id, timeout_ms, self.identity))
        if self.stage is Stage.OPEN and self._takes_more:
            return self._next_of_open()
        if self.stage in {Stage.COMMITTING, Stage.ABORTING} and is_empty:
            if not self._began:
                # The cluster has not heard of it.
                self._ended()
                return None
            commit = self.stage is Stage.COMMITTING
            return self._of_coordinator(
                EndTransaction(self.transactional_id, self.identity, commit, self.second_protocol)
            )
        return None

    def _next_of_open(self) -> TransactionRequest | None:
        if self._to_add:
            partitions = tuple(sorted(self._to_add))
            return self._of_coordinator(AddPartitions(self.transactional_id, self.identity, partitions))
        for group_id, (group, offsets) in self._offsets.items():
            if not self.second_protocol and group_id not in self._groups_added:
                return self._of_coordinator(AddOffsets(self.transactional_id, self.identity, group_id))
            if group_id not in self._groups:
                return FindCoordinator(Coordinates.GROUP, group_id)
            return CommitOffsets(self.transactional_id, self.identity, group, offsets, self.second_protocol)
        return None

    def _of_coordinator(self, request: TransactionRequest) -> TransactionRequest:
        if self.coordinator is None:
            return FindCoordinator(Coordinates.TRANSACTION, self.transactional_id)
        return request

    def wait_s(self, now: float) -> float | None:
        """How long nothing will be to ask unless something happens; None for as long as it likes."""
        return None if self._in_flight is not None or self._retry_at <= now else self._retry_at - now

    def address_of(self, request: TransactionRequest) -> Address | None:
        """Whom to ask; None for anybody."""
        if isinstance(request, FindCoordinator):
            return None
        return self._groups.get(request.group.group_id) if isinstance(request, CommitOffsets) else self.coordinator

    # Answers.

    def greeted(self, transaction_version: int) -> None:
        """A broker has said, when it was connected to, which protocol the cluster speaks."""
        self._offered = transaction_version >= SECOND_PROTOCOL

    def answered(self, request: TransactionRequest, answer: Any, now: float) -> None:
        """Somebody has spoken."""
        assert request is self._in_flight
        self._in_flight = None
        codes = codes_of(request, answer)
        if codes == {ErrorCode.NONE}:
            self._attempt = 0
            self._done(request, answer)
            return
        if not _MOVED.isdisjoint(codes):
            self._forget_coordinator(request)
        # Where one part is refused, others are not tried; and what ends all is said before what ends this.
        reasons = codes - {ErrorCode.OPERATION_NOT_ATTEMPTED} or codes
        final = sorted((code for code in reasons if not code.retriable), key=lambda code: (code in _SPOILS, code))
        if final:
            self._refused(request, final[0])
            if isinstance(request, FindCoordinator):
                # Where there is nothing to be spoilt it is asked again.
                self._back_off(now)
        else:
            self._back_off(now, CONCURRENT_BACKOFF_S if ErrorCode.CONCURRENT_TRANSACTIONS in codes else None)

    def failed(self, request: TransactionRequest, failure: Exception, now: float, *, passes: bool) -> None:
        """There was no answer: perhaps it was done, perhaps not."""
        assert request is self._in_flight
        self._in_flight = None
        if isinstance(request, (AddPartitions, AddOffsets, CommitOffsets)):
            # It is asked again while the transaction goes on; who ends it now has to reckon with both.
            self._is_sure = self._is_sure and self._began
            self._began = self._may_be_late = True
        if not passes:
            error = FatalError(f"the transactions of {self.transactional_id}: {failure}")
            error.__cause__ = failure
            self._end_all(error)
            return
        self._forget_coordinator(request)
        self._back_off(now)

    def _done(self, request: TransactionRequest, answer: Any) -> None:
        if isinstance(request, FindCoordinator):
            self._found(request, coordinators.answer_of(answer).address)
        elif isinstance(request, InitProducerId):
            if self.stage is Stage.INITIALISING:
                self._initialised(Identity(int(answer.producer_id), int(answer.producer_epoch)))
        elif isinstance(request, EndTransaction):
            if self.stage in {Stage.COMMITTING, Stage.ABORTING}:
                self._take_end(answer)
        elif isinstance(request, AddPartitions):
            self._began = self._is_sure = True
            self._added.update(request.partitions)
            for place in request.partitions:
                self._to_add.pop(place, None)
        elif isinstance(request, AddOffsets):
            self._began = self._is_sure = True
            self._groups_added.add(request.group_id)
        else:
            self._began = True
            _, waiting = self._offsets.get(request.group.group_id, (None, None))
            if waiting is request.offsets:
                # More may have been given since, and is committed with these once more.
                del self._offsets[request.group.group_id]

    def _found(self, request: FindCoordinator, address: Address | None) -> None:
        if address is None:
            return
        if request.kind is Coordinates.GROUP:
            self._groups[request.key] = address
        else:
            self.coordinator = address

    def _initialised(self, identity: Identity) -> None:
        self.identity, self.second_protocol = identity, self._offered
        self.stage = Stage.READY

    def _take_end(self, answer: Any) -> None:
        if self.second_protocol and int(answer.producer_id) >= 0:
            self.identity = Identity(int(answer.producer_id), int(answer.producer_epoch))
            self._next_epoch = False
        self._ended()

    def _ended(self) -> None:
        """The transaction is over, and nothing of it is left."""
        is_late = self._may_be_late and self.stage is Stage.ABORTING and not self.second_protocol
        begins_anew = self._next_epoch or is_late or self._offered != self.second_protocol
        self.stage = Stage.INITIALISING if begins_anew else Stage.READY
        self.error, self._takes_more = None, True
        self._to_add.clear()
        self._added.clear()
        self._offsets.clear()
        self._groups_added.clear()
        self._began, self._is_sure = False, True
        self._may_be_late = self._next_epoch = False

    def _refused(self, request: TransactionRequest, code: ErrorCode) -> None:
        said = f"{type(request).__name__} of {self.transactional_id}: {code.sentence} ({code.name})"
        if isinstance(request, EndTransaction):
            self._end_refused(request, code, said)
        elif isinstance(request, InitProducerId) or code not in _SPOILS:
            self._end_all(FatalError(said, code))
        else:
            if code is ErrorCode.UNKNOWN_PRODUCER_ID:
                self.lost_count()
            self._spoil(AbortableError(said, code), takes_more=False)

    def _end_refused(self, request: EndTransaction, code: ErrorCode, said: str) -> None:
        if not request.commit and code is ErrorCode.INVALID_TXN_STATE and not self._is_sure:
            # There is none: what was asked to begin it has not arrived. Should it still, its epoch is an old one.
            self._next_epoch = True
            self._ended()
        elif request.commit and code is ErrorCode.TRANSACTION_ABORTABLE:
            self.stage = Stage.OPEN
            self._spoil(AbortableError(said, code), takes_more=False)
        else:
            self._end_all(FatalError(said, code))

    def _forget_coordinator(self, request: TransactionRequest) -> None:
        if isinstance(request, CommitOffsets):
            self._groups.pop(request.group.group_id, None)
        elif not isinstance(request, FindCoordinator):
            self.coordinator = None

    def _back_off(self, now: float, first_s: float | None = None) -> None:
        self._retry_at = now + self.settings.backoff_s(self._attempt, first_s)
        self._attempt += 1
