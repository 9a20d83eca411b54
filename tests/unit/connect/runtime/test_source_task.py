"""The life of an at-least-once source task, with a producer that is driven by hand."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from moldau.client import Producer
from moldau.connect.converters.simple import StringConverter
from moldau.connect.plugin import SourceTask
from moldau.connect.ready import ReadyRecords
from moldau.connect.records import SourceRecord
from moldau.connect.runtime.contexts import RunningSourceTaskContext
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.pipeline import Converters, Transforms
from moldau.connect.runtime.source_task import SourceParts, WorkerSourceTask
from moldau.connect.runtime.tolerance import Tolerance

WAIT_S = 30.0
TASK = TaskId("lines", 0)


class FullProducer:
    """Its queue has no room, and nothing in it goes anywhere."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.purged = threading.Event()
        self.produced_after_purge = 0

    def __len__(self):
        return 1

    def produce(self, *_given, **_named):
        self.asked.set()
        if self.purged.is_set():
            self.produced_after_purge += 1
        raise BufferError

    def poll(self, _timeout):
        threading.Event().wait(0.001)

    def flush(self, _timeout):
        return 0

    def purge(self, **_named):
        self.purged.set()


class Listener:
    """Hears, and lets others wait until it has."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_startup(self, task, version):
        self.heard.append("running")

    def on_failure(self, task, error):
        self.heard.append(f"failed: {error}")

    def on_shutdown(self, task):
        self.heard.append("ended")


class Endless(SourceTask):
    """One record at each poll."""

    def version(self):
        return "1"

    def start(self, props):
        pass

    def poll(self):
        return [SourceRecord({"from": "here"}, {"at": 1}, "lines", value="a line")]

    def stop(self):
        pass


class Stuck(Endless):
    """Hangs in `poll`, and its `stop` waits for that."""

    def __init__(self) -> None:
        self.polled = threading.Event()
        self.stopping = threading.Event()
        self.let_go = threading.Event()
        self.stopped = False

    def poll(self):
        self.polled.set()
        self.let_go.wait(WAIT_S)

    def stop(self):
        self.stopping.set()
        self.let_go.wait(WAIT_S)
        self.stopped = True


class Ready(ReadyRecords):
    """One message that its source has written itself."""

    def __init__(self, message, headers):
        self.messages = {"lines": [message]}
        self.headers = {"lines": headers}
        self.size = 1
        self.source_partition, self.source_offset = {"from": "here"}, {"at": 1}

    def made(self):
        return []

    def sent(self): ...

    def arrived(self): ...


def running(task: SourceTask, producer: FullProducer | Producer, listener: Listener) -> WorkerSourceTask:
    tolerance = Tolerance(tolerate_all=False, retry_timeout_s=0, retry_delay_max_s=1, reporters=[])
    text = StringConverter()
    text.configure({}, is_key=False)
    converters = Converters(text, text, text)
    offsets = SimpleNamespace(start=lambda _given_up: True, stop=lambda: None, put=lambda *_given: None)
    parts = SourceParts(
        task=task,
        config={},
        context=RunningSourceTaskContext(offsets, "lines", {}),
        producer=producer,
        converters=converters,
        transforms=Transforms([], tolerance),
        tolerance=tolerance,
        offsets=offsets,
        topics=SimpleNamespace(make_sure_of=lambda _topic: None),
        uses_topic=lambda _topic: None,
        flush_timeout_s=0.01,
        stop_timeout_s=WAIT_S,
    )
    made = WorkerSourceTask(TASK, TargetState.STARTED, listener, "1", parts)
    made.start()
    return made


@pytest.fixture
def listener():
    return Listener()


def test_a_task_that_is_left_to_itself_sends_nothing_any_more(listener):
    producer = FullProducer()
    task = running(Endless(), producer, listener)
    assert producer.asked.wait(WAIT_S)
    task.stop()
    task.cancel()
    assert producer.purged.is_set()
    assert task.wait(WAIT_S)
    assert producer.produced_after_purge <= 1
    assert listener.heard == ["running"]


def test_a_source_that_is_stuck_holds_up_nobody_who_asks_it_to_stop(listener):
    source = Stuck()
    task = running(source, FullProducer(), listener)
    assert source.polled.wait(WAIT_S)
    task.stop()
    assert source.stopping.wait(WAIT_S)
    assert not source.stopped
    source.let_go.set()
    assert task.wait(WAIT_S)
    # Its clients and plugins are closed when its own `stop` has ended, not before.
    assert source.stopped
    assert listener.heard == ["running", "ended"]


def test_a_task_that_fails_is_stopped_once(listener):
    stops = []

    class Failing(Endless):
        def poll(self):
            raise ValueError("no more")

        def stop(self):
            stops.append(1)

    task = running(Failing(), FullProducer(), listener)
    assert task.wait(WAIT_S)
    assert stops == [1]
    assert listener.heard == ["running", "failed: no more"]


LARGE = "x" * 2000
PIECES = {
    "a record": [SourceRecord({}, {}, "lines", value=LARGE)],
    "ready": Ready({"value": LARGE.encode()}, []),
    "ready with headers": Ready({"value": LARGE.encode()}, [("h", b"1")]),
}


@pytest.mark.parametrize("polled", PIECES.values(), ids=PIECES)
def test_a_record_that_is_larger_than_the_whole_buffer_fails_the_task_and_names_the_settings(listener, polled):
    class Large(Endless):
        def poll(self):
            return polled

    # Nothing is sent anywhere: what is found out is found out before.
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "buffer.memory": "1024", "log_level": 0})
    task = running(Large(), producer, listener)
    assert task.wait(WAIT_S)
    (_, failed) = listener.heard
    assert "a record of 2000 bytes for lines is larger than all that the producer may hold" in failed
    assert "buffer.memory" in failed
    assert "max.request.size" in failed


def test_a_task_whose_start_fails_is_stopped_so_that_it_lets_go_of_what_it_has_opened(listener):
    stops = []

    class Failing(Endless):
        def start(self, props):
            raise ValueError("half open")

        def stop(self):
            stops.append(1)

    task = running(Failing(), FullProducer(), listener)
    assert task.wait(WAIT_S)
    assert stops == [1]
    assert listener.heard == ["running", "failed: half open"]
