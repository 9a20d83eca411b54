"""Every consumer group of a partition: which requests are theirs, and what answers them.

A group id belongs to one protocol at a time, so the coordinator asks here first: `answer` gives None for a request
that is about no group of this kind. A refusal leaves nothing behind: the turn is as it was.

State changes by `apply` alone. So if the log refuses the records of a decision there is nothing to undo but timers,
and the member that is told so comes again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from uuid import UUID

from moldau.control.groups.classic.group import ClassicGroup
from moldau.control.groups.consumer import classic_members
from moldau.control.groups.consumer.change import Change
from moldau.control.groups.consumer.cluster import Cluster, metadata_hash
from moldau.control.groups.consumer.expressions import resolve_expressions
from moldau.control.groups.consumer.gathering import TOGETHER_MAX, Gathering, join_together, may_wait, that_fit
from moldau.control.groups.consumer.group import ConsumerGroup
from moldau.control.groups.consumer.heartbeat import check_request, heartbeat, leave
from moldau.control.groups.consumer.member import JOINING, LEAVING, LEAVING_FOR_A_WHILE, ConsumerMember
from moldau.control.groups.consumer.migration import downgrade, may_downgrade, send_back, upgrade
from moldau.control.groups.consumer.records import (
    ConsumerRecord,
    CurrentMemberRecord,
    GroupEpochRecord,
    TargetMemberRecord,
    TopicMetadataRecord,
)
from moldau.control.groups.consumer.watch import Watch
from moldau.control.groups.leases import Leases
from moldau.control.groups.others import OtherGroups
from moldau.control.groups.records import GroupRecord
from moldau.control.groups.refusals import refuse
from moldau.control.groups.requests import (
    ClassicMemberTimedOut,
    ConsumerGroupDescribe,
    ConsumerGroupHeartbeat,
    ConsumerSessionExpired,
    ExpressionsToResolve,
    Heartbeat,
    JoinGroup,
    JoinsAlone,
    JoinsGathered,
    LeaveGroup,
    RevocationTimedOut,
    SyncGroup,
)
from moldau.control.groups.responses import (
    AssignedTopic,
    ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatResponse,
    DescribedConsumer,
    Done,
    GroupResponse,
    ListedGroup,
)
from moldau.control.groups.turn import Turn
from moldau.control.machine import PARKED, AppendFailed, Parked, Reply, ScheduleTimer
from moldau.errors import ApiError, ErrorCode

CONSUMER = "Consumer"
"""Kafka's name of this group type in ListGroups."""
PROTOCOL_TYPE = "consumer"

Event = ConsumerSessionExpired | RevocationTimedOut | ClassicMemberTimedOut | ExpressionsToResolve
ClassicRequest = JoinGroup | SyncGroup | Heartbeat | LeaveGroup


class ConsumerGroups(Mapping[str, ConsumerGroup]):
    """The consumer groups of one partition by their id."""

    def __init__(
        self, cluster: Cluster, leases: Leases, classic: Mapping[str, ClassicGroup], others: OtherGroups
    ) -> None:
        """`classic` and `others` are the groups of the other protocols, which this class only reads."""
        self._cluster = cluster
        self._leases = leases
        self._classic = classic
        self._others = others
        self._groups: dict[str, ConsumerGroup] = {}
        self._watch = Watch(cluster)
        self._gathering = Gathering()
        self._is_loaded = False
        self._become_classic: dict[str, ClassicGroup] = {}
        self._lent: dict[str, set[str]] = {}
        """Group to the members that may hold a lease: who joins ends the leases of a group with every record."""

    def __getitem__(self, group_id: str) -> ConsumerGroup:
        return self._groups[group_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, group_id: object) -> bool:
        return group_id in self._groups

    def find(self, group_id: str) -> ConsumerGroup | None:
        """What `get` does, without the exception by which a mapping finds that there is none: every commit asks."""
        return self._groups.get(group_id)

    # Records

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record; a tombstone about a group that is not there says nothing new."""
        group = self._groups.get(record.group)
        if group is None:
            if record.value is None or isinstance(record, TopicMetadataRecord):
                return
            group = self._groups[record.group] = ConsumerGroup(record.group)
        group.apply(record)
        if self._lent.get(record.group):
            match record:
                case TargetMemberRecord() | CurrentMemberRecord():
                    # Where a member is, and where it shall come to, is its own affair: who is at rest goes on to be.
                    self._end_leases(record.group, record.member_id)
                case _:
                    self._end_leases(record.group)
        if isinstance(record, CurrentMemberRecord) and record.value is not None:
            # With its next heartbeat it would be told that nothing has changed since.
            self._grant(group, group.members[record.member_id])
        elif isinstance(record, GroupEpochRecord) and record.value is None:
            del self._groups[record.group]

    def take_classic(self, group_id: str) -> ClassicGroup | None:
        """The classic group that a consumer group has become, when its record is applied."""
        return self._become_classic.pop(group_id, None)

    def start(self, turn: Turn) -> None:
        """Everything is applied: give the members that were found their sessions back."""
        self._is_loaded = True
        for group_id, group in self._groups.items():
            self._watch.begin_anew(turn, group_id, group)

    def append_failed(self, turn: Turn, failed: AppendFailed, error: ErrorCode) -> None:
        """Nothing of that decision has happened: those who wait for it are told `error`."""
        request = failed.request
        group_id = getattr(request, "group_id", None)
        if group_id is not None:
            self._become_classic.pop(group_id, None)
            self._watch.begin_anew(turn, group_id, self._groups.get(group_id))
        if isinstance(request, JoinsGathered | JoinsAlone):
            for effect in failed.decision.effects:
                if isinstance(effect, Reply) and isinstance(effect.response, ConsumerGroupHeartbeatResponse):
                    turn.reply(effect.token, ConsumerGroupHeartbeatResponse(error))
                elif isinstance(effect, ScheduleTimer) and isinstance(effect.event, JoinsAlone):
                    turn.effects.append(effect)

    # Requests

    def answer(self, turn: Turn, request: object) -> GroupResponse | Parked | None:
        """Answer what is about a consumer group, or about a group that is to become one; None for everything else."""
        try:
            match request:
                case ConsumerGroupHeartbeat():
                    return self._heartbeat(turn, request)
                case ConsumerGroupDescribe():
                    return self._describe(turn, request)
                case JoinGroup() | SyncGroup() | Heartbeat() | LeaveGroup():
                    group = self._groups.get(request.group_id)
                    if group is None or (group.is_empty and isinstance(request, JoinGroup)):
                        return None
                    return self._classic_request(self._change(turn, group), request)
                case ConsumerSessionExpired() | RevocationTimedOut() | ClassicMemberTimedOut() | ExpressionsToResolve():
                    self._event(turn, request)
                    return Done()
                case JoinsGathered(group_id):
                    self._joins_gathered(turn, group_id)
                    return Done()
                case JoinsAlone(_, join):
                    self._joins_alone(turn, join)
                    return Done()
                case _:
                    return None
        except ApiError as error:
            turn.records.clear()
            turn.effects.clear()
            return _refusal(request, error)

    def _heartbeat(self, turn: Turn, request: ConsumerGroupHeartbeat) -> ConsumerGroupHeartbeatResponse | Parked:
        check_request(request, turn.settings)
        if may_wait(request) and self._is_empty(request.group_id):
            # Whoever wants an assignment with every change wants it at once.
            distance_ms = self._cluster.assignment_interval_ms(request.group_id)
            if self._gathering.park(turn, request, min(turn.settings.consumer_gather_ms, distance_ms)):
                return PARKED
        if request.member_epoch not in (LEAVING, LEAVING_FOR_A_WHILE):
            group = self._group_for(turn, request)
            response = heartbeat(self._change(turn, group), request)
            classic = self._classic.get(request.group_id)
            if not turn.records:
                self._grant(group, group.members[response.member_id or ""])
            if classic is not None:
                send_back(turn, classic)
                for member in group.members.values():
                    if member.instance_id is None or member.instance_id != request.instance_id:
                        self._watch.renew(turn, group.group_id, member)
            return response
        change = self._change(turn, self._known(request.group_id))
        leaving = leave(change, request)
        if leaving is not None:
            self._remove(change, [leaving])
        return ConsumerGroupHeartbeatResponse(
            ErrorCode.NONE, member_id=request.member_id, member_epoch=request.member_epoch
        )

    def _joins_gathered(self, turn: Turn, group_id: str) -> None:
        waiting = self._gathering.end(group_id)
        most = min(TOGETHER_MAX, turn.settings.consumer_max_size) if self._is_empty(group_id) else 0
        together = that_fit(waiting, most)
        if together:
            join_together(self._change(turn, self._group_for(turn, waiting[0])), waiting[:together])
        for request in waiting[together:]:
            turn.schedule(("joins-alone", request.token), turn.steady_ms, JoinsAlone(group_id, request))

    def _joins_alone(self, turn: Turn, request: ConsumerGroupHeartbeat) -> None:
        response = self.answer(turn, replace(request, token=None))
        assert request.token is not None, "who has no token does not wait"
        turn.reply(request.token, response)

    def _is_empty(self, group_id: str) -> bool:
        """Whether a member of this protocol that joins now would be the only one in the group."""
        group, classic = self._groups.get(group_id), self._classic.get(group_id)
        if self._others.type_of(group_id) is not None:
            return False
        return (group is None or group.is_empty) and (classic is None or classic.is_empty)

    def _grant(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        """A member at rest in a group at rest is told the same until the group or the cluster changes."""
        is_settled = group.epoch <= group.assignment_epoch and member.is_reconciled_to(group.assignment_epoch)
        # What an expression stands for is looked up from time to time, and it is a heartbeat that finds this due.
        may_be_told = self._is_loaded and not member.uses_classic_protocol and not group.expressions
        if is_settled and may_be_told and self._knows_its_topics(group):
            self._lent.setdefault(group.group_id, set()).add(member.member_id)
            self._leases.grant_consumer(
                group.group_id,
                member.member_id,
                member.instance_id,
                member.member_epoch,
                client_id=member.client_id,
                client_host=member.client_host,
                heartbeat_interval_ms=self._cluster.heartbeat_interval_ms(group.group_id),
            )

    def _knows_its_topics(self, group: ConsumerGroup) -> bool:
        """Whether the topics of the group are now what they were when its epoch was raised."""
        if group.checked_version != self._cluster.version:
            if metadata_hash(self._cluster, group.topic_names()) != group.metadata_hash:
                return False
            group.checked_version = self._cluster.version
        return True

    def _end_leases(self, group_id: str, member_id: str | None = None) -> None:
        lent = self._lent.get(group_id)
        if not lent or (member_id is not None and member_id not in lent):
            return
        if member_id is not None:
            lent.discard(member_id)
        if member_id is None or not lent:
            del self._lent[group_id]
        self._watch.seen(group_id, self._leases.end(group_id, member_id))

    def _group_for(self, turn: Turn, request: ConsumerGroupHeartbeat) -> ConsumerGroup:
        """The group; if the member joins, a new one, or what a classic group becomes by that."""
        group_id = request.group_id
        if request.member_epoch != JOINING or group_id in self._groups:
            return self._known(group_id)
        if self._others.type_of(group_id) is not None:
            raise _not_a_consumer_group(group_id)
        classic = self._classic.get(group_id)
        if classic is None:
            return ConsumerGroup(group_id)
        if classic.is_empty:
            turn.write(GroupRecord(group_id, None))
            return ConsumerGroup(group_id)
        return upgrade(turn, self._cluster, classic)

    def _classic_request(self, change: Change, request: ClassicRequest) -> GroupResponse:
        match request:
            case JoinGroup():
                response, classic = classic_members.join(change, request)
                if classic is not None:
                    self._become_classic[request.group_id] = classic
                return response
            case SyncGroup():
                return classic_members.sync(change, request)
            case Heartbeat():
                return classic_members.heartbeat(change, request)
            case LeaveGroup():
                answer, leaving = classic_members.leave(change, request)
                self._remove(change, leaving)
                return answer

    # Time

    def _event(self, turn: Turn, event: Event) -> None:
        group = self._groups.get(event.group_id)
        if group is None:
            return
        change = self._change(turn, group)
        if isinstance(event, ExpressionsToResolve):
            resolve_expressions(change, event.client)
            return
        member = group.members.get(event.member_id)
        if member is None:
            self._watch.forget(turn, event.group_id, [event.member_id])
            return
        if isinstance(event, RevocationTimedOut) and member.member_epoch != event.member_epoch:
            return
        if isinstance(event, ConsumerSessionExpired):
            # No session ends on a heartbeat that was answered for us, and none is answered from here on.
            self._end_leases(group.group_id, member.member_id)
            if not self._watch.session_is_over(turn, event):
                return
        self._remove(change, [member])

    def _remove(self, change: Change, members: Collection[ConsumerMember]) -> None:
        """Members are out of the group; if only classic ones are left, it is a classic group from here on."""
        if not members:
            return
        if may_downgrade(change, members, staying=len(change.group.members) - len(members)):
            self._become_classic[change.group_id] = downgrade(change, members, None, rebalances=True)
        else:
            change.fence(members)

    # Looking in

    def listed(self) -> list[ListedGroup]:
        return [ListedGroup(each.group_id, PROTOCOL_TYPE, each.state, CONSUMER) for each in self._groups.values()]

    def _describe(self, turn: Turn, request: ConsumerGroupDescribe) -> ConsumerGroupDescribeResponse:
        group, default = self._known(request.group_id), turn.settings.consumer_assignors[0]
        preferred = group.preferred_assignors
        return ConsumerGroupDescribeResponse(
            ErrorCode.NONE,
            group.group_id,
            state=group.state,
            epoch=group.epoch,
            assignment_epoch=group.assignment_epoch,
            assignor=max(preferred, key=lambda name: (preferred[name], name), default=default),
            members=tuple(self._describe_member(group, member) for member in group.members.values()),
        )

    def _describe_member(self, group: ConsumerGroup, member: ConsumerMember) -> DescribedConsumer:
        held: dict[UUID, set[int]] = {}
        for owned in (member.assigned, member.pending_revocation):
            for topic_id, partitions in owned.items():
                held.setdefault(topic_id, set()).update(partitions)
        return DescribedConsumer(
            member.member_id,
            member.instance_id,
            member.rack_id,
            member.member_epoch,
            member.client_id,
            member.client_host,
            topic_names=tuple(sorted(member.topic_names)),
            topic_regex=member.topic_regex,
            assignment=self._named(held),
            target=self._named(group.target_of(member.member_id)),
            uses_classic_protocol=member.uses_classic_protocol,
        )

    def _named(self, partitions: Mapping[UUID, Collection[int]]) -> tuple[AssignedTopic, ...]:
        topics = ((self._cluster.topic_with(topic_id), each) for topic_id, each in partitions.items())
        return tuple(AssignedTopic(topic.name, topic.id, tuple(sorted(each))) for topic, each in topics if topic)

    def _known(self, group_id: str) -> ConsumerGroup:
        group = self._groups.get(group_id)
        if group is None:
            if group_id in self._classic or self._others.type_of(group_id) is not None:
                raise _not_a_consumer_group(group_id)
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
        return group

    def _change(self, turn: Turn, group: ConsumerGroup) -> Change:
        return Change(turn, self._cluster, self._watch, group)


def _not_a_consumer_group(group_id: str) -> ApiError:
    return ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")


def _refusal(request: object, error: ApiError) -> GroupResponse:
    match request:
        case ConsumerGroupHeartbeat():
            return ConsumerGroupHeartbeatResponse(error.code, error.message)
        case ConsumerGroupDescribe():
            return ConsumerGroupDescribeResponse(error.code, request.group_id, error.message)
        case _:
            return refuse(request, error.code)
