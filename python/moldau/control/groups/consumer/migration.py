"""A group changes its protocol while it runs.

Up: a member of the consumer protocol comes to a classic group of consumers. The group becomes a consumer group whose
target is what its leader last assigned; the classic members stay in it, and are told to join again when the target
has changed. Down: the last member of the consumer protocol goes, and classic members are left. They become a classic
group at the generation of the group epoch, with what they had, and rebalance.

Both are records of one batch: the old group is taken back, the new one is written.
Source: `ConsumerGroup.fromClassicGroup`, `ClassicGroup.fromConsumerGroup` of Apache Kafka 4.3; KIP-848.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from uuid import UUID

from moldau.control.groups.classic import rebalance
from moldau.control.groups.classic.group import ClassicGroup, Member
from moldau.control.groups.classic.subscription import CONSUMER_PROTOCOL_TYPE
from moldau.control.groups.consumer import records as r
from moldau.control.groups.consumer.change import Change, target_record
from moldau.control.groups.consumer.cluster import Cluster, metadata_hash
from moldau.control.groups.consumer.embedded import (
    read_assignment,
    read_subscription,
    write_assignment,
)
from moldau.control.groups.consumer.group import ConsumerGroup
from moldau.control.groups.consumer.member import ConsumerMember, Partitions
from moldau.control.groups.records import GroupRecord
from moldau.control.groups.requests import Protocol
from moldau.control.groups.responses import JoinGroupResponse, SyncGroupResponse
from moldau.control.groups.turn import Turn
from moldau.control.schema import SchemaError
from moldau.errors import ApiError, ErrorCode

# Up


def upgrade(turn: Turn, cluster: Cluster, classic: ClassicGroup) -> ConsumerGroup:
    """The consumer group that takes the place of `classic`; its records are in the turn.

    Raises:
        ApiError: GROUP_ID_NOT_FOUND, the group cannot be or must not be upgraded.
    """
    _check_upgrade(turn, classic)
    group_id = classic.group_id
    try:
        members = [_to_consumer(cluster, classic, member) for member in classic.members.values()]
    except SchemaError:
        raise _cannot_upgrade(group_id, "the embedded consumer protocol is malformed") from None
    group = ConsumerGroup(group_id)
    names = {name for member in members for name in member.topic_names}
    epoch = r.GroupEpochValue(classic.generation_id, metadata_hash(cluster, names))
    records: list[r.ConsumerRecord] = [
        *(member.to_record(group_id) for member in members),
        r.GroupEpochRecord(group_id, epoch),
        *(target_record(group_id, member.member_id, _partitions(member)) for member in members),
        r.TargetEpochRecord(group_id, r.TargetEpochValue(classic.generation_id, 0)),
        *(member.to_current_record(group_id) for member in members),
    ]
    turn.write(GroupRecord(group_id, None))
    for record in records:
        turn.write(record)
        group.apply(record)
    return group


def send_back(turn: Turn, classic: ClassicGroup) -> None:
    """Whoever waits in the classic group joins again, in what it has become."""
    for member in classic.members.values():
        if member.join_token is not None:
            again = JoinGroupResponse(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)
            turn.reply(member.join_token, again)
        if member.sync_token is not None:
            turn.reply(member.sync_token, SyncGroupResponse(ErrorCode.REBALANCE_IN_PROGRESS))


def _check_upgrade(turn: Turn, classic: ClassicGroup) -> None:
    if not turn.settings.consumer_may_upgrade:
        raise _cannot_upgrade(classic.group_id, "online upgrade is disabled")
    if not classic.uses_consumer_protocol:
        raise _cannot_upgrade(classic.group_id, "the group does not use the consumer embedded protocol")
    if len(classic.members) > turn.settings.consumer_max_size:
        raise _cannot_upgrade(classic.group_id, "the group size exceeds the consumer group maximum size")


def _cannot_upgrade(group_id: str, reason: str) -> ApiError:
    message = f"Cannot upgrade classic group {group_id} to consumer group because {reason}."
    return ApiError(ErrorCode.GROUP_ID_NOT_FOUND, message)


def _to_consumer(cluster: Cluster, classic: ClassicGroup, member: Member) -> ConsumerMember:
    """Who waits for its first generation has no subscription that was selected: then its favourite counts."""
    protocol_name = classic.protocol_name or member.protocols[0].name
    subscription = read_subscription(member.metadata(protocol_name))
    assignment = read_assignment(member.assignment)
    if assignment.user_data:
        raise _cannot_upgrade(classic.group_id, "an unsupported custom assignor is in use: its user data would be lost")
    assigned: dict[UUID, dict[int, int]] = {}
    for each in assignment.partitions:
        topic = cluster.topic_named(each.topic)
        if topic is not None:
            assigned[topic.id] = dict.fromkeys(each.partitions, classic.generation_id)
    protocols = tuple(r.ClassicProtocol(protocol.name, protocol.metadata) for protocol in member.protocols)
    return ConsumerMember(
        member.member_id,
        member_epoch=classic.generation_id,
        previous_member_epoch=classic.generation_id,
        instance_id=member.group_instance_id,
        rack_id=subscription.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        client_id=member.client_id,
        client_host=member.client_host,
        topic_names=frozenset(subscription.topics),
        assigned=assigned,
        classic=r.ClassicMetadata(member.session_timeout_ms, protocols),
    )


def _partitions(member: ConsumerMember) -> Partitions:
    return {topic_id: frozenset(each) for topic_id, each in member.assigned.items()}


# Down


def may_downgrade(change: Change, leaving: Collection[ConsumerMember], *, staying: int) -> bool:
    """Whether the group is to become a classic one when these leave and `staying` members are in it."""
    settings = change.turn.settings
    return (
        change.group.all_use_classic_protocol_but(leaving)
        and staying > 0
        and settings.consumer_may_downgrade
        and staying <= settings.max_size
    )


def downgrade(
    change: Change,
    leaving: Collection[ConsumerMember],
    joining: tuple[ConsumerMember, ConsumerMember] | None,
    *,
    rebalances: bool,
) -> ClassicGroup:
    """The classic group that takes the place of the consumer group; its records are in the turn.

    Args:
        joining: a static member of the consumer protocol, and the classic one that takes its place.
        rebalances: whether the members must join again, because what they have is not what they shall have.
    """
    group, turn = change.group, change.turn
    renamed = {} if joining is None else {joining[0].member_id: joining[1].member_id}
    for record in group.tombstones(renamed=renamed):
        turn.write(record)
    change.watch.forget(turn, group.group_id, [*group.members, *renamed.values()])
    gone = {member.member_id for member in leaving} | renamed.keys()
    stay = {member_id: member for member_id, member in group.members.items() if member_id not in gone}
    targets = {member_id: group.target_of(member_id) for member_id in stay}
    if joining is not None:
        former, member = joining
        stay[member.member_id], targets[member.member_id] = member, group.target_of(former.member_id)
    classic = ClassicGroup.stable(
        group.group_id,
        group.epoch,
        CONSUMER_PROTOCOL_TYPE,
        [_to_classic(member) for member in stay.values()],
        turn.wall_ms,
        next(turn.rounds),
    )
    for member_id, each in classic.members.items():
        version = read_subscription(each.metadata(classic.protocol_name)).version
        named = dict(_named(change.cluster, targets[member_id]))
        each.assignment = write_assignment(version, named)
    turn.write(classic.to_record({each.member_id: each.assignment for each in classic.members.values()}))
    for each in classic.members.values():
        rebalance.renew_session(turn, classic, each)
    if rebalances:
        rebalance.prepare(turn, classic)
    return classic


def _to_classic(member: ConsumerMember) -> Member:
    assert member.classic is not None, f"{member.member_id} does not use the classic protocol"
    return Member(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        session_timeout_ms=member.classic.session_timeout_ms,
        protocols=tuple(Protocol(protocol.name, protocol.metadata) for protocol in member.classic.protocols),
    )


def _named(cluster: Cluster, partitions: Partitions) -> Iterator[tuple[str, tuple[int, ...]]]:
    for topic_id, each in partitions.items():
        topic = cluster.topic_with(topic_id)
        if topic is not None:
            yield topic.name, tuple(sorted(each))


def assignment_bytes(cluster: Cluster, member: ConsumerMember) -> bytes:
    """What a classic member of a consumer group is told that it owns."""
    version = read_subscription(member.classic_protocols[0].metadata).version
    owned = {topic_id: frozenset(each) for topic_id, each in member.assigned.items()}
    return write_assignment(version, dict(_named(cluster, owned)))


def as_classic(member: ConsumerMember, protocols: tuple[Protocol, ...], session_timeout_ms: int) -> ConsumerMember:
    """The member with the protocols of its JoinGroup."""
    listed = tuple(r.ClassicProtocol(protocol.name, protocol.metadata) for protocol in protocols)
    return replace(member, classic=r.ClassicMetadata(session_timeout_ms, listed))
