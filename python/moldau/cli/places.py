"""Places in logs: which partitions are meant, and which offset "earliest", "-10" or "noon yesterday" is in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from moldau.cli.connection import Connection
from moldau.cli.outcome import RefusedError, UsageError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, OffsetSpec

Place = tuple[str, int]
"""Topic and partition."""

EXAMPLES: Final = "earliest, latest, 1200, +10, -10, 2026-01-31T12:00 (UTC unless it says otherwise), @1767225600000"


def partitions_of(admin: AdminClient, connection: Connection, topics: Iterable[str]) -> list[Place]:
    """The partitions of `topic` or `topic:0,2,5`.

    Raises:
        RefusedError: there is no such topic.
        UsageError: there is no such partition.
    """
    metadata = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s))
    places: list[Place] = []
    for text in topics:
        name, _, numbers = text.partition(":")
        if name not in metadata.topics:
            raise RefusedError(f"there is no topic {name}", "`moldau topic list` shows those that there are")
        existing = sorted(metadata.topics[name].partitions)
        wanted = numbers.split(",") if numbers else list(map(str, existing))
        if any(not number.isdecimal() or int(number) not in existing for number in wanted):
            raise UsageError(f"{text}: {name} has the partitions 0 to {existing[-1]}")
        places += [(name, int(number)) for number in wanted]
    return places


def offsets_at(
    admin: AdminClient, connection: Connection, places: Iterable[Place], spec: OffsetSpec
) -> dict[Place, int]:
    """The offset of each partition at `spec`; -1 where no record is as young as the time that was asked for."""
    from confluent_kafka import TopicPartition

    request = {TopicPartition(topic, partition): spec for topic, partition in places}
    if not request:
        return {}
    futures = admin.list_offsets(request, request_timeout=connection.timeout_s)
    return {(place.topic, place.partition): connection.answer(future).offset for place, future in futures.items()}


def end_offsets(admin: AdminClient, connection: Connection, places: Iterable[Place]) -> dict[Place, int]:
    """The offset after the last record of each partition."""
    from confluent_kafka.admin import OffsetSpec

    return offsets_at(admin, connection, places, OffsetSpec.latest())


def resolve(
    admin: AdminClient, connection: Connection, places: list[Place], wish: str, current: Mapping[Place, int]
) -> dict[Place, int]:
    """The offset that `wish` means in each partition; one outside of the log becomes the nearer end of the log.

    Args:
        current: what +N and -N count from.

    Raises:
        UsageError: the wish is none of `EXAMPLES`.
        RefusedError: a partition has no current offset to count from.
    """
    from confluent_kafka.admin import OffsetSpec

    first = offsets_at(admin, connection, places, OffsetSpec.earliest())
    last = end_offsets(admin, connection, places)
    if wish in ("earliest", "latest"):
        return first if wish == "earliest" else last
    if wish[:1] in ("+", "-") and wish[1:].isdecimal():
        without = [place for place in places if place not in current]
        if without:
            topic, partition = without[0]
            raise RefusedError(f"{topic}-{partition} has no committed offset to count {wish} from")
        offsets = {place: current[place] + int(wish) for place in places}
    elif wish.isdecimal():
        offsets = dict.fromkeys(places, int(wish))
    else:
        at_time = offsets_at(admin, connection, places, OffsetSpec.for_timestamp(_milliseconds(wish)))
        offsets = {place: at_time[place] if at_time[place] >= 0 else last[place] for place in places}
    return {place: min(max(offset, first[place]), last[place]) for place, offset in offsets.items()}


def _milliseconds(text: str) -> int:
    if text[:1] == "@" and text[1:].isdecimal():
        return int(text[1:])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no place in a log", EXAMPLES) from error
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)
