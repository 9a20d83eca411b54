"""`moldau produce`: write records from files or from standard input."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, Literal

from cyclopts import Parameter

from moldau.cli.connection import Connection, pairs
from moldau.cli.new_records import (
    NewRecord,
    Reading,
    encoded,
    from_template,
    pieces,
    plain,
    separated,
    whole_files,
    with_nulls,
)
from moldau.cli.outcome import PartlyDoneError, RefusedError, UsageError
from moldau.cli.output import Output, Progress, say
from moldau.cli.places import milliseconds
from moldau.cli.record_format import Headers, unescape
from moldau.cli.registered import Encode, Encoding

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

POLL_EVERY: Final = 1000


@Parameter(name="*")
@dataclass(frozen=True)
class Lines:
    """How what is read becomes records."""

    key_separator: Annotated[str | None, Parameter(name=["--key-separator", "-K"], group="Lines")] = None
    """What stands between key and value in a line, for example a colon."""
    json: Annotated[bool, Parameter(name=["--json", "-J"], negative=(), group="Lines")] = False
    """Each line is a record as JSON, as moldau consume -o jsonl writes it."""
    format: Annotated[str | None, Parameter(name=["--format", "-F"], group="Lines")] = None
    r"""What stands in a line, for example '%k\t%v'; %p partition, %T timestamp and %h headers too."""
    null: Annotated[str | None, Parameter(name="--null", group="Lines")] = None
    """The text that means null, for a key or for a value (a tombstone)."""
    delimiter: Annotated[str, Parameter(name=["--delimiter", "-D"], group="Lines")] = "\\n"
    """What stands between two records."""
    whole: Annotated[bool, Parameter(name="--whole", negative=(), group="Lines")] = False
    """Each file, or the whole standard input, is one record."""

    def reading(self, key: str | None) -> Reading:
        """How a line becomes a record.

        Args:
            key: the key of every record, when there is one.

        Raises:
            UsageError: two ways were asked for at once.
        """
        if sum((self.json, self.key_separator is not None, self.format is not None)) > 1:
            raise UsageError("--json, --format and --key-separator are three ways to read a line: choose one")
        has_key = self.json or self.key_separator is not None or "%k" in (self.format or "")
        if key is not None and has_key:
            raise UsageError("the key stands in the line already: leave out --key")
        read = self._way()
        return read if self.null is None else with_nulls(read, self.null.encode())

    def _way(self) -> Reading:
        if self.json:
            from moldau.cli.json_records import from_json

            return from_json
        if self.format is not None:
            return from_template(self.format)
        if not self.key_separator:
            return plain
        return separated(self.key_separator)


def produce(
    topic: str,
    /,
    *files: Path,
    lines: Lines = Lines(),
    key: Annotated[str | None, Parameter(name=["--key", "-k"])] = None,
    header: Annotated[list[str] | None, Parameter(name=["--header", "-H"])] = None,
    partition: Annotated[int, Parameter(name=["--partition", "-p"])] = -1,
    timestamp: Annotated[str | None, Parameter(name=["--timestamp", "-T"])] = None,
    tombstone: Annotated[bool, Parameter(negative=())] = False,
    compression: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"], Parameter(name=["--compression", "-z"])
    ] = "none",
    create: Annotated[bool, Parameter(negative="--no-create")] = True,
    encoding: Encoding = Encoding(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Write records: one per line of files, or of standard input.

    Parameters
    ----------
    topic
        Its name.
    files
        Where the lines are; standard input without them.
    key
        The key of every record.
    header
        A header of every record, as name=value; may be given many times.
    partition
        The partition of every record; chosen by the key without it.
    timestamp
        The time of every record: milliseconds as @1767225600000, or 2026-01-31T12:00, or @-1h.
    tombstone
        Send one record with the key of --key and no value, and read nothing.
    compression
        How batches are compressed.
    create
        A topic that is not there may be created by the cluster, if it does that; it is told when it was.
    """
    read = lines.reading(key)
    if tombstone and (key is None or files):
        raise UsageError("--tombstone needs --key and no files", "moldau produce users --key customer-1 --tombstone")
    encoders = encoding.encoders(topic, connection.timeout_s, tombstone=tombstone)
    fixed = NewRecord(
        None if key is None else _of_every_record(key, encoders),
        None,
        [(name, value.encode()) for name, value in pairs(header).items()],
        partition,
        milliseconds(timestamp) if timestamp is not None else 0,
    )
    read = encoded(read, encoders) if encoders else read
    settings = {"enable.idempotence": True, "linger.ms": 20, "compression.type": compression}
    with ExitStack() as stack:
        parts = _whole(files) if lines.whole else _parts(stack, files, unescape(lines.delimiter) or b"\n")
        records: Iterable[NewRecord] = [fixed] if tombstone else _records(parts, read, fixed)
        producer = connection.producer(**settings, **{"delivery.timeout.ms": round(connection.timeout_s * 1000)})
        before = connection.carry_out(lambda: producer.list_topics(timeout=connection.timeout_s)).topics
        if topic not in before and not create:
            raise RefusedError(f"there is no topic {topic}", _hint_without(topic, before))
        total = sum(file.stat().st_size for file in files)
        delivery = _send(producer, topic, records, Progress("sending", total) if total else None)
    if topic not in before and delivery.by_partition:
        _tell_created(producer, topic, before, connection)
    _report(topic, delivery, connection, output)


def _tell_created(producer: Producer, topic: str, before: Iterable[str], connection: Connection) -> None:
    metadata = connection.carry_out(lambda: producer.list_topics(topic, timeout=connection.timeout_s))
    count = len(metadata.topics[topic].partitions)
    partitions = f"{count} partition{'s' if count != 1 else ''}"
    say(f"note: there was no topic {topic}; the cluster created it with {partitions}")
    close = get_close_matches(topic, before, n=1)
    if close:
        say(f"      did you mean {close[0]}? `moldau topic delete {topic}` takes it back")


def _hint_without(topic: str, before: Iterable[str]) -> str:
    close = get_close_matches(topic, before, n=1)
    return f"did you mean {close[0]}?" if close else f"`moldau topic create {topic}` creates it"


def _of_every_record(key: str, encoders: Mapping[str, Encode]) -> bytes:
    encode = encoders.get("key")
    try:
        return key.encode() if encode is None else encode(key.encode())
    except ValueError as error:
        raise UsageError(f"--key: {error}") from error


def _whole(files: Iterable[Path]) -> Iterator[bytes]:
    return whole_files(files) if files else iter([sys.stdin.buffer.read()])


def _parts(stack: ExitStack, files: Iterable[Path], delimiter: bytes) -> Iterator[bytes]:
    try:
        streams: list[BinaryIO] = [stack.enter_context(file.open("rb")) for file in files]
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    if not streams and sys.stdin.isatty():
        say("one record per line; Ctrl-D ends")
    return (part for stream in (streams or [sys.stdin.buffer]) for part in pieces(stream, delimiter))


def _records(parts: Iterable[bytes], read: Reading, fixed: NewRecord) -> Iterator[NewRecord]:
    """The records, with what was said for all of them; what stands in a line wins over the time, not over the rest."""
    for number, content in enumerate(parts, start=1):
        record = read(content, number)
        record.key = fixed.key if fixed.key is not None else record.key
        record.headers = fixed.headers + record.headers
        record.partition = fixed.partition if fixed.partition >= 0 else record.partition
        record.timestamp_ms = record.timestamp_ms or fixed.timestamp_ms
        yield record


@dataclass(slots=True)
class Delivery:
    """What became of the records."""

    sent: int = 0
    by_partition: Counter[int] = field(default_factory=Counter)
    first_error: KafkaError | None = None
    seconds: float = 0.0

    def note(self, error: KafkaError | None, message: Message) -> None:
        """Called by the library for every record, when its fate is known."""
        if error is None:
            self.by_partition[message.partition() or 0] += 1
        elif self.first_error is None:
            self.first_error = error


def _send(producer: Producer, topic: str, records: Iterable[NewRecord], progress: Progress | None) -> Delivery:
    delivery = Delivery()
    started = time.monotonic()
    size = 0
    with ExitStack() as stack:
        if progress is not None:
            stack.enter_context(progress)
        try:
            for record in records:
                _send_one(producer, topic, record, delivery)
                delivery.sent += 1
                size += len(record.value or b"") + 1
                if delivery.sent % POLL_EVERY == 0:
                    producer.poll(0)
                    if progress is not None:
                        progress.show(size)
        finally:
            # A line that cannot be read ends the command, not the records before it.
            while len(producer):
                producer.flush(1.0)
    delivery.seconds = time.monotonic() - started
    return delivery


def _send_one(producer: Producer, topic: str, record: NewRecord, delivery: Delivery) -> None:
    headers: Headers = list(record.headers)
    while True:
        try:
            producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=headers,
                partition=record.partition,
                timestamp=record.timestamp_ms,
                on_delivery=delivery.note,
            )
            return
        except BufferError:
            # The library holds as much as it may: give it time to send.
            producer.poll(0.1)


def _report(topic: str, delivery: Delivery, connection: Connection, output: Output) -> None:
    delivered = delivery.by_partition.total()
    if delivery.first_error is not None and delivered == 0:
        raise connection.explained(delivery.first_error)
    if not output.for_eyes:
        partitions = [
            {"partition": partition, "records": count} for partition, count in sorted(delivery.by_partition.items())
        ]
        record = {"topic": topic, "sent": delivery.sent, "delivered": delivered, "partitions": partitions}
        output.record(record, ())
    say(f"{delivered:,} of {delivery.sent:,} records delivered to {topic} in {delivery.seconds:.1f} s")
    if delivery.first_error is not None:
        raise PartlyDoneError(f"{delivery.sent - delivered:,} records were not delivered: {delivery.first_error.str()}")
