"""The way of a record between a connector and bytes: transforms with their predicates, and converters.

Every step is called through the task's `Tolerance`, which knows what a failure means; a step that succeeds costs one
call more than itself. Steps in a row that only change the values of structs are done at once, by what was worked out
for the schema: the record is copied once, and between the steps no struct is made. Where all that they do can be said
of columns (`transforms.layout`), there are no steps left: what comes of them is picked out of what went in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moldau.connect.data import Schema, SchemaAndValue, Struct
from moldau.connect.plugin import Converter, HeaderConverter
from moldau.connect.plugins import java_name
from moldau.connect.ready import DirectConverters
from moldau.connect.records import Headers, SinkRecord, SourceRecord
from moldau.connect.runtime.tolerance import Stage, Tolerance
from moldau.connect.transforms.base import Change, Changed, Plans
from moldau.connect.transforms.layout import Layout, NotOfColumnsError
from moldau.connect.transforms.picking import AtOnce, at_once


class Step:
    """A transform, perhaps only for records that a predicate is true of, or (negated) is not."""

    __slots__ = ("_apply", "_negate", "_predicate", "_transformation", "class_name")

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

    @property
    def changed_values(self) -> Callable[[Schema], Changed | None] | None:
        """What the step does to the values of structs of a schema, when that is all that it does.

        Not asked of somebody's class, which may extend one of ours and do otherwise.
        """
        if self._predicate is not None or not type(self._transformation).__module__.startswith("moldau."):
            return None
        return getattr(self._transformation, "changed_values", None)

    def close(self) -> None:
        """Let go of what the transform and the predicate hold."""
        self._transformation.close()
        if self._predicate is not None:
            self._predicate.close()


class Worked(NamedTuple):
    """What steps in a row do to structs of a schema: the quick way, if there is one, and their changes."""

    quick: AtOnce | None
    schema: Schema
    changes: list[Change]


class Run:
    """Steps in a row. `at_once` does them all for a record whose value is a struct."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self._known: Plans[Worked | None] = Plans(self._work_out)
        self._schema: Schema | None = None
        self._worked: Worked | None = None
        self._quick: AtOnce | None = None

    def _work_out(self, schema: Schema) -> Worked | None:
        made: list[Changed] = []
        for step in self.steps:
            assert step.changed_values is not None
            try:
                changed = step.changed_values(made[-1].schema if made else schema)
            except Exception:  # noqa: BLE001 - it is about the schema: each record meets it again, in its step
                return None
            if changed is None:
                return None
            made.append(changed)
        return Worked(_laid_out(schema, made), made[-1].schema, [each.change for each in made])

    def at_once(self, record: Any) -> Any:
        """The record that comes of it; None if the steps have to be done one by one. Raises what they raise."""
        value = record.value
        if value.__class__ is not Struct or value.schema is not record.value_schema:
            return None
        if value.schema is not self._schema:
            self._turn_to(value.schema)
        if self._quick is not None:
            made = self._quick(record)
            if made is not None:
                return made
        return None if self._worked is None else self._change(record, *self._worked[1:])

    def _turn_to(self, schema: Schema) -> None:
        worked = self._worked = self._known.of(schema)
        self._quick = None if worked is None else worked.quick
        self._schema = schema

    @staticmethod
    def _change(record: Any, schema: Schema, changes: Sequence[Change]) -> Any:
        made, values = record.copy(), record.value.values.copy()
        for change in changes:
            values = change(values, made)
        made.value_schema, made.value = schema, Struct.of(schema, values)
        return made


def _laid_out(schema: Schema, made: Sequence[Changed]) -> AtOnce | None:
    layout = Layout(schema)
    try:
        for each in made:
            if each.lay_out is None:
                return None
            each.lay_out(layout)
    except NotOfColumnsError:
        return None
    return at_once(layout)


class Transforms:
    """All steps of a connector, in their order."""

    def __init__(self, steps: Sequence[Step], tolerance: Tolerance) -> None:
        self._steps = list(steps)
        self._tolerance = tolerance
        self._runs: list[tuple[Run | None, Sequence[Step]]] = []
        for simple, some in itertools.groupby(self._steps, lambda step: step.changed_values is not None):
            row = list(some)
            self._runs.append((Run(row) if simple and len(row) > 1 else None, row))

    def apply(self, record: Any, original: Any) -> Any:
        """The record that comes of it, None when a step leaves it out.

        Raises:
            Skipped, ConnectError: as `Tolerance.call`.
        """
        for run, steps in self._runs:
            if run is not None:
                try:
                    made = run.at_once(record)
                except Exception:  # noqa: BLE001 - what fails is done once more below, under the rules for errors
                    made = None
                if made is not None:
                    record = made
                    continue
            call = self._tolerance.call
            for step in steps:
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
        self._from_key = converters.key.from_connect_data
        self._from_value = converters.value.from_connect_data

    def convert(self, record: SourceRecord, original: SourceRecord) -> Outgoing:
        """Raises Skipped, ConnectError: as `Tolerance.call`."""
        topic = record.topic
        headers: list[tuple[str, str | bytes | None]] = []
        if record.raw_headers:
            call, name = self._call, self._names[2]
            headers = call(self._headers, record, original=original, stage=Stage.HEADER_CONVERTER, class_name=name)
        try:
            # Nearly always this goes well. Where it does not, it is done once more under the rules for errors.
            key = self._from_key(topic, record.key_schema, record.key)
            value = self._from_value(topic, record.value_schema, record.value)
        except Exception:  # noqa: BLE001 - `_tolerated` meets it again
            key, value = self._tolerated(record, original)
        return Outgoing(topic, record.kafka_partition, key, value, headers, record.timestamp)

    def _tolerated(self, record: SourceRecord, original: SourceRecord) -> tuple[bytes | None, bytes | None]:
        call, names = self._call, self._names
        key = call(
            self._from_key,
            record.topic,
            record.key_schema,
            record.key,
            original=original,
            stage=Stage.KEY_CONVERTER,
            class_name=names[0],
        )
        value = call(
            self._from_value,
            record.topic,
            record.value_schema,
            record.value,
            original=original,
            stage=Stage.VALUE_CONVERTER,
            class_name=names[1],
        )
        return key, value

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
