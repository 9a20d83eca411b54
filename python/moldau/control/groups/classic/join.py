"""JoinGroup: who may be part of the next generation, and who must come back with a member id first.

A new dynamic member is given an id and sent back once (KIP-394), so that a client that gives up before it has its
answer leaves nothing behind but a pending id. A static member (KIP-345) is known by its instance id: when it comes
back without a member id it takes the place of its former self, and a Stable group does not even rebalance.
Source: GroupMetadataManager of Apache Kafka 4.3.
"""

from __future__ import annotations

from moldau.control.groups.classic.group import ClassicGroup, GroupState, Member
from moldau.control.groups.classic.rebalance import (
    answer_parked,
    complete_if_ready,
    drop,
    generation_for,
    prepare,
    prepare_or_complete,
    renew_session,
    session_key,
)
from moldau.control.groups.requests import JoinGroup, SessionExpired
from moldau.control.groups.responses import JoinGroupResponse
from moldau.control.groups.turn import Turn
from moldau.control.machine import PARKED, Parked
from moldau.errors import ErrorCode

JoinAnswer = JoinGroupResponse | Parked


def join(turn: Turn, group: ClassicGroup, request: JoinGroup) -> JoinAnswer:
    """Answer a JoinGroup, now or by a `Reply` when the round is complete."""
    member_id = request.member_id
    if not _has_room_for(turn, group, member_id):
        _turn_away(turn, group, member_id)
        return JoinGroupResponse(ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    if not group.supports(request.protocol_type, request.protocols):
        return JoinGroupResponse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id)
    if not member_id:
        return _join_as_stranger(turn, group, request)
    if member_id in group.pending_joins:
        if request.group_instance_id is not None:
            # Ids are pending for dynamic members only: this is a client that mixes up its own.
            return JoinGroupResponse(ErrorCode.UNKNOWN_MEMBER_ID, member_id)
        return _add(turn, group, request, member_id)
    error = group.identify(member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        return JoinGroupResponse(error, member_id)
    return _rejoin(turn, group, request, group.members[member_id])


def abandon_join(turn: Turn, group: ClassicGroup, request: JoinGroup, error: ErrorCode) -> None:
    """The record of this join could not be appended: whoever waits under its token is answered and removed."""
    for member in list(group.members.values()):
        if member.join_token == request.token:
            group.take_join(member)
            turn.reply(request.token, JoinGroupResponse(error, ""))
            drop(turn, group, member)


def _has_room_for(turn: Turn, group: ClassicGroup, member_id: str) -> bool:
    limit = turn.settings.max_size
    member = group.members.get(member_id)
    match group.state:
        case GroupState.PREPARING_REBALANCE:
            # Those who wait are counted, not all members: so the last ones to come back to a group whose limit was
            # lowered are those who have to go.
            return (member is not None and member.join_token is not None) or group.joins_parked < limit
        case GroupState.COMPLETING_REBALANCE | GroupState.STABLE:
            return member is not None or len(group.members) < limit
        case _:
            return True


def _turn_away(turn: Turn, group: ClassicGroup, member_id: str) -> None:
    member = group.members.get(member_id)
    if member is not None:
        drop(turn, group, member)
    elif member_id in group.pending_joins:
        group.remove(member_id)
        turn.cancel(session_key(group, member_id))
    complete_if_ready(turn, group)


def _join_as_stranger(turn: Turn, group: ClassicGroup, request: JoinGroup) -> JoinAnswer:
    instance_id = request.group_instance_id
    new_member_id = turn.new_member_id(request.client_id if instance_id is None else instance_id)
    if instance_id is not None:
        if group.static_member_id(instance_id) is not None:
            return _return_as_static(turn, group, request, instance_id, new_member_id)
        return _add(turn, group, request, new_member_id)
    if not request.requires_member_id:
        return _add(turn, group, request, new_member_id)
    deadline_ms = turn.steady_ms + request.session_timeout_ms
    group.pending_joins[new_member_id] = deadline_ms
    event = SessionExpired(group.group_id, new_member_id)
    turn.schedule(session_key(group, new_member_id), deadline_ms, event)
    return JoinGroupResponse(ErrorCode.MEMBER_ID_REQUIRED, new_member_id)


def _add(turn: Turn, group: ClassicGroup, request: JoinGroup, member_id: str) -> JoinAnswer:
    member = Member(
        member_id,
        request.group_instance_id,
        request.client_id,
        request.client_host,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        session_timeout_ms=request.session_timeout_ms,
        protocols=request.protocols,
        is_new=True,
    )
    if group.state is GroupState.PREPARING_REBALANCE and group.previous_state is GroupState.EMPTY:
        group.new_member_added = True
    group.add(member, request.protocol_type)
    group.park_join(member, request.token)
    # It has no member id to send heartbeats with until the round is complete, so its session is the join itself.
    renew_session(turn, group, member, turn.settings.new_member_join_timeout_ms)
    prepare_or_complete(turn, group)
    return PARKED


def _rejoin(turn: Turn, group: ClassicGroup, request: JoinGroup, member: Member) -> JoinAnswer:
    same_metadata = member.protocols == request.protocols
    if group.state is GroupState.COMPLETING_REBALANCE and same_metadata:
        # It may not have received the answer to its first try.
        return generation_for(group, member.member_id)
    if group.state is GroupState.STABLE and same_metadata and group.leader != member.member_id:
        # A follower with nothing new. The leader may know of new partitions, so its join always opens a round.
        return generation_for(group, member.member_id)
    group.update(member, request.protocols, request.rebalance_timeout_ms, request.session_timeout_ms)
    _park(turn, group, member, request)
    prepare_or_complete(turn, group)
    return PARKED


def _park(turn: Turn, group: ClassicGroup, member: Member, request: JoinGroup) -> None:
    replaced = group.park_join(member, request.token)
    if replaced is not None:
        # The member asks again because it has given up on its first request; whoever reads the answer joins again.
        turn.reply(replaced, JoinGroupResponse(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id))


def _return_as_static(
    turn: Turn, group: ClassicGroup, request: JoinGroup, instance_id: str, new_member_id: str
) -> JoinAnswer:
    """A static member is back after a restart, without its member id."""
    former_leader = group.leader
    old, member = group.replace_static(instance_id, new_member_id)
    turn.cancel(session_key(group, old.member_id))
    answer_parked(turn, old, ErrorCode.FENCED_INSTANCE_ID)
    group.update(member, request.protocols, request.rebalance_timeout_ms, request.session_timeout_ms)
    renew_session(turn, group, member)
    if group.state is GroupState.STABLE and group.select_protocol() == group.protocol_name:
        turn.write(group.to_record({other.member_id: other.assignment for other in group.members.values()}))
        return _keep_generation(group, request, member, former_leader)
    group.park_join(member, request.token)
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_if_ready(turn, group)
    else:
        # While the leader assigns, it assigns to the former member id: that generation has to be given up.
        prepare(turn, group)
    return PARKED


def _keep_generation(
    group: ClassicGroup, request: JoinGroup, member: Member, former_leader: str | None
) -> JoinGroupResponse:
    """The generation goes on with the member under its new id, and keeps the assignment it has (KIP-814)."""
    is_leader = group.leader == member.member_id
    if request.may_skip_assignment:
        leader, skip_assignment, members = group.leader, is_leader, group.joined_members() if is_leader else ()
    else:
        # An older client must not think that it leads: it would assign, and nobody would follow.
        leader, skip_assignment, members = former_leader, False, ()
    return JoinGroupResponse(
        ErrorCode.NONE,
        member.member_id,
        generation_id=group.generation_id,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=leader or "",
        skip_assignment=skip_assignment,
        members=members,
    )
