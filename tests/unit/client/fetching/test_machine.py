"""What a reader asks of whom, and what becomes of the answers: without a socket."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.record_batches import batch

from moldau._core import RecordBlock
from moldau.client.fetching import EARLIEST, LATEST, FetchError, FetchSettings, Start, fetch_settings
from moldau.client.fetching.machine import BLOCKS_AHEAD, MISSING_S, QUIET_AFTER, Block, FetchMachine
from moldau.client.fetching.reading import SAY_AGAIN_S, SILENCE_S
from moldau.client.protocol.errors import ConnectionLostError
from moldau.client.protocol.questions import FETCH, LIST_OFFSETS
from moldau.client.settings import ClientSettingsError
from moldau.errors import ErrorCode

PLACE = ("t", 0)
BACKOFF_S = 0.1


def metadata(*leaders, topic="t", code=ErrorCode.NONE, brokers=(1, 2), epoch=-1, topic_id=None):
    return SimpleNamespace(
        brokers=[SimpleNamespace(node_id=number, host="h", port=9000 + number) for number in brokers],
        topics=[
            SimpleNamespace(
                name=topic,
                topic_id=topic_id,
                error_code=code,
                partitions=[
                    SimpleNamespace(partition_index=number, leader_id=leader, leader_epoch=epoch)
                    for number, leader in enumerate(leaders)
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


def fetched(machine, request, *counts, code=ErrorCode.NONE, end=100, now=1.0, stable=None, replica=-1, epoch=0):
    """An answer with so many records of each partition that was asked for."""
    blocks, parts = {}, []
    for reading, count in zip(request.readings, counts or [0] * len(request.readings), strict=True):
        if count:
            data = batch(reading.position, [(1, None, b"v")] * count, epoch=epoch)
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
    request = machine.next(1, 0.0)
    assert request.values["max_wait"] == 100
    for _ in range(BLOCKS_AHEAD):
        fetched(machine, request, 2, 0)
        request = machine.next(1, 1.0)
    assert [reading.place for reading in request.readings] == [("t", 1)]
    assert request.values["max_wait"] == 10


def test_a_broker_waits_as_long_as_it_may_while_others_of_its_partitions_are_paused():
    machine = machine_of(partitions=2)
    machine.pause([PLACE], paused=True)
    assert machine.next(1, 0.0).values["max_wait"] == 100


def test_a_broker_that_has_had_nothing_for_some_time_waits_longer_until_something_changes():
    machine = machine_of()
    waits = []
    for count in (*[0] * (QUIET_AFTER + 1), 1, 0):
        request = machine.next(1, 1.0)
        waits.append(request.values["max_wait"])
        fetched(machine, request, count)
    assert waits == [*[100] * QUIET_AFTER, 500, 500, 100]
    for _ in range(QUIET_AFTER):
        fetched(machine, machine.next(1, 1.0), 0)
    machine.assign({("t", 1): Start(0, "earliest", 2)})
    assert machine.next(1, 1.0).values["max_wait"] == 100


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


def test_an_error_that_nobody_knows_is_tried_again():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), code=9999)
    assert machine.take() == []
    assert any("UNKNOWN_SERVER_ERROR" in remark for remark in machine.remarks)
    request = machine.next(1, 1.0 + BACKOFF_S)
    assert asked_offset(request) == 0
    machine.failed(request, ConnectionLostError("gone"), 2.0, passes=True)
    machine.learned(metadata(code=9999), 2.0)
    machine.learned(metadata(1), 3.0)
    assert asked_offset(machine.next(1, 3.0)) == 0


def test_a_topic_that_stays_unknown_is_an_error_one_that_comes_back_is_not():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    machine.learned(metadata(code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), 1.0)
    assert machine.take() == []
    machine.learned(metadata(code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), 1.5 + MISSING_S)
    with pytest.raises(FetchError, match="t-0 is not there any more"):
        machine.take()


def test_a_topic_that_was_unknown_once_has_as_much_time_the_next_time():
    machine = machine_of(LATEST)
    unknown = metadata(code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    for began in (1.0, 1.0 + 2 * MISSING_S):
        machine.failed(machine.next(1, began), ConnectionLostError("gone"), began, passes=True)
        machine.learned(unknown, began)
        machine.learned(metadata(1), began + 1.0)
        assert machine.take() == []


def test_a_topic_that_may_go_is_waited_for_and_asked_for_ever_more_rarely():
    machine = FetchMachine(FetchSettings())
    machine.assign({PLACE: Start(0, "earliest", 2, may_go=True)})
    now, asked = 0.0, []
    while now < 100:
        now += machine.ask_leaders_in_s(now) + 1e-6
        assert machine.leaderless(now) == ["t"]
        asked.append(now)
        machine.learned(metadata(code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), now)
    assert machine.take() == []
    assert machine.missing == {PLACE: pytest.approx(asked[-1] - asked[0])}
    assert len(asked) < 25
    assert asked[-1] - asked[-2] == pytest.approx(MISSING_S, abs=0.01)
    assert any("t-0 cannot be read" in remark for remark in machine.remarks)
    machine.learned(metadata(1), now)
    assert machine.missing == {}
    assert asked_offset(machine.next(1, now)) == 0


# Whether there is somebody to look after it at once, or whether it passes nearly always.
@pytest.mark.parametrize(
    ("code", "silence_s"), [(ErrorCode.UNKNOWN_SERVER_ERROR, 0.0), (ErrorCode.NOT_LEADER_OR_FOLLOWER, SILENCE_S)]
)
def test_what_is_tried_again_is_said_in_the_log_now_and_then(code, silence_s):
    machine, told = machine_of(5), []
    for second in range(int(silence_s + SAY_AGAIN_S) + 1):
        machine.learned(metadata(1), second)
        fetched(machine, machine.next(1, second), code=code, now=second)
        told += [(second, remark) for remark in machine.remarks]
        machine.remarks.clear()
    assert [second for second, _ in told] == [silence_s, silence_s + SAY_AGAIN_S]
    assert all("t-0 cannot be read from offset 5 on" in remark and code.name in remark for _, remark in told)
    fetched(machine, (machine.learned(metadata(1), 90.0), machine.next(1, 90.0))[1], now=90.0)
    assert machine.readings[PLACE].stuck_since is None


def test_a_partition_without_a_leader_is_said_in_the_log():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.NOT_LEADER_OR_FOLLOWER)
    machine.learned(metadata(-1), 1.0)
    machine.learned(metadata(-1), 1.0 + SILENCE_S)
    assert ["LEADER_NOT_AVAILABLE" in remark for remark in machine.remarks] == [True]


def test_records_that_their_broker_finds_damaged_are_an_error_that_says_where_and_what_to_do():
    machine = machine_of(7)
    fetched(machine, machine.next(1, 0.0), code=ErrorCode.CORRUPT_MESSAGE)
    with pytest.raises(FetchError, match=r"t-0 cannot be read on: .*offset 7.*\n?hint: .*moldau group seek") as damaged:
        machine.take()
    assert damaged.value.code is ErrorCode.CORRUPT_MESSAGE
    assert machine.next(1, 9.0) is None


def damaged(machine, request):
    """An answer whose records nobody can read."""
    (reading,) = request.readings
    part = SimpleNamespace(
        partition_index=reading.place[1], error_code=ErrorCode.NONE, high_watermark=9, last_stable_offset=9
    )
    answer = SimpleNamespace(responses=[SimpleNamespace(topic="t", partitions=[part])])
    why = f"the checksum of the batch at offset {reading.position} is wrong"
    machine.answered(request, answer, {reading.place: Block(None, why)}, 1.0)


def test_damaged_records_are_an_error_that_says_where():
    machine = machine_of()
    damaged(machine, machine.next(1, 0.0))
    said = r"t-0 cannot be read on: the checksum of the batch at offset 0 is wrong\nhint: .*--topic t:0 --to OFFSET"
    with pytest.raises(FetchError, match=said):
        machine.take()
    # Not again and again.
    assert machine.next(1, 9.0) is None
    assert machine.take() == []


def test_what_was_whole_before_damaged_records_is_handed_out_before_the_error():
    machine = machine_of(run=2)
    fetched(machine, machine.next(1, 0.0), 3, end=9)
    damaged(machine, machine.next(1, 0.0))
    assert machine.next(1, 9.0) is None
    assert spans(machine.take()) == [(0, 2, 2, False)]
    assert spans(machine.take()) == [(2, 3, 3, False)]
    with pytest.raises(FetchError, match="at offset 3"):
        machine.take()
    machine.pause([PLACE], paused=False)
    assert asked_offset(machine.next(1, 9.0)) == 3


def test_the_error_of_a_partition_that_is_paused_waits_until_it_is_resumed():
    machine = machine_of(partitions=2)
    fetched(machine, machine.next(1, 0.0), 2, 0, end=9)
    machine.pause([("t", 1)], paused=True)
    damaged(machine, machine.next(1, 0.0))
    machine.pause([PLACE], paused=True)
    machine.pause([("t", 1)], paused=False)
    assert machine.take() == []
    request = machine.next(1, 1.0)
    assert [reading.place for reading in request.readings] == [("t", 1)]
    fetched(machine, request, 1)
    assert [one.partition for one in machine.take()] == [1]
    machine.pause([PLACE], paused=False)
    assert [one.partition for one in machine.take()] == [0]
    with pytest.raises(FetchError, match="t-0 cannot be read on"):
        machine.take()


def test_the_error_of_a_partition_that_is_given_up_goes_with_it():
    machine = machine_of(partitions=2)
    machine.pause([("t", 1)], paused=True)
    damaged(machine, machine.next(1, 0.0))
    machine.unassign([PLACE])
    assert machine.take() == []


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
            "fetch.max.bytes": 200 << 20,
            "queued.max.messages.kbytes": 2,
            "client.rack": "here",
        }
    )
    assert read == FetchSettings(
        read_committed=False,
        reset="earliest",
        max_wait_ms=7,
        quiet_wait_ms=7,
        max_bytes=200 << 20,
        partition_max_bytes=1000,
        answer_bytes_max=201 << 20,
        waiting_bytes_max=2048,
        rack="here",
    )


def test_an_answer_may_be_as_large_as_librdkafkas_setting_says():
    assert fetch_settings({"receive.message.max.bytes": 500 << 20}).answer_bytes_max == 500 << 20
    assert fetch_settings({}).answer_bytes_max == 100 << 20
    assert fetch_settings({"fetch.max.bytes": 2**31 - 1}).answer_bytes_max == 2**31 - 1


@pytest.mark.parametrize("settings", [{"auto.offset.reset": "erliest"}, {"fetch.min.bytes": "many"}])
def test_a_value_that_cannot_be_used_is_an_error_that_names_the_setting(settings):
    with pytest.raises(ClientSettingsError, match=next(iter(settings))):
        fetch_settings(settings)


def test_room_comes_of_blocks_that_were_handed_out_whole():
    machine = machine_of()
    fetched(machine, machine.next(1, 0.0), 3)
    machine.take()
    assert machine.used_up == 0, "one of its three records is still here"
    machine.take()
    assert machine.used_up == 1
