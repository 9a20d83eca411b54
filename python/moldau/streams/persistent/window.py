"""Window stores on disk: `(value, timestamp)` per key and start, in segments of time so that old ones go at once.

What is older than the retention is not given back even while its segment is still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.key_value import merge
from moldau.streams.persistent.overlay import Overlay, Room
from moldau.streams.persistent.segments import WIDTH, Segments, after
from moldau.streams.serdes import Windowed, required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.expired import ExpiredEntries
from moldau.streams.state.formats import (
    FIRST_IN_WINDOW,
    pack_timestamp,
    pack_window,
    split_timestamped,
    split_window_key,
    timestamped_bytes,
    unpack_timestamp,
    window_key,
)
from moldau.streams.topology.nodes import StoreSpec

_INT64_MAX: Final = 2**63 - 1
_MISSING: Final = object()


class DiskWindowStore:
    """One table of a task's database."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        assert spec.retention_ms is not None
        assert spec.window_size_ms is not None
        self.name = spec.name
        self.table = table
        self._context = context
        # Kafka's stores that emit on close keep a window one moment longer: they must still find it.
        self.segments = Segments(table, spec.retention_ms + spec.emits_on_close, spec.segment_interval_ms)
        self._size = spec.window_size_ms
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._expired = ExpiredEntries(spec, context, self._keys, self._values)
        self._cache: Overlay[tuple[Any, int], Any] = Overlay(room)
        self._changed_starts: dict[Any, dict[int, None]] | None = None
        """Per key the windows that changed, from the first time that the windows of a key were asked for."""
        self._removed_at: dict[tuple[Any, int], int] = {}
        self._as_is = self._values.kept_as_is
        self._key_of = None if self._keys.kept_as_is else self._keys.inward

    @property
    def stream_time(self) -> int:
        """The greatest start that was put, ms; -1 before the first."""
        return self.segments.stream_time

    @property
    def retention_ms(self) -> int:
        """How long before that windows are kept."""
        return self.segments.retention_ms

    def put(self, key: Any, value: Any, start: int) -> None:
        """Set the entry of one window; None (or a pair of None) removes it. One that is too old is only logged."""
        if not self.segments.takes(start):
            self._expired.put_window(key, value, start, self.segments.oldest)
            return
        kept = key if self._key_of is None else self._key_of(key)
        if self._changed_starts is not None:
            self._changed_starts.setdefault(kept, {})[start] = None
        if value is None or value[0] is None:
            self._cache.put((kept, start), None)
            self._removed_at[kept, start] = self._context.timestamp
        else:
            self._cache.put((kept, start), value if self._as_is else (self._values.inward(value[0]), value[1]))

    def fetch(self, key: Any, start: int) -> Any:
        """The entry of one window, or None."""
        segments = self.segments
        if start <= segments.stream_time - segments.retention_ms:
            return None
        kept = key if self._key_of is None else self._key_of(key)
        entry = self._cache.get((kept, start), _MISSING)
        if entry is _MISSING:
            entry = self._read(kept, start)
            self._cache.remember((kept, start), entry)
        return entry if entry is None or self._as_is else self._load(entry)

    def _read(self, kept: Any, start: int) -> Any:
        segments = self.segments
        if start > segments.noted_time:
            # So late a window was never written.
            return None
        place = segments.heads[start // segments.segment_ms] + self._keys.as_bytes(kept)
        data = self.table.read(place + pack_window(start, 0))
        return None if data is None else self._from_disk(data)

    def fetch_range(self, key: Any, start_from: int, start_to: int) -> Iterator[tuple[int, Any]]:
        """The windows of a key that start in the range, the earliest first."""
        return iter(self._of_key(key, start_from, start_to))

    def backward_fetch_range(self, key: Any, start_from: int, start_to: int) -> Iterator[tuple[int, Any]]:
        """The same, the latest first."""
        return iter(self._of_key(key, start_from, start_to)[::-1])

    def fetch_all(self, start_from: int, start_to: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every key's windows that start in the range, by start and then by the keys' bytes; a segment at a time."""
        oldest = max(start_from, self.segments.oldest)
        changed = self._changed_in(oldest, start_to)
        for prefix, _, _ in self.segments.spans(oldest, start_to):
            here = [one for one in changed if one[0].startswith(prefix)]
            found = []
            for data, entry in merge(self._below(prefix, after(prefix)), here):
                plain, start, _ = split_window_key(data[WIDTH:])
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
        put, heads, segment_ms = self.table.batch.put, self.segments.heads, self.segments.segment_ms
        key_bytes, value_bytes = self._keys.as_bytes, self._values.as_bytes
        for (kept, start), entry in self._cache.take_dirty():
            key = key_bytes(kept) + pack_window(start, 0)
            if entry is None:
                if start >= self.segments.oldest:
                    self.table.put(self.segments.place(start, key), None)
                    write(key, None, self._removed_at[kept, start])
                continue
            value, timestamp = value_bytes(entry[0]), entry[1]
            put(heads[start // segment_ms] + key, pack_timestamp(timestamp) + value)
            write(key, value, timestamp)
        if self._changed_starts is not None:
            self._changed_starts.clear()
        self._removed_at.clear()
        self._expired.flush(write)
        self.segments.note()

    @property
    def is_clean(self) -> bool:
        """Whether nothing changed since the last `flush`."""
        return self._cache.is_clean and self._expired.is_empty

    def write_rows(self, rows: Iterable[tuple[Any, ...]], write: ChangelogWriter) -> None:
        """Put windows as they are written, and hand them out at once: key and start (8 bytes), value, time (ms).

        The store `is_clean` before, and takes all of them.
        """
        put, heads, segment_ms, latest = self.table.batch.put, self.segments.heads, self.segments.segment_ms, -1
        for key_and_start, value, timestamp, *_ in rows:
            key = key_and_start + FIRST_IN_WINDOW
            (start,) = unpack_timestamp(key_and_start[-8:])
            if start > latest:
                latest = start
            put(heads[start // segment_ms] + key, pack_timestamp(timestamp) + value)
            write(key, value, timestamp)
        self.segments.takes(latest)
        self.segments.note()
        # What is known of the table from before is not true any more.
        self._cache.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        _, start, _ = split_window_key(key)
        if not self.segments.takes(start):
            return
        self.table.put(self.segments.place(start, key), None if value is None else timestamped_bytes(value, timestamp))
        self.segments.note()

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._cache.clear()
        self._changed_starts = None
        self._removed_at.clear()

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
            (self.segments.place(start, window_key(as_bytes(kept), start)), entry)
            for (kept, start), entry in self._cache.dirty()
            if start_from <= start <= start_to
        ]
        return sorted(changed, key=lambda one: one[0])

    def _of_key(self, key: Any, start_from: int, start_to: int) -> list[tuple[int, Any]]:
        kept = key if self._key_of is None else self._key_of(key)
        plain = self._keys.as_bytes(kept)
        oldest = max(start_from, self.segments.oldest)
        found: dict[int, Any] = {}
        for prefix, first, last in self.segments.spans(oldest, start_to):
            low = prefix + window_key(plain, first)
            high = prefix + window_key(plain, last, 0x7FFFFFFF) + b"\x00"
            for data, entry in self._below(low, high):
                # Longer keys that begin with this one lie in between.
                other, start, _ = split_window_key(data[WIDTH:])
                if other == plain:
                    found[start] = entry
        if self._changed_starts is None:
            self._changed_starts = {}
            for (changed, start), _ in self._cache.dirty():
                self._changed_starts.setdefault(changed, {})[start] = None
        for start in self._changed_starts.get(kept, ()):
            if oldest <= start <= start_to:
                entry = self._cache.get((kept, start), None)
                if entry is None:
                    found.pop(start, None)
                else:
                    found[start] = entry
        return [(start, self._load(found[start])) for start in sorted(found)]
