"""When heartbeats are answered for the coordinator, when it ends that, and that nobody's session ends by it."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver
from tests.unit.control.groups.consumer.test_migration import classic_group
from tests.unit.control.groups.driver import GROUP, TOPIC

from moldau.errors import ErrorCode

OK = ErrorCode.NONE
SESSION_MS = 10_000


@pytest.fixture
def driver():
    return ConsumerDriver().load()


@pytest.fixture
def leases(driver):
    return driver.leases


def rests(driver, *members):
    """Each member has been told twice that nothing is new: from then on it needs nobody."""
    for member in members:
        assert member.beat(owned=None).error is OK
    before = driver.leases.answered
    for member in members:
        assert member.beat(owned=None).error is OK
    assert driver.leases.answered == before + len(members)


# The classic protocol.


def test_the_second_heartbeat_of_a_stable_group_is_answered_without_the_machine(driver, leases):
    (leader, follower), generation = driver.stable(), driver.generation
    assert driver.heartbeat(leader, generation) is OK
    assert leases.answered == 0
    assert driver.heartbeat(leader, generation) is OK
    assert leases.answered == 1
    assert driver.heartbeat(follower, generation) is OK
    assert leases.answered == 1, "the other member has a lease of its own"


def test_a_round_that_opens_is_told_with_the_next_heartbeat(driver):
    (leader, follower), generation = driver.stable(), driver.generation
    for member in (leader, follower) * 2:
        assert driver.heartbeat(member, generation) is OK
    driver.new_member()
    assert driver.heartbeat(leader, generation) is ErrorCode.REBALANCE_IN_PROGRESS
    assert driver.heartbeat(follower, generation) is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_member_that_has_left_is_unknown_at_once(driver):
    (_, follower), generation = driver.stable(), driver.generation
    for _ in range(2):
        assert driver.heartbeat(follower, generation) is OK
    driver.leave((follower, None))
    assert driver.heartbeat(follower, generation) is ErrorCode.UNKNOWN_MEMBER_ID


def test_an_older_generation_is_refused_while_the_lease_is_for_a_newer_one(driver):
    (leader, _), generation = driver.stable(), driver.generation
    for _ in range(2):
        assert driver.heartbeat(leader, generation) is OK
    assert driver.heartbeat(leader, generation - 1) is ErrorCode.ILLEGAL_GENERATION
    assert driver.heartbeat(leader, generation) is OK


def test_a_static_member_that_is_replaced_is_fenced_at_once(driver):
    (_, follower), generation = driver.stable(2, ("one", "two")), driver.generation
    for _ in range(2):
        assert driver.heartbeat(follower, generation, "two") is OK
        assert driver.heartbeat(follower, generation) is OK
    driver.join("", "two")
    assert driver.heartbeat(follower, generation, "two") is ErrorCode.FENCED_INSTANCE_ID
    assert driver.heartbeat(follower, generation) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_session_does_not_end_while_heartbeats_are_answered_for_the_machine(driver, leases):
    (leader, follower), generation = driver.stable(), driver.generation
    for _ in range(20):
        for member in (leader, follower):
            assert driver.heartbeat(member, generation) is OK
        driver.wait(SESSION_MS * 4 // 10)
    assert leases.answered >= 20, "with timers in between every second one was"


def test_a_session_ends_when_its_timeout_has_passed_since_the_last_heartbeat_whoever_answered_it(driver, leases):
    (leader, follower), generation = driver.stable(), driver.generation
    for _ in range(2):
        assert driver.heartbeat(follower, generation) is OK
    driver.wait(SESSION_MS // 2)
    for member in (leader, follower):
        assert driver.heartbeat(member, generation) is OK
    assert leases.answered == 2
    driver.wait(SESSION_MS * 6 // 10)
    assert driver.heartbeat(leader, generation) is OK
    driver.wait(SESSION_MS * 4 // 10 - 1)
    assert driver.heartbeat(leader, generation) is OK, "the follower may still come"
    driver.wait(1)
    assert driver.heartbeat(leader, generation) is ErrorCode.REBALANCE_IN_PROGRESS
    assert driver.heartbeat(follower, generation) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_round_does_not_forget_when_a_member_was_last_seen(driver):
    (_, follower), generation = driver.stable(), driver.generation
    for _ in range(2):
        assert driver.heartbeat(follower, generation) is OK
    driver.wait(SESSION_MS - 1)
    assert driver.heartbeat(follower, generation) is OK
    driver.new_member()
    driver.wait(SESSION_MS - 1)
    assert driver.heartbeat(follower, generation) is ErrorCode.REBALANCE_IN_PROGRESS


def test_another_coordinator_begins_without_leases_and_the_former_ends_its_own(driver, leases):
    (leader, _), generation = driver.stable(), driver.generation
    for _ in range(2):
        assert driver.heartbeat(leader, generation) is OK
    driver.machine.end_leases()
    assert not leases.held.get(GROUP)
    other = driver.restarted()
    assert other.heartbeat(leader, generation) is OK
    assert other.leases.answered == 0


def test_no_lease_is_given_to_a_group_that_is_not_stable(driver, leases):
    (leader, follower), generation = driver.stable(), driver.generation
    driver.join(follower, protocols=())
    driver.join(leader)
    for _ in range(2):
        driver.heartbeat(follower, generation)
    assert leases.answered == 0


# The consumer protocol.


def test_a_consumer_at_rest_in_a_group_at_rest_is_answered_without_the_machine(driver):
    rests(driver, *driver.settled(driver.member("a"), driver.member("b", "static")))


def test_the_answer_that_brings_a_member_to_rest_is_the_last_that_takes_the_machine(driver, leases):
    a, b = driver.member("a"), driver.member("b")
    a.beat(), a.beat()
    assert b.beat().assignment
    before = leases.answered
    assert (b.beat(owned=None).error, leases.answered) == (OK, before + 1)


def test_a_member_that_moves_leaves_those_at_rest_their_leases(driver, leases):
    a, b, c = driver.settled(driver.member("a"), driver.member("b"), driver.member("c", topic_names=("other",)))
    rests(driver, a, b, c)
    driver.cluster.create("other", 1)
    for _ in range(3):
        a.beat(), b.beat()
    before = leases.answered
    a.beat(owned=None)
    assert leases.answered == before + 1
    assert c.beat(owned=None).assignment, "the new topic is for the one who is subscribed to it"
    before = leases.answered
    a.beat(owned=None), b.beat(owned=None)
    assert leases.answered == before + 2


def test_a_member_whose_answer_is_at_rest_by_a_log_that_was_just_loaded_has_no_lease_yet(driver):
    (a,) = driver.settled(driver.member("a"))
    other = driver.restarted()
    assert not other.leases.held
    a.driver = other
    rests(other, a)


def test_what_a_consumer_at_rest_says_that_it_owns_changes_nothing(driver):
    (a,) = driver.settled(driver.member("a"))
    rests(driver, a)
    before = driver.leases.answered
    under_a_lease = [a.beat(owned=owned) for owned in (None, (), tuple(a.owned.items()))]
    assert driver.leases.answered == before + 3
    driver.leases.end(GROUP)
    by_the_machine = [a.beat(owned=None)]
    for owned in ((), tuple(a.owned.items())):
        driver.leases.end(GROUP)
        by_the_machine.append(a.beat(owned=owned))
    assert driver.leases.answered == before + 3
    assert under_a_lease == by_the_machine


def test_a_member_that_joins_is_told_to_the_others_with_their_next_heartbeat(driver):
    (a,) = driver.settled(driver.member("a"))
    rests(driver, a)
    driver.member("b")
    response = a.beat(owned=None)
    assert (response.error, len(response.assignment[0][1])) == (OK, 2)


def test_a_consumer_that_waits_for_partitions_of_another_is_asked_about_at_each_heartbeat(driver, leases):
    (a,) = driver.settled(driver.member("a"))
    b = driver.member("b")
    before = leases.answered
    for _ in range(3):
        assert not b.beat(owned=None).assignment
    assert leases.answered == before
    a.beat(owned=None)
    a.beat()
    assert len(b.beat(owned=None).assignment[0][1]) == 2


def test_a_consumer_with_another_epoch_is_fenced_while_it_has_a_lease(driver):
    (a,) = driver.settled(driver.member("a"))
    rests(driver, a)
    assert a.beat(epoch=a.epoch + 1, owned=None).error is ErrorCode.FENCED_MEMBER_EPOCH
    assert a.beat(owned=None).error is OK


def test_a_consumer_that_has_left_or_was_replaced_is_unknown_at_once(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b", "static"))
    rests(driver, a, b)
    driver.beat("a", -1)
    assert a.beat(owned=None).error is ErrorCode.UNKNOWN_MEMBER_ID
    driver.beat("b", -2, instance_id="static")
    driver.settled(driver.member("b2", "static"))
    assert b.beat(owned=None).error is ErrorCode.FENCED_INSTANCE_ID


def test_a_topic_that_grows_is_noticed_by_the_next_heartbeat(driver):
    (a,) = driver.settled(driver.member("a"))
    rests(driver, a)
    driver.cluster.grow(TOPIC, 6)
    assert len(a.beat(owned=None).assignment[0][1]) == 6


def test_a_member_with_an_expression_is_never_answered_without_the_machine(driver, leases):
    a = driver.member("a", topic_names=(), topic_regex="ord.*")
    driver.settled(a)
    for _ in range(3):
        assert a.beat(owned=None).error is OK
    assert leases.answered == 0


def test_a_consumer_session_ends_by_its_last_heartbeat_whoever_answered_it(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    rests(driver, a, b)
    driver.wait(30_000)
    a.beat(owned=None)
    driver.wait(30_000)
    assert b.beat(owned=None).error is ErrorCode.UNKNOWN_MEMBER_ID
    assert set(driver.consumers.members) == {"a"}
    driver.wait(14_999)
    assert set(driver.consumers.members) == {"a"}
    driver.wait(1)
    assert not driver.consumers.members


def test_a_refused_log_costs_no_member_its_session(driver):
    (a,) = driver.settled(driver.member("a"))
    rests(driver, a)
    driver.wait(40_000)
    a.beat(owned=None)
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    driver.beat("b", 0, rebalance_timeout_ms=60_000, owned=(), topic_names=(TOPIC,))
    driver.append_error = None
    driver.wait(44_000)
    assert set(driver.consumers.members) == {"a"}


def test_a_group_that_changes_its_protocol_takes_back_the_leases_of_the_other(driver):
    (leader, _), generation = classic_group(driver), driver.generation
    for _ in range(2):
        assert driver.heartbeat(leader, generation) is OK
    assert driver.member("a").epoch > 0
    assert driver.heartbeat(leader, generation) is not OK
