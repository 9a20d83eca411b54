"""Where a worker keeps configurations and statuses: in topics that all workers of a group read, or in memory.

A store calls its listener for each change, in whatever thread the change came by; the listener may not wait. What is
written is in the next snapshot when the writing call returns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from confluent_kafka import KafkaException

from moldau.connect.runtime.config_records import (
    Config,
    ConfigState,
    Event,
    Pair,
    RestartRequest,
    SessionKey,
    connector_records,
    fencing_record,
    logger_record,
    removal_records,
    restart_record,
    session_key_record,
    target_state_record,
    task_records,
)
from moldau.connect.runtime.fenced_writer import FencedWriter, PrivilegeLostError
from moldau.connect.runtime.names import TargetState, TaskId
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
from moldau.connect.runtime.topic_log import Clients, TopicLog, TopicSettings

logger: Final = logging.getLogger("moldau.connect.status")

_NOTHING: Final[Any] = object()

Listener = Callable[[Event], None]
Records = Sequence[Pair] | Callable[[ConfigState], Sequence[Pair]]
"""What to write, or what says it when it is shown all that was written before."""


class ConfigStore:
    """The configurations. `_append` is what differs between memory and a topic."""

    def __init__(self) -> None:
        self._state = ConfigState()
        self._lock = threading.Lock()
        # Whoever leads decides and writes under it, as if it were one step.
        self._leading = threading.RLock()
        self._listener: Listener = lambda _event: None
        self._started = False

    def start(self, listener: Listener) -> None:
        """Read what is there; the listener hears what comes after that."""
        self._listener = listener
        self._open()
        self._started = True

    def stop(self) -> None:
        """Close the clients, if there are any."""

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Return when everything is in the snapshot that was written until now, by whomever, or nobody waits for it."""

    def lead(self) -> None:
        """This worker leads: nobody writes as the leader who did before. Cheap when that is so already."""

    def follow(self) -> None:
        """This worker does not lead."""

    def snapshot(self) -> ConfigState:
        """What is known, unchanged by what comes."""
        with self._lock:
            return self._state.snapshot()

    # What only the leader may write.

    def put_connector(self, name: str, config: Config, target: TargetState | None = None) -> None:
        """Create or replace a connector's configuration."""
        self._append_as_leader(connector_records(name, config, target))

    def remove_connector(self, name: str) -> None:
        """Forget a connector and its tasks."""
        self._append_as_leader(removal_records(name))

    def put_tasks(self, name: str, configs: Sequence[Config]) -> None:
        """Replace the configurations of a connector's tasks, all at once."""
        self._append_as_leader(task_records(name, configs))

    def put_restart(self, request: RestartRequest) -> None:
        """Have a connector, and perhaps its tasks, restarted by whoever runs them."""
        self._append_as_leader([restart_record(request)])

    def put_fencing(self, name: str, judge: Callable[[ConfigState], int | None]) -> None:
        """Older tasks of a connector were shut out: how many there may be now is said by `judge`, None for nothing.

        It is shown all that is written, and nobody writes anything before what it says is.
        """

        def records(state: ConfigState) -> Sequence[Pair]:
            count = judge(state)
            return [] if count is None else [fencing_record(name, count)]

        self._append_as_leader(records)

    def put_session_key(self, key: SessionKey) -> None:
        """Replace the key with which workers sign."""
        self._append_as_leader([session_key_record(key)])

    # What any worker may.

    def put_target_state(self, name: str, state: TargetState) -> None:
        """Say what a connector shall be."""
        self._append([target_state_record(name, state)])

    def put_logger(self, namespace: str, level: str) -> None:
        """Set a log level everywhere."""
        self._append([logger_record(namespace, level)])

    def _open(self) -> None:
        """Nothing to read in memory."""

    def _append(self, pairs: Sequence[Pair]) -> None:
        for key, value in pairs:
            self._take(key, value, self._state.offset + 1)

    def _append_as_leader(self, records: Records) -> None:
        with self._leading:
            pairs = records(self.snapshot()) if callable(records) else records
            self._append(pairs)

    def _take(self, key: str | None, value: bytes | None, offset: int) -> None:
        with self._lock:
            event = self._state.apply(key, value, offset)
        if event is not None and self._started:
            self._listener(event)


class TopicConfigStore(ConfigStore):
    """The configurations in the config topic. With a `writer` the leader's records are written in its transactions."""

    def __init__(self, topic: TopicSettings, clients: Clients, writer: FencedWriter | None = None) -> None:
        super().__init__()
        self._log = TopicLog(topic, clients, lambda key, value, offset: self._take(_text(key), value, offset))
        self._writer = writer

    def stop(self) -> None:
        """Close the clients."""
        if self._writer is not None:
            self._writer.relinquish()
        self._log.stop()

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Read to the end."""
        self._log.read_to_end(given_up=given_up)

    def lead(self) -> None:
        """Claim to be the only one, which ends what one before has left open. Raises ConnectError."""
        if self._writer is not None:
            with self._leading:
                if self._writer.claim():
                    self._log.read_to_end()

    def follow(self) -> None:
        """Claim it anew when this worker leads again."""
        if self._writer is not None:
            with self._leading:
                self._writer.relinquish()

    def _open(self) -> None:
        self._log.start()

    def _append(self, pairs: Sequence[Pair]) -> None:
        self._log.write(pairs)
        self._log.read_to_end()

    def _append_as_leader(self, records: Records) -> None:
        with self._leading:
            if self._writer is None:
                if callable(records):
                    self._log.read_to_end()
                super()._append_as_leader(records)
                return
            try:
                self._write_fenced(self._writer, records)
            except PrivilegeLostError:
                # By one that leads no more, as a rule, or that led in between: a second claim is the last.
                self._write_fenced(self._writer, records)
            self._log.read_to_end()

    def _write_fenced(self, writer: FencedWriter, records: Records) -> None:
        if writer.claim() or callable(records):
            self._log.read_to_end()
        pairs = records(self.snapshot()) if callable(records) else records
        if pairs:
            writer.write(pairs)


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
        self._log = TopicLog(topic, clients, lambda key, value, _offset: self._take(_text(key), value))
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


def _text(key: bytes | str | None) -> str | None:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
