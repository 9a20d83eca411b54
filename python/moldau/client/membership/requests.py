"""What the machine asks and is answered, and how each looks in every version of the protocol.

A request knows the fields that the broker wants; `answer_of` turns what came back into one of the answers below. No
decisions and no sockets here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from moldau.client.protocol import coordinators
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.coordinators import Coordinates
from moldau.client.protocol.errors import UnservedError
from moldau.client.protocol.partitions import Partition
from moldau.client.protocol.questions import (
    FIND_COORDINATOR,
    HEARTBEAT,
    JOIN_GROUP,
    LEAVE_GROUP,
    OFFSET_COMMIT,
    OFFSET_FETCH,
    SYNC_GROUP,
    Values,
)
from moldau.errors import ErrorCode

NO_GENERATION: Final = -1
REASON_CHARACTERS_MAX: Final = 255
_STATIC_SINCE: Final = {HEARTBEAT: 3, JOIN_GROUP: 5, LEAVE_GROUP: 3, OFFSET_COMMIT: 7, SYNC_GROUP: 3}


class JoinedMember(NamedTuple):
    """A member as the leader sees it."""

    member_id: str
    group_instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in every request of a member."""

    group_id: str
    group_instance_id: str | None

    def refuse_static(self, api_key: int, version: int) -> None:
        """A broker that knows no static members would take us for another one with each request."""
        if self.group_instance_id is not None and version < _STATIC_SINCE[api_key]:
            raise UnservedError("the broker knows no static members\nhint: leave group.instance.id out")


@dataclass(frozen=True, slots=True)
class FindCoordinator:
    """Who answers for the group?"""

    group: Group
    api_key = FIND_COORDINATOR

    def values(self, version: int) -> Values:
        """The fields."""
        return coordinators.question(version, Coordinates.GROUP, self.group.group_id)


@dataclass(frozen=True, slots=True)
class Join:
    """Let me in, or let me stay."""

    group: Group
    member_id: str
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    session_timeout_ms: int
    rebalance_timeout_ms: int
    reason: str
    api_key = JOIN_GROUP

    def values(self, version: int) -> Values:
        """The fields."""
        self.group.refuse_static(JOIN_GROUP, version)
        return {
            "group_id": self.group.group_id,
            "session_timeout": self.session_timeout_ms,
            "rebalance_timeout": self.rebalance_timeout_ms,
            "member_id": self.member_id,
            "group_instance_id": self.group.group_instance_id,
            "protocol_type": self.protocol_type,
            "protocols": tuple({"name": name, "metadata": metadata} for name, metadata in self.protocols),
            "reason": self.reason[:REASON_CHARACTERS_MAX] or None,
        }


@dataclass(frozen=True, slots=True)
class Sync:
    """What do I get? A leader says what everybody gets."""

    group: Group
    member_id: str
    generation_id: int
    protocol_type: str
    protocol: str | None
    assignments: tuple[tuple[str, bytes], ...]
    api_key = SYNC_GROUP

    def values(self, version: int) -> Values:
        """The fields."""
        self.group.refuse_static(SYNC_GROUP, version)
        return {
            "group_id": self.group.group_id,
            "generation_id": self.generation_id,
            "member_id": self.member_id,
            "group_instance_id": self.group.group_instance_id,
            "protocol_type": self.protocol_type,
            "protocol_name": self.protocol,
            "assignments": tuple({"member_id": member, "assignment": given} for member, given in self.assignments),
        }


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """I am here."""

    group: Group
    member_id: str
    generation_id: int
    api_key = HEARTBEAT

    def values(self, version: int) -> Values:
        """The fields."""
        self.group.refuse_static(HEARTBEAT, version)
        return {
            "group_id": self.group.group_id,
            "generation_id": self.generation_id,
            "member_id": self.member_id,
            "group_instance_id": self.group.group_instance_id,
        }


@dataclass(frozen=True, slots=True)
class Leave:
    """Do not wait for me."""

    group: Group
    member_id: str
    reason: str
    api_key = LEAVE_GROUP

    def values(self, version: int) -> Values:
        """The fields."""
        if version < 3:
            return {"group_id": self.group.group_id, "member_id": self.member_id}
        member = {
            "member_id": self.member_id,
            "group_instance_id": self.group.group_instance_id,
            "reason": self.reason[:REASON_CHARACTERS_MAX] or None,
        }
        return {"group_id": self.group.group_id, "members": (member,)}


class GroupMetadata(NamedTuple):
    """As what a group knows a member: it says in whose name offsets are committed in a transaction. (KIP-447)"""

    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None = None


class Commit(NamedTuple):
    """Where a group has come to in one partition, and what to tell whoever goes on there; an offset of -1 is none."""

    offset: int
    metadata: str | None = None
    leader_epoch: int = -1
    """Of the leader who has written the record before it, -1 if nobody knows. (KIP-320)"""


@dataclass(frozen=True, slots=True)
class CommitOffsets:
    """Up to here everything is done, by topic and partition."""

    group: Group
    member_id: str
    generation_id: int
    offsets: Mapping[str, Mapping[int, Commit]]
    api_key = OFFSET_COMMIT

    def values(self, version: int) -> Values:
        """The fields. The retention of old versions is the broker's."""
        self.group.refuse_static(OFFSET_COMMIT, version)
        return {
            "group_id": self.group.group_id,
            "generation_id_or_member_epoch": self.generation_id,
            "member_id": self.member_id,
            "group_instance_id": self.group.group_instance_id,
            "retention_time": -1,
            "topics": tuple(
                {
                    "name": topic,
                    "partitions": tuple(
                        {
                            "partition_index": partition,
                            "committed_offset": one.offset,
                            "committed_leader_epoch": one.leader_epoch,
                            "committed_metadata": one.metadata,
                        }
                        for partition, one in partitions.items()
                    ),
                }
                for topic, partitions in self.offsets.items()
            ),
        }


@dataclass(frozen=True, slots=True)
class FetchOffsets:
    """How far has the group come? By topic, of these partitions."""

    group: Group
    partitions: Mapping[str, Iterable[int]]
    api_key = OFFSET_FETCH

    def values(self, version: int) -> Values:
        """The fields. Offsets of a transaction that is not over are waited for, by brokers that know of that."""
        topics = tuple({"name": topic, "partition_indexes": tuple(ones)} for topic, ones in self.partitions.items())
        if version >= 8:
            return {"groups": ({"group_id": self.group.group_id, "topics": topics},), "require_stable": True}
        return {"group_id": self.group.group_id, "topics": topics, "require_stable": True}


Request = FindCoordinator | Join | Sync | Heartbeat | Leave


@dataclass(frozen=True, slots=True)
class Answer:
    """What every answer says."""

    error: ErrorCode
    message: str | None = None


@dataclass(frozen=True, slots=True)
class CoordinatorAnswer(Answer):
    """Where the coordinator is; only without an error."""

    address: Address | None = None


@dataclass(frozen=True, slots=True)
class JoinAnswer(Answer):
    """The new generation. `members` is for the leader alone."""

    generation_id: int = NO_GENERATION
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    member_id: str = ""
    members: tuple[JoinedMember, ...] = ()
    skip_assignment: bool = False


@dataclass(frozen=True, slots=True)
class SyncAnswer(Answer):
    """What this member gets."""

    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


def error_of(raw: Any) -> ErrorCode:
    """Kafka's error of a part of an answer."""
    return ErrorCode.of(int(raw.error_code.value))


def answer_of(request: Request, raw: Any) -> Answer:
    """What an answer of the protocol says to the machine."""
    if isinstance(request, FindCoordinator):
        return CoordinatorAnswer(*coordinators.answer_of(raw))
    if isinstance(request, Join):
        return JoinAnswer(
            error_of(raw),
            None,
            int(raw.generation_id),
            getattr(raw, "protocol_type", None),
            raw.protocol_name,
            raw.leader,
            raw.member_id,
            tuple(
                JoinedMember(one.member_id, getattr(one, "group_instance_id", None), bytes(one.metadata))
                for one in raw.members
            ),
            getattr(raw, "skip_assignment", False),
        )
    if isinstance(request, Sync):
        return SyncAnswer(
            error_of(raw),
            None,
            getattr(raw, "protocol_type", None),
            getattr(raw, "protocol_name", None),
            bytes(raw.assignment),
        )
    if isinstance(request, Leave):
        return Answer(
            next((code for code in map(error_of, (raw, *getattr(raw, "members", ()))) if code), ErrorCode.NONE)
        )
    return Answer(error_of(raw))


def commit_errors(raw: Any) -> dict[ErrorCode, list[str]]:
    """By error, the partitions that were not committed, as `topic-0`."""
    found: dict[ErrorCode, list[str]] = {}
    for topic in raw.topics:
        for one in topic.partitions:
            error = error_of(one)
            if error:
                found.setdefault(error, []).append(f"{topic.name}-{one.partition_index}")
    return found


def committed_of(raw: Any, may_go: Callable[[str], bool]) -> tuple[ErrorCode, dict[Partition, Commit]]:
    """The offsets of an answer to `FetchOffsets`, or its first error; a topic that may go and is gone has none."""
    answer = next(iter(getattr(raw, "groups", ()) or (raw,)))
    error = error_of(answer) if hasattr(answer, "error_code") else ErrorCode.NONE
    found: dict[Partition, Commit] = {}
    for topic in answer.topics:
        for one in topic.partitions:
            code = error_of(one)
            if code is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION or not may_go(str(topic.name)):
                error = error or code
            offset, epoch = int(one.committed_offset), int(getattr(one, "committed_leader_epoch", -1))
            found[str(topic.name), int(one.partition_index)] = Commit(offset, one.metadata or None, epoch)
    return error, found
