"""How many connectors and tasks were started, and how that went; whoever listens hears of them as before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from moldau.connect.runtime.names import TaskId

if TYPE_CHECKING:
    from moldau.connect.runtime.worker import Listener


class Outcomes:
    """Of things that are started: once for each start."""

    def __init__(self) -> None:
        self.successes = 0
        self.failures = 0
        self._starting: set[object] = set()
        self._lock = threading.Lock()

    def begin(self, subject: object) -> None:
        with self._lock:
            self._starting.add(subject)

    def end(self, subject: object, *, ok: bool) -> None:
        """What comes later than the first word on a start is no start."""
        with self._lock:
            if subject in self._starting:
                self._starting.remove(subject)
                self.successes += ok
                self.failures += not ok


class Startups:
    """Listens, counts, and passes on."""

    def __init__(self, listener: Listener) -> None:
        self.connectors = Outcomes()
        self.tasks = Outcomes()
        self._listener = listener

    def on_connector_running(self, name: str, version: str | None) -> None:
        self.connectors.end(name, ok=True)
        self._listener.on_connector_running(name, version)

    def on_connector_paused(self, name: str, version: str | None) -> None:
        self.connectors.end(name, ok=True)
        self._listener.on_connector_paused(name, version)

    def on_connector_stopped(self, name: str, version: str | None) -> None:
        self.connectors.end(name, ok=True)
        self._listener.on_connector_stopped(name, version)

    def on_connector_failure(self, name: str, error: BaseException) -> None:
        self.connectors.end(name, ok=False)
        self._listener.on_connector_failure(name, error)

    def on_connector_shutdown(self, name: str) -> None:
        self._listener.on_connector_shutdown(name)

    def on_tasks_wanted(self, name: str) -> None:
        self._listener.on_tasks_wanted(name)

    def on_startup(self, task: TaskId, version: str | None) -> None:
        self.tasks.end(task, ok=True)
        self._listener.on_startup(task, version)

    def on_pause(self, task: TaskId, version: str | None) -> None:
        self.tasks.end(task, ok=True)
        self._listener.on_pause(task, version)

    def on_failure(self, task: TaskId, error: BaseException) -> None:
        self.tasks.end(task, ok=False)
        self._listener.on_failure(task, error)

    def on_shutdown(self, task: TaskId) -> None:
        self._listener.on_shutdown(task)
