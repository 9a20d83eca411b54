"""A member of a consumer group: what it has said about itself, and how far it has come.

A member is a frozen value; a record replaces it. It moves between three states:

    STABLE                 it owns what its target says, as far as its epoch goes
    UNREVOKED_PARTITIONS   it was told to give partitions up, and has not said yet that it did; its epoch waits for it
    UNRELEASED_PARTITIONS  it is in the target's epoch, and waits for partitions that others still hold

Source: `ConsumerGroupMember` of Apache Kafka 4.3, KIP-848.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field
from functools import lru_cache
from typing import Final
from uuid import UUID

from moldau.control.groups.consumer.records import (
    ClassicMetadata,
    ClassicProtocol,
    CurrentMemberRecord,
    CurrentMemberValue,
    MemberRecord,
    MemberValue,
    OwnedPartitionsValue,
)
from moldau.control.light import light_dataclass

JOINING: Final = 0
LEAVING: Final = -1
LEAVING_FOR_A_WHILE: Final = -2
"""Member epochs that are words: a member joins, leaves, or (a static one) says that it will be back."""

FEW_NAMES: Final = 8
"""So many topics of a subscription are remembered as a set."""

Partitions = Mapping[UUID, AbstractSet[int]]
Owned = Mapping[UUID, Mapping[int, int]]
"""Topic to partition to the epoch in which the member was given it: an older epoch may not commit its offset."""


class MemberState(enum.IntEnum):
    """The numbers are those of the record."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2
    UNKNOWN = 127
    """A state of a later version of Kafka."""


_STATES: Final[Mapping[int, MemberState]] = {state.value: state for state in MemberState}


@light_dataclass(frozen=True, slots=True)
class ConsumerMember:
    """One member. The defaults are those of a member that nobody knows yet."""

    member_id: str
    member_epoch: int = 0
    previous_member_epoch: int = -1
    state: MemberState = MemberState.STABLE
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    client_id: str = ""
    client_host: str = ""
    topic_names: frozenset[str] = frozenset()
    topic_regex: str | None = ""
    assignor: str | None = None
    assigned: Owned = field(default_factory=dict)
    pending_revocation: Owned = field(default_factory=dict)
    classic: ClassicMetadata | None = None
    """Set for a member that uses the classic protocol."""

    @property
    def uses_classic_protocol(self) -> bool:
        return self.classic is not None

    @property
    def classic_protocols(self) -> tuple[ClassicProtocol, ...]:
        return () if self.classic is None else self.classic.protocols

    def is_reconciled_to(self, assignment_epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.member_epoch == assignment_epoch

    def epoch_of(self, topic_id: UUID, partition: int) -> int | None:
        """The epoch in which it was given this partition; None when it does not hold it."""
        for owned in (self.assigned, self.pending_revocation):
            epoch = owned.get(topic_id, {}).get(partition)
            if epoch is not None:
                return epoch
        return None

    # Records

    def to_record(self, group_id: str) -> MemberRecord:
        """What it has said about itself."""
        return MemberRecord(group_id, self.member_id, self.said())

    def said(self) -> MemberValue:
        return MemberValue(
            instance_id=self.instance_id,
            rack_id=self.rack_id,
            client_id=self.client_id,
            client_host=self.client_host,
            subscribed_topic_names=tuple(sorted(self.topic_names)),
            subscribed_topic_regex=self.topic_regex,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            server_assignor=self.assignor,
            classic=self.classic,
        )

    def to_current_record(self, group_id: str) -> CurrentMemberRecord:
        """How far it has come."""
        value = CurrentMemberValue(
            member_epoch=self.member_epoch,
            previous_member_epoch=self.previous_member_epoch,
            state=self.state,
            assigned_partitions=_to_values(self.assigned),
            partitions_pending_revocation=_to_values(self.pending_revocation),
        )
        return CurrentMemberRecord(group_id, self.member_id, value)

    def told(self, value: MemberValue) -> ConsumerMember:
        return self.saying(*_told(value), value.classic)

    def moved(self, value: CurrentMemberValue) -> ConsumerMember:
        return self.at(
            value.member_epoch,
            value.previous_member_epoch,
            _STATES.get(value.state, MemberState.UNKNOWN),
            _from_values(value.assigned_partitions, value.member_epoch),
            _from_values(value.partitions_pending_revocation, value.member_epoch),
        )

    def saying(
        self,
        instance_id: str | None,
        rack_id: str | None,
        rebalance_timeout_ms: int,
        client_id: str,
        client_host: str,
        topic_names: frozenset[str],
        topic_regex: str | None,
        assignor: str | None,
        classic: ClassicMetadata | None,
    ) -> ConsumerMember:
        """The same member, in the same place, with something else to say of itself."""
        # As in `at`: every member that joins comes by here twice.
        return ConsumerMember(
            self.member_id,
            self.member_epoch,
            self.previous_member_epoch,
            self.state,
            instance_id,
            rack_id,
            rebalance_timeout_ms,
            client_id,
            client_host,
            topic_names,
            topic_regex,
            assignor,
            self.assigned,
            self.pending_revocation,
            classic,
        )

    def at(self, epoch: int, previous: int, state: MemberState, assigned: Owned, revoked: Owned) -> ConsumerMember:
        """The same member in another place."""
        # Every step of every member comes by here twice: `dataclasses.replace` takes three times as long.
        return ConsumerMember(
            self.member_id,
            epoch,
            previous,
            state,
            self.instance_id,
            self.rack_id,
            self.rebalance_timeout_ms,
            self.client_id,
            self.client_host,
            self.topic_names,
            self.topic_regex,
            self.assignor,
            assigned,
            revoked,
            self.classic,
        )


def set_of(names: tuple[str, ...]) -> frozenset[str]:
    """Members of a group mostly read the same few topics: that is one set, however many they are."""
    return _shared_set_of(names) if len(names) <= FEW_NAMES else frozenset(names)


@lru_cache(maxsize=1024)
def _shared_set_of(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


def newly_told(member_id: str, value: MemberValue) -> ConsumerMember:
    """`told` for a member of whom nobody knows more than its id."""
    return ConsumerMember(member_id, JOINING, -1, MemberState.STABLE, *_told(value), classic=value.classic)


def _told(value: MemberValue) -> tuple[str | None, str | None, int, str, str, frozenset[str], str | None, str | None]:
    """What a record says of a member, in the order of `ConsumerMember`."""
    return (
        value.instance_id,
        value.rack_id,
        value.rebalance_timeout_ms,
        value.client_id,
        value.client_host,
        set_of(value.subscribed_topic_names),
        value.subscribed_topic_regex,
        value.server_assignor,
    )


def count_of(partitions: Mapping[UUID, AbstractSet[int] | Mapping[int, int]]) -> int:
    return sum(len(each) for each in partitions.values())


def _to_values(owned: Owned) -> tuple[OwnedPartitionsValue, ...]:
    return tuple([_to_value(topic_id, each) for topic_id, each in sorted(owned.items())]) if owned else ()


def _to_value(topic_id: UUID, epochs: Mapping[int, int]) -> OwnedPartitionsValue:
    partitions = tuple(sorted(epochs))
    return OwnedPartitionsValue(topic_id, partitions, tuple(map(epochs.__getitem__, partitions)))


def _from_values(values: tuple[OwnedPartitionsValue, ...], member_epoch: int) -> Owned:
    owned: dict[UUID, dict[int, int]] = {}
    for each in values:
        # Kafka before 4.2 wrote no epochs; then the member's own counts, or 0 when that is the -2 of one who is away.
        epochs = each.assignment_epochs
        if epochs is None or len(epochs) != len(each.partitions):
            epochs = (max(member_epoch, 0),) * len(each.partitions)
        owned[each.topic_id] = dict(zip(each.partitions, epochs, strict=True))
    return owned
