"""What a transaction asks its coordinators, and how each question looks in every version of the protocol.

A request knows its fields and the versions that the transaction's protocol allows. No decisions and no sockets here.

Source: the Kafka protocol guide; KIP-98, KIP-360 (InitProducerId of somebody who goes on), KIP-447 (members), KIP-890.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from moldau.client.membership.requests import Commit, GroupMetadata
from moldau.client.protocol import coordinators
from moldau.client.protocol.coordinators import Coordinates
from moldau.client.protocol.partitions import Partition, by_topic
from moldau.client.protocol.questions import (
    ADD_OFFSETS_TO_TXN,
    ADD_PARTITIONS_TO_TXN,
    END_TXN,
    FIND_COORDINATOR,
    INIT_PRODUCER_ID,
    TXN_OFFSET_COMMIT,
    Values,
)
from moldau.errors import ErrorCode

Offsets = Mapping[Partition, Commit]
Versions = tuple[int, int]

TRANSACTION_VERSION: Final = "transaction.version"
"""The feature whose level says which protocol a cluster speaks."""
SECOND_PROTOCOL: Final = 2
ANY_VERSION: Final = (0, 2**15 - 1)
FIRST_PRODUCE: Final = (0, 11)
SECOND_PRODUCE: Final = (12, 2**15 - 1)
"""From 12 on the leader adds its partitions to the transaction by itself."""
_FIRST: Final = (0, 4)
_SECOND: Final = (5, 2**15 - 1)
"""Of TxnOffsetCommit and of EndTxn, in either protocol."""
_GOES_ON_SINCE: Final = 3
CONCURRENT_BACKOFF_S: Final = 0.02
"""The markers of the last transaction are on their way: that is over sooner than anything else that passes."""


class Identity(NamedTuple):
    """Who an idempotent producer is."""

    producer_id: int
    epoch: int


NOBODY: Final = Identity(-1, -1)


@dataclass(frozen=True, slots=True)
class FindCoordinator:
    """Who coordinates this?"""

    kind: Coordinates
    key: str
    api_key = FIND_COORDINATOR

    @property
    def versions(self) -> Versions:
        """Before version 1 there were only those of groups."""
        return (0 if self.kind is Coordinates.GROUP else 1, ANY_VERSION[1])

    def values(self, version: int) -> Values:
        """The fields."""
        return coordinators.question(version, self.kind, self.key)


@dataclass(frozen=True, slots=True)
class InitProducerId:
    """Who am I? Whoever was it before is not any more. `identity` is who we were, to go on with the next epoch."""

    transactional_id: str
    timeout_ms: int
    identity: Identity = NOBODY
    api_key = INIT_PRODUCER_ID

    @property
    def versions(self) -> Versions:
        """Before version 3 there was no going on."""
        return ANY_VERSION if self.identity == NOBODY else (_GOES_ON_SINCE, ANY_VERSION[1])

    def values(self, version: int) -> Values:
        """The fields."""
        return {
            "transactional_id": self.transactional_id,
            "transaction_timeout": self.timeout_ms,
            "producer_id": self.identity.producer_id,
            "producer_epoch": self.identity.epoch,
        }


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """These are part of the transaction; in the first protocol, before anything is written to them."""

    transactional_id: str
    identity: Identity
    partitions: tuple[Partition, ...]
    api_key = ADD_PARTITIONS_TO_TXN
    versions = ANY_VERSION

    def values(self, version: int) -> Values:
        """The fields."""
        topics = by_topic(self.partitions)
        return {
            "v3_and_below_transactional_id": self.transactional_id,
            "v3_and_below_producer_id": self.identity.producer_id,
            "v3_and_below_producer_epoch": self.identity.epoch,
            "v3_and_below_topics": [{"name": name, "partitions": numbers} for name, numbers in topics.items()],
        }


@dataclass(frozen=True, slots=True)
class AddOffsets:
    """Offsets of a group will be; in the first protocol, before they are committed."""

    transactional_id: str
    identity: Identity
    group_id: str
    api_key = ADD_OFFSETS_TO_TXN
    versions = ANY_VERSION

    def values(self, version: int) -> Values:
        """The fields."""
        return {
            "transactional_id": self.transactional_id,
            "producer_id": self.identity.producer_id,
            "producer_epoch": self.identity.epoch,
            "group_id": self.group_id,
        }


@dataclass(frozen=True, slots=True)
class CommitOffsets:
    """Offsets of a group, which count when the transaction is committed. The group's coordinator is asked."""

    transactional_id: str
    identity: Identity
    group: GroupMetadata
    offsets: Offsets
    second_protocol: bool
    api_key = TXN_OFFSET_COMMIT

    @property
    def versions(self) -> Versions:
        """From version 5 on they add themselves to the transaction."""
        return _SECOND if self.second_protocol else _FIRST

    def values(self, version: int) -> Values:
        """The fields."""
        rows = (
            (
                topic,
                {
                    "partition_index": partition,
                    "committed_offset": one.offset,
                    "committed_leader_epoch": one.leader_epoch,
                    "committed_metadata": one.metadata,
                },
            )
            for (topic, partition), one in self.offsets.items()
        )
        return {
            "transactional_id": self.transactional_id,
            "group_id": self.group.group_id,
            "producer_id": self.identity.producer_id,
            "producer_epoch": self.identity.epoch,
            "generation_id": self.group.generation_id,
            "member_id": self.group.member_id,
            "group_instance_id": self.group.group_instance_id,
            "topics": [{"name": name, "partitions": ones} for name, ones in by_topic(rows).items()],
        }


@dataclass(frozen=True, slots=True)
class EndTransaction:
    """Commit it all, or nothing of it."""

    transactional_id: str
    identity: Identity
    commit: bool
    second_protocol: bool
    api_key = END_TXN

    @property
    def versions(self) -> Versions:
        """From version 5 on the answer has who the producer is in the next transaction."""
        return _SECOND if self.second_protocol else _FIRST

    def values(self, version: int) -> Values:
        """The fields."""
        return {
            "transactional_id": self.transactional_id,
            "producer_id": self.identity.producer_id,
            "producer_epoch": self.identity.epoch,
            "committed": self.commit,
        }


TransactionRequest = FindCoordinator | InitProducerId | AddPartitions | AddOffsets | CommitOffsets | EndTransaction


def codes_of(request: TransactionRequest, answer: Any) -> set[ErrorCode]:
    """Every error in an answer; NONE alone if there is no error."""
    found = set(_codes(request, answer)) - {ErrorCode.NONE}
    return found or {ErrorCode.NONE}


def _codes(request: TransactionRequest, answer: Any) -> Iterator[ErrorCode]:
    if isinstance(request, AddPartitions):
        for topic in answer.results_by_topic_v3_and_below:
            for one in topic.results_by_partition:
                yield ErrorCode.of(int(one.partition_error_code))
    elif isinstance(request, CommitOffsets):
        for topic in answer.topics:
            for one in topic.partitions:
                yield ErrorCode.of(int(one.error_code))
    elif isinstance(request, FindCoordinator):
        yield coordinators.answer_of(answer).error
    else:
        yield ErrorCode.of(int(answer.error_code))
