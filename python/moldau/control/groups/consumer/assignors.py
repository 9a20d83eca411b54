"""Who shall own which partition: the two assignors of the coordinator, as pure functions.

    uniform   every member gets as many partitions as every other, give or take one, and keeps what it has
    range     of each topic the members get consecutive ranges, in the order of their names: the members that come
              first get the longer ranges, and partition n of several topics of one size goes to one member

An assignor looks at no state but its arguments and gives the same answer to the same question: members are in the
order of their ids, topics in that of theirs. Racks are not looked at, as in Kafka 4.3.
Source: `UniformAssignor`, `UniformHeterogeneousAssignmentBuilder`, `RangeAssignor` of Apache Kafka 4.3; KIP-848.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

from moldau.control.groups.consumer.member import Partitions
from moldau.control.light import light_dataclass

ROUNDS_MAX: Final = 16
"""How often all topics are looked at for a better balance; real groups need two or three rounds."""


@light_dataclass(frozen=True, slots=True)
class MemberSpec:
    """What an assignor knows of a member."""

    topic_ids: AbstractSet[UUID]
    """Topics that exist and that the member is subscribed to."""
    instance_id: str | None
    target: Partitions
    """What it was to own until now."""


Specs = Mapping[str, MemberSpec]
Assignor = Callable[[Specs, Mapping[UUID, int]], dict[str, dict[UUID, set[int]]]]


def assign_range(specs: Specs, partition_counts: Mapping[UUID, int]) -> dict[str, dict[UUID, set[int]]]:
    """Consecutive ranges of each topic."""
    # Members with an instance id come first, so that a restart under a new member id changes nobody's range.
    order = sorted(specs, key=lambda each: (specs[each].instance_id is None, specs[each].instance_id or each))
    assignment: dict[str, dict[UUID, set[int]]] = {member_id: {} for member_id in specs}
    for topic_id, subscribers in _subscribers(specs, order).items():
        quota, extra = divmod(partition_counts[topic_id], len(subscribers))
        start = 0
        for index, member_id in enumerate(subscribers):
            end = start + quota + (index < extra)
            if start < end:
                assignment[member_id][topic_id] = set(range(start, end))
            start = end
    return assignment


def assign_uniform(specs: Specs, partition_counts: Mapping[UUID, int]) -> dict[str, dict[UUID, set[int]]]:
    """As many partitions for everyone as their subscriptions allow, with as few moves as that takes."""
    subscriptions = iter(spec.topic_ids for spec in specs.values())
    first = next(subscriptions, None)
    if first is None:
        return {}
    if all(other is first or other == first for other in subscriptions):
        return _uniform_for_equals(specs, first, partition_counts)
    return _Balance(specs, partition_counts).assignment()


ASSIGNORS: Final[Mapping[str, Assignor]] = {"uniform": assign_uniform, "range": assign_range}


def _subscribers(specs: Specs, order: Iterable[str]) -> dict[UUID, list[str]]:
    subscribers: dict[UUID, list[str]] = {}
    for member_id in order:
        for topic_id in specs[member_id].topic_ids:
            subscribers.setdefault(topic_id, []).append(member_id)
    return subscribers


def _uniform_for_equals(
    specs: Specs, topic_ids: AbstractSet[UUID], partition_counts: Mapping[UUID, int]
) -> dict[str, dict[UUID, set[int]]]:
    """Everyone is subscribed to the same topics: a quota each, and `extra` members get one more."""
    quota, extra = divmod(sum(partition_counts[topic_id] for topic_id in topic_ids), len(specs))
    taken: set[tuple[UUID, int]] = set()
    kept: dict[str, list[tuple[UUID, int]]] = {}
    for member_id in sorted(specs):
        held = [
            (topic_id, partition)
            for topic_id, partitions in sorted(specs[member_id].target.items())
            if topic_id in topic_ids
            for partition in sorted(partitions)
            if partition < partition_counts[topic_id] and (topic_id, partition) not in taken
        ]
        # Who has more than the quota already keeps one more, as long as there are such places.
        keeps_extra = len(held) > quota and extra > 0
        extra -= keeps_extra
        kept[member_id] = held[: quota + keeps_extra]
        taken.update(kept[member_id])
    places = ((topic_id, each) for topic_id in sorted(topic_ids) for each in range(partition_counts[topic_id]))
    rest = (place for place in places if place not in taken) if taken else places
    for held in kept.values():
        wants = quota - len(held)
        if wants >= 0 and extra > 0:
            wants += 1
            extra -= 1
        held.extend(partition for _, partition in zip(range(wants), rest, strict=False))
    assert next(rest, None) is None, "partitions were left over"
    return {member_id: _by_topic(held) for member_id, held in kept.items()}


class _Balance:
    """Members with different subscriptions: keep, hand out what is free, then move from the fullest to the emptiest."""

    def __init__(self, specs: Specs, partition_counts: Mapping[UUID, int]) -> None:
        self._partition_counts = partition_counts
        self._subscribers = _subscribers(specs, sorted(specs))
        self._held: dict[str, dict[UUID, set[int]]] = {member_id: {} for member_id in sorted(specs)}
        self._loads = dict.fromkeys(self._held, 0)
        taken: set[tuple[UUID, int]] = set()
        for member_id in self._held:
            for topic_id, partitions in specs[member_id].target.items():
                if topic_id not in specs[member_id].topic_ids:
                    continue
                for partition in sorted(partitions):
                    if partition < partition_counts[topic_id] and (topic_id, partition) not in taken:
                        taken.add((topic_id, partition))
                        self._give(member_id, topic_id, partition)

    def assignment(self) -> dict[str, dict[UUID, set[int]]]:
        # First the topics whose partitions weigh most on their subscribers, then those with the least choice.
        order = sorted(self._subscribers, key=self._weight)
        for topic_id in order:
            self._hand_out(topic_id)
        contested = [topic_id for topic_id in order if len(self._subscribers[topic_id]) > 1]
        for _ in range(ROUNDS_MAX):
            moves = [self._level(topic_id) for topic_id in contested]
            if not any(moves):
                break
        return self._held

    def _weight(self, topic_id: UUID) -> tuple[float, int, UUID]:
        subscribers = len(self._subscribers[topic_id])
        return -self._partition_counts[topic_id] / subscribers, subscribers, topic_id

    def _hand_out(self, topic_id: UUID) -> None:
        subscribers = self._subscribers[topic_id]
        taken = set[int]().union(*(self._held[each].get(topic_id, ()) for each in subscribers))
        emptiest = [(self._loads[member_id], member_id) for member_id in subscribers]
        heapq.heapify(emptiest)
        for partition in range(self._partition_counts[topic_id]):
            if partition not in taken:
                load, member_id = emptiest[0]
                self._give(member_id, topic_id, partition)
                heapq.heapreplace(emptiest, (load + 1, member_id))

    def _level(self, topic_id: UUID) -> int:
        """Move partitions of one topic until no move makes its subscribers more equal. Returns the number of moves."""
        subscribers = self._subscribers[topic_id]
        emptiest = [(self._loads[member_id], member_id) for member_id in subscribers]
        # An entry of a member that has given or taken since is out of date, but never by so much that a move harms;
        # the next round sees the true loads.
        fullest = [(-self._loads[each], each) for each in subscribers if self._held[each].get(topic_id)]
        heapq.heapify(emptiest)
        heapq.heapify(fullest)
        moves = 0
        while fullest and -fullest[0][0] - emptiest[0][0] > 1:
            _, giver = heapq.heappop(fullest)
            _, taker = heapq.heappop(emptiest)
            partition = max(self._held[giver][topic_id])
            self._take(giver, topic_id, partition)
            self._give(taker, topic_id, partition)
            heapq.heappush(emptiest, (self._loads[taker], taker))
            if self._held[giver].get(topic_id):
                heapq.heappush(fullest, (-self._loads[giver], giver))
            moves += 1
        return moves

    def _give(self, member_id: str, topic_id: UUID, partition: int) -> None:
        self._held[member_id].setdefault(topic_id, set()).add(partition)
        self._loads[member_id] += 1

    def _take(self, member_id: str, topic_id: UUID, partition: int) -> None:
        held = self._held[member_id]
        held[topic_id].remove(partition)
        if not held[topic_id]:
            del held[topic_id]
        self._loads[member_id] -= 1


def _by_topic(partitions: Iterable[tuple[UUID, int]]) -> dict[UUID, set[int]]:
    topics: dict[UUID, set[int]] = {}
    for topic_id, partition in partitions:
        topics.setdefault(topic_id, set()).add(partition)
    return topics
