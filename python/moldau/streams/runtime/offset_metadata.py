"""What is committed beside an offset: the partition's time, as Kafka Streams writes it.

A task that starts again knows from it how far its stream time was, so that what was late stays late.
(`TopicPartitionMetadata`: base64 of a version byte, 8 bytes of time, and from version 2 on the processors' metadata.)
"""

from __future__ import annotations

import base64
import struct
from typing import Final

_VERSION: Final = 2
_LAYOUT: Final = struct.Struct(">bq")
UNKNOWN_TIME: Final = -1


def encode(partition_time: int) -> str:
    """The metadata of a partition whose latest record had this timestamp."""
    return base64.b64encode(_LAYOUT.pack(_VERSION, partition_time)).decode()


def decode(metadata: str | None) -> int:
    """The partition's time, or -1 where there is none or a program of another kind committed."""
    try:
        version, time = _LAYOUT.unpack_from(base64.b64decode(metadata or "", validate=True))
    except (ValueError, struct.error):
        return UNKNOWN_TIME
    return int(time) if version in {1, _VERSION} else UNKNOWN_TIME
