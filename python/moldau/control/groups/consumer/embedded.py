"""What classic consumers tell each other inside JoinGroup and SyncGroup, read and written by the coordinator.

In the classic protocol subscription and assignment are bytes between the members and their leader. In a group that
has members of both protocols the coordinator is the leader, so it must know them. Every version begins as the one
before: a newer one is read as version 3, and what follows is not looked at.
Source: `ConsumerProtocolSubscription`, `ConsumerProtocolAssignment` of Apache Kafka; KIP-429, KIP-792, KIP-881.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from moldau.control.schema import BYTES, INT32, STRING, Message, Reader, SchemaError, array, struct_of, wire

NEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class TopicAndPartitions(Message):
    topic: str = wire(STRING)
    partitions: tuple[int, ...] = wire(array(INT32))


@dataclass(frozen=True, slots=True)
class Subscription:
    version: int
    topics: tuple[str, ...]
    owned: tuple[TopicAndPartitions, ...] = ()
    rack_id: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    partitions: tuple[TopicAndPartitions, ...] = ()
    user_data: bytes | None = None


_TOPICS: Final = array(STRING)
_PARTITIONS: Final = array(struct_of(TopicAndPartitions))


def read_subscription(data: bytes) -> Subscription:
    """What a member says in JoinGroup.

    Raises:
        SchemaError: the bytes are no subscription.
    """
    reader = Reader(data)
    version = _version(reader)
    topics = _TOPICS.read(reader, False, 0, False)
    BYTES.read(reader, False, 0, True)
    owned = _PARTITIONS.read(reader, False, 0, False) if version >= 1 else ()
    if version >= 2:
        reader.take(4)  # the generation in which it owned them
    rack_id = STRING.read(reader, False, 0, True) if version >= 3 else None
    return Subscription(version, topics, owned, rack_id)


def read_assignment(data: bytes) -> Assignment:
    """What a member was given in SyncGroup; nothing at all means that it was given nothing.

    Raises:
        SchemaError: the bytes are no assignment.
    """
    if not data:
        return Assignment()
    reader = Reader(data)
    _version(reader)
    partitions = _PARTITIONS.read(reader, False, 0, False)
    return Assignment(partitions, BYTES.read(reader, False, 0, True))


def write_assignment(version: int, partitions: Mapping[str, tuple[int, ...]]) -> bytes:
    """An assignment without user data, in the version that the member has chosen for its subscription."""
    out = bytearray(struct.pack(">h", version))
    entries = tuple(TopicAndPartitions(topic, partitions[topic]) for topic in sorted(partitions))
    _PARTITIONS.write(out, entries, False, 0)
    BYTES.write(out, None, False, 0)
    return bytes(out)


def _version(reader: Reader) -> int:
    version: int = struct.unpack(">h", reader.take(2))[0]
    if version < 0:
        raise SchemaError(f"consumer protocol version {version} is negative")
    return min(version, NEWEST)
