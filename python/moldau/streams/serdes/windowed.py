"""Keys with a window, as Kafka writes them: the key's bytes, then the window in big-endian milliseconds.

A time-windowed key ends with the start of its window (8 bytes) and its reader must know the size; a session key ends
with the end and then the start (16 bytes). (`TimeWindowedSerializer`, `SessionWindowedSerializer`.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from moldau.streams.serdes.serde import Serde

K = TypeVar("K")
_INT64_MAX: Final = 2**63 - 1
_START: Final = struct.Struct(">q")
_END_START: Final = struct.Struct(">qq")


class Windowed(NamedTuple, Generic[K]):
    """A key in one window, `start` and `end` in ms since 1970: a time window without its end, a session with it."""

    key: K
    start: int
    end: int

    @property
    def window(self) -> Windowed[K]:
        """Kafka's spelling: `windowed.window.start`."""
        return self


@dataclass(frozen=True, slots=True)
class TimeWindowedSerde(Serde[K]):
    """The serde of keys in time windows, which tells what it writes before the window.

    It also writes a plain pair of a key and the start of its window.
    """

    inner: Serde[Any] | None = None


def time_windowed_serde(inner: Serde[K], size_ms: int | None) -> Serde[Windowed[K]]:
    """The serde of keys in time windows of one size; without a size a key that is read ends at the end of time."""
    write, read, pack = inner.serialize, inner.deserialize, _START.pack

    def serialize(windowed: Windowed[K]) -> bytes:
        return write(windowed[0]) + pack(windowed[1])

    def deserialize(data: bytes) -> Windowed[K]:
        _at_least(data, 8)
        (start,) = _START.unpack(data[-8:])
        return Windowed(read(data[:-8]), start, _INT64_MAX if size_ms is None else min(start + size_ms, _INT64_MAX))

    return TimeWindowedSerde(f"TimeWindowed({inner.name})", serialize, deserialize, inner.immutable, inner)


def session_windowed_serde(inner: Serde[K]) -> Serde[Windowed[K]]:
    """The serde of keys in session windows."""
    write, read, pack = inner.serialize, inner.deserialize, _END_START.pack

    def serialize(windowed: Windowed[K]) -> bytes:
        return write(windowed[0]) + pack(windowed[2], windowed[1])

    def deserialize(data: bytes) -> Windowed[K]:
        _at_least(data, 16)
        end, start = _END_START.unpack(data[-16:])
        return Windowed(read(data[:-16]), start, end)

    return Serde(f"SessionWindowed({inner.name})", serialize, deserialize, immutable=inner.immutable)


def _at_least(data: bytes, length: int) -> None:
    if len(data) < length:
        raise ValueError(f"a windowed key ends with {length} bytes of window, this has {len(data)} bytes in all")
