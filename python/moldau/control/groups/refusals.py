"""The shape of "no" for every request: an error where the client of that request looks for one."""

from __future__ import annotations

from typing import Final

from moldau.control.groups.requests import (
    CompleteTransaction,
    ConsumerGroupDescribe,
    ConsumerGroupHeartbeat,
    DeleteGroup,
    DescribeGroup,
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    ListGroups,
    OffsetCommit,
    OffsetDelete,
    OffsetFetch,
    SyncGroup,
    TransactionalOffsetCommit,
)
from moldau.control.groups.responses import (
    CompleteTransactionResponse,
    ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatResponse,
    DeleteGroupResponse,
    DescribeGroupResponse,
    Done,
    GroupResponse,
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    ListGroupsResponse,
    OffsetCommitResponse,
    OffsetDeleteResponse,
    OffsetFetchResponse,
    SyncGroupResponse,
)
from moldau.errors import ErrorCode

_SAID_TO_CLIENTS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_FETCH_SIZE: ErrorCode.UNKNOWN_SERVER_ERROR,
}


def coordinator_error(append_error: ErrorCode) -> ErrorCode:
    """What a client is told when the coordinator's own log refused a record."""
    return _SAID_TO_CLIENTS.get(append_error, append_error)


def refuse(request: object, error: ErrorCode) -> GroupResponse:
    """The answer to `request` that says nothing but `error`."""
    match request:
        case JoinGroup():
            return JoinGroupResponse(error, request.member_id)
        case SyncGroup():
            return SyncGroupResponse(error)
        case Heartbeat():
            # A client must not lose its session because we are starting: it is told that all is well.
            loading = error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            return HeartbeatResponse(ErrorCode.NONE if loading else error)
        case LeaveGroup():
            return LeaveGroupResponse(error)
        case ConsumerGroupHeartbeat():
            return ConsumerGroupHeartbeatResponse(error)
        case ConsumerGroupDescribe():
            return ConsumerGroupDescribeResponse(error, request.group_id)
        case OffsetCommit() | TransactionalOffsetCommit():
            return OffsetCommitResponse(error)
        case CompleteTransaction():
            return CompleteTransactionResponse(error)
        case OffsetFetch():
            return OffsetFetchResponse(error)
        case OffsetDelete():
            return OffsetDeleteResponse(error)
        case DescribeGroup():
            return DescribeGroupResponse(error, request.group_id, state="")
        case ListGroups():
            return ListGroupsResponse(error)
        case DeleteGroup():
            return DeleteGroupResponse(error)
        case _:
            return Done()
