"""Records in buffers, in the bytes of Kafka's changelogs (`BufferValue`, `ProcessorRecordContext`).

First where the record came from, then the value before it waited, the old and the new value, each after its length (-1
for none, -2 for an old value that equals the one before), and the time of its place in the queue.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from moldau.streams.operators.contract import Header
from moldau.streams.operators.origin import Origin

_TIME: Final = struct.Struct(">q")
_HEAD: Final = struct.Struct(">qqi")
_LENGTH: Final = struct.Struct(">i")
_NONE: Final = -1
_AS_PRIOR: Final = -2


class Buffered(NamedTuple):
    """One record of a buffer; values in bytes."""

    origin: Origin
    prior: bytes | None
    old: bytes | None
    new: bytes | None
    time: int


def buffered_bytes(record: Buffered) -> bytes:
    """A record as it stands in the changelog."""
    origin, prior, old, new, time = record
    old_part = _LENGTH.pack(_AS_PRIOR) if old is not None and old == prior else _with_length(old)
    return b"".join((_origin_bytes(origin), _with_length(prior), old_part, _with_length(new), _TIME.pack(time)))


def read_buffered(data: bytes) -> Buffered:
    """The record again; raises ValueError for bytes that end early."""
    reader = _Reader(data)
    origin, prior, length = reader.origin(), reader.value(), reader.number()
    old = prior if length == _AS_PRIOR else reader.optional(length)
    return Buffered(origin, prior, old, reader.value(), reader.time())


def _with_length(value: bytes | None) -> bytes:
    return _LENGTH.pack(_NONE) if value is None else _LENGTH.pack(len(value)) + value


def _origin_bytes(origin: Origin) -> bytes:
    timestamp, offset, topic, partition, headers = origin
    name = topic.encode()
    parts = [_HEAD.pack(timestamp, offset, len(name)), name, _LENGTH.pack(partition), _LENGTH.pack(len(headers))]
    for header, value in headers:
        parts += (_with_length(header.encode()), _with_length(value))
    return b"".join(parts)


class _Reader:
    """Reads from the start; raises ValueError when the bytes end early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise ValueError(f"a buffered record has {len(self._data)} bytes, {end} are needed")
        part, self._at = self._data[self._at : end], end
        return part

    def number(self) -> int:
        return int(_LENGTH.unpack(self.take(4))[0])

    def time(self) -> int:
        return int(_TIME.unpack(self.take(8))[0])

    def optional(self, length: int) -> bytes | None:
        return None if length == _NONE else self.take(length)

    def value(self) -> bytes | None:
        return self.optional(self.number())

    def origin(self) -> Origin:
        timestamp, offset = self.time(), self.time()
        topic, partition = self.take(self.number()).decode(), self.number()
        headers: list[Header] = [(self.take(self.number()).decode(), self.value()) for _ in range(self.number())]
        return Origin(timestamp, offset, topic, partition, tuple(headers))
