"""Session stores on disk: plain values per key and session, in segments of time by the sessions' ends.

A record looks for all sessions of its key, so that is what is kept in memory: the sessions of a key, as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from moldau.streams.state.formats import session_key, split_session_key
from moldau.streams.topology.nodes import StoreSpec

_INT64_MAX: Final = 2**63 - 1
_MISSING: Final = object()

Sessions = dict[tuple[int, int], Any]
"""The values of one key by (end, start)."""


class DiskSessionStore:
    """One table of a task's database."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        assert spec.retention_ms is not None
        self.name = spec.name
        self.table = table
        self._context = context
        self.segments = Segments(table, spec.retention_ms, spec.segment_interval_ms)
        # Sessions that are emitted on close must be found after stream time has jumped: they go by whole segments.
        self._goes_by_segments = spec.emits_on_close
        self._keys = Codec(required(spec.key, f"store {spec.name}", "key"))
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._expired = ExpiredEntries(spec, context, self._keys, self._values)
        self._cache: Overlay[Any, Sessions] = Overlay(room)
        self._dirty: dict[tuple[Any, int, int], tuple[int, bool, Any]] = {}
        """What changed since the last commit: when (the time of the record), if it may be in the table, and to what."""
        self._latest_key: Any = _MISSING
        self._latest: Sessions = {}
        """The sessions that were asked for last: one record asks several times."""

    def put(self, session: Windowed[Any], value: Any) -> None:
        """Set a session's value; one that is too old is only logged."""
        key, start, end = session
        if not self.segments.takes(end):
            self._expired.put_session(session, value, self.segments.oldest)
            return
        kept = self._keys.inward(key)
        sessions = self._latest if kept == self._latest_key else self._sessions(kept)
        dirty, place = self._dirty, (kept, end, start)
        changed = dirty.pop(place, None)
        if value is None:
            sessions.pop((end, start), None)
            # One that came and went between two commits nobody has to hear of.
            if changed is None or changed[1]:
                dirty[place] = self._context.timestamp, True, None
        else:
            known = (end, start) in sessions if changed is None else changed[1]
            held = sessions[end, start] = self._values.inward(value)
            dirty[place] = self._context.timestamp, known, held
        self._cache.put(kept, sessions)

    def remove(self, session: Windowed[Any]) -> None:
        """Remove a session."""
        self.put(session, None)

    def fetch(self, key: Any) -> Iterator[tuple[Windowed[Any], Any]]:
        """All sessions of a key, by their ends."""
        return self.find_sessions(key, 0, _INT64_MAX)

    def fetch_session(self, key: Any, start: int, end: int) -> Any:
        """The value of one session, or None."""
        if end < self.segments.oldest:
            return None
        value = self._sessions(self._keys.inward(key)).get((end, start))
        return None if value is None else self._values.outward(value)

    def find_sessions(self, key: Any, earliest_end: int, latest_start: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """The sessions of a key that end and start within these bounds, by their ends."""
        oldest, outward, make = self.segments.oldest, self._values.outward, tuple.__new__
        if oldest < earliest_end:
            oldest = earliest_end
        kept = self._keys.inward(key)
        sessions = self._latest if kept == self._latest_key else self._sessions(kept)
        found = [place for place in sessions if place[0] >= oldest and place[1] <= latest_start]
        if len(found) > 1:
            found.sort()
        # Past the constructor of the named tuple, which is a function of Python.
        return iter([(make(Windowed, (key, start, end)), outward(sessions[end, start])) for end, start in found])

    def find_all_sessions(self, earliest_end: int, latest_end: int) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every key's sessions that end within these bounds, by end, start and the bytes of keys."""
        segments = self.segments
        earliest = max(earliest_end, segments.oldest_segment_start if self._goes_by_segments else segments.oldest)
        changed = self._changed_in(earliest, latest_end)
        for prefix, first, last in segments.spans(earliest, latest_end):
            here = [one for one in changed if one[0].startswith(prefix)]
            below = ((data, self._values.from_bytes(value)) for data, value in self.table.scan(prefix, after(prefix)))
            found = []
            for data, value in merge(below, here):
                plain, start, end = split_session_key(data[WIDTH:])
                if first <= end <= last:
                    found.append((end, start, plain, value))
            for end, start, plain, value in sorted(found, key=lambda one: one[:3]):
                key = self._keys.outward(self._keys.from_bytes(plain))
                yield Windowed(key, start, end), self._values.outward(value)

    def all(self) -> Iterator[tuple[Windowed[Any], Any]]:
        """Every session that is kept."""
        return self.find_all_sessions(0, _INT64_MAX)

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out the sessions that changed, each once, and put the same into the database's next write."""
        oldest, heads, segment_ms = self.segments.oldest, self.segments.heads, self.segments.segment_ms
        batch, key_bytes, value_bytes = self.table.batch, self._keys.as_bytes, self._values.as_bytes
        for (kept, end, start), (timestamp, _, value) in self._dirty.items():
            key = session_key(key_bytes(kept), start, end)
            if value is None:
                batch.delete(heads[end // segment_ms] + key)
                write(key, None, timestamp)
            else:
                data = value_bytes(value)
                batch.put(heads[end // segment_ms] + key, data)
                write(key, data, timestamp)
        self._dirty.clear()
        self._expired.flush(write)
        for _, sessions in self._cache.take_dirty():
            for place in [place for place in sessions or () if place[0] < oldest]:
                del sessions[place]  # type: ignore[union-attr] # sessions of None have no places
        self._latest_key = _MISSING
        self.segments.note()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        _, _, end = split_session_key(key)
        if self.segments.takes(end):
            self.table.put(self.segments.place(end, key), value)
            self.segments.note()

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        self._cache.clear()
        self._dirty.clear()
        self._latest_key = _MISSING

    def _sessions(self, kept: Any) -> Sessions:
        if kept == self._latest_key:
            return self._latest
        found: Sessions = self._cache.get(kept, _MISSING)
        if found is _MISSING:
            found = self._on_disk(self._keys.as_bytes(kept))
            self._cache.remember(kept, found)
        self._latest_key, self._latest = kept, found
        return found

    def _on_disk(self, plain: bytes) -> Sessions:
        found: Sessions = {}
        for prefix, first, last in self.segments.spans(self.segments.oldest, self.segments.noted_time):
            low = prefix + session_key(plain, 0, first)
            high = prefix + session_key(plain, _INT64_MAX, last) + b"\x00"
            for data, value in self.table.scan(low, high):
                # Longer keys that begin with this one lie in between.
                other, start, end = split_session_key(data[WIDTH:])
                if other == plain:
                    found[end, start] = self._values.from_bytes(value)
        return found

    def _changed_in(self, earliest_end: int, latest_end: int) -> list[tuple[bytes, Any]]:
        as_bytes, place = self._keys.as_bytes, self.segments.place
        changed = [
            (place(end, session_key(as_bytes(kept), start, end)), value)
            for (kept, end, start), (_, _, value) in self._dirty.items()
            if earliest_end <= end <= latest_end
        ]
        return sorted(changed, key=lambda one: one[0])
