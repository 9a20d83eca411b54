"""Places in logs: which partitions are meant, and which offset "earliest", "-10" or "an hour ago" is in each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from moldau.cli.connection import Connection
from moldau.cli.outcome import RefusedError, UsageError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

Place = tuple[str, int]
"""Topic and partition."""

EXAMPLES: Final = (
    "earliest, latest, 1200, +10, -10, 2026-01-31T12:00 (UTC unless it says otherwise), @1767225600000, @-1h30m"
)
_FIRST: Final = ("earliest", "start", "beginning")
_LAST: Final = ("latest", "end")
_AGO: Final = re.compile(r"@-((?:[0-9]+(?:ms|[smhdw]))+)")
_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


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
            from difflib import get_close_matches

            close = get_close_matches(name, metadata.topics, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise RefusedError(f"there is no topic {name}", f"{hint}`moldau topic list` shows those that there are")
        existing = sorted(metadata.topics[name].partitions)
        wanted = numbers.split(",") if numbers else list(map(str, existing))
        if any(not number.isdecimal() or int(number) not in existing for number in wanted):
            raise UsageError(f"{text}: {name} has the partitions 0 to {existing[-1]}")
        places += [(name, int(number)) for number in wanted]
    return places


def _listed(
    admin: AdminClient, connection: Connection, places: Iterable[Place], spec: OffsetSpec, *, committed: bool = False
) -> dict[Place, ListOffsetsResultInfo]:
    from confluent_kafka import IsolationLevel, TopicPartition

    request = {TopicPartition(topic, partition): spec for topic, partition in places}
    if not request:
        return {}
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    futures = admin.list_offsets(request, request_timeout=connection.timeout_s, isolation_level=level)
    return {(place.topic, place.partition): connection.answer(future) for place, future in futures.items()}


def offsets_at(
    admin: AdminClient, connection: Connection, places: Iterable[Place], spec: OffsetSpec, *, committed: bool = False
) -> dict[Place, int]:
    """The offset of each partition at `spec`; -1 where no record is as young as the time that was asked for."""
    listed = _listed(admin, connection, places, spec, committed=committed)
    return {place: info.offset for place, info in listed.items()}


def start_offsets(admin: AdminClient, connection: Connection, places: Iterable[Place]) -> dict[Place, int]:
    """The offset of the first record of each partition."""
    from confluent_kafka.admin import OffsetSpec

    return offsets_at(admin, connection, places, OffsetSpec.earliest())


def end_offsets(
    admin: AdminClient, connection: Connection, places: Iterable[Place], *, committed: bool = False
) -> dict[Place, int]:
    """The offset after the last record of each partition; `committed`: after the last that is not in doubt."""
    from confluent_kafka.admin import OffsetSpec

    return offsets_at(admin, connection, places, OffsetSpec.latest(), committed=committed)


def stamped_offsets(
    admin: AdminClient, connection: Connection, places: Iterable[Place]
) -> dict[Place, tuple[int | None, int | None]]:
    """Offset and time of the record with the highest timestamp (KIP-734); None where there is no record."""
    from confluent_kafka.admin import OffsetSpec

    listed = _listed(admin, connection, places, OffsetSpec.max_timestamp())
    return {
        place: (info.offset, info.timestamp) if info.offset >= 0 else (None, None) for place, info in listed.items()
    }


def resolve(
    admin: AdminClient,
    connection: Connection,
    places: list[Place],
    wish: str,
    current: Mapping[Place, int] | None = None,
) -> dict[Place, int]:
    """The offset that `wish` means in each partition; one outside of the log becomes the nearer end of the log.

    Args:
        current: what +N and -N count from; without it +N counts from the start and -N from the end.

    Raises:
        UsageError: the wish is none of `EXAMPLES`.
        RefusedError: a partition has no current offset to count from.
    """
    first = start_offsets(admin, connection, places)
    last = end_offsets(admin, connection, places)
    if wish in _FIRST or wish in _LAST:
        return first if wish in _FIRST else last
    if _is_relative(wish):
        base = current if current is not None else first if wish[0] == "+" else last
        without = [place for place in places if place not in base]
        if without:
            topic, partition = without[0]
            raise RefusedError(f"{topic}-{partition} has no committed offset to count {wish} from")
        offsets = {place: base[place] + int(wish) for place in places}
    elif wish.isdecimal():
        offsets = dict.fromkeys(places, int(wish))
    else:
        from confluent_kafka.admin import OffsetSpec

        at_time = offsets_at(admin, connection, places, OffsetSpec.for_timestamp(milliseconds(wish)))
        offsets = {place: at_time[place] if at_time[place] >= 0 else last[place] for place in places}
    return {place: min(max(offset, first[place]), last[place]) for place, offset in offsets.items()}


def span(text: str) -> tuple[str, str | None]:
    """The two ends of `FROM:TO` as rpk writes them (`@-1h:end`, `:end`, `10:20`); a place alone has no second.

    Raises:
        UsageError: neither it nor its parts are places.
    """
    if _is_place(text):
        return text, None
    # A time has colons of its own, so every colon may be the one in the middle.
    for match in re.finditer(":", text):
        begin, end = text[: match.start()] or "earliest", text[match.end() :] or "latest"
        if _is_place(begin) and _is_place(end):
            return begin, end
    raise UsageError(f"{text!r} is no place in a log", f"{EXAMPLES}, or two of them with a colon between")


def _is_relative(text: str) -> bool:
    return text[:1] in ("+", "-") and text[1:].isdecimal()


def _is_place(text: str) -> bool:
    if text in _FIRST or text in _LAST or _is_relative(text) or text.isdecimal():
        return True
    try:
        milliseconds(text)
    except UsageError:
        return False
    return True


def milliseconds(text: str) -> int:
    """A time in milliseconds since 1970: `2026-01-31T12:00`, `@1767225600000`, or `@-1h30m` before now.

    Raises:
        UsageError: it is none.
    """
    if text[:1] == "@" and text[1:].isdecimal():
        return int(text[1:])
    ago = _AGO.fullmatch(text)
    if ago is not None:
        parts = re.findall(r"([0-9]+)(ms|[smhdw])", ago[1])
        return round(time.time() * 1000) - sum(int(number) * _UNITS_MS[unit] for number, unit in parts)
    try:
        moment = datetime.fromisoformat(text.removeprefix("@"))
    except ValueError as error:
        raise UsageError(f"{text!r} is no place in a log", EXAMPLES) from error
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)
