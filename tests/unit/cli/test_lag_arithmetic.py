"""What a lag is: from where a group goes on to the end, and how long the next record has been waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.cli.lag.arithmetic import Ends, FirstRecord, Sample, is_over, records, sums

AT = ("billing", "orders", 0)
NOW_MS = 1_000_000


def sample(committed, start=0, end=100, high=None, at_s=10.0):
    return Sample(at_s, {AT: committed}, {AT[1:]: Ends(start, end, end if high is None else high)})


def row(now, first=None, before=None):
    (found,) = records(before, now, first or {}, NOW_MS)
    return found


def test_lag_is_the_distance_from_the_committed_offset_to_the_end():
    assert row(sample(40))["lag"] == 60


def test_a_group_that_has_committed_nothing_begins_at_the_log_start_and_not_at_zero():
    found = row(sample(None, start=70))
    assert (found["next_offset"], found["lag"], found["lost"]) == (70, 30, 0)


def test_records_that_were_deleted_before_they_were_read_are_lost_and_not_lag():
    found = row(sample(40, start=70))
    assert (found["next_offset"], found["lag"], found["lost"]) == (70, 30, 30)


def test_a_hole_where_the_group_goes_on_is_no_lag():
    # Compacted away, or the marker of a transaction.
    assert row(sample(40), {AT: FirstRecord(90, None, None)})["lag"] == 10
    # Holes up to the end: nothing waits.
    found = row(sample(99), {AT: None})
    assert (found["next_offset"], found["lag"], found["lag_s"]) == (100, 0, 0.0)


def test_what_is_behind_an_open_transaction_is_undecided_and_not_lag():
    found = row(sample(40, end=50, high=80))
    assert (found["lag"], found["undecided"]) == (10, 30)


def test_an_offset_behind_the_end_is_no_negative_lag():
    # The topic was deleted and made anew.
    assert row(sample(400))["lag"] == 0


def test_seconds_are_the_age_of_the_next_record():
    found = row(sample(40), {AT: FirstRecord(40, NOW_MS - 2500, "create-time")})
    assert (found["lag_s"], found["lag_s_from"]) == (2.5, "create-time")
    ahead = row(sample(40), {AT: FirstRecord(40, NOW_MS + 9000, "create-time")})
    assert ahead["lag_s"] == 0.0
    unstamped = row(sample(40), {AT: FirstRecord(40, None, None)})
    assert (unstamped["lag_s"], unstamped["lag_s_from"]) == (None, None)
    assert row(sample(40))["lag_s"] is None
    assert row(sample(100))["lag_s"] == 0.0


def test_rates_and_the_time_to_catch_up_come_from_two_samples():
    found = row(sample(60, end=120, at_s=12.0), before=sample(40, end=110, at_s=10.0))
    assert (found["consumed_per_s"], found["produced_per_s"], found["catch_up_s"]) == (10.0, 5.0, 12.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (sample(40, end=100), sample(50, end=120, at_s=11)),  # falls behind
        (sample(40, end=100), sample(50, end=110, at_s=11)),  # keeps the distance
        (sample(None, end=100), sample(50, end=100, at_s=11)),  # its rate is not known
        (None, sample(50, end=100)),
    ],
)
def test_who_does_not_gain_on_the_end_never_catches_up(before, now):
    assert row(now, before=before)["catch_up_s"] is None


def test_a_group_without_lag_has_caught_up():
    assert row(sample(100), before=sample(100, at_s=9))["catch_up_s"] == 0.0


def test_a_threshold_is_passed_by_more_and_not_by_as_many():
    behind = {"lag": 10, "lag_s": 5.0}
    assert not is_over(behind, 10, None)
    assert is_over(behind, 9, None)
    assert not is_over(behind, None, 5.0)
    assert is_over(behind, None, 4.9)
    assert not is_over(behind, None, None)
    assert not is_over({"lag": 10, "lag_s": None}, None, 0.0)


@given(
    committed=st.none() | st.integers(0, 2**62),
    start=st.integers(0, 2**62),
    length=st.integers(0, 2**40),
    undecided=st.integers(0, 1000),
    skipped=st.integers(0, 2**41) | st.none(),
)
def test_lag_is_never_negative_and_never_more_than_the_log_holds(committed, start, length, undecided, skipped):
    now = sample(committed, start, start + length, start + length + undecided)
    first = {AT: None if skipped is None else FirstRecord(now.next_offset(AT) + skipped, 0, "create-time")}
    for read in ({}, first):
        found = row(now, read)
        assert 0 <= found["lag"] <= length
        assert found["undecided"] == undecided
        assert found["next_offset"] >= start


def test_sums_add_records_and_take_the_longest_wait():
    def part(lag, lag_s, per_s, catch_up_s, topic="orders"):
        figures = {"lag": lag, "lag_s": lag_s, "consumed_per_s": per_s, "catch_up_s": catch_up_s}
        return {"group": "billing", "topic": topic, **figures}

    (whole,) = sums([part(60, 2.5, 10.0, 6.0), part(0, 0.0, 0.5, 0.0), part(7, 9.0, None, 1.0)])
    assert whole == {
        "group": "billing",
        "topic": "orders",
        "partitions": 3,
        "behind": 2,
        "lag": 67,
        "lag_s": 9.0,
        "consumed_per_s": 10.5,
        "catch_up_s": 6.0,
    }
    (nobody_knows,) = sums([part(60, None, None, None), part(1, 2.0, None, 3.0)])
    assert (nobody_knows["lag_s"], nobody_knows["consumed_per_s"], nobody_knows["catch_up_s"]) == (None, None, None)
    assert [row["topic"] for row in sums([part(0, 0.0, 0.0, 0.0), part(0, 0.0, 0.0, 0.0, topic="b")])] == [
        "orders",
        "b",
    ]
