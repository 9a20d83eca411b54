"""The first members of a consumer group wait for each other, some milliseconds, and are assigned together.

The first member that joins an empty group would get every partition, and would have to give most of them up as soon as
the next one is there: two rounds of heartbeats for everybody, and an assignment that nobody has wanted. So a join of an
empty group is parked, with those that come in the meantime, and one decision is taken about them all: one group epoch,
one target, and each is in it with its first answer. (The classic protocol has `group.initial.rebalance.delay.ms` for
that.)

Nothing of it is durable, and nothing has happened before the decision. What the group has become meanwhile, by a member
that did not have to wait, is no matter: then each joins alone, as it would have at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from moldau.control.groups.consumer.change import Change
from moldau.control.groups.consumer.cluster import metadata_hash
from moldau.control.groups.consumer.heartbeat import as_told, told_to
from moldau.control.groups.consumer.member import JOINING, ConsumerMember
from moldau.control.groups.requests import ConsumerGroupHeartbeat, JoinsGathered
from moldau.control.groups.turn import Turn

TOGETHER_MAX: Final = 500
TOGETHER_BYTES: Final = 250_000
"""Members in one decision, and what they say of themselves: its records are one batch, which must fit into the log.
The others join one by one.
"""
MEMBER_BYTES: Final = 300
"""Of a member's records, besides what it says of itself and its partitions."""


class Gathering:
    """Who waits, by group. In memory only, as everything that is parked."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[ConsumerGroupHeartbeat]] = {}

    def park(self, turn: Turn, request: ConsumerGroupHeartbeat, wait_ms: int) -> bool:
        """Whether this join, which may wait, does so. The caller knows that its group is empty."""
        if wait_ms <= 0:
            return False
        waiting = self._waiting.get(request.group_id)
        if waiting is None:
            waiting = self._waiting[request.group_id] = []
            turn.schedule(("gathering", request.group_id), turn.steady_ms + wait_ms, JoinsGathered(request.group_id))
        for index, other in enumerate(waiting):
            if _is_the_same(request, other):
                # It has given up on an answer and comes again: what it says now counts, also when the former request is
                # decided after this one. Without ids they may be two that bring one instance id: each has its own say.
                if request.member_id and request.member_id == other.member_id:
                    waiting[index] = replace(request, token=other.token)
                return False
        waiting.append(request)
        return True

    def end(self, group_id: str) -> list[ConsumerGroupHeartbeat]:
        """Those who have waited, in the order in which they came."""
        return self._waiting.pop(group_id, [])


def may_wait(request: ConsumerGroupHeartbeat) -> bool:
    """Whether it is a join that could be answered later, and assigned then.

    What an expression stands for is looked up when the member is there, so who brings one gains nothing by waiting.
    """
    return (
        request.token is not None
        and request.member_epoch == JOINING
        and bool(request.topic_names)
        and not request.topic_regex
    )


def that_fit(requests: Sequence[ConsumerGroupHeartbeat], most: int) -> int:
    """How many of these, from the first on, join in one decision; of `most` at the most."""
    size = 0
    for count, request in enumerate(requests[:most]):
        said = (
            request.client_id,
            request.client_host,
            request.instance_id,
            request.rack_id,
            *(request.topic_names or ()),
        )
        size += MEMBER_BYTES + sum(2 + len(text) for text in said if text is not None)
        if size > TOGETHER_BYTES:
            return count
    return min(len(requests), most)


def join_together(change: Change, requests: Sequence[ConsumerGroupHeartbeat]) -> None:
    """Let these be the first members of an empty group, and answer them."""
    turn, group_id = change.turn, change.group_id
    members: dict[str, ConsumerMember] = {}
    for request in requests:
        member = as_told(ConsumerMember(request.member_id or turn.new_random_id()), request)
        members[member.member_id] = member
        turn.write(member.to_record(group_id))
    names = frozenset[str]().union(*(member.topic_names for member in members.values()))
    epoch = change.raise_epoch(metadata_hash(change.cluster, names), bump=True)
    assignment_epoch, targets = change.first_targets(epoch, members)
    for request, member in zip(requests, members.values(), strict=True):
        target = targets.get(member.member_id, {})
        after = change.step(member, (assignment_epoch, target), {}, subscription_changed=True)
        change.watch.renew(turn, group_id, after)
        assert request.token is not None, "who has no token does not wait"
        turn.reply(request.token, told_to(change, after, is_news=True))


def _is_the_same(one: ConsumerGroupHeartbeat, other: ConsumerGroupHeartbeat) -> bool:
    if one.instance_id is not None and one.instance_id == other.instance_id:
        return True
    return one.member_id != "" and one.member_id == other.member_id
