"""Window stores on disk: `(value, timestamp)` per key and start, in segments of time so that old ones go at once.

A table's key is the number of the segment (8 bytes) and Kafka's window key. Segments are as long as in Kafka: half of
the retention, at least a minute. Entries live as long as the retention, counted in the store's own stream time; what is
older is not given back even while its segment is still there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.key_value import merge
from moldau.streams.persistent.overlay import Overlay
from moldau.streams.serdes import Windowed, required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.formats import split_timestamped, split_window_key, timestamped_bytes, window_key
from moldau.streams.topology.nodes import StoreSpec

_INT64_MAX: Final = 2**63 - 1
_MISSING: Final = object()
_SEGMENT: Final = struct.Struct(">q")
_STREAM_TIME: Final = b"\xff"
"""The table's last key: the greatest start that was put, which a restart must know."""


class DiskWindowStore:
    """One table of a task's database."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, cache_entries: int) -> None:
        assert spec.retention_ms is not None
        assert spec.window_size_ms is not None
        self.name = spec.name
        self.table = table
        self._context = context
        self._retention = spec.retention_ms
        self._size = spec.window_size_ms
        self._segment_ms = spec.segment_interval_ms
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._cache: Overlay[tuple[Any, int], Any] = Overlay(cache_entries)
        self._changed_starts: dict[Any, dict[int, None]] = {}
        self._as_is = self._values.kept_as_is
        self._key_of = None if self._keys.kept_as_is else self._keys.inward
        stored = table.get(_STREAM_TIME)
        self._stream_time = -1 if stored is None else int(_SEGMENT.unpack(stored)[0])
        self._noted_time = self._stream_time
        self._oldest_segment = self._segment(self._stream_time - self._retention + 1)

    def put(self, key: Any, value: Any, start: int) -> None:
        """Set the entry of one window; None (or a pair of None) removes it. One that is too old is dropped."""
        if start > self._stream_time:
            self._stream_time = start
        elif start <= self._stream_time - self._retention:
            self._context.dropped(self.name, "the window is older than the store's retention")
            return
        kept = key if self._key_of is None else self._key_of(key)
        starts = self._changed_starts.get(kept)
        if starts is None:
            starts = self._changed_starts[kept] = {}
        starts[start] = None
        if value is None or value[0] is None:
            self._cache.put((kept, start), None)
        else:
            self._cache.put((kept, start), value if self._as_is else (self._values.inward(value[0]), value[1]))

    def fetch(self, key: Any, start: int) -> Any:
        """The entry of one window, or None."""
        if start <= self._stream_time - self._retention:
            return None
        kept = key if self._key_of is None else self._key_of(key)
        entry = self._cache.get((kept, start), _MISSING)
        if entry is _MISSING:
            data = self.table.get(self._place(self._keys.as_bytes(kept), start))
            entry = None if data is None else self._from_disk(data)
            self._cache.remember((kept, start), entry)
        return entry if entry is None or self._as_is else self._load(entry)

    def fetch_range(self, key: Any, start_from: int, start_to: int) -> Iterator[tuple[int, Any]]:
        """The windows of a key that start in the range, the earliest first."""
        return iter(self._of_key(key, start_from, start_to))

    def backward_fetch_range(self, key: Any, start_from: int, start_to: int) -> Iterator[tuple[int, Any]]:
        """The same, the latest first."""
        return iter(self._of_key(key, start_from, start_to)[::-1])

    def fetch_all(self, start_from: int, start_to: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every key's windows that start in the range, by start and then by the keys' bytes; a segment at a time."""
        oldest = max(start_from, self._oldest())
        if start_to < oldest:
            return
        latest = min(start_to, max(self._stream_time, oldest))
        changed = self._changed_in(oldest, latest)
        for segment in range(self._segment(oldest), self._segment(latest) + 1):
            prefix = _SEGMENT.pack(segment)
            here = [one for one in changed if one[0].startswith(prefix)]
            found = []
            for data, entry in merge(self._below(prefix, _SEGMENT.pack(segment + 1)), here):
                plain, start, _ = split_window_key(data[_SEGMENT.size :])
                if oldest <= start <= start_to:
                    found.append((start, plain, entry))
            for start, plain, entry in sorted(found, key=lambda one: one[:2]):
                key = self._keys.outward(self._keys.from_bytes(plain))
                yield Windowed(key, start, min(start + self._size, _INT64_MAX)), self._load(entry)

    def all(self) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every window that is kept."""
        return self.fetch_all(0, _INT64_MAX)

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out the windows that changed, each once, and put the same into the database's next write."""
        table = self.table
        for (kept, start), entry in self._cache.take_dirty():
            if start <= self._stream_time - self._retention and entry is None:
                continue
            key = self._keys.as_bytes(kept)
            if entry is None:
                table.put(self._place(key, start), None)
                write(window_key(key, start), None, self._context.timestamp)
            else:
                value = self._values.as_bytes(entry[0])
                table.put(self._place(key, start), timestamped_bytes(value, entry[1]))
                write(window_key(key, start), value, entry[1])
        self._changed_starts.clear()
        self._note_time()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        plain, start, _ = split_window_key(key)
        if start > self._stream_time:
            self._stream_time = start
        elif start <= self._stream_time - self._retention:
            return
        self.table.put(self._place(plain, start), None if value is None else timestamped_bytes(value, timestamp))
        self._note_time()

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._cache.clear()
        self._changed_starts.clear()

    def _note_time(self) -> None:
        """Put the stream time into the next write, and with it the end of segments that are over."""
        if self._stream_time == self._noted_time:
            return
        self._noted_time = self._stream_time
        self.table.put(_STREAM_TIME, _SEGMENT.pack(self._stream_time))
        oldest = self._segment(self._oldest())
        if oldest > self._oldest_segment:
            self._oldest_segment = oldest
            self.table.delete_before(_SEGMENT.pack(oldest))

    def _segment(self, start: int) -> int:
        return max(start, 0) // self._segment_ms

    def _place(self, key: bytes, start: int) -> bytes:
        return _SEGMENT.pack(start // self._segment_ms) + window_key(key, start)

    def _oldest(self) -> int:
        return max(0, self._stream_time - self._retention + 1)

    def _load(self, entry: Any) -> Any:
        return entry if self._as_is else (self._values.outward(entry[0]), entry[1])

    def _from_disk(self, data: bytes) -> Any:
        value, timestamp = split_timestamped(data)
        return self._values.from_bytes(value), timestamp

    def _below(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, Any]]:
        return ((data, self._from_disk(value)) for data, value in self.table.scan(low, high))

    def _changed_in(self, start_from: int, start_to: int) -> list[tuple[bytes, Any]]:
        as_bytes = self._keys.as_bytes
        changed = [
            (self._place(as_bytes(kept), start), entry)
            for (kept, start), entry in self._cache.dirty()
            if start_from <= start <= start_to
        ]
        return sorted(changed, key=lambda one: one[0])

    def _of_key(self, key: Any, start_from: int, start_to: int) -> list[tuple[int, Any]]:
        kept = key if self._key_of is None else self._key_of(key)
        plain = self._keys.as_bytes(kept)
        oldest, latest = max(start_from, self._oldest()), min(start_to, self._stream_time)
        if latest < oldest:
            return []
        found: dict[int, Any] = {}
        for segment in range(self._segment(oldest), self._segment(latest) + 1):
            prefix = _SEGMENT.pack(segment)
            low = prefix + window_key(plain, max(oldest, segment * self._segment_ms))
            high = prefix + window_key(plain, latest, 0x7FFFFFFF) + b"\x00"
            for data, entry in self._below(low, high):
                # Longer keys that begin with this one lie in between.
                other, start, _ = split_window_key(data[_SEGMENT.size :])
                if other == plain:
                    found[start] = entry
        for start in self._changed_starts.get(kept, ()):
            if oldest <= start <= latest:
                entry = self._cache.get((kept, start), None)
                if entry is None:
                    found.pop(start, None)
                else:
                    found[start] = entry
        return [(start, self._load(found[start])) for start in sorted(found)]
