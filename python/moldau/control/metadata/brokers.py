"""A broker's life: it registers, is let in, shuts down or crashes, and goes for good.

A broker that has registered is fenced until it says that it is ready: it holds replicas, but leads none and is in no
ISR. It is fenced again when it shuts down. Every process has an incarnation id of its own, and every registration the
offset of its record as its epoch: whoever still carries an older epoch is refused.

What a broker process acknowledged before it crashed may not have reached its disk. So a registration that does not
name the epoch of the one before (which a broker writes down at the end of a clean shutdown) takes the broker out of
every ISR and every ELR first (KIP-966). As a node alone has nobody else to ask, it then leads again as the last known
leader, and its partitions say that they are recovering.

Sessions and heartbeats come with the second broker: with one node, the broker that registers is the one that decides.

Source: KIP-631, KIP-841 (controlled shutdown), KIP-858 (directories), KIP-966.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from moldau.control.machine import Decision
from moldau.control.metadata.features import DIRECTORIES_SINCE, FEATURES, METADATA_VERSION
from moldau.control.metadata.image import NO_LEADER, Broker, Partition
from moldau.control.metadata.leadership import Target, change_of, without
from moldau.control.metadata.records import (
    LOST_DIRECTORY,
    MIGRATING_DIRECTORY,
    UNASSIGNED_DIRECTORY,
    BrokerRegistrationChangeRecord,
    Endpoint,
    PartitionChangeRecord,
    RegisterBrokerRecord,
    SupportedFeature,
    UnregisterBrokerRecord,
)
from moldau.control.metadata.situation import Situation
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode

_FENCE: Final = 1
_UNFENCE: Final = -1
_SHUTTING_DOWN: Final = 1


@dataclass(frozen=True, slots=True)
class RegisterBroker:
    """A broker process joins. Answered by its epoch.

    Args:
        new_epoch: the end offset of the metadata log.
        previous_epoch: what the process before this one wrote down when it shut down cleanly; -1 after a crash.
    """

    broker_id: int
    cluster_id: str
    incarnation_id: UUID
    new_epoch: int
    endpoints: tuple[Endpoint, ...]
    log_dirs: tuple[UUID, ...]
    rack: str | None = None
    previous_epoch: int = -1
    features: tuple[SupportedFeature, ...] = tuple(
        SupportedFeature(feature.name, feature.lowest, feature.highest) for feature in FEATURES.values()
    )


@dataclass(frozen=True, slots=True)
class UnfenceBroker:
    """The broker is ready: it may lead."""

    broker_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class BeginControlledShutdown:
    """The broker wants to stop: its leaderships go elsewhere, or nowhere."""

    broker_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class FenceBroker:
    """The broker has stopped, or nobody hears of it any more."""

    broker_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class UnregisterBroker:
    """The broker will not come back."""

    broker_id: int


@dataclass(frozen=True, slots=True)
class FailDirectories:
    """Directories of the broker have failed: partitions that live there need another leader."""

    broker_id: int
    epoch: int
    directories: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class AssignDirectories:
    """The broker says in which directory it has put which replica: (topic id, partition, directory)."""

    broker_id: int
    epoch: int
    assignments: tuple[tuple[UUID, int, UUID], ...]


def register_broker(situation: Situation, request: RegisterBroker) -> Decision[Message, int]:
    """Decide about a registration; the answer is the broker's epoch.

    Raises:
        ApiError: INCONSISTENT_CLUSTER_ID, INVALID_REGISTRATION or UNSUPPORTED_VERSION.
    """
    if request.cluster_id != situation.settings.cluster_id:
        raise ApiError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f"this is cluster {situation.settings.cluster_id}, the broker belongs to {request.cluster_id}",
        )
    _check_directories(situation, request)
    _check_features(situation, request)
    existing = situation.image.brokers.get(request.broker_id)
    same_process = existing is not None and existing.incarnation_id == request.incarnation_id
    records: list[Message] = []
    if existing is not None and not same_process:
        crashed = existing.epoch != request.previous_epoch
        records.extend(_leave(situation, request.broker_id, crashed=crashed and situation.eligible_leader_replicas))
    epoch = existing.epoch if existing is not None and same_process else request.new_epoch
    records.append(
        RegisterBrokerRecord(
            broker_id=request.broker_id,
            incarnation_id=request.incarnation_id,
            broker_epoch=epoch,
            end_points=request.endpoints,
            features=request.features,
            rack=request.rack,
            fenced=existing.fenced if existing is not None and same_process else True,
            in_controlled_shutdown=existing is not None and same_process and existing.in_controlled_shutdown,
            log_dirs=request.log_dirs if situation.image.metadata_version >= DIRECTORIES_SINCE else (),
        )
    )
    return Decision(epoch, tuple(records))


def _check_directories(situation: Situation, request: RegisterBroker) -> None:
    problem = None
    if not request.log_dirs:
        problem = "a broker without log directories cannot register"
    elif len(set(request.log_dirs)) != len(request.log_dirs):
        problem = "two log directories have the same id"
    elif {MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY, LOST_DIRECTORY} & set(request.log_dirs):
        problem = "a log directory has an id that is reserved"
    for broker in situation.image.brokers.values():
        shared = set(broker.log_dirs) & set(request.log_dirs)
        if broker.id != request.broker_id and shared:
            problem = f"log directory {shared.pop()} belongs to broker {broker.id}"
    if problem is not None:
        raise ApiError(ErrorCode.INVALID_REGISTRATION, problem)


def _check_features(situation: Situation, request: RegisterBroker) -> None:
    supported = {feature.name: feature for feature in request.features}
    if METADATA_VERSION not in supported:
        raise ApiError(ErrorCode.INVALID_REGISTRATION, f"the broker does not say which {METADATA_VERSION} it supports")
    nothing = SupportedFeature()
    for name, level in situation.image.features.items():
        feature = supported.get(name, nothing)
        if not feature.min_supported_version <= level <= feature.max_supported_version:
            raise ApiError(
                ErrorCode.UNSUPPORTED_VERSION,
                f"the cluster has {name} {level}, the broker supports "
                f"{feature.min_supported_version} to {feature.max_supported_version}",
            )


def unfence_broker(situation: Situation, request: UnfenceBroker) -> Decision[Message, None]:
    """Let a broker in; leaderless partitions that it can lead get it as their leader."""
    broker = _current(situation, request.broker_id, request.epoch)
    if not broker.fenced:
        return Decision(None)
    change = BrokerRegistrationChangeRecord(broker.id, broker.epoch, fenced=_UNFENCE)

    def may_lead(replica: int) -> bool:
        return replica == broker.id or situation.is_active(replica)

    elected = _changes(situation, may_lead, lambda partition: partition.leader == NO_LEADER)
    return Decision(None, (change, *elected))


def begin_controlled_shutdown(situation: Situation, request: BeginControlledShutdown) -> Decision[Message, None]:
    """Take a broker that wants to stop out of every ISR and leadership."""
    broker = _current(situation, request.broker_id, request.epoch)
    records: list[Message] = []
    if not broker.in_controlled_shutdown:
        records.append(BrokerRegistrationChangeRecord(broker.id, broker.epoch, in_controlled_shutdown=_SHUTTING_DOWN))
    records.extend(_leave(situation, broker.id))
    return Decision(None, tuple(records))


def fence_broker(situation: Situation, request: FenceBroker) -> Decision[Message, None]:
    """Shut a broker out; its partitions get other leaders, or none."""
    broker = _current(situation, request.broker_id, request.epoch)
    if broker.fenced:
        return Decision(None)
    change = BrokerRegistrationChangeRecord(broker.id, broker.epoch, fenced=_FENCE)
    return Decision(None, (*_leave(situation, broker.id), change))


def unregister_broker(situation: Situation, request: UnregisterBroker) -> Decision[Message, None]:
    """Forget a broker.

    Raises:
        ApiError: BROKER_ID_NOT_REGISTERED, or INVALID_REQUEST for the node that decides.
    """
    broker = situation.image.brokers.get(request.broker_id)
    if broker is None:
        raise ApiError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"no broker {request.broker_id} is registered")
    if broker.id == situation.settings.node_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"broker {broker.id} is running and serves this request")
    return Decision(None, (*_leave(situation, broker.id), UnregisterBrokerRecord(broker.id, broker.epoch)))


def fail_directories(situation: Situation, request: FailDirectories) -> Decision[Message, None]:
    """Take partitions in failed directories away from the broker."""
    broker = _current(situation, request.broker_id, request.epoch)
    failed = set(request.directories) & set(broker.log_dirs)
    if not failed:
        return Decision(None)

    def lives_there(partition: Partition) -> bool:
        here = dict(zip(partition.replicas, partition.directories, strict=True)).get(broker.id)
        return here in failed

    def may_lead(replica: int) -> bool:
        return replica != broker.id and situation.is_active(replica)

    left = tuple(directory for directory in broker.log_dirs if directory not in failed)
    change = BrokerRegistrationChangeRecord(broker.id, broker.epoch, log_dirs=left)
    return Decision(None, (*_changes(situation, may_lead, lives_there, leaving=broker.id), change))


def assign_directories(situation: Situation, request: AssignDirectories) -> Decision[Message, None]:
    """Write down where replicas live. What names a partition that is gone, or not on the broker, is passed over."""
    broker = _current(situation, request.broker_id, request.epoch)
    if situation.image.metadata_version < DIRECTORIES_SINCE:
        return Decision(None)
    records = []
    for topic_id, index, directory in request.assignments:
        topic = situation.image.topics_by_id.get(topic_id)
        partition = topic.partitions.get(index) if topic is not None else None
        if partition is None or broker.id not in partition.replicas:
            continue
        place = partition.replicas.index(broker.id)
        directories = (*partition.directories[:place], directory, *partition.directories[place + 1 :])
        if directories != partition.directories:
            records.append(PartitionChangeRecord(index, topic_id, directories=directories))
    return Decision(None, tuple(records))


def _current(situation: Situation, broker_id: int, epoch: int) -> Broker:
    broker = situation.image.brokers.get(broker_id)
    if broker is None:
        raise ApiError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"no broker {broker_id} is registered")
    if broker.epoch != epoch:
        raise ApiError(
            ErrorCode.STALE_BROKER_EPOCH, f"broker {broker_id} is registered with epoch {broker.epoch}, not {epoch}"
        )
    return broker


def _leave(situation: Situation, broker_id: int, *, crashed: bool = False) -> Iterator[PartitionChangeRecord]:
    """Take a broker out of every ISR (and every ELR, when it crashed) and every leadership."""

    def may_lead(replica: int) -> bool:
        return replica != broker_id and situation.is_active(replica)

    def concerns(partition: Partition) -> bool:
        return broker_id in partition.isr or (crashed and broker_id in partition.eligible_leader_replicas)

    return _changes(situation, may_lead, concerns, leaving=broker_id, crashed=(broker_id,) if crashed else ())


def _changes(
    situation: Situation,
    may_lead: Callable[[int], bool],
    concerns: Callable[[Partition], bool],
    *,
    leaving: int | None = None,
    crashed: Collection[int] = (),
) -> Iterator[PartitionChangeRecord]:
    for topic in situation.image.topics.values():
        concerned = [(index, partition) for index, partition in topic.partitions.items() if concerns(partition)]
        if not concerned:
            continue
        rules = situation.rules(topic, may_lead=may_lead)
        for index, partition in concerned:
            target = Target.as_is(partition)
            if leaving is not None:
                target = replace(target, isr=without(target.isr, leaving))
            record = change_of(topic.id, index, partition, rules, target, crashed=crashed)
            if record is not None:
                yield record
