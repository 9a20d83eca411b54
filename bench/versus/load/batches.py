"""RecordBatch v2 (KIP-98), uncompressed and not idempotent, packed by hand."""

from __future__ import annotations

import struct

import crc32c


def varint(number: int) -> bytes:
    """A zigzag varint."""
    encoded = (number << 1) ^ (number >> 63)
    out = bytearray()
    while encoded > 0x7F:
        out.append(0x80 | (encoded & 0x7F))
        encoded >>= 7
    out.append(encoded)
    return bytes(out)


def batch_of(records: bytes | bytearray, count: int, first_ms: int, latest_ms: int) -> bytes:
    """The batch around encoded records, whose times are given as of `first_ms`."""
    checked = struct.pack(">hiqqqhii", 0, count - 1, first_ms, latest_ms, -1, -1, -1, count) + records
    head = struct.pack(">ibI", -1, 2, crc32c.crc32c(checked))
    return struct.pack(">qi", 0, len(head) + len(checked)) + head + checked
