"""TimestampConverter and TimestampRouter: moments in one form or another, and topics named by them. All is in UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import ValidString
from moldau.connect.data import Date, Schema, SchemaBuilder, Struct, Time, Timestamp
from moldau.connect.data import Type as DataType
from moldau.connect.data.logical import DAY_MS, EPOCH
from moldau.connect.data.values import milliseconds_of
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.java_dates import SimpleDateFormat
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import (
    REPLACE_NULL,
    Changed,
    KafkaTransformation,
    OfKey,
    OfStructs,
    OfValue,
    Values,
    copy_basics,
    require_map,
    whole,
    with_replace_null,
)
from moldau.connect.transforms.layout import Converted, Layout

UNIX_PER_MS: Final = {
    "seconds": (1, 1000),
    "milliseconds": (1, 1),
    "microseconds": (1000, 1),
    "nanoseconds": (10**6, 1),
}
LONG_MAX: Final = (1 << 63) - 1
SCHEMAS: Final = {
    "string": (Schema.STRING_SCHEMA, Schema.OPTIONAL_STRING_SCHEMA),
    "unix": (Schema.INT64_SCHEMA, Schema.OPTIONAL_INT64_SCHEMA),
    "Date": (Date.SCHEMA, Date.builder().optional().build()),
    "Time": (Time.SCHEMA, Time.builder().optional().build()),
    "Timestamp": (Timestamp.SCHEMA, Timestamp.builder().optional().build()),
}
LOGICAL: Final = {Timestamp.LOGICAL_NAME: "Timestamp", Date.LOGICAL_NAME: "Date", Time.LOGICAL_NAME: "Time"}


def format_of(pattern: str) -> SimpleDateFormat:
    """The format. Raises `ConfigError` for a pattern that Java would refuse."""
    try:
        return SimpleDateFormat(pattern)
    except ValueError as error:
        raise ConfigError(f"{pattern!r} is no pattern of Java's SimpleDateFormat: {error}") from error


class TimestampConverter(OfStructs):
    """See the module."""

    PURPOSE = "converting timestamp formats"
    PASSES_NULL = False
    CONFIG = with_replace_null(
        ConfigDef()
        .define("field", Type.STRING, "", importance=Importance.HIGH, doc="The field; empty for the whole.")
        .define(
            "target.type",
            Type.STRING,
            validator=ValidString(*SCHEMAS),
            importance=Importance.HIGH,
            doc="What it becomes: string, unix, Date, Time or Timestamp.",
        )
        .define("format", Type.STRING, "", doc="The pattern (SimpleDateFormat) of text that is read or written.")
        .define(
            "unix.precision",
            Type.STRING,
            "milliseconds",
            ValidString("nanoseconds", "microseconds", "milliseconds", "seconds"),
            Importance.LOW,
            "What numbers count. What is finer than a millisecond is lost.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._field: str = settings["field"]
        self._target: str = settings["target.type"]
        self._times, self._per = UNIX_PER_MS[settings["unix.precision"]]
        self._replace_null: bool = settings[REPLACE_NULL]
        pattern = settings["format"].strip()
        if self._target == "string" and not pattern:
            raise ConfigError("TimestampConverter requires format option to be specified when using string timestamps")
        self._format = format_of(settings["format"]) if pattern else None
        self._write = self._writers()[self._target]

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        if not self._field:
            read = self._reader(_kind_of(schema))
            made = SCHEMAS[self._target][schema.optional]
            return made, None if value is None else self._write(read(value))
        if value is None:
            return self._changes.of(schema).schema, None
        return super().with_schema(schema, value, record)

    def at_once(self, schema: Schema) -> Changed | None:
        return super().at_once(schema) if self._field else None

    def changed(self, schema: Schema) -> Changed:
        builder = copy_basics(schema, SchemaBuilder.struct())
        for field in schema.fields:
            changes = field.name == self._field
            builder.field(field.name, SCHEMAS[self._target][field.schema.optional] if changes else field.schema)
        if schema.optional:
            builder.optional()
        converted = self._converter(schema)
        default = schema.default_value
        if default is not None:
            made = builder.build()
            builder.default_value(Struct.of(made, converted(default.values.copy(), None)))
        made = builder.build()
        found = schema.field(self._field)

        def lay_out(layout: Layout) -> None:
            columns = layout.columns.copy()
            if found is not None:
                columns[found.index] = Converted(columns[found.index], self._conversion(_kind_of(found.schema)))
            layout.become(made, columns)

        return Changed(made, converted, lay_out)

    def _conversion(self, kind: str) -> Callable[[Any], Any]:
        """What makes a value that is not null of one of a kind."""
        read, write = self._reader(kind), self._write
        if self._target == "unix" and self._times == self._per and kind in LOGICAL.values():
            # No date of Python's is as far away as what an INT64 does not hold.
            return read
        return lambda value: write(read(value))

    def _converter(self, schema: Schema) -> Callable[[Values, object], Values]:
        """What changes the field in values of a schema."""
        found = schema.field(self._field)
        read = None if found is None else self._reader(_kind_of(found.schema))
        place = None if found is None else found.index
        write, replace_null = self._write, self._replace_null

        def converted(values: Values, _record: object) -> Values:
            values = whole(schema, values, replace_null=replace_null)
            if place is not None and read is not None and values[place] is not None:
                values[place] = write(read(values[place]))
            return values

        return converted

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        if value is None or not self._field:
            return self._guessed(value)
        updated = dict(require_map(value, self.PURPOSE))
        updated[self._field] = self._guessed(updated.get(self._field))
        return updated

    def _guessed(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, str):
            return self._write(self._read_string(value))
        if isinstance(value, int) and not isinstance(value, bool):
            return self._write(self._read_unix(value))
        if isinstance(value, dt.date | dt.time):
            return self._write(milliseconds_of(value))
        raise DataError(f"{type(value).__name__} is no timestamp: {value!r:.80}")

    def _reader(self, kind: str) -> Callable[[Any], int]:
        readers = {"string": self._read_string, "unix": self._read_unix, "Timestamp": _read_timestamp}
        return readers.get(kind, _read_logical)

    def _read_string(self, value: Any) -> int:
        if not isinstance(value, str):
            raise DataError(f"a timestamp in text is expected, not {type(value).__name__}")
        if self._format is None:
            raise DataError("a timestamp in text needs a pattern\nhint: set the transform's `format`")
        return self._format.parse(value)

    def _read_unix(self, value: Any) -> int:
        if not isinstance(value, int):
            raise DataError(f"a timestamp as a number is expected, not {type(value).__name__}")
        whole = abs(value) // self._times * self._per
        return max(-LONG_MAX - 1, -whole) if value < 0 else min(LONG_MAX, whole)

    def _write_unix(self, milliseconds: int) -> int:
        if self._times == self._per and -LONG_MAX <= milliseconds <= LONG_MAX:
            return milliseconds
        whole = abs(milliseconds) * self._times // self._per
        return max(-LONG_MAX - 1, -whole) if milliseconds < 0 else min(LONG_MAX, whole)

    def _writers(self) -> dict[str, Callable[[int], Any]]:
        found: dict[str, Callable[[int], Any]] = {
            "unix": self._write_unix,
            "Date": lambda milliseconds: Date.to_logical(milliseconds // DAY_MS),
            "Time": lambda milliseconds: Time.to_logical(milliseconds % DAY_MS),
            "Timestamp": Timestamp.to_logical,
        }
        if self._format is not None:
            found["string"] = self._format.format
        return found


def _read_timestamp(value: Any) -> int:
    if value.__class__ is dt.datetime and value.tzinfo is not None:
        # As `Timestamp.from_logical`, without another call for each record.
        since = value - EPOCH
        return since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    return _read_logical(value)


def _read_logical(value: Any) -> int:
    if not isinstance(value, dt.date | dt.time):
        raise DataError(f"a date, time or timestamp is expected, not {type(value).__name__}")
    return milliseconds_of(value)


def _kind_of(schema: Schema) -> str:
    kind = LOGICAL.get(schema.name or "")
    if kind is not None:
        return kind
    if schema.type is DataType.STRING:
        return "string"
    if schema.type is DataType.INT64:
        return "unix"
    raise DataError(f"{schema} is no timestamp: that is a string, an INT64, a Date, a Time or a Timestamp")


class TimestampConverterKey(OfKey, TimestampConverter):
    """`TimestampConverter$Key`."""


class TimestampConverterValue(OfValue, TimestampConverter):
    """`TimestampConverter$Value`."""


class TimestampRouter(KafkaTransformation):
    """Names the topic by itself and the record's timestamp."""

    CONFIG = (
        ConfigDef()
        .define(
            "topic.format",
            Type.STRING,
            "${topic}-${timestamp}",
            importance=Importance.HIGH,
            doc="The new name, with ${topic} and ${timestamp} in it.",
        )
        .define(
            "timestamp.format",
            Type.STRING,
            "yyyyMMdd",
            importance=Importance.HIGH,
            doc="How ${timestamp} is written (SimpleDateFormat).",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._topic_format: str = settings["topic.format"]
        self._format = format_of(settings["timestamp.format"])

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        if record.timestamp is None:
            raise DataError(f"the record has no timestamp to name its topic by: {record!r:.200}")
        text = self._format.format(record.timestamp)
        return record.with_topic(self._topic_format.replace("${topic}", record.topic).replace("${timestamp}", text))
