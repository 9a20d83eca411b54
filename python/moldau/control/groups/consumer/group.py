"""A consumer group as its records say, and nothing else: `apply` is the only code that changes it.

Three epochs order everything. The *group epoch* goes up when members or topics change; the *assignment epoch* is the
group epoch that the target assignment was computed for; each *member epoch* is the assignment epoch that the member
has reached. The state follows from them and is stored nowhere:

    Empty         no members
    Assigning     the target assignment is older than the group
    Reconciling   some member has not reached its target
    Stable        all have

This module knows no requests. Source: `ConsumerGroup`, `ModernGroup` of Apache Kafka 4.3; KIP-848.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from moldau.control.groups.consumer import records as r
from moldau.control.groups.consumer.member import LEAVING, ConsumerMember, MemberState, Partitions, newly_told
from moldau.control.groups.records import OffsetCommitValue
from moldau.errors import ErrorCode

FIRST_EPOCH: Final = 1
NEVER: Final = -(1 << 63)
_NOBODY: Final[Mapping[int, str]] = {}


class GroupState(enum.StrEnum):
    """The names are those of ConsumerGroupDescribe and ListGroups."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


@dataclass(frozen=True, slots=True)
class ResolvedExpression:
    """The topics that a regular expression stood for when it was last looked at."""

    topics: frozenset[str]
    version: int
    """Of the cluster, see `Cluster.version`."""
    timestamp_ms: int


class ConsumerGroup:
    """The state of one group, with indices over its members that `apply` keeps true."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = FIRST_EPOCH
        self.metadata_hash = 0
        self.assignment_epoch = FIRST_EPOCH
        self.assignment_timestamp_ms = 0
        self.members: dict[str, ConsumerMember] = {}
        self.target: dict[str, Partitions] = {}
        self.resolved: dict[str, ResolvedExpression] = {}
        self.has_topic_metadata = False
        """A record of type 4 is in the log: it is taken back with the next change."""
        self.checked_version: int | None = None
        """The version of the cluster whose topics are known to have `metadata_hash`. Not durable."""
        self._static: dict[str, str] = {}
        self._owners: dict[UUID, dict[int, str]] = {}
        self._names: Counter[str] = Counter()
        self._expressions: Counter[str] = Counter()
        self._assignors: Counter[str] = Counter()
        self._classic_protocols: Counter[str] = Counter()
        self._classic_members = 0

    # Records

    def apply(self, record: r.ConsumerRecord) -> None:
        """Take in one record. That of type 3 without a value ends the group; the caller forgets it then."""
        self._appliers[type(record)](self, record)

    def _set_epoch(self, record: r.GroupEpochRecord) -> None:
        if record.value is not None:
            self.epoch, self.metadata_hash = record.value.epoch, record.value.metadata_hash

    def _set_topic_metadata(self, record: r.TopicMetadataRecord) -> None:
        self.has_topic_metadata = record.value is not None

    def _set_member(self, record: r.MemberRecord) -> None:
        member_id, told = record.member_id, record.value
        if told is None:
            self._replace(member_id, None)
        else:
            known = self.members.get(member_id)
            self._replace(member_id, newly_told(member_id, told) if known is None else known.told(told))

    def _set_target_epoch(self, record: r.TargetEpochRecord) -> None:
        target = record.value
        self.assignment_epoch = LEAVING if target is None else target.assignment_epoch
        self.assignment_timestamp_ms = 0 if target is None else target.assignment_timestamp

    def _set_target(self, record: r.TargetMemberRecord) -> None:
        if record.value is None:
            self.target.pop(record.member_id, None)
        else:
            topics = record.value.topic_partitions
            self.target[record.member_id] = {each.topic_id: frozenset(each.partitions) for each in topics}

    def _set_place(self, record: r.CurrentMemberRecord) -> None:
        moved, member = record.value, self.members.get(record.member_id)
        if moved is None:
            if member is not None:
                self._move(member, member.at(LEAVING, LEAVING, member.state, {}, {}))
        elif member is None:
            self._replace(record.member_id, ConsumerMember(record.member_id).moved(moved))
        else:
            self._move(member, member.moved(moved))

    def _set_expression(self, record: r.RegularExpressionRecord) -> None:
        found = record.value
        if found is None:
            self.resolved.pop(record.expression, None)
        else:
            topics = frozenset(found.topics)
            self.resolved[record.expression] = ResolvedExpression(topics, found.version, found.timestamp)

    _appliers: ClassVar[Mapping[type[r.ConsumerRecord], Callable[[ConsumerGroup, Any], None]]] = {
        r.GroupEpochRecord: _set_epoch,
        r.TopicMetadataRecord: _set_topic_metadata,
        r.MemberRecord: _set_member,
        r.TargetEpochRecord: _set_target_epoch,
        r.TargetMemberRecord: _set_target,
        r.CurrentMemberRecord: _set_place,
        r.RegularExpressionRecord: _set_expression,
    }

    def tombstones(self, *, renamed: Mapping[str, str] | None = None) -> Iterator[r.ConsumerRecord]:
        """The records that end the group. `renamed` says which members have another id since the last record."""
        ids = [(renamed or {}).get(member_id, member_id) for member_id in self.members]
        yield from (r.CurrentMemberRecord(self.group_id, member_id, None) for member_id in ids)
        yield from (r.TargetMemberRecord(self.group_id, member_id, None) for member_id in ids)
        yield r.TargetEpochRecord(self.group_id, None)
        yield from (r.MemberRecord(self.group_id, member_id, None) for member_id in ids)
        yield from (r.RegularExpressionRecord(self.group_id, expression, None) for expression in self.resolved)
        yield r.TopicMetadataRecord(self.group_id, None)
        yield r.GroupEpochRecord(self.group_id, None)

    def _replace(self, member_id: str, member: ConsumerMember | None) -> None:
        former = self.members.pop(member_id, None) if member is None else self.members.get(member_id)
        if former is not None:
            self._count(former, -1)
            self._release(former)
            if former.instance_id is not None and self._static.get(former.instance_id) == member_id:
                del self._static[former.instance_id]
        if member is None:
            return
        self.members[member_id] = member
        self._count(member, 1)
        self._hold(member)
        if member.instance_id is not None:
            self._static[member.instance_id] = member_id

    def _move(self, member: ConsumerMember, moved: ConsumerMember) -> None:
        """A member has said nothing new, but is in another place."""
        self._release(member)
        self.members[member.member_id] = moved
        self._hold(moved)

    def _release(self, member: ConsumerMember) -> None:
        for owned in (member.assigned, member.pending_revocation):
            for topic_id, partitions in owned.items():
                owners = self._owners.get(topic_id, {})
                for partition in partitions:
                    if owners.get(partition) == member.member_id:
                        del owners[partition]

    def _hold(self, member: ConsumerMember) -> None:
        for owned in (member.assigned, member.pending_revocation):
            for topic_id, partitions in owned.items():
                self._owners.setdefault(topic_id, {}).update(dict.fromkeys(partitions, member.member_id))

    def _count(self, member: ConsumerMember, by: int) -> None:
        _add(self._names, member.topic_names, by)
        if member.topic_regex:
            _add(self._expressions, (member.topic_regex,), by)
        if member.assignor:
            _add(self._assignors, (member.assignor,), by)
        if member.classic is not None:
            _add(self._classic_protocols, {protocol.name for protocol in member.classic_protocols}, by)
            self._classic_members += by

    # Members

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        member_id = None if instance_id is None else self._static.get(instance_id)
        return None if member_id is None else self.members[member_id]

    def owners_of(self, topic_id: UUID) -> Mapping[int, str]:
        """By partition of a topic, the member that holds it, or has yet to give it up."""
        return self._owners.get(topic_id, _NOBODY)

    def owner_of(self, topic_id: UUID, partition: int) -> str | None:
        """The member that holds this partition, or has yet to give it up."""
        return self._owners.get(topic_id, {}).get(partition)

    def target_of(self, member_id: str) -> Partitions:
        return self.target.get(member_id, {})

    def subscribers_of(self, expression: str) -> int:
        return self._expressions[expression]

    @property
    def expressions(self) -> Mapping[str, int]:
        """Every regular expression that a member is subscribed to, with the number of these members."""
        return self._expressions

    @property
    def preferred_assignors(self) -> Mapping[str, int]:
        return self._assignors

    def all_use_classic_protocol_but(self, excepted: Iterable[ConsumerMember]) -> bool:
        """Whether there would be only classic members left without these."""
        excepted = tuple(excepted)
        classic = self._classic_members - sum(member.uses_classic_protocol for member in excepted)
        return classic == len(self.members) - len(excepted)

    def supports_classic(self, protocol_names: Iterable[str]) -> bool:
        """Whether one of these is a protocol of every classic member."""
        return any(self._classic_protocols[name] == self._classic_members for name in protocol_names)

    def waits_for_unreleased(self, member: ConsumerMember) -> bool:
        """Whether something of the member's target is still in the hands of another."""
        if member.state is not MemberState.UNRELEASED_PARTITIONS:
            return False
        return any(
            partition not in member.assigned.get(topic_id, {}) and self.owner_of(topic_id, partition) is not None
            for topic_id, partitions in self.target_of(member.member_id).items()
            for partition in partitions
        )

    # Subscriptions

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """The names this member is subscribed to; an expression that is not resolved yet stands for none."""
        resolved = self.resolved.get(member.topic_regex) if member.topic_regex else None
        return member.topic_names if resolved is None else member.topic_names | resolved.topics

    def topic_names(self, *, without: Iterable[ConsumerMember] = (), but: ConsumerMember | None = None) -> set[str]:
        """The names that the group would be subscribed to without these members, but with `but`."""
        names, expressions = Counter(self._names), Counter(self._expressions)
        for member in without:
            _add(names, member.topic_names, -1)
            _add(expressions, (member.topic_regex,) if member.topic_regex else (), -1)
        wanted = set(names) | (but.topic_names if but is not None else frozenset())
        if but is not None and but.topic_regex:
            expressions[but.topic_regex] += 1
        return wanted.union(*(found.topics for name, found in self.resolved.items() if name in expressions))

    # State

    @property
    def state(self) -> GroupState:
        if not self.members:
            return GroupState.EMPTY
        if self.epoch > self.assignment_epoch:
            return GroupState.ASSIGNING
        if all(member.is_reconciled_to(self.assignment_epoch) for member in self.members.values()):
            return GroupState.STABLE
        return GroupState.RECONCILING

    @property
    def is_empty(self) -> bool:
        return not self.members

    # Offsets (the part of a group that `offsets` asks for, whatever the protocol of the group)

    def check_offset_commit(
        self,
        member_id: str,
        member_epoch: int,
        partitions: Iterable[tuple[UUID, int]],
        *,
        knows_member_epochs: bool,
    ) -> ErrorCode:
        """Whether this member, or no member at all, may commit the offsets of these partitions.

        A member may be behind: its commit of a partition counts when it was given that partition in the epoch that it
        names, or before (KIP-1251). `knows_member_epochs`: the request is of a version that a member of this protocol
        may use.
        """
        if member_epoch < 0 and self.is_empty:
            return ErrorCode.NONE
        member = self.members.get(member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not member.uses_classic_protocol and not knows_member_epochs:
            return ErrorCode.UNSUPPORTED_VERSION
        if member_epoch == member.member_epoch:
            return ErrorCode.NONE
        given = (member.epoch_of(topic_id, partition) for topic_id, partition in partitions)
        if member_epoch > member.member_epoch or any(epoch is None or member_epoch < epoch for epoch in given):
            return _stale(member)
        return ErrorCode.NONE

    def check_transactional_commit(
        self,
        member_id: str,
        group_instance_id: str | None,
        member_epoch: int,
        partitions: Iterable[tuple[UUID, int]],
    ) -> ErrorCode:
        """The same for a commit in a transaction, which older producers send without saying for which member."""
        if member_epoch < 0 and not member_id and group_instance_id is None:
            return ErrorCode.NONE
        error = self.check_offset_commit(member_id, member_epoch, partitions, knows_member_epochs=True)
        return ErrorCode.ILLEGAL_GENERATION if error is ErrorCode.STALE_MEMBER_EPOCH else error

    def check_offset_fetch(self, member_id: str | None, member_epoch: int) -> ErrorCode:
        if member_id is None and member_epoch < 0:
            return ErrorCode.NONE
        member = self.members.get(member_id or "")
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if member_epoch == member.member_epoch else _stale(member)

    def check_offset_delete(self) -> ErrorCode:
        return ErrorCode.NONE

    def is_subscribed_to(self, topic: str) -> bool:
        return topic in self._names or any(topic in found.topics for found in self.resolved.values())

    def retention_starts_ms(self, committed: OffsetCommitValue) -> int | None:
        return committed.commit_timestamp


def _stale(member: ConsumerMember) -> ErrorCode:
    return ErrorCode.ILLEGAL_GENERATION if member.uses_classic_protocol else ErrorCode.STALE_MEMBER_EPOCH


def _add(counter: Counter[str], names: Iterable[str], by: int) -> None:
    for name in names:
        count = counter.get(name, 0) + by
        if count:
            counter[name] = count
        else:
            del counter[name]
