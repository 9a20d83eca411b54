"""What the members of an application tell their leader, and what it tells them.

Both are what every consumer's are, version 1 of Kafka's `ConsumerProtocol`, so that tools see topics and partitions;
what is ours is in their user data, as JSON. The protocol's name is our own: instances of Kafka Streams, whose user data
is another, are never in one group with ours. (`ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from moldau.streams.errors import StreamsError
from moldau.streams.runtime.layout import TaskId

PROTOCOL: Final = "moldau-streams"
PROTOCOL_TYPE: Final = "consumer"
VERSION: Final = 1
_CONSUMER_PROTOCOL_VERSION: Final = 1


class VersionError(StreamsError):
    """Another instance of the application speaks in a way that this one does not know."""


class Subscription(msgspec.Struct, frozen=True):
    """What a member brings. Tasks are written as Kafka writes them, `0_3`."""

    process: str
    owned: list[str]
    standby: list[str]
    positions: dict[str, int]
    generation: int
    endpoint: str | None = None
    version: int = VERSION


class Served(msgspec.Struct, frozen=True):
    """What is behind an endpoint."""

    active: list[str]
    standby: list[str]


class Given(msgspec.Struct, frozen=True):
    """What a member gets, and who has what."""

    active: list[str]
    standby: list[str]
    hosts: dict[str, Served]
    settled: bool = True
    """Whether every task runs somewhere in this generation."""
    look_again: bool = False
    """Whether to divide anew after `probing.rebalance.interval.ms`, because a copy is catching up."""
    topics: list[str] = []
    """What the tasks read, where a pattern says so: the leader may know of a topic that has come just now."""
    version: int = VERSION


T = TypeVar("T", Subscription, Given)


def task_of(text: str) -> TaskId:
    """`0_3` as a task."""
    sub_topology, _, partition = text.partition("_")
    return TaskId(int(sub_topology), int(partition))


def tasks_of(texts: Iterable[str]) -> frozenset[TaskId]:
    """Many of them."""
    return frozenset(map(task_of, texts))


def texts_of(tasks: Iterable[TaskId]) -> list[str]:
    """Tasks as text, in order."""
    return [str(task) for task in sorted(tasks)]


def write_subscription(topics: Iterable[str], subscription: Subscription) -> bytes:
    """What goes into JoinGroup."""
    names = sorted(topics)
    parts = [struct.pack(">hi", _CONSUMER_PROTOCOL_VERSION, len(names)), *map(_string, names)]
    # What is owned stands in the user data, by task.
    return b"".join((*parts, _bytes(msgspec.json.encode(subscription)), struct.pack(">i", 0)))


def read_subscription(data: bytes) -> Subscription:
    """What a member brings; raises VersionError if it is written in another way."""
    try:
        return _user_data(data, Subscription, with_partitions=False)
    except (struct.error, msgspec.DecodeError) as error:
        raise VersionError(f"an instance of the application says something that cannot be read: {error}") from error


def write_assignment(partitions: Mapping[str, Iterable[int]], given: Given) -> bytes:
    """What goes into SyncGroup; `partitions` by topic are for those who look at the group from outside."""
    parts = [struct.pack(">hi", _CONSUMER_PROTOCOL_VERSION, len(partitions))]
    for topic, numbers in sorted(partitions.items()):
        ordered = sorted(numbers)
        parts += (_string(topic), struct.pack(f">i{len(ordered)}i", len(ordered), *ordered))
    return b"".join((*parts, _bytes(msgspec.json.encode(given))))


def read_assignment(data: bytes) -> Given:
    """What this member gets; nothing at all is nothing to do."""
    if not data:
        return Given([], [], {})
    try:
        return _user_data(data, Given, with_partitions=True)
    except (struct.error, msgspec.DecodeError) as error:
        raise VersionError(f"the leader of the application says something that cannot be read: {error}") from error


def _user_data(data: bytes, kind: type[T], *, with_partitions: bool) -> T:
    """What stands behind the topics: each a name and, in an assignment, its partitions."""
    (count,) = struct.unpack_from(">i", data, 2)
    at = 6
    for _ in range(count):
        (length,) = struct.unpack_from(">h", data, at)
        at += 2 + max(length, 0)
        if with_partitions:
            (numbers,) = struct.unpack_from(">i", data, at)
            at += 4 + 4 * max(numbers, 0)
    (length,) = struct.unpack_from(">i", data, at)
    found = msgspec.json.decode(data[at + 4 : at + 4 + max(length, 0)], type=kind)
    if found.version > VERSION:
        raise VersionError(
            f"another instance of the application speaks version {found.version}, this one {VERSION}\n"
            "hint: bring this instance to the same version of Moldau"
        )
    return found


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _bytes(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data
