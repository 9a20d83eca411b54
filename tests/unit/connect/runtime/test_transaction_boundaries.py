"""Where transactions of a source task end."""

import pytest

from moldau.connect.errors import ConnectError
from moldau.connect.records import SourceRecord
from moldau.connect.runtime.transaction_boundaries import Verdict, boundary_of


def record() -> SourceRecord:
    return SourceRecord({"file": "a"}, {"line": 1}, "lines", value="same")


def test_each_poll_is_a_transaction_unless_something_else_is_asked_for():
    boundary = boundary_of({}, 60)

    assert boundary.context is None
    assert boundary.after_record(record()) is Verdict.GO_ON
    assert boundary.after_batch(0) is Verdict.COMMIT
    assert boundary.at_end() is Verdict.COMMIT


@pytest.mark.parametrize(
    ("config", "interval_s"),
    [
        ({"transaction.boundary": "interval", "transaction.boundary.interval.ms": "500"}, 0.5),
        ({"transaction.boundary": "INTERVAL"}, 60),
    ],
)
def test_an_interval_ends_with_the_first_batch_behind_it(config, interval_s):
    boundary = boundary_of(config, 60)
    boundary.begin(100)

    assert boundary.after_batch(100 + interval_s * 0.9) is Verdict.GO_ON
    assert boundary.after_batch(100 + interval_s) is Verdict.COMMIT
    assert boundary.after_batch(100 + interval_s * 1.9) is Verdict.GO_ON
    assert boundary.at_end() is Verdict.COMMIT


def test_a_pause_begins_the_interval_anew():
    boundary = boundary_of({"transaction.boundary": "interval", "transaction.boundary.interval.ms": "1000"}, 60)
    boundary.begin(0)
    boundary.begin(100)

    assert boundary.after_batch(100.5) is Verdict.GO_ON


def by_connector():
    boundary = boundary_of({"transaction.boundary": "connector"}, 60)
    assert boundary.context is not None
    return boundary, boundary.context


def test_a_connector_says_after_which_record_and_after_which_batch():
    boundary, context = by_connector()
    first, last = record(), record()
    context.commit_transaction(last)

    assert boundary.after_record(first) is Verdict.GO_ON
    assert boundary.after_record(last) is Verdict.COMMIT
    assert boundary.after_record(last) is Verdict.GO_ON
    assert boundary.after_batch(0) is Verdict.GO_ON

    context.abort_transaction(first)
    context.commit_transaction()
    assert boundary.after_record(first) is Verdict.ABORT
    assert boundary.after_batch(0) is Verdict.COMMIT
    assert boundary.after_batch(0) is Verdict.GO_ON


def test_what_a_connector_has_not_said_at_the_end_is_not_kept():
    boundary, context = by_connector()

    assert boundary.at_end() is Verdict.GO_ON
    context.abort_transaction()
    assert boundary.at_end() is Verdict.ABORT


def test_a_connector_that_wants_both_is_wrong():
    boundary, context = by_connector()
    wanted = record()
    context.commit_transaction(wanted)
    context.abort_transaction(wanted)
    with pytest.raises(ConnectError, match="both commit and abort of same record against topic/partition lines/null"):
        boundary.after_record(wanted)

    context.commit_transaction()
    context.abort_transaction()
    with pytest.raises(ConnectError, match="both commit and abort of same transaction"):
        boundary.after_batch(0)
