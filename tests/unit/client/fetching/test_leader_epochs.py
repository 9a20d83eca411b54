"""A log that was cut by an unclean election is noticed by its leaders' epochs, also if it has grown since. (KIP-320)"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.record_batches import batch
from tests.unit.client.fetching.test_machine import (
    BACKOFF_S,
    PLACE,
    asked_offset,
    fetched,
    listed,
    metadata,
    spans,
)

from moldau._core import RecordBlock
from moldau.client.fetching import EARLIEST, LATEST, FetchError, FetchSettings, Start
from moldau.client.fetching.machine import Block, FetchMachine
from moldau.client.protocol.errors import ConnectionLostError
from moldau.client.protocol.questions import FETCH, LIST_OFFSETS, OFFSET_FOR_LEADER_EPOCH
from moldau.errors import ErrorCode

UNKNOWN = -1


def machine_of(start=0, *, reset="earliest", leader_epoch=-1, led=5, run=10):
    """A machine that reads one partition, whose leader has the epoch `led`."""
    machine = FetchMachine(FetchSettings())
    machine.assign({PLACE: Start(start, reset, run, leader_epoch=leader_epoch)})
    machine.learned(metadata(1, epoch=led), 0.0)
    return machine


def compared(machine, request, epoch, end, *, code=ErrorCode.NONE, now=1.0):
    """What a leader says of an epoch: the last one that it knows up to that, and where it ends."""
    part = SimpleNamespace(partition=0, error_code=code, leader_epoch=epoch, end_offset=end)
    answer = SimpleNamespace(topics=[SimpleNamespace(topic="t", partitions=[part])])
    machine.answered(request, answer, {}, now)


def fenced(machine, now=1.0, led=6):
    """The leader has another epoch than we know, and so has the cluster."""
    fetched(machine, machine.next(1, now), code=ErrorCode.FENCED_LEADER_EPOCH, now=now)
    machine.learned(metadata(1, epoch=led), now)
    return now + BACKOFF_S


def asked_epochs(request):
    assert request.api_key == OFFSET_FOR_LEADER_EPOCH
    row = request.values["topics"][0]["partitions"][0]
    return row["current_leader_epoch"], row["leader_epoch"]


def test_a_leader_is_told_which_leader_we_take_it_for():
    machine = machine_of()
    request = machine.next(1, 0.0)
    assert request.api_key == FETCH
    assert request.values["topics"][0]["partitions"][0]["current_leader_epoch"] == 5
    machine = machine_of(EARLIEST)
    request = machine.next(1, 0.0)
    assert request.api_key == LIST_OFFSETS
    assert request.values["topics"][0]["partitions"][0]["current_leader_epoch"] == 5


def test_a_new_leader_is_asked_where_the_epoch_ends_that_was_read_before_it_is_read_on():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    now = fenced(machine)
    request = machine.next(1, now)
    assert asked_epochs(request) == (6, 5)
    compared(machine, request, 5, 4, now=now)
    # It has all of it.
    assert spans(machine.take()) == [(0, 4, 4, False)]
    assert asked_offset(machine.next(1, now)) == 4


def test_a_log_that_was_cut_is_read_on_from_where_it_was_cut(caplog):
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    machine.take()
    now = fenced(machine)
    compared(machine, machine.next(1, now), 5, 2, now=now)
    assert asked_offset(machine.next(1, now)) == 2
    assert ["t-0 was cut" in remark for remark in machine.remarks] == [True]


def test_what_waits_of_a_log_that_was_cut_is_not_handed_out():
    machine = machine_of(run=2)
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    assert spans(machine.take()) == [(0, 2, 2, False)]
    now = fenced(machine)
    compared(machine, machine.next(1, now), 5, 3, now=now)
    assert machine.take() == []
    # What was handed out does not come again.
    assert asked_offset(machine.next(1, now)) == 2


def test_what_waits_of_a_log_that_was_cut_twice_is_read_again_from_its_start():
    machine = machine_of(run=10)
    fetched(machine, machine.next(1, 0.0), 10, epoch=5)
    machine.take()
    now = fenced(machine)
    compared(machine, machine.next(1, now), 5, 4, now=now)
    fetched(machine, machine.next(1, now), 4, epoch=6, now=now)
    now = fenced(machine, now, led=7)
    compared(machine, machine.next(1, now), 6, 6, now=now)
    assert machine.take() == []
    assert asked_offset(machine.next(1, now)) == 4


def test_what_waited_before_a_reset_does_not_count_as_read_behind_it():
    machine = machine_of(20, run=10)
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.OFFSET_OUT_OF_RANGE)
    listed(machine, machine.next(1, 1.0), 0)
    assert spans(machine.take()) == [(0, 4, 24, False)]
    fetched(machine, machine.next(1, 1.0), 8, epoch=5)
    now = fenced(machine)
    compared(machine, machine.next(1, now), 5, 5, now=now)
    assert asked_offset(machine.next(1, now)) == 0


def test_a_leader_that_knows_nothing_of_what_was_read_is_read_from_where_the_reset_says():
    machine = machine_of(reset="latest")
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    now = fenced(machine)
    compared(machine, machine.next(1, now), UNKNOWN, UNKNOWN, now=now)
    request = machine.next(1, now)
    assert request.values["topics"][0]["partitions"][0]["timestamp"] == LATEST
    listed(machine, request, 1, now)
    assert asked_offset(machine.next(1, now)) == 1


@pytest.mark.parametrize(("epoch", "end", "said"), [(5, 2, "from offset 2 up to offset 4"), (-1, -1, "up to offset 4")])
def test_without_a_reset_a_log_that_was_cut_is_an_error_that_says_where(epoch, end, said):
    machine = machine_of(reset="none")
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    now = fenced(machine)
    compared(machine, machine.next(1, now), epoch, end, now=now)
    with pytest.raises(FetchError, match=f"t-0 was cut: .*{said}.*\n?hint: auto.offset.reset"):
        machine.take()
    assert machine.next(1, now + 9) is None


def test_what_waits_of_a_log_that_was_cut_is_read_again_by_whoever_goes_on_without_a_reset():
    machine = machine_of(reset="none", run=2)
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    assert spans(machine.take()) == [(0, 2, 2, False)]
    now = fenced(machine)
    compared(machine, machine.next(1, now), 5, 3, now=now)
    with pytest.raises(FetchError, match="from offset 3 up to offset 4"):
        machine.take()
    machine.pause([PLACE], paused=False)
    assert machine.take() == []
    assert asked_offset(machine.next(1, now)) == 2


def test_where_somebody_else_has_come_to_is_compared_before_it_is_read():
    machine = machine_of(7, leader_epoch=3)
    request = machine.next(1, 0.0)
    assert asked_epochs(request) == (5, 3)
    compared(machine, request, 3, 6)
    assert asked_offset(machine.next(1, 1.0)) == 6


@pytest.mark.parametrize("machine", [machine_of(7), machine_of(7, leader_epoch=3, led=-1), machine_of(EARLIEST)])
def test_without_epochs_nothing_is_compared(machine):
    assert machine.next(1, 0.0).api_key in {FETCH, LIST_OFFSETS}


@pytest.mark.parametrize("code", [ErrorCode.UNKNOWN_LEADER_EPOCH, ErrorCode.NOT_LEADER_OR_FOLLOWER])
def test_a_comparison_that_is_refused_is_asked_for_again(code):
    machine = machine_of(7, leader_epoch=3)
    compared(machine, machine.next(1, 0.0), UNKNOWN, UNKNOWN, code=code)
    machine.learned(metadata(2, epoch=6), 1.0)
    assert asked_epochs(machine.next(2, 1.0 + BACKOFF_S)) == (6, 3)


def test_a_leader_that_was_only_out_of_reach_is_not_asked_again():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    machine.failed(machine.next(1, 1.0), ConnectionLostError("gone"), 1.0, passes=True)
    machine.learned(metadata(1, epoch=5), 1.0)
    assert machine.next(1, 1.0 + BACKOFF_S).api_key == FETCH


def test_a_broker_that_cannot_compare_is_read_on_as_before():
    machine = machine_of(7, leader_epoch=3)
    machine.unserved(machine.next(1, 0.0))
    assert asked_offset(machine.next(1, 0.0)) == 7


def test_a_broker_that_has_not_heard_of_a_leader_that_is_known_is_not_believed():
    machine = FetchMachine(FetchSettings())
    machine.assign({PLACE: Start(0, "earliest", 10)})
    machine.learned(metadata(1, epoch=5, topic_id=1), 0.0)
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.NOT_LEADER_OR_FOLLOWER)
    machine.learned(metadata(2, epoch=4, topic_id=1), 1.0)
    assert machine.next(2, 2.0) is None
    machine.learned(metadata(2, epoch=6, topic_id=1), 2.0)
    assert machine.next(2, 2.0) is not None


def test_an_answer_of_the_topic_before_does_not_undo_the_reset_of_one_that_was_made_anew():
    machine = FetchMachine(FetchSettings())
    machine.assign({PLACE: Start(4, "earliest", 10)})
    machine.learned(metadata(1, epoch=5, topic_id=1), 0.0)
    request = machine.next(1, 0.0)
    # Its broker goes from the cluster, and others lead before its answer has come.
    machine.learned(metadata(2, epoch=0, topic_id=1, brokers=(2,)), 0.5)
    machine.learned(metadata(1, epoch=0, topic_id=2, brokers=(1,)), 0.5)
    (reading,) = machine.readings.values()
    assert reading.position == EARLIEST
    block = Block(RecordBlock(batch(4, [(1, None, b"v")] * 3, epoch=5), 4, None), None)
    part = SimpleNamespace(partition_index=0, error_code=ErrorCode.NONE, high_watermark=7, last_stable_offset=7)
    topics = [SimpleNamespace(topic="t", partitions=[part])]
    machine.answered(request, SimpleNamespace(error_code=0, session_id=9, responses=topics), {PLACE: block}, 1.0)
    assert machine.take() == []
    request = machine.next(1, 1.0)
    assert request.values["topics"][0]["partitions"][0]["timestamp"] == EARLIEST
    listed(machine, request, 0, 1.0)
    request = machine.next(1, 1.0)
    assert (asked_offset(request), request.values["session_epoch"]) == (0, 0)


def test_a_topic_that_was_made_anew_is_read_as_the_reset_says_though_its_epochs_are_lower():
    machine = FetchMachine(FetchSettings())
    machine.assign({PLACE: Start(0, "earliest", 10)})
    machine.learned(metadata(1, epoch=5, topic_id=1), 0.0)
    fetched(machine, machine.next(1, 0.0), 4, epoch=5)
    fetched(machine, machine.next(1, 1.0), code=ErrorCode.UNKNOWN_LEADER_EPOCH)
    machine.learned(metadata(1, epoch=0, topic_id=2), 1.0)
    # What was read of the old one before is handed out.
    assert spans(machine.take()) == [(0, 4, 4, False)]
    request = machine.next(1, 2.0)
    assert request.values["topics"][0]["partitions"][0]["timestamp"] == EARLIEST
    listed(machine, request, 0, 2.0)
    request = machine.next(1, 2.0)
    assert (request.api_key, asked_offset(request)) == (FETCH, 0)
