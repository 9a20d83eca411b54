"""Offsets that nobody has renewed for long, and groups of which nothing else is left: both are taken back (KIP-211).

All groups are looked at, one round after each pause, but not in one turn: a partition may keep the offsets of very
many, and who wants something of them meanwhile is answered between two turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from moldau.control.groups import offsets as offset_store
from moldau.control.groups.classic.group import ClassicGroup
from moldau.control.groups.consumer.group import ConsumerGroup
from moldau.control.groups.offsets import CommittedOffsets
from moldau.control.groups.requests import RetentionCheckDue
from moldau.control.groups.turn import Turn

LOOKS_IN_A_TURN: Final = 2_000
"""Groups and offsets, a millisecond or two of work. A group is looked at as a whole."""


class OffsetRetention:
    """The round that is under way. Nothing of it is durable: after a start there is a new one."""

    def __init__(
        self,
        offsets: CommittedOffsets,
        classic: Callable[[str], ClassicGroup | None],
        consumers: Callable[[str], ConsumerGroup | None],
        remove: Callable[[Turn, ClassicGroup], None],
    ) -> None:
        """`classic` and `consumers` know the groups by their ids; `remove` takes back one that has no offsets."""
        self._offsets = offsets
        self._classic = classic
        self._consumers = consumers
        self._remove = remove
        self._to_look_at: deque[str] = deque()

    @property
    def is_under_way(self) -> bool:
        """Whether the next turn goes on with a round."""
        return bool(self._to_look_at)

    def begin(self, group_ids: list[str]) -> None:
        """A new round, through all these groups."""
        self._to_look_at = deque(group_ids)

    def go_on(self, turn: Turn) -> None:
        """Look at the next groups, and say when to look again."""
        looks = 0
        while self._to_look_at and looks < LOOKS_IN_A_TURN:
            group_id = self._to_look_at[0]
            looks += 1 + self._offsets.count_of(group_id)
            self._look_at(turn, group_id)
            if turn.is_full:
                # What is left of this group comes with the next turn, as do the others.
                break
            self._to_look_at.popleft()
        self.watch(turn, 0 if self._to_look_at else turn.settings.offsets_retention_check_interval_ms)

    def append_failed(self, turn: Turn) -> None:
        """A turn of it came to nothing. Not at once again: there may be no room for long."""
        self._to_look_at.clear()
        self.watch(turn, turn.settings.offsets_retention_check_interval_ms)

    def watch(self, turn: Turn, after_ms: int) -> None:
        turn.schedule(("retention",), turn.steady_ms + after_ms, RetentionCheckDue())

    def _look_at(self, turn: Turn, group_id: str) -> None:
        consumers, classic = self._consumers(group_id), self._classic(group_id)
        if consumers is not None:
            if offset_store.expire(turn, self._offsets, group_id, consumers) and consumers.is_empty:
                for tombstone in consumers.tombstones():
                    turn.take_back(tombstone)
        elif classic is not None:
            all_gone = offset_store.expire(turn, self._offsets, group_id, classic)
            if all_gone and classic.is_empty and not classic.pending_joins:
                self._remove(turn, classic)
