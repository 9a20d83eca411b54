"""In which order a task takes records of several inputs, and what it waits for."""

from __future__ import annotations

import pytest

from moldau.streams import StreamsBuilder
from moldau.streams.dsl.options import Consumed
from moldau.streams.runtime.collector import ProductionError
from moldau.streams.runtime.exception_handlers import log_and_continue, log_and_fail
from moldau.streams.runtime.layout import LayoutOptions, TaskId, lay_out
from moldau.streams.runtime.outcomes import TaskMigratedError
from moldau.streams.runtime.stream_task import StreamTask, TaskParts
from moldau.streams.state import open_in_memory


class Record:
    """What confluent-kafka gives."""

    def __init__(self, value, timestamp, offset):
        self._value, self._timestamp, self._offset = value, timestamp, offset

    def key(self):
        return b"k"

    def value(self):
        return self._value

    def timestamp(self):
        return 1, self._timestamp

    def offset(self):
        return self._offset

    def headers(self):
        return None


def records(*times, start=0):
    return [Record(str(time).encode(), time, start + index) for index, time in enumerate(times)]


def task_of(topics, *, max_idle_ms=0, extractor=None):
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
        log_and_fail,
        log_and_fail,
        lambda failure: None,
        max_idle_ms,
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


def test_what_was_fetched_before_a_rebalance_and_again_after_it_is_worked_on_once(caplog):
    task, out = task_of(["a"])
    task.start_at("a", 2, -1)
    task.add("a", records(1, 2, 3))
    task.process(0)
    task.suspend()
    task.add("a", records(3, 4, start=2))
    task.process(0)
    assert out == ["3", "4"]
    assert caplog.text.count("a-0 came back to offset 0: what is before 2 was worked on and is left out") == 1


def test_a_suspended_task_forgets_what_it_did_not_work_on():
    task, _ = task_of(["a", "b"])
    task.add("a", records(1))
    task.suspend()
    assert task.buffered == 0
    assert not task.needs_commit


@pytest.mark.parametrize("partition_time", [-1, 77])
def test_stream_time_goes_on_where_the_last_owner_was(partition_time):
    task, _ = task_of(["a"])
    task.start_at("a", 0, partition_time)
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
