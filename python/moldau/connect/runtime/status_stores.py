"""Where a worker keeps statuses: in a topic that all workers of a group read, or in memory."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from confluent_kafka import KafkaException

from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.status_records import (
    Status,
    StatusState,
    Subject,
    TopicUse,
    json_of,
    status_key,
    status_value,
    topic_key,
    topic_value,
)
from moldau.connect.runtime.topic_log import Clients, TopicLog, TopicSettings, text_of

logger: Final = logging.getLogger("moldau.connect.status")

_NOTHING: Final[Any] = object()


class StatusStore(Protocol):
    """The statuses. Everything may be called by any thread."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def tell_again(self) -> None: ...
    def put(self, subject: Subject, status: Status) -> None: ...
    def get(self, subject: Subject) -> Status | None: ...
    def tasks_of(self, connector: str) -> list[tuple[TaskId, Status]]: ...
    def connectors(self) -> set[str]: ...
    def put_topic(self, topic: str, task: TaskId) -> None: ...
    def topics_of(self, connector: str) -> list[str]: ...
    def forget_topics(self, connector: str) -> None: ...


class MemoryStatusStore:
    """Statuses that end with the worker."""

    def __init__(self) -> None:
        self._state = StatusState()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing to read."""

    def stop(self) -> None:
        """Nothing is open."""

    def tell_again(self) -> None:
        """What did not reach the others, and still holds, is told again. Cheap when there is nothing."""

    def put(self, subject: Subject, status: Status) -> None:
        """Keep a status, and tell the others."""
        with self._lock:
            self._state.put(subject, status)
        self._tell(status_key(subject), status_value(status))

    def get(self, subject: Subject) -> Status | None:
        """The status of a connector or a task."""
        with self._lock:
            return self._state.get(subject)

    def tasks_of(self, connector: str) -> list[tuple[TaskId, Status]]:
        """The statuses of a connector's tasks."""
        with self._lock:
            return self._state.tasks_of(connector)

    def connectors(self) -> set[str]:
        """Who has a status, or a task that has one."""
        with self._lock:
            return {*self._state.connectors, *(task.connector for task in self._state.tasks)}

    def put_topic(self, topic: str, task: TaskId) -> None:
        """A task uses a topic; cheap when that is known."""
        if topic in self._state.topics.get(task.connector, ()):
            return
        use = TopicUse(topic, task.connector, task.task, int(time.time() * 1000))
        with self._lock:
            self._state.topics.setdefault(task.connector, {})[topic] = use
        self._tell(topic_key(topic, task.connector), topic_value(use))

    def topics_of(self, connector: str) -> list[str]:
        """The topics that a connector has used."""
        with self._lock:
            return list(self._state.topics.get(connector, ()))

    def forget_topics(self, connector: str) -> None:
        """Begin again to note which topics a connector uses."""
        with self._lock:
            topics = list(self._state.topics.pop(connector, ()))
        for topic in topics:
            self._tell(topic_key(topic, connector), None)

    def _take(self, key: str | None, value: bytes | None) -> None:
        with self._lock:
            self._state.apply(key, value)

    def _tell(self, key: str, value: bytes | None) -> None:
        """Nobody else is there."""


@dataclass(eq=False, slots=True)
class _Telling:
    """A value that is written; two of the same value are two."""

    value: bytes | None


@dataclass(slots=True)
class _OnItsWay:
    """What this worker has told of a key and not read back, in its order, and what another one has told meanwhile."""

    tellings: list[_Telling] = field(default_factory=list)
    said: Any = _NOTHING


class TopicStatusStore(MemoryStatusStore):
    """Statuses in the status topic. What this worker puts is seen by it at once, and by the others in a moment.

    What could not be written is written again (`tell_again`), unless somebody says something else: a producer that has
    failed for good is replaced, and what it had is lost.
    """

    def __init__(self, topic: TopicSettings, clients: Clients) -> None:
        super().__init__()
        self._log = TopicLog(topic, clients, lambda key, value, _offset: self._take(text_of(key), value))
        # Both, and what is decided by them, belong to the lock of the state.
        self._sent: dict[str, _OnItsWay] = {}
        self._lost: dict[str, bytes | None] = {}
        """Not written, and nobody else has said anything of it since."""
        self._replaced = 0
        # Of two statuses of a task the later one is sent later.
        self._telling = threading.Lock()
        self._open = False

    def start(self) -> None:
        """Read everything."""
        self._log.start()
        self._open = True

    def stop(self) -> None:
        """Send what is not sent, and close the clients."""
        self.tell_again()
        self._open = False
        self._log.stop()

    def tell_again(self) -> None:
        if not self._open:
            return
        if not (self._sent or self._lost):
            # Nothing can have been lost, and a worker that says nothing needs no producer.
            self._replaced = self._log.replacements
            return
        try:
            # Whether anything was lost is heard here.
            self._log.poll()
        except KafkaException as error:
            logger.warning("statuses are not written: %s", error.args[0].str())
        with self._lock:
            if self._replaced != self._log.replacements:
                self._replaced = self._log.replacements
                for key in list(self._sent):
                    self._give_up(key)
            lost = list(self._lost)
        for key in lost:
            with self._telling:
                with self._lock:
                    if key not in self._lost:
                        # Said anew, by this worker or another one.
                        continue
                    telling = self._begin(key, self._lost[key])
                logger.info("the status %s is written again", key)
                self._send(key, telling)

    def _take(self, key: str | None, value: bytes | None) -> None:
        if key is None:
            return
        with self._lock:
            way = self._sent.get(key)
            if way is not None:
                self._take_meanwhile(key, way, value)
                return
            lost = self._lost.get(key, _NOTHING)
            if lost is not _NOTHING:
                if value != lost and _same_worker(value, lost):
                    # An older one of this worker's own.
                    return
                del self._lost[key]
            self._state.apply(key, value)

    def _take_meanwhile(self, key: str, way: _OnItsWay, value: bytes | None) -> None:
        """What comes while this worker's own is on its way: that, an older one of its own, or another worker's."""
        for number, telling in enumerate(way.tellings, 1):
            if telling.value != value:
                continue
            if number == len(way.tellings):
                # It stands in the topic behind all that has come before.
                del self._sent[key]
                self._state.apply(key, value)
            else:
                del way.tellings[:number]
            return
        if not _same_worker(value, way.tellings[-1].value):
            way.said = value

    def _tell(self, key: str, value: bytes | None) -> None:
        if self._open:
            with self._telling:
                with self._lock:
                    telling = self._begin(key, value)
                self._send(key, telling)

    def _begin(self, key: str, value: bytes | None) -> _Telling:
        """From here on it is on its way. For whoever has the lock."""
        telling = _Telling(value)
        self._sent.setdefault(key, _OnItsWay()).tellings.append(telling)
        self._lost.pop(key, None)
        return telling

    def _give_up(self, key: str) -> None:
        """What is on its way does not arrive: what another worker said holds, or else it is lost. With the lock."""
        way = self._sent.pop(key)
        if way.said is _NOTHING:
            self._lost[key] = way.tellings[-1].value
        else:
            self._state.apply(key, way.said)

    def _send(self, key: str, telling: _Telling) -> None:
        def report(error: object, _message: object) -> None:
            if error is None:
                return
            logger.warning("the status %s was not written: %s", key, error)
            with self._lock:
                way = self._sent.get(key)
                if way is None or telling not in way.tellings:
                    return
                if telling is way.tellings[-1]:
                    self._give_up(key)
                else:
                    way.tellings.remove(telling)

        try:
            self._log.send(key, telling.value, report)
            self._log.poll()
        except KafkaException as error:
            # Who says what has become of a task is not to fail for it: what is known here stays known here.
            report(error.args[0].str(), None)


def _same_worker(value: bytes | None, other: bytes | None) -> bool:
    """Whether both are statuses of one worker."""
    return _worker_in(value) is not None and _worker_in(value) == _worker_in(other)


def _worker_in(value: bytes | None) -> object:
    """The worker that a status is of."""
    content = json_of(value)
    return None if content is None else content.get("worker_id")
