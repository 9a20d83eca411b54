"""A member that learns of a generation when the leader has begun the next one: its SyncGroup is answered with
REBALANCE_IN_PROGRESS, and it hears of its partitions in the next generation only.

So a cooperative rebalance, which the leader follows up at once, may give a slow member one assignment instead of two.
librdkafka's test 0113 counts them and waits for ever for the second one; a broker cannot help it, and this is the
evidence: `MOLDAU_TEST_BOOTSTRAP=apache-kafka` asks Apache Kafka. Every step waits for an answer, none for a time.
"""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from kio.schema.errors import ErrorCode
from tests.conformance.conftest import wait_until
from tests.conformance.raw_transactions import FIND_COORDINATOR, OF_GROUPS, ask, patiently

JOIN_GROUP, HEARTBEAT, SYNC_GROUP = 11, 12, 14
PROTOCOL = {"protocol_type": "consumer", "protocol_name": "cooperative-sticky"}
SUBSCRIPTION = struct.pack(">hii", 0, 0, -1)
"""Version 0, to no topic, without user data. Apache Kafka reads what members say."""


class Member:
    """A member of a classic group that joins and syncs when it is told to. A join waits beside the test."""

    def __init__(self, bootstrap_servers: str, group: str, pool: ThreadPoolExecutor) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._pool = pool
        self.generation = -1
        self.id = ""
        self.id = self._join().member_id

    def join(self) -> Future[Any]:
        return self._pool.submit(self._join)

    def joined(self, answer: Future[Any]) -> Any:
        """Wait for the answer to a join and take its generation."""
        found = answer.result()
        assert found.error_code is ErrorCode.none
        self.generation = found.generation_id
        return found

    def sync(self, assignments: Mapping[str, bytes] | None = None) -> tuple[ErrorCode, bytes]:
        given = [{"member_id": member, "assignment": part} for member, part in (assignments or {}).items()]
        answer = self._ask(
            SYNC_GROUP, 5, generation_id=self.generation, member_id=self.id, assignments=given, **PROTOCOL
        )
        return answer.error_code, answer.assignment

    def sees_a_rebalance(self) -> bool:
        answer = self._ask(HEARTBEAT, 4, generation_id=self.generation, member_id=self.id)
        assert answer.error_code in (ErrorCode.none, ErrorCode.rebalance_in_progress)
        return answer.error_code is ErrorCode.rebalance_in_progress

    def _join(self) -> Any:
        values = {
            "member_id": self.id,
            "session_timeout": dt.timedelta(seconds=30),
            "rebalance_timeout": dt.timedelta(seconds=60),
            "protocol_type": PROTOCOL["protocol_type"],
            "protocols": [{"name": PROTOCOL["protocol_name"], "metadata": SUBSCRIPTION}],
        }
        return patiently(lambda: self._ask(JOIN_GROUP, 9, **values))

    def _ask(self, api_key: int, version: int, **values: Any) -> Any:
        return ask(self._bootstrap_servers, api_key, version, group_id=self._group, group_instance_id=None, **values)


@pytest.fixture
def group(bootstrap_servers: str) -> str:
    name = f"late-{uuid.uuid4().hex[:8]}"
    patiently(
        lambda: ask(bootstrap_servers, FIND_COORDINATOR, 4, key_type=OF_GROUPS, coordinator_keys=[name]),
        lambda answer: answer.coordinators[0].error_code,
    )
    return name


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_a_sync_that_comes_after_the_leader_joined_again_is_told_of_the_rebalance(
    bootstrap_servers: str, group: str, pool: ThreadPoolExecutor
):
    leader = Member(bootstrap_servers, group, pool)
    leader.joined(leader.join())
    assert leader.sync({leader.id: b"both"}) == (ErrorCode.none, b"both")

    # The second member comes; the leader gives one partition up, which nobody has in this generation.
    follower = Member(bootstrap_servers, group, pool)
    waiting = follower.join()
    wait_until(leader.sees_a_rebalance, "the leader hears of the second member")
    leader.joined(leader.join())
    follower.joined(waiting)
    assert leader.generation == follower.generation
    assert leader.sync({leader.id: b"one", follower.id: b"none"}) == (ErrorCode.none, b"one")

    # The leader joins again at once, before the follower has asked what it was given.
    waiting = leader.join()
    wait_until(follower.sees_a_rebalance, "the leader has joined again")
    assert follower.sync() == (ErrorCode.rebalance_in_progress, b"")

    follower.joined(follower.join())
    leader.joined(waiting)
    assert leader.sync({leader.id: b"one", follower.id: b"other"}) == (ErrorCode.none, b"one")
    assert follower.sync() == (ErrorCode.none, b"other")
