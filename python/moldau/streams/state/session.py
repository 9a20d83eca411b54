"""Session stores in memory: values by key and session, and their ends in order.

Kept as long as the retention, counted in the store's own stream time, the greatest end of a session that was put.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.serdes import Windowed, required
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.expired import ExpiredEntries
from moldau.streams.state.formats import session_key, split_session_key
from moldau.streams.topology.nodes import StoreSpec


class MemorySessionStore:
    """Plain values per key and session; the changelog carries the time of the record that made them."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        assert spec.retention_ms is not None
        self.name = spec.name
        self._context = context
        self._retention = spec.retention_ms
        # Sessions that are emitted on close must be found after stream time has jumped: they go by whole segments.
        self._segment = spec.segment_interval_ms if spec.emits_on_close else 1
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._by_key: dict[Any, dict[tuple[int, int], Any]] = {}
        """Per key the values by (end, start)."""
        self._ends: list[tuple[int, int, bytes, Any]] = []
        self._dirty: dict[tuple[Any, int, int], tuple[int, bool]] = {}
        """What changed since the last flush: the time of the record that changed it, if it may be on a changelog."""
        self._expired = ExpiredEntries(spec, context, self._keys, self._values)
        self._stream_time = -1

    def put(self, session: Windowed[Any], value: Any) -> None:
        """Set a session's value; one that is too old is only logged."""
        key, start, end = self._keys.inward(session[0]), session[1], session[2]
        if end > self._stream_time:
            self._stream_time = end
            self._expire()
        elif end <= self._stream_time - self._retention:
            self._expired.put_session(session, value, self._stream_time - self._retention + 1)
            return
        changed = self._dirty.pop((key, end, start), None)
        if value is None:
            self._remove(key, end, start)
            # One that came and went between two flushes nobody has to hear of.
            if changed is None or changed[1]:
                self._dirty[key, end, start] = self._context.timestamp, True
        else:
            known = (end, start) in self._by_key.get(key, ()) if changed is None else changed[1]
            self._dirty[key, end, start] = self._context.timestamp, known
            self._set(key, end, start, self._values.inward(value))

    def remove(self, session: Windowed[Any]) -> None:
        """Remove a session."""
        self.put(session, None)

    def fetch(self, key: Any) -> Iterator[tuple[Windowed[Any], Any]]:
        """All sessions of a key, by their ends."""
        return self.find_sessions(key, 0, 2**63 - 1)

    def fetch_session(self, key: Any, start: int, end: int) -> Any:
        """The value of one session, or None."""
        if end <= self._stream_time - self._retention:
            return None
        value = self._by_key.get(self._keys.inward(key), {}).get((end, start))
        return None if value is None else self._values.outward(value)

    def find_sessions(self, key: Any, earliest_end: int, latest_start: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """The sessions of a key that end and start within these bounds, by their ends."""
        oldest = max(earliest_end, self._stream_time - self._retention + 1)
        sessions = self._by_key.get(self._keys.inward(key), {})
        for end, start in sorted(sessions):
            if end >= oldest and start <= latest_start:
                yield Windowed(key, start, end), self._values.outward(sessions[end, start])

    def find_all_sessions(self, earliest_end: int, latest_end: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every key's sessions that end within these bounds, by end, start and the bytes of keys."""
        low = bisect.bisect_left(self._ends, (earliest_end,))
        high = bisect.bisect_left(self._ends, (latest_end + 1,))
        for end, start, _, key in self._ends[low:high]:
            value = self._by_key[key][end, start]
            yield Windowed(self._keys.outward(key), start, end), self._values.outward(value)

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out the sessions that changed, each once."""
        for (key, end, start), (timestamp, _) in self._dirty.items():
            value = self._by_key.get(key, {}).get((end, start))
            data = session_key(self._keys.as_bytes(key), start, end)
            write(data, None if value is None else self._values.as_bytes(value), timestamp)
        self._dirty.clear()
        self._expired.flush(write)

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        plain, start, end = split_session_key(key)
        kept = self._keys.from_bytes(plain)
        if end > self._stream_time:
            self._stream_time = end
            self._expire()
        if value is None or end <= self._stream_time - self._retention:
            self._remove(kept, end, start)
        else:
            self._set(kept, end, start, self._values.from_bytes(value))

    def close(self) -> None:
        """Forget everything."""
        for part in (self._by_key, self._ends, self._dirty):
            part.clear()

    def _set(self, key: Any, end: int, start: int, value: Any) -> None:
        sessions = self._by_key.setdefault(key, {})
        if (end, start) not in sessions:
            bisect.insort(self._ends, self._place(key, end, start))
        sessions[end, start] = value

    def _remove(self, key: Any, end: int, start: int) -> None:
        sessions = self._by_key.get(key)
        if sessions is None or sessions.pop((end, start), None) is None:
            return
        if not sessions:
            del self._by_key[key]
        del self._ends[bisect.bisect_left(self._ends, self._place(key, end, start))]

    def _place(self, key: Any, end: int, start: int) -> tuple[int, int, bytes, Any]:
        return end, start, self._keys.as_bytes(key), key

    def _expire(self) -> None:
        oldest = (self._stream_time - self._retention + 1) // self._segment * self._segment - 1
        if not self._ends or self._ends[0][0] > oldest:
            return
        gone = bisect.bisect_left(self._ends, (oldest + 1,))
        for end, start, _, key in self._ends[:gone]:
            sessions = self._by_key[key]
            del sessions[end, start]
            if not sessions:
                del self._by_key[key]
        del self._ends[:gone]
