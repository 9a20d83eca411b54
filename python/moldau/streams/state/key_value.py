"""Key-value stores in memory: plain values, or `(value, timestamp)` pairs, over one dict.

The dict is the write-back cache: reads and writes touch nothing else, and `flush` walks what is dirty. Keys that hash
and cannot change stand for themselves, all others are kept by their bytes.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.keyed import KeyedStore
from moldau.streams.topology.nodes import StoreSpec

_FEW: Final = 64


def _bytes_of(place: tuple[bytes, Any]) -> bytes:
    return place[0]


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
        self._sorted: list[tuple[bytes, Any]] = []
        """The keys in order, as of the last range; some may be gone since, and those of `_new` are still missing."""
        self._new: dict[Any, None] | None = None
        """None before the first range: a store that nobody walks over keeps no order."""
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
                entries.pop(key, None)
                if self._new:
                    self._new.pop(key, None)
                return
            if self._new is not None and key not in entries:
                self._new[key] = None
            entries[key] = value if as_is else keep(value)

        return put

    def range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """Entries from `start` to `end`, both included, in the order of the keys' bytes; None is open."""
        return self._walk(self._between(start, end))

    def reverse_range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """The same from the end to the start."""
        return self._walk(self._between(start, end)[::-1])

    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, Any]]:
        """Entries whose key's bytes begin with `prefix`."""
        order, length = self._in_order(), len(prefix)
        low = bisect.bisect_left(order, prefix, key=_bytes_of)
        high = bisect.bisect_right(order, prefix, low, key=lambda place: place[0][:length])
        return self._walk(order[low:high])

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
        if value is None:
            self._entries.pop(kept, None)
            if self._new:
                self._new.pop(kept, None)
        else:
            if self._new is not None and kept not in self._entries:
                self._new[kept] = None
            loaded = self._values.from_bytes(value)
            self._entries[kept] = (loaded, timestamp) if self._pairs else loaded

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._dirty.clear()
        self._sorted.clear()
        self._new = None

    def _in_order(self) -> list[tuple[bytes, Any]]:
        """The keys by their bytes: a few new ones are put in their places, many are sorted with all the others."""
        as_bytes, order, new, count = self._keys.as_bytes, self._sorted, self._new, len(self._entries)
        if new is None or len(order) > 2 * count + _FEW or len(new) > count // _FEW + _FEW:
            order[:] = sorted(((as_bytes(key), key) for key in self._entries), key=_bytes_of)
        else:
            for key in new:
                data = as_bytes(key)
                place = bisect.bisect_left(order, data, key=_bytes_of)
                if place == len(order) or order[place][0] != data:
                    order.insert(place, (data, key))
        self._new = {}
        return order

    def _between(self, start: Any, end: Any) -> list[tuple[bytes, Any]]:
        serialize = self._key_serde.serialize
        order = self._in_order()
        low = 0 if start is None else bisect.bisect_left(order, serialize(start), key=_bytes_of)
        high = len(order) if end is None else bisect.bisect_right(order, serialize(end), key=_bytes_of)
        return order[low:high]

    def _walk(self, places: list[tuple[bytes, Any]]) -> Iterator[tuple[Any, Any]]:
        for _, key in places:
            entry = self._entries.get(key)
            if entry is not None:
                yield self._keys.outward(key), self._load(entry)
