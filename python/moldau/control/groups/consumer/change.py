"""One decision about one consumer group: what a member has said becomes records, step by step.

    tell        the member has said something new about itself
    next_epoch  so the group is another one: a new group epoch
    next_target  who shall own what, now that it is another one
    step        the member takes a step towards its target

Each step writes its records into the turn; the group changes when they are applied. A step is given what the former
ones have decided, because the group does not know it yet.
Source: GroupMetadataManager of Apache Kafka 4.3 (consumerGroupHeartbeat and what it calls).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import field
from uuid import UUID

from moldau.control.groups.consumer.assignors import ASSIGNORS, MemberSpec
from moldau.control.groups.consumer.cluster import Cluster, metadata_hash
from moldau.control.groups.consumer.group import ConsumerGroup
from moldau.control.groups.consumer.member import ConsumerMember, MemberState, Partitions
from moldau.control.groups.consumer.reconcile import Goal, first_step, reconcile
from moldau.control.groups.consumer.records import (
    CurrentMemberRecord,
    GroupEpochRecord,
    GroupEpochValue,
    MemberRecord,
    RegularExpressionRecord,
    TargetEpochRecord,
    TargetEpochValue,
    TargetMemberRecord,
    TargetMemberValue,
    TopicMetadataRecord,
    TopicPartitionsValue,
)
from moldau.control.groups.consumer.watch import Watch
from moldau.control.groups.turn import Turn
from moldau.control.light import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Change:
    """What a decision about a group needs at hand."""

    turn: Turn
    cluster: Cluster
    watch: Watch
    group: ConsumerGroup
    _resolved: dict[frozenset[str], frozenset[UUID]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def group_id(self) -> str:
        return self.group.group_id

    # The steps

    def tell(self, before: ConsumerMember, after: ConsumerMember) -> bool:
        """Write what has changed about a member. True when it is subscribed to other names now."""
        if after is before or after == before:
            return False
        self.turn.write(after.to_record(self.group_id))
        return after.topic_names != before.topic_names

    def next_epoch(self, former: ConsumerMember | None, member: ConsumerMember, *, bump: bool) -> int:
        """The group epoch, a new one when `bump` says so or when the topics of the group are not what they were.

        `former` is who `member` takes the place of in the group: itself before, or the same static member.
        """
        if not bump and self.group.checked_version == self.cluster.version:
            return self.group.epoch
        names = self.group.topic_names(without=() if former is None else (former,), but=member)
        return self.raise_epoch(metadata_hash(self.cluster, names), bump=bump)

    def raise_epoch(self, topics_hash: int, *, bump: bool) -> int:
        if not bump and topics_hash == self.group.metadata_hash:
            # Remembered only when nothing has to be written for it, because writing may fail.
            self.group.checked_version = self.cluster.version
            return self.group.epoch
        epoch = self.group.epoch + 1
        self.turn.write(GroupEpochRecord(self.group_id, GroupEpochValue(epoch, topics_hash)))
        if self.group.has_topic_metadata:
            self.turn.write(TopicMetadataRecord(self.group_id, None))
        return epoch

    def next_target(self, epoch: int, former: ConsumerMember | None, member: ConsumerMember) -> tuple[int, Partitions]:
        """The assignment epoch, and the target of `member` in it: computed anew when the group is ahead of it."""
        group = self.group
        former_target = group.target_of(member.member_id if former is None else former.member_id)
        if group.assignment_epoch >= epoch or not self._may_assign():
            return group.assignment_epoch, former_target
        members = {each: known for each, known in group.members.items() if former is None or each != former.member_id}
        members[member.member_id] = member
        assigned = self._assign(epoch, members, {member.member_id: former_target})
        return epoch, assigned.get(member.member_id, {})

    def first_targets(self, epoch: int, members: Mapping[str, ConsumerMember]) -> tuple[int, Mapping[str, Partitions]]:
        """The assignment epoch, and the targets in it of members who are the first of a group that has none."""
        if not self._may_assign():
            return self.group.assignment_epoch, {}
        return epoch, self._assign(epoch, members, {})

    def _assign(
        self, epoch: int, members: Mapping[str, ConsumerMember], targets: Mapping[str, Partitions]
    ) -> Mapping[str, Partitions]:
        """Who shall own what when these are the members; `targets` is what those have that the group has not heard."""
        specs = self._specs(members, targets)
        assigned = ASSIGNORS[self._assignor(members)](specs, self._partition_counts(specs))
        for member_id in specs:
            target = assigned.get(member_id, {})
            if target != self.group.target.get(member_id):
                self.turn.write(target_record(self.group_id, member_id, target))
        self.turn.write(TargetEpochRecord(self.group_id, TargetEpochValue(epoch, self.turn.wall_ms)))
        return assigned

    def step(
        self,
        member: ConsumerMember,
        assignment: tuple[int, Partitions],
        still_owned: Partitions | None,
        *,
        subscription_changed: bool,
    ) -> ConsumerMember:
        """Bring `member` nearer to its target; returns what it is then.

        Raises:
            ApiError: FENCED_MEMBER_EPOCH.
        """
        assignment_epoch, target = assignment
        if not subscription_changed and member.is_reconciled_to(assignment_epoch):
            return member
        topic_ids = self._ids(self.group.topics_of(member))
        goal = Goal(assignment_epoch, target, topic_ids, self.group.owners_of)
        moved = reconcile(member, goal, still_owned, subscription_changed=subscription_changed)
        if moved is not member and (moved.member_epoch != member.member_epoch or moved != member):
            self.turn.write(moved.to_current_record(self.group_id))
            must_give_up = MemberState.UNREVOKED_PARTITIONS in (member.state, moved.state)
            if must_give_up and not moved.uses_classic_protocol:
                self.watch.watch_revocation(self.turn, self.group_id, moved)
        return moved

    def first_step(self, member: ConsumerMember, assignment_epoch: int, target: Partitions) -> ConsumerMember:
        """What `step` does for one of the first members of a group: see `first_targets`."""
        moved = first_step(member, assignment_epoch, target)
        self.turn.write(moved.to_current_record(self.group_id))
        return moved

    # Members that go

    def remove(self, member_id: str) -> None:
        """The three records that take back a member, in the order that replay needs."""
        self.turn.write(CurrentMemberRecord(self.group_id, member_id, None))
        self.turn.write(TargetMemberRecord(self.group_id, member_id, None))
        self.turn.write(MemberRecord(self.group_id, member_id, None))

    def fence(self, members: Collection[ConsumerMember]) -> None:
        """Members have left, or are too late: what they owned is free, and the group is another one."""
        for member in members:
            self.remove(member.member_id)
        for expression in {member.topic_regex for member in members if member.topic_regex}:
            leaving = sum(member.topic_regex == expression for member in members)
            if self.group.subscribers_of(expression) == leaving:
                self.turn.write(RegularExpressionRecord(self.group_id, expression, None))
        names = self.group.topic_names(without=members)
        self.raise_epoch(metadata_hash(self.cluster, names), bump=True)
        self.watch.forget(self.turn, self.group_id, [member.member_id for member in members])

    def replace(self, former: ConsumerMember, member: ConsumerMember) -> None:
        """The same static member under a new id: it has the target of its former self."""
        self.remove(former.member_id)
        self.turn.write(member.to_record(self.group_id))
        self.turn.write(target_record(self.group_id, member.member_id, self.group.target_of(former.member_id)))
        self.turn.write(member.to_current_record(self.group_id))

    def forget_former(self, former: ConsumerMember | None, member: ConsumerMember) -> None:
        """The session of a static member's former self has ended. Only now that nothing can be refused any more."""
        if former is not None and former.member_id != member.member_id:
            self.watch.forget(self.turn, self.group_id, [former.member_id])

    # What an assignor wants to know

    def _may_assign(self) -> bool:
        """Assignments have a distance, so that a hundred members that start together do not cause a hundred of them."""
        interval_ms = self.cluster.assignment_interval_ms(self.group_id)
        last_ms = self.group.assignment_timestamp_ms
        # An assignment from the future: the clock has been set back, and nobody shall wait until it is there again.
        return last_ms == 0 or not 0 <= self.turn.wall_ms - last_ms < interval_ms

    def _assignor(self, members: Mapping[str, ConsumerMember]) -> str:
        named = [each.assignor for each in members.values() if each.assignor and each.assignor in ASSIGNORS]
        if not named:
            return self.turn.settings.consumer_assignors[0]
        wanted = Counter(named)
        return max(wanted, key=lambda name: (wanted[name], name))

    def _specs(self, members: Mapping[str, ConsumerMember], targets: Mapping[str, Partitions]) -> dict[str, MemberSpec]:
        specs = {}
        for member_id, member in members.items():
            target = targets.get(member_id, self.group.target_of(member_id))
            specs[member_id] = MemberSpec(self._ids(self.group.topics_of(member)), member.instance_id, target)
        return specs

    def _ids(self, names: frozenset[str]) -> frozenset[UUID]:
        # Thousands of members mostly have one and the same subscription: resolve each only once.
        ids = self._resolved.get(names)
        if ids is None:
            topics = (self.cluster.topic_named(name) for name in names)
            ids = self._resolved[names] = frozenset(topic.id for topic in topics if topic is not None)
        return ids

    def _partition_counts(self, specs: Mapping[str, MemberSpec]) -> dict[UUID, int]:
        counts = {}
        for topic_id in set[UUID]().union(*{spec.topic_ids for spec in specs.values()}):
            topic = self.cluster.topic_with(topic_id)
            assert topic is not None, f"{topic_id} was there a moment ago"
            counts[topic_id] = topic.partition_count
        return counts


def target_record(group_id: str, member_id: str, target: Partitions) -> TargetMemberRecord:
    topics = [TopicPartitionsValue(topic_id, tuple(sorted(each))) for topic_id, each in sorted(target.items())]
    return TargetMemberRecord(group_id, member_id, TargetMemberValue(tuple(topics)))
