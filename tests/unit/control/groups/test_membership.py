"""Who may be a member: ids, timeouts, protocols, the size of a group, static members, leaving."""

import pytest
from tests.unit.control.groups.driver import GROUP, RANGE, ROUND_ROBIN, Driver, subscription

from moldau.control.groups.requests import LeaveGroup, LeavingMember, Protocol
from moldau.control.machine import PARKED
from moldau.errors import ErrorCode

OK = ErrorCode.NONE


@pytest.fixture
def driver():
    return Driver().load()


def test_a_new_member_is_sent_back_for_its_id(driver):
    response, _ = driver.join()
    assert response.error is ErrorCode.MEMBER_ID_REQUIRED
    assert response.member_id.startswith("client-")
    again, token = driver.join(response.member_id)
    assert again is PARKED
    joined = driver.replies[token]
    assert (joined.error, joined.generation_id, joined.leader) == (OK, 1, response.member_id)
    assert [member.member_id for member in joined.members] == [response.member_id]


def test_a_client_from_before_kip_394_joins_at_once(driver):
    response, token = driver.join(requires_member_id=False)
    assert response is PARKED
    assert driver.replies[token].generation_id == 1


def test_two_machines_with_the_same_seed_give_the_same_ids():
    assert Driver().load().join()[0].member_id == Driver().load().join()[0].member_id


def test_an_id_that_was_given_out_is_forgotten_with_the_session(driver):
    response, _ = driver.join()
    driver.wait(10_001)
    assert driver.join(response.member_id)[0].error is ErrorCode.UNKNOWN_MEMBER_ID


def test_an_id_that_was_given_out_holds_the_round_up_until_it_is_used_or_forgotten(driver):
    (leader,) = driver.stable(1)
    driver.join()
    _, token = driver.join(leader)
    assert token not in driver.replies
    driver.wait(9_999)
    assert token not in driver.replies
    driver.wait(1)
    assert driver.replies[token].generation_id == 2


def test_a_pending_id_may_leave(driver):
    response, _ = driver.join()
    assert driver.leave((response.member_id, None)) == [OK]
    assert driver.join(response.member_id)[0].error is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_timeout_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": -1}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"member_id": "somebody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocols": ()}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ],
)
def test_a_first_join_that_cannot_be_is_refused_and_leaves_no_group(driver, changes, error):
    response, _ = driver.join(**changes)
    assert response.error is error
    assert not driver.machine.groups
    assert not driver.log


@pytest.mark.parametrize("changes", [{"protocols": ROUND_ROBIN}, {"protocol_type": "connect"}])
def test_a_member_must_share_a_protocol_with_all_the_others(driver, changes):
    driver.stable(2)
    assert driver.join(**changes)[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_the_protocol_that_most_members_prefer_is_selected(driver):
    _, first = driver.new_member(protocols=RANGE + ROUND_ROBIN)
    for _ in range(2):
        driver.new_member(protocols=ROUND_ROBIN + RANGE)
    leader = driver.replies[first].member_id
    response, token = driver.join(leader, protocols=RANGE + ROUND_ROBIN)
    assert response is PARKED
    assert driver.replies[token].protocol_name == "roundrobin"


def test_a_protocol_that_one_member_lacks_is_not_selected(driver):
    _, first = driver.new_member(protocols=ROUND_ROBIN + RANGE)
    driver.new_member(protocols=ROUND_ROBIN + RANGE)
    driver.new_member(protocols=RANGE)
    _, token = driver.join(driver.replies[first].member_id, protocols=ROUND_ROBIN + RANGE)
    assert driver.replies[token].protocol_name == "range"


def test_a_group_is_full_at_its_maximal_size():
    driver = Driver(max_size=2).load()
    driver.stable(2)
    assert driver.join()[0].error is ErrorCode.GROUP_MAX_SIZE_REACHED


def test_a_group_that_shrank_its_limit_keeps_the_first_to_come_back():
    driver = Driver().load()
    members = driver.stable(3)
    smaller = driver.restarted(max_size=2)
    assert smaller.group.state == "PreparingRebalance"
    answers = [smaller.join(member_id) for member_id in members]
    assert [answer for answer, _ in answers[:2]] == [PARKED, PARKED]
    assert answers[2][0].error is ErrorCode.GROUP_MAX_SIZE_REACHED
    # Nobody is missing now, so the others need not wait for the rest of the round.
    assert smaller.replies[answers[0][1]].generation_id == 3


def test_a_join_that_is_sent_again_takes_the_place_of_the_first(driver):
    leader, _ = driver.stable(2)
    _, first = driver.join(leader)
    _, second = driver.join(leader)
    assert driver.replies[first].error is ErrorCode.REBALANCE_IN_PROGRESS
    assert second not in driver.replies
    assert driver.group.joins_parked == 1


# Static members (KIP-345)


def test_a_static_member_comes_back_without_a_rebalance(driver):
    leader, follower = driver.stable(2, instance_ids=("one", "two"))
    generation, records = driver.generation, len(driver.log)
    response, _ = driver.join("", "two")
    assert (response.error, response.generation_id, response.leader) == (OK, generation, leader)
    assert response.member_id not in ("", follower)
    assert not response.skip_assignment
    assert len(driver.log) == records + 1
    synced, _ = driver.sync(response.member_id, generation, instance_id="two")
    assert synced.assignment == b"share of 1"
    assert driver.group.state == "Stable"


def test_a_static_leader_that_comes_back_need_not_assign_again(driver):
    driver.stable(2, instance_ids=("one", "two"))
    response, _ = driver.join("", "one")
    assert response.skip_assignment
    assert response.leader == response.member_id
    assert len(response.members) == 2


def test_a_static_leader_of_an_older_client_is_not_told_that_it_leads(driver):
    leader, _ = driver.stable(2, instance_ids=("one", "two"))
    response, _ = driver.join("", "one", may_skip_assignment=False)
    assert (response.leader, response.skip_assignment, response.members) == (leader, False, ())


def test_the_former_self_of_a_static_member_is_fenced(driver):
    _, old = driver.stable(2, instance_ids=("one", "two"))
    generation = driver.generation
    new = driver.join("", "two")[0].member_id
    fenced = ErrorCode.FENCED_INSTANCE_ID
    assert driver.heartbeat(old, generation, "two") is fenced
    assert driver.commit(5, generation, old, "two") is fenced
    assert driver.join(old, "two")[0].error is fenced
    assert driver.sync(old, generation, instance_id="two")[0].error is fenced
    assert driver.leave((old, "two")) == [fenced]
    assert driver.heartbeat(new, generation, "two") is OK


def test_a_parked_request_of_the_former_self_is_answered_with_the_fence(driver):
    leader, follower = driver.stable(2, instance_ids=("one", "two"))
    _, parked = driver.join(leader, "one")
    _, again = driver.join("", "one")
    assert driver.replies[parked].error is ErrorCode.FENCED_INSTANCE_ID
    _, last = driver.join(follower, "two")
    assert driver.replies[again].generation_id == driver.replies[last].generation_id


def test_a_static_member_that_prefers_another_protocol_causes_a_rebalance(driver):
    driver.stable(1, instance_ids=("one",))
    response, token = driver.join("", "one", protocols=(Protocol("sticky", subscription("orders")), *RANGE))
    assert response is PARKED
    assert driver.replies[token].protocol_name == "sticky"


def test_a_static_member_that_comes_back_while_the_leader_assigns_causes_another_round(driver):
    leader, follower = driver.stable(2, instance_ids=("one", "two"))
    driver.join(leader, "one")
    driver.join(follower, "two")
    _, waiting = driver.sync(follower, driver.generation, instance_id="two")
    assert driver.join("", "two")[0] is PARKED
    assert driver.group.state == "PreparingRebalance"
    assert driver.replies[waiting].error is ErrorCode.FENCED_INSTANCE_ID


def test_a_static_member_that_is_late_stays_a_member(driver):
    leader, follower = driver.stable(2, instance_ids=("one", "two"))
    _, token = driver.join(leader, "one", rebalance_timeout_ms=1_000)
    driver.group.members[follower].rebalance_timeout_ms = 1_000
    _, token = driver.join(leader, "one", rebalance_timeout_ms=1_000)
    for _ in range(60):
        driver.wait(1_000)
        driver.heartbeat(follower, driver.generation, "two")
        if token in driver.replies:
            break
    assert {member.group_instance_id for member in driver.replies[token].members} == {"one", "two"}


def test_an_unknown_instance_id_is_an_unknown_member(driver):
    (member,) = driver.stable(1)
    assert driver.heartbeat(member, driver.generation, "nobody") is ErrorCode.UNKNOWN_MEMBER_ID


# Leaving


def test_members_leave_in_one_batch_each_with_an_answer_of_its_own(driver):
    _leader, follower = driver.stable(2, instance_ids=("one",))
    answers = driver.leave(("", "one"), (follower, None), ("stranger", None), ("", "nobody"), ("", None))
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert answers == [OK, OK, unknown, unknown, unknown]
    assert driver.group.state == "Empty"
    assert driver.describe().members == ()


def test_an_administrator_removes_a_static_member_by_its_instance_id(driver):
    driver.stable(2, instance_ids=("one", "two"))
    assert driver.leave(("", "two")) == [OK]
    assert [member.group_instance_id for member in driver.describe().members] == ["one"]


def test_the_parked_request_of_a_member_that_is_removed_is_answered(driver):
    leader, _follower = driver.stable(2, instance_ids=("one", "two"))
    _, token = driver.join(leader, "one")
    driver.leave(("", "one"))
    assert driver.replies[token].error is ErrorCode.UNKNOWN_MEMBER_ID


def test_the_parked_sync_of_a_member_that_is_removed_is_answered(driver):
    leader, follower = driver.stable(2, instance_ids=("one", "two"))
    driver.join(leader, "one")
    driver.join(follower, "two")
    _, token = driver.sync(follower, driver.generation, instance_id="two")
    driver.leave(("", "two"))
    assert driver.replies[token].error is ErrorCode.UNKNOWN_MEMBER_ID


def test_leaving_a_group_that_does_not_exist_answers_for_each_member(driver):
    response = driver.ask(LeaveGroup("nothing", (LeavingMember("a", None), LeavingMember("", "one"))))
    assert response.error is OK
    assert [member.error for member in response.members] == [ErrorCode.UNKNOWN_MEMBER_ID] * 2


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_member_has_its_session_however_the_clock_is_set(driver, hours):
    members = driver.stable(2)
    driver.clock_ahead_ms = hours * 3_600_000
    driver.wait(5_000)
    assert set(driver.machine.groups[GROUP].members) == set(members)
    driver.wait(60_000)
    assert driver.machine.groups[GROUP].members == {}
