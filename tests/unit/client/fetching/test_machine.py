"""What a reader asks of whom, and what becomes of the answers: without a socket."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.record_batches import batch

from moldau._core import RecordBlock
from moldau.client.fetching import EARLIEST, LATEST, FetchError, FetchSettings, Start, fetch_settings
from moldau.client.fetching.machine import BLOCKS_AHEAD, MISSING_S, Block, FetchMachine
from moldau.client.protocol.errors import ConnectionLostError
from moldau.client.protocol.questions import FETCH, LIST_OFFSETS
from moldau.errors import ErrorCode

PLACE = ("t", 0)
BACKOFF_S = 0.1


def metadata(*leaders, topic="t", code=ErrorCode.NONE, brokers=(1, 2)):
    return SimpleNamespace(
        brokers=[SimpleNamespace(node_id=number, host="h", port=9000 + number) for number in brokers],
        topics=[
            SimpleNamespace(
                name=topic,
                error_code=code,
                partitions=[
                    SimpleNamespace(partition_index=number, leader_id=leader) for number, leader in enumerate(leaders)
                ],
            )
        ],
    )


def machine_of(start=0, *, reset="earliest", run=2, partitions=1, **settings):
    machine = FetchMachine(FetchSettings(**settings))
    machine.assign({("t", number): Start(start, reset, run) for number in range(partitions)})
    assert machine.leaderless(0.0) == ["t"]
    machine.learned(metadata(*[1] * partitions), 0.0)
    return machine


def fetched(machine, request, *counts, code=ErrorCode.NONE, end=100, now=1.0, stable=None, replica=-1):
    """An answer with so many records of each partition that was asked for."""
    blocks, parts = {}, []
    for reading, count in zip(request.readings, counts or [0] * len(request.readings), strict=True):
        if count:
            data = batch(reading.position, [(1, None, b"v")] * count)
            blocks[reading.place] = Block(RecordBlock(data, reading.position, None), None)
        parts.append(
            SimpleNamespace(
                partition_index=reading.place[1],
                error_code=code,
                high_watermark=end,
                last_stable_offset=end if stable is None else stable,
                preferred_read_replica=replica,
            )
        )
    machine.answered(request, SimpleNamespace(responses=[SimpleNamespace(topic="t", partitions=parts)]), blocks, now)


def listed(machine, request, offset, now=1.0):
    part = SimpleNamespace(partition_index=0, error_code=ErrorCode.NONE, offset=offset)
    answer = SimpleNamespace(topics=[SimpleNamespace(name="t", partitions=[part])])
    machine.answered(request, answer, {}, now)


def asked_offset(request):
    return request.values["topics"][0]["partitions"][0]["fetch_offset"]


def spans(taken):
    return [(one.start, one.stop, one.next_offset, one.at_end) for one in taken]


def test_records_are_asked_for_of_the_leader_and_handed_out_in_runs():
    machine = machine_of(5)
    assert machine.next(2, 0.0) is None
    request = machine.next(1, 0.0)
    assert (request.api_key, asked_offset(request)) == (FETCH, 5)
    # One at a time.
    assert machine.next(1, 0.0) is None
    fetched(machine, request, 3, end=8)
    assert spans(machine.take()) == [(0, 2, 7, False)]
    assert spans(machine.take()) == [(2, 3, 8, True)]
    assert machine.take() == []
    assert asked_offset(machine.next(1, 1.0)) == 8


def test_a_partition_is_not_asked_for_while_enough_of_it_waits():
    machine = machine_of()
    for _ in range(BLOCKS_AHEAD):
        fetched(machine, machine.next(1, 0.0), 2)
    assert machine.next(1, 1.0) is None
    machine.take()
    assert machine.next(1, 1.0) is not None


def test_of_what_waits_no_more_is_asked_for_while_too_much_waits_of_all_together():
    machine = machine_of(partitions=2, waiting_bytes_max=10)
    fetched(machine, machine.next(1, 0.0), 2, 2)
    assert machine.next(1, 1.0) is None
    machine.take()
    machine.take()
    assert len(machine.next(1, 1.0).readings) == 2


def test_a_partition_of_which_nothing_waits_is_asked_for_however_much_waits_of_others():
    machine = machine_of(partitions=2, waiting_bytes_max=10)
    fetched(machine, machine.next(1, 0.0), 2, 0)
    # A join that reads ahead on one side is paused there until records of the other come.
    machine.pause([("t", 0)], paused=True)
    request = machine.next(1, 1.0)
    assert [reading.place for reading in request.readings] == [("t", 1)]


def test_partitions_take_turns_when_each_has_more_than_a_run():
    machine = machine_of(partitions=2)
    fetched(machine, machine.next(1, 0.0), 4, 4)
    assert [machine.take()[0].partition for _ in range(4)] == [0, 1, 0, 1]


def test_small_parts_of_several_partitions_are_one_run():
    machine = machine_of(partitions=3, run=10)
    fetched(machine, machine.next(1, 0.0), 4, 4, 4)
    assert [(one.partition, one.stop - one.start) for one in machine.take()] == [(0, 4), (1, 4), (2, 2)]
    assert [(one.partition, one.stop - one.start) for one in machine.take()] == [(2, 2)]


def test_a_broker_does_not_wait_long_for_some_partitions_while_others_have_no_room():
    machine = machine_of(partitions=2)
    assert machine.next(1, 0.0).values["max_wait"] == 100
    machine = machine_of(partitions=2)
    machine.pause([PLACE], paused=True)
    assert machine.next(1, 0.0).values["max_wait"] == 10


def test_what_is_paused_is_neither_asked_for_nor_handed_out():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), 2)
    machine.pause([PLACE], paused=True)
    assert machine.take() == []
    assert machine.next(1, 1.0) is None
    machine.pause([PLACE], paused=False)
    assert spans(machine.take()) == [(0, 2, 2, False)]


def test_the_end_is_told_once_until_there_is_more():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), end=0)
    assert spans(machine.take()) == [(0, 0, 0, True)]
    fetched(machine, machine.next(1, 0.0), end=0)
    assert machine.take() == []
    fetched(machine, machine.next(1, 0.0), 1, end=1)
    assert spans(machine.take()) == [(0, 1, 1, True)]


def test_the_end_of_what_is_committed_is_the_last_stable_offset():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), 2, end=9, stable=2)
    assert machine.take()[0].at_end
    assert machine.readings[PLACE].end == 2
    machine = machine_of(read_committed=False)
    fetched(machine, machine.next(1, 0.0), 2, end=9, stable=2)
    assert not machine.take()[0].at_end


@pytest.mark.parametrize("start", [EARLIEST, LATEST])
def test_where_a_partition_begins_and_ends_is_looked_up(start):
    machine = machine_of(start)
    request = machine.next(1, 0.0)
    assert request.api_key == LIST_OFFSETS
    assert request.values["topics"][0]["partitions"][0]["timestamp"] == start
    listed(machine, request, 42)
    assert asked_offset(machine.next(1, 1.0)) == 42


def test_an_offset_that_is_not_there_any_more_is_reset_as_was_asked():
    machine = machine_of(5, reset="latest")
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.OFFSET_OUT_OF_RANGE)
    request = machine.next(1, 1.0)
    assert request.values["topics"][0]["partitions"][0]["timestamp"] == LATEST


def test_without_a_reset_an_offset_that_is_not_there_is_an_error_and_the_others_go_on():
    machine = machine_of(5, reset="none", partitions=2)
    machine.unassign([("t", 1)])
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.OFFSET_OUT_OF_RANGE)
    machine.assign({("t", 1): Start(0, "none", 2)})
    with pytest.raises(FetchError, match="t-0 has no offset 5 any more"):
        machine.take()
    machine.learned(metadata(1, 1), 2.0)
    assert [one.place for one in machine.next(1, 2.0).readings] == [("t", 1)]


def test_a_leader_that_has_moved_is_found_again():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert machine.next(1, 1.0 + BACKOFF_S) is None
    assert machine.leaderless(1.0) == ["t"]
    machine.learned(metadata(2), 1.0)
    assert machine.next(2, 1.0) is None
    assert machine.wait_s(2, 1.0) == pytest.approx(BACKOFF_S)
    assert machine.next(2, 1.0 + BACKOFF_S) is not None


def test_a_broker_that_does_not_answer_is_asked_for_nothing_until_the_leaders_are_known_again():
    machine = machine_of()
    machine.failed(machine.next(1, 0.0), ConnectionLostError("gone"), 1.0, passes=True)
    assert machine.next(1, 5.0) is None
    assert machine.leaderless(5.0) == ["t"]
    assert machine.take() == []


def test_a_partition_of_a_broker_that_is_gone_is_led_by_another_although_nobody_asked_for_it():
    machine = machine_of(partitions=2)
    fetched(machine, machine.next(1, 0.0), 2, 0)
    # Of the first one nothing is asked meanwhile, so no failure says that its broker is gone.
    machine.pause([PLACE], paused=True)
    machine.failed(machine.next(1, 1.0), ConnectionLostError("gone"), 1.0, passes=True)
    machine.learned(metadata(2, 2, brokers=(2,)), 5.0)
    machine.pause([PLACE], paused=False)
    assert {reading.place for reading in machine.next(2, 6.0).readings} == {PLACE, ("t", 1)}


def test_leaders_are_not_asked_for_in_a_busy_loop():
    machine = machine_of()
    machine.failed(machine.next(1, 0.0), ConnectionLostError("gone"), 1.0, passes=True)
    machine.not_learned(ConnectionLostError("gone"), 1.0, passes=True)
    assert machine.leaderless(1.0) == []
    assert machine.ask_leaders_in_s(1.0) == pytest.approx(BACKOFF_S)


def test_what_no_other_try_will_change_is_raised_once():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(FetchError, match="t-0 cannot be read") as refused:
        machine.take()
    assert refused.value.code is ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert machine.take() == []


def test_a_topic_that_stays_unknown_is_an_error_one_that_comes_back_is_not():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    machine.learned(metadata(code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), 1.0)
    assert machine.take() == []
    machine.learned(metadata(code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), 1.5 + MISSING_S)
    with pytest.raises(FetchError, match="t-0 is not there any more"):
        machine.take()


def test_damaged_records_are_an_error_that_says_where():
    machine = machine_of()
    request = machine.next(1, 0.0)
    part = SimpleNamespace(partition_index=0, error_code=ErrorCode.NONE, high_watermark=9, last_stable_offset=9)
    answer = SimpleNamespace(responses=[SimpleNamespace(topic="t", partitions=[part])])
    machine.answered(request, answer, {PLACE: Block(None, "the checksum of the batch at offset 0 is wrong")}, 1.0)
    with pytest.raises(FetchError, match="t-0 cannot be read on: the checksum of the batch at offset 0 is wrong"):
        machine.take()
    # Not again and again.
    assert machine.next(1, 9.0) is None


def test_an_answer_about_what_was_given_up_meanwhile_is_dropped():
    machine = machine_of()
    request = machine.next(1, 0.0)
    machine.unassign([PLACE])
    machine.assign({PLACE: Start(50, "earliest", 2)})
    fetched(machine, request, 2)
    assert machine.take() == []
    machine.learned(metadata(1), 1.0)
    assert asked_offset(machine.next(1, 1.0)) == 50


def test_a_nearer_replica_is_asked_until_it_refuses():
    machine = machine_of(rack="here")
    fetched(machine, machine.next(1, 0.0), replica=2)
    assert machine.next(1, 1.0) is None
    request = machine.next(2, 1.0)
    assert request.values["rack_id"] == "here"
    fetched(machine, request, code=ErrorCode.OFFSET_OUT_OF_RANGE)
    # It may be behind: the leader is asked before anything is reset.
    request = machine.next(1, 2.0)
    assert request.api_key == FETCH


def test_a_nearer_replica_of_which_nobody_knows_where_it_is_is_not_asked():
    machine = machine_of(rack="here")
    fetched(machine, machine.next(1, 0.0), replica=7)
    assert machine.next(1, 1.0).api_key == FETCH


def test_settings_are_read_by_librdkafkas_names():
    read = fetch_settings(
        {
            "auto.offset.reset": "smallest",
            "isolation.level": "read_uncommitted",
            "fetch.wait.max.ms": 7,
            "fetch.message.max.bytes": "1000",
            "queued.max.messages.kbytes": 2,
            "client.rack": "here",
        }
    )
    assert read == FetchSettings(
        read_committed=False,
        reset="earliest",
        max_wait_ms=7,
        partition_max_bytes=1000,
        waiting_bytes_max=2048,
        rack="here",
    )
