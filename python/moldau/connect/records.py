"""The records that flow through Connect, as in `org.apache.kafka.connect.connector`.

A record is not changed by the transforms it passes: each makes another one with `new_record`, or with one of the
short forms `with_value`, `with_key`, `with_topic`. Its headers are a list of their own that may be added to.

Since most records have no headers, the list is made when somebody asks for it.

Source: KIP-145 (headers), KIP-793 (where a sink record came from before transforms moved it).
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Self

from moldau.connect.data import (
    NULL,
    Date,
    Decimal,
    Schema,
    SchemaAndValue,
    Struct,
    Time,
    Timestamp,
    Type,
    validate_value,
)
from moldau.connect.data.logical import scale_of

NO_TIMESTAMP_TYPE = "NoTimestampType"
CREATE_TIME = "CreateTime"
LOG_APPEND_TIME = "LogAppendTime"


_new: Final = object.__new__
INSIDES: Final[Mapping[Type, type]] = {Type.ARRAY: list, Type.MAP: dict}


class Header(NamedTuple):
    """One header of a record; `schema` is None when its value has none."""

    key: str
    value: Any
    schema: Schema | None = None


class Headers:
    """The headers of a record in their order; a key may occur more than once. Changing calls return the headers."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Iterable[Header] = ()) -> None:
        self._headers = list(headers)

    def add(self, key: str, value: Any, schema: Schema | None = None) -> Self:
        """Add a header behind the others. Raises `DataError` when the value does not fit the schema.

        What is in a list or a map is not looked at, as in Kafka: text that was read may have several types in one.
        """
        if schema is not None and not isinstance(value, INSIDES.get(schema.type, ())):
            validate_value(schema, value, f"the header {key!r}")
        self._headers.append(Header(key, value, schema))
        return self

    def add_schema_and_value(self, key: str, value: SchemaAndValue | None) -> Self:
        schema, plain = value or NULL
        return self.add(key, plain, schema)

    def add_string(self, key: str, value: str | None) -> Self:
        return self.add(key, value, Schema.STRING_SCHEMA if value is not None else Schema.OPTIONAL_STRING_SCHEMA)

    def add_bytes(self, key: str, value: bytes | None) -> Self:
        return self.add(key, value, Schema.BYTES_SCHEMA if value is not None else Schema.OPTIONAL_BYTES_SCHEMA)

    def add_boolean(self, key: str, value: bool) -> Self:
        return self.add(key, value, Schema.BOOLEAN_SCHEMA)

    def add_int(self, key: str, value: int) -> Self:
        return self.add(key, value, Schema.INT32_SCHEMA)

    def add_long(self, key: str, value: int) -> Self:
        return self.add(key, value, Schema.INT64_SCHEMA)

    def add_float(self, key: str, value: float) -> Self:
        return self.add(key, value, Schema.FLOAT32_SCHEMA)

    def add_double(self, key: str, value: float) -> Self:
        return self.add(key, value, Schema.FLOAT64_SCHEMA)

    def add_struct(self, key: str, value: Struct | None) -> Self:
        return self.add(key, value, None if value is None else value.schema)

    def add_decimal(self, key: str, value: decimal.Decimal | None) -> Self:
        return self.add(key, value, None if value is None else Decimal.schema(scale_of(value)))

    def add_date(self, key: str, value: dt.date) -> Self:
        return self.add(key, value, Date.SCHEMA)

    def add_time(self, key: str, value: dt.time) -> Self:
        return self.add(key, value, Time.SCHEMA)

    def add_timestamp(self, key: str, value: dt.datetime) -> Self:
        return self.add(key, value, Timestamp.SCHEMA)

    def last_with_name(self, key: str) -> Header | None:
        return next((header for header in reversed(self._headers) if header.key == key), None)

    def all_with_name(self, key: str) -> list[Header]:
        return [header for header in self._headers if header.key == key]

    def remove(self, key: str) -> Self:
        """Remove every header with this key."""
        self._headers = [header for header in self._headers if header.key != key]
        return self

    def retain_latest(self, key: str | None = None) -> Self:
        """Of the headers with the same key (only `key`, if it is given), keep the last."""
        seen: set[str] = set()
        kept: list[Header] = []
        for header in reversed(self._headers):
            if header.key not in seen or (key is not None and header.key != key):
                kept.append(header)
            seen.add(header.key)
        self._headers = kept[::-1]
        return self

    def clear(self) -> Self:
        self._headers.clear()
        return self

    def apply(self, transform: Callable[[Header], Header | None], key: str | None = None) -> Self:
        """Put `transform(header)` in the place of each header (with `key`, if it is given); None removes it."""
        changed = (transform(each) if key is None or each.key == key else each for each in self._headers)
        self._headers = [header for header in changed if header is not None]
        return self

    def duplicate(self) -> Headers:
        return Headers(self._headers)

    def __iter__(self) -> Iterator[Header]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __eq__(self, other: object) -> bool:
        return self._headers == other._headers if isinstance(other, Headers) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._headers!r})"


class ConnectRecord:
    """What source and sink records share. `kafka_partition` and `timestamp` (milliseconds) may be None.

    `raw_headers` is None until somebody has asked for `headers`, which makes an empty list.
    """

    __slots__ = ("kafka_partition", "key", "key_schema", "raw_headers", "timestamp", "topic", "value", "value_schema")

    def __init__(
        self,
        topic: str,
        kafka_partition: int | None,
        key_schema: Schema | None,
        key: Any,
        value_schema: Schema | None,
        value: Any,
        timestamp: int | None = None,
        headers: Headers | Iterable[Header] | None = None,
    ) -> None:
        self.topic = topic
        self.kafka_partition = kafka_partition
        self.key_schema = key_schema
        self.key = key
        self.value_schema = value_schema
        self.value = value
        self.timestamp = timestamp
        self.raw_headers = headers if headers is None or isinstance(headers, Headers) else Headers(headers)

    @property
    def headers(self) -> Headers:
        """The record's headers, to read and to add to."""
        if self.raw_headers is None:
            self.raw_headers = Headers()
        return self.raw_headers

    def new_record(
        self,
        topic: str,
        kafka_partition: int | None,
        key_schema: Schema | None,
        key: Any,
        value_schema: Schema | None,
        value: Any,
        timestamp: int | None,
        headers: Headers | Iterable[Header] | None = None,
    ) -> Self:
        """A record with these in place of its own; the headers are a copy of its own unless others are given."""
        record = self.copy()
        record.topic = topic
        record.kafka_partition = kafka_partition
        record.key_schema = key_schema
        record.key = key
        record.value_schema = value_schema
        record.value = value
        record.timestamp = timestamp
        if headers is not None:
            record.raw_headers = headers if isinstance(headers, Headers) else Headers(headers)
        return record

    def with_key(self, key_schema: Schema | None, key: Any) -> Self:
        """The record with another key."""
        record = self.copy()
        record.key_schema = key_schema
        record.key = key
        return record

    def with_value(self, value_schema: Schema | None, value: Any) -> Self:
        """The record with another value."""
        record = self.copy()
        record.value_schema = value_schema
        record.value = value
        return record

    def with_topic(self, topic: str) -> Self:
        """The record for another topic; its partition stays what it is."""
        record = self.copy()
        record.topic = topic
        return record

    def with_headers(self, headers: Headers | Iterable[Header]) -> Self:
        """The record with other headers."""
        record = self.copy()
        record.raw_headers = headers if isinstance(headers, Headers) else Headers(headers)
        return record

    def copy(self) -> Self:
        """The same record as another object, with headers of its own."""
        record = _new(self.__class__)
        record.topic = self.topic
        record.kafka_partition = self.kafka_partition
        record.key_schema = self.key_schema
        record.key = self.key
        record.value_schema = self.value_schema
        record.value = self.value
        record.timestamp = self.timestamp
        record.raw_headers = None if self.raw_headers is None else self.raw_headers.duplicate()
        return record

    def _facts(self) -> tuple[Any, ...]:
        return (
            self.topic,
            self.kafka_partition,
            self.key_schema,
            self.key,
            self.value_schema,
            self.value,
            self.timestamp,
            list(self.raw_headers or ()),
        )

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, ConnectRecord)
        return self._facts() == other._facts()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(topic={self.topic!r}, kafka_partition={self.kafka_partition}, key={self.key!r}, "
            f"value={self.value!r}, timestamp={self.timestamp}, headers={list(self.raw_headers or ())!r})"
        )


class SourceRecord(ConnectRecord):
    """A record from a source, with where in the source it was read.

    `source_partition` names the part of the source (a file, a database), `source_offset` the place in it; both are
    maps of plain JSON values, stored for the connector and handed back when it starts again.
    """

    __slots__ = ("source_offset", "source_partition")

    def __init__(
        self,
        source_partition: Mapping[str, Any] | None,
        source_offset: Mapping[str, Any] | None,
        topic: str,
        kafka_partition: int | None = None,
        key_schema: Schema | None = None,
        key: Any = None,
        value_schema: Schema | None = None,
        value: Any = None,
        timestamp: int | None = None,
        headers: Headers | Iterable[Header] | None = None,
    ) -> None:
        super().__init__(topic, kafka_partition, key_schema, key, value_schema, value, timestamp, headers)
        self.source_partition = source_partition
        self.source_offset = source_offset

    def copy(self) -> Self:
        # As the other one's, which is not called: every transform and every record comes by here.
        record = _new(self.__class__)
        record.topic = self.topic
        record.kafka_partition = self.kafka_partition
        record.key_schema = self.key_schema
        record.key = self.key
        record.value_schema = self.value_schema
        record.value = self.value
        record.timestamp = self.timestamp
        record.raw_headers = None if self.raw_headers is None else self.raw_headers.duplicate()
        record.source_partition = self.source_partition
        record.source_offset = self.source_offset
        return record

    def _facts(self) -> tuple[Any, ...]:
        return (*super()._facts(), self.source_partition, self.source_offset)


class SinkRecord(ConnectRecord):
    """A record for a sink, with where in Kafka it was read.

    `kafka_offset` and the three `original_` attributes say where it was read whatever transforms have done to topic
    and partition since; a task that commits offsets itself uses those (KIP-793). `timestamp_type` is one of
    `CREATE_TIME`, `LOG_APPEND_TIME`, `NO_TIMESTAMP_TYPE`.
    """

    __slots__ = (
        "kafka_offset",
        "original_kafka_offset",
        "original_kafka_partition",
        "original_topic",
        "timestamp_type",
    )

    def __init__(
        self,
        topic: str,
        kafka_partition: int,
        key_schema: Schema | None,
        key: Any,
        value_schema: Schema | None,
        value: Any,
        kafka_offset: int,
        timestamp: int | None = None,
        timestamp_type: str = NO_TIMESTAMP_TYPE,
        headers: Headers | Iterable[Header] | None = None,
    ) -> None:
        super().__init__(topic, kafka_partition, key_schema, key, value_schema, value, timestamp, headers)
        self.kafka_offset = kafka_offset
        self.timestamp_type = timestamp_type
        self.original_topic = topic
        self.original_kafka_partition = kafka_partition
        self.original_kafka_offset = kafka_offset

    def copy(self) -> Self:
        record = super().copy()
        record.kafka_offset = self.kafka_offset
        record.timestamp_type = self.timestamp_type
        record.original_topic = self.original_topic
        record.original_kafka_partition = self.original_kafka_partition
        record.original_kafka_offset = self.original_kafka_offset
        return record

    def _facts(self) -> tuple[Any, ...]:
        return (
            *super()._facts(),
            self.kafka_offset,
            self.timestamp_type,
            self.original_topic,
            self.original_kafka_partition,
            self.original_kafka_offset,
        )
