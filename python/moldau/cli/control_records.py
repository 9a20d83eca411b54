"""Control records in words: the ends of transactions, and what the quorum writes about itself.

The key of each is the version of the format and the type; the value begins with its version and goes on as the type
says. A value that does not follow its schema is shown with what is wrong, never refused.

Source: Kafka's `ControlRecordType` and the schemas of `EndTxnMarker`, `LeaderChangeMessage`, `SnapshotHeaderRecord`,
`SnapshotFooterRecord`, `KRaftVersionRecord` and `VotersRecord`; KIP-98, KIP-595, KIP-630, KIP-853.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from moldau.control.schema import (
    INT16,
    INT32,
    INT64,
    STRING,
    UINT16,
    UUID_,
    Message,
    SchemaError,
    array,
    decode,
    struct_of,
    wire,
)
from moldau.server.log_files import CONTROL_TYPES


@dataclass(frozen=True, slots=True)
class EndTransaction(Message, versions=(0, 0)):
    version: int = wire(INT16)
    coordinator_epoch: int = wire(INT32)


@dataclass(frozen=True, slots=True)
class LeaderVoter(Message):
    voter_id: int = wire(INT32)
    voter_directory_id: UUID = wire(UUID_, since=1)


@dataclass(frozen=True, slots=True)
class LeaderChange(Message, versions=(0, 1), flexible_since=0):
    version: int = wire(INT16)
    leader_id: int = wire(INT32)
    voters: tuple[LeaderVoter, ...] = wire(array(struct_of(LeaderVoter)))
    granting_voters: tuple[LeaderVoter, ...] = wire(array(struct_of(LeaderVoter)))


@dataclass(frozen=True, slots=True)
class SnapshotHeader(Message, versions=(0, 0), flexible_since=0):
    version: int = wire(INT16)
    last_contained_log_timestamp: int = wire(INT64)


@dataclass(frozen=True, slots=True)
class SnapshotFooter(Message, versions=(0, 0), flexible_since=0):
    version: int = wire(INT16)


@dataclass(frozen=True, slots=True)
class KRaftVersion(Message, versions=(0, 0), flexible_since=0):
    version: int = wire(INT16)
    kraft_version: int = wire(INT16)


@dataclass(frozen=True, slots=True)
class VoterEndpoint(Message):
    name: str = wire(STRING)
    host: str = wire(STRING)
    port: int = wire(UINT16)


@dataclass(frozen=True, slots=True)
class KRaftVersionRange(Message):
    min_supported_version: int = wire(INT16)
    max_supported_version: int = wire(INT16)


@dataclass(frozen=True, slots=True)
class Voter(Message):
    voter_id: int = wire(INT32)
    voter_directory_id: UUID = wire(UUID_)
    endpoints: tuple[VoterEndpoint, ...] = wire(array(struct_of(VoterEndpoint)))
    kraft_version_feature: KRaftVersionRange = wire(struct_of(KRaftVersionRange))


@dataclass(frozen=True, slots=True)
class Voters(Message, versions=(0, 0), flexible_since=0):
    version: int = wire(INT16)
    voters: tuple[Voter, ...] = wire(array(struct_of(Voter)))


_VALUES: Final[Mapping[int, type[Message]]] = {
    0: EndTransaction,
    1: EndTransaction,
    2: LeaderChange,
    3: SnapshotHeader,
    4: SnapshotFooter,
    5: KRaftVersion,
    6: Voters,
}


def control_type(key: bytes | None) -> int | None:
    """The type that a key names; `None` when it is too short to name one."""
    if key is None or len(key) < 4:
        return None
    kind: int = struct.unpack_from(">h", key, 2)[0]
    return kind


def describe_control(kind: int, value: bytes | None) -> dict[str, Any]:
    """The name of the type, and the message behind it as `data` or what is wrong with it as `note`."""
    found: dict[str, Any] = {"control": CONTROL_TYPES.get(kind, str(kind))}
    if kind not in _VALUES:
        return found
    try:
        if value is None or len(value) < 2:
            raise SchemaError("the value has no version")
        found["data"] = decode(_VALUES[kind], struct.unpack_from(">h", value)[0], value)
    except SchemaError as error:
        found["note"] = str(error)
    return found
