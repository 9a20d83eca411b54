"""Rounds and their timers: the first delay, the barrier, sessions, pending syncs, the hand-over of assignments."""

import pytest
from tests.unit.control.groups.driver import GROUP, RANGE, ROUND_ROBIN, TOPIC, Driver

from moldau.control.groups.requests import OffsetCommit, OffsetToCommit
from moldau.control.machine import PARKED
from moldau.control.schema import ZERO_UUID
from moldau.errors import ErrorCode

OK = ErrorCode.NONE


@pytest.fixture
def driver():
    return Driver().load()


def test_a_first_round_waits_for_others_and_longer_while_they_come():
    driver = Driver(initial_rebalance_delay_ms=3_000).load()
    _, first = driver.new_member()
    driver.wait(2_900)
    _, second = driver.new_member()
    driver.wait(200)
    assert not driver.replies
    driver.wait(2_900)
    assert driver.replies[first].generation_id == driver.replies[second].generation_id == 1
    assert len(driver.replies[first].members) == 2


def test_a_first_round_waits_no_longer_than_the_rebalance_timeout():
    driver = Driver(initial_rebalance_delay_ms=3_000).load()
    _, first = driver.new_member(rebalance_timeout_ms=5_000)
    for _ in range(5):
        driver.wait(1_000)
        driver.new_member(rebalance_timeout_ms=5_000)
    driver.wait(1)
    assert first in driver.replies


def test_without_a_delay_the_first_member_has_its_generation_at_once(driver):
    _, token = driver.new_member()
    assert driver.replies[token].generation_id == 1


def test_who_does_not_join_in_time_is_out(driver):
    leader, follower = driver.stable(2)
    _, token = driver.join(leader, session_timeout_ms=100_000)
    for _ in range(59):
        driver.wait(1_000)
        assert driver.heartbeat(follower, driver.generation) is ErrorCode.REBALANCE_IN_PROGRESS
    assert token not in driver.replies
    driver.wait(1_001)
    assert [member.member_id for member in driver.replies[token].members] == [leader]
    assert driver.heartbeat(follower, driver.generation) is ErrorCode.UNKNOWN_MEMBER_ID


def test_the_longest_rebalance_timeout_of_all_members_counts(driver):
    leader, _ = driver.stable(2)
    _, token = driver.new_member(rebalance_timeout_ms=90_000)
    driver.join(leader)
    follower = next(member for member in driver.group.members.values() if member.join_token is None)
    for _ in range(89):
        driver.wait(1_000)
        driver.heartbeat(follower.member_id, driver.generation)
    assert token not in driver.replies
    driver.wait(1_001)
    assert driver.replies[token].generation_id == driver.generation


def test_a_leader_that_is_late_loses_its_place(driver):
    leader, follower = driver.stable(2)
    _, token = driver.new_member()
    _, other = driver.join(follower)
    driver.wait(60_001)
    assert driver.replies[other].leader in (follower, driver.replies[token].member_id)
    assert leader not in driver.group.members


def test_a_member_without_heartbeats_is_removed_when_its_session_ends(driver):
    leader, _follower = driver.stable(2)
    for _ in range(9):
        driver.wait(1_000)
        assert driver.heartbeat(leader, driver.generation) is OK
    driver.wait(1_001)
    assert driver.heartbeat(leader, driver.generation) is ErrorCode.REBALANCE_IN_PROGRESS
    assert list(driver.group.members) == [leader]


def test_heartbeats_keep_a_member_for_ever(driver):
    (leader,) = driver.stable(1)
    for _ in range(100):
        driver.wait(9_000)
        driver.heartbeat(leader, driver.generation)
    assert leader in driver.group.members


def test_a_commit_keeps_a_member_as_a_heartbeat_does(driver):
    (member,) = driver.stable(1)
    for offset in range(20):
        driver.wait(9_000)
        assert driver.commit(offset, driver.generation, member) is OK
    assert member in driver.group.members


def test_a_heartbeat_orders_no_timer(driver):
    (member,) = driver.stable(1)
    timers = dict(driver.timers)
    driver.now_ms += 100
    driver.heartbeat(member, driver.generation)
    assert driver.timers == timers


def test_a_parked_member_needs_no_heartbeats(driver):
    leader, follower = driver.stable(2)
    _, token = driver.join(leader)
    for _ in range(5):
        driver.wait(9_000)
        driver.heartbeat(follower, driver.generation)
    assert token not in driver.replies
    assert leader in driver.group.members


def test_a_new_member_whose_round_takes_too_long_is_sent_away():
    driver = Driver(new_member_join_timeout_ms=20_000).load()
    (leader,) = driver.stable(1)
    _, token = driver.new_member()
    for _ in range(4):
        driver.wait(6_000)
        driver.heartbeat(leader, driver.generation)
    assert driver.replies[token].error is ErrorCode.UNKNOWN_MEMBER_ID


def test_followers_wait_for_the_leaders_assignment(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    driver.join(follower)
    response, waiting = driver.sync(follower, driver.generation)
    assert response is PARKED
    assert waiting not in driver.replies
    response, own = driver.sync(leader, driver.generation, {leader: b"all"})
    assert response is PARKED
    assert driver.replies[own].assignment == b"all"
    # A member that the leader has forgotten gets an empty assignment.
    assert (driver.replies[waiting].error, driver.replies[waiting].assignment) == (OK, b"")


def test_nobody_has_an_assignment_before_it_is_in_the_log(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    driver.join(follower)
    driver.sync(follower, driver.generation)
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    records = len(driver.log)
    _, own = driver.sync(leader, driver.generation, {leader: b"all"})
    assert len(driver.log) == records
    assert {response.error for token, response in driver.replies.items() if token >= own - 1} == {
        ErrorCode.COORDINATOR_NOT_AVAILABLE
    }
    assert driver.group.state == "PreparingRebalance"


def test_who_joins_and_does_not_sync_is_out(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    driver.join(follower)
    driver.sync(leader, driver.generation, {leader: b"all"})
    for _ in range(59):
        driver.wait(1_000)
        driver.heartbeat(follower, driver.generation)
        driver.heartbeat(leader, driver.generation)
    assert driver.group.state == "Stable"
    driver.wait(1_001)
    assert driver.group.state == "PreparingRebalance"
    assert list(driver.group.members) == [leader]


def test_a_sync_with_another_protocol_than_the_groups_is_refused(driver):
    leader, _ = driver.stable(2)
    inconsistent = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert driver.sync(leader, driver.generation, protocol_name="sticky")[0].error is inconsistent
    assert driver.sync(leader, driver.generation, protocol_type="connect")[0].error is inconsistent
    assert driver.sync(leader, driver.generation, protocol_type=None, protocol_name=None)[0].error is OK


def test_a_join_during_the_sync_sends_the_waiting_members_back(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    driver.join(follower)
    _, waiting = driver.sync(follower, driver.generation)
    driver.new_member()
    assert driver.replies[waiting].error is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_sync_that_is_sent_again_takes_the_place_of_the_first(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    driver.join(follower)
    _, first = driver.sync(follower, driver.generation)
    _, second = driver.sync(follower, driver.generation)
    assert driver.replies[first].error is ErrorCode.REBALANCE_IN_PROGRESS
    driver.sync(leader, driver.generation, {follower: b"part"})
    assert driver.replies[second].assignment == b"part"


def test_a_group_that_everybody_left_starts_again_with_the_next_generation(driver):
    members = driver.stable(2)
    generation = driver.generation
    driver.leave(*((member, None) for member in members))
    assert (driver.group.state, driver.generation) == ("Empty", generation + 1)
    _, token = driver.new_member()
    assert driver.replies[token].generation_id == generation + 2


def test_a_commit_of_a_member_that_just_lost_its_partitions_is_taken_during_the_round(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    offset = OffsetToCommit(TOPIC, ZERO_UUID, 0, 9, -1, "")
    response = driver.ask(OffsetCommit(GROUP, driver.generation, follower, None, (offset,)))
    assert response.partitions == ((TOPIC, 0, OK),)


def test_a_timer_of_an_earlier_round_is_void(driver):
    leader, follower = driver.stable(2)
    driver.join(leader)
    (_, old_event) = next(timer for key, timer in driver.timers.items() if key[0] == "join")
    driver.join(follower)
    driver.join(leader, protocols=RANGE + ROUND_ROBIN)
    assert driver.group.state == "PreparingRebalance"
    driver.ask(old_event)
    assert driver.group.state == "PreparingRebalance"
    assert follower in driver.group.members


def test_timers_of_two_rounds_do_not_get_in_each_others_way(driver):
    leader, follower = driver.stable(2)
    keys = []
    for _ in range(2):
        driver.join(leader)
        keys.append(next(key for key in driver.timers if key[0] == "join"))
        driver.join(follower)
        driver.sync(leader, driver.generation, {})
    assert keys[0] != keys[1]
