"""A group with more offsets than one batch takes back is deleted whole, or not at all."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver
from tests.unit.control.groups.driver import GROUP, TOPIC, Driver, from_log, to_log

from moldau.control.groups import turn
from moldau.control.groups.records import GroupRecord, OffsetCommitValue, OffsetRecord
from moldau.control.groups.requests import (
    DeletedTopic,
    DeleteGroup,
    ListGroups,
    OffsetDelete,
    TopicPartitions,
    TopicsDeleted,
)
from moldau.control.machine import PARKED
from moldau.control.schema import ZERO_UUID
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
LOADING = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
COUNT = 40


@pytest.fixture(autouse=True)
def some_tombstones_in_a_turn(monkeypatch):
    monkeypatch.setattr(turn, "TOMBSTONES_BYTES", 150)


def simple():
    driver = Driver().load()
    for partition in range(COUNT):
        driver.commit(partition, partition=partition)
    return driver


def classic():
    driver = Driver().load()
    (member,) = driver.stable(1)
    for partition in range(COUNT):
        driver.commit(partition, driver.generation, member, partition=partition)
    driver.leave((member, None))
    return driver


@pytest.fixture(params=[simple, classic])
def driver(request):
    return request.param()


def delete(driver):
    return driver.ask(DeleteGroup(GROUP))


def delete_all(driver):
    answers = [delete(driver)]
    while not answers[-1].is_done:
        answers.append(delete(driver))
    assert {answer.error for answer in answers} == {OK}
    return answers


def listed(driver):
    return [group.group_id for group in driver.ask(ListGroups()).groups]


def left(driver):
    return sorted(partition for _, partition, _ in driver.machine.offsets.of_group(GROUP))


def test_it_is_gone_with_its_first_batch(driver):
    before = len(driver.log)
    assert not delete(driver).is_done
    records = [from_log(entry) for entry in driver.log[before:]]
    assert records[0] == GroupRecord(GROUP, None)
    assert all(isinstance(record, OffsetRecord) and record.value is None for record in records[1:])
    assert 1 < len(records) < COUNT
    assert listed(driver) == []


def test_nobody_may_use_it_until_all_of_it_is_gone(driver):
    delete(driver)
    assert driver.commit(99) is LOADING
    assert driver.commit_in_transaction(99) is LOADING
    assert driver.join()[0].error is LOADING
    assert driver.describe().error is LOADING
    assert driver.ask(OffsetDelete(GROUP, (TopicPartitions(TOPIC, (0,)),))).error is LOADING
    assert driver.commit(99, group_id="another") is OK
    delete_all(driver)
    assert driver.describe().error is ErrorCode.GROUP_ID_NOT_FOUND
    assert driver.commit(99) is OK
    assert driver.restarted().committed() == 99
    assert left(driver.restarted()) == [0]


def test_a_crash_after_any_batch_leaves_all_of_it_or_nothing(driver):
    ends = [len(driver.log)]
    while not delete(driver).is_done:
        ends.append(len(driver.log))
    assert len(ends) > 3
    log = driver.log
    driver.log = log[: ends[0]]
    assert (listed(driver.restarted()), left(driver.restarted())) == ([GROUP], list(range(COUNT)))
    for end in ends[1:]:
        driver.log = log[:end]
        other = driver.restarted()
        assert (listed(other), left(other), len(other.machine.deletions)) == ([], [], 0)
        assert left(other.restarted()) == []
        assert other.commit(7) is OK
        assert left(other.restarted()) == [0]


def test_a_deletion_that_the_log_refuses_at_once_has_not_begun(driver):
    driver.append_error = ErrorCode.KAFKA_STORAGE_ERROR
    assert delete(driver).error is ErrorCode.NOT_COORDINATOR
    driver.append_error = None
    assert (listed(driver), left(driver)) == ([GROUP], list(range(COUNT)))
    driver.wait(60_000)
    assert left(driver) == list(range(COUNT))
    delete_all(driver)


def test_a_deletion_that_the_log_refuses_later_is_finished_when_there_is_room(driver):
    delete(driver)
    driver.append_error = ErrorCode.KAFKA_STORAGE_ERROR
    assert delete(driver).error is ErrorCode.NOT_COORDINATOR
    driver.wait(30_000)
    assert driver.commit(99) is LOADING
    driver.append_error = None
    driver.wait(30_000)
    assert (left(driver), len(driver.machine.deletions)) == ([], 0)
    assert driver.commit(99) is OK


def test_a_deletion_is_finished_though_nobody_asks_any_more(driver):
    delete(driver)
    driver.wait(30_000)
    assert left(driver) == []


def test_a_group_that_is_born_when_the_deletion_is_over_is_not_deleted_again(driver):
    assert not delete(driver).is_done
    driver.wait(30_000)
    assert driver.commit(99) is OK
    # Who has begun it asks for the rest of it.
    answer = driver.ask(DeleteGroup(GROUP, goes_on=True))
    assert (answer.error, answer.is_done) == (OK, True)
    assert (listed(driver), left(driver), driver.committed()) == ([GROUP], [0], 99)


def test_who_goes_on_with_a_deletion_that_others_have_finished_has_deleted_the_group(driver):
    assert not delete(driver).is_done
    driver.ask(TopicsDeleted((DeletedTopic(TOPIC, ZERO_UUID),)))
    assert driver.ask(DeleteGroup(GROUP, goes_on=True)).error is OK
    assert delete(driver).error is ErrorCode.GROUP_ID_NOT_FOUND


def test_each_offset_is_looked_at_once(driver):
    looked_at = []
    keys = driver.machine.offsets.keys

    def counted(group_id):
        for key in keys(group_id):
            looked_at.append(key)
            yield key

    driver.machine.offsets.keys = counted
    turns = len(delete_all(driver))
    # In each turn but the last one more, for which there was no room.
    assert len(looked_at) == COUNT + turns - 1


def test_offsets_of_an_open_transaction_go_with_it():
    driver = simple()
    driver.commit_in_transaction(7, partition=COUNT)
    delete(driver)
    driver.end_transaction()
    delete_all(driver)
    assert left(driver) == left(driver.restarted()) == []
    assert listed(driver.restarted()) == []


@pytest.mark.parametrize("again", [False, True], ids=["before a crash", "behind a crash"])
def test_a_deletion_whose_last_offsets_were_aborted_is_over(again):
    driver = simple()
    for partition in range(COUNT, 2 * COUNT):
        driver.commit_in_transaction(7, partition=partition)
    while left(driver):
        assert not delete(driver).is_done
    if again:
        driver = driver.restarted()
    driver.end_transaction(commit=False)
    assert len(driver.machine.deletions) == 0
    assert driver.commit(99) is OK


def test_topics_that_are_deleted_meanwhile_are_no_matter(driver):
    delete(driver)
    driver.ask(TopicsDeleted((DeletedTopic(TOPIC, ZERO_UUID),)))
    assert (left(driver), len(driver.machine.deletions)) == ([], 0)
    assert driver.commit(99) is OK


def test_a_group_of_the_consumer_protocol_goes_likewise():
    driver = ConsumerDriver().load()
    member = driver.member("one")
    for partition in range(COUNT):
        driver.commit(partition, member.epoch, "one", partition=partition)
    member.leave()
    assert not delete(driver).is_done
    assert driver.beat("two", 0, topic_names=(TOPIC,), owned=(), rebalance_timeout_ms=1_000).error is LOADING
    other = driver.restarted()
    assert (listed(other), left(other)) == ([], [])
    driver.wait(30_000)
    assert (listed(driver), left(driver)) == ([], [])
    assert driver.member("two").partitions == {0, 1, 2, 3}


def test_who_waits_to_join_together_joins_when_all_is_gone():
    driver = ConsumerDriver(consumer_gather_ms=5).load()
    driver.cluster.assignment_interval = 1_000
    for partition in range(COUNT):
        driver.commit(partition, partition=partition)
    subscription = {"topic_names": (TOPIC,), "owned": (), "rebalance_timeout_ms": 1_000}
    assert driver.beat("one", 0, token=1_000, **subscription) is PARKED
    delete(driver)
    driver.wait(100)
    assert driver.replies == {}
    delete_all(driver)
    driver.wait(100)
    assert driver.replies[1_000].error is OK
    assert (listed(driver), left(driver)) == ([GROUP], [])


# What else takes a group back


def offset(partition, value=1):
    return OffsetRecord(GROUP, TOPIC, partition, OffsetCommitValue(value, commit_timestamp=1, topic_id=ZERO_UUID))


@pytest.mark.parametrize(
    "records",
    [
        # An empty group becomes one of another protocol.
        [offset(0), offset(1), GroupRecord(GROUP, None)],
        # Kafka writes offsets first.
        [offset(0), offset(1), offset(2), OffsetRecord(GROUP, TOPIC, 2, None), GroupRecord(GROUP, None)],
        # There was a group of this name before.
        [
            GroupRecord(GROUP, None),
            OffsetRecord(GROUP, TOPIC, 2, None),
            offset(0),
            offset(1),
            OffsetRecord(GROUP, TOPIC, 2, None),
        ],
        # Another group's.
        [offset(0), offset(1), GroupRecord(GROUP, None), OffsetRecord("another", TOPIC, 2, None)],
    ],
)
def test_offsets_of_a_group_that_is_not_being_deleted_stay(records):
    driver = Driver([to_log(record) for record in records]).load()
    driver.wait(60_000)
    assert left(driver) == [0, 1]
