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
from moldau.control.groups.consumer.heartbeat import newcomer, told_to
from moldau.control.groups.consumer.member import JOINING, ConsumerMember
from moldau.control.groups.consumer.records import MemberRecord, MemberValue
from moldau.control.groups.requests import ConsumerGroupHeartbeat, JoinsGathered
from moldau.control.groups.turn import Turn

TOGETHER_MAX: Final = 500
TOGETHER_BYTES: Final = 250_000
"""Members in one decision, and what they say of themselves: its records are one batch, which must fit into the log.
The others join one by one.
"""
MEMBER_BYTES: Final = 300
"""Of a member's records, besides what it says of itself and its partitions."""


class _Crowd:
    """Who waits in one group, in the order in which they came."""

    def __init__(self) -> None:
        self.requests: list[ConsumerGroupHeartbeat] = []
        self._by_member: dict[str, int] = {}
        self._by_instance: dict[str, int] = {}

    def place_of(self, request: ConsumerGroupHeartbeat) -> int | None:
        """Where somebody stands with the member id of `request`, or its instance id; of two the one who came first."""
        by_member = self._by_member.get(request.member_id) if request.member_id else None
        by_instance = None if request.instance_id is None else self._by_instance.get(request.instance_id)
        if by_member is None or by_instance is None:
            return by_instance if by_member is None else by_member
        return min(by_member, by_instance)

    def append(self, request: ConsumerGroupHeartbeat) -> None:
        self._know(request, len(self.requests))
        self.requests.append(request)

    def replace(self, place: int, request: ConsumerGroupHeartbeat) -> None:
        """Somebody says something else; its member id is the one that it had."""
        self.requests[place] = request
        self._by_instance.clear()
        for index, each in enumerate(self.requests):
            self._know(each, index)

    def _know(self, request: ConsumerGroupHeartbeat, place: int) -> None:
        if request.member_id:
            self._by_member.setdefault(request.member_id, place)
        if request.instance_id is not None:
            self._by_instance.setdefault(request.instance_id, place)


class Gathering:
    """Who waits, by group. In memory only, as everything that is parked."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Crowd] = {}

    def park(self, turn: Turn, request: ConsumerGroupHeartbeat, wait_ms: int) -> bool:
        """Whether this join, which may wait, does so. The caller knows that its group is empty."""
        if wait_ms <= 0:
            return False
        waiting = self._waiting.get(request.group_id)
        if waiting is None:
            waiting = self._waiting[request.group_id] = _Crowd()
            turn.schedule(("gathering", request.group_id), turn.steady_ms + wait_ms, JoinsGathered(request.group_id))
        place = waiting.place_of(request)
        if place is None:
            waiting.append(request)
            return True
        # It has given up on an answer and comes again: what it says now counts, also when the former request is decided
        # after this one. Without ids they may be two that bring one instance id: each has its own say.
        other = waiting.requests[place]
        if request.member_id and request.member_id == other.member_id:
            waiting.replace(place, replace(request, token=other.token))
        return False

    def end(self, group_id: str) -> list[ConsumerGroupHeartbeat]:
        """Those who have waited, in the order in which they came."""
        waiting = self._waiting.pop(group_id, None)
        return [] if waiting is None else waiting.requests


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


def _words(request: ConsumerGroupHeartbeat) -> tuple[object, ...]:
    """What a member that joins says of itself, but for its id."""
    return (
        request.client_id,
        request.client_host,
        request.instance_id,
        request.rack_id,
        request.rebalance_timeout_ms,
        request.topic_names,
        request.topic_regex,
        request.assignor,
    )


def join_together(change: Change, requests: Sequence[ConsumerGroupHeartbeat]) -> None:
    """Let these be the first members of an empty group, and answer them."""
    turn, group_id = change.turn, change.group_id
    members: dict[str, ConsumerMember] = {}
    said: dict[tuple[object, ...], MemberValue] = {}
    for request in requests:
        member = newcomer(request.member_id or turn.new_random_id(), request)
        members[member.member_id] = member
        # Most of them say the same of themselves: it is one object then, and encoded once.
        words = _words(request)
        value = said.get(words)
        if value is None:
            value = said[words] = member.said()
        turn.write(MemberRecord(group_id, member.member_id, value))
    names = frozenset[str]().union(*(member.topic_names for member in members.values()))
    epoch = change.raise_epoch(metadata_hash(change.cluster, names), bump=True)
    assignment_epoch, targets = change.first_targets(epoch, members)
    for request, member in zip(requests, members.values(), strict=True):
        target = targets.get(member.member_id, {})
        after = change.first_step(member, assignment_epoch, target)
        change.watch.renew(turn, group_id, after)
        assert request.token is not None, "who has no token does not wait"
        turn.reply(request.token, told_to(change, after, is_news=True))
