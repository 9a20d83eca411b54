"""The buffer of a left or outer join on disk; the bytes are those of the one in memory, and of Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.key_value import merge
from moldau.streams.persistent.overlay import Overlay, Room
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.join_buffer import JoinBuffer, Place, list_bytes, values_of
from moldau.streams.topology.nodes import StoreSpec

_MISSING: Final = object()


class DiskJoinBuffer(JoinBuffer):
    """One table of a task's database: its keys are in the order in which they wait."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        super().__init__(spec, context)
        self.table = table
        self._cache: Overlay[bytes, list[bytes]] = Overlay(room)
        self._changed_at: dict[bytes, int] = {}
        first = next(table.scan(b"", None), None)
        if first is not None:
            self.note_waiting(first[0])

    def add(self, timestamp: int, is_left: bool, key: Any, value: Any) -> None:
        """One more record that waits."""
        place = self.place(timestamp, is_left, key)
        self._set(place, [*(self._values(place) or ()), self.side(is_left).serialize(value)])

    def remove(self, timestamp: int, is_left: bool, key: Any) -> None:
        """All that waits in one place; nothing happens when none does."""
        place = self.place(timestamp, is_left, key)
        if self._values(place):
            self._set(place, None)

    def in_order(self) -> Iterator[tuple[Place, list[Any]]]:
        """Everything by time, right before left, then by the bytes of keys."""
        below = ((data, values_of(value)) for data, value in self.table.scan(b"", None))
        for data, values in merge(below, sorted(self._cache.dirty(), key=lambda one: one[0])):
            place = self.split(data)
            read = self.side(place[1]).deserialize
            yield place, [read(value) for value in values]

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, each place once, and put the same into the database's next write."""
        for data, values in self._cache.take_dirty():
            entry = None if values is None else list_bytes(self.split(data)[1], values)
            self.table.put(data, entry)
            write(data, entry, self._changed_at[data])
        self._changed_at.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        self.table.put(key, value)
        if value is not None:
            self.note_waiting(key)

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._cache.clear()
        self._changed_at.clear()

    def _set(self, place: bytes, values: list[bytes] | None) -> None:
        self._cache.put(place, values)
        self._changed_at[place] = self._context.timestamp

    def _values(self, place: bytes) -> list[bytes] | None:
        found: list[bytes] | None = self._cache.get(place, _MISSING)
        if found is _MISSING:
            data = self.table.get(place)
            found = None if data is None else values_of(data)
            self._cache.remember(place, found)
        return found
