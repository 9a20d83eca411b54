"""The settings of an application: Kafka's names, one table, and what its clients are given.

A setting is written with dots in a dict or with underscores as a keyword. What is not of Streams itself goes to the
clients: with `main.consumer.`, `restore.consumer.`, `consumer.`, `producer.` or `admin.` before it to those alone,
without to all that know it. Java's spellings are translated by `moldau.client`. (StreamsConfig of Kafka 4.3.)
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from moldau.client.java_settings import rows_for
from moldau.client.native_settings import NATIVE_SETTINGS
from moldau.client.producing import produce_settings
from moldau.client.settings import ClientSettingsError, Role
from moldau.client.translation import merged, plain, translate
from moldau.streams.context import EMIT_INTERVAL_MS
from moldau.streams.durations import milliseconds
from moldau.streams.errors import StreamsError
from moldau.streams.runtime.exception_handlers import Handler, handler_of, log_and_fail
from moldau.streams.topology.optimization import (
    ALL,
    MERGE_REPARTITION_TOPICS,
    NONE,
    REUSE_SOURCE_TOPICS,
    SINGLE_STORE_SELF_JOIN,
    rules_of,
)
from moldau.streams.topology.optimization import SETTING as OPTIMIZATION

AT_LEAST_ONCE: Final = "at_least_once"
EXACTLY_ONCE_V2: Final = "exactly_once_v2"
DEBUG_METRICS: Final = "DEBUG"
"""The recording level with which each node counts what it is given."""

EOS_COMMIT_INTERVAL_MS: Final = 100
EOS_TRANSACTION_TIMEOUT_MS: Final = 10_000
_PREFIXES: Final = ("main.consumer.", "restore.consumer.", "global.consumer.", "consumer.", "producer.", "admin.")
_CONSUMER_ONLY: Final = (
    "auto.offset.reset",
    "check.crcs",
    "fetch.",
    "group.",
    "heartbeat.",
    "max.poll.",
    "max.partition.fetch.bytes",
    "queued.",
    "session.",
)
_PRODUCER_ONLY: Final = (
    "acks",
    "batch.",
    "buffer.memory",
    "compression.",
    "delivery.",
    "linger.",
    "max.in.flight",
    "message.send",
    "message.timeout",
    "partitioner",
    "queue.buffering",
    "request.required",
    "retries",
    "sticky.",
    "transaction.timeout",
)
_OWN: Final = {
    "enable.auto.commit": "offsets are committed by the application, with its state",
    "enable.idempotence": "it follows from processing.guarantee",
    "group.id": "it is the application.id",
    "isolation.level": "it follows from processing.guarantee",
    "partition.assignment.strategy": "tasks are assigned by where their state is",
    "transactional.id": "each thread has its own, made from the application.id",
}


class StreamsSettingsError(StreamsError, ValueError):
    """The settings cannot be used; `problems` has a sentence for each one."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            "the settings of the application cannot be used:\n" + "\n".join(f"- {one}" for one in problems)
        )


@dataclass(frozen=True, slots=True)
class _Setting:
    name: str
    read: Callable[[Any], Any]
    default: Any = None


def _number(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or int(str(value)) < least:
            raise ValueError(f"must be a whole number of at least {least}, not {value!r}")
        return int(str(value))

    return read


def _ms(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else milliseconds(value, "it")
        if number < least:
            raise ValueError(f"must be at least {least} ms, not {value!r}")
        return number

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"must be text, not {value!r}")
    return str(value)


def _boolean(value: Any) -> bool:
    if value not in {True, False, "true", "false"}:
        raise ValueError(f"must be true or false, not {value!r}")
    return value in {True, "true"}


def _servers(value: Any) -> str:
    return _text(plain(value))


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be {' or '.join(words)}, not {value!r}")
        return str(value)

    return read


_TABLE: Final = {
    setting.name: setting
    for setting in (
        _Setting("acceptable.recovery.lag", _number(0), 10_000),
        _Setting("application.id", _text),
        _Setting("bootstrap.servers", _servers),
        _Setting("application.server", _text, ""),
        _Setting("buffered.records.per.partition", _number(1), 1000),
        _Setting("client.id", _text, ""),
        _Setting("columns.enabled", _boolean, True),
        _Setting("commit.interval.ms", _ms(0)),
        _Setting("deserialization.exception.handler", handler_of, log_and_fail),
        _Setting("emit.interval.ms", _ms(0), EMIT_INTERVAL_MS),
        _Setting("errors.dead.letter.queue.topic.name", _text),
        _Setting("group.instance.id", _text),
        _Setting("max.task.idle.ms", _ms(-1), 0),
        _Setting("max.warmup.replicas", _number(1), 2),
        _Setting("metrics.recording.level", _one_of("INFO", DEBUG_METRICS), "INFO"),
        _Setting("num.standby.replicas", _number(0), 0),
        _Setting("num.stream.threads", _number(1), 1),
        _Setting("poll.ms", _ms(0), 100),
        _Setting("probing.rebalance.interval.ms", _ms(60_000), 600_000),
        _Setting("processing.exception.handler", handler_of, log_and_fail),
        _Setting("processing.guarantee", _one_of(AT_LEAST_ONCE, EXACTLY_ONCE_V2), AT_LEAST_ONCE),
        _Setting("production.exception.handler", handler_of, log_and_fail),
        _Setting("repartition.purge.interval.ms", _ms(0), 30_000),
        _Setting("replication.factor", _number(-1), -1),
        _Setting("state.dir", _text),
        _Setting("statestore.cache.max.bytes", _number(0), 0),
        _Setting("task.timeout.ms", _ms(0), 300_000),
        _Setting(OPTIMIZATION, rules_of),
        _Setting("windowstore.changelog.additional.retention.ms", _ms(0), 86_400_000),
    )
}
_OLD_NAMES: Final = {
    "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__": "emit.interval.ms",
    "__emit.interval.ms.kstreams.windowed.aggregation__": "emit.interval.ms",
    "cache.max.bytes.buffering": "statestore.cache.max.bytes",
    "default.deserialization.exception.handler": "deserialization.exception.handler",
    "default.production.exception.handler": "production.exception.handler",
}


class StreamsConfig:
    """Kafka's constants for names and values, for those who bring a program along."""

    ACCEPTABLE_RECOVERY_LAG_CONFIG = "acceptable.recovery.lag"
    APPLICATION_ID_CONFIG = "application.id"
    APPLICATION_SERVER_CONFIG = "application.server"
    AT_LEAST_ONCE = AT_LEAST_ONCE
    BOOTSTRAP_SERVERS_CONFIG = "bootstrap.servers"
    BUFFERED_RECORDS_PER_PARTITION_CONFIG = "buffered.records.per.partition"
    CLIENT_ID_CONFIG = "client.id"
    COMMIT_INTERVAL_MS_CONFIG = "commit.interval.ms"
    DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG = "deserialization.exception.handler"
    ERRORS_DEAD_LETTER_QUEUE_TOPIC_NAME_CONFIG = "errors.dead.letter.queue.topic.name"
    EXACTLY_ONCE_V2 = EXACTLY_ONCE_V2
    MAX_TASK_IDLE_MS_CONFIG = "max.task.idle.ms"
    MAX_WARMUP_REPLICAS_CONFIG = "max.warmup.replicas"
    NUM_STANDBY_REPLICAS_CONFIG = "num.standby.replicas"
    NUM_STREAM_THREADS_CONFIG = "num.stream.threads"
    POLL_MS_CONFIG = "poll.ms"
    PROBING_REBALANCE_INTERVAL_MS_CONFIG = "probing.rebalance.interval.ms"
    PROCESSING_EXCEPTION_HANDLER_CLASS_CONFIG = "processing.exception.handler"
    PROCESSING_GUARANTEE_CONFIG = "processing.guarantee"
    PRODUCTION_EXCEPTION_HANDLER_CLASS_CONFIG = "production.exception.handler"
    REPLICATION_FACTOR_CONFIG = "replication.factor"
    STATE_DIR_CONFIG = "state.dir"
    STATESTORE_CACHE_MAX_BYTES_CONFIG = "statestore.cache.max.bytes"
    TOPOLOGY_OPTIMIZATION_CONFIG = OPTIMIZATION
    OPTIMIZE = ALL
    NO_OPTIMIZATION = NONE
    REUSE_KTABLE_SOURCE_TOPICS = REUSE_SOURCE_TOPICS
    MERGE_REPARTITION_TOPICS = MERGE_REPARTITION_TOPICS
    SINGLE_STORE_SELF_JOIN = SINGLE_STORE_SELF_JOIN


@dataclass(frozen=True)
class StreamsSettings:
    """The settings of one application, read and checked; the fields have the names of the settings."""

    acceptable_recovery_lag: int
    application_id: str
    bootstrap_servers: str
    application_server: str
    buffered_records_per_partition: int
    client_id: str
    columns_enabled: bool
    """Whether sub-topologies of expressions are compiled."""
    commit_interval_ms: int
    deserialization_exception_handler: Handler
    emit_interval_ms: int
    errors_dead_letter_queue_topic_name: str | None
    group_instance_id: str | None
    max_task_idle_ms: int
    max_warmup_replicas: int
    metrics_recording_level: str
    num_standby_replicas: int
    num_stream_threads: int
    poll_ms: int
    probing_rebalance_interval_ms: int
    processing_exception_handler: Handler
    processing_guarantee: str
    production_exception_handler: Handler
    repartition_purge_interval_ms: int
    replication_factor: int
    state_dir: str
    statestore_cache_max_bytes: int
    task_timeout_ms: int
    topology_optimization: frozenset[str] | None
    """What the topology should have been built with; None when nothing was said."""
    windowstore_changelog_additional_retention_ms: int
    clients: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What was given for clients: by prefix, and under "" what has none."""
    topic_config: Mapping[str, str] = field(default_factory=dict)

    @property
    def exactly_once(self) -> bool:
        """Whether outputs, state and offsets are one transaction."""
        return self.processing_guarantee == EXACTLY_ONCE_V2

    @property
    def application_dir(self) -> Path:
        """Where the state of this application is."""
        return Path(self.state_dir) / self.application_id

    def consumer(self, client_id: str) -> dict[str, Any]:
        """What the consumer of a thread is made from; it reads, and the thread's member is in the group for it."""
        own = {
            "client.id": client_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "group.id": self.application_id,
            "isolation.level": "read_committed" if self.exactly_once else "read_uncommitted",
        }
        given = self._given(Role.CONSUMER, "consumer.", "main.consumer.")
        return {"auto.offset.reset": "earliest", **given, **own}

    def restore_consumer(self, client_id: str) -> dict[str, Any]:
        """What the consumer that reads changelogs is made from; it is in no group."""
        return self._reader("restore.consumer.", client_id)

    def global_consumer(self, client_id: str) -> dict[str, Any]:
        """What the consumer that reads global tables is made from; it is in no group."""
        return self._reader("global.consumer.", client_id)

    def _reader(self, prefix: str, client_id: str) -> dict[str, Any]:
        given = self._given(Role.CONSUMER, "consumer.", prefix)
        return {
            **given,
            "auto.offset.reset": "error",
            "client.id": client_id,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "group.id": self.application_id,
            "isolation.level": "read_committed" if self.exactly_once else "read_uncommitted",
        }

    @property
    def transaction_timeout_ms(self) -> int:
        """After this time the cluster ends a transaction for us."""
        given = self._given(Role.PRODUCER, "producer.").get("transaction.timeout.ms")
        return EOS_TRANSACTION_TIMEOUT_MS if given is None else int(given)

    def producer(self, client_id: str, transactional_id: str) -> dict[str, Any]:
        """What the producer of a thread is made from."""
        made = {
            # Java's Streams waits this long for a batch to fill as well.
            "linger.ms": 100,
            "partitioner": "murmur2_random",
            **self._given(Role.PRODUCER, "producer."),
            "client.id": client_id,
            "enable.idempotence": True,
        }
        if self.exactly_once:
            made["transaction.timeout.ms"] = self.transaction_timeout_ms
            made["transactional.id"] = transactional_id
        return made

    def admin(self, client_id: str) -> dict[str, Any]:
        """What the admin client is made from."""
        return {**self._given(Role.ADMIN, "admin."), "client.id": client_id}

    def _given(self, role: Role, *prefixes: str) -> dict[str, Any]:
        other = {Role.CONSUMER: _PRODUCER_ONLY, Role.PRODUCER: _CONSUMER_ONLY}.get(
            role, _PRODUCER_ONLY + _CONSUMER_ONLY
        )
        settings = {name: value for name, value in self.clients.get("", {}).items() if not name.startswith(other)}
        for prefix in prefixes:
            settings.update(self.clients.get(prefix, {}))
        native = translate(role, {"bootstrap.servers": self.bootstrap_servers, **settings}).native
        # Small requests wait for nobody, as in Java's clients: a record through two topics is 10 ms faster for it.
        return {"log_level": 0, "socket.nagle.disable": True, **native}


def load(config: Mapping[str, Any] | None = None, keywords: Mapping[str, Any] | None = None) -> StreamsSettings:
    """Read settings from a dict and keywords.

    Raises:
        StreamsSettingsError: with everything that is wrong, and the nearest name for each unknown one.
    """
    problems: list[str] = []
    values: dict[str, Any] = {name.replace(".", "_"): setting.default for name, setting in _TABLE.items()}
    clients: dict[str, dict[str, Any]] = {}
    topic_config: dict[str, str] = {}
    for given, value in merged(config, keywords or {}).items():
        name = _OLD_NAMES.get(given, given)
        setting = _TABLE.get(name)
        if setting is None:
            problems += _take_for_clients(name, value, clients, topic_config)
            continue
        try:
            if value is not None:
                values[name.replace(".", "_")] = setting.read(value)
        except (TypeError, ValueError) as error:
            problems.append(f"{name}: {error}")
    problems += [f"{name}: must be given" for name in ("application.id", "bootstrap.servers") if not _has(values, name)]
    if problems:
        raise StreamsSettingsError(problems)
    if values["commit_interval_ms"] is None:
        values["commit_interval_ms"] = (
            EOS_COMMIT_INTERVAL_MS if values["processing_guarantee"] == EXACTLY_ONCE_V2 else 30_000
        )
    values["state_dir"] = values["state_dir"] or str(Path(tempfile.gettempdir()) / "moldau-streams")
    settings = StreamsSettings(**values, clients=clients, topic_config=topic_config)
    _check_producer(settings)
    return settings


def _check_producer(settings: StreamsSettings) -> None:
    try:
        produce_settings(settings.producer("", settings.application_id))
    except ClientSettingsError as error:
        raise StreamsSettingsError([str(one) for one in error.problems]) from error


def _has(values: Mapping[str, Any], name: str) -> bool:
    key = name.replace(".", "_")
    return bool(values[key])


def _take_for_clients(
    name: str, value: Any, clients: dict[str, dict[str, Any]], topic_config: dict[str, str]
) -> list[str]:
    """Put a setting where it belongs; what is wrong with it."""
    if name.startswith("topic."):
        topic_config[name.removeprefix("topic.")] = str(value)
        return []
    prefix = next((one for one in _PREFIXES if name.startswith(one)), "")
    plain_name = name.removeprefix(prefix)
    if plain_name in _OWN:
        return [f"{name}: is not for you to set: {_OWN[plain_name]}"]
    known = NATIVE_SETTINGS | {row for role in Role for row in rows_for(role)}
    if plain_name not in known:
        near = difflib.get_close_matches(name, sorted(known | _TABLE.keys()), n=1, cutoff=0.6)
        return [f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")]
    clients.setdefault(prefix, {})[plain_name] = value
    return []
