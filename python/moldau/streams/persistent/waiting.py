"""Records that wait for a versioned table, on disk; the bytes are those of the buffer in memory, and of Kafka.

What came since the last commit is in memory, in order; of what is on disk only what is due is read. Beside the records
stand the latest time and number that were given, so that a restart is as late as it was.
"""

from __future__ import annotations

import bisect
import struct
from collections import deque
from typing import Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.overlay import Room
from moldau.streams.state.buffered import Buffered, buffered_bytes, read_buffered
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.waiting import WaitingRecords, time_of
from moldau.streams.topology.nodes import StoreSpec

_CLOCK: Final = b"\x01"
"""Behind all places, which begin with a zero: the latest time and number."""
_CLOCK_VALUE: Final = struct.Struct(">qi")
_AHEAD_MAX: Final = 1000


class DiskWaitingRecords(WaitingRecords):
    """One table of a task's database: its keys are in the order in which they wait."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        super().__init__(spec)
        self.table = table
        self._fresh: list[bytes] = []
        """The places that came since the last commit and wait, in order."""
        self._changed: dict[bytes, Buffered | None] = {}
        self._ahead: deque[tuple[bytes, bytes]] = deque()
        """What is due and was read from disk."""
        self._next: bytes | None = None
        """Before this nothing waits on disk but what is in `_ahead`; None if nothing waits at all."""
        self.read_again()

    def read_again(self) -> None:
        """See what is in the table."""
        self.close()
        stored = self.table.get(_CLOCK)
        self._stream_time, self._number = (-1, 0) if stored is None else _CLOCK_VALUE.unpack(stored)

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, and put the same into the database's next write; Kafka gives it no time."""
        for place, record in self._changed.items():
            data = None if record is None else buffered_bytes(record)
            self.table.put(place, data)
            write(place, data, -1)
        if self._changed:
            self.settle()
        first = min(
            (places[0] for places in (self._fresh, [place for place, _ in self._ahead]) if places), default=None
        )
        self._changed.clear()
        self._fresh.clear()
        self._ahead.clear()
        self._wait_from(first)

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        self.table.put(key, value)
        self._note_restored(key)
        if value is not None:
            self._wait_from(key)

    def settle(self) -> None:
        """Put the latest time and number into the database's next write."""
        self.table.put(_CLOCK, _CLOCK_VALUE.pack(self._stream_time, self._number))

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._fresh.clear()
        self._changed.clear()
        self._ahead.clear()
        first = next(self.table.scan(b"", _CLOCK), None)
        self._next = None if first is None else first[0]

    def _wait_from(self, place: bytes | None) -> None:
        if place is not None and (self._next is None or place < self._next):
            self._next = place

    def _add(self, place: bytes, record: Buffered) -> None:
        bisect.insort(self._fresh, place)
        self._changed[place] = record

    def _take_due(self, until: int) -> tuple[bytes, Buffered] | None:
        if not self._ahead and self._next is not None and time_of(self._next) <= until:
            self._read_ahead(self._next, until)
        fresh = self._fresh[0] if self._fresh and time_of(self._fresh[0]) <= until else None
        if self._ahead and (fresh is None or self._ahead[0][0] < fresh):
            place, data = self._ahead.popleft()
            self._changed[place] = None
            return place, read_buffered(data)
        if fresh is None:
            return None
        record = self._changed[self._fresh.pop(0)]
        assert record is not None
        self._changed[fresh] = None
        return fresh, record

    def _read_ahead(self, first: bytes, until: int) -> None:
        self._next = None
        for place, data in self.table.scan(first, _CLOCK):
            if time_of(place) > until or len(self._ahead) == _AHEAD_MAX:
                self._next = place
                return
            self._ahead.append((place, data))
