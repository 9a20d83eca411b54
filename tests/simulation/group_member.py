"""A simulated consumer: joins, assigns when it leads, heartbeats, commits; is slow, loses answers, restarts.

It behaves as the clients do: what error sends it where is taken from the Java client and librdkafka.
"""

import itertools
import struct

from tests.simulation.scheduler import TIMED_OUT, Wait

from moldau.control.groups.consumer.embedded import read_assignment, write_assignment
from moldau.control.groups.requests import (
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    LeavingMember,
    OffsetCommit,
    OffsetToCommit,
    Protocol,
    SyncGroup,
)
from moldau.control.schema import ZERO_UUID
from moldau.errors import ErrorCode

TOPIC = "orders"
START_OVER = (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION)
TOKENS = itertools.count(1)


def subscription(topic):
    """A consumer protocol subscription of version 0: one topic, no user data."""
    name = topic.encode()
    return struct.pack(">hi", 0, 1) + struct.pack(">h", len(name)) + name + struct.pack(">i", -1)


def assign(members, partitions):
    """The range assignor: every partition to exactly one of the members that the leader was told of."""
    ordered = sorted(member.group_instance_id or member.member_id for member in members)
    by_name = {member.group_instance_id or member.member_id: member.member_id for member in members}
    assert len(by_name) == len(members), "two members of one generation have the same name"
    shares = {name: [p for p in range(partitions) if p % len(ordered) == i] for i, name in enumerate(ordered)}
    return tuple((by_name[name], write_assignment(0, {TOPIC: tuple(share)})) for name, share in shares.items())


def partitions_of(assignment):
    return tuple(each for topic in read_assignment(assignment).partitions for each in topic.partitions)


class GroupMember:
    """One consumer process; `run` is its life, which ends when it leaves or is fenced."""

    def __init__(self, world, name, instance_id=None):
        self.world = world
        self.random = world.scheduler.random
        self.name = name
        self.instance_id = instance_id
        self.member_id = ""
        self.generation_id = -1
        self.owned = ()
        self.is_fenced = False
        self.found_no_room = False
        self.wants_to_leave = False
        self.session_timeout_ms = self.random.choice([6_000, 10_000, 30_000])
        self.rebalance_timeout_ms = self.random.choice([8_000, 10_000, 60_000])
        self.requires_member_id = self.random.random() < 0.8
        # Nobody has fewer protocols than the others: a group that was read from the log knows of its members only the
        # protocol that was selected, and refuses who does not have that one (as Kafka does).
        self.protocols = self.random.choice([("range", "sticky"), ("sticky", "range")])

    def run(self):
        while not self.is_fenced:
            response = yield from self._join()
            if response is None:
                continue
            self.generation_id = response.generation_id
            if not (yield from self._sync(response)):
                continue
            yield from self._consume()
            if self.wants_to_leave:
                yield from self._call(LeaveGroup(self.world.group_id, (self._identity(),)))
                return

    def _identity(self):
        return LeavingMember(self.member_id, self.instance_id)

    def _call(self, request, timeout_ms=5_000):
        wait = Wait(timeout_ms)
        self.world.send(request, wait.deliver)
        return (yield wait)

    def _join(self):
        self.owned = ()
        request = JoinGroup(
            token=next(TOKENS),
            group_id=self.world.group_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            client_id=self.name,
            client_host="/127.0.0.1",
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            protocol_type="consumer",
            protocols=tuple(Protocol(name, subscription(TOPIC)) for name in self.protocols),
            requires_member_id=self.requires_member_id,
            may_skip_assignment=self.requires_member_id,
        )
        # As the Java client: the answer may take as long as the rebalance, and some more.
        response = yield from self._call(request, self.rebalance_timeout_ms + 5_000)
        self.found_no_room = response is not TIMED_OUT and response.error is ErrorCode.GROUP_MAX_SIZE_REACHED
        if response is TIMED_OUT:
            yield self.random.randint(0, 500)
            return None
        if response.error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = response.member_id
            return None
        if response.error is ErrorCode.FENCED_INSTANCE_ID:
            self.is_fenced = True
            return None
        if response.error in START_OVER:
            self.member_id = ""
        if response.error is not ErrorCode.NONE:
            yield self.random.randint(50, 1_000)
            return None
        self.member_id = response.member_id
        return response

    def _sync(self, joined):
        leads = joined.leader == self.member_id and not joined.skip_assignment and joined.members
        request = SyncGroup(
            token=next(TOKENS),
            group_id=self.world.group_id,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=joined.protocol_type,
            protocol_name=joined.protocol_name,
            assignments=assign(joined.members, self.world.partitions) if leads else (),
        )
        if not self.world.is_peace and self.random.random() < 0.1:
            yield self.random.randint(0, 9_000)
        response = yield from self._call(request)
        if response is TIMED_OUT or response.error is not ErrorCode.NONE:
            yield from self._react(response)
            return False
        self.owned = partitions_of(response.assignment)
        self.world.judge.owns(self.world, self)
        return True

    def _consume(self):
        """Stay in the generation until something sends us to join again."""
        while True:
            yield self.random.choice([500, 2_000, 2_000, 3_000] if self.world.is_peace else [500, 2_000, 20_000])
            if self.wants_to_leave:
                return
            request = self._commit() if self.owned and self.random.random() < 0.5 else self._heartbeat()
            response = yield from self._call(request)
            if isinstance(request, OffsetCommit) and not self.world.commits_keep_sessions:
                response = yield from self._call(self._heartbeat())
            if response is TIMED_OUT:
                if self.random.random() < 0.5:
                    # The connection is given up, and with it the belief in the generation.
                    return
                continue
            error = response.error
            if error is ErrorCode.NONE:
                continue
            if error in (ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR):
                continue
            yield from self._react(response)
            return

    def _react(self, response):
        if response is TIMED_OUT:
            return
        if response.error is ErrorCode.FENCED_INSTANCE_ID:
            self.is_fenced = True
        if response.error is ErrorCode.UNKNOWN_MEMBER_ID:
            self.member_id = ""
        yield self.random.randint(0, 200)

    def _heartbeat(self):
        return Heartbeat(self.world.group_id, self.generation_id, self.member_id, self.instance_id)

    def _commit(self):
        count = self.random.randint(1, len(self.owned))
        offsets = tuple(
            OffsetToCommit(TOPIC, ZERO_UUID, partition, self.world.next_offset(), -1, "")
            for partition in self.random.sample(self.owned, count)
        )
        return OffsetCommit(self.world.group_id, self.generation_id, self.member_id, self.instance_id, offsets=offsets)
