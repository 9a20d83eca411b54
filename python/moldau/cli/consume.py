"""`moldau consume`: read records, from any place in a topic, alone or as a member of a group."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import UsageError
from moldau.cli.output import Output
from moldau.cli.places import end_offsets, partitions_of, resolve
from moldau.cli.record_format import as_json, compile_format

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

BATCH: Final = 500
POLL_S: Final = 0.5
PRIVATE_GROUP: Final = "moldau-cli"
"""Named because librdkafka insists on a name; nothing is joined or committed under it."""


def consume(
    topic: str,
    /,
    *,
    from_: Annotated[str, Parameter(name=["--from", "-f"])] = "latest",
    group: Annotated[str | None, Parameter(name=["--group", "-g"])] = None,
    partition: Annotated[list[int] | None, Parameter(name=["--partition", "-p"])] = None,
    end: Annotated[bool, Parameter(name=["--end", "-e"], negative=())] = False,
    count: Annotated[int | None, Parameter(name=["--count", "-c"])] = None,
    format_: Annotated[str, Parameter(name=["--format", "-F"])] = "%v\\n",
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Read records and print them until interrupted.

    Parameters
    ----------
    topic
        Its name.
    from_
        Where to begin: earliest, latest, an offset, -N for the last N of each partition, or a time as
        2026-01-31T12:00 or @milliseconds. For a group only earliest or latest, where it has committed nothing.
    group
        Read as a member of this group and commit what was printed.
    partition
        Only this partition; may be given many times.
    end
        Leave at the end of what was there at the start.
    count
        Leave after so many records.
    format_
        How to print a record: %t topic, %p partition, %o offset, %T timestamp, %k key, %v value, %h headers.
        -o json and -o jsonl print one JSON record per line instead.
    """
    if count is not None and count < 1:
        raise UsageError("--count needs at least 1")
    write = compile_format(format_) if output.for_eyes else _json_line
    if group is not None:
        if partition or end or from_ not in ("earliest", "latest"):
            raise UsageError("a group decides itself which partitions it reads and where: leave out -p, -e and offsets")
        consumer = connection.consumer(group, **{"auto.offset.reset": from_})
        consumer.subscribe([topic])
        goals = None
    else:
        consumer = connection.consumer(PRIVATE_GROUP, **{"auto.offset.reset": "error", "enable.partition.eof": end})
        starts, goals = _span(connection, topic, partition, from_, end=end)
        consumer.assign(starts)
    try:
        for messages in _batches(consumer, connection, count, goals):
            sys.stdout.buffer.write(b"".join(map(write, messages)))
            sys.stdout.flush()
            if group is not None:
                connection.carry_out(lambda: consumer.commit(asynchronous=False))
    finally:
        consumer.close()


def _json_line(message: Message) -> bytes:
    return json.dumps(as_json(message), ensure_ascii=False).encode() + b"\n"


def _span(
    connection: Connection, topic: str, partitions: list[int] | None, from_: str, *, end: bool
) -> tuple[list[TopicPartition], dict[int, int] | None]:
    """Where to begin in each partition and, when asked for, the offsets at which to end."""
    from confluent_kafka import TopicPartition

    admin = connection.admin()
    chosen = f"{topic}:{','.join(map(str, partitions))}" if partitions else topic
    places = partitions_of(admin, connection, [chosen])
    last = end_offsets(admin, connection, places)
    starts = resolve(admin, connection, places, from_, last)
    goals = {place[1]: last[place] for place in places if starts[place] < last[place]} if end else None
    return [TopicPartition(*place, offset) for place, offset in starts.items()], goals


def _batches(
    consumer: Consumer, connection: Connection, count: int | None, goals: dict[int, int] | None
) -> Iterator[list[Message]]:
    """Records as they come, until there were enough of them or every partition reached its goal."""
    left = count
    open_goals = goals
    while left != 0 and open_goals != {}:
        wanted = BATCH if left is None else min(BATCH, left)
        messages = _poll(consumer, connection, wanted)
        ended = {message.partition() for message in messages if message.error() is not None}
        records = [message for message in messages if message.error() is None]
        if open_goals is not None:
            records = [one for one in records if (one.offset() or 0) < open_goals.get(one.partition() or 0, 0)]
            open_goals = _still_open(consumer, open_goals, ended)
        if left is not None:
            left -= len(records)
        if records:
            yield records


def _poll(consumer: Consumer, connection: Connection, wanted: int) -> list[Message]:
    """Records, and for each partition that was read to its end a message that says so."""
    from confluent_kafka import KafkaError

    messages = connection.carry_out(lambda: consumer.consume(wanted, POLL_S))
    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
            raise connection.explained(error)
    return messages


def _still_open(consumer: Consumer, goals: dict[int, int], ended: set[int | None]) -> dict[int, int]:
    """The goals that are not reached. Markers of transactions are no records: only the end tells they were passed."""
    positions = {place.partition: place.offset for place in consumer.position(consumer.assignment())}
    return {
        partition: goal
        for partition, goal in goals.items()
        if partition not in ended and positions.get(partition, -1) < goal
    }
