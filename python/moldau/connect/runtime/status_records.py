"""The records of the status topic, read and written as Kafka's workers do; no client here.

Keys are `status-connector-NAME`, `status-task-NAME-N` and `status-topic-TOPIC:connector-NAME`; values JSON without a
schema, nothing at all for what is gone.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any, Final

from moldau.connect.runtime.names import State, TaskId

logger: Final = logging.getLogger("moldau.connect.status")

CONNECTOR: Final = "status-connector-"
TASK: Final = "status-task-"
TOPIC: Final = "status-topic-"
TOPIC_OF: Final = ":connector-"


@dataclass(frozen=True, slots=True)
class Status:
    """What a connector or a task is, who says so, and why it failed."""

    state: State
    worker_id: str
    generation: int
    trace: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class TopicUse:
    """A topic that a connector has used."""

    topic: str
    connector: str
    task: int
    discovered_ms: int


Subject = str | TaskId
"""A connector by its name, or a task."""


def status_key(subject: Subject) -> str:
    """The key of a status."""
    return f"{TASK}{subject}" if isinstance(subject, TaskId) else f"{CONNECTOR}{subject}"


def status_value(status: Status) -> bytes | None:
    """The value; nothing for what is destroyed, so that compaction forgets it."""
    if status.state is State.DESTROYED:
        return None
    content = {
        "state": status.state.value,
        "trace": status.trace,
        "worker_id": status.worker_id,
        "generation": status.generation,
        "version": status.version,
    }
    return _bytes(content)


def topic_key(topic: str, connector: str) -> str:
    """The key of a topic that is used."""
    return f"{TOPIC}{topic}{TOPIC_OF}{connector}"


def topic_value(use: TopicUse) -> bytes:
    """The value of a topic that is used."""
    content = {
        "name": use.topic,
        "connector": use.connector,
        "task": use.task,
        "discoverTimestamp": use.discovered_ms,
    }
    return _bytes({"topic": content})


@dataclass(slots=True)
class StatusState:
    """What the topic says. `apply` and `put` are the only things that change it."""

    connectors: dict[str, Status] = field(default_factory=dict)
    tasks: dict[TaskId, Status] = field(default_factory=dict)
    topics: dict[str, dict[str, TopicUse]] = field(default_factory=dict)
    """By connector, then by topic."""

    def get(self, subject: Subject) -> Status | None:
        """The status of a connector or a task."""
        return self.tasks.get(subject) if isinstance(subject, TaskId) else self.connectors.get(subject)

    def put(self, subject: Subject, status: Status | None) -> None:
        """Keep a status; None or destroyed forgets it."""
        gone = status is None or status.state is State.DESTROYED
        if isinstance(subject, TaskId):
            if gone:
                self.tasks.pop(subject, None)
            elif status is not None:
                self.tasks[subject] = status
        elif gone:
            self.connectors.pop(subject, None)
        elif status is not None:
            self.connectors[subject] = status

    def tasks_of(self, connector: str) -> list[tuple[TaskId, Status]]:
        """The statuses of a connector's tasks, in their order."""
        return sorted((each for each in self.tasks.items() if each[0].connector == connector), key=lambda each: each[0])

    def apply(self, key: str | None, value: bytes | None) -> None:
        """Take a record in."""
        if key is None:
            return
        if key.startswith(CONNECTOR):
            self.put(key.removeprefix(CONNECTOR), _status(key, value))
        elif key.startswith(TASK):
            name, _, number = key.removeprefix(TASK).rpartition("-")
            if name and number.isdecimal():
                self.put(TaskId(name, int(number)), _status(key, value))
        elif key.startswith(TOPIC):
            topic, separator, connector = key.removeprefix(TOPIC).rpartition(TOPIC_OF)
            if separator:
                self._take_topic(topic, connector, value)
        else:
            logger.warning("ignored a record with the unknown key %s", key)

    def _take_topic(self, topic: str, connector: str, value: bytes | None) -> None:
        content = (json_of(value) or {}).get("topic")
        if not isinstance(content, dict):
            self.topics.get(connector, {}).pop(topic, None)
            return
        use = TopicUse(topic, connector, int(content.get("task") or 0), int(content.get("discoverTimestamp") or 0))
        self.topics.setdefault(connector, {})[topic] = use


def _status(key: str, value: bytes | None) -> Status | None:
    content = json_of(value)
    if content is None:
        return None
    state = content.get("state")
    if not isinstance(state, str) or state not in State.__members__:
        logger.error("ignored the record %s: %r is no state", key, state)
        return None
    return Status(
        State(state),
        str(content.get("worker_id")),
        int(content.get("generation") or 0),
        content.get("trace"),
        content.get("version"),
    )


def _bytes(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def json_of(value: bytes | None) -> dict[str, Any] | None:
    """What a record's value says, with or without a schema around it; None if that is nothing."""
    if value is None:
        return None
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict) and set(content) == {"schema", "payload"}:
        content = content["payload"]
    return content if isinstance(content, dict) else None
