"""A classic group as it is between two requests: its state, its members, and who of them waits for an answer.

            join of the first member
    Empty ────────────────────────────▶ PreparingRebalance ◀──────────────────────────┐
      ▲                                   │ all joined, or time is up                  │ join, leave, expiry
      └── nobody joined ──────────────────┤                                            │
                                          ▼                    leader's SyncGroup      │
                                 CompletingRebalance ────────────────────────────▶ Stable

Only what `to_record` writes survives the node: generation, protocol, leader, members with subscription and
assignment. It is written when a generation becomes Stable or Empty, and when a static member changes its member id.
Everything else here (who is parked, who has yet to sync, deadlines) is rebuilt by the clients, which join again when
they are not answered. So a rebalance that the node did not survive has never happened.

This module knows no requests and orders no effects: `membership` and `rebalance` do.
Source: ClassicGroup of Apache Kafka 4.3; KIP-345 (static membership), KIP-394 (member ids), KIP-211 (expiry).
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from moldau.control.groups.classic.subscription import CONSUMER_PROTOCOL_TYPE, subscribed_topics
from moldau.control.groups.records import GroupMetadataValue, GroupRecord, MemberMetadata, OffsetCommitValue
from moldau.control.groups.requests import Protocol
from moldau.control.groups.responses import JoinedMember
from moldau.control.machine import Token
from moldau.errors import ErrorCode


class GroupState(enum.StrEnum):
    """The names are those of DescribeGroups and ListGroups."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"
    """Never held: it is what DescribeGroups says about a group that does not exist."""


MAY_FOLLOW = {
    GroupState.EMPTY: {GroupState.PREPARING_REBALANCE},
    GroupState.PREPARING_REBALANCE: {GroupState.EMPTY, GroupState.COMPLETING_REBALANCE, GroupState.STABLE},
    GroupState.COMPLETING_REBALANCE: {GroupState.PREPARING_REBALANCE},
    GroupState.STABLE: {GroupState.COMPLETING_REBALANCE},
}
"""Which states a state may follow."""


@dataclass(slots=True, eq=False)
class Member:
    """One member; `join_token` and `sync_token` name its parked requests and are changed by the group alone."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: tuple[Protocol, ...]
    assignment: bytes = b""
    join_token: Token | None = None
    sync_token: Token | None = None
    is_new: bool = False
    """It has never been answered a generation, so it cannot send heartbeats yet."""
    session_deadline_ms: int = 0
    timer_at_ms: int | None = None
    """When its session timer fires; the deadline may have moved on by then."""

    @property
    def is_static(self) -> bool:
        return self.group_instance_id is not None

    @property
    def heartbeat_is_satisfied(self) -> bool:
        """A parked request stands for a heartbeat, but not from a member that could not send one."""
        return not self.is_new and (self.join_token is not None or self.sync_token is not None)

    def metadata(self, protocol_name: str | None) -> bytes:
        return next((protocol.metadata for protocol in self.protocols if protocol.name == protocol_name), b"")


class ClassicGroup:
    """The state of one group. Its methods keep the indices true; they take no decision."""

    def __init__(self, group_id: str, wall_ms: int, round_: int) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.previous_state = GroupState.DEAD
        self.state_timestamp_ms = wall_ms
        """When the state was entered; -1 when an old record does not say."""
        self.generation_id = 0
        self.protocol_type: str | None = None
        """None for a group that only stores offsets: its consumers assign their partitions themselves."""
        self.protocol_name: str | None = None
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.pending_joins: dict[str, int] = {}
        """Member ids that were given out and not used yet (KIP-394), with the time at which they are forgotten."""
        self.pending_syncs: set[str] = set()
        self.new_member_added = False
        self.round = round_
        """Number of the current rebalance; what a timer was set for in an earlier one is void."""
        self.subscribed_topics: frozenset[str] | None = None
        self.changes = 0
        """Goes up with everything that may change what a heartbeat of a member is answered."""
        # Indices over `members`, asked for at every request of a group with thousands of them.
        self._static: dict[str, str] = {}
        self._supported: Counter[str] = Counter()
        self._joins_parked = 0

    # Records

    @classmethod
    def from_record(cls, group_id: str, value: GroupMetadataValue, round_: int) -> ClassicGroup:
        """The group as the last record about it says."""
        group = cls(group_id, value.current_state_timestamp, round_)
        group.state = GroupState.STABLE if value.members else GroupState.EMPTY
        group.generation_id = value.generation
        group.protocol_type = value.protocol_type or None
        group.protocol_name = value.protocol
        group.leader = value.leader
        for stored in value.members:
            subscription = Protocol(value.protocol or "", stored.subscription)
            timeout_ms = stored.session_timeout if stored.rebalance_timeout == -1 else stored.rebalance_timeout
            member = Member(
                stored.member_id,
                stored.group_instance_id,
                stored.client_id,
                stored.client_host,
                rebalance_timeout_ms=timeout_ms,
                session_timeout_ms=stored.session_timeout,
                protocols=(subscription,),
                assignment=stored.assignment,
            )
            group.add(member, value.protocol_type)
        group._learn_topics()
        return group

    @classmethod
    def stable(
        cls,
        group_id: str,
        generation_id: int,
        protocol_type: str,
        members: Iterable[Member],
        wall_ms: int,
        round_: int,
    ) -> ClassicGroup:
        """A group that comes into being in the middle of its life: what a consumer group becomes."""
        group = cls(group_id, wall_ms, round_)
        for member in members:
            group.add(member, protocol_type)
        group.state = GroupState.STABLE
        group.generation_id = generation_id
        group.protocol_name = group.select_protocol()
        group._learn_topics()
        return group

    def to_record(self, assignments: dict[str, bytes]) -> GroupRecord:
        """What must survive the node, with these assignments."""
        members = tuple(
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout=member.rebalance_timeout_ms,
                session_timeout=member.session_timeout_ms,
                subscription=member.metadata(self.protocol_name),
                assignment=assignments.get(member.member_id, b""),
            )
            for member in self.members.values()
        )
        return GroupRecord(
            self.group_id,
            GroupMetadataValue(
                protocol_type=self.protocol_type or "",
                generation=self.generation_id,
                protocol=self.protocol_name,
                leader=self.leader,
                current_state_timestamp=self.state_timestamp_ms,
                members=members,
            ),
        )

    # Members

    @property
    def joins_parked(self) -> int:
        return self._joins_parked

    @property
    def all_joined(self) -> bool:
        """Every member waits at the barrier, and nobody was told to come back who has not."""
        return self._joins_parked == len(self.members) and not self.pending_joins

    def static_member_id(self, group_instance_id: str) -> str | None:
        return self._static.get(group_instance_id)

    def add(self, member: Member, protocol_type: str) -> None:
        if not self.members:
            self.protocol_type = protocol_type
        self.changes += 1
        assert self.protocol_type == protocol_type, f"{self.group_id}: {protocol_type} in a {self.protocol_type} group"
        assert member.member_id not in self.members, f"{self.group_id}: {member.member_id} is a member already"
        if member.group_instance_id is not None:
            assert member.group_instance_id not in self._static, f"{member.group_instance_id} is a member already"
            self._static[member.group_instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id
        self.members[member.member_id] = member
        self._supported.update({protocol.name for protocol in member.protocols})
        self._joins_parked += member.join_token is not None
        self.pending_joins.pop(member.member_id, None)

    def remove(self, member_id: str) -> Member | None:
        """Forget a member, or a member id that was only given out. Its parked requests are the caller's to answer."""
        member = self.members.pop(member_id, None)
        if member is not None:
            self.changes += 1
            self._supported.subtract({protocol.name for protocol in member.protocols})
            self._joins_parked -= member.join_token is not None
            if member.group_instance_id is not None:
                del self._static[member.group_instance_id]
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.pending_joins.pop(member_id, None)
        self.pending_syncs.discard(member_id)
        return member

    def replace_static(self, group_instance_id: str, new_member_id: str) -> tuple[Member, Member]:
        """The same member under a new member id, after a restart. Returns the old one and the new one."""
        old_member_id = self._static[group_instance_id]
        was_leader = self.leader == old_member_id
        old = self.remove(old_member_id)
        assert old is not None
        new = Member(
            new_member_id,
            group_instance_id,
            old.client_id,
            old.client_host,
            rebalance_timeout_ms=old.rebalance_timeout_ms,
            session_timeout_ms=old.session_timeout_ms,
            protocols=old.protocols,
            assignment=old.assignment,
        )
        assert self.protocol_type is not None
        self.add(new, self.protocol_type)
        if was_leader:
            self.leader = new_member_id
        return old, new

    def update(
        self, member: Member, protocols: tuple[Protocol, ...], rebalance_timeout_ms: int, session_timeout_ms: int
    ) -> None:
        self.changes += 1
        self._supported.subtract({protocol.name for protocol in member.protocols})
        self._supported.update({protocol.name for protocol in protocols})
        member.protocols = protocols
        member.rebalance_timeout_ms = rebalance_timeout_ms
        member.session_timeout_ms = session_timeout_ms

    def seen(self, seen_ms: Mapping[str, int]) -> None:
        """Members have shown themselves at these times: nobody's session ends before its timeout from then."""
        for member_id, at_ms in seen_ms.items():
            member = self.members.get(member_id)
            if member is not None:
                deadline_ms = at_ms + member.session_timeout_ms
                member.session_deadline_ms = max(member.session_deadline_ms, deadline_ms)

    def park_join(self, member: Member, token: Token) -> Token | None:
        """Keep `token` until the round is complete. Returns the token it replaces, which must be answered."""
        replaced, member.join_token = member.join_token, token
        self._joins_parked += replaced is None
        return replaced

    def take_join(self, member: Member) -> Token | None:
        token, member.join_token = member.join_token, None
        self._joins_parked -= token is not None
        return token

    def identify(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """Whether this is a member, and if it is static, the latest of its name."""
        if group_instance_id is not None:
            current = self._static.get(group_instance_id)
            if current is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if current != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    # Protocols and generations

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def supports(self, protocol_type: str, protocols: tuple[Protocol, ...]) -> bool:
        """Whether a member with these protocols can be in one generation with those who are there."""
        if self.state is GroupState.EMPTY:
            return bool(protocol_type and protocols)
        size = len(self.members)
        return self.protocol_type == protocol_type and any(
            self._supported[protocol.name] == size for protocol in protocols
        )

    def select_protocol(self) -> str:
        """The protocol that most members like best among those that all of them have."""
        size = len(self.members)
        votes = Counter(
            next(protocol.name for protocol in member.protocols if self._supported[protocol.name] == size)
            for member in self.members.values()
        )
        return votes.most_common(1)[0][0]

    def elect_joined_leader(self) -> bool:
        """Make sure that the leader is one who has joined. False when nobody has."""
        if self.leader is None:
            return False
        if self.members[self.leader].join_token is not None:
            return True
        joined = (member.member_id for member in self.members.values() if member.join_token is not None)
        elected = next(joined, None)
        if elected is None:
            return False
        self.leader = elected
        return True

    def transition(self, state: GroupState, wall_ms: int) -> None:
        assert self.state in MAY_FOLLOW[state], f"{self.group_id}: {state} does not follow {self.state}"
        self.changes += 1
        self.previous_state, self.state = self.state, state
        self.state_timestamp_ms = wall_ms

    def start_generation(self, wall_ms: int) -> None:
        self.generation_id += 1
        self.pending_syncs.clear()
        self.protocol_name = self.select_protocol() if self.members else None
        self._learn_topics()
        self.transition(GroupState.COMPLETING_REBALANCE if self.members else GroupState.EMPTY, wall_ms)

    def joined_members(self) -> tuple[JoinedMember, ...]:
        """What the leader needs to assign."""
        return tuple(
            JoinedMember(member.member_id, member.group_instance_id, member.metadata(self.protocol_name))
            for member in self.members.values()
        )

    # Offsets (the part of a group that `offsets` asks for, whatever the protocol of the group)

    @property
    def uses_consumer_protocol(self) -> bool:
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    @property
    def is_empty(self) -> bool:
        return self.state is GroupState.EMPTY

    def check_offset_commit(self, member_id: str, group_instance_id: str | None, generation_id: int) -> ErrorCode:
        """Whether this member, or no member at all, may commit now."""
        if generation_id < 0 and self.is_empty:
            return ErrorCode.NONE
        if generation_id < 0 and not member_id and group_instance_id is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = self._check_generation(member_id, group_instance_id, generation_id)
        if error is not ErrorCode.NONE:
            return error
        # The member knows its generation from the answer to JoinGroup, but not yet what it owns in it.
        if self.state is GroupState.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def check_transactional_commit(
        self, member_id: str, group_instance_id: str | None, generation_id: int
    ) -> ErrorCode:
        """Whether this member may commit in a transaction: in any state, and an older producer without a name."""
        is_named = generation_id >= 0 or bool(member_id) or group_instance_id is not None
        if not is_named or (generation_id < 0 and self.is_empty):
            return ErrorCode.NONE
        return self._check_generation(member_id, group_instance_id, generation_id)

    def _check_generation(self, member_id: str, group_instance_id: str | None, generation_id: int) -> ErrorCode:
        error = self.identify(member_id, group_instance_id)
        if error is ErrorCode.NONE and generation_id != self.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        return error

    def check_offset_delete(self) -> ErrorCode:
        # Without the consumer protocol nobody can say which topics are in use.
        if not self.is_empty and not self.uses_consumer_protocol:
            return ErrorCode.NON_EMPTY_GROUP
        return ErrorCode.NONE

    def is_subscribed_to(self, topic: str) -> bool:
        if self.subscribed_topics is None:
            return self.uses_consumer_protocol
        return topic in self.subscribed_topics

    def retention_starts_ms(self, committed: OffsetCommitValue) -> int | None:
        """From when on an offset of this group grows old; None while it does not (KIP-211)."""
        if self.protocol_type is None:
            return committed.commit_timestamp
        if self.is_empty:
            return self.state_timestamp_ms if self.state_timestamp_ms != -1 else committed.commit_timestamp
        if self.state is GroupState.STABLE and self.uses_consumer_protocol and self.subscribed_topics is not None:
            return committed.commit_timestamp
        return None

    def _learn_topics(self) -> None:
        self.subscribed_topics = None
        if self.uses_consumer_protocol:
            metadata = (member.metadata(self.protocol_name) for member in self.members.values())
            self.subscribed_topics = subscribed_topics(metadata)
