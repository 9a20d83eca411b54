"""The records of a consumer group in `__consumer_offsets`, byte for byte as Apache Kafka 4.3 writes them.

    3    group -> group epoch and the hash of the metadata of its topics
    4    group -> metadata of its topics: before Kafka 4.1; the hash has taken its place, and only its end is written
    5    (group, member) -> what the member has said about itself
    6    group -> epoch of the target assignment
    7    (group, member) -> what the member shall own
    8    (group, member) -> what it owns, what it must give up, and its epoch
    16   (group, regular expression) -> the topics it stands for

Every value has version 0. A value of None takes back what was said under that key.
Source: the schemas `ConsumerGroup*Key` and `ConsumerGroup*Value` of Apache Kafka 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Final
from uuid import UUID

from moldau.control.light import light_dataclass
from moldau.control.schema import (
    BYTES,
    INT8,
    INT32,
    INT64,
    LONGEST_STRING,
    STRING,
    UUID_,
    Message,
    Reader,
    SchemaError,
    WireType,
    array,
    decode,
    encode,
    struct_of,
    wire,
    write_unsigned_varint,
)

VALUE_VERSION: Final = 0
_USUAL_NAMES: Final = 300
"""Characters of names that are remembered encoded: those of a million characters are not."""
_NUMBERS: Final = tuple(number.to_bytes(2, "big") for number in range(17))
_ALWAYS: Final = 0


@light_dataclass(frozen=True, slots=True)
class GroupEpochValue(Message, versions=(0, 0), flexible_since=0):
    epoch: int = wire(INT32)
    metadata_hash: int = wire(INT64, tag=0)


@light_dataclass(frozen=True, slots=True)
class ClassicProtocol(Message):
    name: str = wire(STRING)
    metadata: bytes = wire(BYTES)


@light_dataclass(frozen=True, slots=True)
class ClassicMetadata(Message):
    """What a member that uses the classic protocol in a consumer group brings with it."""

    session_timeout_ms: int = wire(INT32)
    protocols: tuple[ClassicProtocol, ...] = wire(array(struct_of(ClassicProtocol)))


def _nullable(type_: WireType) -> WireType:
    """A nullable structure in a tagged field: a varint says whether it follows."""

    def write(out: bytearray, value: object, flexible: bool, version: int) -> None:
        write_unsigned_varint(out, 0 if value is None else 1)
        if value is not None:
            type_.write(out, value, flexible, version)

    def read(reader: Reader, flexible: bool, version: int, nullable: bool) -> object:
        return None if reader.unsigned_varint() == 0 else type_.read(reader, flexible, version, False)

    return WireType(f"?{type_.name}", write, read, None)


@light_dataclass(frozen=True, slots=True)
class MemberValue(Message, versions=(0, 0), flexible_since=0):
    instance_id: str | None = wire(STRING, nullable_since=_ALWAYS, default=None)
    rack_id: str | None = wire(STRING, nullable_since=_ALWAYS, default=None)
    client_id: str = wire(STRING)
    client_host: str = wire(STRING)
    subscribed_topic_names: tuple[str, ...] = wire(array(STRING))
    subscribed_topic_regex: str | None = wire(STRING, nullable_since=_ALWAYS, default=None)
    rebalance_timeout_ms: int = wire(INT32, default=-1)
    server_assignor: str | None = wire(STRING, nullable_since=_ALWAYS, default=None)
    classic: ClassicMetadata | None = wire(
        _nullable(struct_of(ClassicMetadata)), tag=0, nullable_since=_ALWAYS, default=ClassicMetadata()
    )
    """None for a member of the consumer protocol. The default of Kafka's schema is empty instead, and never written."""


@light_dataclass(frozen=True, slots=True)
class TargetEpochValue(Message, versions=(0, 0), flexible_since=0):
    assignment_epoch: int = wire(INT32)
    assignment_timestamp: int = wire(INT64, tag=0)


@light_dataclass(frozen=True, slots=True)
class TopicPartitionsValue(Message):
    topic_id: UUID = wire(UUID_)
    partitions: tuple[int, ...] = wire(array(INT32))


@light_dataclass(frozen=True, slots=True)
class TargetMemberValue(Message, versions=(0, 0), flexible_since=0):
    topic_partitions: tuple[TopicPartitionsValue, ...] = wire(array(struct_of(TopicPartitionsValue)))


@light_dataclass(frozen=True, slots=True)
class OwnedPartitionsValue(Message):
    topic_id: UUID = wire(UUID_)
    partitions: tuple[int, ...] = wire(array(INT32))
    assignment_epochs: tuple[int, ...] | None = wire(array(INT32), tag=0, nullable_since=_ALWAYS, default=None)


@light_dataclass(frozen=True, slots=True)
class CurrentMemberValue(Message, versions=(0, 0), flexible_since=0):
    member_epoch: int = wire(INT32)
    previous_member_epoch: int = wire(INT32)
    state: int = wire(INT8)
    assigned_partitions: tuple[OwnedPartitionsValue, ...] = wire(array(struct_of(OwnedPartitionsValue)))
    partitions_pending_revocation: tuple[OwnedPartitionsValue, ...] = wire(array(struct_of(OwnedPartitionsValue)))


@light_dataclass(frozen=True, slots=True)
class RegularExpressionValue(Message, versions=(0, 0), flexible_since=0):
    topics: tuple[str, ...] = wire(array(STRING))
    version: int = wire(INT64)
    timestamp: int = wire(INT64)


@light_dataclass(frozen=True, slots=True)
class GroupEpochRecord:
    record_type: ClassVar[int] = 3
    group: str
    value: GroupEpochValue | None


@light_dataclass(frozen=True, slots=True)
class TopicMetadataRecord:
    """What Kafka before 4.1 wrote; its value is carried as bytes, nobody reads it."""

    record_type: ClassVar[int] = 4
    group: str
    value: bytes | None


@light_dataclass(frozen=True, slots=True)
class MemberRecord:
    record_type: ClassVar[int] = 5
    group: str
    member_id: str
    value: MemberValue | None


@light_dataclass(frozen=True, slots=True)
class TargetEpochRecord:
    record_type: ClassVar[int] = 6
    group: str
    value: TargetEpochValue | None


@light_dataclass(frozen=True, slots=True)
class TargetMemberRecord:
    record_type: ClassVar[int] = 7
    group: str
    member_id: str
    value: TargetMemberValue | None


@light_dataclass(frozen=True, slots=True)
class CurrentMemberRecord:
    record_type: ClassVar[int] = 8
    group: str
    member_id: str
    value: CurrentMemberValue | None


@light_dataclass(frozen=True, slots=True)
class RegularExpressionRecord:
    record_type: ClassVar[int] = 16
    group: str
    expression: str
    value: RegularExpressionValue | None


ConsumerRecord = (
    GroupEpochRecord
    | TopicMetadataRecord
    | MemberRecord
    | TargetEpochRecord
    | TargetMemberRecord
    | CurrentMemberRecord
    | RegularExpressionRecord
)


@light_dataclass(frozen=True, slots=True)
class GroupKey(Message, versions=(0, 0)):
    group: str = wire(STRING)


@light_dataclass(frozen=True, slots=True)
class GroupAndNameKey(Message, versions=(0, 0)):
    group: str = wire(STRING)
    name: str = wire(STRING)


_OF_MEMBERS: Final[Mapping[int, tuple[type, type[Message]]]] = {
    5: (MemberRecord, MemberValue),
    7: (TargetMemberRecord, TargetMemberValue),
    8: (CurrentMemberRecord, CurrentMemberValue),
    16: (RegularExpressionRecord, RegularExpressionValue),
}
_OF_GROUPS: Final[Mapping[int, tuple[type, type[Message]]]] = {
    3: (GroupEpochRecord, GroupEpochValue),
    6: (TargetEpochRecord, TargetEpochValue),
}
RECORD_TYPES: Final = frozenset({TopicMetadataRecord.record_type, *_OF_GROUPS, *_OF_MEMBERS})


def encode_record(record: ConsumerRecord) -> tuple[bytes, bytes | None]:
    """Key and value of `record` as they stand in the log.

    Raises:
        SchemaError: a value does not fit, such as a group id of more than 32767 bytes.
    """
    match record:
        case MemberRecord() | TargetMemberRecord() | CurrentMemberRecord():
            names = _names(record.group, record.member_id)
        case RegularExpressionRecord():
            names = _names(record.group, record.expression)
        case _:
            names = _names(record.group)
    key = _NUMBERS[record.record_type] + names
    value = record.value
    if value is None:
        return key, None
    last_value, last_encoded = _last.member
    if value is last_value:
        return key, last_encoded
    encoded = _NUMBERS[VALUE_VERSION] + (value if isinstance(value, bytes) else encode(value, VALUE_VERSION))
    if type(value) is MemberValue:
        _last.member = (value, encoded)
    return key, encoded


class _Last:
    """Who joins together says mostly the same of itself, in one object."""

    member: tuple[MemberValue | None, bytes] = (None, b"")
    """The value that was encoded last, and its bytes. One object: there may be nodes in other threads."""


_last: Final = _Last()


def _names(*names: str) -> bytes:
    usual = sum(map(len, names)) <= _USUAL_NAMES
    return _encoded_names(*names) if usual else _encoded_names.__wrapped__(*names)


@lru_cache(maxsize=4096)
def _encoded_names(*names: str) -> bytes:
    """What `GroupKey` and `GroupAndNameKey` say, by hand: who joins does so in three records."""
    key = b""
    for name in names:
        text = name.encode()
        if len(text) > LONGEST_STRING:
            raise SchemaError(f"string of {len(text)} bytes, the limit is {LONGEST_STRING}")
        key += len(text).to_bytes(2, "big") + text
    return key


def read(record_type: int, key: memoryview, version: int, value: memoryview | None) -> ConsumerRecord:
    """What key and value, both after their leading int16, say.

    Raises:
        SchemaError: the bytes do not follow the schema of their type.
    """
    if record_type == TopicMetadataRecord.record_type:
        return TopicMetadataRecord(decode(GroupKey, 0, key).group, None if value is None else bytes(value))
    record: ConsumerRecord
    if record_type in _OF_GROUPS:
        of_group, schema = _OF_GROUPS[record_type]
        record = of_group(decode(GroupKey, 0, key).group, _value(schema, version, value))
        return record
    if record_type not in _OF_MEMBERS:
        raise SchemaError(f"record type {record_type} is not one of a consumer group")
    of_member, schema = _OF_MEMBERS[record_type]
    names = decode(GroupAndNameKey, 0, key)
    record = of_member(names.group, names.name, _value(schema, version, value))
    return record


def _value(schema: type[Message], version: int, value: memoryview | None) -> object:
    return None if value is None else decode(schema, version, value)
