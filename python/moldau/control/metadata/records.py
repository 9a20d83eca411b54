"""Every record that may stand in `__cluster_metadata`, and the frame around it.

The cluster's metadata is the result of replaying these records, so this file is the disk format of the whole control
plane: what stands here was written by Apache Kafka's controllers, or will be read by them. A record's value is

    frame version   unsigned varint, always 1
    record type     unsigned varint, `RECORD_TYPES`
    record version  unsigned varint
    body            the message, in that version

with a null key. Control batches of the quorum (leader change, snapshot header, voters) are not metadata: whoever reads
the log skips them before they come here.

We read every version that Kafka ever wrote in KRaft mode. Which version is written depends on the finalized
`metadata.version` of the cluster (`features.record_version`), never on what we would prefer.

Source: Kafka's metadata record schemas (release 4.3), KIP-631 (KRaft records), KIP-858 (directories), KIP-966
(eligible leader replicas), KIP-868 (metadata transactions), KIP-1066 (cordoned directories).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from moldau.control.light import light_dataclass
from moldau.control.schema import (
    BOOL,
    BYTES,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT16,
    UUID_,
    ZERO_UUID,
    Message,
    Reader,
    SchemaError,
    array,
    decode,
    encode,
    registry,
    struct_of,
    wire,
    write_unsigned_varint,
)

FRAME_VERSION: Final = 1


# Brokers and controllers


@light_dataclass(frozen=True, slots=True)
class Endpoint(Message):
    """One listener as it is told to others; `security_protocol` is Kafka's number (0 PLAINTEXT, 1 SSL, …)."""

    name: str = wire(STRING)
    host: str = wire(STRING)
    port: int = wire(UINT16)
    security_protocol: int = wire(INT16)


@light_dataclass(frozen=True, slots=True)
class SupportedFeature(Message):
    """The range of levels of one feature that a node can work with."""

    name: str = wire(STRING)
    min_supported_version: int = wire(INT16)
    max_supported_version: int = wire(INT16)


@light_dataclass(frozen=True, slots=True)
class RegisterBrokerRecord(Message, versions=(0, 4), flexible_since=0):
    """A broker process has joined. A new incarnation of a broker replaces the registration before it."""

    broker_id: int = wire(INT32)
    is_migrating_zk_broker: bool = wire(BOOL, since=2)
    incarnation_id: UUID = wire(UUID_)
    broker_epoch: int = wire(INT64)
    end_points: tuple[Endpoint, ...] = wire(array(struct_of(Endpoint)))
    features: tuple[SupportedFeature, ...] = wire(array(struct_of(SupportedFeature)))
    rack: str | None = wire(STRING, nullable_since=0, default=None)
    fenced: bool = wire(BOOL, default=True)
    in_controlled_shutdown: bool = wire(BOOL, since=1)
    log_dirs: tuple[UUID, ...] = wire(array(UUID_), since=3, tag=0)
    cordoned_log_dirs: tuple[UUID, ...] | None = wire(array(UUID_), since=4, tag=1, nullable_since=4, default=None)


@light_dataclass(frozen=True, slots=True)
class UnregisterBrokerRecord(Message, versions=(0, 0), flexible_since=0):
    """A broker is gone for good."""

    broker_id: int = wire(INT32)
    broker_epoch: int = wire(INT64)


@light_dataclass(frozen=True, slots=True)
class FenceBrokerRecord(Message, versions=(0, 0), flexible_since=0):
    """Written by Kafka before 3.3; later versions write `BrokerRegistrationChangeRecord`."""

    id: int = wire(INT32)
    epoch: int = wire(INT64)


@light_dataclass(frozen=True, slots=True)
class UnfenceBrokerRecord(Message, versions=(0, 0), flexible_since=0):
    """Written by Kafka before 3.3; later versions write `BrokerRegistrationChangeRecord`."""

    id: int = wire(INT32)
    epoch: int = wire(INT64)


@light_dataclass(frozen=True, slots=True)
class BrokerRegistrationChangeRecord(Message, versions=(0, 3), flexible_since=0):
    """Part of a registration has changed. `fenced`: -1 unfenced, 0 as it was, 1 fenced; `in_controlled_shutdown`: 0 as
    it was, 1 begun.
    """

    broker_id: int = wire(INT32)
    broker_epoch: int = wire(INT64)
    fenced: int = wire(INT8, tag=0)
    in_controlled_shutdown: int = wire(INT8, since=1, tag=1)
    log_dirs: tuple[UUID, ...] = wire(array(UUID_), since=2, tag=2)
    cordoned_log_dirs: tuple[UUID, ...] | None = wire(array(UUID_), since=3, tag=3, nullable_since=3, default=None)


@light_dataclass(frozen=True, slots=True)
class RegisterControllerRecord(Message, versions=(0, 0), flexible_since=0):
    """A controller tells where it listens and what it supports (KIP-919)."""

    controller_id: int = wire(INT32)
    incarnation_id: UUID = wire(UUID_)
    zk_migration_ready: bool = wire(BOOL)
    end_points: tuple[Endpoint, ...] = wire(array(struct_of(Endpoint)))
    features: tuple[SupportedFeature, ...] = wire(array(struct_of(SupportedFeature)))


# Topics and partitions


@light_dataclass(frozen=True, slots=True)
class TopicRecord(Message, versions=(0, 0), flexible_since=0):
    """A topic exists; its partitions follow in records of their own."""

    name: str = wire(STRING)
    topic_id: UUID = wire(UUID_)


@light_dataclass(frozen=True, slots=True)
class RemoveTopicRecord(Message, versions=(0, 0), flexible_since=0):
    """A topic, its partitions and its configs are gone."""

    topic_id: UUID = wire(UUID_)


@light_dataclass(frozen=True, slots=True)
class PartitionRecord(Message, versions=(0, 2), flexible_since=0):
    """One partition in full."""

    partition_id: int = wire(INT32, default=-1)
    topic_id: UUID = wire(UUID_)
    replicas: tuple[int, ...] = wire(array(INT32))
    isr: tuple[int, ...] = wire(array(INT32))
    removing_replicas: tuple[int, ...] = wire(array(INT32))
    adding_replicas: tuple[int, ...] = wire(array(INT32))
    leader: int = wire(INT32, default=-1)
    leader_recovery_state: int = wire(INT8, tag=0)
    leader_epoch: int = wire(INT32, default=-1)
    partition_epoch: int = wire(INT32, default=-1)
    directories: tuple[UUID, ...] = wire(array(UUID_), since=1)
    eligible_leader_replicas: tuple[int, ...] | None = wire(
        array(INT32), since=2, tag=1, nullable_since=2, default=None
    )
    last_known_elr: tuple[int, ...] | None = wire(array(INT32), since=2, tag=2, nullable_since=2, default=None)


LEADER_UNCHANGED: Final = -2


@light_dataclass(frozen=True, slots=True)
class PartitionChangeRecord(Message, versions=(0, 2), flexible_since=0):
    """What has changed in a partition; `None`, -2 (leader) and -1 (leader recovery state) mean: as it was."""

    partition_id: int = wire(INT32, default=-1)
    topic_id: UUID = wire(UUID_)
    isr: tuple[int, ...] | None = wire(array(INT32), tag=0, nullable_since=0, default=None)
    leader: int = wire(INT32, tag=1, default=LEADER_UNCHANGED)
    replicas: tuple[int, ...] | None = wire(array(INT32), tag=2, nullable_since=0, default=None)
    removing_replicas: tuple[int, ...] | None = wire(array(INT32), tag=3, nullable_since=0, default=None)
    adding_replicas: tuple[int, ...] | None = wire(array(INT32), tag=4, nullable_since=0, default=None)
    leader_recovery_state: int = wire(INT8, tag=5, default=-1)
    directories: tuple[UUID, ...] | None = wire(array(UUID_), since=1, tag=8, nullable_since=1, default=None)
    eligible_leader_replicas: tuple[int, ...] | None = wire(
        array(INT32), since=2, tag=6, nullable_since=2, default=None
    )
    last_known_elr: tuple[int, ...] | None = wire(array(INT32), since=2, tag=7, nullable_since=2, default=None)


@light_dataclass(frozen=True, slots=True)
class ClearElrRecord(Message, versions=(0, 0), flexible_since=0):
    """Forget the eligible leader replicas of one topic, or of all when the name is empty."""

    topic_name: str = wire(STRING)


# Configs, features, quotas, producer ids


@light_dataclass(frozen=True, slots=True)
class ConfigRecord(Message, versions=(0, 0), flexible_since=0):
    """One dynamic config of one resource; a null value takes it away."""

    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    name: str = wire(STRING)
    value: str | None = wire(STRING, nullable_since=0, default="")


@light_dataclass(frozen=True, slots=True)
class FeatureLevelRecord(Message, versions=(0, 0), flexible_since=0):
    """A feature is finalized at a level; level 0 takes it away."""

    name: str = wire(STRING)
    feature_level: int = wire(INT16)


@light_dataclass(frozen=True, slots=True)
class QuotaEntity(Message):
    """One part of a quota's entity (`user`, `client-id`, `ip`); a null name is the default of that type."""

    entity_type: str = wire(STRING)
    entity_name: str | None = wire(STRING, nullable_since=0, default="")


@light_dataclass(frozen=True, slots=True)
class ClientQuotaRecord(Message, versions=(0, 0), flexible_since=0):
    """One quota of one entity, set or removed."""

    entity: tuple[QuotaEntity, ...] = wire(array(struct_of(QuotaEntity)))
    key: str = wire(STRING)
    value: float = wire(FLOAT64)
    remove: bool = wire(BOOL)


@light_dataclass(frozen=True, slots=True)
class ProducerIdsRecord(Message, versions=(0, 0), flexible_since=0):
    """A broker was given a block of producer ids that ends before `next_producer_id`."""

    broker_id: int = wire(INT32)
    broker_epoch: int = wire(INT64, default=-1)
    next_producer_id: int = wire(INT64)


# Access


@light_dataclass(frozen=True, slots=True)
class UserScramCredentialRecord(Message, versions=(0, 0), flexible_since=0):
    """A SCRAM credential; `mechanism` is 1 for SCRAM-SHA-256 and 2 for SCRAM-SHA-512."""

    name: str = wire(STRING)
    mechanism: int = wire(INT8)
    salt: bytes = wire(BYTES)
    stored_key: bytes = wire(BYTES)
    server_key: bytes = wire(BYTES)
    iterations: int = wire(INT32)


@light_dataclass(frozen=True, slots=True)
class RemoveUserScramCredentialRecord(Message, versions=(0, 0), flexible_since=0):
    """A SCRAM credential is taken away."""

    name: str = wire(STRING)
    mechanism: int = wire(INT8)


@light_dataclass(frozen=True, slots=True)
class AccessControlEntryRecord(Message, versions=(0, 0), flexible_since=0):
    """An ACL is added."""

    id: UUID = wire(UUID_)
    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    pattern_type: int = wire(INT8)
    principal: str = wire(STRING)
    host: str = wire(STRING)
    operation: int = wire(INT8)
    permission_type: int = wire(INT8)


@light_dataclass(frozen=True, slots=True)
class RemoveAccessControlEntryRecord(Message, versions=(0, 0), flexible_since=0):
    """An ACL is taken away."""

    id: UUID = wire(UUID_)


@light_dataclass(frozen=True, slots=True)
class DelegationTokenRecord(Message, versions=(0, 0), flexible_since=0):
    """A delegation token was made or renewed."""

    owner: str = wire(STRING)
    requester: str = wire(STRING)
    renewers: tuple[str, ...] = wire(array(STRING))
    issue_timestamp: int = wire(INT64)
    max_timestamp: int = wire(INT64)
    expiration_timestamp: int = wire(INT64)
    token_id: str = wire(STRING)


@light_dataclass(frozen=True, slots=True)
class RemoveDelegationTokenRecord(Message, versions=(0, 0), flexible_since=0):
    """A delegation token has expired."""

    token_id: str = wire(STRING)


# The log itself


@light_dataclass(frozen=True, slots=True)
class NoOpRecord(Message, versions=(0, 0), flexible_since=0):
    """Moves the high watermark and nothing else."""


@light_dataclass(frozen=True, slots=True)
class BeginTransactionRecord(Message, versions=(0, 0), flexible_since=0):
    """What follows counts only when the transaction ends (KIP-868)."""

    name: str | None = wire(STRING, tag=0, nullable_since=0, default=None)


@light_dataclass(frozen=True, slots=True)
class EndTransactionRecord(Message, versions=(0, 0), flexible_since=0):
    """What came since the transaction began counts now."""


@light_dataclass(frozen=True, slots=True)
class AbortTransactionRecord(Message, versions=(0, 0), flexible_since=0):
    """What came since the transaction began never happened."""

    reason: str | None = wire(STRING, tag=0, nullable_since=0, default=None)


@light_dataclass(frozen=True, slots=True)
class ZkMigrationStateRecord(Message, versions=(0, 0), flexible_since=0):
    """Left behind by clusters that came from ZooKeeper; read so that their logs can be replayed."""

    zk_migration_state: int = wire(INT8)


RECORD_TYPES: Final[Mapping[int, type[Message]]] = registry(
    (0, RegisterBrokerRecord),
    (1, UnregisterBrokerRecord),
    (2, TopicRecord),
    (3, PartitionRecord),
    (4, ConfigRecord),
    (5, PartitionChangeRecord),
    (7, FenceBrokerRecord),
    (8, UnfenceBrokerRecord),
    (9, RemoveTopicRecord),
    (10, DelegationTokenRecord),
    (11, UserScramCredentialRecord),
    (12, FeatureLevelRecord),
    (14, ClientQuotaRecord),
    (15, ProducerIdsRecord),
    (17, BrokerRegistrationChangeRecord),
    (18, AccessControlEntryRecord),
    (19, RemoveAccessControlEntryRecord),
    (20, NoOpRecord),
    (21, ZkMigrationStateRecord),
    (22, RemoveUserScramCredentialRecord),
    (23, BeginTransactionRecord),
    (24, EndTransactionRecord),
    (25, AbortTransactionRecord),
    (26, RemoveDelegationTokenRecord),
    (27, RegisterControllerRecord),
    (28, ClearElrRecord),
)
_TYPE_NUMBERS: Final[Mapping[type[Message], int]] = {message: number for number, message in RECORD_TYPES.items()}

MIGRATING_DIRECTORY: Final = ZERO_UUID
"""The replica comes from a time before directories were recorded (KIP-858)."""
UNASSIGNED_DIRECTORY: Final = UUID(int=1)
"""The replica's broker has not said yet in which directory the replica lives."""
LOST_DIRECTORY: Final = UUID(int=2)
"""The replica lives in a directory that has failed."""


def encode_record(record: Message, version: int) -> bytes:
    """The value of the log record that carries `record`.

    Raises:
        SchemaError: the version is unknown, or a value does not fit its type.
    """
    head = bytearray((FRAME_VERSION,))
    write_unsigned_varint(head, _TYPE_NUMBERS[type(record)])
    write_unsigned_varint(head, version)
    return bytes(head) + encode(record, version)


def decode_record(value: bytes | memoryview) -> tuple[Message, int]:
    """The record that a log record's value carries, and the version in which it was written.

    Raises:
        SchemaError: unknown frame, type or version, missing bytes, or bytes left over.
    """
    if len(value) > 2 and value[0] == FRAME_VERSION and value[1] < 0x80 and value[2] < 0x80:
        # Every record that there is: numbers of one byte.
        record_type, version, body = value[1], value[2], value[3:]
    else:
        reader = Reader(value)
        frame_version = reader.unsigned_varint()
        if frame_version != FRAME_VERSION:
            raise SchemaError(f"metadata frame version {frame_version} is unknown (known: {FRAME_VERSION})")
        record_type, version = reader.unsigned_varint(), reader.unsigned_varint()
        body = reader.take(reader.remaining)
    message = RECORD_TYPES.get(record_type)
    if message is None:
        raise SchemaError(f"metadata record type {record_type} is unknown")
    return decode(message, version, body), version
