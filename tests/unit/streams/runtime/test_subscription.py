"""What members and their leader say to each other, as tools see it and as an enemy might write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.streams.runtime.layout import TaskId
from moldau.streams.runtime.subscription import (
    Given,
    Served,
    Subscription,
    VersionError,
    read_assignment,
    read_subscription,
    task_of,
    tasks_of,
    texts_of,
    write_assignment,
    write_subscription,
)

SUBSCRIPTION = Subscription("p", ["0_1"], ["1_0"], {"0_1": -2, "1_0": 2**40}, 7, "here:1")
ASSIGNMENT = Given(["0_1"], [], {"here:1": Served(["0_1"], [])}, settled=False, look_again=True)


def test_what_is_written_is_read():
    assert read_subscription(write_subscription(["b", "ä"], SUBSCRIPTION)) == SUBSCRIPTION
    assert read_assignment(write_assignment({"t": [1, 0], "u": []}, ASSIGNMENT)) == ASSIGNMENT


def test_nothing_is_nothing_to_do():
    assert read_assignment(b"") == Given([], [], {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1",
        b"\0\1\x7f\xff\xff\xff",
        b"\0\1\0\0\0\1\x7f\xff",
        b"\0\1\0\0\0\0\x7f\xff\xff\xff{",
        b"\0\1\0\0\0\0\xff\xff\xff\xff",
        write_subscription(["t"], SUBSCRIPTION)[:-9],
    ],
)
def test_what_cannot_be_read_is_said(data):
    with pytest.raises(VersionError):
        read_subscription(data)


@given(st.binary(max_size=60))
def test_rubbish_is_never_more_than_an_error(data):
    for read in (read_subscription, read_assignment):
        try:
            read(data)
        except VersionError:
            continue


def test_a_newer_version_is_refused_with_what_to_do():
    newer = Subscription("p", [], [], {}, 1, version=2)
    with pytest.raises(VersionError, match="bring this instance"):
        read_subscription(write_subscription([], newer))


def test_tasks_are_written_as_kafka_writes_them():
    assert texts_of([TaskId(1, 10), TaskId(0, 2)]) == ["0_2", "1_10"]
    assert tasks_of(["0_2", "1_10"]) == {TaskId(0, 2), TaskId(1, 10)}
    assert task_of("3_4") == TaskId(3, 4)
