"""The records of the config topic, read and written as Kafka's workers do; no client here.

Keys are `connector-NAME`, `task-NAME-N`, `commit-NAME`, `target-state-NAME`, `restart-connector-NAME`,
`tasks-fencing-NAME`, `logger-cluster-NAMESPACE` and `session-key`; values are JSON without a schema.

The configurations of a connector's tasks are records of their own, and count only together: they are kept aside until
the `commit-NAME` record that says how many there are. Compaction may have taken some of an older set away, and a leader
may have died between two of them; a commit whose set is not whole marks the connector as inconsistent, and whoever owns
it writes its tasks anew.
"""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from moldau.connect.runtime.names import TargetState, TaskId

logger: Final = logging.getLogger("moldau.connect.config")

Config = Mapping[str, str | None]
Pair = tuple[str, bytes | None]
"""Key and value of a record."""

CONNECTOR: Final = "connector-"
TASK: Final = "task-"
COMMIT: Final = "commit-"
TARGET_STATE: Final = "target-state-"
RESTART: Final = "restart-connector-"
FENCING: Final = "tasks-fencing-"
LOGGER: Final = "logger-cluster-"
SESSION_KEY: Final = "session-key"


class Change(enum.Enum):
    """What a record has changed."""

    CONNECTOR = "connector"
    CONNECTOR_REMOVED = "connector removed"
    TASKS = "tasks"
    TARGET_STATE = "target state"
    RESTART = "restart"
    LOGGER = "logger"
    SESSION_KEY = "session key"


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` is the connector, or the namespace of a logger; `detail` what the record said."""

    change: Change
    subject: str
    detail: Any = None


@dataclass(frozen=True, slots=True)
class RestartRequest:
    """Restart a connector, and perhaps its tasks; perhaps only what has failed."""

    connector: str
    only_failed: bool = False
    include_tasks: bool = False


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The key with which workers sign requests to each other."""

    key: str
    algorithm: str
    created_ms: int


@dataclass(slots=True)
class ConfigState:
    """What the topic says up to an offset. `apply` is the only thing that changes it."""

    offset: int = -1
    connectors: dict[str, Config] = field(default_factory=dict)
    tasks: dict[TaskId, Config] = field(default_factory=dict)
    task_counts: dict[str, int] = field(default_factory=dict)
    target_states: dict[str, TargetState] = field(default_factory=dict)
    applied: dict[str, Config] = field(default_factory=dict)
    """The connector's configuration from which its tasks' configurations were made."""
    inconsistent: set[str] = field(default_factory=set)
    fenced_counts: dict[str, int] = field(default_factory=dict)
    pending_fencing: set[str] = field(default_factory=set)
    generations: dict[str, int] = field(default_factory=dict)
    """How many sets of task configurations were applied; a task that was started with an older one is a zombie.

    They go on when a connector is deleted: the tasks of another one with its name are not to be taken for its own.
    """
    session_key: SessionKey | None = None
    _deferred: dict[str, dict[int, Config]] = field(default_factory=dict)

    def snapshot(self) -> ConfigState:
        """A copy that no later record changes."""
        return replace(
            self,
            connectors=dict(self.connectors),
            tasks=dict(self.tasks),
            task_counts=dict(self.task_counts),
            target_states=dict(self.target_states),
            applied=dict(self.applied),
            inconsistent=set(self.inconsistent),
            fenced_counts=dict(self.fenced_counts),
            pending_fencing=set(self.pending_fencing),
            generations=dict(self.generations),
            _deferred={},
        )

    def target_state(self, connector: str) -> TargetState:
        """What the connector shall be; started unless something else was said."""
        return self.target_states.get(connector, TargetState.STARTED)

    def task_ids(self, connector: str) -> list[TaskId]:
        """The tasks of a connector, none while their set is not whole."""
        if connector in self.inconsistent:
            return []
        return [TaskId(connector, number) for number in range(self.task_counts.get(connector, 0))]

    def task_configs(self, connector: str) -> list[Config]:
        """The configurations of a connector's tasks, in their order."""
        return [self.tasks[each] for each in self.task_ids(connector)]

    def apply(self, key: str | None, value: bytes | None, offset: int) -> Event | None:
        """Take a record in; what it changed, if it did."""
        self.offset = offset
        if key is None:
            return None
        for prefix, take in _BY_PREFIX:
            if key.startswith(prefix):
                content = _json(value)
                if value is not None and content is None:
                    logger.error("ignored the record %s at offset %d: it is no JSON object", key, offset)
                    return None
                event: Event | None = take(self, key.removeprefix(prefix), content)
                return event
        logger.error("ignored a record with the unknown key %s at offset %d", key, offset)
        return None

    def _take_connector(self, name: str, content: dict[str, Any] | None) -> Event | None:
        if content is None:
            self._remove(name)
            return Event(Change.CONNECTOR_REMOVED, name)
        config = content.get("properties")
        if not isinstance(config, dict):
            logger.error("ignored the configuration of connector %s: it has no properties", name)
            return None
        self.connectors[name] = config
        self.target_states.setdefault(name, TargetState.STARTED)
        return Event(Change.CONNECTOR, name)

    def _remove(self, name: str) -> None:
        self.connectors.pop(name, None)
        for each in [task for task in self.tasks if task.connector == name]:
            del self.tasks[each]
        for gone in (self.task_counts, self.target_states, self.applied, self._deferred):
            gone.pop(name, None)
        self.inconsistent.discard(name)

    def _take_task(self, place: str, content: dict[str, Any] | None) -> Event | None:
        name, _, number = place.rpartition("-")
        if not name or not number.isdecimal():
            logger.error("ignored the configuration of a task with the name %s", place)
            return None
        if content is not None and isinstance(content.get("properties"), dict):
            self._deferred.setdefault(name, {})[int(number)] = content["properties"]
        return None

    def _take_commit(self, name: str, content: dict[str, Any] | None) -> Event | None:
        if name not in self.connectors:
            # Deleted, and compaction has taken every trace of it but this one.
            self._remove(name)
            return None
        count = None if content is None else _integer(content.get("tasks"))
        if count is None:
            logger.error("ignored the commit of the tasks of connector %s: it has no count", name)
            return None
        deferred = self._deferred.pop(name, {})
        if set(deferred) >= set(range(count)):
            for each in [task for task in self.tasks if task.connector == name]:
                del self.tasks[each]
            self.tasks.update({TaskId(name, number): deferred[number] for number in range(count)})
            self.generations[name] = self.generations.get(name, -1) + 1
            self.inconsistent.discard(name)
            self.applied[name] = self.connectors[name]
        else:
            self.inconsistent.add(name)
        self.task_counts[name] = count
        self.pending_fencing.add(name)
        return Event(Change.TASKS, name)

    def _take_target_state(self, name: str, content: dict[str, Any] | None) -> Event | None:
        if content is None:
            self.target_states.pop(name, None)
            return None
        # Workers that know no STOPPED read the first one, and pause.
        said = content.get("state.v2") or content.get("state")
        if not isinstance(said, str) or said not in TargetState.__members__:
            logger.error("ignored the target state %r of connector %s", said, name)
            return None
        state = TargetState(said)
        changed = self.target_states.get(name) is not state
        self.target_states[name] = state
        return Event(Change.TARGET_STATE, name, state) if changed else None

    def _take_restart(self, name: str, content: dict[str, Any] | None) -> Event | None:
        if content is None:
            return None
        flags = {flag: content.get(flag.replace("_", "-")) is True for flag in ("only_failed", "include_tasks")}
        return Event(Change.RESTART, name, RestartRequest(name, **flags))

    def _take_fencing(self, name: str, content: dict[str, Any] | None) -> Event | None:
        count = None if content is None else _integer(content.get("task-count"))
        if count is not None:
            self.fenced_counts[name] = count
            self.pending_fencing.discard(name)
        return None

    def _take_logger(self, namespace: str, content: dict[str, Any] | None) -> Event | None:
        level = None if content is None else content.get("level")
        return Event(Change.LOGGER, namespace, level) if isinstance(level, str) else None

    def _take_session_key(self, rest: str, content: dict[str, Any] | None) -> Event | None:
        if rest or content is None:
            return None
        key, algorithm, created = (content.get(name) for name in ("key", "algorithm", "creation-timestamp"))
        if not isinstance(key, str) or not isinstance(algorithm, str) or not isinstance(created, int):
            return None
        self.session_key = SessionKey(key, algorithm, created)
        return Event(Change.SESSION_KEY, "", self.session_key)


_BY_PREFIX: Final = (
    (TARGET_STATE, ConfigState._take_target_state),  # noqa: SLF001 (the table of this class)
    (CONNECTOR, ConfigState._take_connector),  # noqa: SLF001
    (TASK, ConfigState._take_task),  # noqa: SLF001
    (COMMIT, ConfigState._take_commit),  # noqa: SLF001
    (RESTART, ConfigState._take_restart),  # noqa: SLF001
    (FENCING, ConfigState._take_fencing),  # noqa: SLF001
    (LOGGER, ConfigState._take_logger),  # noqa: SLF001
    (SESSION_KEY, ConfigState._take_session_key),  # noqa: SLF001
)


def connector_records(name: str, config: Config, target: TargetState | None = None) -> list[Pair]:
    """The configuration of a connector; its target state stands before it, so that nobody starts it too early."""
    before = [target_state_record(name, target)] if target is not None else []
    return [*before, (CONNECTOR + name, _bytes({"properties": dict(config)}))]


def removal_records(name: str) -> list[Pair]:
    """A connector that is deleted."""
    return [(CONNECTOR + name, None), (TARGET_STATE + name, None)]


def task_records(name: str, configs: Sequence[Config]) -> list[Pair]:
    """The configurations of all tasks of a connector, and the commit that makes them count."""
    tasks = [(f"{TASK}{name}-{number}", _bytes({"properties": dict(config)})) for number, config in enumerate(configs)]
    return [*tasks, (COMMIT + name, _bytes({"tasks": len(configs)}))]


def target_state_record(name: str, state: TargetState) -> Pair:
    """What a connector shall be."""
    old = TargetState.PAUSED if state is TargetState.STOPPED else state
    return TARGET_STATE + name, _bytes({"state": old.value, "state.v2": state.value})


def restart_record(request: RestartRequest) -> Pair:
    """A restart for whoever runs the connector or its tasks."""
    content = {"include-tasks": request.include_tasks, "only-failed": request.only_failed}
    return RESTART + request.connector, _bytes(content)


def fencing_record(name: str, task_count: int) -> Pair:
    """The producers of all older tasks of a connector were shut out; this many tasks may run now."""
    return FENCING + name, _bytes({"task-count": task_count})


def logger_record(namespace: str, level: str) -> Pair:
    """A log level for every worker."""
    return LOGGER + namespace, _bytes({"level": level})


def session_key_record(key: SessionKey) -> Pair:
    """A new key for requests between workers."""
    content = {"key": key.key, "algorithm": key.algorithm, "creation-timestamp": key.created_ms}
    return SESSION_KEY, _bytes(content)


def _bytes(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _json(value: bytes | None) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return None
    # A worker with schemas on its internal converter wraps what it writes.
    if isinstance(content, dict) and set(content) == {"schema", "payload"}:
        content = content["payload"]
    return content if isinstance(content, dict) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
