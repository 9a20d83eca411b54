"""Offsets of a consumer group: who may commit, in which epoch; fetch, delete, retention."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver
from tests.unit.control.groups.driver import GROUP, TOPIC

from moldau.control.groups.requests import DeleteGroup, OffsetDelete, OffsetFetch, TopicPartitions
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
STALE = ErrorCode.STALE_MEMBER_EPOCH
UNKNOWN = ErrorCode.UNKNOWN_MEMBER_ID
DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def driver():
    return ConsumerDriver().load()


def commit(driver, member_id, epoch, partition=0, **changes):
    return driver.commit(5, epoch, member_id, partition=partition, topic_id=driver.cluster.id_of(TOPIC), **changes)


def fetch(driver, member_id, epoch):
    wanted = (TopicPartitions(TOPIC, (0,)),)
    return driver.ask(OffsetFetch(GROUP, wanted, member_id=member_id, member_epoch=epoch)).error


def test_a_member_commits_and_fetches_in_its_epoch(driver):
    member = driver.member("a")
    assert commit(driver, "a", member.epoch) is OK
    assert fetch(driver, "a", member.epoch) is OK
    assert driver.committed() == 5


@pytest.mark.parametrize(
    ("member_id", "epoch", "error"),
    [("a", 1, STALE), ("a", 99, STALE), ("nobody", 2, UNKNOWN), ("", -1, UNKNOWN), ("a", -1, STALE)],
)
def test_who_may_not_commit(driver, member_id, epoch, error):
    driver.member("a")
    assert commit(driver, member_id, epoch) is error
    assert driver.committed() == -1


@pytest.mark.parametrize(
    ("member_id", "epoch", "error"),
    [(None, -1, OK), ("a", 2, OK), ("a", 1, STALE), ("nobody", 2, UNKNOWN), ("", -1, UNKNOWN)],
)
def test_who_may_fetch(driver, member_id, epoch, error):
    driver.member("a")
    assert fetch(driver, member_id, epoch) is error


def test_an_older_epoch_may_commit_what_the_member_has_held_since_then(driver):
    a = driver.member("a")
    b = driver.member("b")
    driver.settled(a, b)
    assert a.epoch == 3
    kept, given_up = 0, 3
    assert commit(driver, "a", 2, kept) is OK
    assert commit(driver, "a", 2, given_up) is STALE
    assert commit(driver, "b", 2, given_up) is STALE, "it holds the partition since epoch 3"
    assert commit(driver, "b", 3, given_up) is OK


def test_a_request_that_knows_no_member_epochs_cannot_commit_for_a_member(driver):
    member = driver.member("a")
    refused = commit(driver, "a", member.epoch, knows_group_id_not_found=False)
    assert refused is ErrorCode.UNSUPPORTED_VERSION


def test_anyone_may_commit_for_an_empty_group(driver):
    driver.member("a").leave()
    assert commit(driver, "", -1) is OK


def test_offsets_of_subscribed_topics_are_not_deleted(driver):
    member = driver.member("a", topic_regex="ord.*")
    driver.settled(member)
    commit(driver, "a", member.epoch)
    request = OffsetDelete(GROUP, (TopicPartitions(TOPIC, (0,)),))
    assert driver.ask(request).partitions == ((TOPIC, 0, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC),)
    member.leave()
    assert driver.ask(request).partitions == ((TOPIC, 0, OK),)
    assert driver.committed() == -1


def test_a_group_with_members_is_not_deleted_and_an_empty_one_takes_its_offsets_along(driver):
    member = driver.member("a")
    commit(driver, "a", member.epoch)
    assert driver.ask(DeleteGroup(GROUP)).error is ErrorCode.NON_EMPTY_GROUP
    member.leave()
    assert driver.ask(DeleteGroup(GROUP)).error is OK
    assert (GROUP in driver.machine.consumer_groups, driver.committed()) == (False, -1)
    restarted = driver.restarted()
    assert (dict(restarted.machine.consumer_groups), restarted.machine.groups) == ({}, {})


def test_an_empty_group_is_forgotten_with_its_last_offset(driver):
    member = driver.member("a")
    commit(driver, "a", member.epoch)
    for _ in range(8 * 24):
        driver.wait(DAY_MS // 24)
        if driver.consumers.members:
            member.beat()
            member.epoch = 0 if GROUP not in driver.machine.consumer_groups else member.epoch
        if driver.consumers.is_empty:
            break
    driver.wait(8 * DAY_MS)
    assert GROUP not in driver.machine.consumer_groups
    assert driver.committed() == -1


def test_offsets_in_use_do_not_grow_old(driver):
    driver.cluster.session_timeout = 30 * DAY_MS
    member = driver.member("a")
    commit(driver, "a", member.epoch)
    driver.wait(20 * DAY_MS)
    assert driver.committed() == 5


def test_retention_is_looked_at_again_when_a_group_could_not_be_forgotten(driver):
    driver.member("a").leave()
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    driver.wait(DAY_MS)
    assert GROUP in driver.machine.consumer_groups
    driver.append_error = None
    driver.wait(DAY_MS)
    assert GROUP not in driver.machine.consumer_groups
