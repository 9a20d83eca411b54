"""The file of a standalone worker's offsets: what `offset.storage.file.filename` of Kafka's names, byte for byte.

Kafka writes a `HashMap<byte[], byte[]>` with Java's serialization, so a Java worker can go on with our file and we with
its. Only that one shape is understood. Source: the Java Object Serialization Specification, "Grammar for the Stream
Format".
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from moldau.connect.errors import ConnectError

_HEADER: Final = (
    b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\x00\x02"
    b"F\x00\x0aloadFactorI\x00\x09thresholdxp"
)
_ARRAY_CLASS: Final = b"ur\x00\x02[B\xac\xf3\x17\xf8\x06\x08T\xe0\x02\x00\x00xp"
_ARRAY_AGAIN: Final = b"uq\x00\x7e\x00\x02"
_LOAD_FACTOR: Final = 0.75
_BUCKETS_MIN: Final = 16


def dump(offsets: Mapping[bytes, bytes | None]) -> bytes:
    """The content of a file with these keys and values."""
    buckets = _BUCKETS_MIN
    while len(offsets) > buckets * _LOAD_FACTOR:
        buckets *= 2
    parts = [
        _HEADER,
        struct.pack(">fi", _LOAD_FACTOR, int(buckets * _LOAD_FACTOR)),
        b"w\x08" + struct.pack(">ii", buckets, len(offsets)),
    ]
    seen = False
    for pair in offsets.items():
        for each in pair:
            if each is None:
                parts.append(b"p")
            else:
                parts.append((_ARRAY_AGAIN if seen else _ARRAY_CLASS) + struct.pack(">i", len(each)) + each)
                seen = True
    return b"".join([*parts, b"x"])


def load(content: bytes) -> dict[bytes, bytes | None]:
    """What a file holds. Raises ConnectError for anything else than such a map."""
    if not content:
        return {}
    reader = _Reader(content)
    reader.expect(_HEADER)
    reader.take(8)
    reader.expect(b"w\x08")
    _buckets, count = struct.unpack(">ii", reader.take(8))
    found: dict[bytes, bytes | None] = {}
    for _ in range(count):
        key = reader.array()
        value = reader.array()
        if key is not None:
            found[key] = value
    reader.expect(b"x")
    return found


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, length: int) -> bytes:
        taken = self._content[self._at : self._at + length]
        if length < 0 or len(taken) < length:
            raise ConnectError(f"it ends at byte {len(self._content)}, in the middle")
        self._at += length
        return taken

    def expect(self, wanted: bytes) -> None:
        if self._content[self._at : self._at + len(wanted)] != wanted:
            raise ConnectError(f"at byte {self._at} it is not what Kafka Connect writes")
        self._at += len(wanted)

    def array(self) -> bytes | None:
        if self._content[self._at : self._at + 1] == b"p":
            self._at += 1
            return None
        again = self._content[self._at : self._at + 2] == b"uq"
        self.expect(_ARRAY_AGAIN if again else _ARRAY_CLASS)
        return self.take(struct.unpack(">i", self.take(4))[0])


def read_file(path: Path) -> dict[bytes, bytes | None]:
    """Read a file; one that is not there is empty. Raises ConnectError."""
    try:
        return load(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ConnectError) as error:
        raise ConnectError(f"cannot read the offsets in {path}: {error}") from error


def write_file(path: Path, offsets: Mapping[bytes, bytes | None]) -> None:
    """Replace a file: whoever reads it finds the old one or the new one, whole. Raises ConnectError."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(dump(offsets))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ConnectError(f"cannot write the offsets to {path}: {error.strerror}") from error
