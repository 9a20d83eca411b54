"""What the group machine answers. A handler puts it on the wire as the version at hand wants it."""

from __future__ import annotations

from uuid import UUID

from moldau.control.light import light_dataclass
from moldau.errors import ErrorCode


@light_dataclass(frozen=True, slots=True)
class JoinedMember:
    member_id: str
    group_instance_id: str | None
    metadata: bytes


@light_dataclass(frozen=True, slots=True)
class JoinGroupResponse:
    error: ErrorCode
    member_id: str
    generation_id: int = -1
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()
    """Everyone's subscription; only for the leader."""


@light_dataclass(frozen=True, slots=True)
class SyncGroupResponse:
    error: ErrorCode
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


@light_dataclass(frozen=True, slots=True)
class HeartbeatResponse:
    error: ErrorCode


@light_dataclass(frozen=True, slots=True)
class ConsumerGroupHeartbeatResponse:
    error: ErrorCode
    error_message: str | None = None
    member_id: str | None = None
    member_epoch: int = 0
    heartbeat_interval_ms: int = 0
    assignment: tuple[tuple[UUID, tuple[int, ...]], ...] | None = None
    """What the member may own now, by topic id; None when that is what it was told before."""


@light_dataclass(frozen=True, slots=True)
class AssignedTopic:
    name: str
    topic_id: UUID
    partitions: tuple[int, ...]


@light_dataclass(frozen=True, slots=True)
class DescribedConsumer:
    member_id: str
    instance_id: str | None
    rack_id: str | None
    member_epoch: int
    client_id: str
    client_host: str
    topic_names: tuple[str, ...]
    topic_regex: str | None
    assignment: tuple[AssignedTopic, ...]
    target: tuple[AssignedTopic, ...]
    uses_classic_protocol: bool


@light_dataclass(frozen=True, slots=True)
class ConsumerGroupDescribeResponse:
    error: ErrorCode
    group_id: str
    error_message: str | None = None
    state: str = ""
    epoch: int = 0
    assignment_epoch: int = 0
    assignor: str = ""
    members: tuple[DescribedConsumer, ...] = ()


@light_dataclass(frozen=True, slots=True)
class LeftMember:
    member_id: str
    group_instance_id: str | None
    error: ErrorCode


@light_dataclass(frozen=True, slots=True)
class LeaveGroupResponse:
    error: ErrorCode
    members: tuple[LeftMember, ...] = ()


@light_dataclass(frozen=True, slots=True)
class OffsetCommitResponse:
    error: ErrorCode
    """When this is not NONE it holds for every partition, and `partitions` is empty."""
    partitions: tuple[tuple[str, int, ErrorCode], ...] = ()
    """(topic, partition, error) in the order of the request."""


@light_dataclass(frozen=True, slots=True)
class CompleteTransactionResponse:
    error: ErrorCode


@light_dataclass(frozen=True, slots=True)
class FetchedOffset:
    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str
    error: ErrorCode = ErrorCode.NONE


@light_dataclass(frozen=True, slots=True)
class OffsetFetchResponse:
    error: ErrorCode
    offsets: tuple[FetchedOffset, ...] = ()


@light_dataclass(frozen=True, slots=True)
class OffsetDeleteResponse:
    error: ErrorCode
    partitions: tuple[tuple[str, int, ErrorCode], ...] = ()


@light_dataclass(frozen=True, slots=True)
class DescribedMember:
    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


@light_dataclass(frozen=True, slots=True)
class DescribeGroupResponse:
    error: ErrorCode
    group_id: str
    state: str
    error_message: str | None = None
    protocol_type: str = ""
    protocol_name: str = ""
    members: tuple[DescribedMember, ...] = ()


@light_dataclass(frozen=True, slots=True)
class ListedGroup:
    group_id: str
    protocol_type: str
    state: str
    type: str


@light_dataclass(frozen=True, slots=True)
class ListGroupsResponse:
    error: ErrorCode
    groups: tuple[ListedGroup, ...] = ()


@light_dataclass(frozen=True, slots=True)
class DeleteGroupResponse:
    error: ErrorCode
    is_done: bool = True
    """Whether its offsets are gone, too; otherwise the request has to come again: they do not fit into one batch."""


@light_dataclass(frozen=True, slots=True)
class Done:
    """The answer to what no client asked: a timer, a deleted topic, the end of loading."""


GroupResponse = (
    JoinGroupResponse
    | SyncGroupResponse
    | HeartbeatResponse
    | LeaveGroupResponse
    | ConsumerGroupHeartbeatResponse
    | ConsumerGroupDescribeResponse
    | OffsetCommitResponse
    | CompleteTransactionResponse
    | OffsetFetchResponse
    | OffsetDeleteResponse
    | DescribeGroupResponse
    | ListGroupsResponse
    | DeleteGroupResponse
    | Done
)
