"""The group machine in the shell's hands: parked members are answered, whatever the log does."""

import asyncio
import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest
from tests.unit.control.groups.cluster_of_topics import ClusterOfTopics
from tests.unit.control.groups.leases_of_members import LeasesOfMembers

from moldau.control.groups.coordinator import GroupCoordinator
from moldau.control.groups.requests import JoinGroup, Loaded, OffsetCommit, OffsetToCommit, Protocol, SyncGroup
from moldau.control.groups.settings import GroupSettings
from moldau.control.machine import Now
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode
from moldau.server.coordinator_codecs import OffsetsCodec
from moldau.server.runner import MachineRunner

SUBSCRIPTION = b"\x00\x00\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff"


@dataclass(order=True)
class Call:
    at_ms: int
    order: int
    callback: object = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self):
        self.cancelled = True


class Clock:
    """Time that moves to the next timer whenever nothing else is left to do."""

    def __init__(self):
        self.steady_ms = 1_000
        self.calls = []
        self.orders = itertools.count()

    def now(self):
        return Now(self.steady_ms, self.steady_ms)

    def now_ms(self):
        return self.steady_ms

    def call_at(self, at_ms, callback):
        call = Call(at_ms, next(self.orders), callback)
        heapq.heappush(self.calls, call)
        return call

    async def advance(self, duration_ms):
        until_ms = self.steady_ms + duration_ms
        await settle()
        while self.calls and self.calls[0].at_ms <= until_ms:
            call = heapq.heappop(self.calls)
            self.steady_ms = max(self.steady_ms, call.at_ms)
            if not call.cancelled:
                call.callback()
            await settle()
        self.steady_ms = until_ms


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


class Log:
    def __init__(self):
        self.refusal = None

    async def append(self, records, now_ms, producer=None):
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise ApiError(self.refusal)
        return 0


@pytest.fixture
def parts():
    clock, log = Clock(), Log()
    cluster = ClusterOfTopics(orders=3)
    settings = GroupSettings(initial_rebalance_delay_ms=0)
    machine = GroupCoordinator(settings, random.Random(3), cluster, LeasesOfMembers(cluster))
    return MachineRunner("__consumer_offsets-0", machine, log, OffsetsCodec(), clock), log, clock


def join(token, member_id="", **changes):
    fields = {
        "token": token,
        "group_id": "billing",
        "member_id": member_id,
        "group_instance_id": None,
        "client_id": "client",
        "client_host": "/127.0.0.1",
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 60_000,
        "protocol_type": "consumer",
        "protocols": (Protocol("range", SUBSCRIPTION),),
        "requires_member_id": False,
    }
    return JoinGroup(**fields | changes)


def sync(token, joined, *assignments):
    names = (joined.protocol_type, joined.protocol_name)
    return SyncGroup(token, "billing", joined.generation_id, joined.member_id, None, *names, assignments)


def test_two_members_join_and_share(parts):
    runner, _, clock = parts

    async def scenario():
        await runner.run(Loaded())
        joins = [asyncio.create_task(runner.run(join(token), token)) for token in (1, 2)]
        await clock.advance(10)
        first, second = [await each for each in joins]
        assert first.generation_id == second.generation_id == 1
        shares = (first.member_id, b"one"), (second.member_id, b"two")
        follower = asyncio.create_task(runner.run(sync(3, second), 3))
        leader = asyncio.create_task(runner.run(sync(4, first, *shares), 4))
        await clock.advance(10)
        return (await leader).assignment, (await follower).assignment

    assert asyncio.run(scenario()) == (b"one", b"two")


def test_a_parked_join_is_answered_when_the_log_refuses_the_group(parts):
    runner, log, clock = parts

    async def scenario():
        await runner.run(Loaded())
        log.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
        refused = await runner.run(join(1), 1)
        log.refusal = None
        again = asyncio.create_task(runner.run(join(2), 2))
        await clock.advance(10)
        return refused.error, (await again).error

    assert asyncio.run(scenario()) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NONE)


def test_nobody_gets_an_assignment_that_the_log_refused(parts):
    runner, log, clock = parts

    async def scenario():
        await runner.run(Loaded())
        joins = [asyncio.create_task(runner.run(join(token), token)) for token in (1, 2)]
        await clock.advance(10)
        first, second = [await each for each in joins]
        follower = asyncio.create_task(runner.run(sync(3, second), 3))
        await clock.advance(10)
        log.refusal = ErrorCode.KAFKA_STORAGE_ERROR
        leader = await runner.run(sync(4, first, (first.member_id, b"all")), 4)
        return leader.error, (await follower).error

    assert asyncio.run(scenario()) == (ErrorCode.NOT_COORDINATOR, ErrorCode.NOT_COORDINATOR)


def test_a_name_that_no_record_can_hold_is_refused_and_the_next_commit_works(parts):
    runner, _, _ = parts

    def commit(group_id):
        return OffsetCommit(group_id, -1, "", None, (OffsetToCommit("orders", ZERO_UUID, 0, 5, -1, ""),))

    async def scenario():
        await runner.run(Loaded())
        too_long = await runner.run(commit("x" * 40_000))
        return too_long.error, (await runner.run(commit("billing"))).error

    assert asyncio.run(scenario()) == (ErrorCode.INVALID_REQUEST, ErrorCode.NONE)
