"""How the leader of a group of workers divides connectors and tasks. Pure: time is an argument.

`IncrementalAssignor` is Kafka's (KIP-415; KIP-891 and KAFKA-12495 for what became of it): nobody stops what it need not
stop. What is too much in one place is revoked in one round and given to others in the next, which the revoked worker
asks for when it has stopped. What a worker had that is gone is kept back for `scheduled.rebalance.max.delay.ms`, so
that a worker which is only restarted finds its work when it is back; after that those get it that came with empty
hands. It remembers what it gave last, so it is one and the same object from one generation to the next; a leader that
is new at it knows nothing of what is lost, and gives it out at once.

`divide_eagerly` is for the protocol in which everybody has stopped everything: round and round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final, TypeVar

from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.work import NOTHING, Work, held_twice, together

_BACK_OFF_FACTOR: Final = 40

E = TypeVar("E", str, TaskId)


@dataclass(frozen=True, slots=True)
class Division:
    """By member: what comes to what it has, what it has to stop, and all it has then. Everybody waits `delay_ms`."""

    assigned: Mapping[str, Work]
    revoked: Mapping[str, Work]
    owned: Mapping[str, Work]
    delay_ms: int = 0


@dataclass(slots=True)
class _Load:
    """What a member will have."""

    member: str
    connectors: set[str] = field(default_factory=set)
    tasks: set[TaskId] = field(default_factory=set)

    @property
    def work(self) -> Work:
        return Work(frozenset(self.connectors), frozenset(self.tasks))


def divide_eagerly(what: Work, members: Iterable[str]) -> Division:
    """All connectors, then all tasks, one after the other to one member after the other."""
    loads = {member: _Load(member) for member in sorted(members)}
    turn = cycle(loads.values())
    for connector in sorted(what.connectors):
        next(turn).connectors.add(connector)
    for task in sorted(what.tasks):
        next(turn).tasks.add(task)
    given = {member: load.work for member, load in loads.items()}
    return Division(given, {}, given)


class IncrementalAssignor:
    """One for each worker that may lead."""

    def __init__(self, max_delay_ms: int) -> None:
        self._max_delay_ms = max_delay_ms
        self._given = NOTHING
        """What was somewhere after the last round, and what was lost then."""
        self._revoked = NOTHING
        self._generation = -1
        self._members: frozenset[str] = frozenset()
        self._delay_ms = 0
        self._due_at_ms = 0.0
        """When what is lost is given to others; 0 when nothing waits."""
        self._came_empty: list[str] = []
        """Who had nothing while something was lost, in the order of coming: it may be who lost it."""
        self._revoked_last = False
        self._revoking_rounds = 0

    def divide(
        self, what: Work, held: Mapping[str, Work], generation: int, last_generation: int, now_ms: float
    ) -> Division:
        """Decide about one generation. `held` is what each member says it has, `what` all there is to do.

        `last_generation` is the one whose division was the last that this worker got itself: if it is not the one that
        was decided here last, nobody may have heard of that one.
        """
        if self._generation != last_generation:
            self._given = NOTHING
        active = together(held.values())
        if self._revoked & active:
            # They did not hear of it, and are told again.
            self._given = active
        self._revoked = NOTHING

        deleted = self._given - what
        twice = held_twice(held)
        lost = self._given - active - deleted
        created = what - self._given - active
        to_stop = {member: work & (deleted | twice) for member, work in held.items()}
        loads = [_Load(member, set(work.connectors), set(work.tasks)) for member, work in _without(held, to_stop)]

        found = self._handle_lost(lost, loads, now_ms)
        if self._delay_ms:
            self._revoked_last = False
        else:
            self._balance(what, loads, to_stop, now_ms)
        _spread(loads, (created | found).connectors, lambda load: load.connectors)
        _spread(loads, (created | found).tasks, lambda load: load.tasks)

        owned = {load.member: load.work for load in loads}
        stopped = together(to_stop.values())
        self._given = together(owned.values()) - stopped | lost
        self._revoked = stopped
        self._generation, self._members = generation, frozenset(held)
        assigned = {member: owned[member] - (work - deleted) for member, work in held.items()}
        return Division(assigned, to_stop, owned, self._delay_ms)

    # What is lost.

    def _handle_lost(self, lost: Work, loads: list[_Load], now_ms: float) -> Work:
        """Wait, or give it to who came with empty hands, or return it to be given out as if it were new."""
        if not lost and not self._revoked_last:
            self._reset_delay()
            return NOTHING
        nobody_left = self._due_at_ms <= 0 and self._members <= {load.member for load in loads}
        if nobody_left or not self._max_delay_ms:
            return lost
        if 0 < self._due_at_ms <= now_ms:
            empty = [load for member in self._came_empty for load in loads if load.member == member]
            if empty:
                for connector, load in zip(sorted(lost.connectors), cycle(empty), strict=False):
                    load.connectors.add(connector)
                for task, load in zip(sorted(lost.tasks), cycle(empty), strict=False):
                    load.tasks.add(task)
            self._reset_delay()
            # A whole delay has passed: it may be revoked again.
            self._revoked_last = False
            return NOTHING if empty else lost
        known = set(self._came_empty)
        self._came_empty += (load.member for load in loads if not load.work and load.member not in known)
        left_ms = self._due_at_ms - now_ms
        self._delay_ms = int(min(left_ms, self._max_delay_ms)) if left_ms > 0 else self._max_delay_ms
        self._due_at_ms = now_ms + self._delay_ms
        return NOTHING

    def _reset_delay(self) -> None:
        self._came_empty = []
        self._due_at_ms = 0
        self._delay_ms = 0

    # What is too much in one place.

    def _balance(self, what: Work, loads: list[_Load], to_stop: dict[str, Work], now_ms: float) -> None:
        too_much = self._too_much(what, loads)
        if not too_much:
            if self._revoked_last:
                self._revoked_last = False
                self._revoking_rounds = 0
            return
        if self._revoked_last:
            # Twice in a row: workers may come one by one, and nobody shall stop and start for each.
            self._revoking_rounds += 1
            self._delay_ms = self._back_off_ms()
            if self._delay_ms:
                self._due_at_ms = now_ms + self._delay_ms
                return
        else:
            self._revoked_last = True
        for load in loads:
            work = too_much.get(load.member, NOTHING)
            load.connectors -= work.connectors
            load.tasks -= work.tasks
            to_stop[load.member] |= work

    def _back_off_ms(self) -> int:
        if not self._max_delay_ms:
            return 0
        most = math.log(self._max_delay_ms) / math.log(_BACK_OFF_FACTOR)
        return min(int(_BACK_OFF_FACTOR ** min(self._revoking_rounds, most)), self._max_delay_ms)

    def _too_much(self, what: Work, loads: list[_Load]) -> dict[str, Work]:
        if not what or not any(load.work for load in loads):
            return {}
        connectors = _above_share(len(what.connectors), {load.member: load.connectors for load in loads})
        tasks = _above_share(len(what.tasks), {load.member: load.tasks for load in loads})
        return {
            member: Work(frozenset(connectors.get(member, ())), frozenset(tasks.get(member, ())))
            for member in connectors.keys() | tasks.keys()
        }


def _without(held: Mapping[str, Work], gone: Mapping[str, Work]) -> Iterable[tuple[str, Work]]:
    return ((member, held[member] - gone[member]) for member in sorted(held))


def _above_share(total: int, having: Mapping[str, set[E]]) -> dict[str, list[E]]:
    """By member, what it has above the share that everybody would have of `total`."""
    share, rest = divmod(total, len(having))
    sizes = [len(each) for each in having.values()]
    if sizes.count(share + 1) == rest and sizes.count(share) + rest == len(sizes):
        return {}
    found: dict[str, list[E]] = {}
    for member, elements in having.items():
        if len(elements) <= share:
            continue
        most = share
        if rest:
            # The division leaves a rest: this one may have one more.
            rest -= 1
            most += 1
        if len(elements) > most:
            found[member] = sorted(elements)[: len(elements) - most]
    return found


def _spread(loads: list[_Load], elements: Iterable[E], place: Callable[[_Load], set[Any]]) -> None:
    """Give each to one of those that have the fewest, in turn."""
    remaining = iter(sorted(elements))
    loads.sort(key=lambda load: (len(place(load)), load.member))
    while True:
        least = len(place(loads[0]))
        level = [load for load in loads if len(place(load)) == least]
        for load in level:
            element = next(remaining, None)
            if element is None:
                return
            place(load).add(element)
