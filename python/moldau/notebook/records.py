"""`consume()`: a stretch of topics that has a beginning and an end, as an iterator, a table or a frame.

The end is fixed when reading begins, so a loop over a topic that is being written to ends. No group is joined and
nothing is committed. Waiting is done in slices (`Consumer.consume`), so Ctrl-C and a notebook's stop button are heard.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from moldau.client import Consumer, KafkaError, KafkaException, Message, TopicPartition
from moldau.client.settings import bootstrap_of_the_environment
from moldau.notebook import html
from moldau.notebook.places import Place, ends_of, offsets_at

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from moldau.notebook.registered import RegistryReader

Form = Literal["bytes", "str", "json", "avro", "json-schema"]

BATCH: Final = 5000
SHOWN_ROWS: Final = 20
WAIT_S: Final = 0.5
COLUMNS: Final = ("topic", "partition", "offset", "timestamp", "key", "value", "headers")


class HasBootstrapServers(Protocol):
    """A `moldau.Broker`, or anything else that knows where it listens."""

    @property
    def bootstrap_servers(self) -> str: ...


Where = str | HasBootstrapServers | None
"""`host:port`, a broker, or None: `MOLDAU_BOOTSTRAP_SERVERS`, else localhost:9092."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record. `timestamp` is UTC, or None if it has none; `headers` are pairs, because a name may come twice."""

    topic: str
    partition: int
    offset: int
    timestamp: dt.datetime | None
    key: Any
    value: Any
    headers: tuple[tuple[str, bytes | None], ...]


class UndecodableError(ValueError):
    """A key or a value is not in the form that was asked for; it says which record's."""


def consume(
    *topics: str,
    bootstrap_servers: Where = None,
    start: Place = "earliest",
    stop: Place = "latest",
    partitions: Sequence[int] | None = None,
    limit: int | None = None,
    key: Form = "bytes",
    value: Form = "bytes",
    registry: str | None = None,
    **settings: Any,
) -> Records:
    """The records of topics between two places, to be iterated or turned into a frame. Nothing is read before that.

    Args:
        bootstrap_servers: `host:port`, or a broker; `MOLDAU_BOOTSTRAP_SERVERS` or localhost:9092 without it.
        start: the first record: "earliest", an offset (-10: ten before the end), a datetime, a timedelta (so long
            ago), or offsets by partition.
        stop: the place before which to end; "latest" is the end at the moment when reading begins.
        partitions: only these; all without it.
        limit: at most so many records.
        key: what a key becomes: "bytes", "str", "json", or what a schema registry's serializers wrote: "avro",
            "json-schema".
        value: what a value becomes.
        registry: URL of the schema registry; `MOLDAU_REGISTRY_URL` or http://localhost:8081 without it.
        settings: of `moldau.Consumer`, with underscores for dots.

    Raises:
        ValueError: no topic is named, or there is no such form.
    """
    if not topics:
        raise ValueError("name a topic: consume('orders')")
    for form in (key, value):
        if form not in (*DECODERS, *REGISTERED):
            raise ValueError(f"{form!r} is no form of a value: say {', '.join(map(repr, (*DECODERS, *REGISTERED)))}")
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}: there are no fewer records than none")
    url = registry or os.environ.get("MOLDAU_REGISTRY_URL") or "http://localhost:8081"
    return Records(topics, address_of(bootstrap_servers), start, stop, partitions, limit, key, value, url, settings)


def address_of(where: Where) -> str:
    """`host:port` of a place that may be named in several ways."""
    if where is None:
        return bootstrap_of_the_environment()
    return where if isinstance(where, str) else where.bootstrap_servers


DECODERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "bytes": lambda data: data,
    "str": bytes.decode,
    "json": msgspec.json.Decoder().decode,
}
REGISTERED: Final = ("avro", "json-schema")
"""The forms that say which schema wrote them."""


@dataclasses.dataclass(frozen=True)
class Records:
    """A stretch of topics. Each iteration reads it anew, from the cluster."""

    topics: tuple[str, ...]
    bootstrap_servers: str
    start: Place
    stop: Place
    partitions: Sequence[int] | None
    limit: int | None
    key: Form
    value: Form
    registry: str
    settings: Mapping[str, Any] = dataclasses.field(repr=False)

    def __iter__(self) -> Iterator[Record]:
        for batch in self.batches():
            for message in batch:
                yield self._record(message)

    def batches(self) -> Iterator[list[Message]]:
        """confluent-kafka's messages, many at a time: what everything else here is made of.

        Raises:
            KafkaException: a topic does not exist, or cannot be read.
            ValueError: `start` or `stop` is no place, or a topic has no such partition.
        """
        left = self.limit
        with self._consumer() as consumer:
            ends = ends_of(consumer, self.topics, self.partitions)
            now = dt.datetime.now(dt.UTC)
            stops = offsets_at(consumer, self.stop, ends, now)
            starts = offsets_at(consumer, self.start, ends, now)
            open_ = {at: stop for at, stop in stops.items() if starts[at] < stop}
            consumer.assign([TopicPartition(*at, starts[at]) for at in open_])
            while open_ and left != 0:
                batch = _before_the_end(consumer.consume(BATCH, timeout=WAIT_S), open_)
                if left is not None:
                    batch = batch[:left]
                    left -= len(batch)
                if batch:
                    yield batch

    def _consumer(self) -> Consumer:
        ours = {"bootstrap_servers": self.bootstrap_servers, "group_id": "moldau-notebook", "log_level": 3}
        fixed = {"enable_auto_commit": False, "enable_partition_eof": True}
        return Consumer(**(ours | dict(self.settings) | fixed))

    def _record(self, message: Message) -> Record:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        headers: Any = message.headers() or ()
        return Record(
            topic,
            partition,
            offset,
            time_of(message),
            self.decoded(message, "key"),
            self.decoded(message, "value"),
            tuple(headers),
        )

    @cached_property
    def reader(self) -> RegistryReader:
        """What asks the schema registry, once per schema."""
        from moldau.notebook.columns import MissingPackageError

        try:
            from moldau.notebook.registered import RegistryReader
        except ImportError as error:
            raise MissingPackageError(
                f"{error.name} is not installed\nhint: python -m pip install 'moldau[registry]'", name=error.name
            ) from error
        return RegistryReader(self.registry)

    def decoded(self, message: Message, part: Literal["key", "value"]) -> Any:
        """The key or the value in the form that was asked for.

        Raises:
            UndecodableError: it is not in that form.
            ConnectionError: no schema registry answers.
        """
        form = self.key if part == "key" else self.value
        data: Any = message.key() if part == "key" else message.value()
        if data is None:
            return None
        try:
            return self.reader.decode(message, part, data, form) if form in REGISTERED else DECODERS[form](data)
        except (ValueError, msgspec.DecodeError) as error:
            at = f"{message.topic()}-{message.partition()} at offset {message.offset()}"
            raise UndecodableError(
                f'the {part} in {at} is not {form}: {error}; {part}="bytes" takes anything'
            ) from None

    def to_list(self) -> list[Record]:
        """All of them, in memory."""
        return list(self)

    def to_arrow(self) -> pa.Table:
        """A table with the columns of a record; timestamps are UTC in milliseconds. Needs `moldau[frames]`."""
        from moldau.notebook.columns import arrow_table

        return arrow_table(self)

    def to_polars(self) -> pl.DataFrame:
        """A frame with the columns of a record. Needs `moldau[frames]`."""
        from moldau.notebook.columns import polars_frame

        return polars_frame(self)

    def to_pandas(self) -> pd.DataFrame:
        """A frame with the columns of a record. Needs `moldau[frames]` and pandas."""
        from moldau.notebook.columns import pandas_frame

        return pandas_frame(self)

    def _repr_html_(self) -> str:
        rows = list(itertools.islice(self, SHOWN_ROWS + 1))
        caption = ", ".join(self.topics)
        if len(rows) > SHOWN_ROWS:
            caption += f": the first {SHOWN_ROWS} records"
        values = ([getattr(row, name) for name in COLUMNS[:3]] + _cells(row) for row in rows[:SHOWN_ROWS])
        return html.table(caption, COLUMNS, values)


def _cells(row: Record) -> list[object]:
    when = None if row.timestamp is None else row.timestamp.isoformat(" ", "milliseconds").replace("+00:00", "Z")
    headers = ", ".join(f"{name}={'null' if data is None else html.shown(data)}" for name, data in row.headers)
    return [when, row.key, row.value, headers]


def _before_the_end(messages: list[Message], open_: dict[tuple[str, int], int]) -> list[Message]:
    """The messages of partitions that are still open; those that have come to their end are taken out of `open_`.

    The end may be inside of what a compacted topic no longer holds, or behind a transaction's marker, which is no
    message: then the next message, or the word that the partition ends, closes it.
    """
    kept = []
    for message in messages:
        at: Any = (message.topic(), message.partition())
        error, offset = message.error(), message.offset()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            open_.pop(at, None)
        elif error is not None:
            raise KafkaException(error)
        elif at in open_:
            assert offset is not None
            if offset < open_[at]:
                kept.append(message)
            if offset >= open_[at] - 1:
                del open_[at]
    return kept


def time_of(message: Message) -> dt.datetime | None:
    """When it was written, as its producer or its broker says."""
    kind, milliseconds = message.timestamp()
    if kind == 0 or milliseconds < 0:
        return None
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=milliseconds)
