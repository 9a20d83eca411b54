"""`moldau consume`: read records, from any place in topics, alone or as a member of a group."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from moldau.cli.connection import PATIENCE_S, Connection
from moldau.cli.outcome import UsageError
from moldau.cli.output import Output, Progress, as_yaml, say
from moldau.cli.places import Place, end_offsets, partitions_of, resolve, span
from moldau.cli.record_filter import Predicate, compile_filter
from moldau.cli.record_format import as_json, compile_format
from moldau.cli.registered import Forms
from moldau.cli.several import require

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

    from moldau.cli.registered_records import Reader

BATCH: Final = 500
POLL_S: Final = 0.5
PRIVATE_GROUP: Final = "moldau-cli"
"""Named because librdkafka insists on a name; nothing is joined or committed under it."""


FROM_HELP: Final = (
    "Where to begin: earliest, latest, an offset, -N for the last N of each partition, or a time as 2026-01-31T12:00, "
    "@milliseconds or @-1h30m. Two places with a colon between also say where to end: @-1h:end, 10:20. "
    "For a group only earliest or latest, where it has committed nothing."
)


@Parameter(name="*")
@dataclass(frozen=True)
class Span:
    """Where reading begins and ends."""

    from_: Annotated[str, Parameter(name=["--from", "-f"], allow_leading_hyphen=True, help=FROM_HELP)] = "latest"
    until: Annotated[str | None, Parameter(name=["--until", "-u"], allow_leading_hyphen=True)] = None
    """Where to end, as in --from."""
    end: Annotated[bool, Parameter(name=["--end", "-e"], negative=())] = False
    """Leave at the end of what was there at the start."""

    def ends(self) -> tuple[str, str | None]:
        """The place to begin, and the one to stop at when there is one.

        Raises:
            UsageError: one of them is no place.
        """
        begin, stop = span(self.from_)
        return begin, self.until or stop or ("latest" if self.end else None)


def consume(
    *topics: str,
    where: Span = Span(),
    filter_: Annotated[str | None, Parameter(name=["--filter", "-w"])] = None,
    group: Annotated[str | None, Parameter(name=["--group", "-g"])] = None,
    partition: Annotated[list[int] | None, Parameter(name=["--partition", "-p"])] = None,
    count: Annotated[int | None, Parameter(name=["--count", "-c"])] = None,
    format_: Annotated[str, Parameter(name=["--format", "-F"])] = "%v\\n",
    null: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    idle_timeout: float | None = None,
    forms: Forms = Forms(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Read records and print them until interrupted.

    Parameters
    ----------
    topics
        Their names, or topic:0,2,5 for some partitions.
    filter_
        Only records for which this is true, for example: value.total > 100 and key ~ "customer-*".
    group
        Read as a member of this group and commit what was printed.
    partition
        Only this partition; may be given many times.
    count
        Leave after so many records that were printed.
    format_
        How to print a record: %t topic, %p partition, %o offset, %T timestamp, %k key, %v value, %h headers, %T{iso},
        %k{hex}, %v{base64}. With -o json and -o jsonl it is one JSON record per line instead. With --value and --key
        it is the JSON of what was decoded, there and in --filter.
    null
        What to print for a key or a value that is null.
    idle_timeout
        Leave when nothing came for so many seconds.
    """
    require(topics, "topic")
    if count is not None and count < 1:
        raise UsageError("--count needs at least 1")
    begin, stop = where.ends()
    wanted = compile_filter(filter_) if filter_ is not None else None
    write = _writer(output, format_, null)
    if group is not None:
        if partition or stop is not None or begin not in ("earliest", "latest"):
            raise UsageError("a group decides itself which partitions it reads and where: leave out -p, -e and offsets")
        consumer = connection.consumer(group, **{"auto.offset.reset": begin})
        consumer.subscribe(list(topics))
        goals = None
    else:
        starts, goals = _span(connection, topics, partition, begin, stop)
        eof = {"enable.partition.eof": goals is not None}
        consumer = connection.consumer(PRIVATE_GROUP, **{"auto.offset.reset": "error", **eof})
        consumer.assign(starts)
    reader = forms.reader(connection.timeout_s)
    reading = Reading(consumer, connection, wanted, goals, idle_timeout, reader)
    try:
        for messages in reading.batches(count):
            sys.stdout.buffer.write(b"".join(map(write, messages)))
            sys.stdout.flush()
            if group is not None:
                connection.carry_out(lambda: consumer.commit(asynchronous=False))
    finally:
        consumer.close()
    if wanted is not None:
        say(f"{reading.printed:,} of {reading.scanned:,} records")
    if reader is not None:
        reader.check()


def _writer(output: Output, format_: str, null: str) -> Callable[[Message], bytes]:
    if output.for_eyes:
        return compile_format(format_, null)
    if output.output == "yaml":
        return lambda message: b"---\n" + as_yaml(as_json(message)).encode()
    return lambda message: json.dumps(as_json(message), ensure_ascii=False).encode() + b"\n"


def _span(
    connection: Connection, topics: tuple[str, ...], partitions: list[int] | None, begin: str, stop: str | None
) -> tuple[list[TopicPartition], dict[Place, int] | None]:
    """Where to begin in each partition and, when asked for, the offsets at which to end."""
    from confluent_kafka import TopicPartition

    admin = connection.admin()
    numbers = f":{','.join(map(str, partitions))}" if partitions else ""
    places = partitions_of(admin, connection, [f"{topic}{numbers}" for topic in topics])
    starts = resolve(admin, connection, places, begin)
    goals = None
    if stop is not None:
        # +N counts from where reading begins; a place behind the end of today is the end of today.
        last = end_offsets(admin, connection, places) if stop in ("latest", "end") else None
        goals = last or resolve(admin, connection, places, stop, starts if stop.startswith("+") else None)
        goals = {place: goals[place] for place in places if starts[place] < goals[place]}
        places = list(goals)
    return [TopicPartition(*place, starts[place]) for place in places], goals


@dataclass
class Reading:
    """One consumer read to its goals; `goals` is None when it shall never end."""

    consumer: Consumer
    connection: Connection
    wanted: Predicate | None
    goals: dict[Place, int] | None
    idle_timeout_s: float | None = None
    reader: Reader | None = None
    scanned: int = 0
    printed: int = 0

    def batches(self, count: int | None) -> Iterator[list[Message]]:
        """Records as they come, until there were enough of them or every partition reached its goal."""
        started = last_came = time.monotonic()
        with Progress("scanning", self._distance() or 1) as progress:
            while self.printed != count and self.goals != {}:
                records = self._next(BATCH if count is None else min(BATCH, count - self.printed))
                now = time.monotonic()
                last_came = now if records else last_came
                if self.idle_timeout_s is not None and now - last_came > self.idle_timeout_s:
                    return
                if not self.scanned and now - started > PATIENCE_S:
                    self.connection.watch(self.consumer)
                if self.reader is not None:
                    records = list(self.reader.readable(records))
                if self.wanted is not None:
                    records = list(filter(self.wanted, records))
                    if self.goals is not None:
                        progress.show(self.scanned, f"{self.printed:,} match")
                self.printed += len(records)
                if records:
                    progress.clear()
                    yield records

    def _distance(self) -> int:
        if self.goals is None:
            return 0
        return sum(self.goals[place.topic, place.partition] - place.offset for place in self.consumer.assignment())

    def _next(self, wanted: int) -> list[Message]:
        messages = self._poll(wanted)
        ended = {_place(message) for message in messages if message.error() is not None}
        records = [message for message in messages if message.error() is None]
        if self.goals is not None:
            goals = self.goals
            records = [one for one in records if (one.offset() or 0) < goals.get(_place(one), 0)]
            self.goals = self._still_open(goals, ended)
        self.scanned += len(records)
        return records

    def _poll(self, wanted: int) -> list[Message]:
        """Records, and for each partition that was read to its end a message that says so."""
        from confluent_kafka import KafkaError

        messages = self.connection.carry_out(lambda: self.consumer.consume(wanted, POLL_S))
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
                raise self.connection.explained(error)
        return messages

    def _still_open(self, goals: dict[Place, int], ended: set[Place]) -> dict[Place, int]:
        """The goals not reached yet. Markers of transactions are no records: only the end tells they were passed."""
        positions = {
            (place.topic, place.partition): place.offset for place in self.consumer.position(self.consumer.assignment())
        }
        return {place: goal for place, goal in goals.items() if place not in ended and positions.get(place, -1) < goal}


def _place(message: Message) -> Place:
    return str(message.topic()), message.partition() or 0
