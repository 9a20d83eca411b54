"""Offsets that were committed inside a transaction: nobody sees them before its marker, and then all do."""

import pytest
from tests.unit.control.groups.driver import GROUP, TOPIC, Driver

from moldau.control.groups.requests import (
    DeletedTopic,
    DeleteGroup,
    OffsetDelete,
    OffsetFetch,
    TopicPartitions,
    TopicsDeleted,
)
from moldau.control.schema import ZERO_UUID
from moldau.errors import ErrorCode


@pytest.fixture
def node():
    return Driver().load()


def stable(node, partition=0):
    """The error that a reader of stable offsets gets."""
    wanted = (TopicPartitions(TOPIC, (partition,)),)
    return node.ask(OffsetFetch(GROUP, wanted, require_stable=True)).offsets[0].error


def test_an_offset_counts_with_the_marker_and_not_before(node):
    node.commit(5)
    assert node.commit_in_transaction(8) is ErrorCode.NONE
    assert node.committed() == 5
    assert stable(node) is ErrorCode.UNSTABLE_OFFSET_COMMIT
    assert stable(node, partition=1) is ErrorCode.NONE
    node.end_transaction()
    assert (node.committed(), stable(node)) == (8, ErrorCode.NONE)


def test_an_aborted_offset_never_counts(node):
    node.commit(5)
    node.commit_in_transaction(8)
    node.end_transaction(commit=False)
    assert (node.committed(), stable(node)) == (5, ErrorCode.NONE)


def test_a_group_that_committed_later_by_itself_is_not_set_back(node):
    node.commit_in_transaction(8)
    node.commit(9)
    assert stable(node) is ErrorCode.UNSTABLE_OFFSET_COMMIT
    node.end_transaction()
    assert (node.committed(), stable(node)) == (9, ErrorCode.NONE)


def test_of_two_transactions_the_younger_word_counts_whoever_ends_first(node):
    node.commit_in_transaction(8, producer_id=1)
    node.commit_in_transaction(20, producer_id=2)
    node.end_transaction(2)
    assert (node.committed(), stable(node)) == (20, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    node.end_transaction(1)
    assert (node.committed(), stable(node)) == (20, ErrorCode.NONE)


def test_a_marker_without_offsets_changes_nothing(node):
    node.commit(5)
    assert node.end_transaction(77) is ErrorCode.NONE
    assert node.committed() == 5


@pytest.mark.parametrize("commit", [True, False, None])
def test_a_restart_knows_what_was_pending(node, commit):
    node.commit(5)
    node.commit_in_transaction(8)
    if commit is not None:
        node.end_transaction(commit=commit)
    after = node.restarted()
    assert after.committed() == (8 if commit else 5)
    assert (stable(after) is ErrorCode.UNSTABLE_OFFSET_COMMIT) == (commit is None)
    after.end_transaction()
    assert after.committed() == (5 if commit is False else 8)


def test_a_group_that_has_only_pending_offsets_is_there(node):
    node.commit_in_transaction(8)
    assert node.describe().state == "Empty"
    assert node.restarted().describe().state == "Empty"


def test_a_deleted_group_takes_its_pending_offsets_with_it(node):
    node.commit_in_transaction(8)
    assert node.ask(DeleteGroup(GROUP)).error is ErrorCode.NONE
    node.end_transaction()
    assert (node.committed(), stable(node)) == (-1, ErrorCode.NONE)
    assert node.restarted().committed() == -1


def test_deleted_offsets_and_topics_take_what_is_pending_with_them(node):
    node.commit_in_transaction(8, partition=0)
    node.commit_in_transaction(8, partition=1)
    node.ask(OffsetDelete(GROUP, (TopicPartitions(TOPIC, (0,)),)))
    node.end_transaction()
    assert (node.committed(0), node.committed(1)) == (-1, 8)
    node.commit_in_transaction(9, producer_id=3, partition=1)
    node.ask(TopicsDeleted((DeletedTopic(TOPIC, ZERO_UUID),)))
    node.end_transaction(3)
    assert node.committed(1) == -1


def test_pending_offsets_keep_a_group_from_growing_old():
    node = Driver(offsets_retention_ms=1_000, offsets_retention_check_interval_ms=500).load()
    node.commit(5)
    node.commit_in_transaction(8)
    node.wait(10_000)
    assert node.committed() == 5
    node.end_transaction(commit=False)
    node.wait(10_000)
    assert node.committed() == -1


def test_a_member_commits_in_its_generation_and_nobody_else_does(node):
    member, _ = node.stable(2)
    generation = node.generation
    assert node.commit_in_transaction(1, generation_id=generation, member_id=member) is ErrorCode.NONE
    assert node.commit_in_transaction(1, generation_id=generation, member_id="who") is ErrorCode.UNKNOWN_MEMBER_ID
    wrong = node.commit_in_transaction(1, generation_id=generation - 1, member_id=member)
    assert wrong is ErrorCode.ILLEGAL_GENERATION
    assert node.commit_in_transaction(1) is ErrorCode.NONE, "a producer before version 3 does not know its member"


def test_a_static_member_that_was_replaced_cannot_commit():
    node = Driver().load()
    first, _ = node.stable(2, instance_ids=("i-1",))
    generation = node.generation
    node.join("", "i-1")
    fenced = node.commit_in_transaction(1, generation_id=generation, member_id=first, instance_id="i-1")
    assert fenced is ErrorCode.FENCED_INSTANCE_ID


def test_a_group_that_does_not_exist_has_no_generation(node):
    assert node.commit_in_transaction(1, generation_id=3, member_id="m") is ErrorCode.ILLEGAL_GENERATION
    assert node.commit_in_transaction(1) is ErrorCode.NONE


def test_a_refused_append_leaves_nothing_unstable(node):
    node.commit(5)
    node.append_error = ErrorCode.INVALID_TXN_STATE
    assert node.commit_in_transaction(8) is ErrorCode.INVALID_TXN_STATE
    node.append_error = None
    assert stable(node) is ErrorCode.NONE


def test_a_refused_marker_is_told_and_leaves_the_offset_pending(node):
    node.commit_in_transaction(8)
    node.append_error = ErrorCode.INVALID_PRODUCER_EPOCH
    assert node.end_transaction() is ErrorCode.INVALID_PRODUCER_EPOCH
    node.append_error = None
    assert stable(node) is ErrorCode.UNSTABLE_OFFSET_COMMIT
