"""Subscriptions by regular expression: resolved by the coordinator, remembered durably, looked at again when due."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver, ConsumerMember

from moldau.errors import ErrorCode


@pytest.fixture
def driver():
    driver = ConsumerDriver().load()
    driver.cluster.create("order-returns", 2)
    driver.cluster.create("payments", 2)
    return driver


def topics_of(driver, member):
    return {driver.cluster.topic_with(topic_id).name for topic_id in member.owned}


def test_the_topics_come_with_a_later_heartbeat(driver):
    member = driver.member("a", topic_regex="order.*")
    assert member.owned == {}
    driver.settled(member)
    assert topics_of(driver, member) == {"orders", "order-returns"}
    assert driver.describe_consumers().members[0].topic_regex == "order.*"


def test_an_expression_matches_whole_names(driver):
    member = driver.member("a", topic_regex="order")
    driver.settled(member)
    assert member.owned == {}


@pytest.mark.parametrize("expression", ["order(", "[", "*"])
def test_an_expression_that_is_none_is_refused(driver, expression):
    member = ConsumerMember(driver, "a", subscription={"topic_regex": expression})
    refused = member.beat()
    assert refused.error is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert expression in refused.error_message
    assert driver.log == []


def test_a_new_topic_is_found_but_not_sooner_than_ten_seconds_after_the_last_look(driver):
    member = driver.settled(driver.member("a", topic_regex="order.*"))[0]
    driver.cluster.create("order-archive", 1)
    member.beat()
    member.beat()
    assert "order-archive" not in topics_of(driver, member)
    driver.wait(10_001)
    member.beat()
    driver.settled(member)
    assert topics_of(driver, member) == {"orders", "order-returns", "order-archive"}


def test_names_and_an_expression_together_mean_both(driver):
    member = driver.member("a", topic_names=("payments",), topic_regex="order-.*")
    driver.settled(member)
    assert topics_of(driver, member) == {"payments", "order-returns"}


def test_an_expression_that_others_have_resolved_counts_at_once(driver):
    a = driver.settled(driver.member("a", topic_regex="order.*"))[0]
    b = driver.member("b", topic_regex="order.*")
    driver.settled(a, b)
    assert topics_of(driver, a) | topics_of(driver, b) == {"orders", "order-returns"}


def test_the_last_that_needs_an_expression_takes_it_away(driver):
    a, b = driver.settled(driver.member("a", topic_regex="order.*"), driver.member("b"))
    assert driver.consumers.is_subscribed_to("order-returns")
    a.leave()
    assert driver.consumers.resolved == {}
    assert not driver.consumers.is_subscribed_to("order-returns")
    driver.settled(b)


def test_a_member_that_gives_up_its_expression_keeps_what_it_names(driver):
    a = driver.settled(driver.member("a", topic_regex="order.*"))[0]
    a.beat(topic_regex="", topic_names=("payments",))
    driver.settled(a)
    a.beat()
    assert topics_of(driver, a) == {"payments"}
    assert driver.consumers.resolved == {}


def test_what_an_expression_stood_for_survives_a_restart(driver):
    a = driver.settled(driver.member("a", topic_regex="order.*"))[0]
    before = driver.describe_consumers()
    restarted = driver.restarted()
    restarted.__class__ = ConsumerDriver
    assert restarted.describe_consumers() == before
    a.driver = restarted
    assert a.beat().assignment is None


def test_a_clock_that_was_set_back_holds_no_look_up(driver):
    member = driver.settled(driver.member("a", topic_regex="order.*"))[0]
    driver.clock_ahead_ms = -24 * 3_600_000
    driver.cluster.create("order-archive", 1)
    driver.settled(member)
    assert "order-archive" in topics_of(driver, member)
