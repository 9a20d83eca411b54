"""What a member does between two joins: sync, heartbeat, leave; and what becomes of it when its session ends.

Source: GroupMetadataManager of Apache Kafka 4.3; KIP-345 (leaving by instance id, in batches), KIP-559 (a sync says
which protocol it means).
"""

from __future__ import annotations

from moldau.control.groups.classic.group import ClassicGroup, GroupState
from moldau.control.groups.classic.rebalance import (
    arm_session,
    assignment_for,
    complete,
    drop,
    member_has_synced,
    prepare,
    prepare_or_complete,
    propagate,
    renew_session,
    session_key,
)
from moldau.control.groups.requests import (
    AssignmentStored,
    Heartbeat,
    LeaveGroup,
    LeavingMember,
    SessionExpired,
    SyncGroup,
)
from moldau.control.groups.responses import HeartbeatResponse, LeaveGroupResponse, LeftMember, SyncGroupResponse
from moldau.control.groups.turn import Turn
from moldau.control.machine import PARKED, Parked
from moldau.errors import ErrorCode


def sync(turn: Turn, group: ClassicGroup, request: SyncGroup) -> SyncGroupResponse | Parked:
    """Answer a SyncGroup, now or by a `Reply` when the leader's assignment is committed."""
    error = _check_sync(group, request)
    if error is not ErrorCode.NONE:
        return SyncGroupResponse(error)
    member = group.members[request.member_id]
    match group.state:
        case GroupState.PREPARING_REBALANCE:
            return SyncGroupResponse(ErrorCode.REBALANCE_IN_PROGRESS)
        case GroupState.STABLE:
            member_has_synced(turn, group, member.member_id)
            return assignment_for(group, member)
        case GroupState.COMPLETING_REBALANCE:
            replaced, member.sync_token = member.sync_token, request.token
            if replaced is not None:
                turn.reply(replaced, SyncGroupResponse(ErrorCode.REBALANCE_IN_PROGRESS))
            member_has_synced(turn, group, member.member_id)
            if group.leader == member.member_id:
                _write_assignment(turn, group, request)
            return PARKED
        case _:
            # An empty group has no member that could get this far.
            return SyncGroupResponse(ErrorCode.UNKNOWN_MEMBER_ID)


def heartbeat(turn: Turn, group: ClassicGroup, request: Heartbeat) -> HeartbeatResponse:
    error = group.identify(request.member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        return HeartbeatResponse(error)
    if request.generation_id != group.generation_id:
        return HeartbeatResponse(ErrorCode.ILLEGAL_GENERATION)
    renew_session(turn, group, group.members[request.member_id])
    if group.state is GroupState.PREPARING_REBALANCE:
        return HeartbeatResponse(ErrorCode.REBALANCE_IN_PROGRESS)
    return HeartbeatResponse(ErrorCode.NONE)


def leave(turn: Turn, group: ClassicGroup, request: LeaveGroup) -> LeaveGroupResponse:
    """Remove the members that are named, and rebalance once for all of them."""
    left = tuple(
        LeftMember(member.member_id, member.group_instance_id, _remove_leaving(turn, group, member))
        for member in request.members
    )
    if any(member.error is ErrorCode.NONE for member in left) and group.state is not GroupState.EMPTY:
        prepare_or_complete(turn, group)
    return LeaveGroupResponse(ErrorCode.NONE, left)


def session_expired(turn: Turn, group: ClassicGroup, event: SessionExpired) -> None:
    pending_until_ms = group.pending_joins.get(event.member_id)
    if pending_until_ms is not None:
        if pending_until_ms <= turn.steady_ms:
            group.remove(event.member_id)
            _complete_if_all_joined(turn, group)
        return
    member = group.members.get(event.member_id)
    if member is None:
        return
    member.timer_at_ms = None
    if member.heartbeat_is_satisfied:
        # It waits for us; its session goes on with the answer.
        return
    if member.session_deadline_ms > turn.steady_ms:
        arm_session(turn, group, member)
        return
    drop(turn, group, member)
    if group.state is GroupState.PREPARING_REBALANCE:
        _complete_if_all_joined(turn, group)
    else:
        prepare(turn, group)


def assignment_failed(turn: Turn, group: ClassicGroup, request: SyncGroup, error: ErrorCode) -> None:
    """The leader's assignment could not be appended: nobody gets it, everyone joins again."""
    if group.state is not GroupState.COMPLETING_REBALANCE or group.generation_id != request.generation_id:
        return
    propagate(turn, group, error)
    prepare(turn, group)


def _check_sync(group: ClassicGroup, request: SyncGroup) -> ErrorCode:
    error = group.identify(request.member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        return error
    if request.generation_id != group.generation_id:
        return ErrorCode.ILLEGAL_GENERATION
    said_and_true = ((request.protocol_type, group.protocol_type), (request.protocol_name, group.protocol_name))
    if any(said is not None and said != true for said, true in said_and_true):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    return ErrorCode.NONE


def _write_assignment(turn: Turn, group: ClassicGroup, request: SyncGroup) -> None:
    assignments = dict(request.assignments)
    turn.write(group.to_record(assignments))
    # Effects follow the commit, so this event says that the record is committed. Whatever happens to the group until
    # then, the event finds it in another round or does its work.
    event = AssignmentStored(group.group_id, group.round, request.assignments)
    turn.schedule(("stored", group.group_id, group.round), turn.steady_ms, event)


def _remove_leaving(turn: Turn, group: ClassicGroup, leaving: LeavingMember) -> ErrorCode:
    member_id = leaving.member_id
    if not member_id:
        # An administrator names a static member by its instance id alone.
        static_member_id = None
        if leaving.group_instance_id is not None:
            static_member_id = group.static_member_id(leaving.group_instance_id)
        if static_member_id is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        member_id = static_member_id
    elif member_id in group.pending_joins:
        group.remove(member_id)
        turn.cancel(session_key(group, member_id))
        return ErrorCode.NONE
    else:
        error = group.identify(member_id, leaving.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
    drop(turn, group, group.members[member_id])
    return ErrorCode.NONE


def _complete_if_all_joined(turn: Turn, group: ClassicGroup) -> None:
    """As `complete_if_ready`, but it also ends the delay of a first round: whoever was waited for is gone."""
    if group.state is GroupState.PREPARING_REBALANCE and group.all_joined:
        complete(turn, group)
