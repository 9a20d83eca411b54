"""An offset is kept when everything before it has arrived, in whatever order the acknowledgements come."""

import itertools

from moldau.connect.runtime.submitted import SubmittedRecords

A, B = {"file": "a"}, {"file": "b"}


def test_no_offset_is_given_before_those_in_front_of_it_have_arrived():
    for order in itertools.permutations(range(4)):
        records = SubmittedRecords()
        submitted = [records.submit(A, {"at": number}) for number in range(4)]
        arrived: set[int] = set()
        kept = -1
        for number in order:
            submitted[number].acknowledge()
            arrived.add(number)
            for _, offset in records.take_committable():
                kept = offset["at"]
            whole = next((each for each in range(4) if each not in arrived), 4) - 1
            assert kept == whole


def test_partitions_do_not_wait_for_each_other():
    records = SubmittedRecords()
    records.submit(A, {"at": 1})
    records.submit(B, {"at": 2}).acknowledge()

    assert records.take_committable() == [(B, {"at": 2})]
    assert records.take_committable() == []


def test_a_partition_with_nested_values_is_one_partition():
    records = SubmittedRecords()
    first = records.submit({"a": {"b": [1]}}, {"at": 1})
    records.submit({"a": {"b": [1]}}, {"at": 2}).acknowledge()
    assert records.take_committable() == []

    first.acknowledge()
    assert records.take_committable() == [({"a": {"b": [1]}}, {"at": 2})]


def test_offsets_that_could_not_be_kept_are_given_again_unless_a_newer_one_is_there():
    records = SubmittedRecords()
    records.submit(A, {"at": 1}).acknowledge()
    records.submit(B, {"at": 1}).acknowledge()
    taken = records.take_committable()
    records.submit(A, {"at": 2}).acknowledge()
    records.give_back(taken)

    assert sorted(records.take_committable(), key=str) == [(A, {"at": 2}), (B, {"at": 1})]


def test_waiting_ends_when_the_last_one_has_arrived():
    records = SubmittedRecords()
    submitted = records.submit(A, None)
    assert not records.wait_for_all(0)

    submitted.acknowledge()
    assert records.wait_for_all(0)
