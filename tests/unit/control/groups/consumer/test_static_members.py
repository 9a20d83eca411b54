"""Static members (KIP-345 in KIP-848): away with -2, back under a new id, fenced when there are two."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver, ConsumerMember

from moldau.errors import ErrorCode

OK = ErrorCode.NONE


@pytest.fixture
def driver():
    return ConsumerDriver().load()


def test_a_static_member_comes_back_to_what_it_had_without_a_rebalance(driver):
    a, b = driver.settled(driver.member("a", "one"), driver.member("b", "two"))
    held, epoch = a.partitions, driver.consumers.epoch
    assert a.leave(-2).member_epoch == -2
    b.beat()
    again = driver.member("a2", "one")
    assert (again.partitions, driver.consumers.epoch) == (held, epoch)
    assert set(driver.consumers.members) == {"a2", "b"}
    assert b.beat().assignment is None


def test_an_instance_id_that_is_in_use_is_not_given_away(driver):
    driver.member("a", "one")
    assert ConsumerMember(driver, "thief", "one").beat().error is ErrorCode.UNRELEASED_INSTANCE_ID
    assert set(driver.consumers.members) == {"a"}


def test_the_former_self_of_a_static_member_is_fenced(driver):
    a = driver.member("a", "one")
    epoch = a.epoch
    a.leave(-2)
    driver.member("a2", "one")
    assert driver.beat("a", epoch, instance_id="one").error is ErrorCode.FENCED_INSTANCE_ID
    assert driver.beat("a", epoch).error is ErrorCode.UNKNOWN_MEMBER_ID
    assert driver.beat("a", -1, instance_id="one").error is ErrorCode.FENCED_INSTANCE_ID
    assert driver.beat("x", epoch, instance_id="nobody").error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_static_member_that_stays_away_is_out_after_its_session(driver):
    a, b = driver.settled(driver.member("a", "one"), driver.member("b"))
    a.leave(-2)
    for _ in range(9):
        driver.wait(5_000)
        b.beat()
    driver.settled(b)
    assert (set(driver.consumers.members), b.partitions) == ({"b"}, {0, 1, 2, 3})


def test_a_static_member_that_leaves_for_good_is_out_at_once(driver):
    a, b = driver.settled(driver.member("a", "one"), driver.member("b"))
    assert a.leave(-1).error is OK
    assert set(driver.consumers.members) == {"b"}
    driver.settled(b)
    assert b.partitions == {0, 1, 2, 3}


def test_a_static_member_that_is_away_has_epochs_from_0_for_its_next_life(driver):
    a = driver.member("a", "one")
    a.leave(-2)
    restarted = driver.restarted()
    restarted.__class__ = ConsumerDriver
    again = restarted.member("a2", "one")
    assert again.partitions == {0, 1, 2, 3}
    topic_id = driver.cluster.id_of("orders")
    assert set(restarted.consumers.members["a2"].assigned[topic_id].values()) == {0}


def test_a_refused_twin_does_not_lengthen_the_session_of_the_other(driver):
    driver.member("a", "one")
    for _ in range(9):
        driver.wait(5_000)
        ConsumerMember(driver, "thief", "one").beat()
    assert set(driver.consumers.members) == {"thief"}


def test_the_session_of_a_static_member_under_its_new_id_is_watched(driver):
    a = driver.member("a", "one")
    a.leave(-2)
    driver.member("a2", "one")
    driver.wait(45_000)
    assert driver.consumers.members == {}
