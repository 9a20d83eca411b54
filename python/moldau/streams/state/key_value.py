"""Key-value stores in memory: plain values, or `(value, timestamp)` pairs, over one dict.

The dict is the write-back cache: reads and writes touch nothing else, and `flush` walks what is dirty. Keys that hash
and cannot change stand for themselves, all others are kept by their bytes.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.keyed import KeyedStore
from moldau.streams.topology.nodes import StoreSpec


class MemoryKeyValueStore(KeyedStore):
    """One dict of entries and the keys that changed since the last flush.

    With `timestamped` an entry is a pair and its changelog record carries the pair's timestamp; otherwise the
    timestamp of the record in work.
    """

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        super().__init__(spec, context)
        self._entries: dict[Any, Any] = {}
        self._dirty: dict[Any, int] = {}
        """Keys that changed, with the time of the record that changed them."""
        self._sorted: list[tuple[bytes, Any]] | None = None
        self.get = self._reader()
        self.put = self._writer()

    def _reader(self) -> Callable[[Any], Any]:
        entries, key_of, load = self._entries, self._keys.inward, self._load
        if self._as_is:
            return entries.get

        def get(key: Any) -> Any:
            entry = entries.get(key_of(key))
            return None if entry is None else load(entry)

        return get

    def _writer(self) -> Callable[[Any, Any], None]:
        entries, dirty, context = self._entries, self._dirty, self._context
        key_of, keep, as_is = self._keys.inward, self._keep, self._as_is

        def put(key: Any, value: Any) -> None:
            if not as_is:
                key = key_of(key)
            dirty[key] = context.timestamp
            if value is None or (self._pairs and value[0] is None):
                if entries.pop(key, None) is not None:
                    self._sorted = None
                return
            if key not in entries:
                self._sorted = None
            entries[key] = value if as_is else keep(value)

        return put

    def range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """Entries from `start` to `end`, both included, in the order of the keys' bytes; None is open."""
        return self._walk(*self._bounds(start, end))

    def reverse_range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """The same from the end to the start."""
        return self._walk(*self._bounds(start, end), backward=True)

    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, Any]]:
        """Entries whose key's bytes begin with `prefix`."""
        for data, key in self._in_order():
            if data.startswith(prefix):
                yield self._keys.outward(key), self._load(self._entries[key])

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Every entry in the order of the keys' bytes."""
        return self.range()

    def reverse_all(self) -> Iterator[tuple[Any, Any]]:
        """Every entry, the last first."""
        return self.reverse_range()

    def approximate_num_entries(self) -> int:
        """How many entries there are; in memory the number is exact."""
        return len(self._entries)

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, each entry once, in the order of its first change."""
        as_bytes, value_bytes = self._keys.as_bytes, self._values.as_bytes
        for key, changed_at in self._dirty.items():
            entry = self._entries.get(key)
            if entry is None:
                write(as_bytes(key), None, changed_at)
            elif self._pairs:
                write(as_bytes(key), value_bytes(entry[0]), entry[1])
            else:
                write(as_bytes(key), value_bytes(entry), changed_at)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        kept = self._keys.from_bytes(key)
        self._sorted = None
        if value is None:
            self._entries.pop(kept, None)
        else:
            loaded = self._values.from_bytes(value)
            self._entries[kept] = (loaded, timestamp) if self._pairs else loaded

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._dirty.clear()

    def _in_order(self) -> list[tuple[bytes, Any]]:
        if self._sorted is None:
            as_bytes = self._keys.as_bytes
            self._sorted = sorted(((as_bytes(key), key) for key in self._entries), key=lambda pair: pair[0])
        return self._sorted

    def _bounds(self, start: Any, end: Any) -> tuple[int, int]:
        serialize = self._key_serde.serialize
        order = self._in_order()
        low = 0 if start is None else bisect.bisect_left(order, serialize(start), key=lambda pair: pair[0])
        high = len(order) if end is None else bisect.bisect_right(order, serialize(end), key=lambda pair: pair[0])
        return low, high

    def _walk(self, low: int, high: int, *, backward: bool = False) -> Iterator[tuple[Any, Any]]:
        keys = [key for _, key in self._in_order()[low:high]]
        for key in reversed(keys) if backward else keys:
            entry = self._entries.get(key)
            if entry is not None:
                yield self._keys.outward(key), self._load(entry)
