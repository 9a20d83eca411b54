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


class MemoryJoinBuffer:
    """Lists of values by (time, is left, key). `time` is what both sides of the join know of time."""

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        self.name = spec.name
        self.time = JoinTime()
        self._context = context
        self._key: Serde[Any] = required(spec.key, f"store {spec.name}", "key")
        self._left: Serde[Any] = required(spec.value, f"store {spec.name}", "value")
        self._right: Serde[Any] = required(spec.other_value, f"store {spec.name}", "value")
        self._entries: dict[bytes, tuple[Place, list[bytes]]] = {}
        self._dirty: dict[bytes, int] = {}

    def add(self, timestamp: int, is_left: bool, key: Any, value: Any) -> None:
        """One more record that waits."""
        place = self._place(timestamp, is_left, key)
        data = (self._left if is_left else self._right).serialize(value)
        self._entries.setdefault(place, ((timestamp, is_left, key), []))[1].append(data)
        self._dirty[place] = self._context.timestamp

    def remove(self, timestamp: int, is_left: bool, key: Any) -> None:
        """All that waits in one place; nothing happens when none does."""
        place = self._place(timestamp, is_left, key)
        if self._entries.pop(place, None) is not None:
            self._dirty[place] = self._context.timestamp

    def in_order(self) -> Iterator[tuple[Place, list[Any]]]:
        """Everything by time, right before left, then by the bytes of keys."""
        for data in sorted(self._entries):
            place, values = self._entries[data]
            read = (self._left if place[1] else self._right).deserialize
            yield place, [read(value) for value in values]

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what changed, each place once."""
        for data, timestamp in self._dirty.items():
            entry = self._entries.get(data)
            write(data, None if entry is None else _list_bytes(entry[0][1], entry[1]), timestamp)
        self._dirty.clear()

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take a record of the changelog."""
        if value is None:
            self._entries.pop(key, None)
            return
        moment, is_left = _HEAD.unpack(key[:9])
        self._entries[key] = ((moment, is_left, self._key.deserialize(key[9:])), _values_of(value))
        self.time.earliest_waiting = min(self.time.earliest_waiting, moment)

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._dirty.clear()

    def _place(self, timestamp: int, is_left: bool, key: Any) -> bytes:
        return _HEAD.pack(timestamp, is_left) + self._key.serialize(key)


def _list_bytes(is_left: bool, values: list[bytes]) -> bytes:
    parts = [_LIST.pack(_VARIABLE_SIZE, len(values))]
    for value in values:
        parts += (_LENGTH.pack(len(value) + 1), b"\x01" if is_left else b"\x00", value)
    return b"".join(parts)


def _values_of(data: bytes) -> list[bytes]:
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
