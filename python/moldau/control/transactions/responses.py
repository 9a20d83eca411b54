"""What the transaction machine answers. A handler puts it on the wire as the version at hand wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moldau.control.transactions.transaction import NO_EPOCH, NO_PRODUCER_ID, TopicPartition, Transaction
from moldau.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Initialised:
    error: ErrorCode
    producer_id: int = NO_PRODUCER_ID
    producer_epoch: int = NO_EPOCH


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes, or why not."""

    error: ErrorCode


@dataclass(frozen=True, slots=True)
class Verified:
    error: ErrorCode
    """When this is not NONE it holds for every partition."""
    missing: frozenset[TopicPartition] = frozenset()
    """Partitions that are not part of the transaction."""


@dataclass(frozen=True, slots=True)
class Ended:
    error: ErrorCode
    producer_id: int = NO_PRODUCER_ID
    producer_epoch: int = NO_EPOCH
    """What the producer goes on with; -1 in the first transaction protocol, where nothing changes."""


@dataclass(frozen=True, slots=True)
class Described:
    error: ErrorCode
    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class ListedTransaction:
    transactional_id: str
    producer_id: int
    state: str


@dataclass(frozen=True, slots=True)
class Listed:
    error: ErrorCode
    transactions: tuple[ListedTransaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to what no client asked: a timer, written markers, the end of loading."""


class NeedsProducerId:
    """Ask again with a `spare_producer_id`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NEEDS_PRODUCER_ID"


NEEDS_PRODUCER_ID: Final = NeedsProducerId()

TransactionResponse = Initialised | Answer | Verified | Ended | Described | Listed | Done | NeedsProducerId
