"""Reading the image for a client: brokers and where they are reached, partitions in pages, directories.

Nothing here decides; the answers follow from the image of the moment.

Source: KIP-700 (DescribeCluster), KIP-966 (DescribeTopicPartitions), KIP-1073 (fenced brokers).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from moldau.control.metadata.image import Broker, Partition
from moldau.control.metadata.records import Endpoint
from moldau.control.metadata.situation import Situation
from moldau.control.metadata.topic_names import INTERNAL_TOPICS, check_name
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class DescribedTopic:
    """A topic and the partitions of it that are on this page, or why it cannot be told."""

    name: str
    id: UUID = ZERO_UUID
    internal: bool = False
    partitions: tuple[tuple[int, Partition], ...] = ()
    code: ErrorCode = ErrorCode.NONE


def endpoint_on(broker: Broker, listener: str) -> Endpoint | None:
    """Where the broker is reached by clients of that listener."""
    return next((endpoint for endpoint in broker.endpoints if endpoint.name == listener), None)


def offline_replicas(situation: Situation, partition: Partition) -> tuple[int, ...]:
    """The replicas whose broker is away, or whose directory has failed there."""
    offline = []
    for replica, directory in zip(partition.replicas, partition.directories, strict=True):
        broker = situation.image.brokers.get(replica)
        lost = broker is not None and directory.int > 2 and directory not in broker.log_dirs
        if broker is None or broker.fenced or lost:
            offline.append(replica)
    return tuple(offline)


def describe_topic_partitions(
    situation: Situation,
    names: Collection[str],
    cursor: Cursor | None,
    limit: int,
    visible: Callable[[str], bool] = lambda _name: True,
) -> tuple[list[DescribedTopic], Cursor | None]:
    """One page of at most `limit` partitions, by topic name and partition, and where the next page begins.

    Args:
        names: the topics asked for; none means all.
        visible: whether a topic may be told at all; the others are left out.

    Raises:
        ApiError: INVALID_REQUEST, a cursor that is not in what was asked for.
    """
    chosen = sorted(names or situation.image.topics)
    if cursor is not None:
        if cursor.partition < 0:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"a page cannot begin at partition {cursor.partition}")
        if names and cursor.topic not in names:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"topic {cursor.topic!r} of the cursor was not asked for")
        chosen = [name for name in chosen if name >= cursor.topic]
    chosen = [name for name in chosen if visible(name)]
    page: list[DescribedTopic] = []
    left = limit
    for name in chosen:
        topic = situation.image.topics.get(name)
        if topic is None:
            page.append(DescribedTopic(name, code=_why_missing(name)))
            continue
        first = cursor.partition if cursor is not None and cursor.topic == name else 0
        indexes = sorted(index for index in topic.partitions if index >= first)
        if not left:
            return page, Cursor(name, first)
        fitting, rest = indexes[:left], indexes[left:]
        partitions = tuple((index, topic.partitions[index]) for index in fitting)
        page.append(DescribedTopic(name, topic.id, name in INTERNAL_TOPICS, partitions))
        left -= len(fitting)
        if rest:
            return page, Cursor(name, rest[0])
    return page, None


def _why_missing(name: str) -> ErrorCode:
    try:
        check_name(name)
    except ApiError as error:
        return error.code
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
