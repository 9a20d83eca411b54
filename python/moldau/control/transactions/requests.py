"""What the transaction machine can be asked, what time may bring, and what it orders from the shell.

Requests of clients come first; a handler translates them from the wire. A request that may need a producer id has room
for one, `spare_producer_id`: the machine answers `NEEDS_PRODUCER_ID` when it is missing, and the shell asks again with
one that nobody has. So ids are taken only when they are used.
"""

from __future__ import annotations

from dataclasses import dataclass

from moldau.control.transactions.transaction import TopicPartition


@dataclass(frozen=True, slots=True)
class ProducerIdAndEpoch:
    producer_id: int
    producer_epoch: int


@dataclass(frozen=True, slots=True)
class InitProducerId:
    """A producer takes over a transactional id, or continues after an error. Answered by `Initialised`."""

    transactional_id: str
    timeout_ms: int
    expected: ProducerIdAndEpoch | None = None
    """Who the producer was, when it continues (KIP-360)."""
    spare_producer_id: int | None = None


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """Partitions become part of the transaction, which begins with the first. Answered by `Answer`."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    partitions: frozenset[TopicPartition]
    client_version: int = 0


@dataclass(frozen=True, slots=True)
class VerifyPartitions:
    """Are these partitions part of the open transaction? Answered by `Verified`."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class EndTransaction:
    """Commit or abort. Answered by `Ended` as soon as the decision is on disk, before its markers are."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    commit: bool
    client_version: int = 0
    spare_producer_id: int | None = None


@dataclass(frozen=True, slots=True)
class DescribeTransaction:
    transactional_id: str


@dataclass(frozen=True, slots=True)
class ListTransactions:
    """Filters that are empty (or negative, or None) let everything through. Answered by `Listed`."""

    producer_ids: frozenset[int] = frozenset()
    states: frozenset[str] = frozenset()
    """By Kafka's names; a name that does not exist matches nothing."""
    longer_than_ms: int = -1


@dataclass(frozen=True, slots=True)
class Loaded:
    """Every record of the partition was applied: the machine may start its timers and finish what was decided."""


@dataclass(frozen=True, slots=True)
class MarkersWritten:
    """Every partition of a transaction has been told what was decided."""

    transactional_id: str
    producer_id: int
    producer_epoch: int


# What time brings.


@dataclass(frozen=True, slots=True)
class TimeoutCheckDue:
    """Time to look for transactions that are open for too long."""


@dataclass(frozen=True, slots=True)
class AbortTimedOut:
    """One of them is to be aborted with a producer id at hand, because its epochs are used up."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    spare_producer_id: int | None = None


@dataclass(frozen=True, slots=True)
class ExpirationCheckDue:
    """Time to look for transactional ids that nobody has used for long."""


# Orders to the shell, inside of an `Order` effect.


@dataclass(frozen=True, slots=True)
class WriteMarkers:
    """Write a marker into each partition, again until it is there, and say so with `MarkersWritten`."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    commit: bool
    partitions: frozenset[TopicPartition]
    transaction_version: int


@dataclass(frozen=True, slots=True)
class RunWithProducerId:
    """Take a producer id that nobody has and hand in `request` with it."""

    request: AbortTimedOut
