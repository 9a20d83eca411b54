"""One step of a member towards its target: first it gives up, then it gets.

    what it has and shall not keep    must be given up; until the member has said so, its epoch stays
    what it shall get and is free     it gets, and is in the target's epoch
    what it shall get and is held     it waits for, in the target's epoch

So a partition never has two owners, and nobody stops reading what it keeps.
Source: `CurrentAssignmentBuilder` of Apache Kafka 4.3; KIP-848.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final
from uuid import UUID

from moldau.control.groups.consumer.member import ConsumerMember, MemberState, Owned, Partitions
from moldau.control.light import light_dataclass
from moldau.errors import ApiError, ErrorCode


@light_dataclass(frozen=True, slots=True)
class Goal:
    """Where a member shall come to, and what stands in its way."""

    assignment_epoch: int
    target: Partitions
    topic_ids: Collection[UUID]
    """Topics it is subscribed to now: what its target says of others does not count."""
    owners_of: Callable[[UUID], Mapping[int, str]]
    """Who holds which partition of a topic; those that nobody holds are not in it."""


def reconcile(
    member: ConsumerMember, goal: Goal, still_owned: Partitions | None, *, subscription_changed: bool
) -> ConsumerMember:
    """The member after its step; itself when it cannot move.

    Args:
        still_owned: what the member says that it owns; None when it does not say.

    Raises:
        ApiError: FENCED_MEMBER_EPOCH, the member is in a state that a later Kafka has invented.
    """
    step = _Step(member, goal, still_owned)
    match member.state:
        case MemberState.STABLE if member.member_epoch == goal.assignment_epoch:
            return step.give_up_unsubscribed() if subscription_changed else member
        case MemberState.UNREVOKED_PARTITIONS if step.still_owns(member.pending_revocation):
            return step.give_up_unsubscribed() if subscription_changed else member
        case MemberState.UNKNOWN:
            if still_owned is None or still_owned:
                raise ApiError(
                    ErrorCode.FENCED_MEMBER_EPOCH,
                    "the member is in an unknown state; it must give up its partitions and join again",
                )
            return step.move(goal.assignment_epoch)
        case _:
            return step.move(member.member_epoch)


def first_step(member: ConsumerMember, assignment_epoch: int, target: Partitions) -> ConsumerMember:
    """What `reconcile` makes of a member that has just joined when nobody in its group holds anything: it has no way to
    go. `target` is of topics that it is subscribed to.
    """
    assigned = {
        topic_id: dict.fromkeys(sorted(partitions), assignment_epoch)
        for topic_id, partitions in sorted(target.items())
        if partitions
    }
    return member.at(assignment_epoch, member.member_epoch, MemberState.STABLE, assigned, _NONE)


_NONE: Final[Owned] = {}
_NO_PARTITIONS: Final[AbstractSet[int]] = frozenset()
_NO_EPOCHS: Final[Mapping[int, int]] = {}


class _Step:
    def __init__(self, member: ConsumerMember, goal: Goal, still_owned: Partitions | None) -> None:
        self.member = member
        self.goal = goal
        self.said = still_owned

    def still_owns(self, revoked: Owned) -> bool:
        """Whether the member may still read from one of these."""
        if self.said is None:
            return True
        return any(not self.said.get(topic_id, frozenset()).isdisjoint(each) for topic_id, each in revoked.items())

    def give_up_unsubscribed(self) -> ConsumerMember:
        """Its epoch stays, but what it is no longer subscribed to it must not keep."""
        member = self.member
        kept = {topic_id: each for topic_id, each in member.assigned.items() if topic_id in self.goal.topic_ids}
        if len(kept) == len(member.assigned):
            return member
        revoked = {topic_id: dict(each) for topic_id, each in member.pending_revocation.items()}
        for topic_id, each in member.assigned.items():
            if topic_id not in kept:
                revoked[topic_id] = revoked.get(topic_id, {}) | dict(each)
        if self.still_owns(revoked):
            return self._at(member.member_epoch, MemberState.UNREVOKED_PARTITIONS, kept, revoked)
        return replace(member, previous_member_epoch=member.member_epoch, assigned=kept)

    def move(self, member_epoch: int) -> ConsumerMember:
        kept: dict[UUID, dict[int, int]] = {}
        revoked: dict[UUID, dict[int, int]] = {}
        granted: dict[UUID, list[int]] = {}
        waits = False
        topic_ids = {*self.goal.target, *self.member.assigned} if self.member.assigned else self.goal.target
        for topic_id in sorted(topic_ids):
            target = (
                self.goal.target.get(topic_id, _NO_PARTITIONS) if topic_id in self.goal.topic_ids else _NO_PARTITIONS
            )
            held = self.member.assigned.get(topic_id, _NO_EPOCHS)
            for partition, epoch in held.items():
                (kept if partition in target else revoked).setdefault(topic_id, {})[partition] = epoch
            wanted = target - held.keys()
            if not wanted:
                continue
            owners = self.goal.owners_of(topic_id)
            # What the member itself was to give up is free for it: only one member at a time holds a partition.
            revocable = self.member.pending_revocation.get(topic_id, _NO_EPOCHS)
            free = [each for each in sorted(wanted) if each not in owners or each in revocable]
            waits = waits or len(free) < len(wanted)
            if free:
                granted[topic_id] = free
        if revoked and self.still_owns(revoked):
            return self._at(member_epoch, MemberState.UNREVOKED_PARTITIONS, kept, revoked)
        for topic_id, partitions in granted.items():
            kept.setdefault(topic_id, {}).update(dict.fromkeys(partitions, self.goal.assignment_epoch))
        state = MemberState.UNRELEASED_PARTITIONS if waits else MemberState.STABLE
        return self._at(self.goal.assignment_epoch, state, kept, _NONE)

    def _at(self, epoch: int, state: MemberState, assigned: Owned, revoked: Owned) -> ConsumerMember:
        return self.member.at(epoch, self.member.member_epoch, state, assigned, revoked)
