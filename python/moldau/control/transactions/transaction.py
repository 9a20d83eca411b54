"""What is known about one transactional id, and the steps from one state of it to the next.

    Empty ──► Ongoing ──► PrepareCommit ──► CompleteCommit ─┐
      ▲          │                                          │
      │          └──────► PrepareAbort ───► CompleteAbort ──┤
      └──────────────────── InitProducerId ◄────────────────┘

A `Transaction` never changes: each step makes another one, which becomes true when its record is applied. Whether a
step is allowed is the coordinator's question, not this module's; a step that makes no sense at all is refused with an
assertion.

Epochs. An epoch below the current one belongs to a producer that has been replaced (a *zombie*). The first transaction
protocol raises the epoch when a producer starts; the second (`client_version` 2, KIP-890) also with every transaction:
the record that decides about a transaction, and its markers, have the next epoch already, so that what comes late from
the transaction before is recognised. The last epochs are never given to a producer: when they are reached, another
producer id takes over at epoch 0.

Source: Kafka's `TransactionMetadata` (release 4.3); KIP-98, KIP-360 (retries of InitProducerId), KIP-890.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

NO_PRODUCER_ID: Final = -1
NO_EPOCH: Final = -1
NO_START: Final = -1
MAX_EPOCH: Final = 32767
BUMPS_EPOCH_SINCE: Final = 2
"""The transaction version from which on every transaction has an epoch of its own."""
WITHOUT_TIMEOUT: Final = 2**31 - 1
"""The timeout of a transaction that an outside coordinator decides about (KIP-939)."""


class TransactionState(enum.IntEnum):
    """Numbers as in the records."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    """Never written: a tombstone says it."""
    PREPARE_EPOCH_FENCE = 7
    """Never written: fencing a producer is one step here, to PrepareAbort."""

    @property
    def told(self) -> str:
        """The name in DescribeTransactions: `PrepareCommit`."""
        return self.name.title().replace("_", "")


RESTING: Final = frozenset({TransactionState.EMPTY, TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT})
"""Nothing is open and nothing is owed."""
ENDING: Final = frozenset({TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT})
"""It is decided; markers are being written."""


class TopicPartition(NamedTuple):
    topic: str
    partition: int


def is_exhausted(epoch: int) -> bool:
    """Whether no producer may get the epoch after this one: the last is kept for fencing."""
    return epoch >= MAX_EPOCH - 1


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transactional id at one time."""

    producer_id: int
    producer_epoch: int
    timeout_ms: int
    state: TransactionState
    last_update_ms: int
    start_ms: int = NO_START
    partitions: frozenset[TopicPartition] = frozenset()
    """Where its records are. `__consumer_offsets` is among them when offsets are."""
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    """Takes over when the transaction is done, because the epochs of the current one are used up."""
    client_version: int = 0
    """Transaction version that the client spoke when it began or ended the transaction."""
    last_producer_epoch: int = NO_EPOCH
    """The epoch before, for a retry of InitProducerId. It is in no record, in Kafka's neither: a restart forgets it."""

    @property
    def is_exhausted(self) -> bool:
        return is_exhausted(self.producer_epoch)

    @property
    def is_committing(self) -> bool:
        return self.state is TransactionState.PREPARE_COMMIT

    @classmethod
    def new(cls, producer_id: int, timeout_ms: int, now_ms: int) -> Transaction:
        """An id that nobody has used; its first producer is still to be `bumped` to epoch 0."""
        return cls(producer_id, NO_EPOCH, timeout_ms, TransactionState.EMPTY, last_update_ms=now_ms)

    def bumped(self, timeout_ms: int, now_ms: int, *, remembers: bool) -> Transaction:
        """For the next producer: the next epoch. `remembers` the epoch before if the producer named it."""
        assert self.state in RESTING, self
        assert not self.is_exhausted, self
        last_epoch = self.producer_epoch if remembers else NO_EPOCH
        return self._emptied(timeout_ms, now_ms, producer_epoch=self.producer_epoch + 1, last_producer_epoch=last_epoch)

    def initialised_again(self, timeout_ms: int, now_ms: int) -> Transaction:
        """For a producer that asks once more for the epoch it got: the same epoch."""
        assert self.state in RESTING, self
        return self._emptied(timeout_ms, now_ms)

    def rotated(self, producer_id: int, timeout_ms: int, now_ms: int, *, remembers: bool) -> Transaction:
        """For the next producer: another producer id, because this one has no epochs left."""
        assert self.state in RESTING, self
        last_epoch = self.producer_epoch if remembers else NO_EPOCH
        return self._emptied(
            timeout_ms, now_ms, producer_id=producer_id, producer_epoch=0, last_producer_epoch=last_epoch
        )

    def with_partitions(self, added: frozenset[TopicPartition], client_version: int, now_ms: int) -> Transaction:
        """Open, with these partitions as well; opening it starts its clock."""
        assert self.state not in ENDING, self
        return self._changed(
            state=TransactionState.ONGOING,
            partitions=self.partitions | added,
            start_ms=now_ms if self.state in RESTING else self.start_ms,
            last_update_ms=now_ms,
            client_version=client_version,
        )

    def decided(
        self, *, commit: bool, client_version: int, now_ms: int, next_producer_id: int = NO_PRODUCER_ID
    ) -> Transaction:
        """Decided, and to be told to its partitions. One that never began can be aborted, from version 2 on."""
        began = self.state is TransactionState.ONGOING
        assert began or (not commit and self.state in RESTING and client_version >= BUMPS_EPOCH_SINCE), self
        epoch, last_epoch = self.producer_epoch, self.last_producer_epoch
        if client_version >= BUMPS_EPOCH_SINCE:
            # At the largest epoch, which nobody should have, only an abort leads out.
            epoch, last_epoch = min(epoch + 1, MAX_EPOCH), epoch
        return self._changed(
            state=TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT,
            producer_epoch=epoch,
            last_producer_epoch=last_epoch,
            next_producer_id=next_producer_id,
            start_ms=self.start_ms if began else now_ms,
            last_update_ms=now_ms,
            client_version=client_version,
        )

    def fenced(self) -> Transaction:
        """With the epoch that shuts its producer out, where deciding does not raise the epoch by itself."""
        return replace(self, producer_epoch=min(self.producer_epoch + 1, MAX_EPOCH), last_producer_epoch=NO_EPOCH)

    def completed(self, now_ms: int) -> Transaction:
        """Every marker is written."""
        assert self.state in ENDING, self
        producer_id, epoch = self.producer_id, self.producer_epoch
        if self.next_producer_id != NO_PRODUCER_ID and self.client_version >= BUMPS_EPOCH_SINCE:
            producer_id, epoch = self.next_producer_id, 0
        committed = self.state is TransactionState.PREPARE_COMMIT
        return self._changed(
            state=TransactionState.COMPLETE_COMMIT if committed else TransactionState.COMPLETE_ABORT,
            producer_id=producer_id,
            producer_epoch=epoch,
            next_producer_id=NO_PRODUCER_ID,
            partitions=frozenset(),
            last_update_ms=now_ms,
        )

    def _emptied(self, timeout_ms: int, now_ms: int, **changes: int) -> Transaction:
        return self._changed(
            state=TransactionState.EMPTY,
            partitions=frozenset(),
            timeout_ms=timeout_ms,
            start_ms=NO_START,
            last_update_ms=now_ms,
            **changes,
        )

    def _changed(self, **changes: object) -> Transaction:
        return replace(self, previous_producer_id=self.producer_id, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """What is known of a transactional id now, or with `transaction` None: it is forgotten."""

    transactional_id: str
    transaction: Transaction | None
