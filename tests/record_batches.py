"""Record batches (KIP-98) as a broker hands them out, packed by hand: whole, torn, compressed, of transactions."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import crc32c
from bench.versus.load.batches import varint

ABORT, COMMIT = 0, 1
GZIP = 1
_TRANSACTIONAL, _CONTROL = 0x10, 0x20


def _nullable(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    offset_delta: int, time_delta: int, key: bytes | None, value: bytes | None, headers: Sequence[Any] = ()
) -> bytes:
    """One record inside of a batch."""
    body = b"\0" + varint(time_delta) + varint(offset_delta) + _nullable(key) + _nullable(value)
    body += varint(len(headers)) + b"".join(_nullable(name.encode()) + _nullable(held) for name, held in headers)
    return varint(len(body)) + body


def batch(
    base_offset: int,
    records: Sequence[tuple[Any, ...]],
    *,
    codec: int = 0,
    producer: int = -1,
    transactional: bool = False,
    control: bool = False,
    epoch: int = 0,
) -> bytes:
    """A batch of `(timestamp, key, value)` or `(timestamp, key, value, headers)`."""
    first = records[0][0] if records else -1
    packed = b"".join(record(index, one[0] - first, *one[1:]) for index, one in enumerate(records))
    if codec == GZIP:
        packer = zlib.compressobj(wbits=31)
        packed = packer.compress(packed) + packer.flush()
    attributes = codec | _TRANSACTIONAL * transactional | _CONTROL * control
    latest = max((one[0] for one in records), default=-1)
    count = len(records)
    checked = struct.pack(">hiqqqhii", attributes, count - 1, first, latest, producer, 0, -1, count) + packed
    head = struct.pack(">ibI", epoch, 2, crc32c.crc32c(checked))
    return struct.pack(">qi", base_offset, len(head) + len(checked)) + head + checked


def marker(offset: int, producer: int, end: int) -> bytes:
    """The end of a transaction."""
    key = struct.pack(">hh", 0, end)
    return batch(offset, [(1, key, struct.pack(">hi", 0, 0))], producer=producer, transactional=True, control=True)
