"""In which order a task takes records of several inputs, and what it waits for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.client.fetching import Fetched
from moldau.streams import StreamsBuilder
from moldau.streams.dsl.options import Consumed
from moldau.streams.errors import TimestampError, UnwritableError
from moldau.streams.operators.record_cache import AROUND_BYTES, CacheBudget
from moldau.streams.runtime.exception_handlers import Response, log_and_continue, log_and_fail
from moldau.streams.runtime.layout import LayoutOptions, TaskId, lay_out
from moldau.streams.runtime.outcomes import ProductionError, TaskMigratedError
from moldau.streams.runtime.stream_task import HeldBackError, StreamTask, TaskParts
from moldau.streams.state import open_in_memory


def records(*times, start=0):
    return [(start + index, time, b"k", str(time).encode(), ()) for index, time in enumerate(times)]


def task_of(topics, *, max_idle_ms=0, extractor=None, handler=log_and_fail, ends=None):
    builder = StreamsBuilder()
    consumed = Consumed.with_(str, str, timestamp_extractor=extractor)
    out = []
    first, *others = [builder.stream(topic, consumed) for topic in topics]
    for other in others:
        first = first.merge(other)
    first.for_each(lambda key, value: out.append(value))
    topology = builder.build()
    layout = lay_out(topology, dict.fromkeys(topics, 1), LayoutOptions("app"))
    parts = TaskParts(
        topology,
        "app",
        lambda: 0,
        open_in_memory,
        lambda *record: None,
        handler,
        handler,
        handler,
        lambda failure: None,
        max_idle_ms,
        known_end=lambda topic, partition: (ends or {}).get(topic, -1),
    )
    return StreamTask(TaskId(0, 0), layout.sub_topologies[0], parts), out


def test_records_of_several_inputs_come_in_the_order_of_their_times():
    task, out = task_of(["a", "b"])
    task.add("a", records(1, 4, 5))
    task.add("b", records(2, 3, 6))
    task.at_end("a")
    task.at_end("b")
    assert task.process(0) == 6
    assert out == ["1", "2", "3", "4", "5", "6"]
    assert sorted(task.positions()) == [("a", 3, 5), ("b", 3, 6)]


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=2, max_size=4), st.booleans())
def test_records_of_any_times_come_one_by_one_in_order_and_those_of_the_first_input_first(times, extracts):
    topics = [f"in{number}" for number in range(len(times))]
    extractor = (lambda timestamp, key, value, before: int(value)) if extracts else None
    task, out = task_of(topics, extractor=extractor)
    waiting = []
    for topic, given_times in zip(topics, times, strict=True):
        task.add(topic, records(*given_times))
        task.at_end(topic)
        waiting.append(list(given_times))
    expected = []
    while any(waiting):
        _, first = min((one[0], number) for number, one in enumerate(waiting) if one)
        expected.append(str(waiting[first].pop(0)))
    assert task.process(0) == len(expected)
    assert out == expected
    assert sorted(task.positions()) == [
        (topic, len(given_times), max(given_times))
        for topic, given_times in zip(topics, times, strict=True)
        if given_times
    ]


class Records:
    """What a block has for a task."""

    def __init__(self, *held, leader_epochs=()):
        self.held, self.leader_epochs = held, leader_epochs

    def records(self, start, stop):
        return self.held[start:stop]


def fetched(next_offset, *held):
    return Fetched("a", 0, Records(*held), 0, len(held), next_offset, at_end=True)


def test_what_nobody_sees_at_the_end_of_an_input_is_committed_too():
    task, _ = task_of(["a"])
    task.start_at("a", 0, -1, {})
    task.take(fetched(1, *records(7)))
    task.process(0)
    assert task.positions() == [("a", 1, 7)]
    task.committed({})
    # The marker of a transaction, or the place of a record that was compacted away.
    task.take(fetched(2))
    assert task.needs_commit
    assert task.positions() == [("a", 2, 7)]
    task.committed({})
    # That there is no more is nothing to commit.
    task.take(Fetched("a", 0, None, 0, 0, 2, at_end=True))
    assert not task.needs_commit


def test_the_epoch_beside_a_position_is_that_of_the_record_before_it():
    task, _ = task_of(["a"])
    source = task.inputs["a"]
    task.start_at("a", 5, -1, {}, 1)
    assert source.leader_epoch == 1
    source.note_leader_epochs([(4, 1), (6, 2), (8, 4)])
    source.note_leader_epochs([(4, 1), (6, 2), (8, 4)])
    for position, epoch in ((5, 1), (6, 1), (7, 2), (8, 2), (9, 4)):
        source.position = position
        assert source.leader_epoch == epoch
    # The log was cut at 7, and has others from there on.
    source.note_leader_epochs([(7, 5)])
    source.position = 8
    assert source.leader_epoch == 5
    task.start_at("a", -2, -1, {})
    assert source.leader_epoch == -1


def test_what_nobody_sees_is_not_committed_before_the_records_that_wait_before_it():
    task, out = task_of(["a"])
    task.start_at("a", 0, -1, {})
    task.take(fetched(1, *records(7)))
    task.take(fetched(2))
    assert not task.needs_commit
    task.process(0)
    assert (out, task.positions()) == (["7"], [("a", 2, 7)])


def test_an_input_that_has_more_on_the_cluster_is_waited_for():
    task, out = task_of(["a", "b"])
    task.add("a", records(10))
    assert task.process(0) == 0
    task.add("b", records(5))
    # b may have more that is older than a's.
    assert task.process(0) == 1
    task.at_end("b")
    assert task.process(0) == 1
    assert out == ["5", "10"]


def test_an_input_at_its_end_is_waited_for_as_long_as_was_asked():
    task, out = task_of(["a", "b"], max_idle_ms=100)
    task.add("a", records(10))
    task.at_end("b")
    assert (task.process(1000), task.process(1099)) == (0, 0)
    assert task.process(1100) == 1
    assert out == ["10"]


def test_without_idling_nothing_is_waited_for():
    task, out = task_of(["a", "b"], max_idle_ms=-1)
    task.add("a", records(10))
    assert task.process(0) == 1
    assert out == ["10"]


def test_the_order_is_that_of_the_extracted_times():
    task, out = task_of(["a", "b"], extractor=lambda timestamp, key, value, before: 100 - int(value))
    task.add("a", records(1, 2))
    task.add("b", records(3, 4))
    task.at_end("a")
    task.at_end("b")
    task.process(0)
    assert out == ["3", "4", "1", "2"]


def test_the_timestamp_0_is_a_time():
    task, out = task_of(["a", "b"])
    task.add("a", records(1))
    task.add("b", records(0))
    task.process(0)
    assert out == ["0"]
    assert task.context.stream_time == 0
    assert task.positions() == [("b", 1, 0)]


@pytest.mark.parametrize("partition_time", [-1, 77])
def test_stream_time_goes_on_where_the_last_owner_was(partition_time):
    task, _ = task_of(["a"])
    task.start_at("a", 0, partition_time, {})
    assert task.context.stream_time == partition_time


@pytest.mark.parametrize("failure", [TaskMigratedError("fenced"), ProductionError("not written")])
def test_an_error_of_what_was_written_before_is_not_taken_for_one_of_the_record(failure):
    builder = StreamsBuilder()
    builder.stream("a", key=str, value=str).to("out")
    topology = builder.build()

    def emit(*record):
        raise failure

    parts = TaskParts(
        topology,
        "app",
        lambda: 0,
        open_in_memory,
        emit,
        log_and_continue,
        log_and_continue,
        log_and_continue,
        lambda failure: None,
        0,
    )
    layout = lay_out(topology, {"a": 1}, LayoutOptions("app"))
    task = StreamTask(TaskId(0, 0), layout.sub_topologies[0], parts)
    task.add("a", records(1))
    with pytest.raises(type(failure)):
        task.process(0)
    assert task.positions() == []
    assert task.skipped == 0


def test_the_extractor_sees_the_partition_time_that_was_committed():
    seen = []

    def extract(timestamp, key, value, partition_time):
        seen.append(partition_time)
        return timestamp

    task, _ = task_of(["a"], extractor=extract)
    task.start_at("a", 5, 77, {})
    task.add("a", records(50, 90, start=5))
    task.process(0)
    assert seen == [77, 77]
    assert task.positions() == [("a", 7, 90)]


def test_a_record_without_a_time_stops_the_task_whatever_the_handlers_say():
    task, _ = task_of(["a"], handler=log_and_continue)
    task.add("a", records(-1))
    with pytest.raises(TimestampError, match="the timestamp -1 is negative"):
        task.process(0)
    assert (task.positions(), task.skipped) == ([], 0)


def test_an_extractor_that_fails_stops_the_task_whatever_the_handlers_say():
    def extract(timestamp, key, value, partition_time):
        raise LookupError("no time in it")

    task, _ = task_of(["a"], extractor=extract, handler=log_and_continue)
    task.add("a", records(1))
    with pytest.raises(TimestampError, match="the timestamp extractor of source") as refused:
        task.process(0)
    assert isinstance(refused.value.__cause__, LookupError)


def test_the_time_of_a_record_that_was_left_out_is_not_taken_from_another_input():
    task, _ = task_of(["a", "b"], extractor=lambda timestamp, key, value, before: timestamp - 100)
    task.add("a", records(500))
    task.add("b", records(50, 60))
    task.at_end("a")
    task.at_end("b")
    assert task.process(0) == 3
    # Both of b's came out negative.
    assert sorted(task.positions()) == [("a", 1, 400), ("b", 2, -1)]


def test_a_topic_that_was_made_anew_is_read_from_its_start(caplog):
    task, out = task_of(["a"])
    task.start_at("a", 40, -1, {})
    task.add("a", records(1, 2, start=40))
    task.process(0)
    task.add("a", records(3, 4))
    task.process(0)
    assert out == ["1", "2", "3", "4"]
    assert task.positions() == [("a", 2, 4)]
    assert "a-0 goes on at offset 0, before 42" in caplog.text


def writing_task(handler, dead_letter=lambda failure: None):
    builder = StreamsBuilder()
    stream = builder.stream("a", key=str, value=str)
    stream.map_values(lambda value: value if value == "1" else 1.5).to("out", value=str)
    out = []
    stream.for_each(lambda key, value: out.append(value))
    topology = builder.build()
    parts = TaskParts(
        topology,
        "app",
        lambda: 0,
        open_in_memory,
        lambda *record: out.append(record[2]),
        log_and_fail,
        log_and_fail,
        handler,
        dead_letter,
        0,
    )
    task = StreamTask(TaskId(0, 0), lay_out(topology, {"a": 1}, LayoutOptions("app")).sub_topologies[0], parts)
    task.add("a", records(1, 2))
    return task, out


def test_what_a_sink_cannot_serialise_is_said_with_its_topic():
    task, _ = writing_task(log_and_fail)
    with pytest.raises(UnwritableError, match="a record cannot be written to out by KSTREAM-SINK"):
        task.process(0)


def test_what_a_sink_cannot_serialise_is_decided_by_the_production_handler_and_the_rest_goes_on():
    failures = []

    def decide(failure):
        failures.append((failure.topic, failure.offset, failure.error.topic))
        return Response.CONTINUE

    letters = []
    task, out = writing_task(decide, letters.append)
    task.process(0)
    assert out == [b"1", "1", "2"]
    assert failures == [("a", 1, "out")]
    assert [(letter.topic, letter.offset, letter.value) for letter in letters] == [("a", 1, b"2")]
    assert task.skipped == 1
    assert task.positions() == [("a", 2, 2)]


def caching_task(handler, *, dead_letter=lambda failure: None, room=2 * (AROUND_BYTES + 2)):
    """A task whose table waits for a commit; of what comes behind it, `0` cannot be processed."""
    builder = StreamsBuilder()
    rows = builder.table("a", key=str, value=str, store="rows")
    rows.to_stream().map_values(lambda value: 1 / int(value)).to("out", value=float)
    out = []
    topology = builder.build()
    parts = TaskParts(
        topology,
        "app",
        lambda: 0,
        open_in_memory,
        lambda *record: out.append(record[1]),
        log_and_fail,
        handler,
        log_and_fail,
        dead_letter,
        0,
        cache=CacheBudget(room),
    )
    return StreamTask(TaskId(0, 0), lay_out(topology, {"a": 1}, LayoutOptions("app")).sub_topologies[0], parts), out


def keyed(*values):
    """A record of a key of its own for each."""
    return [(offset, offset + 1, b"%d" % offset, value, ()) for offset, value in enumerate(values)]


def test_an_update_that_was_held_back_and_fails_is_shown_by_its_place():
    failures = []

    def decide(failure):
        failures.append((failure.topic, failure.offset, failure.timestamp, failure.key, failure.value))
        return Response.CONTINUE

    task, out = caching_task(decide)
    task.add("a", keyed(b"0", b"1", b"2"))
    task.process(0)
    assert failures == [("a", 0, 1, None, None)]
    assert out == [b"1", b"2"]
    assert task.skipped == 1


def test_a_handler_that_fails_at_an_update_that_was_held_back_is_not_asked_about_the_record_in_work():
    """Nor does the task go on: what waited behind that update was not sent, and must not be committed."""
    asked = []

    def decide(failure):
        # There is no key of an update that was held back.
        asked.append(failure.key.decode())
        return Response.CONTINUE

    task, out = caching_task(decide)
    task.add("a", keyed(b"0", b"1", b"2"))
    with pytest.raises(HeldBackError, match=r"its handler has failed \(record a-0 at offset 0\)") as failed:
        task.process(0)
    assert isinstance(failed.value.__cause__, AttributeError)
    assert isinstance(failed.value.__cause__.__context__, ZeroDivisionError)
    assert (asked, out, task.skipped, task.positions()) == ([], [], 0, [])
    assert (task.context.offset, task.context.timestamp) == (2, 3)


@pytest.mark.parametrize("failure", [TaskMigratedError("fenced"), ProductionError("not written"), ValueError("full")])
def test_a_dead_letter_of_an_update_that_was_held_back_may_fail_too(failure):
    def dead_letter(letter):
        raise failure

    task, _ = caching_task(log_and_continue, dead_letter=dead_letter)
    task.add("a", keyed(b"0", b"1", b"2"))
    with pytest.raises(HeldBackError if isinstance(failure, ValueError) else type(failure)):
        task.process(0)
    assert task.positions() == []


def test_an_input_is_known_to_be_at_its_end_from_the_fetch_that_brought_its_last_record():
    ends = {"a": 1, "b": 3}
    task, out = task_of(["a", "b"], ends=ends)
    task.add("a", records(1))
    task.add("b", records(2, 3))
    # One more of b is on its way.
    assert task.process(0) == 3
    assert out == ["1", "2", "3"]
    task.add("a", records(9, start=1))
    ends["a"] = 2
    assert task.process(0) == 0
    task.add("b", records(4, start=2))
    assert task.process(0) == 2
    assert out[3:] == ["4", "9"]


def test_of_inputs_in_step_each_handler_is_told_of_the_record_that_it_is_about():
    builder = StreamsBuilder()
    first, second = builder.stream("a", key=str, value=int), builder.stream("b", key=str, value=int)
    merged = first.merge(second)
    merged.filter(lambda value: 10 // value).map_values(lambda value: "x" if value == 3 else value).to("out", value=int)
    topology, out, told = builder.build(), [], []

    def told_of(kind):
        def decide(failure):
            told.append((kind, failure.topic, failure.offset, failure.timestamp))
            return Response.CONTINUE

        return decide

    parts = TaskParts(
        topology,
        "app",
        lambda: 0,
        open_in_memory,
        lambda *record: out.append((record[2][-1], record[3])),
        told_of("unreadable"),
        told_of("unprocessable"),
        told_of("unwritable"),
        lambda failure: None,
        0,
    )
    sub = lay_out(topology, {"a": 1, "b": 1}, LayoutOptions("app")).sub_topologies[0]
    task = StreamTask(TaskId(0, 0), sub, parts)

    def numbers(*values, time):
        held = [b"bad" if value is None else value.to_bytes(8, "big") for value in values]
        return [(offset, time + 2 * offset, b"k", value, ()) for offset, value in enumerate(held)]

    task.add("a", numbers(1, None, 3, 5, time=0))
    task.add("b", numbers(2, 3, 0, 4, None, time=1))
    task.at_end("a")
    task.at_end("b")
    assert task.process(0) == 9
    assert out == [(1, 0), (2, 1), (5, 6), (4, 7)]
    assert told == [
        ("unreadable", "a", 1, 2),
        ("unwritable", "b", 1, 3),
        ("unwritable", "a", 2, 4),
        ("unprocessable", "b", 2, 5),
        ("unreadable", "b", 4, 9),
    ]
    assert sorted(task.positions()) == [("a", 4, 6), ("b", 5, 7)]
