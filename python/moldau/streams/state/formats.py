"""The bytes of keys and values in stores and changelogs, equal to Kafka Streams'.

A timestamped value is 8 bytes of timestamp and the plain value (`ValueAndTimestampSerializer`); in a changelog the
timestamp travels as the record's and the value is plain. A window key is the key, 8 bytes of start and 4 of sequence
number (`WindowKeySchema`); a session key the key, 8 bytes of end and 8 of start (`SessionKeySchema`).
"""

from __future__ import annotations

import struct
from typing import Final

_TIMESTAMP: Final = struct.Struct(">q")
_WINDOW: Final = struct.Struct(">qi")
_SESSION: Final = struct.Struct(">qq")

pack_timestamp: Final = _TIMESTAMP.pack
unpack_timestamp: Final = _TIMESTAMP.unpack
pack_window: Final = _WINDOW.pack
FIRST_IN_WINDOW: Final = bytes(4)
"""The sequence number of entries that are alone in their window, behind key and start."""


def timestamped_bytes(value: bytes, timestamp: int) -> bytes:
    """A value as it lies in a timestamped store."""
    return pack_timestamp(timestamp) + value


def split_timestamped(data: bytes) -> tuple[bytes, int]:
    """The plain value and its timestamp."""
    return data[8:], _TIMESTAMP.unpack_from(data)[0]


def window_key(key: bytes, start: int, sequence: int = 0) -> bytes:
    """The key of one window's entry; `sequence` tells entries apart where duplicates are kept."""
    return key + pack_window(start, sequence)


def split_window_key(data: bytes) -> tuple[bytes, int, int]:
    """Key, start and sequence number."""
    start, sequence = _WINDOW.unpack(data[-12:])
    return data[:-12], start, sequence


def session_key(key: bytes, start: int, end: int) -> bytes:
    """The key of one session's entry."""
    return key + _SESSION.pack(end, start)


def split_session_key(data: bytes) -> tuple[bytes, int, int]:
    """Key, start and end."""
    end, start = _SESSION.unpack(data[-16:])
    return data[:-16], start, end
