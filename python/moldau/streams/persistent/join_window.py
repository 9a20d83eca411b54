"""The window stores of stream joins on disk: every record of a side, in segments of time.

What came since the last commit is held by key; what is on disk is read a key at a time and kept as it is. A record
that is the only one of its key is not in a list: Python's garbage collector goes through every list there is again and
again, and tuples of plain values it passes.
"""

from __future__ import annotations

import bisect
import heapq
import struct
from collections.abc import Sequence
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.overlay import Overlay, Room
from moldau.streams.persistent.segments import WIDTH, Segments
from moldau.streams.serdes import required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.formats import pack_window, split_window_key, window_key
from moldau.streams.state.join_window import next_number
from moldau.streams.topology.nodes import StoreSpec

_MISSING: Final = object()
_NUMBER: Final = struct.Struct(">i")
_LAST_NUMBER: Final = b"\xfe"
"""Where the number of the last record is, which the next must not have again."""

Entry = tuple[int, int, Any, Any]
"""(time, number, value, key)."""
Entries = Sequence[Entry]
"""Those of one key, in order."""


class DiskJoinStore:
    """One table of a task's database."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        assert spec.retention_ms is not None
        self.name = spec.name
        self.table = table
        self._context = context
        self._retention = spec.retention_ms
        self._segment = spec.segment_interval_ms
        self.segments = Segments(table, spec.retention_ms, spec.segment_interval_ms)
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._on_disk: Overlay[Any, Entries] = Overlay(room)
        self._fresh: dict[Any, Entry | list[Entry]] = {}
        self._dirty: list[Entry] = []
        stored = table.get(_LAST_NUMBER)
        self._number = 0 if stored is None else int(_NUMBER.unpack(stored)[0])

    def put(self, key: Any, value: Any, timestamp: int) -> None:
        """Keep one more value. None is a tombstone in the changelog only.

        One that is older than the retention is in the changelog and never found again; one whose whole segment has
        gone counts as dropped.
        """
        kept = self._keys.inward(key)
        self._number = next_number(self._number)
        entry = timestamp, self._number, None if value is None else self._values.inward(value), kept
        self._dirty.append(entry)
        if value is None:
            return
        if self.segments.takes(timestamp):
            fresh = self._fresh.get(kept)
            if fresh is None:
                self._fresh[kept] = entry
            elif isinstance(fresh, tuple):
                self._fresh[kept] = sorted((fresh, entry), key=_place)
            else:
                _insert(fresh, entry)
        elif timestamp // self._segment < (self.segments.stream_time - self._retention) // self._segment:
            self._context.dropped(self.name, "the record is older than the window and its grace")

    def fetch(self, key: Any, time_from: int, time_to: int) -> list[tuple[int, Any]]:
        """The values of a key within these times, the earliest first."""
        segments = self.segments
        if time_from < segments.oldest:
            time_from = segments.oldest
        if time_from > segments.stream_time:
            return []
        kept = self._keys.inward(key)
        # Nothing that was committed is later than the time that was noted with it.
        found = _between(self._read(kept), time_from, time_to) if time_from <= segments.noted_time else ()
        fresh = self._fresh.get(kept)
        if fresh is not None:
            newer = _between((fresh,) if isinstance(fresh, tuple) else fresh, time_from, time_to)
            found = list(heapq.merge(found, newer, key=_place)) if found else newer
        if not found:
            return []
        outward = self._values.outward
        return [(timestamp, outward(value)) for timestamp, _, value, _ in found]

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what was put, and put the same into the database's next write."""
        oldest, heads, segment_ms = self.segments.oldest, self.segments.heads, self.segments.segment_ms
        put, key_bytes, value_bytes = self.table.batch.put, self._keys.as_bytes, self._values.as_bytes
        for timestamp, number, value, kept in self._dirty:
            data = None if value is None else value_bytes(value)
            key = key_bytes(kept) + pack_window(timestamp, number)
            if data is not None and timestamp >= oldest:
                put(heads[timestamp // segment_ms] + key, data)
            write(key, data, timestamp)
        if self._dirty:
            self.table.put(_LAST_NUMBER, _NUMBER.pack(self._number))
        self._dirty.clear()
        for kept, fresh in self._fresh.items():
            known = self._on_disk.get(kept, _MISSING)
            if known is not _MISSING:
                still = known[bisect.bisect_left(known, (oldest,), key=_place) :]
                newer = (fresh,) if isinstance(fresh, tuple) else fresh
                self._on_disk.remember(kept, tuple(heapq.merge(still, newer, key=_place)))
        self._fresh.clear()
        self.segments.note()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        _, start, number = split_window_key(key)
        if number > self._number:
            self._number = number
            self.table.put(_LAST_NUMBER, _NUMBER.pack(number))
        if self.segments.takes(start):
            self.table.put(self.segments.place(start, key), value)
            self.segments.note()

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._on_disk.clear()
        self._fresh.clear()
        self._dirty.clear()

    def _read(self, kept: Any) -> Entries:
        """What was committed of a key."""
        known: Entries = self._on_disk.get(kept, _MISSING)
        if known is not _MISSING:
            return known
        found: list[Entry] = []
        plain = self._keys.as_bytes(kept)
        for prefix, first, last in self.segments.spans(self.segments.oldest, self.segments.noted_time):
            low = prefix + window_key(plain, first)
            high = prefix + window_key(plain, last, 0x7FFFFFFF) + b"\x00"
            for data, value in self.table.scan(low, high):
                # Longer keys that begin with this one lie in between.
                other, start, number = split_window_key(data[WIDTH:])
                if other == plain:
                    found.append((start, number, self._values.from_bytes(value), kept))
        self._on_disk.remember(kept, tuple(found))
        return found


def _place(entry: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values are not compared."""
    return entry[:2]


def _between(entries: Entries, first: int, last: int) -> Entries:
    """Those of the times from one to another; a time alone comes before every entry that begins with it."""
    if not entries:
        return entries
    earliest, latest = entries[0][0], entries[-1][0]
    if latest < first or earliest > last:
        return ()
    if first <= earliest and latest <= last:
        return entries
    low = bisect.bisect_left(entries, (first,))
    return entries[low : bisect.bisect_left(entries, (last + 1,), low)]


def _insert(entries: list[Entry], entry: Entry) -> None:
    if entries[-1][:2] < entry[:2]:
        entries.append(entry)
    else:
        bisect.insort(entries, entry, key=_place)
