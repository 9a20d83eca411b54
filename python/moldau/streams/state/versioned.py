"""Versioned stores in memory: every version of a row as long as the history, for joins that ask what was true then.

A version is true from its timestamp to that of the next; a tombstone is a version too. What is older than the history
is neither taken nor given back, except the latest version, which never goes. (`RocksDBVersionedStore`, KIP-889)
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.operators.contract import ValueAndTimestamp
from moldau.streams.serdes import required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.topology.nodes import StoreSpec

Versions = list[tuple[int, Any]]
"""(timestamp, value) of one row, the earliest first; the value of a tombstone is None."""


def _time(version: tuple[int, Any]) -> int:
    return version[0]


class MemoryVersionedStore:
    """`(value, timestamp)` per key and time; `outcome` is what became of the last put.

    True for the latest version of its row, False for one that is older than another, None for one that was too old.
    """

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        assert spec.retention_ms is not None
        self.name = spec.name
        self.outcome: bool | None = None
        self._context = context
        self._history = spec.retention_ms
        self._key_serde = required(spec.key, f"store {spec.name}", "key")
        self._keys = Codec(self._key_serde)
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._rows: dict[Any, Versions] = {}
        self._dirty: dict[tuple[Any, int], Any] = {}
        self._ended: deque[tuple[int, Any]] = deque()
        """When versions ended, and of which rows: what is to be forgotten once that is before the history."""
        self._stream_time = -1

    def put(self, key: Any, pair: ValueAndTimestamp[Any] | None) -> None:
        """Add a version, or a tombstone at the time of the record in work for None; one that is too old is dropped."""
        value, timestamp = (None, self._context.timestamp) if pair is None else pair
        kept = self._keys.inward(key)
        held = None if value is None else self._values.inward(value)
        # Kafka logs also what it does not keep.
        self._dirty[kept, timestamp] = held
        if timestamp < self._stream_time - self._history:
            self._context.dropped(self.name, "the version is older than the history")
            self.outcome = None
            return
        self.outcome = self._insert(kept, timestamp, held)

    def delete(self, key: Any) -> Any:
        """A tombstone at the time of the record in work; returns what the row was before."""
        old = self.get(key)
        self.put(key, None)
        return old

    def get(self, key: Any) -> ValueAndTimestamp[Any] | None:
        """The latest version, or None for a row that is not there."""
        versions = self._rows.get(self._keys.inward(key))
        return None if versions is None else self._pair(versions[-1])

    def get_at(self, key: Any, as_of: int) -> ValueAndTimestamp[Any] | None:
        """The version that was true at a time (ms), None for none and for times before the history."""
        versions = self._rows.get(self._keys.inward(key))
        if versions is None:
            return None
        if versions[-1][0] <= as_of:
            return self._pair(versions[-1])
        if as_of < self._stream_time - self._history:
            return None
        place = bisect.bisect_right(versions, as_of, key=_time)
        return self._pair(versions[place - 1]) if place else None

    def all(self) -> Iterator[tuple[Any, ValueAndTimestamp[Any]]]:
        """The latest version of every row, by the bytes of keys."""
        return self.range()

    def range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, ValueAndTimestamp[Any]]]:
        """The latest versions from one key to another, both included, by the bytes of keys; None is open."""
        serialize = self._key_serde.serialize
        low, high = None if start is None else serialize(start), None if end is None else serialize(end)
        for data, kept in sorted((self._keys.as_bytes(kept), kept) for kept in self._rows):
            pair = self._pair(self._rows[kept][-1])
            if pair is not None and (low is None or low <= data) and (high is None or data <= high):
                yield self._keys.outward(kept), pair

    def approximate_num_entries(self) -> int:
        """How many rows there are, deleted ones included that still have a history."""
        return len(self._rows)

    def corrected(self, forward: Callable[..., None]) -> Callable[..., None]:
        """`forward` for the changes of puts: one that was too old goes no further, one that is late says so."""

        def forward_put(key: Any, change: Any, timestamp: int, headers: Any) -> None:
            outcome = self.outcome
            if outcome is not None:
                forward(key, (change[0], change[1], outcome), timestamp, headers)

        return forward_put

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out the versions that were put, each once."""
        for (kept, timestamp), held in self._dirty.items():
            write(self._keys.as_bytes(kept), None if held is None else self._values.as_bytes(held), timestamp)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        if timestamp >= self._stream_time - self._history:
            held = None if value is None else self._values.from_bytes(value)
            self._insert(self._keys.from_bytes(key), timestamp, held)

    def close(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._dirty.clear()
        self._ended.clear()

    def _insert(self, kept: Any, timestamp: int, held: Any) -> bool:
        if timestamp > self._stream_time:
            self._stream_time = timestamp
        self._forget()
        versions = self._rows.setdefault(kept, [])
        if versions or held is None:
            self._ended.append((timestamp, kept))
        if not versions or timestamp > versions[-1][0]:
            versions.append((timestamp, held))
            return True
        place = bisect.bisect_left(versions, timestamp, key=_time)
        if versions[place][0] == timestamp:
            versions[place] = timestamp, held
        else:
            versions.insert(place, (timestamp, held))
        return place == len(versions) - 1

    def _forget(self) -> None:
        """Drop what nobody can ask for any more: versions that ended before the history, rows that are long deleted."""
        oldest = self._stream_time - self._history
        while self._ended and self._ended[0][0] < oldest:
            kept = self._ended.popleft()[1]
            versions = self._rows.get(kept)
            if not versions:
                continue
            del versions[: max(0, bisect.bisect_right(versions, oldest, key=_time) - 1)]
            if len(versions) == 1 and versions[0][1] is None and versions[0][0] < oldest:
                del self._rows[kept]

    def _pair(self, version: tuple[int, Any]) -> ValueAndTimestamp[Any] | None:
        timestamp, held = version
        return None if held is None else (self._values.outward(held), timestamp)
