"""From the metadata image to the compiled side: the logs that must exist, and what hot requests are answered from.

After every batch of metadata records the image says what has changed (`take_delta`), and `Publisher.publish` carries
it over: deleted topics first, then new logs, then the topics that clients may see, so that nobody is sent to a
partition whose log is not there. At the start of the node the whole image is brought over: all but the topics at once,
and the topics when this broker has joined the cluster, because that gives each partition its leader. Where clients may
come before that, they find the topics as the last run left them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import gethostbyname
from typing import Any, Final
from uuid import UUID

from moldau._core import Core
from moldau.control.metadata.effective import Configs
from moldau.control.metadata.features import told_levels
from moldau.control.metadata.image import BROKER_RESOURCE, TOPIC_RESOURCE, MetadataDelta, MetadataImage, Topic
from moldau.control.metadata.topic_names import INTERNAL_TOPICS
from moldau.server.access import AccessControl
from moldau.server.clock import Clock
from moldau.server.core_types import AccessRules, Endpoint, PartitionSpec, PartitionState
from moldau.server.translation import MOVE_LIMIT, cleaner_settings, client_quotas, connection_quotas, log_settings

logger: Final = logging.getLogger("moldau.server.publish")


class Topics(Enum):
    """Which topics a change of the metadata brings over."""

    NONE = auto()
    """Nobody is served yet; when somebody is, all of them will come."""
    ALL = auto()
    """The next change brings all of them."""
    CHANGED = auto()
    """All are there: those that it has changed."""


class Publisher:
    """Keeps the compiled side in step with `image`."""

    def __init__(
        self,
        core: Core,
        image: MetadataImage,
        configs: Configs,
        clock: Clock,
        *,
        access: AccessControl | None = None,
        changed: Callable[[MetadataDelta], None],
    ) -> None:
        """`access` is kept in step too. `changed` is told every delta on the event loop, after it was carried over."""
        self._core = core
        self._image = image
        self._configs = configs
        self._clock = clock
        self._access = access
        self._changed = changed
        self._node_id = configs.settings.node_id
        self._local: dict[UUID, set[int]] = {}
        """Partitions whose logs this node has, by topic."""
        self._topics = Topics.NONE

    def local_specs(self) -> list[PartitionSpec]:
        """Every partition that the image puts on this node: what the logs are loaded by at the start."""
        return [spec for topic in self._image.topics.values() for spec in self._missing_specs(topic)]

    def publish_cluster(self) -> None:
        """Bring the whole image over but for its topics. Its logs are loaded (`local_specs`)."""
        self._image.take_delta()
        self._push_brokers()
        self._push_features()
        self._push_quotas()
        if self._access is not None:
            self._access.take(self._image.acls.values())
            self._core.set_access(self._access.rules())

    def publish_topics(self) -> None:
        """Bring all topics over, for whoever comes before this broker has joined the cluster."""
        self._push_topics(self._image.topics.values())
        self._topics = Topics.CHANGED

    def let_topics_out(self) -> None:
        """The next change brings all topics over, before anybody is told of it; every later one what has changed."""
        self._topics = Topics.ALL

    async def publish(self) -> None:
        """Carry over what has changed since the last call."""
        delta = self._image.take_delta()
        if delta:
            rules = self._new_rules(delta)
            topics = self._topics
            if topics is Topics.ALL:
                self._topics = Topics.CHANGED
            await asyncio.to_thread(self._push, delta, rules, topics)
            self._changed(delta)

    def _new_rules(self, delta: MetadataDelta) -> AccessRules | None:
        """Let the handlers know of other rules; what the hot requests must know, if that has changed."""
        if self._access is None or not (delta.added_acls or delta.removed_acls):
            return None
        self._access.take(delta.added_acls, delta.removed_acls)
        return self._access.rules()

    def _push(self, delta: MetadataDelta, rules: AccessRules | None, topics: Topics) -> None:
        if rules is not None:
            self._core.set_access(rules)
        for topic in delta.deleted_topics:
            self._remove(topic)
        touched = {topic.id: topic for topic in (*delta.created_topics, *delta.changed_topics)}
        self._create_missing(touched.values())
        if delta.brokers_changed:
            self._push_brokers()
        if delta.features_changed:
            self._push_features()
        if delta.quotas_changed:
            self._push_quotas()
        # New logs were made with their settings.
        new = {topic.id for topic in delta.created_topics}
        for topic in self._configured_anew(delta):
            touched[topic.id] = topic
            if topic.id not in new:
                self._set_log_settings(topic)
        if topics is Topics.ALL:
            self._push_topics(self._image.topics.values())
        elif topics is Topics.CHANGED:
            self._push_topics(touched.values())

    def _create_missing(self, topics: Iterable[Topic]) -> None:
        """Make the logs of all topics with one call."""
        specs = [spec for topic in topics for spec in self._missing_specs(topic)]
        if specs:
            failures = self._core.create_partitions(specs, self._clock.now_ms())
            self._report(failures, "create")
            ids = {spec.topic: spec.topic_id for spec in specs}
            for failure in failures:
                # The next change of the topic tries again; until then clients get KAFKA_STORAGE_ERROR.
                self._local[ids[failure.topic]].discard(failure.partition)

    def _configured_anew(self, delta: MetadataDelta) -> Iterable[Topic]:
        """Topics whose effective settings may have changed; a broker setting is a default of all of them."""
        if any(resource.type == BROKER_RESOURCE for resource in delta.changed_configs):
            self._core.set_cleaner_settings(cleaner_settings(self._configs))
            self._core.set_move_limit(self._configs.broker_int(MOVE_LIMIT))
            enabled = self._configs.broker_bool
            self._core.set_auto_create_topics(enabled=enabled("auto.create.topics.enable"))
            self._core.set_verify_transactions(enabled=enabled("transaction.partition.verification.enable"))
            return list(self._image.topics.values())
        names = (resource.name for resource in delta.changed_configs if resource.type == TOPIC_RESOURCE)
        return [self._image.topics[name] for name in names if name in self._image.topics]

    def _set_log_settings(self, topic: Topic) -> None:
        settings = log_settings(self._configs.topic_values(topic.name))
        local = sorted(self._local.get(topic.id, ()))
        self._core.set_log_settings(topic.name, local, settings, self._clock.now_ms())

    def _missing_specs(self, topic: Topic) -> list[PartitionSpec]:
        """The partitions of `topic` that belong on this node and have no log here yet; counts them as present."""
        local = self._local.setdefault(topic.id, set())
        missing = [index for index, each in topic.partitions.items() if self._node_id in each.replicas]
        missing = [index for index in missing if index not in local]
        if not missing:
            return []
        local.update(missing)
        settings = log_settings(self._configs.topic_values(topic.name))
        return [PartitionSpec(topic.name, index, topic.id, settings) for index in sorted(missing)]

    def _remove(self, topic: Topic) -> None:
        self._core.remove_topic(topic.name)
        local = sorted(self._local.pop(topic.id, ()))
        self._report(self._core.delete_partitions(topic.name, local, self._clock.now_ms()), "delete")

    def _push_topics(self, topics: Iterable[Topic]) -> None:
        active = {broker.id for broker in self._image.brokers.values() if not broker.fenced}
        for topic in topics:
            self._push_topic(topic, active)

    def _push_topic(self, topic: Topic, active: set[int]) -> None:
        min_insync_replicas: Any = self._configs.topic(topic.name, "min.insync.replicas")
        states = []
        for index, each in sorted(topic.partitions.items()):
            offline = [replica for replica in each.replicas if replica not in active]
            states.append(
                PartitionState(index, each.leader, each.leader_epoch, list(each.replicas), list(each.isr), offline)
            )
        self._core.put_topic(topic.name, topic.id, topic.name in INTERNAL_TOPICS, min_insync_replicas, states)

    def _push_brokers(self) -> None:
        for broker in self._image.brokers.values():
            if broker.fenced:
                self._core.remove_broker(broker.id)
                continue
            endpoints = [Endpoint(each.name, each.host, each.port) for each in broker.endpoints]
            self._core.put_broker(broker.id, broker.epoch, endpoints, broker.rack)
        self._core.set_controller(self._node_id)

    def _push_features(self) -> None:
        high_watermark = self._core.high_watermark("__cluster_metadata", 0)
        self._core.set_features(sorted(told_levels(self._image.features).items()), max(0, high_watermark - 1))

    def _push_quotas(self) -> None:
        connections: list[tuple[IPv4Address | IPv6Address | None, float]] = []
        for host, limit in connection_quotas(self._image.client_quotas):
            try:
                connections.append((None if host is None else _address(host), limit))
            except OSError as error:
                logger.warning("no connection is held to the quota of %s: %s", host, error)
        self._core.set_quotas(client_quotas(self._image.client_quotas), connections)

    def _report(self, failures: list[Any], verb: str) -> None:
        for failure in failures:
            logger.error("cannot %s %s-%d: %s", verb, failure.topic, failure.partition, failure.message)


def _address(host: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(host)
    except ValueError:
        return ip_address(gethostbyname(host))
