"""What a group in each of its states answers to each request: one table per request.

The members that ask: the leader and a follower of the current generation, one with an old generation, a stranger.
"""

import pytest
from tests.unit.control.groups.driver import RANGE, ROUND_ROBIN, Driver

from moldau.control.machine import PARKED
from moldau.errors import ErrorCode

EMPTY, PREPARING, COMPLETING, STABLE = "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"
OK = ErrorCode.NONE
UNKNOWN = ErrorCode.UNKNOWN_MEMBER_ID
OLD = ErrorCode.ILLEGAL_GENERATION
REBALANCE = ErrorCode.REBALANCE_IN_PROGRESS


def group_in(state):
    """A driver with a group in `state`, with a leader and a follower where there are members."""
    driver = Driver().load()
    leader, follower = driver.stable(2)
    match state:
        case "Empty":
            assert driver.leave((leader, None), (follower, None)) == [OK, OK]
        case "PreparingRebalance":
            assert driver.join(leader)[0] is PARKED
        case "CompletingRebalance":
            driver.join(leader)
            driver.join(follower)
    assert driver.group.state == state
    return driver, leader, follower


@pytest.mark.parametrize(
    ("state", "member", "expected"),
    [
        (EMPTY, "leader", UNKNOWN),
        (EMPTY, "stranger", UNKNOWN),
        (PREPARING, "leader", REBALANCE),
        (PREPARING, "follower", REBALANCE),
        (PREPARING, "old", OLD),
        (PREPARING, "stranger", UNKNOWN),
        (COMPLETING, "leader", OK),
        (COMPLETING, "follower", OK),
        (COMPLETING, "old", OLD),
        (COMPLETING, "stranger", UNKNOWN),
        (STABLE, "leader", OK),
        (STABLE, "follower", OK),
        (STABLE, "old", OLD),
        (STABLE, "stranger", UNKNOWN),
    ],
)
def test_heartbeat(state, member, expected):
    driver, leader, follower = group_in(state)
    generation = driver.generation - 1 if member == "old" else driver.generation
    member_id = {"leader": leader, "stranger": "nobody"}.get(member, follower)
    assert driver.heartbeat(member_id, generation) == expected


@pytest.mark.parametrize(
    ("state", "member", "expected"),
    [
        (EMPTY, "leader", UNKNOWN),
        (PREPARING, "follower", REBALANCE),
        (PREPARING, "old", OLD),
        (COMPLETING, "follower", PARKED),
        (COMPLETING, "leader", PARKED),
        (COMPLETING, "old", OLD),
        (COMPLETING, "stranger", UNKNOWN),
        (STABLE, "leader", b"share of 0"),
        (STABLE, "follower", b"share of 1"),
        (STABLE, "old", OLD),
        (STABLE, "stranger", UNKNOWN),
    ],
)
def test_sync(state, member, expected):
    driver, leader, follower = group_in(state)
    generation = driver.generation - 1 if member == "old" else driver.generation
    member_id = {"leader": leader, "stranger": "nobody"}.get(member, follower)
    response, _ = driver.sync(member_id, generation)
    if isinstance(expected, bytes):
        assert (response.error, response.assignment) == (OK, expected)
        assert (response.protocol_type, response.protocol_name) == ("consumer", "range")
    else:
        assert (response if expected is PARKED else response.error) == expected


@pytest.mark.parametrize(
    ("state", "member", "expected"),
    [
        (EMPTY, "leader", UNKNOWN),
        (PREPARING, "follower", "next generation"),
        (PREPARING, "leader", PARKED),
        (PREPARING, "stranger", UNKNOWN),
        (PREPARING, "new", ErrorCode.MEMBER_ID_REQUIRED),
        (COMPLETING, "follower", "same generation"),
        (COMPLETING, "leader", "same generation"),
        (COMPLETING, "changed", PARKED),
        (COMPLETING, "new", ErrorCode.MEMBER_ID_REQUIRED),
        (STABLE, "follower", "same generation"),
        (STABLE, "leader", PARKED),
        (STABLE, "changed", PARKED),
        (STABLE, "stranger", UNKNOWN),
        (STABLE, "new", ErrorCode.MEMBER_ID_REQUIRED),
    ],
)
def test_join(state, member, expected):
    driver, leader, follower = group_in(state)
    generation = driver.generation
    member_id = {"leader": leader, "stranger": "nobody", "new": ""}.get(member, follower)
    protocols = RANGE + ROUND_ROBIN if member == "changed" else RANGE
    response, token = driver.join(member_id, protocols=protocols)
    match expected:
        case "same generation":
            assert (response.error, response.generation_id, response.leader) == (OK, generation, leader)
            # Only the leader is told who the members are.
            assert len(response.members) == (2 if member == "leader" else 0)
        case "next generation":
            assert driver.replies[token].generation_id == generation + 1
        case _:
            assert (response if expected is PARKED else response.error) == expected


@pytest.mark.parametrize(
    ("state", "member", "expected"),
    [
        (EMPTY, "nobody's", OK),
        (EMPTY, "leader", UNKNOWN),
        (PREPARING, "nobody's", UNKNOWN),
        (PREPARING, "follower", OK),
        (PREPARING, "old", OLD),
        (COMPLETING, "nobody's", UNKNOWN),
        (COMPLETING, "follower", REBALANCE),
        (COMPLETING, "old", OLD),
        (STABLE, "nobody's", UNKNOWN),
        (STABLE, "leader", OK),
        (STABLE, "follower", OK),
        (STABLE, "old", OLD),
        (STABLE, "stranger", UNKNOWN),
    ],
)
def test_offset_commit(state, member, expected):
    driver, leader, follower = group_in(state)
    generation = {"old": driver.generation - 1, "nobody's": -1}.get(member, driver.generation)
    member_id = {"leader": leader, "stranger": "nobody", "nobody's": ""}.get(member, follower)
    assert driver.commit(41, generation, member_id) == expected
    assert driver.committed() == (41 if expected is OK else -1)


@pytest.mark.parametrize(("state", "after"), [(PREPARING, COMPLETING), (COMPLETING, PREPARING), (STABLE, PREPARING)])
def test_leave_of_a_follower_makes_the_others_join_again(state, after):
    driver, _leader, follower = group_in(state)
    generation = driver.generation
    assert driver.leave((follower, None)) == [OK]
    assert driver.group.state == after
    assert driver.heartbeat(follower, generation) in (UNKNOWN, OLD)
    if state == PREPARING:
        # The leader waited for the follower alone.
        assert driver.generation == generation + 1


@pytest.mark.parametrize("state", [PREPARING, COMPLETING, STABLE])
def test_describe_tells_metadata_only_of_a_stable_generation(state):
    driver, leader, follower = group_in(state)
    described = driver.describe()
    assert (described.error, described.state, described.protocol_type) == (OK, state, "consumer")
    assert {member.member_id for member in described.members} == {leader, follower}
    is_stable = state == STABLE
    assert described.protocol_name == ("range" if is_stable else "")
    assert all(bool(member.metadata) == is_stable for member in described.members)
    assert {member.client_host for member in described.members} == {"/127.0.0.1"}
