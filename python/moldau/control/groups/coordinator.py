"""The group machine: one for each partition of `__consumer_offsets`, and everything about the groups in it.

    decide(request, now)   what to write, what to answer, which timers to set
    apply(record)             the only way the durable state changes; recovery is nothing else

Durable are the last record of each group and the committed offsets. `groups` is what lives between two records: it
is made from them when the partition is loaded, it leads while a decision is on its way to the log, and it is thrown
away with the node. The difference matters in two places:

- The leader's assignment is handed out only by `AssignmentStored`, an event that the shell carries out after the
  record is committed. No member ever owns what a crash could take back.
- A group that is deleted is gone for the next request, before its tombstone is applied. If the tombstone cannot be
  appended, `AppendFailed` brings it back from its last record. So it is with an empty group of another protocol that
  a classic join takes over. One with very many offsets is `deletions` until they are all taken back.

Groups of the consumer protocol are `consumer.groups`, a sibling of `classic`: they are asked first, keep their offsets
in the same `CommittedOffsets`, and never lead: they change when a record is applied.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from moldau.control.groups import offsets as offset_store
from moldau.control.groups.classic import join as joining
from moldau.control.groups.classic import membership, rebalance
from moldau.control.groups.classic.group import ClassicGroup, GroupState
from moldau.control.groups.consumer.cluster import Cluster
from moldau.control.groups.consumer.groups import ConsumerGroups
from moldau.control.groups.consumer.records import ConsumerRecord, CurrentMemberRecord, MemberRecord, TargetMemberRecord
from moldau.control.groups.deletion import Deletions
from moldau.control.groups.leases import Leases
from moldau.control.groups.offsets import CommittedOffsets
from moldau.control.groups.others import OtherGroups
from moldau.control.groups.records import (
    CoordinatorRecord,
    GroupMetadataValue,
    GroupRecord,
    OffsetRecord,
    OtherRecord,
    PendingOffsetRecord,
)
from moldau.control.groups.refusals import coordinator_error, refuse
from moldau.control.groups.requests import (
    AssignmentStored,
    CompleteTransaction,
    DeleteGroup,
    DeletionToFinish,
    DescribeGroup,
    Heartbeat,
    InitialDelayElapsed,
    JoinGroup,
    LeaveGroup,
    ListGroups,
    Loaded,
    OffsetCommit,
    OffsetDelete,
    OffsetFetch,
    RebalanceTimedOut,
    RetentionCheckDue,
    SessionExpired,
    SyncGroup,
    SyncTimedOut,
    TopicsDeleted,
    TransactionalOffsetCommit,
)
from moldau.control.groups.responses import (
    CompleteTransactionResponse,
    DeleteGroupResponse,
    DescribedMember,
    DescribeGroupResponse,
    Done,
    GroupResponse,
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    LeftMember,
    ListedGroup,
    ListGroupsResponse,
    OffsetCommitResponse,
    OffsetDeleteResponse,
    OffsetFetchResponse,
    SyncGroupResponse,
)
from moldau.control.groups.retention import OffsetRetention
from moldau.control.groups.settings import GroupSettings
from moldau.control.groups.turn import Chance, Turn
from moldau.control.machine import PARKED, AppendFailed, Decision, Now, Parked, ScheduleTimer, TransactionMarker
from moldau.errors import ErrorCode

_OFFSETS: Final = (OffsetRecord, PendingOffsetRecord)
CLASSIC: Final = "Classic"
"""Kafka's name of this group type in ListGroups."""


class GroupCoordinator:
    """Decides about the groups and the committed offsets of one partition of `__consumer_offsets`."""

    answers_append_failed: Final = True
    """`decide` takes an `AppendFailed`."""

    def __init__(self, settings: GroupSettings, chance: Chance, cluster: Cluster, leases: Leases) -> None:
        self.settings = settings
        self.groups: dict[str, ClassicGroup] = {}
        self.offsets = CommittedOffsets()
        self.deletions = Deletions(self.offsets)
        self.other_groups = OtherGroups()
        self.consumer_groups = ConsumerGroups(cluster, leases, self.groups, self.other_groups)
        self.retention = OffsetRetention(self.offsets, self.groups.get, self.consumer_groups.find, self._remove)
        self._stored: dict[str, GroupMetadataValue] = {}
        self._chance = chance
        self._leases = leases
        self._rounds = itertools.count(1)
        self._is_loaded = False

    def decide(self, request: object, now: Now) -> Decision[CoordinatorRecord, Any]:
        """Decide about a request or an event of `requests`, or about an `AppendFailed`."""
        turn = Turn(now, self.settings, self._chance, self._rounds)
        if not self._is_loaded and not isinstance(request, Loaded):
            return Decision(refuse(request, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))
        if self.deletions and (refused := self.deletions.refuse(turn, request)) is not None:
            return Decision(refused, effects=tuple(turn.effects))
        group, changes = self._asked_about(request)
        response = self._answer(turn, request)
        if group is not None and (group.changes != changes or self.groups.get(group.group_id) is not group):
            group.seen(self._leases.end(group.group_id))
        for record in turn.records:
            if isinstance(record, _OFFSETS) and (coming := _coming_offset(record)) is not None:
                self.offsets.expect(coming)
        return Decision(response, tuple(turn.records), tuple(turn.effects), turn.producer)

    def apply(self, record: CoordinatorRecord) -> None:
        """Take in one record of the log, at start or after it was committed."""
        if not self._is_loaded:
            self.deletions.read(record)
        match record:
            case OffsetRecord():
                self.offsets.apply(record)
                if record.value is None:
                    self.deletions.taken_back(record.group)
                else:
                    self.offsets.arrived(record)
                    self._know_offset_owner(record.group)
            case MemberRecord() | TargetMemberRecord() | CurrentMemberRecord():
                # Asked for early: who joins does so in three of them.
                self._apply_to_consumer_group(record)
            case PendingOffsetRecord():
                self.offsets.apply_pending(record)
                self.offsets.arrived(record.offset)
                self._know_offset_owner(record.offset.group)
            case TransactionMarker():
                for decided in self.offsets.apply_marker(record):
                    self._know_offset_owner(decided.group)
                if self._is_loaded and self.deletions:
                    self.deletions.forget_those_done()
            case GroupRecord(group_id, None):
                self._stored.pop(group_id, None)
                group = self.groups.get(group_id)
                if group is not None and group.protocol_type is None and not group.pending_joins:
                    # An offset that was committed while the group was being deleted had brought it back.
                    del self.groups[group_id]
            case GroupRecord(group_id, value):
                assert value is not None
                self._stored[group_id] = value
                classic = self.consumer_groups.take_classic(group_id)
                if classic is not None:
                    self.groups[group_id] = classic
            case OtherRecord():
                self.other_groups.apply(record)
            case _:
                self._apply_to_consumer_group(record)

    def _apply_to_consumer_group(self, record: ConsumerRecord) -> None:
        self.consumer_groups.apply(record)
        if record.value is not None and self.groups.pop(record.group, None) is not None:
            # It has become a consumer group.
            self._leases.end(record.group)

    def end_leases(self) -> None:
        """The partition has another coordinator from here on, or none."""
        for group_id in (*self.groups, *self.consumer_groups):
            self._leases.end(group_id)

    # Dispatch

    def _asked_about(self, request: object) -> tuple[ClassicGroup | None, int]:
        """The classic group that `request` is about, and how many changes it has seen."""
        asked = request.request if isinstance(request, AppendFailed) else request
        group = self.groups.get(getattr(asked, "group_id", ""))
        return group, 0 if group is None else group.changes

    def _answer(self, turn: Turn, request: object) -> GroupResponse | Parked:
        answer = self.consumer_groups.answer(turn, request)
        if answer is not None:
            return answer
        match request:
            case Heartbeat():
                return self._heartbeat(turn, request)
            case OffsetCommit():
                return self._commit(turn, request)
            case TransactionalOffsetCommit():
                return self._commit_in_transaction(turn, request)
            case CompleteTransaction(marker):
                turn.write(marker)
                return CompleteTransactionResponse(ErrorCode.NONE)
            case OffsetFetch():
                return self._fetch(request)
            case JoinGroup():
                return self._join(turn, request)
            case SyncGroup():
                return self._sync(turn, request)
            case LeaveGroup():
                return self._leave(turn, request)
            case OffsetDelete():
                return self._delete_offsets(turn, request)
            case DescribeGroup():
                return self._describe(request)
            case ListGroups():
                return self._list(request)
            case DeleteGroup():
                return self._delete_group(turn, request)
            case TopicsDeleted():
                self._forget_topics(turn, request)
            case Loaded():
                self._start(turn)
            case RetentionCheckDue():
                self._check_retention(turn)
            case DeletionToFinish():
                self.deletions.finish(turn, request)
            case AppendFailed():
                return self._append_failed(turn, request)
            case _:
                self._timer_fired(turn, request)
        return Done()

    def _timer_fired(self, turn: Turn, event: object) -> None:
        match event:
            case SessionExpired():
                group = self.groups.get(event.group_id)
                if group is not None:
                    # No session ends on a heartbeat that was answered for us, and none is answered from here on.
                    group.seen(self._leases.end(group.group_id, event.member_id))
                    membership.session_expired(turn, group, event)
            case InitialDelayElapsed() | RebalanceTimedOut() | SyncTimedOut() | AssignmentStored():
                group = self.groups.get(event.group_id)
                if group is None or group.round != event.round:
                    return
                self._round_event(turn, group, event)
            case _:
                raise TypeError(f"the group machine does not know {type(event).__name__}")

    def _round_event(
        self,
        turn: Turn,
        group: ClassicGroup,
        event: InitialDelayElapsed | RebalanceTimedOut | SyncTimedOut | AssignmentStored,
    ) -> None:
        match event:
            case InitialDelayElapsed():
                rebalance.initial_delay_elapsed(turn, group, event)
            case RebalanceTimedOut():
                if group.state is GroupState.PREPARING_REBALANCE:
                    rebalance.complete(turn, group)
            case SyncTimedOut():
                rebalance.sync_timed_out(turn, group)
            case AssignmentStored():
                if group.state is GroupState.COMPLETING_REBALANCE:
                    rebalance.store_assignment(turn, group, dict(event.assignments))

    # Members

    def _join(self, turn: Turn, request: JoinGroup) -> JoinGroupResponse | Parked:
        group_id, settings = request.group_id, self.settings
        if not group_id:
            return JoinGroupResponse(ErrorCode.INVALID_GROUP_ID, request.member_id)
        if not settings.min_session_timeout_ms <= request.session_timeout_ms <= settings.max_session_timeout_ms:
            return JoinGroupResponse(ErrorCode.INVALID_SESSION_TIMEOUT, request.member_id)
        if self.other_groups.type_of(group_id) is not None and self.other_groups.has_members(group_id):
            return JoinGroupResponse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "")
        group = self.groups.get(group_id)
        if group is not None:
            return joining.join(turn, group, request)
        if request.member_id:
            return JoinGroupResponse(ErrorCode.UNKNOWN_MEMBER_ID, request.member_id)
        # What is left of an empty group of another protocol is taken over.
        turn.records.extend(self.other_groups.tombstones(group_id))
        if group_id in self.consumer_groups:
            turn.records.extend(self.consumer_groups[group_id].tombstones())
        group = ClassicGroup(group_id, turn.wall_ms, next(self._rounds))
        turn.write(group.to_record({}))
        response = joining.join(turn, group, request)
        if isinstance(response, Parked) or response.error is ErrorCode.MEMBER_ID_REQUIRED:
            self.groups[group_id] = group
        else:
            turn.records.clear()
        return response

    def _sync(self, turn: Turn, request: SyncGroup) -> SyncGroupResponse | Parked:
        if not request.group_id:
            return SyncGroupResponse(ErrorCode.INVALID_GROUP_ID)
        group = self.groups.get(request.group_id)
        if group is None:
            return SyncGroupResponse(ErrorCode.UNKNOWN_MEMBER_ID)
        return membership.sync(turn, group, request)

    def _heartbeat(self, turn: Turn, request: Heartbeat) -> HeartbeatResponse:
        if not request.group_id:
            return HeartbeatResponse(ErrorCode.INVALID_GROUP_ID)
        group = self.groups.get(request.group_id)
        if group is None:
            return HeartbeatResponse(ErrorCode.UNKNOWN_MEMBER_ID)
        response = membership.heartbeat(turn, group, request)
        if response.error is ErrorCode.NONE and group.state is GroupState.STABLE:
            instance_id = group.members[request.member_id].group_instance_id
            self._leases.grant(group.group_id, request.member_id, instance_id, group.generation_id)
        return response

    def _leave(self, turn: Turn, request: LeaveGroup) -> LeaveGroupResponse:
        if not request.group_id:
            return LeaveGroupResponse(ErrorCode.INVALID_GROUP_ID)
        group = self.groups.get(request.group_id)
        if group is None:
            unknown = ErrorCode.UNKNOWN_MEMBER_ID
            left = (LeftMember(member.member_id, member.group_instance_id, unknown) for member in request.members)
            return LeaveGroupResponse(ErrorCode.NONE, tuple(left))
        return membership.leave(turn, group, request)

    # Offsets

    def _commit(self, turn: Turn, request: OffsetCommit) -> OffsetCommitResponse:
        error = self._check_commit(turn, request)
        if error is not ErrorCode.NONE:
            return OffsetCommitResponse(error)
        return offset_store.commit(turn, request)

    def _check_commit(self, turn: Turn, request: OffsetCommit) -> ErrorCode:
        consumers = self.consumer_groups.find(request.group_id)
        if consumers is not None:
            partitions = ((offset.topic_id, offset.partition) for offset in request.offsets)
            return consumers.check_offset_commit(
                request.member_id,
                request.generation_id,
                partitions,
                knows_member_epochs=request.knows_group_id_not_found,
            )
        group = self.groups.get(request.group_id)
        if group is None:
            if self.other_groups.has_members(request.group_id):
                return ErrorCode.UNKNOWN_MEMBER_ID
            if request.generation_id < 0:
                return ErrorCode.NONE
            understands = request.knows_group_id_not_found
            return ErrorCode.GROUP_ID_NOT_FOUND if understands else ErrorCode.ILLEGAL_GENERATION
        error = group.check_offset_commit(request.member_id, request.group_instance_id, request.generation_id)
        if error is ErrorCode.NONE and request.member_id in group.members:
            # A consumer that commits is alive, also when its heartbeats are held up.
            rebalance.renew_session(turn, group, group.members[request.member_id])
        return error

    def _fetch(self, request: OffsetFetch) -> OffsetFetchResponse:
        consumers = self.consumer_groups.find(request.group_id)
        if consumers is not None:
            error = consumers.check_offset_fetch(request.member_id, request.member_epoch)
            if error is not ErrorCode.NONE:
                return OffsetFetchResponse(error)
        return offset_store.fetch(self.offsets, request)

    def _commit_in_transaction(self, turn: Turn, request: TransactionalOffsetCommit) -> OffsetCommitResponse:
        if not request.group_id:
            return OffsetCommitResponse(ErrorCode.INVALID_GROUP_ID)
        error = self._check_transactional_commit(request)
        if error is not ErrorCode.NONE:
            return OffsetCommitResponse(error)
        return offset_store.commit_in_transaction(turn, request)

    def _check_transactional_commit(self, request: TransactionalOffsetCommit) -> ErrorCode:
        consumers = self.consumer_groups.find(request.group_id)
        if consumers is not None:
            partitions = ((offset.topic_id, offset.partition) for offset in request.offsets)
            return consumers.check_transactional_commit(
                request.member_id, request.group_instance_id, request.generation_id, partitions
            )
        group = self.groups.get(request.group_id)
        if group is not None:
            return group.check_transactional_commit(request.member_id, request.group_instance_id, request.generation_id)
        if self.other_groups.has_members(request.group_id):
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if request.generation_id < 0 else ErrorCode.ILLEGAL_GENERATION

    def _delete_offsets(self, turn: Turn, request: OffsetDelete) -> OffsetDeleteResponse:
        if not request.group_id:
            return OffsetDeleteResponse(ErrorCode.INVALID_GROUP_ID)
        group = self.consumer_groups.find(request.group_id) or self.groups.get(request.group_id)
        if group is None:
            return OffsetDeleteResponse(ErrorCode.GROUP_ID_NOT_FOUND)
        return offset_store.delete(turn, self.offsets, group, request)

    def _know_offset_owner(self, group_id: str) -> None:
        """A group that nobody joined comes into being with its first offset."""
        owned = group_id in self.groups or group_id in self.consumer_groups or group_id in self.deletions
        if self._is_loaded and not owned and self.other_groups.type_of(group_id) is None:
            self.groups[group_id] = ClassicGroup(group_id, -1, next(self._rounds))

    # Groups

    def _describe(self, request: DescribeGroup) -> DescribeGroupResponse:
        group = self.groups.get(request.group_id)
        if group is None:
            message = f"Group {request.group_id} not found."
            if request.group_id in self.consumer_groups or self.other_groups.type_of(request.group_id) is not None:
                message = f"Group {request.group_id} is not a classic group."
            return DescribeGroupResponse(
                ErrorCode.GROUP_ID_NOT_FOUND, request.group_id, GroupState.DEAD, error_message=message
            )
        is_stable = group.state is GroupState.STABLE
        members = tuple(
            DescribedMember(
                member.member_id,
                member.group_instance_id,
                member.client_id,
                member.client_host,
                metadata=member.metadata(group.protocol_name) if is_stable else b"",
                assignment=member.assignment,
            )
            for member in group.members.values()
        )
        return DescribeGroupResponse(
            ErrorCode.NONE,
            group.group_id,
            group.state,
            protocol_type=group.protocol_type or "",
            protocol_name=(group.protocol_name or "") if is_stable else "",
            members=members,
        )

    def _list(self, request: ListGroups) -> ListGroupsResponse:
        states = {state.strip().lower() for state in request.states}
        types = {type_.strip().lower() for type_ in request.types}
        listed = [
            ListedGroup(group.group_id, group.protocol_type or "", group.state, CLASSIC)
            for group in self.groups.values()
        ]
        listed += self.consumer_groups.listed()
        listed += self.other_groups.listed()
        chosen = (
            group
            for group in listed
            if (not states or group.state.lower() in states) and (not types or group.type.lower() in types)
        )
        return ListGroupsResponse(ErrorCode.NONE, tuple(chosen))

    def _delete_group(self, turn: Turn, request: DeleteGroup) -> DeleteGroupResponse:
        group_id = request.group_id
        if group_id in self.deletions:
            return DeleteGroupResponse(ErrorCode.NONE, is_done=self.deletions.go_on(turn, group_id))
        if request.goes_on:
            return DeleteGroupResponse(ErrorCode.NONE)
        error = self._check_delete(group_id)
        if error is not ErrorCode.NONE:
            return DeleteGroupResponse(error)
        is_done = offset_store.delete_all(turn, self.offsets, group_id)
        tombstones_of_offsets = [] if is_done else turn.records.copy()
        if not is_done:
            turn.records.clear()
            self.deletions.begin(turn, group_id)
        self._take_back(turn, group_id)
        turn.records.extend(tombstones_of_offsets)
        return DeleteGroupResponse(ErrorCode.NONE, is_done=is_done)

    def _check_delete(self, group_id: str) -> ErrorCode:
        group = self.consumer_groups.find(group_id) or self.groups.get(group_id)
        if group is not None:
            return ErrorCode.NONE if group.is_empty else ErrorCode.NON_EMPTY_GROUP
        if self.other_groups.type_of(group_id) is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.NON_EMPTY_GROUP if self.other_groups.has_members(group_id) else ErrorCode.NONE

    def _take_back(self, turn: Turn, group_id: str) -> None:
        """Write the tombstones of a group without its offsets."""
        consumers = self.consumer_groups.find(group_id)
        if consumers is not None:
            turn.records.extend(consumers.tombstones())
        elif group_id in self.groups:
            self._remove(turn, self.groups[group_id])
        else:
            turn.records.extend(self.other_groups.tombstones(group_id))

    def _remove(self, turn: Turn, group: ClassicGroup) -> None:
        assert not group.members, f"{group.group_id} is deleted with members"
        for member_id in group.pending_joins:
            turn.cancel(rebalance.session_key(group, member_id))
        del self.groups[group.group_id]
        turn.take_back(GroupRecord(group.group_id, None))

    # Life of the partition

    def _start(self, turn: Turn) -> None:
        """Everything is applied: give the groups that were found their sessions back, and begin to watch time."""
        self._is_loaded = True
        for group_id in list(self._stored):
            group = self._restore(group_id)
            for member in group.members.values():
                rebalance.renew_session(turn, group, member)
            if len(group.members) > self.settings.max_size:
                rebalance.prepare(turn, group)
        self.consumer_groups.start(turn)
        self.deletions.start(turn)
        for group_id, *_ in list(self.offsets.everything()):
            self._know_offset_owner(group_id)
        self.retention.watch(turn, self.settings.offsets_retention_check_interval_ms)

    def _restore(self, group_id: str) -> ClassicGroup:
        group = ClassicGroup.from_record(group_id, self._stored[group_id], next(self._rounds))
        self.groups[group_id] = group
        return group

    def _check_retention(self, turn: Turn) -> None:
        if not self.retention.is_under_way:
            self.retention.begin([*self.groups, *self.consumer_groups])
        self.retention.go_on(turn)

    def _forget_topics(self, turn: Turn, request: TopicsDeleted) -> None:
        offset_store.forget_topics(turn, self.offsets, request.topics)
        if turn.is_full:
            turn.schedule(("deleted", request), turn.steady_ms, request)

    def _append_failed(self, turn: Turn, failed: AppendFailed) -> GroupResponse | Parked:
        """Undo what was decided ahead of the log, and say so to those who wait for it."""
        request, error = failed.request, coordinator_error(failed.error)
        if self._is_of_a_consumer_group(failed):
            self.deletions.append_failed(turn, failed)
            self.consumer_groups.append_failed(turn, failed, error)
            return refuse(request, error)
        turn.effects.extend(
            effect
            for effect in failed.decision.effects
            if not (isinstance(effect, ScheduleTimer) and isinstance(effect.event, AssignmentStored))
        )
        self.deletions.append_failed(turn, failed)
        for record in failed.decision.records:
            if (coming := _coming_offset(record)) is not None:
                self.offsets.arrived(coming)
            elif isinstance(record, GroupRecord) and record.value is None and record.group not in self.groups:
                self._bring_back(record.group)
        response = refuse(request, error)
        match request:
            case JoinGroup() | SyncGroup():
                group = self.groups.get(request.group_id)
                if group is not None and isinstance(request, JoinGroup):
                    joining.abandon_join(turn, group, request, error)
                    if group.group_id in self.consumer_groups or self.other_groups.type_of(group.group_id) is not None:
                        self._give_back(turn, group, error)
                elif group is not None and isinstance(request, SyncGroup):
                    membership.assignment_failed(turn, group, request, error)
                if isinstance(failed.decision.response, Parked):
                    return PARKED
            case LeaveGroup():
                # The members are gone all the same; what could not be written only says that nobody is left.
                left = failed.decision.response
                assert isinstance(left, LeaveGroupResponse)
                return left
            case RetentionCheckDue():
                self.retention.append_failed(turn)
            case TopicsDeleted():
                turn.schedule(("deleted", request), turn.steady_ms + offset_store.RETRY_MS, request)
            case _:
                pass
        return response

    def _is_of_a_consumer_group(self, failed: AppendFailed) -> bool:
        """Not so a classic join that takes over an empty consumer group, nor the look at all groups."""
        request = failed.request
        is_classic = isinstance(request, JoinGroup) and request.group_id in self.groups
        if is_classic or isinstance(request, RetentionCheckDue):
            return False
        return any(isinstance(record, ConsumerRecord) for record in failed.decision.records)

    def _give_back(self, turn: Turn, group: ClassicGroup, error: ErrorCode) -> None:
        """What `group` was to take over is still there, as a group of another protocol: so nobody has joined."""
        for member in list(group.members.values()):
            rebalance.drop(turn, group, member, error)
        for member_id in group.pending_joins:
            turn.cancel(rebalance.session_key(group, member_id))
        del self.groups[group.group_id]

    def _bring_back(self, group_id: str) -> None:
        if group_id in self._stored:
            self._restore(group_id)
        else:
            self._know_offset_owner(group_id)


def _coming_offset(record: CoordinatorRecord) -> OffsetRecord | None:
    """The offset that is on its way with `record`, if there is one."""
    offset = record.offset if isinstance(record, PendingOffsetRecord) else record
    return offset if isinstance(offset, OffsetRecord) and offset.value is not None else None
