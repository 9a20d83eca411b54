"""`moldau topic offsets` and `moldau topic trim`: where a log begins and ends, and moving its beginning up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import CommandError
from moldau.cli.output import Output, say
from moldau.cli.places import Place, end_offsets, partitions_of, resolve, stamped_offsets, start_offsets
from moldau.cli.several import Execute, require, settle

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient


def show_offsets(
    *topics: str,
    at: str | None = None,
    committed: Annotated[bool, Parameter(negative=())] = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Show where each partition begins and ends, and where its youngest record is.

    Parameters
    ----------
    topics
        Their names, or topic:0,2,5 for some partitions.
    at
        Also the offset of this place: a time as 2026-01-31T12:00 or @-1h, +N, -N, ….
    committed
        The end is where a read_committed consumer stops (the last stable offset).
    """
    require(topics, "topic")
    admin = connection.admin()
    places = partitions_of(admin, connection, topics)
    starts = start_offsets(admin, connection, places)
    ends = end_offsets(admin, connection, places, committed=committed)
    youngest = stamped_offsets(admin, connection, places)
    wanted = resolve(admin, connection, places, at) if at is not None else {}
    records = [
        {
            "topic": place[0],
            "partition": place[1],
            "start_offset": starts[place],
            "end_offset": ends[place],
            "youngest_offset": youngest[place][0],
            "youngest_timestamp_ms": youngest[place][1],
            "at_offset": wanted.get(place),
        }
        for place in places
    ]
    columns = ("topic", "partition", "start_offset", "end_offset", "youngest_offset")
    output.records(records, (*columns, "at_offset") if at is not None else columns)


def trim_topic(
    *topics: str,
    before: str,
    execute: Execute = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Delete the records before a place. Shows what it would do; --execute does it, and nothing brings them back.

    Parameters
    ----------
    topics
        Their names, or topic:0,2,5 for some partitions.
    before
        The first record that stays: an offset, latest (keep none), -N (keep the last N), a time as 2026-01-31T12:00 or
        @-7d.
    execute
        Do it.
    """
    require(topics, "topic")
    admin = connection.admin()
    places = partitions_of(admin, connection, topics)
    starts = start_offsets(admin, connection, places)
    targets = resolve(admin, connection, places, before)
    moving = {place: offset for place, offset in targets.items() if offset > starts[place]}
    results, failures = _delete(admin, connection, moving) if execute else ({}, [])
    records: list[dict[str, Any]] = [
        {
            "topic": place[0],
            "partition": place[1],
            "from": starts[place],
            "to": targets[place],
            "records": targets[place] - starts[place],
            "result": results.get(place, "nothing to do") if execute else "not done",
        }
        for place in places
    ]
    output.records(records, ("topic", "partition", "from", "to", "records", "result"))
    if not execute:
        say(f"nothing was deleted; --execute deletes {sum(one['records'] for one in records):,} offsets")
    settle(failures, len(moving))


def _delete(
    admin: AdminClient, connection: Connection, targets: dict[Place, int]
) -> tuple[dict[Place, str], list[CommandError]]:
    from confluent_kafka import TopicPartition

    results: dict[Place, str] = {}
    failures: list[CommandError] = []
    if not targets:
        return results, failures
    request = [TopicPartition(topic, partition, offset) for (topic, partition), offset in targets.items()]
    for asked, future in admin.delete_records(request, operation_timeout=connection.timeout_s).items():
        place = (asked.topic, asked.partition)
        try:
            connection.answer(future)
            results[place] = "deleted"
        except CommandError as error:
            failures.append(error)
            results[place] = str(error)
    return results, failures
