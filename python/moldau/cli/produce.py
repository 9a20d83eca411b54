"""`moldau produce`: write records from a file or from standard input, one per line."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Literal

from cyclopts import Parameter

from moldau.cli.connection import Connection, pairs
from moldau.cli.outcome import PartlyDoneError, UsageError
from moldau.cli.output import Output, Progress, say
from moldau.cli.record_format import Headers, content_of

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

POLL_EVERY: Final = 1000


@dataclass(slots=True)
class NewRecord:
    """One record before it is sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)
    partition: int = -1
    timestamp_ms: int = 0


def produce(
    topic: str,
    file: Path | None = None,
    /,
    *,
    key_separator: Annotated[str | None, Parameter(name=["--key-separator", "-K"])] = None,
    json_: Annotated[bool, Parameter(name=["--json", "-J"], negative=())] = False,
    key: Annotated[str | None, Parameter(name=["--key", "-k"])] = None,
    header: Annotated[list[str] | None, Parameter(name=["--header", "-H"])] = None,
    partition: Annotated[int, Parameter(name=["--partition", "-p"])] = -1,
    compression: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"], Parameter(name=["--compression", "-z"])
    ] = "none",
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Write records: one per line of a file, or of standard input.

    Parameters
    ----------
    topic
        Its name.
    file
        Where the lines are; standard input without it.
    key_separator
        What stands between key and value in a line, for example a colon.
    json_
        Each line is a JSON object with value, and perhaps key, headers, partition and timestamp_ms, as
        moldau consume -o jsonl writes it.
    key
        The key of every record.
    header
        A header of every record, as name=value; may be given many times.
    partition
        The partition of every record; chosen by the key without it.
    compression
        How batches are compressed.
    """
    if json_ and (key_separator or key):
        raise UsageError("with --json the key stands in the line")
    settings = {"enable.idempotence": True, "linger.ms": 20, "compression.type": compression}
    producer = connection.producer(**settings, **{"delivery.timeout.ms": round(connection.timeout_s * 1000)})
    headers: Headers = [(name, value.encode()) for name, value in pairs(header).items()]
    with ExitStack() as stack:
        lines = stack.enter_context(_open(file)) if file is not None else sys.stdin.buffer
        records = _records(lines, key_separator, json_=json_, key=key, headers=headers, partition=partition)
        total = file.stat().st_size if file is not None else 0
        delivery = _send(producer, topic, records, Progress("sending", total) if total else None)
    _report(topic, delivery, connection, output)


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def _records(
    lines: Iterable[bytes],
    key_separator: str | None,
    *,
    json_: bool,
    key: str | None,
    headers: Headers,
    partition: int,
) -> Iterator[NewRecord]:
    separator = key_separator.encode() if key_separator else None
    fixed_key = key.encode() if key is not None else None
    for number, line in enumerate(lines, start=1):
        content = line.rstrip(b"\r\n")
        if json_:
            record = _from_json(content, number)
            record.headers = headers + record.headers
            record.partition = partition if partition >= 0 else record.partition
            yield record
        elif separator is not None:
            found, middle, value = content.partition(separator)
            if not middle:
                raise UsageError(f"line {number} has no {key_separator!r} between key and value")
            yield NewRecord(found, value, headers, partition)
        else:
            yield NewRecord(fixed_key, content, headers, partition)


def _from_json(content: bytes, number: int) -> NewRecord:
    try:
        record: Any = json.loads(content)
        headers: Headers = [(str(one["name"]), content_of(one, "value")) for one in record.get("headers") or ()]
        return NewRecord(
            key=content_of(record, "key"),
            value=content_of(record, "value"),
            headers=headers,
            partition=int(record.get("partition", -1)),
            timestamp_ms=int(record.get("timestamp_ms") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"line {number} is no record: {error}") from error


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
        for record in records:
            _send_one(producer, topic, record, delivery)
            delivery.sent += 1
            size += len(record.value or b"") + 1
            if delivery.sent % POLL_EVERY == 0:
                producer.poll(0)
                if progress is not None:
                    progress.show(size)
        while len(producer):
            producer.flush(1.0)
    delivery.seconds = time.monotonic() - started
    return delivery


def _send_one(producer: Producer, topic: str, record: NewRecord, delivery: Delivery) -> None:
    while True:
        try:
            producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
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
