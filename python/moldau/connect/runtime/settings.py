"""The settings of a worker: Kafka's names, read from the properties file that people have, with what becomes of each.

A name without an effect here is not an error, as it is none in Kafka; one that looks like a typing mistake is said.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.errors import ConfigError
from moldau.connect.runtime.topic_log import Clients, TopicSettings

logger: Final = logging.getLogger("moldau.connect.settings")

JSON_CONVERTER: Final = "org.apache.kafka.connect.json.JsonConverter"
HEADER_CONVERTER: Final = "org.apache.kafka.connect.storage.SimpleHeaderConverter"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: the default as it is written, and what it is for. `kind` is str, int or bool."""

    name: str
    default: str | None
    kind: type
    doc: str


SETTINGS: Final = (
    Setting("bootstrap.servers", "localhost:9092", str, "The cluster."),
    Setting("group.id", "connect-cluster", str, "The workers that share connectors and tasks."),
    Setting(
        "connect.protocol",
        "sessioned",
        str,
        "What workers speak with each other: sessioned, compatible (requests are not signed), eager (everything stops "
        "when work is divided anew). What all workers of a group know is spoken.",
    ),
    Setting("session.timeout.ms", "10000", int, "After how long without a heartbeat a worker counts as gone."),
    Setting("heartbeat.interval.ms", "3000", int, "How often a worker says that it is there."),
    Setting("rebalance.timeout.ms", "60000", int, "How long a worker may take to stop what it has to give away."),
    Setting(
        "scheduled.rebalance.max.delay.ms",
        "300000",
        int,
        "How long the work of a worker that is gone waits for it to come back, before others get it (KIP-415).",
    ),
    Setting("worker.sync.timeout.ms", "3000", int, "How long a worker may take to read configurations it has missed."),
    Setting("worker.unsync.backoff.ms", "300000", int, "How long a worker stays out of the group that could not."),
    Setting("config.storage.topic", "connect-configs", str, "The topic of the configurations; one partition."),
    Setting("config.storage.replication.factor", "3", int, "Its replicas when it is created; at most one per broker."),
    Setting("offset.storage.topic", "connect-offsets", str, "The topic of the source offsets."),
    Setting("offset.storage.partitions", "25", int, "Its partitions when it is created."),
    Setting("offset.storage.replication.factor", "3", int, "Its replicas when it is created; at most one per broker."),
    Setting("status.storage.topic", "connect-status", str, "The topic of the statuses."),
    Setting("status.storage.partitions", "5", int, "Its partitions when it is created."),
    Setting("status.storage.replication.factor", "3", int, "Its replicas when it is created; at most one per broker."),
    Setting("offset.storage.file.filename", None, str, "Standalone: the file of the source offsets."),
    Setting("key.converter", JSON_CONVERTER, str, "How keys become bytes, where a connector does not say."),
    Setting("value.converter", JSON_CONVERTER, str, "How values become bytes, where a connector does not say."),
    Setting("header.converter", HEADER_CONVERTER, str, "How headers become bytes, where a connector does not say."),
    Setting("offset.flush.interval.ms", "60000", int, "How often offsets are kept."),
    Setting("offset.flush.timeout.ms", "5000", int, "How long that may take before it is tried again."),
    Setting("task.shutdown.graceful.timeout.ms", "5000", int, "How long a task may take to end before it is left."),
    Setting("listeners", None, str, "Where the REST interface listens, as http://host:port; 127.0.0.1:8083."),
    Setting("rest.advertised.host.name", None, str, "The host under which other workers reach this one."),
    Setting("rest.advertised.port", None, int, "The port under which other workers reach this one."),
    Setting("plugin.path", None, str, "Folders from which Python plugins are imported, separated by commas."),
    Setting("topic.creation.enable", "true", bool, "Whether source connectors may create topics (KIP-158)."),
    Setting("topic.tracking.enable", "true", bool, "Whether the topics that a connector uses are noted."),
    Setting("topic.tracking.allow.reset", "true", bool, "Whether that can be begun again."),
    Setting(
        "connector.client.config.override.policy", "All", str, "Which client settings a connector may set: All, None."
    ),
    Setting("config.providers", None, str, "Names of config providers; file, dir and env are there without it."),
    Setting("client.id", None, str, "How the clients of this worker call themselves."),
    Setting(
        "exactly.once.source.support",
        "disabled",
        str,
        "Whether sources write in transactions (KIP-618): disabled, enabled, or preparing on the way from one to the "
        "other, worker by worker. Distributed workers only.",
    ),
    Setting("inter.worker.key.ttl.ms", "3600000", int, "After how long the key is replaced with which workers sign."),
)
SUPPORT: Final = ("disabled", "preparing", "enabled")
PROTOCOLS: Final = ("eager", "compatible", "sessioned")
_BY_NAME: Final = {each.name: each for each in SETTINGS}
_CLIENT_PREFIXES: Final = ("security.", "sasl.", "ssl.")
_CLIENT_NAMES: Final = (
    "client.dns.lookup",
    "request.timeout.ms",
    "retry.backoff.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "metadata.max.age.ms",
    "connections.max.idle.ms",
)
HANDED_ON: Final = (
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "producer.",
    "consumer.",
    "admin.",
    "config.providers.",
    "config.storage.",
    "offset.storage.",
    "status.storage.",
)
"""What stands below these is for others to read."""
_ADMIN_LISTENERS: Final = "admin.listeners"
"""Of the worker, though it begins like the settings of clients."""
_OPEN_PREFIXES: Final = (
    *HANDED_ON,
    "internal.",
    "listeners.",
    "rest.",
    "metrics.",
    "metric.",
    "response.http.",
    "access.control.",
    "plugin.",
    "worker.",
    "inter.worker.",
    "topic.creation.",
    "send.buffer.bytes",
    "receive.buffer.bytes",
)


class WorkerSettings:
    """What a worker runs with. Raises ConfigError for a value that cannot be used."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = dict(given)
        self._values: dict[str, Any] = {}
        problems = [problem for each in SETTINGS if (problem := self._read(each)) is not None]
        support = self._values.get("exactly.once.source.support")
        if support not in SUPPORT:
            problems.append(
                f"Invalid value {support} for configuration exactly.once.source.support: String must be one of: "
                f"{', '.join(SUPPORT)}"
            )
        if not problems:
            problems += self._judge_membership(support)
        if self.given.get("rest.extension.classes", "").strip():
            # Ignored, it would leave open what was closed.
            problems.append(
                f"rest.extension.classes={self.given['rest.extension.classes']}: extensions of the REST interface are "
                "classes of Java; who may reach it is said by a proxy in front of it, and by the address in listeners"
            )
        if problems:
            raise ConfigError("; ".join(problems))
        for name in self.given:
            self._warn_of(name)
        if not self.distributed and support != "disabled":
            logger.warning(
                "exactly.once.source.support=%s has no effect: the offsets of a standalone worker are in a file, which "
                "no transaction of a cluster reaches",
                support,
            )

    def _read(self, setting: Setting) -> str | None:
        text = self.given.get(setting.name, setting.default)
        value: Any = text
        if text is not None and setting.kind is int:
            try:
                value = int(text)
            except ValueError:
                return f"Invalid value {text} for configuration {setting.name}: Not a number of type INT"
        elif text is not None and setting.kind is bool:
            if text.lower() not in ("true", "false"):
                return (
                    f"Invalid value {text} for configuration {setting.name}: Expected value to be either true or false"
                )
            value = text.lower() == "true"
        self._values[setting.name] = value
        return None

    def _judge_membership(self, support: Any) -> Iterator[str]:
        """What is wrong with how the worker takes part in its group."""
        protocol = str(self._values["connect.protocol"]).lower()
        self._values["connect.protocol"] = protocol
        if protocol not in PROTOCOLS:
            yield f"Invalid value {protocol} for configuration connect.protocol: it is one of {', '.join(PROTOCOLS)}"
        elif support == "enabled" and protocol != "sessioned":
            yield (
                "exactly.once.source.support=enabled needs connect.protocol=sessioned: tasks ask their leader to shut "
                "out older ones, which has to be signed"
            )
        heartbeat_ms, session_ms = self._values["heartbeat.interval.ms"], self._values["session.timeout.ms"]
        if heartbeat_ms >= session_ms:
            yield f"heartbeat.interval.ms={heartbeat_ms} has to be less than session.timeout.ms={session_ms}"

    def _warn_of(self, name: str) -> None:
        if name.startswith(_ADMIN_LISTENERS):
            logger.warning(
                "%s has no effect: /admin/loggers is answered where everything is, at listeners; who may reach it is "
                "said by a proxy in front of it",
                name,
            )
            return
        if name in _BY_NAME or name in _CLIENT_NAMES or name.startswith((*_OPEN_PREFIXES, *_CLIENT_PREFIXES)):
            return
        near = difflib.get_close_matches(name, _BY_NAME, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        logger.warning("the worker's setting %s is not one that has an effect%s", name, hint)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def seconds(self, name: str) -> float:
        """A setting in milliseconds, in seconds."""
        return float(self._values[name]) / 1000

    @property
    def distributed(self) -> bool:
        """Whether the worker keeps everything in topics; a file of offsets makes it standalone."""
        return self._values["offset.storage.file.filename"] is None

    @property
    def exactly_once(self) -> bool:
        """Whether source tasks write in transactions."""
        return self.distributed and self._values["exactly.once.source.support"] == "enabled"

    @property
    def fences_leaders(self) -> bool:
        """Whether the leader writes in transactions, so that one that is none any more cannot."""
        return self.distributed and self._values["exactly.once.source.support"] != "disabled"

    def client(self, role: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The settings of a client: `role` is producer, consumer or admin."""
        given = {name: value for name, value in self.given.items() if not name.startswith(_ADMIN_LISTENERS)}
        return {**self.shared_by_clients(), **with_prefix(given, f"{role}."), **(overrides or {})}

    def shared_by_clients(self) -> dict[str, Any]:
        """The settings of all clients, and of the worker's place in its group: where the cluster is, and security."""
        shared = {
            name: value
            for name, value in self.given.items()
            if name in _CLIENT_NAMES or name.startswith(_CLIENT_PREFIXES)
        }
        return {"bootstrap.servers": self._values["bootstrap.servers"], "log_level": 0, **shared}

    def own_clients(self) -> Clients:
        """The clients of the worker's own topics: as in Kafka, `producer.` and its like are for connectors' clients."""
        shared = self.shared_by_clients()
        return Clients(shared, shared, shared)

    def topic(self, kind: str) -> TopicSettings:
        """One of the worker's own topics: `kind` is config, offset or status."""
        prefix = f"{kind}.storage."
        known = ("topic", "replication.factor", "partitions")
        more = {name: value for name, value in with_prefix(self.given, prefix).items() if name not in known}
        more.pop("file.filename", None)
        return TopicSettings(
            self._values[f"{prefix}topic"],
            f"{prefix}topic",
            1 if kind == "config" else self._values[f"{prefix}partitions"],
            self._values[f"{prefix}replication.factor"],
            more,
            single_partition=kind == "config",
        )


def with_prefix(config: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings below a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in config.items() if name.startswith(prefix)}
