"""Window stores in memory: entries by key and start, and the starts in order, so that old windows go in one step.

Entries live as long as the retention, counted in the store's own stream time: the greatest start that was put
(`InMemoryWindowStore`). What is older goes on the changelog only, as Kafka's does.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.serdes import Windowed, required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.expired import ExpiredEntries
from moldau.streams.state.formats import split_window_key, window_key
from moldau.streams.topology.nodes import StoreSpec

_INT64_MAX = 2**63 - 1


class MemoryWindowStore:
    """`(value, timestamp)` per key and start."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        assert spec.retention_ms is not None
        assert spec.window_size_ms is not None
        self.name = spec.name
        self._context = context
        # Kafka's stores that emit on close keep a window one moment longer: they must still find it.
        self.retention_ms = spec.retention_ms + spec.emits_on_close
        self._size = spec.window_size_ms
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._by_key: dict[Any, dict[int, Any]] = {}
        self._by_start: dict[int, dict[Any, None]] = {}
        self._starts: list[int] = []
        self._dirty: dict[tuple[Any, int], int] = {}
        self._expired = ExpiredEntries(spec, context, self._keys, self._values)
        self.stream_time = -1
        self._as_is = self._values.kept_as_is
        self._key_of: Callable[[Any], Any] | None = None if self._keys.kept_as_is else self._keys.inward

    def put(self, key: Any, value: Any, start: int) -> None:
        """Set the entry of one window; None (or a pair of None) removes it. One that is too old is only logged."""
        if start > self.stream_time:
            self.stream_time = start
            self._expire()
        elif start <= self.stream_time - self.retention_ms:
            self._expired.put_window(key, value, start, self._oldest(0))
            return
        if self._key_of is not None:
            key = self._key_of(key)
        self._dirty[key, start] = self._context.timestamp
        if value is None or value[0] is None:
            self._remove(key, start)
            return
        windows = self._by_key.get(key)
        if windows is None:
            windows = self._by_key[key] = {}
        if start not in windows:
            self._note(key, start)
        windows[start] = value if self._as_is else (self._values.inward(value[0]), value[1])

    def fetch(self, key: Any, start: int) -> Any:
        """The entry of one window, or None."""
        if start <= self.stream_time - self.retention_ms:
            return None
        windows = self._by_key.get(key if self._key_of is None else self._key_of(key))
        entry = None if windows is None else windows.get(start)
        return entry if self._as_is or entry is None else self._load(entry)

    def fetch_range(self, key: Any, start_from: int, start_to: int) -> Iterator[tuple[int, Any]]:
        """The windows of a key that start in the range, the earliest first."""
        return iter(self._of_key(key, start_from, start_to))

    def backward_fetch_range(self, key: Any, start_from: int, start_to: int) -> Iterator[tuple[int, Any]]:
        """The same, the latest first."""
        return iter(self._of_key(key, start_from, start_to)[::-1])

    def fetch_all(self, start_from: int, start_to: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every key's windows that start in the range, by start and then by the keys' bytes."""
        low = bisect.bisect_left(self._starts, self._oldest(start_from))
        high = bisect.bisect_right(self._starts, start_to)
        for start in self._starts[low:high]:
            for key in sorted(self._by_start.get(start, ()), key=self._keys.as_bytes):
                entry = self._by_key[key][start]
                end = min(start + self._size, _INT64_MAX)
                yield Windowed(self._keys.outward(key), start, end), self._load(entry)

    def all(self) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every window that is kept."""
        return self.fetch_all(0, _INT64_MAX)

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out the windows that changed, each once."""
        for (key, start), changed_at in self._dirty.items():
            entry = self._by_key.get(key, {}).get(start)
            data = window_key(self._keys.as_bytes(key), start)
            if entry is not None:
                write(data, self._values.as_bytes(entry[0]), entry[1])
            elif start > self.stream_time - self.retention_ms:
                write(data, None, changed_at)
        self._dirty.clear()
        self._expired.flush(write)

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        plain, start, _ = split_window_key(key)
        kept = self._keys.from_bytes(plain)
        if start > self.stream_time:
            self.stream_time = start
            self._expire()
        if value is None or start <= self.stream_time - self.retention_ms:
            self._remove(kept, start)
            return
        windows = self._by_key.setdefault(kept, {})
        if start not in windows:
            self._note(kept, start)
        windows[start] = (self._values.from_bytes(value), timestamp)

    def close(self) -> None:
        """Forget everything."""
        for part in (self._by_key, self._by_start, self._dirty, self._starts):
            part.clear()

    def _load(self, entry: Any) -> Any:
        return entry if self._as_is else (self._values.outward(entry[0]), entry[1])

    def _of_key(self, key: Any, start_from: int, start_to: int) -> list[tuple[int, Any]]:
        windows = self._by_key.get(key if self._key_of is None else self._key_of(key), {})
        oldest = self._oldest(start_from)
        return [(start, self._load(windows[start])) for start in sorted(windows) if oldest <= start <= start_to]

    def _oldest(self, start_from: int) -> int:
        return max(start_from, self.stream_time - self.retention_ms + 1)

    def _note(self, key: Any, start: int) -> None:
        keys = self._by_start.get(start)
        if keys is None:
            keys = self._by_start[start] = {}
            if not self._starts or start > self._starts[-1]:
                self._starts.append(start)
            else:
                bisect.insort(self._starts, start)
        keys[key] = None

    def _remove(self, key: Any, start: int) -> None:
        windows = self._by_key.get(key)
        if windows is None or windows.pop(start, None) is None:
            return
        if not windows:
            del self._by_key[key]
        self._by_start[start].pop(key)

    def _expire(self) -> None:
        oldest = self.stream_time - self.retention_ms
        if not self._starts or self._starts[0] > oldest:
            return
        gone = bisect.bisect_right(self._starts, oldest)
        for start in self._starts[:gone]:
            for key in self._by_start.pop(start):
                windows = self._by_key[key]
                del windows[start]
                if not windows:
                    del self._by_key[key]
        del self._starts[:gone]
