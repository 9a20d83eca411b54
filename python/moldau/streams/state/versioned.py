"""Versioned stores: every version of a row as long as the history, for joins that ask what was true then.

A version is true from its timestamp to that of the next; a tombstone is a version too. What is older than the history
is neither taken nor given back, except the latest version, which never goes. (`RocksDBVersionedStore`, KIP-889)
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
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


class VersionedStore(ABC):
    """`(value, timestamp)` per key and time; `outcome` is what became of the last put.

    True for the latest version of its row, False for one that is older than another, None for one that was too old.
    Where rows are kept is for the two kinds to say.
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
        self._dirty: dict[tuple[Any, int], Any] = {}
        self._stream_time = -1

    @abstractmethod
    def _row(self, kept: Any) -> Versions | None:
        """The versions of a row, None if there is none."""

    @abstractmethod
    def _keep_row(self, kept: Any, versions: Versions) -> None:
        """A row that has changed."""

    @abstractmethod
    def _version_ends(self, timestamp: int, kept: Any) -> None:
        """Something of this row is to be forgotten once that time is before the history."""

    @abstractmethod
    def _rows_between(self, low: bytes | None, high: bytes | None) -> Iterator[tuple[Any, Versions]]:
        """The rows from one key's bytes to another's, both included, by the bytes of keys; None is open."""

    def put(self, key: Any, pair: ValueAndTimestamp[Any] | None) -> None:
        """Add a version, or a tombstone at the time of the record in work for None; one that is too old is dropped."""
        value, timestamp = (None, self._context.timestamp) if pair is None else pair
        kept = self._keys.inward(key)
        held = None if value is None else self._values.inward(value)
        # Kafka logs also what it does not keep; here it must not take the place of what was kept since the last flush.
        if timestamp < self._stream_time - self._history:
            self._dirty.setdefault((kept, timestamp), held)
            self._context.dropped(self.name, "the version is older than the history")
            self.outcome = None
            return
        self._dirty[kept, timestamp] = held
        self.outcome = self._insert(kept, timestamp, held)

    def delete(self, key: Any) -> Any:
        """A tombstone at the time of the record in work; returns what the row was before."""
        old = self.get(key)
        self.put(key, None)
        return old

    def get(self, key: Any) -> ValueAndTimestamp[Any] | None:
        """The latest version, or None for a row that is not there."""
        versions = self._row(self._keys.inward(key))
        return None if versions is None else self._pair(versions[-1])

    def get_at(self, key: Any, as_of: int) -> ValueAndTimestamp[Any] | None:
        """The version that was true at a time (ms), None for none and for times before the history."""
        versions = self._row(self._keys.inward(key))
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
        for kept, versions in self._rows_between(low, high):
            pair = self._pair(versions[-1])
            if pair is not None:
                yield self._keys.outward(kept), pair

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
        """Forget what is in memory."""
        self._dirty.clear()

    def _insert(self, kept: Any, timestamp: int, held: Any) -> bool:
        if timestamp > self._stream_time:
            self._stream_time = timestamp
        versions = self._row(kept) or []
        if versions or held is None:
            self._version_ends(timestamp, kept)
        place = bisect.bisect_left(versions, timestamp, key=_time)
        if place < len(versions) and versions[place][0] == timestamp:
            versions[place] = timestamp, held
        else:
            versions.insert(place, (timestamp, held))
        self._keep_row(kept, versions)
        return place == len(versions) - 1

    @property
    def _oldest(self) -> int:
        return self._stream_time - self._history

    def _shorten(self, versions: Versions) -> bool:
        """Drop what nobody can ask for any more, versions that ended before the history; whether the row is left.

        A row that was deleted before the history is not.
        """
        oldest = self._oldest
        del versions[: max(0, bisect.bisect_right(versions, oldest, key=_time) - 1)]
        return not (len(versions) == 1 and versions[0][1] is None and versions[0][0] < oldest)

    def _pair(self, version: tuple[int, Any]) -> ValueAndTimestamp[Any] | None:
        timestamp, held = version
        return None if held is None else (self._values.outward(held), timestamp)


class MemoryVersionedStore(VersionedStore):
    """All rows in a dict."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        super().__init__(spec, context)
        self._rows: dict[Any, Versions] = {}
        self._ended: deque[tuple[int, Any]] = deque()

    def approximate_num_entries(self) -> int:
        """How many rows there are, deleted ones included that still have a history."""
        return len(self._rows)

    def close(self) -> None:
        """Forget everything."""
        super().close()
        self._rows.clear()
        self._ended.clear()

    def _row(self, kept: Any) -> Versions | None:
        return self._rows.get(kept)

    def _keep_row(self, kept: Any, versions: Versions) -> None:
        self._rows[kept] = versions

    def _version_ends(self, timestamp: int, kept: Any) -> None:
        self._ended.append((timestamp, kept))
        while self._ended[0][0] < self._oldest:
            old = self._ended.popleft()[1]
            versions = self._rows.get(old)
            if versions and not self._shorten(versions):
                del self._rows[old]
            if not self._ended:
                return

    def _rows_between(self, low: bytes | None, high: bytes | None) -> Iterator[tuple[Any, Versions]]:
        for data, kept in sorted((self._keys.as_bytes(kept), kept) for kept in self._rows):
            if (low is None or low <= data) and (high is None or data <= high):
                yield kept, self._rows[kept]
