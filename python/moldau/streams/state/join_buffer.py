"""The buffer of a left or outer join: records that have met nobody so far, by time, side and key.

Bytes are Kafka's: the key is 8 bytes of time, one that is 1 for the left side, and the record's key; the value is a
list (`ListSerializer`) of values, each with the side in front. (`TimestampedKeyAndJoinSideSerializer`,
`LeftOrRightValueSerializer`.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.operators.stream_joins import JoinTime
from moldau.streams.serdes import Serde, required
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.topology.nodes import StoreSpec

Place = tuple[int, bool, Any]
_HEAD = struct.Struct(">q?")
_LIST = struct.Struct(">bi")
_LENGTH = struct.Struct(">i")
_VARIABLE_SIZE = 1


class JoinBuffer:
    """What buffers share, wherever they are: the bytes of places. `time` is what both sides of the join know of it."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        self.name = spec.name
        self.time = JoinTime()
        self._context = context
        self._key: Serde[Any] = required(spec.key, f"store {spec.name}", "key")
        self._left: Serde[Any] = required(spec.value, f"store {spec.name}", "value")
        self._right: Serde[Any] = required(spec.other_value, f"store {spec.name}", "value")

    def side(self, is_left: bool) -> Serde[Any]:
        """How the values of one side are written."""
        return self._left if is_left else self._right

    def place(self, timestamp: int, is_left: bool, key: Any) -> bytes:
        """Where a record waits."""
        return _HEAD.pack(timestamp, is_left) + self._key.serialize(key)

    def split(self, data: bytes) -> Place:
        """The time, side and key of a place."""
        moment, is_left = _HEAD.unpack_from(data)
        return moment, is_left, self._key.deserialize(data[_HEAD.size :])

    def note_waiting(self, data: bytes) -> None:
        """Something waits in a place that was restored."""
        self.time.earliest_waiting = min(self.time.earliest_waiting, _HEAD.unpack_from(data)[0])


class MemoryJoinBuffer(JoinBuffer):
    """Lists of values by (time, is left, key)."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        super().__init__(spec, context)
        self._entries: dict[bytes, list[bytes]] = {}
        self._dirty: dict[bytes, int] = {}

    def add(self, timestamp: int, is_left: bool, key: Any, value: Any) -> None:
        """One more record that waits."""
        place = self.place(timestamp, is_left, key)
        self._entries.setdefault(place, []).append(self.side(is_left).serialize(value))
        self._dirty[place] = self._context.timestamp

    def remove(self, timestamp: int, is_left: bool, key: Any) -> None:
        """All that waits in one place; nothing happens when none does."""
        place = self.place(timestamp, is_left, key)
        if self._entries.pop(place, None) is not None:
            self._dirty[place] = self._context.timestamp

    def in_order(self) -> Iterator[tuple[Place, list[Any]]]:
        """Everything by time, right before left, then by the bytes of keys."""
        for data in sorted(self._entries):
            place = self.split(data)
            read = self.side(place[1]).deserialize
            yield place, [read(value) for value in self._entries[data]]

    def approximate_num_entries(self) -> int:
        """In how many places records wait."""
        return len(self._entries)

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, each place once."""
        for data, timestamp in self._dirty.items():
            values = self._entries.get(data)
            write(data, None if values is None else list_bytes(self.split(data)[1], values), timestamp)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        if value is None:
            self._entries.pop(key, None)
            return
        self._entries[key] = values_of(value)
        self.note_waiting(key)

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._dirty.clear()


def list_bytes(is_left: bool, values: list[bytes]) -> bytes:
    """The values of one place as Kafka lists them."""
    parts = [_LIST.pack(_VARIABLE_SIZE, len(values))]
    for value in values:
        parts += (_LENGTH.pack(len(value) + 1), b"\x01" if is_left else b"\x00", value)
    return b"".join(parts)


def values_of(data: bytes) -> list[bytes]:
    """The values of one place; raises ValueError for bytes that are no such list."""
    kind, count = _LIST.unpack_from(data)
    if kind != _VARIABLE_SIZE:
        raise ValueError(f"a list of values begins with {_VARIABLE_SIZE}, not {kind}")
    at, values = _LIST.size, []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length < 1 or at + length > len(data):
            raise ValueError(f"a value of the list has {length} bytes, {len(data) - at} are left")
        values.append(data[at + 1 : at + length])
        at += length
    return values
