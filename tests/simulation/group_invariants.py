"""What must hold in every run, each by its name. A judge watches node and members and raises at the first breach."""

from collections import Counter

from moldau.control.groups.classic.group import GroupState
from moldau.control.groups.records import GroupRecord
from moldau.control.groups.requests import (
    ConsumerSessionExpired,
    DeleteGroup,
    Heartbeat,
    OffsetCommit,
    SessionExpired,
)
from moldau.control.groups.responses import JoinGroupResponse
from moldau.errors import ErrorCode


class BrokenInvariantError(AssertionError):
    """An invariant does not hold."""


class Judge:
    def __init__(self):
        self.owners = {}
        self.shares = {}
        self.durable_generation = 0
        self.told_generation = 0
        self.incarnation = 0
        self.sent = {}
        self.acknowledged = {}
        self.deletions = []
        """What had been sent for each partition when a deletion of the group was decided that is on its way."""
        self.alive_until = {}
        self.ending = None

    # One owner: no partition belongs to two members of one generation, and who asks again gets the same.

    def owns(self, world, member):
        identity = member.instance_id or member.member_id
        share = self.shares.setdefault((self.incarnation, member.generation_id, identity), member.owned)
        if share != member.owned:
            raise BrokenInvariantError(
                f"one owner: {identity} had {share} in generation {member.generation_id}, and now {member.owned}"
            )
        for partition in member.owned:
            key = (self.incarnation, member.generation_id, partition)
            owner = self.owners.setdefault(key, identity)
            if owner != identity:
                raise BrokenInvariantError(
                    f"one owner: partition {partition} of generation {member.generation_id} is owned by "
                    f"{owner} and by {identity}"
                )

    # Generation goes up: in the log always, and to the members within one life of the node.

    def applied(self, node, record):
        if not isinstance(record, GroupRecord):
            return
        if record.value is None:
            self.incarnation += 1
            self.durable_generation = self.told_generation = 0
            return
        if record.value.generation < self.durable_generation:
            raise BrokenInvariantError(
                f"generation goes up: {record.value.generation} after {self.durable_generation} in the log"
            )
        self.durable_generation = record.value.generation

    def answered(self, node, request, response):
        if isinstance(response, JoinGroupResponse) and response.error is ErrorCode.NONE:
            if response.generation_id < self.durable_generation and not self.deletions:
                raise BrokenInvariantError(
                    f"generation goes up: told {response.generation_id}, durable {self.durable_generation}"
                )
            self.told_generation = max(self.told_generation, response.generation_id)
        if isinstance(request, OffsetCommit):
            self._commit_answered(request, response)
        if isinstance(request, DeleteGroup) and response.error is ErrorCode.NONE:
            self._group_deleted()

    # Told as asked: what is said under a lease is what the coordinator would say. No session ends early: whoever was
    # answered lives for its timeout from then, whoever it was that answered.

    def answered_under_a_lease(self, node, request, response):
        if not self._would_say_the_same(node.machine, request):
            raise BrokenInvariantError(f"told as asked: {request} was answered with {response}")
        self._heard(node, request)

    def _would_say_the_same(self, machine, request):
        consumers = machine.consumer_groups.get(request.group_id)
        classic = machine.groups.get(request.group_id)
        if isinstance(request, Heartbeat):
            return (
                consumers is None
                and classic is not None
                and classic.identify(request.member_id, request.group_instance_id) is ErrorCode.NONE
                and classic.generation_id == request.generation_id
                and classic.state is not GroupState.PREPARING_REBALANCE
            )
        member = consumers and consumers.members.get(request.member_id)
        return (
            member is not None
            and not member.uses_classic_protocol
            and member.member_epoch == request.member_epoch
            and member.is_reconciled_to(consumers.assignment_epoch)
            and consumers.epoch == consumers.assignment_epoch
        )

    def _heard(self, node, request):
        member = self._member(node.machine, request)
        timeout_ms = node.cluster.session_timeout
        if isinstance(request, Heartbeat) and request.group_id in node.machine.groups:
            timeout_ms = member.session_timeout_ms
        self.alive_until[request.member_id] = node.scheduler.now().steady_ms + timeout_ms

    def _member(self, machine, request):
        group = machine.groups.get(request.group_id) or machine.consumer_groups.get(request.group_id)
        return group and group.members.get(request.member_id)

    def about_to_decide(self, node, request):
        self.ending = None
        if isinstance(request, SessionExpired | ConsumerSessionExpired):
            self.ending = self._member(node.machine, request)

    def _check_session(self, node, request, decision):
        """A member that was there is gone, or will be with these records."""
        ending, self.ending = self.ending, None
        if ending is None or node.scheduler.now().steady_ms >= self.alive_until.get(request.member_id, 0):
            return
        if self._member(node.machine, request) is None or decision.records:
            raise BrokenInvariantError(f"no session ends early: {request} before {self.alive_until[request.member_id]}")

    # No commit is lost: what is stored is the last acknowledged offset, or one that was sent after it.

    def decided(self, node, request, decision):
        self._check_session(node, request, decision)
        if isinstance(request, OffsetCommit) and decision.records:
            for offset in request.offsets:
                self.sent.setdefault(offset.partition, []).append(offset.offset)
        if isinstance(request, DeleteGroup) and decision.records:
            self.deletions.append({partition: list(sent) for partition, sent in self.sent.items()})
        check_indices(node.machine)

    def append_failed(self, node, request):
        if isinstance(request, OffsetCommit):
            for offset in request.offsets:
                self.sent[offset.partition].remove(offset.offset)
        if isinstance(request, DeleteGroup):
            self.deletions.pop(0)

    def _commit_answered(self, request, response):
        for _, partition, error in response.partitions:
            if error is not ErrorCode.NONE:
                raise BrokenInvariantError(f"a small commit was refused: {error!r}")
            offset = next(each.offset for each in request.offsets if each.partition == partition)
            sent = self.sent[partition]
            del sent[: sent.index(offset) + 1]
            self.acknowledged[partition] = offset

    def _group_deleted(self):
        self.acknowledged.clear()
        for partition, before in self.deletions.pop(0).items():
            self.sent[partition] = [offset for offset in self.sent[partition] if offset not in before]

    def check_commits(self, node, group_id):
        for partition, sent in self.sent.items():
            stored = node.machine.offsets.get(group_id, "orders", partition)
            value = None if stored is None else stored.offset
            acknowledged = self.acknowledged.get(partition)
            if value != acknowledged and value not in sent:
                raise BrokenInvariantError(
                    f"no commit is lost: partition {partition} has {value}, acknowledged is {acknowledged}, "
                    f"sent after it {sent}"
                )

    def survived(self, node, request):
        """The node died before it could answer, but the log has it: it has happened, as Kafka's replay has it too."""
        if isinstance(request, DeleteGroup):
            self._group_deleted()

    def crashed(self, node):
        self.told_generation = 0
        self.deletions.clear()

    def recovered(self, node):
        check_indices(node.machine)
        for group_id in {*node.machine.groups, *node.machine.consumer_groups}:
            self.check_commits(node, group_id)


def check_indices(machine):
    """Indices are true: what a group keeps beside its members can be computed from them."""
    for group in machine.groups.values():
        members = group.members.values()
        joined = sum(member.join_token is not None for member in members)
        if group.joins_parked != joined:
            raise BrokenInvariantError(f"indices are true: {group.joins_parked} joins are parked, {joined} are")
        static = {member.group_instance_id: member.member_id for member in members if member.is_static}
        if group._static != static:
            raise BrokenInvariantError(f"indices are true: static members {group._static}, {static} are")
        supported = Counter(name for member in members for name in {protocol.name for protocol in member.protocols})
        if +group._supported != supported:
            raise BrokenInvariantError(f"indices are true: protocols {group._supported}, {supported} are")
        if (group.leader is None) != (not group.members) or (group.leader or "") not in {"", *group.members}:
            raise BrokenInvariantError(f"the leader {group.leader} is not one of {list(group.members)}")
        if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE) and joined:
            raise BrokenInvariantError(f"a join is parked in state {group.state}")
        if group.state is not GroupState.COMPLETING_REBALANCE and any(member.sync_token for member in members):
            raise BrokenInvariantError(f"a sync is parked in state {group.state}")
        if group.state is GroupState.EMPTY and group.members:
            raise BrokenInvariantError("an empty group has members")
