"""The herder: what there shall be, and making it so.

What there shall be is said by three things: the configurations (a snapshot of the config store), the target states in
them, and the assignment (which connectors and tasks are this worker's). One thread compares that with what runs here
and starts, stops, pauses and restarts the difference. It is woken by every change of the three, and whatever changes
them is written first and read back: so it makes no difference whose request it was, or whether the worker was killed
in the middle.

Requests of the REST interface come by other threads. What only has to be read is read from snapshots; what changes
something is done by the herder's thread, one after the other.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from moldau.connect.errors import ConnectError
from moldau.connect.runtime import deadlines, session_keys
from moldau.connect.runtime.config_provider import with_variables_of
from moldau.connect.runtime.config_records import Change, Config, ConfigState, Event, RestartRequest
from moldau.connect.runtime.config_stores import ConfigStore
from moldau.connect.runtime.daemon_threads import DaemonThreads
from moldau.connect.runtime.fencing import Fencing, TakenOverError
from moldau.connect.runtime.leader_requests import LeaderRequests
from moldau.connect.runtime.membership import Membership
from moldau.connect.runtime.names import State, TargetState, TaskId
from moldau.connect.runtime.offset_requests import OffsetRequests
from moldau.connect.runtime.refusals import (
    AlreadyExistsError,
    BadRequestError,
    ElsewhereError,
    NotFoundError,
    RefusedError,
)
from moldau.connect.runtime.status_records import Status, Subject
from moldau.connect.runtime.status_stores import StatusStore
from moldau.connect.runtime.tolerance import trace_of
from moldau.connect.runtime.worker import CONNECTOR_STOP_TIMEOUT_S, Worker

logger: Final = logging.getLogger("moldau.connect.herder")

T = TypeVar("T")

RELEASE_TIMEOUT_S: Final = 90.0
RETRY_S: Final = 1.0
IDLE_S: Final = 5.0
STOP_EXTRA_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Stores:
    """Where configurations and statuses are."""

    configs: ConfigStore
    statuses: StatusStore


class Herder:
    """One for each worker."""

    def __init__(self, worker: Worker, stores: Stores, membership: Membership, worker_id: str) -> None:
        self.worker = worker
        self.configs = stores.configs
        self.statuses = stores.statuses
        self.membership = membership
        self.worker_id = worker_id
        self._requests: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._tasks_wanted: set[str] = set()
        self._restarts: queue.SimpleQueue[RestartRequest] = queue.SimpleQueue()
        self._removed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="connect-herder", daemon=True)
        self._leader = LeaderRequests(membership, lambda: self.configs.snapshot().session_key)
        self._asking = DaemonThreads(1, "connect-leader")
        self.fencing = Fencing(stores.configs, membership, self._leader, worker.fence_producers)
        self.offsets = OffsetRequests(
            worker, self.fencing, lambda name: self.do(lambda: self._stopped(name)), self.wake
        )

    # Life.

    def start(self) -> None:
        """Read what there is, join the group, and begin.

        Raises:
            ConnectError: the cluster does not answer, or a topic cannot be used.
        """
        self.worker.start(self, self.fencing)
        self.statuses.start()
        self.configs.start(self._on_config)
        self.membership.start(self.wake, self.release)
        self._thread.start()

    def stop(self) -> None:
        """Stop connectors and tasks, keep their offsets, leave the group.

        Whatever of it fails or takes too long is logged, and the rest is done: who was asked to stop has stopped.
        """
        self._stopping.set()
        self.wake()
        if not self._has_ended():
            logger.error("the herder has not ended within %g s and is left to itself", self._stop_timeout_s)
        self._asking.shutdown(wait=False, cancel_futures=True)
        for stop in (self.membership.stop, self.configs.stop, self.statuses.stop, self.worker.stop):
            try:
                stop()
            except Exception:
                # A client that is of no more use says so once more when it is closed.
                logger.exception("a part of the worker was not closed as it should be")

    @property
    def _stop_timeout_s(self) -> float:
        """For catching up with the configurations, for tasks, for connectors, and some more, as in Kafka.

        All tasks that are stopped together have one deadline (`Worker.stop_tasks`). Twice, as the thread may be in the
        middle of stopping some, of whom it waits for no more when it is asked to stop.
        """
        seconds = self.worker.settings.seconds
        once_s = seconds("task.shutdown.graceful.timeout.ms") + CONNECTOR_STOP_TIMEOUT_S
        return seconds("worker.sync.timeout.ms") + 2 * once_s + STOP_EXTRA_S

    def _has_ended(self) -> bool:
        if self._thread.is_alive():
            self._thread.join(self._stop_timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Have the difference looked at again."""
        self._wake.set()

    def release(self) -> None:
        """Stop what is not assigned to this worker any more, and return when that is done.

        Raises:
            RefusedError: it takes too long; it may still run.
        """
        if self._thread.is_alive() and not self._stopping.is_set():
            try:
                self.do(lambda: self._make_it_so(self.configs.snapshot()), RELEASE_TIMEOUT_S)
                return
            except RefusedError:
                if not self._stopping.is_set():
                    raise
        # A worker that stops has stopped everything when its thread ends.
        if not self._has_ended():
            raise RefusedError("Worker is shutting down, and its tasks still run")

    @property
    def ready(self) -> bool:
        """Whether the first look is done."""
        return self._ready.is_set()

    def _on_config(self, event: Event) -> None:
        """In the thread that reads the configurations."""
        if event.change is Change.RESTART:
            self._restarts.put(event.detail)
        elif event.change is Change.CONNECTOR_REMOVED:
            self._removed.put(event.subject)
        elif event.change is Change.LOGGER:
            from moldau.connect.runtime.loggers import set_level

            set_level(event.subject, event.detail)
        self.wake()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Exception:
                logger.exception("the herder failed; it tries again")
                self._wake.set()
                self._stopping.wait(RETRY_S)
            self._wake.wait(IDLE_S)
            self._wake.clear()
        try:
            self._drain()
        finally:
            self.worker.stop_everything()

    def _turn(self) -> None:
        self._serve_requests()
        self.statuses.tell_again()
        state = self.configs.snapshot()
        if self.membership.settle(state):
            if self.membership.leads:
                self.configs.lead()
            else:
                self.configs.follow()
            self._renew_key(state)
            self._restart_as_asked(state)
            self._make_it_so(state)
            self._forget_removed(state)
            self._ready.set()

    def _serve_requests(self) -> None:
        while not self._stopping.is_set():
            try:
                action, future = self._requests.get_nowait()
            except queue.Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(action())
            except BaseException as error:  # noqa: BLE001 (whatever it is, it belongs to whoever asked)
                future.set_exception(error)

    def _drain(self) -> None:
        while not self._requests.empty():
            future = self._requests.get_nowait()[1]
            # Whoever asked may have given up.
            if future.set_running_or_notify_cancel():
                future.set_exception(RefusedError("Worker is shutting down"))

    def do(self, action: Callable[[], T], timeout_s: float = deadlines.WORK_S) -> T:
        """Have the herder's thread do something, and return what it returns. Raises what it raises."""
        if threading.current_thread() is self._thread:
            return action()
        future: Future[T] = Future()
        self._requests.put((action, future))
        self.wake()
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            future.cancel()
            raise RefusedError("Request timed out") from None

    # The difference.

    def _make_it_so(self, state: ConfigState) -> None:
        assigned = self.membership.assignment(state)
        self.worker.stop_tasks(self._tasks_to_stop(state, assigned.tasks))
        self.worker.stop_connectors(self._connectors_to_stop(state, assigned.connectors))
        for name in sorted(assigned.connectors):
            self._bring_connector(name, state)
        for task in sorted(assigned.tasks):
            self._bring_task(task, state)
        for name in sorted(self._tasks_wanted):
            if not self.offsets.are_changing(name):
                self._tasks_wanted.discard(name)
                self._divide(name)

    def _connectors_to_stop(self, state: ConfigState, assigned: Collection[str]) -> list[str]:
        return [
            name
            for name, raw in self.worker.connector_configs().items()
            # Another record with the same settings may be another connector, deleted and created in between.
            if name not in assigned or state.connectors.get(name) is not raw
        ]

    def _tasks_to_stop(self, state: ConfigState, assigned: Collection[TaskId]) -> list[TaskId]:
        return [
            task
            for task, generation in self.worker.task_generations().items()
            if task not in assigned
            or state.generations.get(task.connector) != generation
            or state.target_state(task.connector) is TargetState.STOPPED
        ]

    def _bring_connector(self, name: str, state: ConfigState) -> None:
        target = state.target_state(name)
        if self.worker.has_connector(name):
            self.worker.set_connector_target(name, target)
        else:
            self.worker.start_connector(name, state.connectors[name], target)

    def _bring_task(self, task: TaskId, state: ConfigState) -> None:
        target = state.target_state(task.connector)
        # Tasks come when offsets are no longer changed; a leader who does not know of it yet may have written some.
        if target is TargetState.STOPPED or task not in state.tasks or self.offsets.are_changing(task.connector):
            return
        if self.worker.has_task(task):
            self.worker.set_task_target(task, target)
        else:
            generation = state.generations.get(task.connector, 0)
            self.worker.start_task(task, state.connectors[task.connector], state.tasks[task], target, generation)

    def _divide(self, name: str) -> None:
        """Ask a connector for its tasks, and write them if they are others than before."""
        state = self.configs.snapshot()
        if state.target_state(name) is not TargetState.STARTED or name not in state.connectors:
            return
        try:
            configs = self.worker.divide(name)
        except Exception as error:
            logger.exception("connector %s cannot say what its tasks are", name)
            self.on_connector_failure(name, error)
            return
        if configs is None:
            return
        raw = state.connectors[name]
        written = with_variables_of(raw, configs)
        unchanged = (
            name not in state.inconsistent and state.task_configs(name) == written and state.applied.get(name) == raw
        )
        if not unchanged:
            self._write_tasks(name, written)

    def _write_tasks(self, name: str, configs: Sequence[Config]) -> None:
        if self.membership.leads:
            self._try_to_write(name, lambda: self._put_tasks(name, configs))
        else:
            # The leader may wait for this thread, so this thread does not wait for the leader.
            self._asking.submit(self._try_to_write, name, lambda: self._leader.put_tasks(name, configs))

    def _try_to_write(self, name: str, write: Callable[[], None]) -> None:
        try:
            write()
        except ConnectError as error:
            logger.warning("the tasks of connector %s are not written yet, they are tried again: %s", name, error)
            again = threading.Timer(RETRY_S, self.on_tasks_wanted, (name,))
            again.daemon = True
            again.start()
            return
        self.wake()

    def put_tasks(self, name: str, configs: Sequence[Config]) -> None:
        """Write the tasks of a connector that another worker has divided."""
        self._lead("Only the leader may write task configurations.")
        state = self.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Connector {name} not found")
        if configs and state.target_state(name) is TargetState.STOPPED:
            raise BadRequestError(f"Cannot submit non-empty set of task configs for stopped connector {name}")
        self._put_tasks(name, configs)
        self.wake()

    def _put_tasks(self, name: str, configs: Sequence[Config]) -> None:
        with self.offsets.unchanged(name):
            self.configs.put_tasks(name, configs)

    def _renew_key(self, state: ConfigState) -> None:
        """The leader sees that workers have a key to sign with."""
        settings = self.worker.settings
        now_ms = int(time.time() * 1000)
        if not (settings.distributed and self.membership.leads and self.membership.signs):
            return
        if session_keys.is_due(state.session_key, now_ms, settings["inter.worker.key.ttl.ms"]):
            self.configs.put_session_key(session_keys.new_key(now_ms, os.urandom(session_keys.KEY_BYTES)))

    def _forget_removed(self, state: ConfigState) -> None:
        while not self._removed.empty():
            name = self._removed.get_nowait()
            if name in state.connectors or not self.membership.leads:
                continue
            for task, _ in self.statuses.tasks_of(name):
                self._say(task, State.DESTROYED)
            self._say(name, State.DESTROYED)
        if self.membership.leads:
            for name in self.statuses.connectors():
                for task, _ in self.statuses.tasks_of(name):
                    # A connector with fewer tasks than it had.
                    if task not in state.tasks and not self.worker.has_task(task):
                        self._say(task, State.DESTROYED)
                if name not in state.connectors and not self.worker.has_connector(name):
                    self._say(name, State.DESTROYED)

    # Restarts.

    def _restart_as_asked(self, state: ConfigState) -> None:
        while not (self._stopping.is_set() or self._restarts.empty()):
            request = self._restarts.get_nowait()
            assigned = self.membership.assignment(state)
            connector, tasks = self._concerned(request, state)
            if request.connector in assigned.connectors and connector:
                self._restart_connector_here(request.connector, state)
            mine = [task for task in tasks if task in assigned.tasks]
            self.worker.stop_tasks(mine)
            for task in mine:
                self._bring_task(task, state)

    def _concerned(self, request: RestartRequest, state: ConfigState) -> tuple[bool, list[TaskId]]:
        """Whether the connector, and which of its tasks, a request is about."""

        def matches(subject: Subject) -> bool:
            status = self.statuses.get(subject)
            # The leader marks what has failed before it asks for its restart: whoever does that may see the mark.
            return not request.only_failed or (status is not None and status.state in (State.FAILED, State.RESTARTING))

        tasks = [task for task in state.task_ids(request.connector) if request.include_tasks and matches(task)]
        return matches(request.connector), tasks

    def _restart_connector_here(self, name: str, state: ConfigState) -> None:
        self.worker.stop_connectors([name])
        self.worker.start_connector(name, state.connectors[name], state.target_state(name))

    # What becomes of connectors and tasks; called by their threads.

    def on_connector_running(self, name: str, version: str | None) -> None:
        self._say(name, State.RUNNING, version=version)

    def on_connector_paused(self, name: str, version: str | None) -> None:
        self._say(name, State.PAUSED, version=version)

    def on_connector_stopped(self, name: str, version: str | None) -> None:
        self._say(name, State.STOPPED, version=version)

    def on_connector_failure(self, name: str, error: BaseException) -> None:
        self._say(name, State.FAILED, error=error, version=self.worker.version_of(name))

    def on_connector_shutdown(self, name: str) -> None:
        self._say_unassigned(name)

    def on_tasks_wanted(self, name: str) -> None:
        self._tasks_wanted.add(name)
        self.wake()

    def on_startup(self, task: TaskId, version: str | None) -> None:
        self._say(task, State.RUNNING, version=version)

    def on_pause(self, task: TaskId, version: str | None) -> None:
        self._say(task, State.PAUSED, version=version)

    def on_failure(self, task: TaskId, error: BaseException) -> None:
        if isinstance(error, TakenOverError) and self._is_elsewhere(task):
            # Who has it says what it is.
            return
        self._say(task, State.FAILED, error=error, version=self.worker.version_of_task(task))

    def on_shutdown(self, task: TaskId) -> None:
        self._say_unassigned(task)

    def _say_unassigned(self, subject: Subject) -> None:
        if not self._is_elsewhere(subject):
            self._say(subject, State.UNASSIGNED)

    def _is_elsewhere(self, subject: Subject) -> bool:
        """Whether another worker has taken it over, and says so already."""
        status = self.statuses.get(subject)
        return status is not None and status.worker_id != self.worker_id

    def _say(
        self, subject: Subject, state: State, *, error: BaseException | None = None, version: str | None = None
    ) -> None:
        trace = None if error is None else trace_of(error)
        self.statuses.put(subject, Status(state, self.worker_id, self.membership.generation, trace, version))

    # Requests that change something.

    def create_or_replace(
        self, name: str, config: Config, *, replace: bool, target: TargetState | None = None
    ) -> tuple[dict[str, Any], bool]:
        """The connector as it is then, and whether it is new. The configuration was judged before."""
        return self.do(lambda: self._create_or_replace(name, config, replace=replace, target=target))

    def _create_or_replace(
        self, name: str, config: Config, *, replace: bool, target: TargetState | None
    ) -> tuple[dict[str, Any], bool]:
        self.check_leads()
        exists = name in self.configs.snapshot().connectors
        if exists and not replace:
            raise AlreadyExistsError(f"Connector {name} already exists")
        self.configs.put_connector(name, config, target)
        self.wake()
        return self.info_of(name, config), not exists

    def check_leads(self) -> None:
        """Raises ElsewhereError on a worker that may not write configurations."""
        self._lead("Only the leader can set connector configs.")

    def check_is_new(self, name: str) -> None:
        """Raises AlreadyExistsError."""
        if name in self.configs.snapshot().connectors:
            raise AlreadyExistsError(f"Connector {name} already exists")

    def patched(self, name: str, changes: Config) -> dict[str, str | None]:
        """The configuration of a connector with some settings changed; None takes one away."""
        state = self.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Connector {name} not found")
        merged = {**state.connectors[name], **changes}
        return {key: value for key, value in merged.items() if value is not None}

    def delete(self, name: str) -> None:
        """Forget a connector."""
        self.do(lambda: self._delete(name))

    def _delete(self, name: str) -> None:
        self._lead("Only the leader can delete connector configs.")
        if name not in self.configs.snapshot().connectors:
            raise NotFoundError(f"Connector {name} not found")
        self.configs.remove_connector(name)
        self.statuses.forget_topics(name)
        self.wake()

    def set_target_state(self, name: str, target: TargetState) -> None:
        """Pause a connector, or let it go on."""
        if name not in self.configs.snapshot().connectors:
            raise NotFoundError(f"Unknown connector {name}")
        self.configs.put_target_state(name, target)
        self.wake()

    def stop_connector(self, name: str) -> None:
        """Take a connector's tasks away; its configuration and offsets stay."""
        self.do(lambda: self._stop_connector(name))

    def _stop_connector(self, name: str) -> None:
        if name not in self.configs.snapshot().connectors:
            raise NotFoundError(f"Unknown connector {name}")
        self._lead("Only the leader can transition connectors to the STOPPED state.")
        # The tasks go first: a worker that knows no STOPPED reads PAUSED, and has nothing to pause.
        self.configs.put_tasks(name, [])
        self.configs.put_target_state(name, TargetState.STOPPED)
        self.wake()

    def restart_connector(self, name: str) -> None:
        """Restart a connector, not its tasks."""
        self.do(lambda: self._restart_connector(name))

    def _restart_connector(self, name: str) -> None:
        state = self.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Unknown connector: {name}")
        if name not in self.membership.assignment(state).connectors:
            raise ElsewhereError(
                "Cannot restart connector since it is not assigned to this member", self.membership.owner_of(name)
            )
        self._restart_connector_here(name, state)

    def restart_task(self, task: TaskId) -> None:
        """Restart one task."""
        self.do(lambda: self._restart_task(task))

    def _restart_task(self, task: TaskId) -> None:
        state = self.configs.snapshot()
        if task.connector not in state.connectors:
            raise NotFoundError(f"Unknown connector: {task.connector}")
        if task not in state.tasks:
            raise NotFoundError(f"Unknown task: {task}")
        if task not in self.membership.assignment(state).tasks:
            raise ElsewhereError(
                "Cannot restart task since it is not assigned to this member", self.membership.owner_of(task)
            )
        self.worker.stop_tasks([task])
        self._bring_task(task, state)

    def restart(self, request: RestartRequest, look: Callable[[], T]) -> T:
        """Restart a connector and its tasks, wherever they are; what `look` sees when all are marked for it."""
        return self.do(lambda: self._restart(request, look))

    def _restart(self, request: RestartRequest, look: Callable[[], T]) -> T:
        state = self.configs.snapshot()
        if request.connector not in state.connectors:
            raise NotFoundError(f"Unknown connector: {request.connector}")
        self._lead("Only the leader can process restart requests.")
        if self.statuses.get(request.connector) is None:
            raise NotFoundError(f"Status for connector {request.connector} not found")
        connector, tasks = self._concerned(request, state)
        subjects: list[Subject] = [request.connector] if connector else []
        subjects += tasks
        for subject in subjects:
            status = self.statuses.get(subject)
            version = None if status is None else status.version
            self._say(subject, State.RESTARTING, version=version)
        seen = look()
        self.configs.put_restart(request)
        return seen

    def _stopped(self, name: str) -> Config:
        """The configuration of a connector whose offsets may be changed, none of whose tasks runs here."""
        self._lead("Only the leader can process external offsets modification requests")
        self.configs.refresh()
        state = self.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Connector {name} not found")
        if state.target_state(name) is not TargetState.STOPPED or state.task_counts.get(name):
            raise BadRequestError(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for "
                "the specified connector by issuing a 'PUT' request to the '/connectors/"
                f"{name}/stop' endpoint"
            )
        # What is being stopped may still commit.
        self._make_it_so(state)
        return state.connectors[name]

    def _lead(self, message: str) -> None:
        if not self.membership.leads:
            raise ElsewhereError(message, self.membership.leader_url)

    # What can be seen.

    def info_of(self, name: str, config: Config | None = None) -> dict[str, Any]:
        """A connector as the REST interface shows it. Raises NotFoundError."""
        state = self.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Connector {name} not found")
        shown = dict(state.connectors[name] if config is None else config)
        tasks = [{"connector": each.connector, "task": each.task} for each in state.task_ids(name)]
        return {"name": name, "config": shown, "tasks": tasks, "type": self.worker.type_of(shown).value}
