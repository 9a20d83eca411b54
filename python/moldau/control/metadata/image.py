"""The cluster as its metadata log describes it.

`MetadataImage.apply` is the only code that changes it, one record after the other, live and at recovery alike: an image
that was replayed from the log equals the one that wrote it. Values are frozen; the tables that hold them are written
here and read everywhere else. What a batch of records has changed is collected on the way and handed out once by
`take_delta`, which is how the shell learns what to tell the servers of the hot requests.

Records between the begin and the end of a metadata transaction wait until its end is there; an aborted one leaves no
trace (KIP-868).

A record that contradicts the image (a partition of an unknown topic, a change of an unknown broker) raises
`ImageError`. It means that the log is not what we think it is, and serving from it would be worse than stopping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID

from moldau.control.light import light_dataclass
from moldau.control.metadata import records as r
from moldau.control.metadata.topic_names import metric_name, shares_metric_names
from moldau.control.schema import Message
from moldau.errors import MoldauError

NO_LEADER: Final = -1
RECOVERED: Final = 0
RECOVERING: Final = 1


class ImageError(MoldauError):
    """A record that cannot be true of this cluster."""


class ConfigResource(NamedTuple):
    """Kafka's resource types: 2 topic, 4 broker (empty name: every broker), 8 logger, 16 client metrics, 32 group."""

    type: int
    name: str


@light_dataclass(frozen=True, slots=True)
class Broker:
    """One registered broker process."""

    id: int
    epoch: int
    incarnation_id: UUID
    endpoints: tuple[r.Endpoint, ...]
    features: tuple[r.SupportedFeature, ...]
    rack: str | None
    fenced: bool
    in_controlled_shutdown: bool
    log_dirs: tuple[UUID, ...]
    cordoned_log_dirs: tuple[UUID, ...] | None

    @property
    def active(self) -> bool:
        """Whether it may lead partitions and be in their ISR."""
        return not self.fenced and not self.in_controlled_shutdown


@light_dataclass(frozen=True, slots=True)
class Partition:
    """One partition's replicas and who of them leads."""

    replicas: tuple[int, ...]
    directories: tuple[UUID, ...]
    isr: tuple[int, ...]
    removing_replicas: tuple[int, ...]
    adding_replicas: tuple[int, ...]
    eligible_leader_replicas: tuple[int, ...]
    last_known_elr: tuple[int, ...]
    leader: int
    leader_recovery_state: int
    leader_epoch: int
    partition_epoch: int

    @property
    def reassigning(self) -> bool:
        return bool(self.adding_replicas or self.removing_replicas)


@light_dataclass(frozen=True, slots=True)
class Topic:
    """A topic; only the image adds partitions to it."""

    name: str
    id: UUID
    partitions: dict[int, Partition] = field(default_factory=dict)


class QuotaKey(NamedTuple):
    """The entity that a client quota is for: pairs of type and name, a null name is the default."""

    entity: tuple[tuple[str, str | None], ...]


@light_dataclass(frozen=True, slots=True)
class MetadataDelta:
    """What has changed since the delta before. A topic that was made and removed in between is in neither list."""

    created_topics: tuple[Topic, ...] = ()
    changed_topics: tuple[Topic, ...] = ()
    deleted_topics: tuple[Topic, ...] = ()
    changed_configs: tuple[ConfigResource, ...] = ()
    brokers_changed: bool = False
    features_changed: bool = False
    quotas_changed: bool = False
    added_acls: tuple[r.AccessControlEntryRecord, ...] = ()
    removed_acls: tuple[r.AccessControlEntryRecord, ...] = ()

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING: Final = MetadataDelta()


@dataclass(slots=True)
class _Changes:
    """What the records since the last delta have touched."""

    created: set[UUID] = field(default_factory=set)
    changed: set[UUID] = field(default_factory=set)
    deleted: dict[UUID, Topic] = field(default_factory=dict)
    configs: set[ConfigResource] = field(default_factory=set)
    brokers: bool = False
    features: bool = False
    quotas: bool = False
    added_acls: dict[UUID, r.AccessControlEntryRecord] = field(default_factory=dict)
    removed_acls: dict[UUID, r.AccessControlEntryRecord] = field(default_factory=dict)


@dataclass(slots=True)
class MetadataImage:
    """Everything that the metadata log says. Read it freely; change it by `apply` alone."""

    brokers: dict[int, Broker] = field(default_factory=dict)
    controllers: dict[int, r.RegisterControllerRecord] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    topics_by_id: dict[UUID, Topic] = field(default_factory=dict)
    configs: dict[ConfigResource, dict[str, str]] = field(default_factory=dict)
    features: dict[str, int] = field(default_factory=dict)
    next_producer_id: int = 0
    client_quotas: dict[QuotaKey, dict[str, float]] = field(default_factory=dict)
    scram_credentials: dict[tuple[str, int], r.UserScramCredentialRecord] = field(default_factory=dict)
    acls: dict[UUID, r.AccessControlEntryRecord] = field(default_factory=dict)
    delegation_tokens: dict[str, r.DelegationTokenRecord] = field(default_factory=dict)
    transaction: list[Message] | None = None
    """Records of the open metadata transaction, `None` when there is none."""
    _changes: _Changes = field(default_factory=_Changes, compare=False, repr=False)
    _by_metric_name: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)
    """Topics that may collide: creating one must not look at the names of all others."""

    @property
    def metadata_version(self) -> int:
        """The finalized `metadata.version`; 0 in an empty log."""
        return self.features.get("metadata.version", 0)

    @property
    def partition_count(self) -> int:
        return sum(len(topic.partitions) for topic in self.topics.values())

    def topic_colliding_with(self, name: str) -> str | None:
        """Another topic whose metrics have the names that those of `name` would have; None when there is none."""
        return next((other for other in self._by_metric_name.get(metric_name(name), ()) if other != name), None)

    def configs_of(self, resource_type: int, name: str) -> Mapping[str, str]:
        """The dynamic configs of one resource; empty when it has none."""
        return self.configs.get(ConfigResource(resource_type, name), {})

    def apply(self, record: Message) -> None:
        """Take one committed record in.

        Raises:
            ImageError: the record contradicts the image.
        """
        match record:
            case r.BeginTransactionRecord():
                if self.transaction is not None:
                    raise ImageError("a metadata transaction begins inside another one")
                self.transaction = []
            case r.EndTransactionRecord() | r.AbortTransactionRecord():
                held = self.transaction
                if held is None:
                    raise ImageError(f"{type(record).__name__} without a metadata transaction")
                self.transaction = None
                if isinstance(record, r.EndTransactionRecord):
                    for each in held:
                        self._take(each)
            case _ if self.transaction is not None:
                self.transaction.append(record)
            case _:
                self._take(record)

    def take_delta(self) -> MetadataDelta:
        """What has changed since the last call."""
        changes, self._changes = self._changes, _Changes()
        changed = changes.changed - changes.created
        return MetadataDelta(
            created_topics=tuple(self.topics_by_id[id_] for id_ in changes.created),
            changed_topics=tuple(self.topics_by_id[id_] for id_ in changed),
            deleted_topics=tuple(changes.deleted.values()),
            changed_configs=tuple(sorted(changes.configs)),
            brokers_changed=changes.brokers,
            features_changed=changes.features,
            quotas_changed=changes.quotas,
            added_acls=tuple(changes.added_acls.values()),
            removed_acls=tuple(changes.removed_acls.values()),
        )

    def _take(self, record: Message) -> None:
        self._appliers[type(record)](self, record)

    def _register_broker(self, record: r.RegisterBrokerRecord) -> None:
        self.brokers[record.broker_id] = Broker(
            id=record.broker_id,
            epoch=record.broker_epoch,
            incarnation_id=record.incarnation_id,
            endpoints=record.end_points,
            features=record.features,
            rack=record.rack,
            fenced=record.fenced,
            in_controlled_shutdown=record.in_controlled_shutdown,
            log_dirs=record.log_dirs,
            cordoned_log_dirs=record.cordoned_log_dirs,
        )
        self._changes.brokers = True

    def _unregister_broker(self, record: r.UnregisterBrokerRecord) -> None:
        self._registered(record.broker_id, record.broker_epoch)
        del self.brokers[record.broker_id]
        self._changes.brokers = True

    def _fence_broker(self, record: r.FenceBrokerRecord) -> None:
        self._replace_broker(self._registered(record.id, record.epoch), fenced=True)

    def _unfence_broker(self, record: r.UnfenceBrokerRecord) -> None:
        self._replace_broker(self._registered(record.id, record.epoch), fenced=False)

    def _change_broker(self, record: r.BrokerRegistrationChangeRecord) -> None:
        broker = self._registered(record.broker_id, record.broker_epoch)
        cordoned = record.cordoned_log_dirs
        self._replace_broker(
            broker,
            fenced=broker.fenced if record.fenced == 0 else record.fenced > 0,
            in_controlled_shutdown=broker.in_controlled_shutdown or record.in_controlled_shutdown > 0,
            log_dirs=record.log_dirs or broker.log_dirs,
            cordoned_log_dirs=broker.cordoned_log_dirs if cordoned is None else cordoned,
        )

    def _replace_broker(self, broker: Broker, **changes: Any) -> None:
        self.brokers[broker.id] = replace(broker, **changes)
        self._changes.brokers = True

    def _registered(self, broker_id: int, epoch: int) -> Broker:
        broker = self.brokers.get(broker_id)
        if broker is None:
            raise ImageError(f"broker {broker_id} is not registered")
        if broker.epoch != epoch:
            raise ImageError(f"broker {broker_id} has epoch {broker.epoch}, the record is for epoch {epoch}")
        return broker

    def _register_controller(self, record: r.RegisterControllerRecord) -> None:
        self.controllers[record.controller_id] = record

    def _add_topic(self, record: r.TopicRecord) -> None:
        if record.name in self.topics:
            raise ImageError(f"topic {record.name!r} exists with id {self.topics[record.name].id}")
        if record.topic_id in self.topics_by_id:
            raise ImageError(f"topic id {record.topic_id} belongs to {self.topics_by_id[record.topic_id].name!r}")
        topic = Topic(record.name, record.topic_id)
        self.topics[topic.name] = self.topics_by_id[topic.id] = topic
        if shares_metric_names(topic.name):
            key = metric_name(topic.name)
            self._by_metric_name[key] = (*self._by_metric_name.get(key, ()), topic.name)
        self._changes.created.add(topic.id)

    def _remove_topic(self, record: r.RemoveTopicRecord) -> None:
        topic = self._topic(record.topic_id)
        del self.topics[topic.name], self.topics_by_id[topic.id]
        self._forget_metric_name(topic.name)
        resource = ConfigResource(TOPIC_RESOURCE, topic.name)
        self.configs.pop(resource, None)
        self._changes.configs.discard(resource)
        self._changes.changed.discard(topic.id)
        if topic.id in self._changes.created:
            self._changes.created.discard(topic.id)
        else:
            self._changes.deleted[topic.id] = topic

    def _forget_metric_name(self, name: str) -> None:
        key = metric_name(name)
        others = tuple(other for other in self._by_metric_name.pop(key, ()) if other != name)
        if others:
            self._by_metric_name[key] = others

    def _add_partition(self, record: r.PartitionRecord) -> None:
        topic = self._topic(record.topic_id)
        topic.partitions[record.partition_id] = Partition(
            replicas=record.replicas,
            directories=record.directories or (r.MIGRATING_DIRECTORY,) * len(record.replicas),
            isr=record.isr,
            removing_replicas=record.removing_replicas,
            adding_replicas=record.adding_replicas,
            eligible_leader_replicas=record.eligible_leader_replicas or (),
            last_known_elr=record.last_known_elr or (),
            leader=record.leader,
            leader_recovery_state=record.leader_recovery_state,
            leader_epoch=record.leader_epoch,
            partition_epoch=record.partition_epoch,
        )
        self._changes.changed.add(topic.id)

    def _change_partition(self, record: r.PartitionChangeRecord) -> None:
        topic = self._topic(record.topic_id)
        partition = topic.partitions.get(record.partition_id)
        if partition is None:
            raise ImageError(f"topic {topic.name!r} has no partition {record.partition_id}")
        topic.partitions[record.partition_id] = changed(partition, record)
        self._changes.changed.add(topic.id)

    def _topic(self, topic_id: UUID) -> Topic:
        topic = self.topics_by_id.get(topic_id)
        if topic is None:
            raise ImageError(f"there is no topic with id {topic_id}")
        return topic

    def _clear_elr(self, record: r.ClearElrRecord) -> None:
        if record.topic_name and record.topic_name not in self.topics:
            raise ImageError(f"there is no topic {record.topic_name!r}")
        chosen = [self.topics[record.topic_name]] if record.topic_name else list(self.topics.values())
        for topic in chosen:
            for index, partition in topic.partitions.items():
                if partition.eligible_leader_replicas or partition.last_known_elr:
                    change = r.PartitionChangeRecord(index, topic.id, eligible_leader_replicas=(), last_known_elr=())
                    topic.partitions[index] = changed(partition, change)
                    self._changes.changed.add(topic.id)

    def _set_config(self, record: r.ConfigRecord) -> None:
        resource = ConfigResource(record.resource_type, record.resource_name)
        values = self.configs.setdefault(resource, {})
        if record.value is None:
            values.pop(record.name, None)
        else:
            values[record.name] = record.value
        if not values:
            del self.configs[resource]
        self._changes.configs.add(resource)

    def _set_feature(self, record: r.FeatureLevelRecord) -> None:
        if record.feature_level == 0:
            self.features.pop(record.name, None)
        else:
            self.features[record.name] = record.feature_level
        self._changes.features = True

    def _set_quota(self, record: r.ClientQuotaRecord) -> None:
        parts = sorted(record.entity, key=lambda part: part.entity_type)
        key = QuotaKey(tuple((part.entity_type, part.entity_name) for part in parts))
        quotas = self.client_quotas.setdefault(key, {})
        if record.remove:
            quotas.pop(record.key, None)
        else:
            quotas[record.key] = record.value
        if not quotas:
            del self.client_quotas[key]
        self._changes.quotas = True

    def _set_producer_ids(self, record: r.ProducerIdsRecord) -> None:
        if record.next_producer_id <= self.next_producer_id:
            raise ImageError(f"producer ids go back from {self.next_producer_id} to {record.next_producer_id}")
        self.next_producer_id = record.next_producer_id

    def _set_scram(self, record: r.UserScramCredentialRecord) -> None:
        self.scram_credentials[record.name, record.mechanism] = record

    def _remove_scram(self, record: r.RemoveUserScramCredentialRecord) -> None:
        self.scram_credentials.pop((record.name, record.mechanism), None)

    def _add_acl(self, record: r.AccessControlEntryRecord) -> None:
        self.acls[record.id] = record
        self._changes.added_acls[record.id] = record

    def _remove_acl(self, record: r.RemoveAccessControlEntryRecord) -> None:
        removed = self.acls.pop(record.id, None)
        if removed is not None and self._changes.added_acls.pop(record.id, None) is None:
            self._changes.removed_acls[record.id] = removed

    def _set_token(self, record: r.DelegationTokenRecord) -> None:
        self.delegation_tokens[record.token_id] = record

    def _remove_token(self, record: r.RemoveDelegationTokenRecord) -> None:
        self.delegation_tokens.pop(record.token_id, None)

    def _nothing(self, record: Message) -> None:
        """Records that change no state: the no-op, and what is left of ZooKeeper."""

    _appliers: ClassVar[Mapping[type[Message], Callable[[MetadataImage, Any], None]]] = {
        r.RegisterBrokerRecord: _register_broker,
        r.UnregisterBrokerRecord: _unregister_broker,
        r.FenceBrokerRecord: _fence_broker,
        r.UnfenceBrokerRecord: _unfence_broker,
        r.BrokerRegistrationChangeRecord: _change_broker,
        r.RegisterControllerRecord: _register_controller,
        r.TopicRecord: _add_topic,
        r.RemoveTopicRecord: _remove_topic,
        r.PartitionRecord: _add_partition,
        r.PartitionChangeRecord: _change_partition,
        r.ClearElrRecord: _clear_elr,
        r.ConfigRecord: _set_config,
        r.FeatureLevelRecord: _set_feature,
        r.ClientQuotaRecord: _set_quota,
        r.ProducerIdsRecord: _set_producer_ids,
        r.UserScramCredentialRecord: _set_scram,
        r.RemoveUserScramCredentialRecord: _remove_scram,
        r.AccessControlEntryRecord: _add_acl,
        r.RemoveAccessControlEntryRecord: _remove_acl,
        r.DelegationTokenRecord: _set_token,
        r.RemoveDelegationTokenRecord: _remove_token,
        r.NoOpRecord: _nothing,
        r.ZkMigrationStateRecord: _nothing,
    }


TOPIC_RESOURCE: Final = 2
BROKER_RESOURCE: Final = 4
BROKER_LOGGER_RESOURCE: Final = 8
CLIENT_METRICS_RESOURCE: Final = 16
GROUP_RESOURCE: Final = 32


def changed(partition: Partition, record: r.PartitionChangeRecord) -> Partition:
    """`partition` after `record`. A record that names a leader raises the leader epoch, even for the same leader; every
    record raises the partition epoch.
    """

    def pick(new: tuple[Any, ...] | None, old: tuple[Any, ...]) -> tuple[Any, ...]:
        return old if new is None else new

    replicas = pick(record.replicas, partition.replicas)
    directories = pick(record.directories, partition.directories)
    names_leader = record.leader != r.LEADER_UNCHANGED
    recovery_state = record.leader_recovery_state
    return Partition(
        replicas=replicas,
        directories=directories if len(directories) == len(replicas) else (r.MIGRATING_DIRECTORY,) * len(replicas),
        isr=pick(record.isr, partition.isr),
        removing_replicas=pick(record.removing_replicas, partition.removing_replicas),
        adding_replicas=pick(record.adding_replicas, partition.adding_replicas),
        eligible_leader_replicas=pick(record.eligible_leader_replicas, partition.eligible_leader_replicas),
        last_known_elr=pick(record.last_known_elr, partition.last_known_elr),
        leader=record.leader if names_leader else partition.leader,
        leader_recovery_state=partition.leader_recovery_state if recovery_state < 0 else recovery_state,
        leader_epoch=partition.leader_epoch + names_leader,
        partition_epoch=partition.partition_epoch + 1,
    )
