"""The files of a partition, read one by one without a node: batches, records, indexes, snapshots, checkpoints.

For tools that look into a directory of Moldau or of Apache Kafka, running or not. Nothing is written, nothing locked.
Everything is read as it comes: what is torn, truncated or checksummed wrongly is said in the row and never raised.

Source: Kafka's record batch format (message format 2), `OffsetIndex`, `TimeIndex`, `TransactionIndex` and
`ProducerStateManager`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import crc32c

from moldau._core import decompress

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
PREFIX_BYTES: Final = 12
"""Base offset and length, which the length does not count."""
BATCH_BYTES_MAX: Final = 1 << 30
CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
CONTROL_TYPES: Final = {
    0: "abort",
    1: "commit",
    2: "leader change",
    3: "snapshot header",
    4: "snapshot footer",
    5: "kraft version",
    6: "kraft voters",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of a segment; `problem` says what is wrong with it, and then its records are not to be trusted."""

    position: int
    size_bytes: int
    base_offset: int
    last_offset: int
    record_count: int
    leader_epoch: int
    codec: str
    timestamp_type: str
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    transactional: bool
    control: bool
    problem: str | None
    stored: bytes
    """The records section as it stands in the file."""


class Header(NamedTuple):
    """One header of a record."""

    name: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a batch."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def batches(stream: BinaryIO, size: int) -> Iterator[Batch]:
    """Every batch of a segment. A torn one is the last, and says so."""
    position = 0
    while position < size:
        stream.seek(position)
        head = stream.read(HEADER.size)
        if len(head) < HEADER.size:
            yield _torn(position, size - position, f"{len(head)} bytes are no header of {HEADER.size}")
            return
        fields = HEADER.unpack(head)
        length, magic = fields[1], fields[3]
        if not HEADER.size - PREFIX_BYTES <= length <= BATCH_BYTES_MAX:
            yield _torn(position, size - position, f"the length {length} cannot be")
            return
        end = position + PREFIX_BYTES + length
        if magic != 2 or end > size:
            problem = f"message format {magic}" if magic != 2 else f"the file ends {end - size} bytes before the batch"
            yield _torn(position, size - position, problem)
            return
        yield _batch(position, fields, head, stream.read(length - HEADER.size + PREFIX_BYTES))
        position = end


def _torn(position: int, size_bytes: int, problem: str) -> Batch:
    return Batch(position, size_bytes, -1, -1, 0, -1, "none", "", -1, -1, -1, -1, -1, False, False, problem, b"")


def _batch(position: int, fields: tuple[int, ...], head: bytes, stored: bytes) -> Batch:
    base_offset, length, leader_epoch, _magic, crc, attributes, last_delta = fields[:7]
    base_timestamp, max_timestamp, producer_id, producer_epoch, base_sequence, count = fields[7:]
    # The checksum covers everything from the attributes on.
    found = crc32c.crc32c(stored, crc32c.crc32c(head[21:]))
    codec = attributes & 7
    problem = None if found == crc else f"the checksum is {found:08x}, not {crc:08x}"
    if codec >= len(CODECS):
        problem = problem or f"compression type {codec}"
    return Batch(
        position=position,
        size_bytes=length + PREFIX_BYTES,
        base_offset=base_offset,
        last_offset=base_offset + last_delta,
        record_count=count,
        leader_epoch=leader_epoch,
        codec=CODECS[codec] if codec < len(CODECS) else str(codec),
        timestamp_type="LogAppendTime" if attributes & 8 else "CreateTime",
        base_timestamp_ms=base_timestamp,
        max_timestamp_ms=max_timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        transactional=bool(attributes & 16),
        control=bool(attributes & 32),
        problem=problem,
        stored=stored,
    )


def records(batch: Batch) -> Iterator[Record]:
    """The records of a batch, decompressed.

    Raises:
        ValueError: they are not what the batch says.
    """
    reader = _Reader(decompress(CODECS.index(batch.codec), batch.stored))
    append_time = batch.timestamp_type == "LogAppendTime"
    for _number in range(batch.record_count):
        body = _Reader(reader.take(reader.varint()))
        body.take(1)
        timestamp = batch.base_timestamp_ms + body.varint()
        offset = batch.base_offset + body.varint()
        key, value = body.content(), body.content()
        headers = tuple(
            Header((body.content() or b"").decode(errors="replace"), body.content()) for _index in range(body.varint())
        )
        yield Record(offset, batch.max_timestamp_ms if append_time else timestamp, key, value, headers)


class _Reader:
    """A cursor over bytes that refuses to move past their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, length: int) -> bytes:
        end = self._position + length
        if length < 0 or end > len(self._data):
            raise ValueError(f"{length} bytes are wanted at {self._position} of {len(self._data)}")
        content = self._data[self._position : end]
        self._position = end
        return content

    def content(self) -> bytes | None:
        length = self.varint()
        return None if length == -1 else self.take(length)

    def varint(self) -> int:
        """A zigzag number of up to ten bytes."""
        raw = shift = 0
        while shift < 70:
            (byte,) = self.take(1)
            raw |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (raw >> 1) ^ -(raw & 1)
            shift += 7
        raise ValueError(f"the number before {self._position} has no end")


class OffsetEntry(NamedTuple):
    """An entry of `.index`."""

    offset: int
    position: int


class TimeEntry(NamedTuple):
    """An entry of `.timeindex`."""

    timestamp_ms: int
    offset: int


class AbortedTransaction(NamedTuple):
    """An entry of `.txnindex`."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class ProducerEntry(NamedTuple):
    """An entry of a producer snapshot; -1 where there is nothing."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp_ms: int
    coordinator_epoch: int
    current_transaction_first_offset: int


def base_offset_of(file: Path) -> int:
    """The offset in the name of a file of a segment; 0 when the name holds none."""
    digits = file.name.split(".")[0].split("-")[0]
    return int(digits) if digits.isdecimal() else 0


def offset_index(content: bytes, base: int) -> Iterator[OffsetEntry]:
    """The entries of an `.index`. Room that was only set aside is zeros, which no later entry can be."""
    for number, (delta, position) in enumerate(_entries(">ii", content)):
        if number and not delta:
            return
        yield OffsetEntry(base + delta, position)


def time_index(content: bytes, base: int) -> Iterator[TimeEntry]:
    """The entries of a `.timeindex`."""
    for timestamp, delta in _entries(">qi", content):
        if not timestamp and not delta:
            return
        yield TimeEntry(timestamp, base + delta)


def transaction_index(content: bytes) -> Iterator[AbortedTransaction]:
    """The entries of a `.txnindex`."""
    for _version, *fields in _entries(">hqqqq", content):
        yield AbortedTransaction(*fields)


def producer_snapshot(content: bytes) -> tuple[list[ProducerEntry], str | None]:
    """The entries of a producer snapshot, and what is wrong with it."""
    if len(content) < 10:
        return [], f"{len(content)} bytes are no snapshot"
    version, crc, count = struct.unpack_from(">hIi", content)
    problem = None if crc32c.crc32c(content[6:]) == crc else "the checksum is wrong"
    if version != 1:
        return [], f"version {version}"
    found = [ProducerEntry(*fields) for fields in _entries(">qhiqiqiq", content[10:])]
    if problem is None and len(found) != count:
        problem = f"{count} entries are announced and {len(found)} are there"
    return found, problem


def _entries(form: str, content: bytes) -> Iterator[tuple[int, ...]]:
    shape = struct.Struct(form)
    whole = len(content) - len(content) % shape.size
    return shape.iter_unpack(content[:whole])
