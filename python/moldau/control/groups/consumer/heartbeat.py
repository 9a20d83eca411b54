"""ConsumerGroupHeartbeat: the one request of the protocol. A member joins, is alive, changes its mind, leaves.

The request says what the member knows (its epoch, what it owns), the answer where it shall go. Epochs fence: a member
whose epoch is not the group's must give up everything and join again, unless it only missed the last answer.
Source: GroupMetadataManager.consumerGroupHeartbeat of Apache Kafka 4.3; KIP-848.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from moldau.control.groups.consumer.change import Change
from moldau.control.groups.consumer.expressions import Expression, update_expression
from moldau.control.groups.consumer.group import ConsumerGroup
from moldau.control.groups.consumer.member import (
    JOINING,
    LEAVING,
    LEAVING_FOR_A_WHILE,
    ConsumerMember,
    Owned,
    Partitions,
    set_of,
)
from moldau.control.groups.requests import ConsumerGroupHeartbeat
from moldau.control.groups.responses import ConsumerGroupHeartbeatResponse
from moldau.control.groups.settings import GroupSettings
from moldau.errors import ApiError, ErrorCode

UNSAID = -1
"""The rebalance timeout of a heartbeat that does not bring one."""


def check_request(request: ConsumerGroupHeartbeat, settings: GroupSettings) -> None:
    """Refuse what makes no sense whatever the group is.

    Raises:
        ApiError: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR.
    """
    needs_member_id = request.chooses_member_id or request.member_epoch > 0 or request.member_epoch == LEAVING
    _check_not_blank("GroupId", request.group_id)
    _check_not_blank("InstanceId", request.instance_id)
    _check_not_blank("RackId", request.rack_id)
    if needs_member_id:
        _check_not_blank("MemberId", request.member_id)
    if request.member_epoch < LEAVING_FOR_A_WHILE:
        raise ApiError(ErrorCode.INVALID_REQUEST, "MemberEpoch is invalid.")
    if request.member_epoch == LEAVING_FOR_A_WHILE and request.instance_id is None:
        raise ApiError(ErrorCode.INVALID_REQUEST, "InstanceId can't be null.")
    if request.member_epoch == JOINING:
        _check_first_request(request)
    if request.assignor is not None and request.assignor not in settings.consumer_assignors:
        supported = ", ".join(settings.consumer_assignors)
        raise ApiError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.assignor} is not supported. Supported assignors: {supported}.",
        )


def _check_not_blank(name: str, value: str | None) -> None:
    # `isspace` makes no other text, however long this one is.
    if value is not None and (not value or value.isspace()):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"{name} can't be empty.")


def _check_first_request(request: ConsumerGroupHeartbeat) -> None:
    if request.rebalance_timeout_ms == UNSAID:
        raise ApiError(ErrorCode.INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.")
    if request.owned is None or request.owned:
        raise ApiError(ErrorCode.INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.")
    if request.topic_names is None and request.topic_regex is None:
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        )


def heartbeat(change: Change, request: ConsumerGroupHeartbeat) -> ConsumerGroupHeartbeatResponse:
    """Answer a member that joins or stays.

    Raises:
        ApiError: what the member is refused with; nothing of the turn counts then.
    """
    group, turn = change.group, change.turn
    member_id = request.member_id or turn.new_random_id()
    _check_room(group, member_id, turn.settings)
    owned = None if request.owned is None else {topic_id: frozenset(each) for topic_id, each in request.owned}
    former, member = find_member(change, request, member_id, owned)
    told = as_told(member, request)
    names_changed = change.tell(member, told)
    expression = update_expression(change, former, told, request.client)
    bump = names_changed or expression is Expression.CHANGED_AND_KNOWN
    epoch = change.next_epoch(former, told, bump=bump)
    assignment = change.next_target(epoch, former, told)
    subscription_changed = names_changed or expression is not Expression.SAME
    after = change.step(told, assignment, owned, subscription_changed=subscription_changed)
    change.forget_former(former, after)
    change.watch.renew(turn, group.group_id, after)
    says_everything = request.rebalance_timeout_ms != UNSAID and owned is not None
    says_everything = says_everything and (request.topic_names is not None or request.topic_regex is not None)
    is_news = request.member_epoch == JOINING or says_everything or after.assigned != member.assigned
    return told_to(change, after, is_news=is_news)


def told_to(change: Change, member: ConsumerMember, *, is_news: bool) -> ConsumerGroupHeartbeatResponse:
    """The good answer to a member; `is_news`: what it may own is said as well."""
    return ConsumerGroupHeartbeatResponse(
        ErrorCode.NONE,
        member_id=member.member_id,
        member_epoch=member.member_epoch,
        heartbeat_interval_ms=change.cluster.heartbeat_interval_ms(change.group_id),
        assignment=_sorted(member.assigned) if is_news else None,
    )


def leave(change: Change, request: ConsumerGroupHeartbeat) -> ConsumerMember | None:
    """The member that leaves for good; None when it is a static one that will be back, which is written here.

    Raises:
        ApiError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    """
    member = known_member(change.group, request.member_id, request.instance_id)
    if request.instance_id is None or request.member_epoch != LEAVING_FOR_A_WHILE:
        return member
    # The epochs of what it owns begin at 0 for whoever comes back under this instance id.
    assigned = {topic_id: dict.fromkeys(each, 0) for topic_id, each in member.assigned.items()}
    away = replace(member, member_epoch=LEAVING_FOR_A_WHILE, assigned=assigned, pending_revocation={})
    change.turn.write(away.to_current_record(change.group_id))
    return None


def known_member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """The member of this id; with an instance id it must also be the latest of that name.

    Raises:
        ApiError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    """
    if instance_id is None:
        member = group.members.get(member_id)
        if member is None:
            raise ApiError(
                ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}."
            )
        return member
    member = group.static_member(instance_id)
    if member is None:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if member.member_id != member_id:
        raise ApiError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member {member.member_id}.",
        )
    return member


def find_member(
    change: Change, request: ConsumerGroupHeartbeat, member_id: str, owned: Partitions | None
) -> tuple[ConsumerMember | None, ConsumerMember]:
    """Who the group knows in this member's place, and the member as it is before this request.

    Raises:
        ApiError: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID.
    """
    group = change.group
    joins = request.member_epoch == JOINING
    if request.instance_id is None:
        known = group.members.get(member_id)
        if known is None and joins:
            return None, ConsumerMember(member_id)
        known = known_member(group, member_id, None)
        _check_epoch(known, request.member_epoch, owned)
        return known, known
    if not joins:
        known = known_member(group, member_id, request.instance_id)
        _check_epoch(known, request.member_epoch, owned)
        return known, known
    former = group.static_member(request.instance_id)
    if former is None:
        return None, ConsumerMember(member_id)
    if not former.uses_classic_protocol and former.member_epoch != LEAVING_FOR_A_WHILE:
        raise ApiError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {request.instance_id} cannot join the group because the "
            f"instance id is owned by {former.member_id} member.",
        )
    return former, take_place(change, former, member_id)


def take_place(change: Change, former: ConsumerMember, member_id: str) -> ConsumerMember:
    """The static member `former` as a new one, with all that it had, at the beginning of its epochs."""
    member = replace(former, member_id=member_id, member_epoch=0, previous_member_epoch=0)
    change.replace(former, member)
    return member


def as_told(member: ConsumerMember, request: ConsumerGroupHeartbeat) -> ConsumerMember:
    """The member with what this request says; what it does not say stays."""
    if _says_nothing(member, request):
        return member
    return member.saying(
        _last_said(request.instance_id, member.instance_id),
        _last_said(request.rack_id, member.rack_id),
        member.rebalance_timeout_ms if request.rebalance_timeout_ms == UNSAID else request.rebalance_timeout_ms,
        request.client_id,
        request.client_host,
        member.topic_names if request.topic_names is None else frozenset(request.topic_names),
        _last_said(request.topic_regex, member.topic_regex),
        _last_said(request.assignor, member.assignor),
        None,
    )


def newcomer(member_id: str, request: ConsumerGroupHeartbeat) -> ConsumerMember:
    """`as_told` for a member of whom nobody knows more than its id."""
    nothing: Owned = {}
    return ConsumerMember(
        member_id,
        instance_id=request.instance_id,
        rack_id=request.rack_id,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        client_id=request.client_id,
        client_host=request.client_host,
        topic_names=set_of(request.topic_names or ()),
        topic_regex=request.topic_regex or "",
        assignor=request.assignor,
        assigned=nothing,
        pending_revocation=nothing,
    )


def _last_said(now: str | None, before: str | None) -> str | None:
    return before if now is None else now


def _says_nothing(member: ConsumerMember, request: ConsumerGroupHeartbeat) -> bool:
    """Nearly every heartbeat."""
    return (
        request.topic_names is None
        and request.rebalance_timeout_ms == UNSAID
        and request.instance_id in (None, member.instance_id)
        and request.rack_id is request.assignor is request.topic_regex is None
        and member.classic is None
        and request.client_id == member.client_id
        and request.client_host == member.client_host
    )


def _check_room(group: ConsumerGroup, member_id: str, settings: GroupSettings) -> None:
    limit = settings.consumer_max_size
    if len(group.members) >= limit and member_id not in group.members:
        raise ApiError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The consumer group has reached its maximum capacity of {limit} members.",
        )


def _check_epoch(member: ConsumerMember, epoch: int, owned: Partitions | None) -> None:
    """Fence a member that is not where we think it is; one that has missed our last answer may repeat its request."""
    if epoch in (JOINING, member.member_epoch):
        return
    missed_answer = epoch == member.previous_member_epoch and epoch < member.member_epoch
    if missed_answer and owned is not None and _is_within(owned, member.assigned):
        return
    raise ApiError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {'greater' if epoch > member.member_epoch else 'smaller'} member epoch "
        f"({epoch}) than the one known by the group coordinator ({member.member_epoch}). The member must abandon all "
        "its partitions and rejoin.",
    )


def _is_within(owned: Partitions, assigned: Owned) -> bool:
    return all(partitions <= assigned.get(topic_id, {}).keys() for topic_id, partitions in owned.items())


def _sorted(assigned: Mapping[UUID, Mapping[int, int]]) -> tuple[tuple[UUID, tuple[int, ...]], ...]:
    return tuple([(topic_id, tuple(sorted(each))) for topic_id, each in sorted(assigned.items())])
