"""Creating topics, growing them and deleting them.

A request names many topics; each of them succeeds or fails alone, and the answer says how it went for each. What the
client left open (-1) is filled from the broker's `num.partitions` and `default.replication.factor`. Records of one
topic stand in the order in which they must be read: the topic, its configs, its partitions.

Source: KIP-4 (create, delete), KIP-195 (create partitions), KIP-464 (defaults), KIP-525 (configs in the answer),
KIP-599 (limits), Kafka's `ReplicationControlManager` and `ControllerApis`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from moldau.control.machine import Decision
from moldau.control.metadata import configs
from moldau.control.metadata.effective import EffectiveConfig, keys_of
from moldau.control.metadata.image import TOPIC_RESOURCE, Topic
from moldau.control.metadata.records import PartitionRecord, RemoveTopicRecord, TopicRecord
from moldau.control.metadata.situation import (
    DONE,
    Outcome,
    Situation,
    check_request_size,
    has_uncordoned_directory,
)
from moldau.control.metadata.topic_names import CLUSTER_METADATA, INTERNAL_TOPICS, check_name
from moldau.control.placement.striped import UsableBroker, place
from moldau.control.schema import ZERO_UUID, Message
from moldau.errors import ApiError, ErrorCode

UNSET: Final = -1


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to create. With `assignments` (partition to replicas) the two counts stay unset."""

    name: str
    partition_count: int = UNSET
    replication_factor: int = UNSET
    assignments: tuple[tuple[int, tuple[int, ...]], ...] = ()
    configs: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class CreateTopics:
    """Create topics, or only say whether they could be created."""

    topics: tuple[NewTopic, ...]
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class CreatedTopic:
    """How it went for one topic. The facts after `message` are those of a topic that was created."""

    name: str
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None
    topic_id: UUID = ZERO_UUID
    partition_count: int = UNSET
    replication_factor: int = UNSET
    configs: tuple[EffectiveConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class NewPartitions:
    """Grow a topic to `count` partitions; `assignments` are the replicas of the new ones."""

    name: str
    count: int
    assignments: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class CreatePartitions:
    """Grow topics, or only say whether they could be grown."""

    topics: tuple[NewPartitions, ...]
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class TopicRef:
    """A topic by its name or by its id; both, or neither, is a mistake of the client that is answered."""

    name: str | None = None
    id: UUID = ZERO_UUID


@dataclass(frozen=True, slots=True)
class DeleteTopics:
    """Delete topics by name or id."""

    topics: tuple[TopicRef, ...]


@dataclass(frozen=True, slots=True)
class DeletedTopic:
    """How it went for one topic, named as well as it is known."""

    name: str | None
    id: UUID
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    """A topic that can be created: its records, and the answer about it."""

    records: tuple[Message, ...]
    answer: CreatedTopic


def create_topics(situation: Situation, request: CreateTopics) -> Decision[Message, tuple[CreatedTopic, ...]]:
    """Decide about `request`; the answers stand in the order of the request, repeated names once at the end.

    A request that is too large is refused for every topic in it with POLICY_VIOLATION.
    """
    try:
        return _create_topics(situation, request)
    except ApiError as error:
        return Decision(tuple(CreatedTopic(topic.name, error.code, error.message) for topic in request.topics))


def _create_topics(situation: Situation, request: CreateTopics) -> Decision[Message, tuple[CreatedTopic, ...]]:
    _check_size(situation, request.topics)
    named = Counter(topic.name for topic in request.topics)
    records: list[Message] = []
    answers: list[CreatedTopic] = []
    for topic in request.topics:
        if named[topic.name] > 1 or topic.name == CLUSTER_METADATA:
            continue
        try:
            planned = _plan(situation, topic)
        except ApiError as error:
            answers.append(CreatedTopic(topic.name, error.code, error.message))
            continue
        records.extend(planned.records)
        answers.append(planned.answer)
    for name, count in named.items():
        if count > 1:
            answers.append(CreatedTopic(name, ErrorCode.INVALID_REQUEST, f"the request names topic {name!r} twice"))
        elif name == CLUSTER_METADATA:
            answers.append(CreatedTopic(name, ErrorCode.INVALID_REQUEST, f"{CLUSTER_METADATA} is not for clients"))
    check_request_size(len(records), "records")
    return Decision(tuple(answers), () if request.validate_only else tuple(records))


def _check_size(situation: Situation, topics: Iterable[NewTopic]) -> None:
    default = situation.configs.broker_int("num.partitions")
    total = 0
    for topic in topics:
        asked = default if topic.partition_count == UNSET else max(topic.partition_count, 0)
        total += len(topic.assignments) or asked
    check_request_size(total, "partitions")


def _plan(situation: Situation, topic: NewTopic) -> _Planned:
    check_name(topic.name)
    other = situation.image.topic_colliding_with(topic.name)
    if topic.name in situation.image.topics:
        raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {topic.name!r} already exists")
    if other is not None:
        raise ApiError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"topic {topic.name!r} and the existing topic {other!r} would have the same metrics: "
            "they differ only in '.' and '_'",
        )
    nulls = [name for name, value in topic.configs if value is None]
    if nulls:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"no value was given for topic config {', '.join(nulls)}")
    own = {name: value for name, value in topic.configs if value is not None}
    config_records = configs.records_for_new_topic(situation, topic.name, own)
    partitions = _manual(situation, topic) if topic.assignments else _placed(situation, topic)
    topic_id = situation.new_id()
    records = [
        TopicRecord(topic.name, topic_id),
        *config_records,
        *(_partition_record(situation, topic_id, index, replicas) for index, replicas in partitions.items()),
    ]
    told = [key for key in keys_of(TOPIC_RESOURCE).values() if not key.internal]
    effective = [situation.configs.topic_config(key, own) for key in told]
    answer = CreatedTopic(
        topic.name,
        topic_id=topic_id,
        partition_count=len(partitions),
        replication_factor=len(partitions[0]),
        configs=tuple(sorted(effective, key=lambda config: config.key.name)),
    )
    return _Planned(tuple(records), answer)


def _manual(situation: Situation, topic: NewTopic) -> dict[int, tuple[int, ...]]:
    if topic.replication_factor != UNSET:
        raise ApiError(
            ErrorCode.INVALID_REQUEST, "replicas were assigned by hand, so the replication factor must be -1"
        )
    if topic.partition_count != UNSET:
        raise ApiError(ErrorCode.INVALID_REQUEST, "replicas were assigned by hand, so the partition count must be -1")
    partitions: dict[int, tuple[int, ...]] = {}
    for index, replicas in topic.assignments:
        if index in partitions:
            raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"partition {index} is assigned twice")
        first = next(iter(partitions.values()), None)
        check_assignment(situation, replicas, None if first is None else len(first))
        _check_leadable(situation, index, replicas)
        partitions[index] = replicas
    if set(partitions) != set(range(len(partitions))):
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"partitions must be numbered from 0 without a gap: {sorted(partitions)}",
        )
    return dict(sorted(partitions.items()))


def _placed(situation: Situation, topic: NewTopic) -> dict[int, tuple[int, ...]]:
    factor, count = topic.replication_factor, topic.partition_count
    if factor < UNSET or factor == 0:
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"the replication factor must be above zero, or -1 for the default, not {factor}",
        )
    if count < UNSET or count == 0:
        raise ApiError(
            ErrorCode.INVALID_PARTITIONS, f"the partition count must be above zero, or -1 for the default, not {count}"
        )
    if factor == UNSET:
        factor = situation.configs.broker_int("default.replication.factor")
    if count == UNSET:
        count = situation.configs.broker_int("num.partitions")
    return dict(enumerate(_place(situation, count, factor)))


def _place(situation: Situation, count: int, factor: int) -> list[tuple[int, ...]]:
    usable = [
        UsableBroker(broker.id, broker.rack, not broker.active)
        for broker in situation.image.brokers.values()
        if has_uncordoned_directory(broker)
    ]
    if situation.settings.clamp_replication_factor and usable:
        factor = min(factor, len(usable))
    return place(count, factor, usable, situation.random)


def check_assignment(situation: Situation, replicas: Sequence[int], replication_factor: int | None) -> None:
    """Refuse replicas that a partition cannot have.

    Raises:
        ApiError: INVALID_REPLICA_ASSIGNMENT.
    """
    problem = None
    repeated = [broker_id for broker_id, count in Counter(replicas).items() if count > 1]
    missing = [broker_id for broker_id in replicas if broker_id not in situation.image.brokers]
    if not replicas:
        problem = "a partition is assigned to no broker"
    elif missing:
        problem = f"a partition is assigned to broker {missing[0]}, which is not registered"
    elif repeated:
        problem = f"a partition is assigned to broker {repeated[0]} twice"
    elif not all(has_uncordoned_directory(situation.image.brokers[broker_id]) for broker_id in replicas):
        problem = "a partition is assigned to a broker whose log directories are all cordoned"
    elif replication_factor is not None and len(replicas) != replication_factor:
        problem = f"a partition has {len(replicas)} replicas, the others have {replication_factor}"
    if problem is not None:
        raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)


def _check_leadable(situation: Situation, index: int, replicas: Sequence[int]) -> None:
    if not any(map(situation.is_active, replicas)):
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"every broker that partition {index} is assigned to is fenced or shutting down",
        )


def _partition_record(situation: Situation, topic_id: UUID, index: int, replicas: tuple[int, ...]) -> PartitionRecord:
    isr = tuple(filter(situation.is_active, replicas))
    return PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=replicas,
        isr=isr,
        leader=isr[0],
        leader_epoch=0,
        partition_epoch=0,
        directories=tuple(map(situation.default_directory, replicas)),
    )


def create_partitions(
    situation: Situation, request: CreatePartitions
) -> Decision[Message, tuple[tuple[str, Outcome], ...]]:
    """Decide about `request`; one outcome for each topic, in order, repeated names once at the end.

    Raises:
        ApiError: POLICY_VIOLATION, too many partitions in one request.
    """
    check_request_size(len(request.topics), "topics")
    named = Counter(topic.name for topic in request.topics)
    records: list[Message] = []
    outcomes: list[tuple[str, Outcome]] = []
    for topic in request.topics:
        if named[topic.name] > 1:
            continue
        try:
            records.extend(_grow(situation, topic))
        except ApiError as error:
            outcomes.append((topic.name, Outcome(error.code, error.message)))
        else:
            outcomes.append((topic.name, DONE))
    for name, count in named.items():
        if count > 1:
            outcomes.append((name, Outcome(ErrorCode.INVALID_REQUEST, f"the request names topic {name!r} twice")))
    check_request_size(len(records), "partitions")
    return Decision(tuple(outcomes), () if request.validate_only else tuple(records))


def _grow(situation: Situation, request: NewPartitions) -> list[PartitionRecord]:
    topic = situation.topic(request.name)
    if topic.name in INTERNAL_TOPICS:
        # Apache Kafka takes it, and its coordinators look for groups and transactions elsewhere after a restart.
        raise ApiError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"which partition of {topic.name!r} keeps what depends on how many there are: it cannot be grown",
        )
    present = len(topic.partitions)
    added = request.count - present
    if added <= 0:
        raise ApiError(
            ErrorCode.INVALID_PARTITIONS,
            f"topic {topic.name!r} has {present} partitions and {request.count} would not be more",
        )
    check_request_size(added, "partitions")
    factor = len(topic.partitions[0].replicas)
    if request.assignments is None:
        placed = _place(situation, added, factor)
    else:
        placed = list(request.assignments)
        if len(placed) != added:
            raise ApiError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"{added} partitions are added, {len(placed)} are assigned by hand",
            )
        for index, replicas in enumerate(placed, present):
            check_assignment(situation, replicas, factor)
            _check_leadable(situation, index, replicas)
    return [_partition_record(situation, topic.id, index, replicas) for index, replicas in enumerate(placed, present)]


def delete_topics(situation: Situation, request: DeleteTopics) -> Decision[Message, tuple[DeletedTopic, ...]]:
    """Decide about `request`. A topic that is named twice, in whatever way, is refused and stays.

    Raises:
        ApiError: TOPIC_DELETION_DISABLED, or POLICY_VIOLATION for too many topics in one request.
    """
    check_request_size(len(request.topics), "topics")
    if not situation.configs.broker_bool("delete.topic.enable"):
        raise ApiError(ErrorCode.TOPIC_DELETION_DISABLED)
    counts = Counter(request.topics)
    found = {ref: _find(situation, ref) for ref in counts}
    asked = Counter(topic.id for topic in found.values() if isinstance(topic, Topic))
    answers: list[DeletedTopic] = []
    records: list[Message] = []
    for ref, topic in found.items():
        if isinstance(topic, Outcome):
            answers.append(DeletedTopic(ref.name, ref.id, topic.code, topic.message))
        elif counts[ref] > 1 or asked[topic.id] > 1:
            answers.append(
                DeletedTopic(ref.name, ref.id, ErrorCode.INVALID_REQUEST, "the request names this topic more than once")
            )
        else:
            records.append(RemoveTopicRecord(topic.id))
            answers.append(DeletedTopic(topic.name, topic.id))
    return Decision(tuple(answers), tuple(records))


def _find(situation: Situation, ref: TopicRef) -> Topic | Outcome:
    if ref.name is None and ref.id == ZERO_UUID:
        return Outcome(ErrorCode.INVALID_REQUEST, "neither a topic name nor a topic id was given")
    if ref.name is not None and ref.id != ZERO_UUID:
        return Outcome(ErrorCode.INVALID_REQUEST, "a topic name and a topic id were given, and only one of them may be")
    if ref.name is not None:
        topic = situation.image.topics.get(ref.name)
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    else:
        topic = situation.image.topics_by_id.get(ref.id)
        missing = ErrorCode.UNKNOWN_TOPIC_ID
    return topic or Outcome(missing, missing.sentence)
