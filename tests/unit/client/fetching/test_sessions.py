"""A broker is told once what is read of it, and after that only what has changed. (KIP-227)"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.record_batches import batch
from tests.unit.client.fetching.test_machine import BACKOFF_S, machine_of, metadata, spans

from moldau._core import RecordBlock
from moldau.client.fetching.machine import Block
from moldau.client.fetching.reading import Reading, Start
from moldau.client.fetching.sessions import FetchSession, Wanted
from moldau.client.protocol.errors import ConnectionLostError
from moldau.errors import ErrorCode

SESSION = 77


def said(request):
    """Session, its epoch, the partitions that are named with their offsets, and those that are forgotten."""
    values = request.values
    named = {one["partition"]: one["fetch_offset"] for topic in values["topics"] for one in topic["partitions"]}
    forgotten = [number for topic in values["forgotten_topics_data"] for number in topic["partitions"]]
    return values["session_id"], values["session_epoch"], named, forgotten


def answer(machine, request, parts, *, session=SESSION, error=ErrorCode.NONE, end=100, now=1.0):
    """An answer that has, of these partitions only, so many records."""
    positions = {reading.place: reading.position for reading in request.readings}
    blocks, rows = {}, []
    for number, count in parts.items():
        place = ("t", number)
        if count:
            data = batch(positions[place], [(1, None, b"v")] * count)
            blocks[place] = Block(RecordBlock(data, positions[place], None), None)
        rows.append(
            SimpleNamespace(
                partition_index=number, error_code=ErrorCode.NONE, high_watermark=end, last_stable_offset=end
            )
        )
    topics = [SimpleNamespace(topic="t", partitions=rows)] if rows else []
    machine.answered(request, SimpleNamespace(error_code=error, session_id=session, responses=topics), blocks, now)


def test_after_the_first_fetch_a_broker_is_told_what_has_changed():
    machine = machine_of(partitions=3)
    request = machine.next(1, 0.0)
    assert said(request) == (0, 0, {0: 0, 1: 0, 2: 0}, [])
    answer(machine, request, {0: 0, 1: 2, 2: 0})
    request = machine.next(1, 1.0)
    assert said(request) == (SESSION, 1, {1: 2}, [])
    # Of what is not named in the answer there is nothing new.
    answer(machine, request, {})
    assert said(machine.next(1, 1.0)) == (SESSION, 2, {}, [])


def test_what_is_not_read_at_the_moment_is_forgotten_and_named_again_later():
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {0: 0, 1: 0})
    machine.pause([("t", 0)], paused=True)
    request = machine.next(1, 1.0)
    assert said(request) == (SESSION, 1, {}, [0])
    answer(machine, request, {})
    machine.pause([("t", 0)], paused=False)
    assert said(machine.next(1, 1.0)) == (SESSION, 2, {0: 0}, [])


def test_a_partition_that_is_at_its_end_already_is_said_to_be():
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {0: 0, 1: 0}, end=5)
    assert machine.take() == []
    # It is read from elsewhere, and the broker has nothing new to say of that.
    machine.readings["t", 0].position = 5
    answer(machine, machine.next(1, 1.0), {})
    assert spans(machine.take()) == [(0, 0, 5, True)]


def test_a_partition_that_was_given_up_and_taken_again_during_a_fetch_learns_its_end():
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {0: 0, 1: 0}, end=0)
    machine.take()
    request = machine.next(1, 1.0)
    machine.unassign([("t", 0)])
    machine.assign({("t", 0): Start(0, "earliest", 2)})
    machine.learned(metadata(1, 1), 1.0)
    answer(machine, request, {})
    request = machine.next(1, 1.0)
    # The broker has told the end and would not tell it again.
    assert said(request) == (SESSION, 0, {0: 0, 1: 0}, [])
    answer(machine, request, {0: 0, 1: 0}, end=0)
    assert spans(machine.take()) == [(0, 0, 0, True)]


# Whether the broker has to be told that the old one is over.
@pytest.mark.parametrize(
    ("code", "session"), [(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0), (ErrorCode.INVALID_FETCH_SESSION_EPOCH, SESSION)]
)
def test_a_broker_that_does_not_remember_is_told_everything_again_at_once(code, session):
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {0: 0, 1: 0})
    answer(machine, machine.next(1, 1.0), {}, session=0, error=code)
    assert said(machine.next(1, 1.0)) == (session, 0, {0: 0, 1: 0}, [])
    assert machine.take() == []


def test_another_error_of_a_whole_answer_is_one_of_each_partition():
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {0: 0, 1: 0})
    answer(machine, machine.next(1, 1.0), {}, error=ErrorCode.UNKNOWN_SERVER_ERROR)
    assert machine.next(1, 1.0) is None
    assert said(machine.next(1, 1.0 + BACKOFF_S)) == (SESSION, 0, {0: 0, 1: 0}, [])


def test_a_broker_that_keeps_no_sessions_is_told_everything_each_time():
    machine = machine_of(partitions=2)
    for _ in range(3):
        request = machine.next(1, 1.0)
        assert said(request) == (0, 0, {0: 0, 1: 0}, [])
        answer(machine, request, {0: 0, 1: 0}, session=0)


def test_after_a_connection_was_lost_everything_is_told_again():
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {0: 0, 1: 0})
    machine.failed(machine.next(1, 1.0), ConnectionLostError("gone"), 1.0, passes=True)
    machine.learned(metadata(1, 1), 1.0)
    assert said(machine.next(1, 1.0 + BACKOFF_S)) == (SESSION, 0, {0: 0, 1: 0}, [])


def test_a_whole_answer_that_names_nothing_is_of_a_quota_and_not_of_records():
    machine = machine_of(partitions=2)
    answer(machine, machine.next(1, 0.0), {}, session=0)
    assert machine.take() == []
    assert machine.next(1, 1.0) is None
    assert said(machine.next(1, 1.0 + BACKOFF_S)) == (0, 0, {0: 0, 1: 0}, [])


def test_the_epoch_of_a_session_goes_on_at_1_behind_the_greatest():
    session = FetchSession()
    session.ask({("t", 0): Wanted(0, 0, Reading(("t", 0), 0, "earliest", 1))})
    session.answered(ErrorCode.NONE, SESSION)
    session._epoch = 2**31 - 1
    session.answered(ErrorCode.NONE, SESSION)
    assert session.ask({}).session_epoch == 1
