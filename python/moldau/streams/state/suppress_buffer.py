"""The buffer of `suppress`: the newest update per row, in the order of the rows' first updates.

In the changelog a key's value is that of `buffered`, and a header `v` of 3 says so.
(`InMemoryTimeOrderedKeyValueChangeBuffer`)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.operators.contract import Change
from moldau.streams.operators.origin import Origin
from moldau.streams.operators.suppress import NOT_WAITING
from moldau.streams.serdes import required
from moldau.streams.state.buffered import Buffered, buffered_bytes, read_buffered
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.topology.nodes import StoreSpec

_NEVER: Final = 2**63 - 1
_CONTEXT_BYTES: Final = 20
"""What Kafka counts for the numbers of a record's origin."""


class _Entry:
    """What waits for one key: the value before, the newest change, both as the codec keeps them."""

    __slots__ = ("bytes", "change", "key_bytes", "origin", "prior", "time")

    def __init__(self, time: int, key_bytes: bytes, prior: Any, change: Change[Any], origin: Origin) -> None:
        self.time = time
        self.key_bytes = key_bytes
        self.prior = prior
        self.change = change
        self.origin = origin
        self.bytes = 0


class MemorySuppressBuffer:
    """Rows that wait; `earliest` is the time of the first in the queue, `bytes` what Kafka counts for all of them."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        self.name = spec.name
        self.earliest = _NEVER
        self.bytes = 0
        self.weighs = False
        """Whether `bytes` is counted: that costs the bytes of every value that is put."""
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._entries: dict[Any, _Entry] = {}
        self._queue: list[tuple[int, bytes, int, Any]] = []
        """(time, bytes of the key, number, key): a number each, so that keys are never compared."""
        self._number = 0
        self._dirty: dict[Any, bytes] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, time: int, key: Any, change: Change[Any], origin: Origin) -> None:
        """The newest update of a row; one that waits already keeps its place."""
        kept, inward = self._keys.inward(key), self._values.inward
        new, old = (None if value is None else inward(value) for value in change[:2])
        entry = self._entries.get(kept)
        if entry is None:
            self._add(kept, _Entry(time, self._keys.as_bytes(kept), old, (new, old, True), origin))
        else:
            entry.change, entry.origin = (new, old, True), origin
            self._weigh(entry)
        self._dirty[kept] = self._entries[kept].key_bytes

    def evict(self, call: Callable[[Any, Any, Origin], None]) -> None:
        """Hand the first row to `call(key, change, origin)`, then forget it."""
        kept = self._queue[0][3]
        entry, outward = self._entries[kept], self._values.outward
        new, old, _ = entry.change
        change = None if new is None else outward(new), None if old is None else outward(old), True
        call(self._keys.outward(kept), change, entry.origin)
        self._dirty[kept] = entry.key_bytes
        self._remove(kept)

    def prior(self, key: Any) -> Any:
        """What the row was before its update began to wait; `NOT_WAITING` if none does."""
        entry = self._entries.get(self._keys.inward(key))
        if entry is None:
            return NOT_WAITING
        return None if entry.prior is None else self._values.outward(entry.prior)

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, each row once; Kafka gives these records no time."""
        for kept, key in self._dirty.items():
            entry = self._entries.get(kept)
            write(key, None if entry is None else self._entry_bytes(entry), -1)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        kept = self._keys.from_bytes(key)
        if kept in self._entries:
            self._remove(kept)
        if value is not None:
            self._add(kept, self._entry_of(key, value))

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._queue.clear()
        self._dirty.clear()
        self.earliest, self.bytes = _NEVER, 0

    def _add(self, kept: Any, entry: _Entry) -> None:
        self._entries[kept] = entry
        self._number += 1
        heapq.heappush(self._queue, (entry.time, entry.key_bytes, self._number, kept))
        self.earliest = self._queue[0][0]
        self._weigh(entry)

    def _remove(self, kept: Any) -> None:
        self.bytes -= self._entries.pop(kept).bytes
        queue = self._queue
        while queue and not self._waits_at(queue[0]):
            heapq.heappop(queue)
        self.earliest = queue[0][0] if queue else _NEVER

    def _waits_at(self, place: tuple[int, bytes, int, Any]) -> bool:
        entry = self._entries.get(place[3])
        return entry is not None and entry.time == place[0]

    def _weigh(self, entry: _Entry) -> None:
        if not self.weighs:
            return
        prior, old, new = (self._bytes(value) for value in (entry.prior, entry.change[1], entry.change[0]))
        size = 8 + len(entry.key_bytes) + _CONTEXT_BYTES + len(entry.origin.topic)
        size += len(prior or b"") + len(new or b"") + (0 if prior == old else len(old or b""))
        size += sum(len(name) + len(value or b"") for name, value in entry.origin.headers)
        self.bytes += size - entry.bytes
        entry.bytes = size

    def _bytes(self, value: Any) -> bytes | None:
        return None if value is None else self._values.as_bytes(value)

    def _entry_bytes(self, entry: _Entry) -> bytes:
        prior, old, new = (self._bytes(value) for value in (entry.prior, entry.change[1], entry.change[0]))
        return buffered_bytes(Buffered(entry.origin, prior, old, new, entry.time))

    def _entry_of(self, key: bytes, data: bytes) -> _Entry:
        record, load = read_buffered(data), self._values.from_bytes
        prior, old, new = (None if part is None else load(part) for part in record[1:4])
        return _Entry(record.time, key, prior, (new, old, True), record.origin)
