"""The life of a sink task, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace

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


def test_a_sink_whose_start_fails_is_stopped_so_that_it_lets_go_of_what_it_has_opened():
    tolerance, text, sink = Tolerance(), StringConverter(), HalfOpen()
    text.configure({}, is_key=False)
    parts = SinkParts(
        task=sink,
        config={},
        context=SinkContext(dict, keeps_originals=False),
        consumer=SimpleNamespace(close=lambda: None),
        topics=["t"],
        converters=Converters(text, text, text),
        transforms=Transforms([], tolerance),
        tolerance=tolerance,
        uses_topic=lambda _topic: None,
    )
    heard = []
    listener = SimpleNamespace(on_startup=lambda *_told: None, on_failure=lambda _task, error: heard.append(str(error)))
    task = WorkerSinkTask(TaskId("c", 0), TargetState.STARTED, listener, "1", parts)
    task.start()
    assert task.wait(WAIT_S)
    assert (sink.stops, heard) == (1, ["half open"])
