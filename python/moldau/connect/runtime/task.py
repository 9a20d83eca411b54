"""A task in its thread: started, paused, gone on, stopped, failed. `source_task` and `sink_task` move records."""

from __future__ import annotations

import abc
import logging
import threading
from typing import Final, Protocol

from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.task_metrics import TaskMetrics

logger: Final = logging.getLogger("moldau.connect.task")


class TaskListener(Protocol):
    """Hears what becomes of a task; called in the task's thread."""

    def on_startup(self, task: TaskId, version: str | None) -> None: ...
    def on_pause(self, task: TaskId, version: str | None) -> None: ...
    def on_failure(self, task: TaskId, error: BaseException) -> None: ...
    def on_shutdown(self, task: TaskId) -> None: ...


class WorkerTask(abc.ABC):
    """`start`, `stop`, `wait`, `cancel` and `set_target` belong to the herder, the rest to the task's thread."""

    def __init__(self, task_id: TaskId, target: TargetState, listener: TaskListener, version: str | None) -> None:
        self.id = task_id
        self.version = version
        self.failure: BaseException | None = None
        self._listener = listener
        self._target = target
        self.metrics = TaskMetrics()
        self.begun = False
        """Whether the connector's own task was touched: its `stop` is called, however far its `start` came."""
        self.task_started = False
        """Whether it has taken its settings."""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name=f"task-{task_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Leave it to itself: whatever it does from here on, nobody hears of it, and it keeps no offsets."""
        self._cancelled = True

    def set_target(self, target: TargetState) -> None:
        """Pause, or go on."""
        with self._changed:
            self._target = target
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it was left to itself."""
        return self._cancelled

    @property
    def shall_pause(self) -> bool:
        """Whether it shall be paused."""
        return self._target is not TargetState.STARTED

    def wait_while_paused(self) -> bool:
        """Return True when it shall go on, False when it shall end."""
        with self._changed:
            self._changed.wait_for(lambda: self.stopping or not self.shall_pause)
        return not self.stopping

    def say_paused(self) -> None:
        """Tell that it is paused."""
        self.metrics.states.enter("paused")
        if not self._cancelled:
            self._listener.on_pause(self.id, self.version)

    def say_running(self) -> None:
        """Tell that it runs."""
        self.metrics.states.enter("running")
        if not self._cancelled:
            self._listener.on_startup(self.id, self.version)

    def _run(self) -> None:
        try:
            try:
                self._execute()
            finally:
                self.close()
        except BaseException as error:
            self.failure = error
            self.metrics.states.enter("failed")
            if self._cancelled or self.stopping:
                logger.warning("task %s failed while it was stopped", self.id, exc_info=error)
            else:
                logger.exception(
                    "task %s failed and is ended; a restart (REST, or its connector's) begins it again", self.id
                )
                self._listener.on_failure(self.id, error)
                return
        else:
            self.metrics.states.enter("destroyed")
        if not self._cancelled:
            self._listener.on_shutdown(self.id)

    def _execute(self) -> None:
        if self.stopping:
            return
        if self.shall_pause:
            self.say_paused()
            if not self.wait_while_paused():
                return
        self.say_running()
        self.execute()

    @abc.abstractmethod
    def execute(self) -> None:
        """Work until `stopping`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of everything; called once, whatever happened."""
