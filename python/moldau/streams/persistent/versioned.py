"""Versioned stores on disk: all versions of a row in one entry, for a row is read as a whole, once.

00                        -> the greatest timestamp that was put, 8 bytes
01 <timestamp> <key>      -> nothing: a version of this row ended then; it is shortened once that is before the history
02 <key>                  -> the versions of a row: timestamp, length (-1 for a tombstone), value; one after the other
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import Table
from moldau.streams.persistent.key_value import merge
from moldau.streams.persistent.overlay import Overlay, Room
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.versioned import VersionedStore, Versions
from moldau.streams.topology.nodes import StoreSpec

_TIME: Final = b"\x00"
_ENDS: Final = b"\x01"
_ROWS: Final = b"\x02"
_AFTER_ROWS: Final = b"\x03"
_TIMESTAMP: Final = struct.Struct(">q")
_VERSION: Final = struct.Struct(">qi")
_MISSING: Final = object()

FORGOTTEN_AT_ONCE: Final = 10_000
"""A record far ahead ends the history of all rows together; they need not all be in memory for it."""


class DiskVersionedStore(VersionedStore):
    """One table of a task's database."""

    def __init__(self, spec: StoreSpec, context: TaskContext, table: Table, room: Room) -> None:
        super().__init__(spec, context)
        self.table = table
        self._cache: Overlay[Any, Versions] = Overlay(room)
        self._ended: list[tuple[int, Any]] = []
        self.read_again()

    def read_again(self) -> None:
        """Take up what the table says, as when it was emptied."""
        self._cache.clear()
        self._ended.clear()
        data = self.table.get(_TIME)
        self._stream_time = -1 if data is None else int(_TIMESTAMP.unpack(data)[0])

    def approximate_num_entries(self) -> int:
        """About how many entries the task's stores have together, as RocksDB estimates them."""
        return self.table.estimate()

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out the versions that were put, each once, and put the same into the database's next write."""
        super().flush(write)
        self.settle()

    def settle(self) -> None:
        """Put what changed into the database's next write; while it is restored too, to bound what is in memory."""
        for timestamp, kept in self._ended:
            self.table.put(_ENDS + _TIMESTAMP.pack(timestamp) + self._keys.as_bytes(kept), b"")
        self._ended.clear()
        if self._oldest > 0:
            self._forget()
        for kept, versions in self._cache.take_dirty():
            self.table.put(_ROWS + self._keys.as_bytes(kept), self._encoded(versions) if versions else None)
        self.table.put(_TIME, _TIMESTAMP.pack(self._stream_time))

    def close(self) -> None:
        """Forget what is in memory; what was committed stays on disk."""
        super().close()
        self._cache.clear()
        self._ended.clear()

    def _row(self, kept: Any) -> Versions | None:
        versions = self._cache.get(kept, _MISSING)
        if versions is _MISSING:
            data = self.table.get(_ROWS + self._keys.as_bytes(kept))
            versions = None if data is None else self._decoded(data)
            self._cache.remember(kept, versions)
        found: Versions | None = versions
        return found

    def _keep_row(self, kept: Any, versions: Versions) -> None:
        self._cache.put(kept, versions)

    def _version_ends(self, timestamp: int, kept: Any) -> None:
        self._ended.append((timestamp, kept))

    def _forget(self) -> None:
        """Shorten the rows of which something ended before the history. What ended since the last write waits."""
        found = self.table.scan(_ENDS, _ENDS + _TIMESTAMP.pack(self._oldest))
        ended = [data for data, _ in islice(found, FORGOTTEN_AT_ONCE)]
        for data in ended:
            self.table.put(data, None)
            kept = self._keys.from_bytes(data[1 + _TIMESTAMP.size :])
            versions = self._row(kept)
            if versions:
                self._cache.put(kept, versions if self._shorten(versions) else None)

    def _rows_between(self, low: bytes | None, high: bytes | None) -> Iterator[tuple[Any, Versions]]:
        first = _ROWS + (low or b"")
        last = _AFTER_ROWS if high is None else _ROWS + high + b"\x00"
        dirty = ((_ROWS + self._keys.as_bytes(kept), versions) for kept, versions in self._cache.dirty())
        changed = sorted((one for one in dirty if first <= one[0] < last), key=lambda one: one[0])
        below = ((data, self._decoded(value)) for data, value in self.table.scan(first, last))
        for data, versions in merge(below, changed):
            yield self._keys.from_bytes(data[1:]), versions

    def _encoded(self, versions: Versions) -> bytes:
        parts = []
        for timestamp, held in versions:
            value = None if held is None else self._values.as_bytes(held)
            parts += [_VERSION.pack(timestamp, -1 if value is None else len(value)), value or b""]
        return b"".join(parts)

    def _decoded(self, data: bytes) -> Versions:
        versions: Versions = []
        place = 0
        while place < len(data):
            timestamp, length = _VERSION.unpack_from(data, place)
            place += _VERSION.size
            value = None if length < 0 else self._values.from_bytes(data[place : place + length])
            place += max(length, 0)
            versions.append((timestamp, value))
        return versions
