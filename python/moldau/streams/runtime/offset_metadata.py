"""What is committed beside an offset, as Kafka Streams writes it: the partition's time, and up to where windows closed.

A task that starts again knows from it how far its stream time was, so that what was late stays late, and which windows
were emitted when they closed, so that none is emitted twice. (`TopicPartitionMetadata`: base64 of a version byte and 8
bytes of time; from version 2 on a map of store names to times, `ProcessorMetadata`.)
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Final

_VERSION: Final = 2
_HEAD: Final = struct.Struct(">bq")
_INT: Final = struct.Struct(">i")
_LONG: Final = struct.Struct(">q")
UNKNOWN_TIME: Final = -1
_END: Final = "\0"


def encode(partition_time: int, closed: Mapping[str, int]) -> str:
    """The metadata of a partition whose latest record had this timestamp; `closed` is by the names of stores."""
    parts = [_HEAD.pack(_VERSION, partition_time)]
    if closed:
        parts.append(_INT.pack(len(closed)))
        for store, time in closed.items():
            name = store.encode()
            parts += (_INT.pack(len(name)), name, _LONG.pack(time))
    return base64.b64encode(b"".join(parts)).decode()


def decode(metadata: str | None) -> tuple[int, dict[str, int]]:
    """The partition's time, -1 where there is none or a program of another kind committed, and the closed windows."""
    try:
        data = base64.b64decode((metadata or "").removesuffix(_END), validate=True)
        version, time = _HEAD.unpack_from(data)
        closed = _closed(data[_HEAD.size :]) if version == _VERSION else {}
    except (ValueError, struct.error):
        return UNKNOWN_TIME, {}
    return (int(time), closed) if version in {1, _VERSION} else (UNKNOWN_TIME, {})


def ended(metadata: str) -> str:
    """As it is committed: with a zero behind it, as confluent-kafka commits it.

    librdkafka copies metadata without ending it, and confluent-kafka reads on to the next zero, whatever is there.
    """
    return f"{metadata}{_END}"


def _closed(data: bytes) -> dict[str, int]:
    closed: dict[str, int] = {}
    if not data:
        return closed
    (count,) = _INT.unpack_from(data)
    at = _INT.size
    for _ in range(count):
        (length,) = _INT.unpack_from(data, at)
        at += _INT.size
        if length < 0 or at + length > len(data):
            raise ValueError(f"a name of {length} bytes in metadata of {len(data)}")
        name = data[at : at + length].decode()
        (closed[name],) = _LONG.unpack_from(data, at + length)
        at += length + _LONG.size
    return closed
