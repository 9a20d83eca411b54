"""The way of a record between a connector and bytes: transforms with their predicates, and converters.

Every step is called through the task's `Tolerance`, which knows what a failure means; a step that succeeds costs one
call more than itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moldau.connect.data import SchemaAndValue
from moldau.connect.plugin import Converter, HeaderConverter
from moldau.connect.plugins import java_name
from moldau.connect.ready import DirectConverters
from moldau.connect.records import Headers, SinkRecord, SourceRecord
from moldau.connect.runtime.tolerance import Stage, Tolerance


class Step:
    """A transform, perhaps only for records that a predicate is true of, or (negated) is not."""

    __slots__ = ("_apply", "_negate", "_predicate", "_transformation", "_version", "class_name")

    def __init__(self, transformation: Any, predicate: Any = None, *, negate: bool = False) -> None:
        self._transformation = transformation
        self._apply = transformation.apply
        self._predicate = predicate
        self._negate = negate
        self.class_name = java_name(type(transformation))

    def __call__(self, record: Any) -> Any:
        """The record that comes of it, None for nothing."""
        if self._predicate is not None and self._predicate.test(record) is self._negate:
            return record
        return self._apply(record)

    def close(self) -> None:
        """Let go of what the transform and the predicate hold."""
        self._transformation.close()
        if self._predicate is not None:
            self._predicate.close()


class Transforms:
    """All steps of a connector, in their order."""

    def __init__(self, steps: Sequence[Step], tolerance: Tolerance) -> None:
        self._steps = list(steps)
        self._tolerance = tolerance

    def apply(self, record: Any, original: Any) -> Any:
        """The record that comes of it, None when a step leaves it out.

        Raises:
            Skipped, ConnectError: as `Tolerance.call`.
        """
        call = self._tolerance.call
        for step in self._steps:
            record = call(step, record, original=original, stage=Stage.TRANSFORMATION, class_name=step.class_name)
            if record is None:
                return None
        return record

    def __len__(self) -> int:
        return len(self._steps)

    def close(self) -> None:
        """Close the steps."""
        for step in self._steps:
            step.close()


@dataclass(slots=True)
class Converters:
    """Of keys, values and headers."""

    key: Converter
    value: Converter
    header: HeaderConverter

    def close(self) -> None:
        """Let go of what they hold."""
        for each in (self.key, self.value, self.header):
            close = getattr(each, "close", None)
            if close is not None:
                close()


def direct_converters(converters: Converters, transforms: Transforms, tolerance: Tolerance) -> DirectConverters | None:
    """What a source may write with itself: nothing when a step or a report of a failure needs the records."""
    if transforms or tolerance.tolerate_all or tolerance.reporters:
        return None
    return DirectConverters.of(converters.key, converters.value, converters.header)


@dataclass(slots=True)
class Outgoing:
    """What goes to the cluster."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]]
    timestamp: int | None


class ToBytes:
    """Source records as they go to the cluster."""

    def __init__(self, converters: Converters, tolerance: Tolerance) -> None:
        self._converters = converters
        self._call = tolerance.call
        self._names = _names(converters)

    def convert(self, record: SourceRecord, original: SourceRecord) -> Outgoing:
        """Raises Skipped, ConnectError: as `Tolerance.call`."""
        converters, call, names = self._converters, self._call, self._names
        headers: list[tuple[str, str | bytes | None]] = []
        if record.raw_headers:
            headers = call(self._headers, record, original=original, stage=Stage.HEADER_CONVERTER, class_name=names[2])
        key = call(
            converters.key.from_connect_data,
            record.topic,
            record.key_schema,
            record.key,
            original=original,
            stage=Stage.KEY_CONVERTER,
            class_name=names[0],
        )
        value = call(
            converters.value.from_connect_data,
            record.topic,
            record.value_schema,
            record.value,
            original=original,
            stage=Stage.VALUE_CONVERTER,
            class_name=names[1],
        )
        return Outgoing(record.topic, record.kafka_partition, key, value, headers, record.timestamp)

    def _headers(self, record: SourceRecord) -> list[tuple[str, str | bytes | None]]:
        convert = self._converters.header.from_connect_header
        return [(each.key, convert(record.topic, each.key, each.schema, each.value)) for each in record.headers]


class FromBytes:
    """Consumed messages as sink records."""

    def __init__(self, converters: Converters, tolerance: Tolerance) -> None:
        self._converters = converters
        self._call = tolerance.call
        self._names = _names(converters)
        self._to_key = converters.key.to_connect_data
        self._to_value = converters.value.to_connect_data

    def convert(self, message: Any) -> SinkRecord:
        """Raises Skipped, ConnectError: as `Tolerance.call`."""
        topic, given = message.topic(), message.headers()
        try:
            # Nearly always this goes well. Where it does not, it is done once more under the rules for errors.
            read_key = self._to_key(topic, message.key(), given)
            read_value = self._to_value(topic, message.value(), given)
        except Exception:  # noqa: BLE001 - `_tolerated` meets it again
            read_key, read_value = self._tolerated(message)
        headers = None
        if given:
            call, name = self._call, self._names[2]
            headers = call(self._headers, message, original=message, stage=Stage.HEADER_CONVERTER, class_name=name)
        kind, timestamp = message.timestamp()
        return SinkRecord(
            topic,
            message.partition(),
            read_key.schema,
            read_key.value,
            read_value.schema,
            read_value.value,
            message.offset(),
            timestamp if kind else None,
            TIMESTAMP_TYPES[kind],
            headers,
        )

    def _tolerated(self, message: Any) -> tuple[SchemaAndValue, SchemaAndValue]:
        converters, call, names = self._converters, self._call, self._names
        topic = message.topic()
        given = message.headers()
        key = call(
            converters.key.to_connect_data,
            topic,
            message.key(),
            given,
            original=message,
            stage=Stage.KEY_CONVERTER,
            class_name=names[0],
        )
        value = call(
            converters.value.to_connect_data,
            topic,
            message.value(),
            given,
            original=message,
            stage=Stage.VALUE_CONVERTER,
            class_name=names[1],
        )
        return key, value

    def _headers(self, message: Any) -> Headers:
        headers = Headers()
        convert, topic = self._converters.header.to_connect_header, message.topic()
        for name, content in message.headers():
            found = convert(topic, name, content)
            headers.add(name, found.value, found.schema)
        return headers


def _names(converters: Converters) -> tuple[str, str, str]:
    return (
        java_name(type(converters.key)),
        java_name(type(converters.value)),
        java_name(type(converters.header)),
    )


TIMESTAMP_TYPES = ("NoTimestampType", "CreateTime", "LogAppendTime")
