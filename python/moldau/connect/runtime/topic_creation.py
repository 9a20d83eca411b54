"""Topics that a source connector writes to and that are not there yet: `topic.creation.*` (KIP-158).

A connector with `topic.creation.default.replication.factor` and `.partitions` has its topics created by the worker, by
the first group whose `include` and not `exclude` matches the name, else by the group `default`. Every other setting of
a group is one of the topic. Without these settings the cluster creates topics, or does not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from moldau.client import AdminClient
from moldau.connect.errors import ConfigError, ConnectError

logger: Final = logging.getLogger("moldau.connect.topics")

PREFIX: Final = "topic.creation."
DEFAULT: Final = "default"
OURS: Final = ("include", "exclude", "replication.factor", "partitions")
ASK_TIMEOUT_S: Final = 30.0
NO_SUCH_TOPIC: Final = (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)  # noqa: SLF001 (its name)


@dataclass(frozen=True, slots=True)
class CreationGroup:
    """How the topics of a group are created. -1 leaves a number to the cluster."""

    name: str
    partitions: int
    replication_factor: int
    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)

    def takes(self, topic: str) -> bool:
        """Whether the topic is one of this group."""
        return any(each.fullmatch(topic) for each in self.include) and not any(
            each.fullmatch(topic) for each in self.exclude
        )

    def new(self, topic: str) -> NewTopic:
        """What to ask the cluster for."""
        return NewTopic(topic, self.partitions, self.replication_factor, config=dict(self.config))


def groups_of(config: Mapping[str, str | None]) -> list[CreationGroup]:
    """The groups of a connector, the default one last; none if it leaves its topics to the cluster.

    Raises:
        ConfigError: a group that cannot be used.
    """
    default = f"{PREFIX}{DEFAULT}."
    if f"{default}replication.factor" not in config and f"{default}partitions" not in config:
        return []
    for name in ("replication.factor", "partitions"):
        if config.get(f"{default}{name}") is None:
            raise ConfigError(f'Missing required configuration "{default}{name}" which has no default value.')
    names = [each.strip() for each in (config.get(f"{PREFIX}groups") or "").split(",") if each.strip()]
    last = _group(DEFAULT, config, None)
    return [*(_group(name, config, last) for name in names if name != DEFAULT), last]


def _group(name: str, config: Mapping[str, str | None], default: CreationGroup | None) -> CreationGroup:
    prefix = f"{PREFIX}{name}."
    mine = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    partitions = _number(f"{prefix}partitions", mine.get("partitions"), default.partitions if default else -1)
    factor = _number(
        f"{prefix}replication.factor", mine.get("replication.factor"), default.replication_factor if default else -1
    )
    include = _patterns(f"{prefix}include", mine.get("include")) if default else (re.compile(".*"),)
    if not include:
        raise ConfigError(f'Missing required configuration "{prefix}include" which has no default value.')
    more = {key: value for key, value in mine.items() if key not in OURS and value is not None}
    exclude = _patterns(f"{prefix}exclude", mine.get("exclude"))
    return CreationGroup(name, partitions, factor, include, exclude, {**(default.config if default else {}), **more})


def _number(name: str, given: str | None, default: int) -> int:
    if given is None:
        return default
    try:
        number = int(given)
    except ValueError:
        raise ConfigError(f"Invalid value {given} for configuration {name}: Not a number of type INT") from None
    if number != -1 and number < 1:
        raise ConfigError(f"Invalid value {given} for configuration {name}: Value must be at least 1, or -1")
    return number


def _patterns(name: str, given: str | None) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(each.strip()) for each in (given or "").split(",") if each.strip())
    except re.error as error:
        raise ConfigError(f"Invalid value {given} for configuration {name}: Invalid regex: {error}") from error


class TopicCreation:
    """Makes sure of the topics of one connector. Called once for each topic of a task."""

    def __init__(self, groups: list[CreationGroup], client: Mapping[str, Any]) -> None:
        self._groups = groups
        self._client = client
        self._admin: AdminClient | None = None

    def make_sure_of(self, topic: str) -> None:
        """Create a topic unless it is there. Raises ConnectError when the cluster refuses."""
        group = next((each for each in self._groups if each.takes(topic)), None)
        if group is None:
            return
        if self._admin is None:
            self._admin = AdminClient(self._client)
        try:
            # Asked for by its name a topic would be created by the cluster, in the cluster's way.
            if topic in self._admin.list_topics(timeout=ASK_TIMEOUT_S).topics:
                return
            self._admin.create_topics([group.new(topic)])[topic].result(ASK_TIMEOUT_S)
            logger.info("created the topic %s by the group %s", topic, group.name)
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return
            raise ConnectError(f"the topic {topic} could not be created: {reason.str()}") from error


def why_not_sent(error: KafkaError) -> str:
    """What a record was refused with, and what to do where that is the topic or the record's size."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and "max.request.size" not in error.str():
        return (
            f"{error.str()}: raise producer.override.max.request.size on the connector, or what the cluster takes, "
            "which is max.message.bytes of the topic"
        )
    if error.code() not in NO_SUCH_TOPIC:
        return str(error.str())
    return (
        f"{error.str()}: the topic is not there and the cluster creates none by itself: create it, or set "
        f"{PREFIX}{DEFAULT}.partitions and {PREFIX}{DEFAULT}.replication.factor (-1: as the cluster has it) on the "
        "connector, and the worker does"
    )
