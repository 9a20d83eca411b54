"""Members of the classic protocol in a consumer group: the four classic requests, answered without a barrier.

While a group moves from one protocol to the other it has members of both. A classic member joins and is answered at
once: its generation is its member epoch, its leader nobody, because the coordinator assigns. SyncGroup hands it what
it owns. Its heartbeat says REBALANCE_IN_PROGRESS whenever there is something to learn, so that it joins again: that
is how it gives up partitions, and how it gets others.
Source: GroupMetadataManager.classicGroup*ToConsumerGroup of Apache Kafka 4.3; KIP-848.
"""

from __future__ import annotations

from dataclasses import replace

from moldau.control.groups.classic.group import ClassicGroup
from moldau.control.groups.classic.subscription import CONSUMER_PROTOCOL_TYPE
from moldau.control.groups.consumer.change import Change
from moldau.control.groups.consumer.embedded import Subscription, read_subscription
from moldau.control.groups.consumer.expressions import Expression, update_expression
from moldau.control.groups.consumer.heartbeat import known_member, take_place
from moldau.control.groups.consumer.member import ConsumerMember, MemberState, Partitions
from moldau.control.groups.consumer.migration import as_classic, assignment_bytes, downgrade, may_downgrade
from moldau.control.groups.requests import Heartbeat, JoinGroup, LeaveGroup, LeavingMember, SyncGroup
from moldau.control.groups.responses import (
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    LeftMember,
    SyncGroupResponse,
)
from moldau.control.schema import SchemaError
from moldau.errors import ApiError, ErrorCode


def join(change: Change, request: JoinGroup) -> tuple[JoinGroupResponse, ClassicGroup | None]:
    """The answer, and the classic group that this has become if the member was the last that kept it from it.

    Raises:
        ApiError: what the member is refused with; nothing of the turn counts then.
    """
    group, turn = change.group, change.turn
    settings = turn.settings
    if not settings.min_session_timeout_ms <= request.session_timeout_ms <= settings.max_session_timeout_ms:
        raise ApiError(ErrorCode.INVALID_SESSION_TIMEOUT)
    if not (settings.consumer_may_upgrade or settings.consumer_may_downgrade):
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "the migration of groups is disabled")
    member_id = request.member_id or turn.new_random_id()
    if len(group.members) >= settings.consumer_max_size and member_id not in group.members:
        raise ApiError(ErrorCode.GROUP_MAX_SIZE_REACHED)
    names = [protocol.name for protocol in request.protocols]
    if request.protocol_type != CONSUMER_PROTOCOL_TYPE or not group.supports_classic(names):
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if not request.member_id and request.group_instance_id is None and request.requires_member_id:
        return JoinGroupResponse(ErrorCode.MEMBER_ID_REQUIRED, member_id), None
    subscription = _subscription(request)
    former, member = _find(change, request, member_id)
    told = replace(
        as_classic(member, request.protocols, request.session_timeout_ms),
        instance_id=request.group_instance_id or member.instance_id,
        rack_id=subscription.rack_id or member.rack_id,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        topic_names=frozenset(subscription.topics),
        topic_regex="",
        client_id=request.client_id,
        client_host=request.client_host,
    )
    changed = change.tell(member, told)
    changed = update_expression(change, former, told, request.client) is not Expression.SAME or changed
    epoch = change.next_epoch(former, told, bump=changed)
    owned = _owned(change, subscription)
    becomes_classic = former is not None and request.group_instance_id is not None
    becomes_classic = becomes_classic and _is_last_of_its_kind(change, former)
    if becomes_classic:
        assert former is not None
        rebalances = group.assignment_epoch < epoch
        if not rebalances:
            target = group.target_of(former.member_id)
            told = change.step(told, (group.assignment_epoch, target), owned, subscription_changed=changed)
        classic = downgrade(change, (), (former, told), rebalances=rebalances)
        return _joined(told), classic
    assignment = change.next_target(epoch, former, told)
    after = change.step(told, assignment, owned, subscription_changed=changed)
    change.forget_former(former, after)
    change.watch.joined(turn, group.group_id, after)
    return _joined(after), None


def sync(change: Change, request: SyncGroup) -> SyncGroupResponse:
    """Hand the member what it owns.

    Raises:
        ApiError: what the member is refused with.
    """
    member = _classic_member(change, request.member_id, request.group_instance_id, request.generation_id)
    if request.protocol_type not in (None, CONSUMER_PROTOCOL_TYPE):
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if request.protocol_name not in (None, member.classic_protocols[0].name):
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    is_behind = change.group.assignment_epoch > member.member_epoch
    if is_behind and member.state is not MemberState.UNREVOKED_PARTITIONS:
        change.watch.expect_join(change.turn, change.group_id, member)
        return SyncGroupResponse(ErrorCode.REBALANCE_IN_PROGRESS)
    change.watch.synced(change.turn, change.group_id, member)
    assignment = assignment_bytes(change.cluster, member)
    return SyncGroupResponse(ErrorCode.NONE, request.protocol_type, request.protocol_name, assignment)


def heartbeat(change: Change, request: Heartbeat) -> HeartbeatResponse:
    """Whether the member must join again: its target has moved, it must give something up, or something is free now.

    Raises:
        ApiError: what the member is refused with.
    """
    member = _classic_member(change, request.member_id, request.group_instance_id, request.generation_id)
    change.watch.renew(change.turn, change.group_id, member)
    got_free = member.state is MemberState.UNRELEASED_PARTITIONS and not change.group.waits_for_unreleased(member)
    is_behind = member.member_epoch < change.group.assignment_epoch
    if is_behind or got_free or member.state is MemberState.UNREVOKED_PARTITIONS:
        change.watch.expect_join(change.turn, change.group_id, member)
        return HeartbeatResponse(ErrorCode.REBALANCE_IN_PROGRESS)
    return HeartbeatResponse(ErrorCode.NONE)


def leave(change: Change, request: LeaveGroup) -> tuple[LeaveGroupResponse, list[ConsumerMember]]:
    """The answer, and the members that are to be removed."""
    answers: list[LeftMember] = []
    leaving: dict[str, ConsumerMember] = {}
    for each in request.members:
        error = ErrorCode.NONE
        try:
            member = _leaving_member(change, each)
            leaving[member.member_id] = member
        except ApiError as refused:
            error = refused.code
        answers.append(LeftMember(each.member_id, each.group_instance_id, error))
    return LeaveGroupResponse(ErrorCode.NONE, tuple(answers)), list(leaving.values())


def _leaving_member(change: Change, leaving: LeavingMember) -> ConsumerMember:
    if leaving.group_instance_id is None or leaving.member_id:
        return known_member(change.group, leaving.member_id, leaving.group_instance_id)
    # An administrator names a static member by its instance id alone.
    member = change.group.static_member(leaving.group_instance_id)
    if member is None:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
    return member


def _find(change: Change, request: JoinGroup, member_id: str) -> tuple[ConsumerMember | None, ConsumerMember]:
    """Who the group knows in this member's place, and the member as it is before this request."""
    group, instance_id = change.group, request.group_instance_id
    if instance_id is None:
        known = group.members.get(member_id)
        return known, known or ConsumerMember(member_id)
    if request.member_id:
        known = known_member(group, member_id, instance_id)
        return known, known
    former = group.static_member(instance_id)
    return former, ConsumerMember(member_id) if former is None else take_place(change, former, member_id)


def _is_last_of_its_kind(change: Change, former: ConsumerMember | None) -> bool:
    if former is None or former.uses_classic_protocol:
        return False
    return may_downgrade(change, (former,), staying=len(change.group.members))


def _classic_member(change: Change, member_id: str, instance_id: str | None, generation_id: int) -> ConsumerMember:
    member = known_member(change.group, member_id, instance_id)
    if not member.uses_classic_protocol:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} does not use the classic protocol.")
    if member.member_epoch != generation_id:
        raise ApiError(ErrorCode.ILLEGAL_GENERATION)
    return member


def _subscription(request: JoinGroup) -> Subscription:
    try:
        return read_subscription(request.protocols[0].metadata)
    except SchemaError as error:
        raise ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, f"malformed embedded consumer protocol: {error}") from error


def _owned(change: Change, subscription: Subscription) -> Partitions:
    topics = ((change.cluster.topic_named(each.topic), each.partitions) for each in subscription.owned)
    return {topic.id: frozenset(partitions) for topic, partitions in topics if topic is not None}


def _joined(member: ConsumerMember) -> JoinGroupResponse:
    return JoinGroupResponse(
        ErrorCode.NONE,
        member.member_id,
        generation_id=member.member_epoch,
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        protocol_name=member.classic_protocols[0].name,
    )
