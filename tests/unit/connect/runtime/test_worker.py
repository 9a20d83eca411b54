"""How a worker stops what it runs."""

from __future__ import annotations

from types import SimpleNamespace

from moldau.connect.runtime import worker as worker_module
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.worker import Worker, _RunningTask

GRACE_S = 60.0


class Clock:
    """Goes on only when somebody waits."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class Hanging:
    """A task that does not end."""

    def __init__(self, clock, told):
        self.clock = clock
        self.told = told

    def stop(self):
        self.told.append("stop")

    def wait(self, timeout_s):
        self.told.append("wait")
        self.clock.now += timeout_s
        return False

    def cancel(self):
        self.told.append("cancel")


def test_tasks_that_are_stopped_together_share_one_deadline(monkeypatch):
    clock, told, shut_down = Clock(), [], []
    monkeypatch.setattr(worker_module, "time", clock)
    settings = {"topic.tracking.enable": False}
    worker = Worker(
        type("Settings", (dict,), {"seconds": lambda _self, _name: GRACE_S})(settings),
        *[SimpleNamespace()] * 3,
        lambda *_used: None,
    )
    worker._listener = SimpleNamespace(on_shutdown=shut_down.append)
    tasks = [TaskId("c", number) for number in range(5)]
    worker._tasks = {task: _RunningTask(0, Hanging(clock, told)) for task in tasks}
    worker.stop_tasks(tasks)
    # All are asked before the first is waited for.
    assert told == ["stop"] * 5 + ["wait", "cancel"] * 5
    assert (clock.now, shut_down) == (1000.0 + GRACE_S, tasks)
