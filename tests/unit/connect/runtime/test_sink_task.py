"""The life of a sink task, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import TopicPartition

from moldau.connect.converters.simple import StringConverter
from moldau.connect.plugin import SinkTask
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.pipeline import Converters, Transforms
from moldau.connect.runtime.sink_context import SinkContext
from moldau.connect.runtime.sink_task import SinkParts, WorkerSinkTask
from moldau.connect.runtime.tolerance import Tolerance

WAIT_S = 30.0


class HalfOpen(SinkTask):
    """Its `start` opens something and fails."""

    def __init__(self) -> None:
        self.stops = 0

    def start(self, props):
        raise ValueError("half open")

    def put(self, records): ...

    def stop(self):
        self.stops += 1


class Hesitant(SinkTask):
    """Wants to read again from where it began, and not now."""

    def start(self, props): ...

    def flush(self, offsets): ...

    def put(self, records):
        self.context.offset({("t", 0): 5})
        self.context.pause(("t", 0))


class ScriptedConsumer:
    """Has what it was assigned, and remembers what is paused and where it was sent."""

    def __init__(self) -> None:
        self.has: list[TopicPartition] = []
        self.paused: set[int] = set()
        self.sought: list[int] = []
        self.done: list[str] = []

    def assign(self, partitions):
        self.has = list(partitions)
        self.done.append("assign")

    def assignment(self):
        return self.has

    def committed(self, partitions, timeout):
        return [TopicPartition(each.topic, each.partition, 9) for each in partitions]

    def pause(self, partitions):
        self.paused.update(each.partition for each in partitions)

    def resume(self, partitions):
        self.paused.difference_update(each.partition for each in partitions)

    def seek(self, place):
        self.sought.append(place.offset)
        self.done.append("seek")

    def poll(self, _timeout_s):
        return None

    def close(self): ...


def task_of(sink, consumer, heard=None):
    tolerance, text = Tolerance(), StringConverter()
    text.configure({}, is_key=False)
    parts = SinkParts(
        task=sink,
        config={},
        context=SinkContext(dict, keeps_originals=False),
        consumer=consumer,
        topics=["t"],
        converters=Converters(text, text, text),
        transforms=Transforms([], tolerance),
        tolerance=tolerance,
        uses_topic=lambda _topic: None,
    )
    listener = SimpleNamespace(on_startup=lambda *_told: None, on_failure=lambda _task, error: heard.append(str(error)))
    return WorkerSinkTask(TaskId("c", 0), TargetState.STARTED, listener, "1", parts)


def test_a_partition_that_went_and_came_back_is_neither_paused_nor_rewound_for_what_was_asked_before():
    sink, consumer, partition = Hesitant(), ScriptedConsumer(), TopicPartition("t", 0)
    task = task_of(sink, consumer)
    sink.initialize(task.parts.context)
    task._on_assign(consumer, [partition])
    task._iterate()
    task._iterate()
    assert (consumer.paused, consumer.sought) == ({0}, [5])
    # Another member has it for a while, and goes on from where that one has come.
    task._on_revoke(consumer, [partition])
    task._on_assign(consumer, [])
    consumer.paused.clear()
    task._on_assign(consumer, [partition])
    task._rewind_as_asked()
    task._let_flow()
    assert (consumer.paused, consumer.sought) == (set(), [5])


def test_a_partition_that_comes_back_in_the_same_rebalance_is_paused_as_it_was():
    sink, consumer = Hesitant(), ScriptedConsumer()
    both = [TopicPartition("t", 0), TopicPartition("t", 1)]
    task = task_of(sink, consumer)
    sink.initialize(task.parts.context)
    task._on_assign(consumer, both)
    task._iterate()
    task._iterate()
    assert consumer.paused == {0}
    task._on_revoke(consumer, both)
    # Partitions that are assigned flow.
    consumer.paused.clear()
    task._on_assign(consumer, both)
    assert consumer.paused == {0}
    task.parts.context.resume(("t", 0))
    task._rewind_as_asked()
    assert consumer.paused == set()


class Keeps(SinkTask):
    """Has what it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def start(self, props): ...

    def flush(self, offsets): ...

    def put(self, records):
        self.given += [record.kafka_offset for record in records]


class RebalancedWhileItReads(ScriptedConsumer):
    """Loses its partition, and may get it again, between the first record and the others."""

    def __init__(self, comes_back: bool) -> None:
        super().__init__()
        self._comes_back = comes_back
        self.task: WorkerSinkTask | None = None

    def poll(self, _timeout_s):
        return ARecord(40)

    def consume(self, _count, timeout):
        self.task._on_revoke(self, self.has)
        if not self._comes_back:
            return [ARecord(41)]
        self.task._on_assign(self, self.has)
        return [ARecord(9), ARecord(10)]


class ARecord(SimpleNamespace):
    """One of t-0."""

    def __init__(self, offset: int) -> None:
        fields = {"topic": "t", "partition": 0, "offset": offset, "key": b"k", "value": b"v", "headers": None}
        super().__init__(error=lambda: None, timestamp=lambda: (1, 0), **{k: _always(v) for k, v in fields.items()})


def _always(value):
    return lambda *_: value


@pytest.mark.parametrize(("comes_back", "given"), [(False, []), (True, [9, 10])])
def test_a_record_whose_partition_went_while_others_were_read_is_not_given_to_the_sink(comes_back, given):
    sink, consumer = Keeps(), RebalancedWhileItReads(comes_back)
    task = consumer.task = task_of(sink, consumer)
    sink.initialize(task.parts.context)
    task._on_assign(consumer, [TopicPartition("t", 0)])
    task._iterate()
    assert sink.given == given
    assert task._consumed == {}
    assert task._current == ({("t", 0): 11} if comes_back else {})


class KnowsItself(SinkTask):
    """Keeps how far it has come with what it has written."""

    def start(self, props): ...

    def put(self, records): ...

    def open(self, partitions):
        self.context.offset(dict.fromkeys(partitions, 7))


def test_a_rewind_that_is_asked_for_when_partitions_are_opened_comes_before_their_first_record():
    sink, consumer = KnowsItself(), ScriptedConsumer()
    task = task_of(sink, consumer)
    sink.initialize(task.parts.context)
    task._on_assign(consumer, [TopicPartition("t", 0), TopicPartition("t", 1)])
    assert consumer.sought == [7, 7]
    # What is assigned already may not be fetched yet, and then cannot be sought.
    assert consumer.done == ["seek", "seek", "assign"]


class Holds(KnowsItself):
    """Wants nothing yet of what it opens."""

    def open(self, partitions):
        super().open(partitions)
        self.context.pause(*partitions)


def test_a_pause_that_is_asked_for_when_partitions_are_opened_holds_when_they_are_there():
    sink, consumer = Holds(), ScriptedConsumer()
    task = task_of(sink, consumer)
    sink.initialize(task.parts.context)
    task._on_assign(consumer, [TopicPartition("t", 0), TopicPartition("t", 1)])
    assert (consumer.paused, consumer.sought) == ({0, 1}, [7, 7])


def test_a_sink_whose_start_fails_is_stopped_so_that_it_lets_go_of_what_it_has_opened():
    sink, heard = HalfOpen(), []
    task = task_of(sink, SimpleNamespace(close=lambda: None), heard)
    task.start()
    assert task.wait(WAIT_S)
    assert (sink.stops, heard) == (1, ["half open"])
