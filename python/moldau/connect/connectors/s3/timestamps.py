"""Where the time of a record comes from: `timestamp.extractor` is `Wallclock`, `Record`, `RecordField` or a class.

Reference: `TimeBasedPartitioner` of kafka-connect-storage-common. A class of your own subclasses `TimestampExtractor`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

from moldau.connect.connectors.s3.iso import parse_instant_ms
from moldau.connect.data import Schema, Struct, Timestamp, Type
from moldau.connect.errors import DataError
from moldau.connect.records import ConnectRecord

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class PartitionError(DataError):
    """A record that no path can be made for."""


class TimestampExtractor:
    """Says when a record happened. Subclass it, override `extract`, name the class in `timestamp.extractor`."""

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take the settings of the connector; called once."""

    def extract(self, record: ConnectRecord, now_ms: int) -> int | None:
        """Return ms since 1970-01-01 UTC, None when the record has no time. Raises `PartitionError` for a bad one."""
        raise NotImplementedError


class WallclockTimestampExtractor(TimestampExtractor):
    """The time at which the task looks at the record: another one after a restart, so names are not repeatable."""

    def extract(self, record: ConnectRecord, now_ms: int) -> int | None:
        return now_ms


class RecordTimestampExtractor(TimestampExtractor):
    """The timestamp that Kafka keeps beside the record."""

    def extract(self, record: ConnectRecord, now_ms: int) -> int | None:
        return record.timestamp


class RecordFieldTimestampExtractor(TimestampExtractor):
    """A field of the value, `a.b.c` inside of others: a Timestamp, a number of ms, or an ISO 8601 text."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._field = ""
        self._schema: Schema | None = None
        self._indexes: list[int] = []
        self._read: Callable[[Any], int] = int

    def configure(self, settings: Mapping[str, Any]) -> None:
        self._field = settings.get("timestamp.field") or "timestamp"
        self._names = self._field.split(".")

    def extract(self, record: ConnectRecord, now_ms: int) -> int | None:
        value = record.value
        if isinstance(value, Struct):
            if value.schema is not self._schema:
                self._look_up(value.schema)
            for index in self._indexes:
                value = None if value is None else value.values[index]
            if value is None:
                raise self._missing()
            return self._read(value)
        if isinstance(value, Mapping):
            for name in self._names:
                value = value.get(name) if isinstance(value, Mapping) else None
            return self._read_plain(value)
        raise PartitionError(f"timestamp.extractor=RecordField needs records with fields, not {type(value).__name__}")

    def _look_up(self, schema: Schema) -> None:
        """Find the field in a schema once; records that follow with the same schema only follow the indexes."""
        inner, indexes = schema, []
        for name in self._names:
            field = inner.field(name) if inner.type is Type.STRUCT else None
            if field is None:
                raise self._missing(schema)
            indexes.append(field.index)
            inner = field.schema
        if inner.name == Timestamp.LOGICAL_NAME:
            self._read = Timestamp.from_logical
        elif inner.type in {Type.INT32, Type.INT64}:
            self._read = _whole_ms
        elif inner.type is Type.STRING:
            self._read = self._read_text
        else:
            raise PartitionError(
                f"timestamp.field={self._field} is {inner.name or inner.type.value}: a time is read from a Timestamp, "
                "int32 or int64 of ms, or a string"
            )
        self._schema, self._indexes = schema, indexes

    def _read_plain(self, value: Any) -> int:
        if isinstance(value, str):
            return self._read_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
        if isinstance(value, dt.datetime):
            return Timestamp.from_logical(value)
        if value is None:
            raise self._missing()
        raise PartitionError(f"timestamp.field={self._field} is {type(value).__name__}: give ms or a text of ISO 8601")

    def _read_text(self, text: str) -> int:
        if _WHOLE_NUMBER.fullmatch(text):
            return int(text)
        try:
            return parse_instant_ms(text)
        except ValueError as error:
            raise PartitionError(f"timestamp.field={self._field}: {error}") from error

    def _missing(self, schema: Schema | None = None) -> PartitionError:
        known = "" if schema is None else f"\nhint: fields are {', '.join(schema.by_name) or 'none'}"
        return PartitionError(f"timestamp.field={self._field}: the record has no such field, or it is null{known}")


def _whole_ms(value: Any) -> int:
    # Logical types on int32 (Date, Time) are no instants.
    if not isinstance(value, int):
        raise PartitionError(f"{value!r} is no time in ms: give a Timestamp, int64 of ms or a text")
    return value
