"""The rest of the cluster, as the group machines see it: the metadata image, the configs, and compiled code.

Implements `control.groups.consumer.cluster.Cluster`. It is asked at every heartbeat of a consumer group, so what the
image cannot tell quickly is remembered until the image says that it has changed.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from moldau._core import TopicPattern, xxh3_64
from moldau.config import parse
from moldau.control.access.acl import Operation, ResourceType
from moldau.control.access.authorizer import Client
from moldau.control.groups.consumer.cluster import TopicFacts, topic_hash
from moldau.control.metadata.effective import Configs, find_key
from moldau.control.metadata.image import BROKER_RESOURCE, GROUP_RESOURCE, MetadataDelta, MetadataImage, Topic
from moldau.server.access import EVERYTHING, Access, AccessControl

SESSION_TIMEOUT: Final = "consumer.session.timeout.ms"
HEARTBEAT_INTERVAL: Final = "consumer.heartbeat.interval.ms"
ASSIGNMENT_INTERVAL: Final = "consumer.assignment.interval.ms"


class ClusterView:
    """What there is now. All methods belong to the event loop's thread."""

    def __init__(self, image: MetadataImage, configs: Configs, access: AccessControl | None = None) -> None:
        self._image = image
        self._access = access
        self._configs = configs
        self._numbers: dict[str, int] = {}
        """Of groups that have no settings of their own."""
        self._numbers_of: dict[str, dict[str, int]] | None = None
        """Of those that have, by group; None when the image has to be asked which these are."""
        self._known: dict[UUID, TopicFacts] = {}
        self._hashes: dict[UUID, int] = {}
        self.version = self.version_of_new_topics = -1

    def replayed(self, version: int) -> None:
        """The image is what the whole metadata log says; `version` is the offset of its last record."""
        self.version = self.version_of_new_topics = version
        self._numbers.clear()
        self._numbers_of = None

    def changed(self, delta: MetadataDelta, version: int) -> None:
        """The image has changed; `version` is the offset of the last record that it has."""
        self._known.clear()
        self._hashes.clear()
        if delta.created_topics:
            self.version_of_new_topics = version
        if delta.created_topics or delta.changed_topics or delta.deleted_topics:
            self.version = version
        if any(resource.type in (BROKER_RESOURCE, GROUP_RESOURCE) for resource in delta.changed_configs):
            self._numbers.clear()
            self._numbers_of = None

    # Topics

    def topic_named(self, name: str) -> TopicFacts | None:
        return self._facts(self._image.topics.get(name))

    def topic_with(self, topic_id: UUID) -> TopicFacts | None:
        return self._facts(self._image.topics_by_id.get(topic_id))

    def problem_with(self, expression: str) -> str | None:
        try:
            TopicPattern(expression)
        except ValueError as error:
            return str(error)
        return None

    def topics_matching(self, expression: str, client: Client | None) -> frozenset[str]:
        try:
            pattern = TopicPattern(expression)
        except ValueError:
            # It comes from a log that another broker wrote, whose RE2 knows what ours does not.
            return frozenset()
        access = EVERYTHING if client is None else Access(self._access, client)
        names = pattern.matching(list(self._image.topics))
        return frozenset(name for name in names if access.sees(Operation.DESCRIBE, ResourceType.TOPIC, name))

    def hash64(self, data: bytes) -> int:
        return xxh3_64(data)

    def hash_of(self, topic: TopicFacts) -> int:
        known = self._hashes.get(topic.id)
        if known is None:
            known = self._hashes[topic.id] = topic_hash(xxh3_64, topic)
        return known

    def _facts(self, topic: Topic | None) -> TopicFacts | None:
        if topic is None:
            return None
        facts = self._known.get(topic.id)
        if facts is None:
            facts = self._known[topic.id] = self._look_at(topic)
        return facts

    def _look_at(self, topic: Topic) -> TopicFacts:
        racks = tuple(self._racks(topic, index) for index in range(len(topic.partitions))) if self._has_racks else ()
        return TopicFacts(topic.name, topic.id, len(topic.partitions), racks)

    @property
    def _has_racks(self) -> bool:
        return any(broker.rack is not None for broker in self._image.brokers.values())

    def _racks(self, topic: Topic, partition: int) -> tuple[str, ...]:
        brokers = (self._image.brokers.get(replica) for replica in topic.partitions[partition].replicas)
        return tuple(broker.rack for broker in brokers if broker is not None and broker.rack is not None)

    # Settings

    def session_timeout_ms(self, group_id: str) -> int:
        return self._number(group_id, SESSION_TIMEOUT)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        return self._number(group_id, HEARTBEAT_INTERVAL)

    def assignment_interval_ms(self, group_id: str) -> int:
        return self._number(group_id, ASSIGNMENT_INTERVAL)

    def _number(self, group_id: str, name: str) -> int:
        if self._numbers_of is None:
            groups = (resource.name for resource in self._image.configs if resource.type == GROUP_RESOURCE)
            self._numbers_of = {group: {} for group in groups}
        numbers = self._numbers_of.get(group_id, self._numbers)
        number = numbers.get(name)
        if number is None:
            own = self._image.configs_of(GROUP_RESOURCE, group_id)
            number = numbers[name] = self._look_up(name, own.get(name))
        return number

    def _look_up(self, name: str, own: str | None) -> int:
        """The group's own value within the bounds of the broker, which may have changed since it was set."""
        kind, _, rest = name.partition(".")
        if own is None:
            return self._configs.broker_int(f"group.{name}")
        key = find_key(GROUP_RESOURCE, name)
        value = None if key is None else parse(key, own)
        assert isinstance(value, int), f"{name} is a number"
        lowest, highest = (self._configs.broker_int(f"group.{kind}.{bound}.{rest}") for bound in ("min", "max"))
        return max(lowest, min(value, highest))
