"""Key-value stores on disk: plain values, or `(value, timestamp)` pairs in the bytes of Kafka's timestamped stores.

What is read and written between two commits is in a dict; RocksDB is asked once per key and written once per commit.
Entries that were written stay in the dict until there are many; then the older half goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.overlay import Overlay, Room
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.formats import pack_timestamp, split_timestamped, timestamped_bytes
from moldau.streams.state.keyed import KeyedStore
from moldau.streams.topology.nodes import StoreSpec

_MISSING: Final = object()


class DiskKeyValueStore(KeyedStore):
    """One table of a task's database."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        super().__init__(spec, context)
        self.table = table
        self._cache: Overlay[Any, Any] = Overlay(room)
        self._changed_at: dict[Any, int] = {}
        """When what has no time of its own was changed: the time of the record in work."""

    def get(self, key: Any) -> Any:
        """What a key has, or None."""
        kept = key if self._as_is else self._keys.inward(key)
        entry = self._cache.get(kept, _MISSING)
        if entry is _MISSING:
            data = self.table.get(self._keys.as_bytes(kept))
            entry = None if data is None else self._from_disk(data)
            self._cache.remember(kept, entry)
        return entry if entry is None or self._as_is else self._load(entry)

    def put(self, key: Any, value: Any) -> None:
        """Set or, with None or a pair of None, remove a key."""
        kept = key if self._as_is else self._keys.inward(key)
        if value is None or (self._pairs and value[0] is None):
            self._cache.put(kept, None)
            self._changed_at[kept] = self._context.timestamp
            return
        self._cache.put(kept, value if self._as_is else self._keep(value))
        if not self._pairs:
            self._changed_at[kept] = self._context.timestamp

    def range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """Entries from `start` to `end`, both included, in the order of the keys' bytes; None is open."""
        return self._walk(*self._bounds(start, end))

    def reverse_range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """The same from the end to the start."""
        return iter(list(self._walk(*self._bounds(start, end)))[::-1])

    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, Any]]:
        """Entries whose key's bytes begin with `prefix`."""
        for data, entry in self._bytes_between(prefix, None):
            if not data.startswith(prefix):
                return
            yield self._out(data, entry)

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Every entry in the order of the keys' bytes."""
        return self.range()

    def reverse_all(self) -> Iterator[tuple[Any, Any]]:
        """Every entry, the last first."""
        return self.reverse_range()

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, each entry once, and put the same into the database's next write."""
        table, changed_at = self.table, self._changed_at
        put, prefix, key_bytes, value_bytes = table.batch.put, table.prefix, self._keys.as_bytes, self._values.as_bytes
        for kept, entry in self._cache.take_dirty():
            key = key_bytes(kept)
            if entry is None:
                table.put(key, None)
                write(key, None, changed_at[kept])
                continue
            if self._pairs:
                value, timestamp = value_bytes(entry[0]), entry[1]
                put(prefix + key, pack_timestamp(timestamp) + value)
            else:
                value, timestamp = value_bytes(entry), changed_at[kept]
                put(prefix + key, value)
            write(key, value, timestamp)
        changed_at.clear()

    @property
    def is_clean(self) -> bool:
        """Whether nothing changed since the last `flush`."""
        return self._cache.is_clean

    def write_rows(self, rows: Iterable[tuple[Any, ...]], write: ChangelogWriter) -> None:
        """Put pairs as they are written, and hand them out at once: key, value, time (ms). The store `is_clean`."""
        put, prefix = self.table.batch.put, self.table.prefix
        for key, value, timestamp, *_ in rows:
            put(prefix + key, pack_timestamp(timestamp) + value)
            write(key, value, timestamp)
        # What is known of the table from before is not true any more.
        self._cache.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        self.table.put(key, timestamped_bytes(value, timestamp) if self._pairs and value is not None else value)

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._cache.clear()
        self._changed_at.clear()

    def _from_disk(self, data: bytes) -> Any:
        if not self._pairs:
            return self._values.from_bytes(data)
        value, timestamp = split_timestamped(data)
        return self._values.from_bytes(value), timestamp

    def _bounds(self, start: Any, end: Any) -> tuple[bytes, bytes | None]:
        serialize = self._key_serde.serialize
        return b"" if start is None else serialize(start), None if end is None else serialize(end) + b"\x00"

    def _walk(self, low: bytes, high: bytes | None) -> Iterator[tuple[Any, Any]]:
        for data, entry in self._bytes_between(low, high):
            yield self._out(data, entry)

    def _out(self, data: bytes, entry: Any) -> tuple[Any, Any]:
        return self._keys.outward(self._keys.from_bytes(data)), self._load(entry)

    def _bytes_between(self, low: bytes, high: bytes | None) -> Iterator[tuple[bytes, Any]]:
        as_bytes = self._keys.as_bytes
        changed = sorted(
            (data, entry)
            for data, entry in ((as_bytes(kept), entry) for kept, entry in self._cache.dirty())
            if low <= data and (high is None or data < high)
        )
        below = ((data, self._from_disk(value)) for data, value in self.table.scan(low, high))
        return merge(below, changed)


def merge(below: Iterator[tuple[bytes, Any]], changed: list[tuple[bytes, Any]]) -> Iterator[tuple[bytes, Any]]:
    """What is on disk with what changed since laid over it, in order; an entry of None hides the one below."""
    changes = iter(changed)
    upper = next(changes, None)
    for data, entry in below:
        while upper is not None and upper[0] < data:
            if upper[1] is not None:
                yield upper
            upper = next(changes, None)
        if upper is not None and upper[0] == data:
            if upper[1] is not None:
                yield upper
            upper = next(changes, None)
            continue
        yield data, entry
    while upper is not None:
        if upper[1] is not None:
            yield upper
        upper = next(changes, None)
