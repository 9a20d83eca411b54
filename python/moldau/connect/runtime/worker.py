"""The worker: connectors and tasks that run in this process, put together from their configurations.

Its methods belong to the herder's thread, except those that only look, and those about offsets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from moldau.connect.errors import ConnectError
from moldau.connect.plugin import SinkConnector, SourceConnector
from moldau.connect.plugins import Plugins
from moldau.connect.runtime.assembly import Assembly
from moldau.connect.runtime.config_provider import ConfigResolver
from moldau.connect.runtime.config_records import Config
from moldau.connect.runtime.connector import ConnectorListener, WorkerConnector
from moldau.connect.runtime.connector_offsets import ConnectorOffsets
from moldau.connect.runtime.contexts import RunningConnectorContext
from moldau.connect.runtime.fencing import Gate
from moldau.connect.runtime.names import ConnectorType, TargetState, TaskId
from moldau.connect.runtime.offset_changes import change_sink_offsets, change_source_offsets
from moldau.connect.runtime.offsets import OffsetStore
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.runtime.startups import Startups
from moldau.connect.runtime.task import TaskListener, WorkerTask

logger: Final = logging.getLogger("moldau.connect.worker")

CONNECTOR_STOP_TIMEOUT_S: Final = 5.0
DEFAULT_TASKS_MAX: Final = 1


class Listener(ConnectorListener, TaskListener, Protocol):
    """Hears of connectors and tasks."""


@dataclass(slots=True)
class _RunningConnector:
    raw: Config
    runner: WorkerConnector | None
    offsets: ConnectorOffsets | None = None


@dataclass(slots=True)
class _RunningTask:
    generation: int
    runner: WorkerTask | None


class Worker:
    """One for each process, as a rule."""

    def __init__(
        self,
        settings: WorkerSettings,
        plugins: Plugins,
        resolver: ConfigResolver,
        offsets: OffsetStore,
        uses_topic: Callable[[str, TaskId], None],
    ) -> None:
        self.settings = settings
        self.plugins = plugins
        self.resolver = resolver
        self.offsets = offsets
        self._assembly = Assembly(settings, plugins, resolver, offsets, uses_topic)
        self._connectors: dict[str, _RunningConnector] = {}
        self._tasks: dict[TaskId, _RunningTask] = {}
        self.startups: Startups
        self._listener: Listener

    def start(self, listener: Listener, gate: Gate | None = None) -> None:
        """Read the offsets. `gate` is what tasks have to pass that write in transactions."""
        self._listener = self.startups = Startups(listener)
        self._assembly.gate = gate
        self.offsets.start()

    def stop(self) -> None:
        """Close what is shared."""
        self.offsets.stop()

    def stop_everything(self) -> None:
        """Stop all tasks, then all connectors."""
        self.stop_tasks(list(self._tasks))
        self.stop_connectors(list(self._connectors))

    # Connectors.

    def has_connector(self, name: str) -> bool:
        """Whether it is here, also when it has failed."""
        return name in self._connectors

    def connector_configs(self) -> dict[str, Config]:
        """What is here, with the configuration that it was started with."""
        return {name: each.raw for name, each in list(self._connectors.items())}

    def version_of(self, name: str) -> str | None:
        """The version of a connector that is here."""
        running = self._connectors.get(name)
        return None if running is None or running.runner is None else running.runner.version

    def start_connector(self, name: str, raw: Config, target: TargetState) -> None:
        """Begin; whatever goes wrong is told to the listener."""
        self._connectors[name] = _RunningConnector(raw, None)
        self.startups.connectors.begin(name)
        try:
            config = self._resolved(raw)
            connector = self.plugins.new_connector(config.get("connector.class") or "")
            runner = WorkerConnector(name, connector, config, target, self._listener)
            self._connectors[name].runner = runner
            offsets = self._connectors[name].offsets = self._assembly.offsets_for(config)
            runner.start(RunningConnectorContext(runner, offsets, self._listener))
        except Exception as error:
            logger.exception("connector %s could not be started", name)
            self._listener.on_connector_failure(name, error)

    def set_connector_target(self, name: str, target: TargetState) -> None:
        """Start, pause or stop it."""
        runner = self._connectors[name].runner
        if runner is not None:
            runner.set_target(target)

    def stop_connectors(self, names: Iterable[str]) -> None:
        """Return when they have ended, or were left to themselves."""
        gone = {name: self._connectors.pop(name) for name in names}
        stopping = {name: each.runner for name, each in gone.items() if each.runner is not None}
        for runner in stopping.values():
            runner.stop()
        deadline = time.monotonic() + CONNECTOR_STOP_TIMEOUT_S
        for name, runner in stopping.items():
            if not runner.wait(max(deadline - time.monotonic(), 0)):
                logger.error("connector %s did not stop within %g s and is left", name, CONNECTOR_STOP_TIMEOUT_S)
                runner.cancel()
        for each in gone.values():
            if each.offsets is not None:
                each.offsets.stop()

    def divide(self, name: str) -> list[dict[str, str | None]] | None:
        """The configurations of a connector's tasks; None when it does not run.

        Raises what the connector raises, and ConnectError when it wants more tasks than it may have.
        """
        running = self._connectors.get(name)
        if running is None or running.runner is None or not running.runner.running:
            return None
        runner = running.runner
        config = runner.config
        tasks_max = int(config.get("tasks.max") or DEFAULT_TASKS_MAX)
        task_class = self.plugins.name_of(runner.connector.task_class())
        shared = {"task.class": task_class}
        if isinstance(runner.connector, SinkConnector):
            shared |= {each: config[each] for each in ("topics", "topics.regex") if config.get(each)}
        configs = [{**each, **shared} for each in runner.connector.task_configs(tasks_max)]
        if len(configs) > tasks_max and (config.get("tasks.max.enforce") or "true").lower() == "true":
            raise ConnectError(
                f"The connector {name} has generated {len(configs)} tasks, which is greater than {tasks_max}, the "
                "maximum number of tasks it is configured to create. "
            )
        return configs

    # Tasks.

    def has_task(self, task: TaskId) -> bool:
        """Whether it is here, also when it has failed."""
        return task in self._tasks

    def task_generations(self) -> dict[TaskId, int]:
        """What is here, with the generation of the configurations that it was started with."""
        return {task: each.generation for task, each in self._tasks.items()}

    def running_tasks(self) -> list[tuple[TaskId, WorkerTask | None]]:
        """What is here; None for a task that could not be put together. By any thread."""
        return [(task, each.runner) for task, each in list(self._tasks.items())]

    def version_of_task(self, task: TaskId) -> str | None:
        """The version of a task that is here."""
        running = self._tasks.get(task)
        return None if running is None or running.runner is None else running.runner.version

    def start_task(self, task: TaskId, raw: Config, raw_task: Config, target: TargetState, generation: int) -> None:
        """Begin; whatever goes wrong is told to the listener."""
        self._tasks[task] = _RunningTask(generation, None)
        self.startups.tasks.begin(task)
        try:
            config, task_config = self._resolved(raw), self._resolved(raw_task)
            runner = self._assembly.task(task, config, task_config, target, self._listener, generation)
            self._tasks[task].runner = runner
            runner.start()
        except Exception as error:
            logger.exception("task %s could not be started", task)
            self._listener.on_failure(task, error)

    def set_task_target(self, task: TaskId, target: TargetState) -> None:
        """Pause it, or let it go on."""
        runner = self._tasks[task].runner
        if runner is not None:
            runner.set_target(target)

    def stop_tasks(self, tasks: Iterable[TaskId]) -> None:
        """Return when they have ended, or were left to themselves."""
        stopping = {
            task: running.runner
            for task in tasks
            if (running := self._tasks.pop(task, None)) is not None and running.runner is not None
        }
        for runner in stopping.values():
            runner.stop()
        timeout_s = self.settings.seconds("task.shutdown.graceful.timeout.ms")
        deadline = time.monotonic() + timeout_s
        for task, runner in stopping.items():
            if not runner.wait(max(deadline - time.monotonic(), 0)):
                logger.error(
                    "task %s did not end within task.shutdown.graceful.timeout.ms (%g s) and is left to itself; what "
                    "it does from here on is not kept",
                    task,
                    timeout_s,
                )
                runner.cancel()
                self._listener.on_shutdown(task)

    # Both.

    def fence_producers(self, name: str, raw: Config, count: int) -> None:
        """Make the producers of a connector's first `count` tasks useless, wherever they are. Raises ConnectError."""
        self._assembly.fence_producers(name, self._resolved(raw), count)

    def _resolved(self, raw: Config) -> dict[str, str]:
        return {name: value for name, value in self.resolver.resolve(raw).items() if value is not None}

    def type_of(self, config: Mapping[str, str | None]) -> ConnectorType:
        """Source, sink, or unknown when there is no such class."""
        try:
            found = self.plugins.connector_class(config.get("connector.class") or "")
        except ConnectError:
            return ConnectorType.UNKNOWN
        if issubclass(found, SourceConnector):
            return ConnectorType.SOURCE
        return ConnectorType.SINK if issubclass(found, SinkConnector) else ConnectorType.UNKNOWN

    def offsets_of(self, name: str, raw: Config) -> list[dict[str, Any]]:
        """How far a connector has come, as the REST interface shows it."""
        if self.type_of(raw) is ConnectorType.SINK:
            return self._assembly.sink_offsets(name, self._resolved(raw))
        store = self._assembly.offsets_for(self._resolved(raw))
        store.start()
        try:
            store.refresh()
            found = store.all_of(name)
        finally:
            store.stop()
        return [{"partition": dict(partition), "offset": dict(offset)} for partition, offset in found]

    def alter_offsets(
        self, name: str, raw: Config, offsets: Sequence[tuple[Mapping[str, Any], Any]] | None, timeout_s: float
    ) -> str:
        """Change or reset (None) how far a connector has come. Returns what is said of it.

        The connector's own code has `timeout_s` to agree. Raises RefusedError when it does not answer by then.
        """
        config = self._resolved(raw)
        connector = self.plugins.new_connector(config.get("connector.class") or "")
        if isinstance(connector, SinkConnector):
            group = self._assembly.group_of(name, config)
            client = self._assembly.admin_settings(config)
            known = change_sink_offsets(connector, config, name, group, client, offsets, timeout_s)
        else:
            store = self._assembly.offsets_for(config)
            keep = partial(self._assembly.change_offsets, name, config, store)
            known = change_source_offsets(connector, config, name, store, keep, offsets, timeout_s)
        deed = "reset" if offsets is None else "altered"
        if known:
            return f"The offsets for this connector have been {deed} successfully"
        return (
            f"The Connect framework-managed offsets for this connector have been {deed} successfully. However, if this "
            "connector manages offsets externally, they will need to be manually "
            f"{deed} in the system that the connector uses."
        )
