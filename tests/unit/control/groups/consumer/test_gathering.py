"""The first members of a consumer group, which wait for each other some milliseconds and are assigned together."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver
from tests.unit.control.groups.driver import GROUP, TOPIC

from moldau.control.groups.consumer.gathering import TOGETHER_MAX
from moldau.control.groups.records import decode_record
from moldau.control.machine import PARKED
from moldau.errors import ErrorCode

GATHER_MS = 5
FIRST_EPOCH_OF_MEMBERS = 2


class GatheringDriver(ConsumerDriver):
    def __init__(self, *args, **settings):
        super().__init__(*args, **{"consumer_gather_ms": GATHER_MS} | settings)
        self.cluster.assignment_interval = 1_000

    def first_join(self, member_id, **changes):
        """Returns (response or PARKED, token)."""
        token = next(self.tokens)
        fields = {"rebalance_timeout_ms": 60_000, "owned": (), "topic_names": (TOPIC,), "token": token}
        return self.beat(member_id, 0, **fields | changes), token

    def join_all(self, *member_ids, **changes):
        """Their answers, once they have waited for each other."""
        asked = [self.first_join(each, **changes) for each in member_ids]
        assert all(response is PARKED for response, _ in asked)
        self.wait(GATHER_MS)
        return [self.replies[token] for _, token in asked]


@pytest.fixture
def driver():
    return GatheringDriver().load()


def partitions(response):
    return {partition for _, each in response.assignment for partition in each}


def test_members_that_start_together_are_assigned_together(driver):
    answers = driver.join_all("a", "b", "c")
    assert {(answer.error, answer.member_epoch) for answer in answers} == {(ErrorCode.NONE, FIRST_EPOCH_OF_MEMBERS)}
    assert sorted(map(len, map(partitions, answers))) == [1, 1, 2]
    assert set().union(*map(partitions, answers)) == {0, 1, 2, 3}
    assert driver.consumers.state == "Stable"
    assert driver.consumers.epoch == driver.consumers.assignment_epoch == FIRST_EPOCH_OF_MEMBERS


def test_all_that_they_cause_is_one_batch_as_a_restart_reads_it(driver):
    driver.join_all("a", "b")
    types = [decode_record(key, value).record_type for key, value in driver.log]
    assert types == [5, 5, 3, 7, 7, 6, 8, 8]
    other = driver.restarted()
    assert other.consumers.members == driver.consumers.members
    assert other.consumers.target == driver.consumers.target


def test_nothing_has_happened_while_they_wait(driver):
    response, token = driver.first_join("a")
    driver.wait(GATHER_MS - 1)
    assert response is PARKED
    assert token not in driver.replies
    assert not driver.log
    assert driver.describe_consumers().error is ErrorCode.GROUP_ID_NOT_FOUND


def test_the_first_heartbeat_after_it_does_not_take_the_machine(driver):
    (answer,) = driver.join_all("a")
    before = driver.leases.answered
    assert driver.beat("a", answer.member_epoch).error is ErrorCode.NONE
    assert driver.leases.answered == before + 1


def test_who_comes_later_joins_at_once(driver):
    driver.join_all("a")
    response, _ = driver.first_join("b")
    assert (response.error, response.assignment) == (ErrorCode.NONE, ())


def test_a_group_that_everybody_has_left_gathers_again(driver):
    driver.join_all("a")
    driver.beat("a", -1)
    driver.wait(1_000)
    answers = driver.join_all("b", "c")
    assert [len(partitions(answer)) for answer in answers] == [2, 2]


def test_a_group_that_was_assigned_a_moment_ago_gives_partitions_after_the_distance(driver):
    driver.join_all("a")
    driver.beat("a", -1)
    (answer,) = driver.join_all("b")
    assert answer.assignment == ()
    driver.wait(1_000)
    assert partitions(driver.beat("b", answer.member_epoch)) == {0, 1, 2, 3}


def test_without_a_distance_between_assignments_nobody_waits(driver):
    driver.cluster.assignment_interval = 0
    response, _ = driver.first_join("a")
    assert partitions(response) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "changes", [{"token": None}, {"topic_names": None, "topic_regex": "ord.*"}, {"topic_names": ()}], ids=str
)
def test_who_cannot_be_assigned_or_answered_later_does_not_wait(driver, changes):
    response, _ = driver.first_join("a", **changes)
    assert response.error is ErrorCode.NONE


def test_a_member_that_asks_again_is_served_and_so_is_its_former_request(driver):
    _, first = driver.first_join("a")
    _, other = driver.first_join("b")
    response, _ = driver.first_join("a")
    assert partitions(response) == {0, 1, 2, 3}
    driver.wait(GATHER_MS)
    assert driver.replies[first].error is driver.replies[other].error is ErrorCode.NONE
    assert set(driver.consumers.members) == {"a", "b"}


def test_of_two_requests_of_one_member_the_later_one_says_what_it_reads(driver):
    driver.first_join("a", topic_names=("other",))
    driver.first_join("a")
    driver.wait(GATHER_MS)
    assert driver.consumers.members["a"].topic_names == {TOPIC}


def test_of_two_processes_of_one_static_member_the_second_waits_for_the_first_to_go(driver):
    _, first = driver.first_join("a", instance_id="one")
    response, _ = driver.first_join("b", instance_id="one")
    driver.wait(GATHER_MS)
    assert {response.error, driver.replies[first].error} == {ErrorCode.NONE, ErrorCode.UNRELEASED_INSTANCE_ID}


def test_a_classic_member_that_came_in_between_is_joined_like_any(driver):
    _, token = driver.first_join("a")
    driver.new_member()
    driver.wait(GATHER_MS)
    assert driver.replies[token].error is ErrorCode.NONE
    assert len(driver.consumers.members) == 2


def test_an_empty_classic_group_is_taken_over(driver):
    driver.commit(7)
    (answer,) = driver.join_all("a")
    assert partitions(answer) == {0, 1, 2, 3}
    assert driver.committed() == 7
    assert GROUP not in driver.machine.groups


def test_a_refused_log_is_told_to_everybody_who_waits_and_they_may_come_again(driver):
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    answers = driver.join_all("a", "b")
    assert {answer.error for answer in answers} == {ErrorCode.COORDINATOR_NOT_AVAILABLE}
    assert GROUP not in driver.machine.consumer_groups
    driver.append_error = None
    assert [len(partitions(answer)) for answer in driver.join_all("a", "b")] == [2, 2]


def test_a_group_takes_as_many_as_it_may_have_and_refuses_the_others():
    driver = GatheringDriver(consumer_max_size=2).load()
    answers = driver.join_all("a", "b", "c")
    assert [answer.error for answer in answers] == [ErrorCode.NONE] * 2 + [ErrorCode.GROUP_MAX_SIZE_REACHED]


def test_what_is_more_than_a_batch_may_hold_joins_one_by_one(driver):
    answers = driver.join_all(*(f"member-{number}" for number in range(TOGETHER_MAX + 2)))
    assert {answer.error for answer in answers} == {ErrorCode.NONE}
    assert len(driver.consumers.members) == TOGETHER_MAX + 2


def test_what_members_say_of_themselves_counts_for_what_a_batch_may_hold(driver):
    names = (TOPIC, *(f"a-topic-of-which-nobody-has-heard-{number:04}" for number in range(60)))
    # The driver holds every decision to the size of a batch: all of these are 1.1 MB.
    answers = driver.join_all(*(f"member-{number}" for number in range(TOGETHER_MAX)), topic_names=names)
    assert {answer.error for answer in answers} == {ErrorCode.NONE}
    assert len(driver.consumers.members) == TOGETHER_MAX


def test_the_coordinator_names_those_who_bring_no_name(driver):
    answers = driver.join_all("", "", chooses_member_id=False)
    names = [answer.member_id for answer in answers]
    assert all(names)
    assert len(set(names)) == 2


def test_members_of_different_topics_and_assignors_get_what_an_assignor_gives(driver):
    driver.cluster.create("other", 2)
    _, one = driver.first_join("a", topic_names=(TOPIC, "other"), assignor="range")
    _, two = driver.first_join("b", assignor="range")
    driver.wait(GATHER_MS)
    owned = {token: dict(driver.replies[token].assignment) for token in (one, two)}
    orders, other = driver.cluster.id_of(TOPIC), driver.cluster.id_of("other")
    assert owned == {one: {orders: (0, 1), other: (0, 1)}, two: {orders: (2, 3)}}


def test_joins_without_ids_that_bring_one_instance_have_each_their_own_say(driver):
    nameless = {"instance_id": "one", "chooses_member_id": False}
    _, first = driver.first_join("", **nameless)
    driver.append_error = ErrorCode.KAFKA_STORAGE_ERROR
    refused, _ = driver.first_join("", topic_names=("invoices",), **nameless)
    assert refused.error is not ErrorCode.NONE
    driver.append_error = None
    driver.wait(GATHER_MS)
    assert driver.replies[first].error is ErrorCode.NONE
    (member,) = driver.consumers.members.values()
    assert set(member.topic_names) == {TOPIC}
