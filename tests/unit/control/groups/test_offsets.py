"""Committed offsets: fetched as they were committed, deleted, expired, forgotten with their topic."""

from uuid import UUID

import pytest
from tests.unit.control.groups.driver import GROUP, TOPIC, Driver

from moldau.control.groups import retention
from moldau.control.groups.records import encode_record
from moldau.control.groups.requests import (
    DeletedTopic,
    DeleteGroup,
    OffsetDelete,
    OffsetFetch,
    RetentionCheckDue,
    TopicPartitions,
    TopicsDeleted,
)
from moldau.control.machine import PARKED, AppendFailed, ScheduleTimer
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


@pytest.fixture
def driver():
    return Driver().load()


def fetch(driver, topics=None, group_id=GROUP, **options):
    return driver.ask(OffsetFetch(group_id, topics, **options)).offsets


def delete(driver, *partitions, topic=TOPIC, group_id=GROUP):
    return driver.ask(OffsetDelete(group_id, (TopicPartitions(topic, partitions),)))


def test_an_offset_is_fetched_as_it_was_committed(driver):
    assert driver.commit(41, partition=2, metadata="half way") is OK
    (fetched,) = fetch(driver, (TopicPartitions(TOPIC, (2,)),))
    assert (fetched.offset, fetched.leader_epoch, fetched.metadata, fetched.error) == (41, 3, "half way", OK)


def test_what_was_never_committed_is_minus_one_without_an_error(driver):
    (unknown_group,) = fetch(driver, (TopicPartitions(TOPIC, (0,)),), group_id="nothing")
    driver.commit(1)
    (unknown_partition,) = fetch(driver, (TopicPartitions(TOPIC, (7,)),))
    for fetched in (unknown_group, unknown_partition):
        assert (fetched.offset, fetched.leader_epoch, fetched.metadata, fetched.error) == (-1, -1, "", OK)


def test_everything_of_a_group_is_fetched_without_naming_it(driver):
    for partition in range(3):
        driver.commit(partition * 10, partition=partition)
    driver.commit(7, topic="invoices")
    driver.commit(1, group_id="others")
    assert {(each.topic, each.partition, each.offset) for each in fetch(driver)} == {
        (TOPIC, 0, 0),
        (TOPIC, 1, 10),
        (TOPIC, 2, 20),
        ("invoices", 0, 7),
    }
    assert fetch(driver, group_id="nothing") == ()


def test_an_offset_of_a_topic_that_was_made_anew_does_not_count(driver):
    driver.commit(41, topic_id=UUID(int=1))
    assert driver.committed(topic_id=UUID(int=1)) == 41
    assert driver.committed(topic_id=UUID(int=2)) == -1
    assert driver.committed() == 41


@pytest.mark.parametrize(("metadata", "error"), [("x" * 8, OK), ("x" * 9, ErrorCode.OFFSET_METADATA_TOO_LARGE)])
def test_metadata_has_a_limit(metadata, error):
    driver = Driver(offset_metadata_max_bytes=8).load()
    assert driver.commit(1, metadata=metadata) is error
    assert driver.committed() == (1 if error is OK else -1)


def test_the_limit_of_metadata_counts_utf_16_units_as_java_does():
    driver = Driver(offset_metadata_max_bytes=8).load()
    assert driver.commit(1, metadata="🐎" * 4) is OK
    assert driver.commit(1, metadata="🐎" * 5) is ErrorCode.OFFSET_METADATA_TOO_LARGE


@pytest.mark.parametrize(
    ("understands", "error"), [(True, ErrorCode.GROUP_ID_NOT_FOUND), (False, ErrorCode.ILLEGAL_GENERATION)]
)
def test_a_member_of_a_group_that_does_not_exist_cannot_commit(driver, understands, error):
    assert driver.commit(1, 3, "member", knows_group_id_not_found=understands) is error


def test_a_static_member_commits_under_its_names(driver):
    (member,) = driver.stable(1, instance_ids=("one",))
    assert driver.commit(8, driver.generation, member, "one") is OK
    assert driver.commit(9, driver.generation, member, "two") is ErrorCode.UNKNOWN_MEMBER_ID


# Deleting


def test_an_offset_of_a_topic_in_use_is_not_deleted(driver):
    (member,) = driver.stable(1)
    driver.commit(1, driver.generation, member)
    assert delete(driver, 0).partitions == ((TOPIC, 0, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC),)
    assert driver.committed() == 1


def test_an_offset_of_a_topic_that_nobody_reads_any_more_is_deleted(driver):
    driver.commit(1, topic="invoices")
    driver.stable(1)
    assert delete(driver, 0, 5, topic="invoices").partitions == (("invoices", 0, OK), ("invoices", 5, OK))
    assert driver.committed(topic="invoices") == -1


def test_offsets_of_members_with_a_protocol_of_their_own_are_not_deleted(driver):
    _response, token = driver.new_member(protocol_type="connect")
    assert token in driver.replies
    assert delete(driver, 0).error is ErrorCode.NON_EMPTY_GROUP


def test_deleting_offsets_of_no_group_says_so(driver):
    assert delete(driver, 0, group_id="nothing").error is ErrorCode.GROUP_ID_NOT_FOUND
    assert delete(driver, 0, group_id="").error is ErrorCode.INVALID_GROUP_ID


# Growing old (KIP-211)


def test_offsets_of_an_empty_group_expire_a_week_after_the_last_member(driver):
    (member,) = driver.stable(1)
    driver.commit(1, driver.generation, member)
    driver.wait(2 * DAY_MS)  # The session ends at once: the group is empty from here on.
    driver.wait(5 * DAY_MS - 600_000)
    assert driver.committed() == 1
    driver.wait(1_200_000)
    assert driver.committed() == -1
    assert driver.describe().error is ErrorCode.GROUP_ID_NOT_FOUND


def test_offsets_of_a_consumer_without_a_group_expire_a_week_after_their_commit(driver):
    driver.commit(1, partition=0)
    driver.wait(4 * DAY_MS)
    driver.commit(2, partition=1)
    driver.wait(3 * DAY_MS + 600_000)
    assert (driver.committed(0), driver.committed(1)) == (-1, 2)
    driver.wait(4 * DAY_MS)
    assert driver.describe().error is ErrorCode.GROUP_ID_NOT_FOUND


def test_offsets_that_a_living_group_reads_do_not_expire(driver):
    (member,) = driver.stable(1)
    driver.commit(1, driver.generation, member)
    driver.commit(2, driver.generation, member, topic="invoices")
    for _ in range(2 * WEEK_MS // 9_000 // 100):
        driver.now_ms += 891_000
        driver.heartbeat(member, driver.generation)
        driver.settle()
        driver.wait(9_000)
        driver.heartbeat(member, driver.generation)
    assert driver.committed() == 1
    # Nobody is subscribed to that one.
    assert driver.committed(topic="invoices") == -1


def test_a_commit_with_a_retention_of_its_own_expires_by_that(driver):
    driver.commit(1, retention_ms=3_600_000)
    driver.wait(3_000_000)
    assert driver.committed() == 1
    driver.wait(1_200_000)
    assert driver.committed() == -1


def test_what_has_expired_is_gone_from_the_log_too(driver):
    driver.commit(1)
    driver.wait(WEEK_MS + 600_000)
    assert driver.restarted().committed() == -1


def sizes_of_batches(driver):
    """Of every decision from now on, the bytes of its records."""
    sizes, original = [], driver.machine.decide

    def decide(request, now):
        decision = original(request, now)
        sizes.append(sum(len(data or b"") for record in decision.records for data in encode_record(record)))
        return decision

    driver.machine.decide = decide
    return sizes


LARGEST_BATCH = 1_000_000
LONG = "x" * 249


@pytest.fixture
def thousands(driver):
    for number in range(1_500):
        driver.commit(1, partition=number, topic=LONG, group_id="y" * 500)
        driver.commit(1, topic=LONG, group_id=f"{number}".zfill(500))
    return driver


def test_thousands_of_offsets_expire_in_batches_that_a_log_takes(thousands):
    sizes = sizes_of_batches(thousands)
    thousands.now_ms += WEEK_MS
    thousands.settle()
    assert max(sizes) < LARGEST_BATCH
    assert thousands.machine.groups == {}
    assert not list(thousands.machine.offsets.everything())


def test_groups_are_looked_at_in_turns_between_which_others_are_answered(driver, monkeypatch):
    monkeypatch.setattr(retention, "LOOKS_IN_A_TURN", 10)
    for number in range(60):
        driver.commit(1, group_id=f"group-{number}")
    sizes = sizes_of_batches(driver)
    driver.now_ms += WEEK_MS
    # With its answer the round begins that is due.
    driver.commit(1, group_id="young")
    assert list(driver.machine.groups) == ["young"]
    assert [group for group, *_ in driver.machine.offsets.everything()] == ["young"]
    # Two records for each of five or six groups.
    assert len([size for size in sizes if size]) > 10
    due_ms, event = driver.timers[("retention",)]
    assert event == RetentionCheckDue()
    assert due_ms > driver.now_ms


def test_a_group_that_comes_or_goes_between_two_turns_of_a_round_is_no_matter(driver, monkeypatch):
    monkeypatch.setattr(retention, "LOOKS_IN_A_TURN", 3)
    for number in range(10):
        driver.commit(1, group_id=f"group-{number}")
    driver.now_ms += WEEK_MS
    driver.timers.clear()
    under_way = driver.machine.retention
    under_way.begin([*driver.machine.groups])
    assert driver.ask(DeleteGroup("group-5")).error is OK
    driver.commit(7, group_id="group-5")
    assert driver.ask(DeleteGroup("group-7")).error is OK
    driver.ask(RetentionCheckDue())
    assert not under_way.is_under_way
    assert list(driver.machine.groups) == ["group-5"]
    assert driver.committed(group_id="group-5") == 7


def test_thousands_of_offsets_go_with_their_topic_in_batches_that_a_log_takes(thousands):
    sizes = sizes_of_batches(thousands)
    thousands.ask(TopicsDeleted((DeletedTopic(LONG, UUID(int=1)),)))
    assert max(sizes) < LARGEST_BATCH
    assert not list(thousands.machine.offsets.everything())


def test_thousands_of_offsets_go_with_their_group_in_batches_that_a_log_takes(thousands):
    sizes = sizes_of_batches(thousands)
    answers = [thousands.ask(DeleteGroup("y" * 500))]
    while not answers[-1].is_done:
        answers.append(thousands.ask(DeleteGroup("y" * 500)))
    assert len(answers) > 1
    assert {answer.error for answer in answers} == {ErrorCode.NONE}
    assert max(sizes) < LARGEST_BATCH
    assert not list(thousands.machine.offsets.of_group("y" * 500))
    assert thousands.ask(DeleteGroup("y" * 500)).error is ErrorCode.GROUP_ID_NOT_FOUND


@pytest.mark.parametrize("request_", [RetentionCheckDue(), TopicsDeleted((DeletedTopic(LONG, UUID(int=1)),))])
def test_what_a_log_refused_to_take_back_is_tried_again_but_not_at_once(thousands, request_):
    thousands.now_ms += WEEK_MS
    decision = thousands.machine.decide(request_, thousands.now())
    failed = AppendFailed(request_, decision, ErrorCode.KAFKA_STORAGE_ERROR)
    again = thousands.machine.decide(failed, thousands.now())
    timers = {effect.key: effect for effect in again.effects if isinstance(effect, ScheduleTimer)}
    (timer,) = timers.values()
    assert (timer.event, timer.at_ms >= thousands.now_ms + 1_000) == (request_, True)


# Deleted topics


def test_groups_that_have_nothing_of_a_deleted_topic_are_not_looked_at(driver):
    driver.commit(1, topic="t", group_id="one")
    driver.commit(1, topic="other", group_id="two")
    offsets = driver.machine.offsets
    held = offsets._groups["two"]
    # Whoever looked in here would find that there is nothing to be looked into.
    offsets._groups["two"] = None
    driver.ask(TopicsDeleted((DeletedTopic("t", UUID(int=1)),)))
    offsets._groups["two"] = held
    assert [(group, topic) for group, topic, *_ in offsets.everything()] == [("two", "other")]
    assert offsets._groups_of == {"other": {"two"}}


def test_offsets_go_with_their_topic_but_not_with_one_of_the_same_name(driver):
    driver.commit(1, partition=0, topic_id=UUID(int=1))
    driver.commit(2, partition=1, topic_id=UUID(int=2))
    driver.commit(3, partition=2)
    driver.commit(4, topic="invoices")
    driver.ask(TopicsDeleted((DeletedTopic(TOPIC, UUID(int=1)),)))
    assert [driver.committed(partition) for partition in range(3)] == [-1, 2, -1]
    assert driver.committed(topic="invoices") == 4


# Commits on their way to the log


def in_flight(driver, *arguments, **changes):
    """Decide a commit and keep its records back."""
    held = {}
    original = driver.machine.decide

    def decide(request, now):
        decision = original(request, now)
        held["records"] = decision.records
        return type(decision)(decision.response)

    driver.machine.decide = decide
    driver.commit(*arguments, **changes)
    driver.machine.decide = original
    return held["records"]


def test_who_asks_for_stable_offsets_waits_for_those_on_their_way(driver):
    driver.commit(1)
    records = in_flight(driver, 2)
    wanted = (TopicPartitions(TOPIC, (0,)),)
    assert fetch(driver, wanted)[0].offset == 1
    (unstable,) = fetch(driver, wanted, require_stable=True)
    assert (unstable.offset, unstable.error) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    for record in records:
        driver.machine.apply(record)
    assert fetch(driver, wanted, require_stable=True)[0].offset == 2


def test_a_commit_that_the_log_refused_is_said_to_have_failed(driver):
    driver.commit(1)
    driver.append_error = ErrorCode.KAFKA_STORAGE_ERROR
    assert driver.commit(2) is ErrorCode.NOT_COORDINATOR
    assert fetch(driver, require_stable=True)[0].offset == 1
    assert driver.join()[0] is not PARKED
