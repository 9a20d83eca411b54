"""A group machine with the smallest shell there can be: commits at once, a clock that is moved by hand."""

import itertools
import random
import struct

from tests.unit.control.groups.cluster_of_topics import ClusterOfTopics
from tests.unit.control.groups.leases_of_members import LeasesOfMembers

from moldau.control.groups.coordinator import GroupCoordinator
from moldau.control.groups.records import PendingOffsetRecord, decode_record, encode_record
from moldau.control.groups.requests import (
    CompleteTransaction,
    DescribeGroup,
    Heartbeat,
    JoinGroup,
    LeaveGroup,
    LeavingMember,
    Loaded,
    OffsetCommit,
    OffsetFetch,
    OffsetToCommit,
    Protocol,
    SyncGroup,
    TopicPartitions,
    TransactionalOffsetCommit,
)
from moldau.control.groups.settings import GroupSettings
from moldau.control.machine import (
    PARKED,
    AppendFailed,
    CancelTimer,
    Now,
    Producer,
    Reply,
    ScheduleTimer,
    TransactionMarker,
)
from moldau.control.schema import ZERO_UUID
from moldau.errors import ErrorCode

GROUP = "billing"
TOPIC = "orders"


def subscription(*topics):
    names = b"".join(struct.pack(">h", len(topic)) + topic.encode() for topic in topics)
    return struct.pack(">hi", 1, len(topics)) + names + struct.pack(">ii", -1, 0)


RANGE = (Protocol("range", subscription(TOPIC)),)
ROUND_ROBIN = (Protocol("roundrobin", subscription(TOPIC)),)


def to_log(record):
    """Key and value, as the log has them, and the producer in whose batch they stand, if any; a marker as it is."""
    if isinstance(record, TransactionMarker):
        return record
    pair = encode_record(record)
    return (*pair, record.producer_id) if isinstance(record, PendingOffsetRecord) else pair


def from_log(entry):
    if isinstance(entry, TransactionMarker):
        return entry
    key, value, *producer_id = entry
    record = decode_record(key, value)
    return PendingOffsetRecord(*producer_id, record) if producer_id else record


def fits_into_a_batch(records):
    """A decision is one batch, and `max.message.bytes` holds for it."""
    entries = [to_log(record) for record in records if not isinstance(record, TransactionMarker)]
    assert sum(len(key) + len(value or b"") for key, value, *_ in entries) < 1_000_000


class Driver:
    def __init__(self, log=(), cluster=None, **settings):
        self.settings = GroupSettings(**{"initial_rebalance_delay_ms": 0} | settings)
        self.now_ms = 1_000_000
        self.clock_ahead_ms = 0
        self.log = list(log)
        self.tokens = itertools.count(1)
        self.replies = {}
        self.timers = {}
        self.append_error = None
        self.cluster = cluster or ClusterOfTopics(orders=4)
        self.leases = LeasesOfMembers(self.cluster)
        self.machine = GroupCoordinator(self.settings, random.Random(7), self.cluster, self.leases)
        for entry in self.log:
            self.machine.apply(from_log(entry))

    def load(self):
        self.ask(Loaded())
        return self

    def restarted(self, **settings):
        """Another node on the same log, some time later."""
        other = type(self)(self.log, self.cluster, **settings)
        other.now_ms, other.clock_ahead_ms = self.now_ms, self.clock_ahead_ms
        return other.load()

    def now(self):
        """The time of day is `clock_ahead_ms` ahead of what has passed."""
        return Now(self.now_ms, self.now_ms + self.clock_ahead_ms)

    # The shell

    def ask(self, request):
        """The response, or PARKED; a parked one comes to `replies` under its token."""
        if (answer := self.leases.answer(request, self.now_ms)) is not None:
            return answer
        decision = self.machine.decide(request, self.now())
        if decision.records and self.append_error is not None:
            decision = self.machine.decide(AppendFailed(request, decision, self.append_error), self.now())
            assert not decision.records
        fits_into_a_batch(decision.records)
        for record in decision.records:
            assert isinstance(record, PendingOffsetRecord) == (decision.producer is not None)
            self.log.append(to_log(record))
            self.machine.apply(from_log(self.log[-1]))
        for effect in decision.effects:
            match effect:
                case Reply(token, response):
                    assert token not in self.replies, f"token {token} is answered twice"
                    self.replies[token] = response
                case ScheduleTimer(key, at_ms, event):
                    self.timers[key] = (at_ms, event)
                case CancelTimer(key):
                    self.timers.pop(key, None)
        self.settle()
        return decision.response

    def settle(self):
        """Fire what is due now."""
        while due := [key for key, (at_ms, _) in self.timers.items() if at_ms <= self.now_ms]:
            _, event = self.timers.pop(due[0])
            self.ask(event)

    def wait(self, duration_ms):
        until_ms = self.now_ms + duration_ms
        while self.timers and (next_ms := min(at_ms for at_ms, _ in self.timers.values())) <= until_ms:
            self.now_ms = next_ms
            self.settle()
        self.now_ms = until_ms

    # Members

    def join(self, member_id="", instance_id=None, protocols=RANGE, **changes):
        """Returns (response or PARKED, token)."""
        token = next(self.tokens)
        fields = {
            "token": token,
            "group_id": GROUP,
            "member_id": member_id,
            "group_instance_id": instance_id,
            "client_id": "client",
            "client_host": "/127.0.0.1",
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 60_000,
            "protocol_type": "consumer",
            "protocols": protocols,
        }
        return self.ask(JoinGroup(**fields | changes)), token

    def new_member(self, instance_id=None, protocols=RANGE, **changes):
        """Join without a member id until parked; returns (member id or None, token)."""
        response, token = self.join("", instance_id, protocols, **changes)
        if response is PARKED or response.error is not ErrorCode.MEMBER_ID_REQUIRED:
            return None, token
        parked, token = self.join(response.member_id, protocols=protocols, **changes)
        assert parked is PARKED
        return response.member_id, token

    def sync(self, member_id, generation_id, assignments=None, instance_id=None, **changes):
        token = next(self.tokens)
        fields = {
            "token": token,
            "group_id": GROUP,
            "generation_id": generation_id,
            "member_id": member_id,
            "group_instance_id": instance_id,
            "protocol_type": "consumer",
            "protocol_name": "range",
            "assignments": tuple((assignments or {}).items()),
        }
        return self.ask(SyncGroup(**fields | changes)), token

    def heartbeat(self, member_id, generation_id, instance_id=None):
        return self.ask(Heartbeat(GROUP, generation_id, member_id, instance_id)).error

    def leave(self, *members):
        response = self.ask(LeaveGroup(GROUP, tuple(LeavingMember(*member) for member in members)))
        return [member.error for member in response.members]

    def commit(self, offset, generation_id=-1, member_id="", instance_id=None, partition=0, **changes):
        topic_id = changes.pop("topic_id", ZERO_UUID)
        metadata = changes.pop("metadata", "")
        to_commit = OffsetToCommit(changes.pop("topic", TOPIC), topic_id, partition, offset, 3, metadata)
        request = OffsetCommit(
            changes.pop("group_id", GROUP), generation_id, member_id, instance_id, (to_commit,), **changes
        )
        response = self.ask(request)
        return response.error or response.partitions[0][2]

    def commit_in_transaction(
        self, offset, producer_id=9, generation_id=-1, member_id="", instance_id=None, partition=0
    ):
        to_commit = OffsetToCommit(TOPIC, ZERO_UUID, partition, offset, 3, "")
        producer = Producer(producer_id, 0, None)
        request = TransactionalOffsetCommit(GROUP, producer, generation_id, member_id, instance_id, (to_commit,))
        response = self.ask(request)
        return response.error or response.partitions[0][2]

    def end_transaction(self, producer_id=9, *, commit=True):
        return self.ask(CompleteTransaction(TransactionMarker(producer_id, 0, 0, commit))).error

    def committed(self, partition=0, topic=TOPIC, group_id=GROUP, topic_id=ZERO_UUID):
        wanted = (TopicPartitions(topic, (partition,), topic_id),)
        return self.ask(OffsetFetch(group_id, wanted)).offsets[0].offset

    # Groups in a given state

    def stable(self, size=2, instance_ids=()):
        """A Stable group of `size` members, in the order of joining; returns their member ids, the leader first."""
        instances = [*instance_ids, *[None] * (size - len(instance_ids))]
        tokens = [self.new_member(instance)[1] for instance in instances]
        # The first member had the first generation for itself; the others have opened the next round.
        first = self.replies.get(tokens[0])
        if size > 1:
            response, tokens[0] = self.join(first.member_id, instances[0])
            assert response is PARKED
        joined = [self.replies[token] for token in tokens]
        generation = joined[0].generation_id
        leader = next(response for response in joined if response.leader == response.member_id)
        shares = {response.member_id: f"share of {index}".encode() for index, response in enumerate(joined)}
        for response, instance in zip(joined, instances, strict=True):
            if response is not leader:
                self.sync(response.member_id, generation, instance_id=instance)
        instance = instances[joined.index(leader)]
        self.sync(leader.member_id, generation, shares, instance_id=instance)
        assert self.group.state == "Stable", self.group.state
        return [response.member_id for response in joined]

    @property
    def group(self):
        return self.machine.groups[GROUP]

    def describe(self):
        return self.ask(DescribeGroup(GROUP))

    @property
    def generation(self):
        return self.group.generation_id
