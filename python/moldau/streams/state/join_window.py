"""The window stores of stream joins: every record is kept, also when key and time are the same.

A sequence number tells equal ones apart, in memory and in the changelog (`retainDuplicates`).
"""

from __future__ import annotations

import bisect
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.serdes import required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.formats import split_window_key, window_key
from moldau.streams.topology.nodes import StoreSpec


def next_number(number: int) -> int:
    """The number after this one: 31 bits of it are in the key."""
    return (number + 1) & 0x7FFFFFFF


class MemoryJoinStore:
    """Values per key in the order of their times and arrival, as long as the retention."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        assert spec.retention_ms is not None
        self.name = spec.name
        self._context = context
        self._retention = spec.retention_ms
        self._segment = spec.segment_interval_ms
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._by_key: dict[Any, list[tuple[int, int, Any]]] = {}
        self._times: list[tuple[int, int, Any]] = []
        """(time, number, key) of every entry, in order: what expires first stands first."""
        self._dirty: list[tuple[Any, int, int, Any]] = []
        self._number = 0
        self._stream_time = -1

    def put(self, key: Any, value: Any, timestamp: int) -> None:
        """Keep one more value. None is a tombstone in the changelog only.

        One that is older than the retention is in the changelog and never found again; one whose whole segment has
        gone counts as dropped.
        """
        if value is not None and timestamp > self._stream_time:
            self._stream_time = timestamp
            self._expire()
        oldest = self._stream_time - self._retention
        if value is not None and timestamp // self._segment < oldest // self._segment:
            self._context.dropped(self.name, "the record is older than the window and its grace")
        self._number = next_number(self._number)
        kept = self._keys.inward(key)
        held = None if value is None else self._values.inward(value)
        self._dirty.append((kept, timestamp, self._number, held))
        if held is not None and timestamp > oldest:
            self._insert(kept, timestamp, self._number, held)

    def fetch(self, key: Any, time_from: int, time_to: int) -> list[tuple[int, Any]]:
        """The values of a key within these times, the earliest first."""
        entries = self._by_key.get(self._keys.inward(key))
        if entries is None:
            return []
        low = bisect.bisect_left(entries, (max(time_from, self._stream_time - self._retention + 1),))
        high = bisect.bisect_left(entries, (time_to + 1,))
        outward = self._values.outward
        return [(timestamp, outward(value)) for timestamp, _, value in entries[low:high]]

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what was put."""
        for key, timestamp, number, value in self._dirty:
            data = None if value is None else self._values.as_bytes(value)
            write(window_key(self._keys.as_bytes(key), timestamp, number), data, timestamp)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        plain, start, number = split_window_key(key)
        self._number = max(self._number, number)
        if start > self._stream_time:
            self._stream_time = start
            self._expire()
        if value is not None and start > self._stream_time - self._retention:
            self._insert(self._keys.from_bytes(plain), start, number, self._values.from_bytes(value))

    def close(self) -> None:
        """Forget everything."""
        for part in (self._by_key, self._times, self._dirty):
            part.clear()

    def _insert(self, key: Any, timestamp: int, number: int, value: Any) -> None:
        entries = self._by_key.setdefault(key, [])
        bisect.insort(entries, (timestamp, number, value), key=lambda entry: entry[:2])
        bisect.insort(self._times, (timestamp, number, key), key=lambda entry: entry[:2])

    def _expire(self) -> None:
        oldest = self._stream_time - self._retention
        if not self._times or self._times[0][0] > oldest:
            return
        gone = bisect.bisect_left(self._times, (oldest + 1,), key=lambda entry: entry[:1])
        for _, _, key in self._times[:gone]:
            entries = self._by_key[key]
            entries.pop(0)
            if not entries:
                del self._by_key[key]
        del self._times[:gone]
