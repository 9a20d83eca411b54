"""Records of a stream that wait until a versioned table has heard of their time. (`RocksDBTimeOrderedKeyValueBuffer`)

A key of the changelog is a zero byte, the record's timestamp, its key and a number that tells equal ones apart.
"""

from __future__ import annotations

import bisect
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.operators.origin import Origin
from moldau.streams.serdes import Serde, required
from moldau.streams.state.buffered import Buffered, buffered_bytes, read_buffered
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.topology.nodes import StoreSpec

_HEAD: Final = struct.Struct(">bq")
_NUMBER: Final = struct.Struct(">i")
_INT32_MAX: Final = 2**31 - 1


def time_of(place: bytes) -> int:
    """The timestamp of the record that waits in a place."""
    return int(_HEAD.unpack_from(place)[1])


class WaitingRecords(ABC):
    """Records by time, key and arrival; one waits as long as the spec's retention, in the times that were put."""

    def __init__(self, spec: StoreSpec) -> None:
        assert spec.retention_ms is not None
        self.name = spec.name
        self._wait = spec.retention_ms
        self._key: Serde[Any] = required(spec.key, f"store {spec.name}", "key")
        self._value: Serde[Any] = required(spec.value, f"store {spec.name}", "value")
        self._number = 0
        self._stream_time = -1

    def put(self, key: Any, value: Any, origin: Origin) -> bool:
        """Let a record wait; False for one that is too late for that."""
        timestamp = origin[0]
        if self._stream_time - self._wait > timestamp:
            return False
        self._stream_time = max(self._stream_time, timestamp)
        self._number = (self._number + 1) & _INT32_MAX
        place = _HEAD.pack(0, timestamp) + self._key.serialize(key) + _NUMBER.pack(self._number)
        self._add(place, Buffered(origin, None, None, self._value.serialize(value), 0))
        return True

    def evict(self, call: Callable[[Any, Any, Origin], None]) -> None:
        """Hand on what waited long enough, in the order of time: `call(key, value, origin)`."""
        until = self._stream_time - self._wait
        while (due := self._take_due(until)) is not None:
            place, record = due
            assert record.new is not None
            key = self._key.deserialize(place[_HEAD.size : -_NUMBER.size])
            call(key, self._value.deserialize(record.new), record.origin)

    def _note_restored(self, place: bytes) -> None:
        """What was put, be it evicted since, says how late it is."""
        self._stream_time = max(self._stream_time, time_of(place))
        self._number = max(self._number, int(_NUMBER.unpack(place[-_NUMBER.size :])[0]))

    @abstractmethod
    def _add(self, place: bytes, record: Buffered) -> None:
        """One more record that waits."""

    @abstractmethod
    def _take_due(self, until: int) -> tuple[bytes, Buffered] | None:
        """Take out the first record with a time up to `until`; None when there is none."""


class MemoryWaitingRecords(WaitingRecords):
    """All of them in memory."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        super().__init__(spec)
        self._places: list[bytes] = []
        self._records: dict[bytes, Buffered] = {}
        self._dirty: dict[bytes, None] = {}

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed; Kafka gives these records no time."""
        for place in self._dirty:
            record = self._records.get(place)
            write(place, None if record is None else buffered_bytes(record), -1)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        if self._records.pop(key, None) is not None:
            del self._places[bisect.bisect_left(self._places, key)]
        self._note_restored(key)
        if value is not None:
            self._insert(key, read_buffered(value))

    def close(self) -> None:
        """Forget everything."""
        self._places.clear()
        self._records.clear()
        self._dirty.clear()

    def _add(self, place: bytes, record: Buffered) -> None:
        self._insert(place, record)
        self._dirty[place] = None

    def _insert(self, place: bytes, record: Buffered) -> None:
        bisect.insort(self._places, place)
        self._records[place] = record

    def _take_due(self, until: int) -> tuple[bytes, Buffered] | None:
        if not self._places or time_of(self._places[0]) > until:
            return None
        place = self._places.pop(0)
        self._dirty[place] = None
        return place, self._records.pop(place)
