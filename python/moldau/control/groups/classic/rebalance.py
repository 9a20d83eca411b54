"""The rounds of a group: from the first join, over the barrier, to an assignment that everyone has.

`prepare` opens a round: members that wait for an assignment are sent back to join. `complete` closes the barrier:
who is not there is out (a static member may be late until its session ends), the others get the next generation. The
leader's SyncGroup is written to the log; when it is committed `store_assignment` hands it to everyone.

Timers are keyed by the round, so that what belongs to an earlier round can neither fire in this one nor be mistaken
for its timers. Source: GroupMetadataManager of Apache Kafka 4.3.
"""

from __future__ import annotations

from moldau.control.groups.classic.group import ClassicGroup, GroupState, Member
from moldau.control.groups.requests import InitialDelayElapsed, RebalanceTimedOut, SessionExpired, SyncTimedOut
from moldau.control.groups.responses import JoinGroupResponse, SyncGroupResponse
from moldau.control.groups.turn import Turn
from moldau.errors import ErrorCode


def renew_session(turn: Turn, group: ClassicGroup, member: Member, timeout_ms: int | None = None) -> None:
    """The member has shown itself: move its deadline.

    A timer that is set for an earlier time is left alone and set again when it fires, so that a heartbeat costs
    nothing.
    """
    timeout_ms = member.session_timeout_ms if timeout_ms is None else timeout_ms
    member.session_deadline_ms = turn.steady_ms + timeout_ms
    if member.timer_at_ms is None or member.timer_at_ms > member.session_deadline_ms:
        arm_session(turn, group, member)


def arm_session(turn: Turn, group: ClassicGroup, member: Member) -> None:
    member.timer_at_ms = member.session_deadline_ms
    event = SessionExpired(group.group_id, member.member_id)
    turn.schedule(session_key(group, member.member_id), member.session_deadline_ms, event)


def session_key(group: ClassicGroup, member_id: str) -> tuple[str, str, str]:
    return ("session", group.group_id, member_id)


def drop(turn: Turn, group: ClassicGroup, member: Member, error: ErrorCode = ErrorCode.UNKNOWN_MEMBER_ID) -> None:
    """Remove a member and answer what it has parked. What that means for the round is the caller's business."""
    group.remove(member.member_id)
    turn.cancel(session_key(group, member.member_id))
    answer_parked(turn, member, error)


def answer_parked(turn: Turn, member: Member, error: ErrorCode) -> None:
    """End the parked requests of a member that the group has removed."""
    # Only a fenced member learns its old id; the others must join as strangers.
    member_id = member.member_id if error is ErrorCode.FENCED_INSTANCE_ID else ""
    if member.join_token is not None:
        turn.reply(member.join_token, JoinGroupResponse(error, member_id))
    if member.sync_token is not None:
        turn.reply(member.sync_token, SyncGroupResponse(error))
    member.join_token = member.sync_token = None


def prepare_or_complete(turn: Turn, group: ClassicGroup) -> None:
    """Open a round, or look whether the open one is complete now."""
    if group.state is GroupState.PREPARING_REBALANCE:
        complete_if_ready(turn, group)
    else:
        prepare(turn, group)


def prepare(turn: Turn, group: ClassicGroup) -> None:
    """Open a round: everyone must join again."""
    if group.state is GroupState.COMPLETING_REBALANCE:
        for member in group.members.values():
            member.assignment = b""
        propagate(turn, group, ErrorCode.REBALANCE_IN_PROGRESS)
    forget_pending_syncs(turn, group)
    is_initial = group.state is GroupState.EMPTY
    group.round = next(turn.rounds)
    group.transition(GroupState.PREPARING_REBALANCE, turn.wall_ms)
    if not is_initial:
        if group.all_joined:
            complete(turn, group)
        else:
            _await_joins(turn, group)
        return
    # The group is new: others may be starting at the same time, so they get a moment to be in the first generation.
    delay_ms = turn.settings.initial_rebalance_delay_ms
    remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
    _extend_initial_delay(turn, group, delay_ms, remaining_ms)


def complete_if_ready(turn: Turn, group: ClassicGroup) -> None:
    """Complete the open round if everyone is there. The first round of a group always takes its whole delay."""
    if group.state is not GroupState.PREPARING_REBALANCE or group.previous_state is GroupState.EMPTY:
        return
    if group.all_joined:
        complete(turn, group)


def initial_delay_elapsed(turn: Turn, group: ClassicGroup, event: InitialDelayElapsed) -> None:
    if group.state is not GroupState.PREPARING_REBALANCE:
        return
    if group.new_member_added and event.remaining_ms > 0:
        group.new_member_added = False
        delay_ms = min(turn.settings.initial_rebalance_delay_ms, event.remaining_ms)
        _extend_initial_delay(turn, group, delay_ms, max(event.remaining_ms - event.delay_ms, 0))
    else:
        complete(turn, group)


def complete(turn: Turn, group: ClassicGroup) -> None:
    """Close the barrier and start the next generation with those who are there."""
    turn.cancel(_join_key(group))
    for member in list(group.members.values()):
        if member.join_token is None and not member.is_static:
            drop(turn, group, member)
    if not group.elect_joined_leader() and group.members:
        # Only absent static members are left. Their sessions will end, or they will come back.
        _await_joins(turn, group, at_least_ms=1_000)
        return
    group.new_member_added = False
    group.start_generation(turn.wall_ms)
    if group.state is GroupState.EMPTY:
        turn.write(group.to_record({}))
        return
    for member in group.members.values():
        token = group.take_join(member)
        if token is not None:
            turn.reply(token, generation_for(group, member.member_id))
        renew_session(turn, group, member)
        member.is_new = False
        group.pending_syncs.add(member.member_id)
    at_ms = turn.steady_ms + group.rebalance_timeout_ms
    turn.schedule(_sync_key(group), at_ms, SyncTimedOut(group.group_id, group.round))


def generation_for(group: ClassicGroup, member_id: str) -> JoinGroupResponse:
    """The current generation, as it is told to this member."""
    return JoinGroupResponse(
        ErrorCode.NONE,
        member_id,
        generation_id=group.generation_id,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=group.leader or "",
        members=group.joined_members() if group.leader == member_id else (),
    )


def store_assignment(turn: Turn, group: ClassicGroup, assignments: dict[str, bytes]) -> None:
    """The leader's assignment is committed: the generation is Stable, and everyone who waits gets its part."""
    for member in group.members.values():
        member.assignment = assignments.get(member.member_id, b"")
    propagate(turn, group, ErrorCode.NONE)
    group.transition(GroupState.STABLE, turn.wall_ms)


def propagate(turn: Turn, group: ClassicGroup, error: ErrorCode) -> None:
    """Answer every parked SyncGroup."""
    for member in group.members.values():
        token, member.sync_token = member.sync_token, None
        if token is None:
            continue
        turn.reply(token, assignment_for(group, member) if error is ErrorCode.NONE else SyncGroupResponse(error))
        # While it was parked its session could not end; from now on it can.
        renew_session(turn, group, member)


def assignment_for(group: ClassicGroup, member: Member) -> SyncGroupResponse:
    return SyncGroupResponse(ErrorCode.NONE, group.protocol_type, group.protocol_name, member.assignment)


def member_has_synced(turn: Turn, group: ClassicGroup, member_id: str) -> None:
    group.pending_syncs.discard(member_id)
    if not group.pending_syncs:
        turn.cancel(_sync_key(group))


def forget_pending_syncs(turn: Turn, group: ClassicGroup) -> None:
    group.pending_syncs.clear()
    turn.cancel(_sync_key(group))


def sync_timed_out(turn: Turn, group: ClassicGroup) -> None:
    """Who joined a generation and did not ask for its assignment in time is out of it."""
    if group.state not in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE) or not group.pending_syncs:
        return
    for member_id in sorted(group.pending_syncs):
        drop(turn, group, group.members[member_id])
    prepare(turn, group)


def _await_joins(turn: Turn, group: ClassicGroup, at_least_ms: int = 0) -> None:
    at_ms = turn.steady_ms + max(group.rebalance_timeout_ms, at_least_ms)
    turn.schedule(_join_key(group), at_ms, RebalanceTimedOut(group.group_id, group.round))


def _extend_initial_delay(turn: Turn, group: ClassicGroup, delay_ms: int, remaining_ms: int) -> None:
    event = InitialDelayElapsed(group.group_id, group.round, delay_ms, remaining_ms)
    turn.schedule(_join_key(group), turn.steady_ms + delay_ms, event)


def _join_key(group: ClassicGroup) -> tuple[str, str, int]:
    return ("join", group.group_id, group.round)


def _sync_key(group: ClassicGroup) -> tuple[str, str, int]:
    return ("sync", group.group_id, group.round)
