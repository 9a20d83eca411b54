"""Snapshots of the metadata log as files: what they are called, how one is read, how one is written.

    00000000000000004711-0000000003.checkpoint

holds what the records before offset 4711 add up to, the last of them written in leader epoch 3. Inside are batches as
in a segment, with offsets of their own: a control batch with a header (and what the quorum says of itself, KIP-853),
then the records, then a control batch with a footer. A file without its footer is half a snapshot.

A snapshot is written beside its name and renamed when it is on the disk, so under its name it is whole. What a crash
leaves behind ends in `.part`; `.deleted` is what Apache Kafka's ends in that it was about to remove.
Source: `Snapshots`, `RecordsSnapshotWriter`, `RecordsSnapshotReader` of Apache Kafka 4.3; KIP-630.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from moldau._core import decode_batches, encode_batch
from moldau.errors import MoldauError
from moldau.server.core_types import StoredRecord
from moldau.server.log_files import batches
from moldau.server.runner import KeyAndValue
from moldau.server.storage import sync_directory

SUFFIX: Final = ".checkpoint"
PARTIAL_SUFFIX: Final = ".part"
LEFTOVERS: Final = (PARTIAL_SUFFIX, f"{SUFFIX}.deleted")
HEADER_TYPE: Final = 3
FOOTER_TYPE: Final = 4
QUORUM_TYPES: Final = frozenset({5, 6})
"""`kraft.version` and the voters: the last of each in the log or in a snapshot holds."""
_NAME: Final = re.compile(r"(\d{20})-(\d{10})\.checkpoint")


class SnapshotError(MoldauError):
    """A file that is no whole snapshot, or a log without the one it needs; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, order=True)
class SnapshotFile:
    """A snapshot by its name."""

    end_offset: int
    """Of the log: where to go on reading."""
    epoch: int
    path: Path


@dataclass(frozen=True, slots=True)
class SnapshotContent:
    """A whole snapshot."""

    timestamp_ms: int
    """When the last record was written that it holds."""
    records: Sequence[StoredRecord]
    """Without header and footer, with the quorum's own."""


def snapshots_in(folder: Path) -> list[SnapshotFile]:
    """What is there, the oldest first."""
    names = ((entry, _NAME.fullmatch(entry.name)) for entry in folder.iterdir())
    return sorted(SnapshotFile(int(name[1]), int(name[2]), path) for path, name in names if name is not None)


def remove_leftovers(folder: Path) -> None:
    """Remove what a crash has left of snapshots that were being written or removed."""
    for entry in folder.iterdir():
        if entry.name.endswith(LEFTOVERS):
            entry.unlink(missing_ok=True)


def read_snapshot(file: SnapshotFile) -> SnapshotContent:
    """Everything in it.

    Raises:
        SnapshotError: it cannot be read, or is not whole.
    """
    try:
        records = decode_batches(file.path.read_bytes())
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{file.path}: {error}") from error
    if len(records) < 2 or control_type(records[0]) != HEADER_TYPE or control_type(records[-1]) != FOOTER_TYPE:
        raise SnapshotError(f"{file.path}: it has no header or no footer, so it is not whole")
    try:
        _version, timestamp_ms = struct.unpack_from(">hq", records[0].value or b"")
    except struct.error as error:
        raise SnapshotError(f"{file.path}: its header is too short") from error
    return SnapshotContent(timestamp_ms, records[1:-1])


def is_whole(file: SnapshotFile) -> bool:
    """Whether `read_snapshot` would take it; what its records say is not looked at."""
    try:
        with file.path.open("rb") as stream:
            found = list(batches(stream, file.path.stat().st_size))
    except OSError:
        return False
    return len(found) > 1 and all(batch.problem is None for batch in found) and found[0].control and found[-1].control


def control_type(record: StoredRecord) -> int | None:
    """What a control record is, None for a record of data."""
    if not record.is_control or record.key is None or len(record.key) < 4:
        return None
    kind: int = struct.unpack_from(">hh", record.key)[1]
    return kind


class SnapshotWriter:
    """One snapshot on its way: `append` in the order of the records, then `finish`. All methods block on the disk."""

    def __init__(self, folder: Path, end_offset: int, epoch: int, *, durable: bool) -> None:
        self.file = SnapshotFile(end_offset, epoch, folder / f"{end_offset:020}-{epoch:010}{SUFFIX}")
        self._durable = durable
        self._partial = self.file.path.with_name(self.file.path.name + PARTIAL_SUFFIX)
        self._out: BinaryIO = self._partial.open("wb")
        self._offset = 0

    def begin(self, timestamp_ms: int, quorum: Mapping[int, KeyAndValue]) -> None:
        """Write the header: when the last record was written, and what the quorum says of itself, by type."""
        header = _control_key(HEADER_TYPE), struct.pack(">hqB", 0, timestamp_ms, 0)
        self._write([header, *(quorum[kind] for kind in sorted(quorum))], timestamp_ms, control=True)

    def append(self, values: Sequence[bytes], timestamp_ms: int) -> None:
        """Write records as one batch."""
        self._write([(None, value) for value in values], timestamp_ms, control=False)

    def finish(self, timestamp_ms: int) -> SnapshotFile:
        """Write the footer and give the file its name."""
        self._write([(_control_key(FOOTER_TYPE), struct.pack(">hB", 0, 0))], timestamp_ms, control=True)
        self._out.flush()
        if self._durable:
            os.fsync(self._out.fileno())
        self._out.close()
        self._partial.replace(self.file.path)
        if self._durable:
            sync_directory(self.file.path.parent)
        return self.file

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._out.close()
        self._partial.unlink(missing_ok=True)

    def _write(self, records: Sequence[KeyAndValue], timestamp_ms: int, *, control: bool) -> None:
        self._out.write(encode_batch(records, self._offset, self.file.epoch, timestamp_ms, control=control))
        self._offset += len(records)


def _control_key(kind: int) -> bytes:
    return struct.pack(">hh", 0, kind)
