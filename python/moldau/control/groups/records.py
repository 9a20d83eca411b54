"""The records of `__consumer_offsets`, byte for byte as Apache Kafka 4.3 writes them.

A record's key begins with an int16 that says what the record is, its value with an int16 that says which version of
the value follows. A key without a value (a tombstone) takes back what was said under that key.

    0, 1   OffsetCommit   (group, topic, partition) -> offset            0 is how Kafka before 0.9 wrote it
    2      GroupMetadata  group -> generation, protocol, leader, members and their assignments
    3 .. 8, 16            groups of the consumer protocol (KIP-848)
    10 .. 15              share groups (KIP-932)
    17 .. 23              streams groups (KIP-1071)

A directory written by Kafka may hold all of them. Those of consumer groups are in `consumer.records`; what belongs to
share and streams groups is carried as `OtherRecord`: it is not understood here, but it is neither refused nor
forgotten, since it says that a group id belongs to another protocol. Every such key begins with the group id.

Values are read in every version that Kafka ever wrote and written in the version that Kafka 4.3 writes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final
from uuid import UUID

from moldau.control.groups.consumer import records as consumer
from moldau.control.groups.consumer.records import ConsumerRecord
from moldau.control.light import light_dataclass
from moldau.control.machine import TransactionMarker
from moldau.control.schema import (
    BYTES,
    INT32,
    INT64,
    STRING,
    UUID_,
    ZERO_UUID,
    Message,
    Reader,
    SchemaError,
    array,
    decode,
    encode,
    struct_of,
    wire,
)

LEGACY_OFFSET_COMMIT: Final = 0
OFFSET_COMMIT: Final = 1
GROUP_METADATA: Final = 2

SHARE_GROUP_METADATA: Final = 11
STREAMS_GROUP_METADATA: Final = 17
GROUP_DECLARATIONS: Final = {
    SHARE_GROUP_METADATA: "Share",
    STREAMS_GROUP_METADATA: "Streams",
}
"""The record types that say that a group of another protocol exists, and how Kafka names its type."""

GROUP_METADATA_VERSION: Final = 3
OFFSET_COMMIT_VERSION: Final = 4
OFFSET_COMMIT_WITH_EXPIRY_VERSION: Final = 1
"""Only version 1 has room for `expire_timestamp`, so a commit with a retention of its own is written in it."""

_NO_EXPIRY: Final = -1
_NULL_SINCE_EVER: Final = 0
_TINY_TEXT: Final = 126
"""Its compact length is one byte."""
_USUAL_NAMES: Final = 300
"""Characters of a group id and a topic that are remembered encoded: those of a million characters are not."""
_HEAD_OF_OFFSET: Final = struct.Struct(">hqiB").pack
_TAIL_OF_OFFSET: Final = struct.Struct(">q").pack
_PARTITION_OF_OFFSET: Final = struct.Struct(">i").pack


@light_dataclass(frozen=True, slots=True)
class OffsetCommitKey(Message, versions=(0, 1)):
    group: str = wire(STRING)
    topic: str = wire(STRING)
    partition: int = wire(INT32)


@light_dataclass(frozen=True, slots=True)
class OffsetCommitValue(Message, versions=(0, 4), flexible_since=4):
    offset: int = wire(INT64)
    leader_epoch: int = wire(INT32, since=3, default=-1)
    metadata: str = wire(STRING)
    commit_timestamp: int = wire(INT64)
    expire_timestamp: int = wire(INT64, since=1, until=1, default=_NO_EXPIRY)
    topic_id: UUID = wire(UUID_, since=4, tag=0)


@light_dataclass(frozen=True, slots=True)
class GroupMetadataKey(Message, versions=(2, 2)):
    group: str = wire(STRING)


@light_dataclass(frozen=True, slots=True)
class MemberMetadata(Message):
    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=3, nullable_since=3, default=None)
    client_id: str = wire(STRING)
    client_host: str = wire(STRING)
    rebalance_timeout: int = wire(INT32, since=1, default=-1)
    session_timeout: int = wire(INT32)
    subscription: bytes = wire(BYTES)
    assignment: bytes = wire(BYTES)


@light_dataclass(frozen=True, slots=True)
class GroupMetadataValue(Message, versions=(0, 4), flexible_since=4):
    protocol_type: str = wire(STRING)
    generation: int = wire(INT32)
    protocol: str | None = wire(STRING, nullable_since=_NULL_SINCE_EVER, default=None)
    leader: str | None = wire(STRING, nullable_since=_NULL_SINCE_EVER, default=None)
    current_state_timestamp: int = wire(INT64, since=2, default=-1)
    members: tuple[MemberMetadata, ...] = wire(array(struct_of(MemberMetadata)))


@light_dataclass(frozen=True, slots=True)
class OffsetRecord:
    """An offset was committed, or with `value` None: it was taken back."""

    group: str
    topic: str
    partition: int
    value: OffsetCommitValue | None


@light_dataclass(frozen=True, slots=True)
class PendingOffsetRecord:
    """An offset was committed inside a producer's transaction. On disk the batch around it says so."""

    producer_id: int
    offset: OffsetRecord


@light_dataclass(frozen=True, slots=True)
class GroupRecord:
    """A classic group reached a generation, or with `value` None: it is gone."""

    group: str
    value: GroupMetadataValue | None


@light_dataclass(frozen=True, slots=True)
class OtherRecord:
    """A record of a protocol that is not served, kept as bytes."""

    record_type: int
    group: str
    key: bytes
    value: bytes | None


CoordinatorRecord = OffsetRecord | PendingOffsetRecord | GroupRecord | ConsumerRecord | OtherRecord | TransactionMarker
"""A marker is not encoded here: it is a control batch, which the log makes."""


def encode_record(record: CoordinatorRecord) -> tuple[bytes, bytes | None]:
    """Key and value of `record` as they stand in the log.

    Raises:
        SchemaError: a value does not fit, such as a group id of more than 32767 bytes.
    """
    match record:
        case OffsetRecord(group, topic, partition, value):
            if (by_hand := _encode_usual_offset(record)) is not None:
                return by_hand
            key = _with_number(OFFSET_COMMIT, OffsetCommitKey(group, topic, partition), version=OFFSET_COMMIT)
            if value is None:
                return key, None
            version = OFFSET_COMMIT_VERSION
            if value.expire_timestamp != _NO_EXPIRY:
                version = OFFSET_COMMIT_WITH_EXPIRY_VERSION
            return key, _with_number(version, value, version=version)
        case consumer.MemberRecord() | consumer.TargetMemberRecord() | consumer.CurrentMemberRecord():
            # Asked for early: who joins does so in three of them.
            return consumer.encode_record(record)
        case GroupRecord(group, metadata):
            key = _with_number(GROUP_METADATA, GroupMetadataKey(group), version=GROUP_METADATA)
            if metadata is None:
                return key, None
            return key, _with_number(GROUP_METADATA_VERSION, metadata, version=GROUP_METADATA_VERSION)
        case OtherRecord():
            return record.key, record.value
        case PendingOffsetRecord(_, offset):
            return encode_record(offset)
        case TransactionMarker():
            raise SchemaError("a transaction marker has no key and value of its own")
        case _:
            return consumer.encode_record(record)


def _encode_usual_offset(record: OffsetRecord) -> tuple[bytes, bytes | None] | None:
    """What the schemas say, by hand, because every commit writes it; None for what is not as usual."""
    value = record.value
    try:
        key = _offset_key(record.group, record.topic, record.partition)
        if value is None:
            return key, None
        metadata = value.metadata.encode()
        if value.expire_timestamp != _NO_EXPIRY or len(metadata) > _TINY_TEXT:
            return None
        head = _HEAD_OF_OFFSET(OFFSET_COMMIT_VERSION, value.offset, value.leader_epoch, len(metadata) + 1)
        tail = _TAIL_OF_OFFSET(value.commit_timestamp)
    except struct.error:
        return None
    return key, head + metadata + tail + _tagged_topic_id(value.topic_id)


def _offset_key(group: str, topic: str, partition: int) -> bytes:
    """The key of a committed offset.

    Raises:
        struct.error: something does not fit.
    """
    is_usual = len(group) + len(topic) <= _USUAL_NAMES
    names = _names_of_offset(group, topic) if is_usual else _names_of_offset.__wrapped__(group, topic)
    return names + _PARTITION_OF_OFFSET(partition)


@lru_cache(maxsize=4096)
def _names_of_offset(group: str, topic: str) -> bytes:
    """What the key of an offset begins with. A consumer commits for the same topics again and again."""
    names = b"".join(struct.pack(">h", len(name)) + name for name in (group.encode(), topic.encode()))
    return struct.pack(">h", OFFSET_COMMIT) + names


@lru_cache(maxsize=1024)
def _tagged_topic_id(topic_id: UUID) -> bytes:
    """The tagged fields of an offset: its topic's id, where it is known."""
    return b"\x00" if topic_id == ZERO_UUID else b"\x01\x00\x10" + topic_id.bytes


def decode_record(key: bytes | None, value: bytes | None) -> CoordinatorRecord:
    """What a record of the log says.

    Raises:
        SchemaError: the bytes do not follow the schema of their type.
    """
    if key is None:
        raise SchemaError("a record of __consumer_offsets has no key")
    record_type, key_body = _number_and_body(key)
    if record_type in (LEGACY_OFFSET_COMMIT, OFFSET_COMMIT):
        offset_key = decode(OffsetCommitKey, record_type, key_body)
        offset_value = None
        if value is not None:
            version, body = _number_and_body(value)
            offset_value = decode(OffsetCommitValue, version, body)
        return OffsetRecord(offset_key.group, offset_key.topic, offset_key.partition, offset_value)
    if record_type == GROUP_METADATA:
        group_key = decode(GroupMetadataKey, record_type, key_body)
        group_value = None
        if value is not None:
            version, body = _number_and_body(value)
            group_value = decode(GroupMetadataValue, version, body)
        return GroupRecord(group_key.group, group_value)
    if record_type in consumer.RECORD_TYPES:
        if value is None:
            return consumer.read(record_type, key_body, consumer.VALUE_VERSION, None)
        return consumer.read(record_type, key_body, *_number_and_body(value))
    group = STRING.read(Reader(key_body), False, record_type, False)
    return OtherRecord(record_type, group, bytes(key), None if value is None else bytes(value))


def _with_number(number: int, message: Message, *, version: int) -> bytes:
    return struct.pack(">h", number) + encode(message, version)


def _number_and_body(data: bytes) -> tuple[int, memoryview]:
    if len(data) < 2:
        raise SchemaError(f"{len(data)} bytes are too few for the leading int16")
    return struct.unpack_from(">h", data)[0], memoryview(data)[2:]
