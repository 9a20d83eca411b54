"""EventRouter: each row inserted into an outbox table becomes an event of its own, on the topic of its aggregate.

The record's key, value, headers, partition and timestamp come from columns of the row. Deletes and tombstones of the
table are left out; what is no change of a row (a heartbeat) passes as it is.

Where this differs from Debezium, on purpose: a placement that does not exist is refused with the settings, and not
with the first event; a JSON payload that cannot become a struct keeps its schema as well as its text; a value with
an envelope has a schema of its own for each aggregate type and version (Debezium names it after the first it meets);
OpenTelemetry's spans are not passed on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from moldau.connect.config_def import BLANKS, ConfigDef, Importance, invalid
from moldau.connect.config_def import Type as Kind
from moldau.connect.config_validators import Rule
from moldau.connect.data import Schema, SchemaBuilder, Struct, Type
from moldau.connect.data.java_text import java_text
from moldau.connect.errors import ConnectError, DataError
from moldau.connect.java_regex import JavaRegexError, JavaRegexValidator, Replacement, compile_java
from moldau.connect.records import ConnectRecord, Headers
from moldau.connect.transforms.debezium.base import (
    DebeziumTransformation,
    OneOf,
    is_envelope,
    part,
    row_of,
    typed,
    word,
)
from moldau.connect.transforms.debezium.json_payload import JsonPayload

_LOG = logging.getLogger(__name__)

PLACEMENTS: Final = ("header", "envelope", "partition")
MEMORY: Final = 10_000
# How many of a unit make a millisecond, by the name of the column's schema.
PER_MS: Final = {
    "io.debezium.time.Timestamp": 1,
    "io.debezium.time.MicroTimestamp": 1_000,
    "io.debezium.time.NanoTimestamp": 1_000_000,
}


class Placement(NamedTuple):
    """Where a column goes besides the payload."""

    column: str
    place: str
    alias: str


def _placement(text: str) -> Placement | None:
    column, *more = (each.strip() for each in text.split(":"))
    if len(more) not in (1, 2) or word(more[0]) not in PLACEMENTS:
        return None
    return Placement(column, word(more[0]), more[-1] if len(more) == 2 else column)


def _check_placements(name: str, value: Any) -> None:
    if all(_placement(each) is not None for each in value or ()):
        return
    rule = "A comma-separated list of valid String pairs or trios is expected"
    hint = f"hint: each is column:place or column:place:alias, with a place of {', '.join(PLACEMENTS)}"
    raise invalid(name, value, f"The '{name}' value is invalid: {rule} but got: {java_text(value)}\n{hint}")


def _settings() -> ConfigDef:
    definition = ConfigDef()

    def column(name: str, default: str | None, doc: str, importance: Importance = Importance.LOW) -> None:
        definition.define(name, Kind.STRING, default, importance=importance, doc=doc, group="Table")

    column("table.field.event.id", "id", "The column with the event's id, which becomes the header `id`.")
    column("table.field.event.key", "aggregateid", "The column with the record's key.")
    column("table.field.event.type", "type", "The column with the event's type; place it with the setting below.")
    column("table.field.event.payload", "payload", "The column with the record's value.")
    column(
        "table.field.event.timestamp",
        None,
        "The column with the record's timestamp (Debezium's Timestamp, MicroTimestamp or NanoTimestamp); without one, "
        "or for null, it is the time at which the change was read.",
        Importance.MEDIUM,
    )
    definition.define(
        "table.fields.additional.placement",
        Kind.LIST,
        None,
        Rule(_check_placements, "column:place or column:place:alias"),
        Importance.HIGH,
        "Further columns, each as column:place or column:place:alias with the place header, envelope (the value "
        "becomes a struct of the payload and these columns) or partition (a column of INT32).",
        group="Table",
    )
    definition.define(
        "table.field.additional.missing",
        Kind.STRING,
        "error",
        OneOf("error", "ignore"),
        Importance.MEDIUM,
        "What to do when the table has no such further column.",
        group="Table",
    )
    column(
        "table.field.event.schema.version",
        None,
        "The column (INT32) with the version of the schema of a value with an envelope.",
    )
    definition.define(
        "table.op.invalid.behavior",
        Kind.STRING,
        "warn",
        OneOf("warn", "error", "fatal"),
        Importance.MEDIUM,
        "What to do when a row of the table is updated: log a warning or an error and leave it out, or fail.",
        group="Table",
    )
    definition.define(
        "table.expand.json.payload",
        Kind.BOOLEAN,
        False,
        importance=Importance.MEDIUM,
        doc="Whether a payload of text with a JSON object becomes a struct, whose schema is guessed from the object.",
        group="Table",
    )
    definition.define(
        "table.json.payload.null.behavior",
        Kind.STRING,
        "ignore",
        OneOf("ignore", "optional_bytes"),
        Importance.MEDIUM,
        "What becomes of a null in such JSON: it is left out, or is null of optional bytes.",
        group="Table",
    )
    return _routes(definition)


def _routes(definition: ConfigDef) -> ConfigDef:
    return (
        definition.define(
            "route.by.field",
            Kind.STRING,
            "aggregatetype",
            importance=Importance.HIGH,
            doc="The column whose value says the topic.",
            group="Router",
        )
        .define(
            "route.topic.regex",
            Kind.STRING,
            "(?<routedByValue>.*)",
            JavaRegexValidator(),
            Importance.LOW,
            "What that value has to match, as a whole (java.util.regex); a value that does not is the topic itself.",
            group="Router",
        )
        .define(
            "route.topic.replacement",
            Kind.STRING,
            "outbox.event.${routedByValue}",
            importance=Importance.HIGH,
            doc="The topic; ${name} and $1 are groups of the expression.",
            group="Router",
        )
        .define(
            "route.tombstone.on.empty.payload",
            Kind.BOOLEAN,
            False,
            importance=Importance.HIGH,
            doc="Whether a payload that is null or blank makes a tombstone.",
            group="Router",
        )
    )


class EventRouter(DebeziumTransformation):
    """Makes events of the rows of an outbox table."""

    CONFIG = _settings()

    def take(self, settings: Mapping[str, Any]) -> None:
        self._id: str = settings["table.field.event.id"]
        self._key: str = settings["table.field.event.key"]
        self._payload: str = settings["table.field.event.payload"]
        self._timestamp: str | None = settings["table.field.event.timestamp"]
        self._version: str | None = settings["table.field.event.schema.version"]
        self._route_by: str = settings["route.by.field"]
        self._on_update = word(settings["table.op.invalid.behavior"])
        self._tombstones: bool = settings["route.tombstone.on.empty.payload"]
        placed = settings["table.fields.additional.placement"] or ()
        self._placements = [each for each in map(_placement, placed) if each is not None]
        self._in_envelope = [each for each in self._placements if each.place == "envelope"]
        self._ignores_missing = word(settings["table.field.additional.missing"]) == "ignore"
        self._json = (
            JsonPayload(keep_nulls=word(settings["table.json.payload.null.behavior"]) == "optional_bytes")
            if settings["table.expand.json.payload"]
            else None
        )
        self._pattern = compile_java(settings["route.topic.regex"])
        try:
            self._replacement = Replacement(self._pattern, settings["route.topic.replacement"])
        except JavaRegexError as error:
            raise invalid("route.topic.replacement", settings["route.topic.replacement"], str(error)) from error
        self._topics: dict[str, str] = {}
        self._schemas: dict[tuple[Schema, Schema, str, int | None], Schema] = {}

    def apply(self, record: ConnectRecord) -> ConnectRecord | None:
        value = record.value
        if value is None:
            return None
        if not is_envelope(record.value_schema):
            return record
        change = row_of(value, "Detect Debezium Operation")
        operation = change.get("op")
        if operation == "d":
            return None
        if operation == "u":
            self._updated(record)
            return None
        return self._event(record, change, row_of(change.get("after"), "Read Outbox Event"))

    def _updated(self, record: ConnectRecord) -> None:
        message = f"a row of an outbox table was updated, and rows are only inserted there: key {record.key}"
        if self._on_update == "fatal":
            raise ConnectError(f"{message}\nhint: table.op.invalid.behavior=warn leaves such changes out")
        _LOG.log(logging.ERROR if self._on_update == "error" else logging.WARNING, "%s; it is left out", message)

    def _event(self, record: ConnectRecord, change: Struct, row: Struct) -> ConnectRecord:
        columns = row.schema
        payload_schema = part(columns, self._payload, "column of the payload").schema
        payload = row.get(self._payload)
        headers = record.headers.duplicate()
        headers.add("id", row.get(self._id), part(columns, self._id, "column of the id").schema)
        if self._json is not None and payload is not None:
            payload_schema, payload = self._expanded(payload_schema, payload)
        route = typed(row, self._route_by, Type.STRING, "column to route by")
        if route is None:
            raise DataError(f"the column to route by {self._route_by!r} is null, so there is no topic: {record.key}")
        partition = self._place(row, headers)
        key = part(columns, self._key, "column of the key")
        if self._tombstones and (payload is None or (isinstance(payload, str) and not payload.strip(BLANKS))):
            value_schema, value = None, None
        elif self._in_envelope:
            value_schema, value = self._enveloped(row, payload_schema, payload, route)
        else:
            value_schema, value = payload_schema, payload
        return record.new_record(
            self._topic(route),
            partition,
            key.schema,
            row.get(self._key),
            value_schema,
            value,
            self._time(change, row),
            headers,
        )

    def _expanded(self, schema: Schema, payload: Any) -> tuple[Schema, Any]:
        assert self._json is not None
        if not isinstance(payload, str):
            _LOG.warning("a payload is not expanded: it is no text but %s", type(payload).__name__)
            return schema, payload
        try:
            return self._json.expand(self._payload, payload)
        except DataError as error:
            _LOG.warning("a payload is not expanded: %s", error)
            return schema, payload

    def _place(self, row: Struct, headers: Headers) -> int | None:
        """Put columns into headers; the partition, if a column says it."""
        partition = None
        for column, place, alias in self._placements:
            if place == "envelope" or (self._ignores_missing and column not in row):
                continue
            if place == "header":
                headers.add(alias, row.get(column), part(row.schema, column, "column for a header").schema)
            else:
                partition = typed(row, column, Type.INT32, "column of the partition")
        return partition

    def _enveloped(self, row: Struct, payload_schema: Schema, payload: Any, route: str) -> tuple[Schema, Struct]:
        version = None
        if self._version is not None:
            version = typed(row, self._version, Type.INT32, "column of the schema's version")
        asked = (row.schema, payload_schema, route, version)
        schema = self._schemas.get(asked)
        if schema is None:
            schema = self._envelope_schema(*asked)
            if len(self._schemas) >= MEMORY:
                self._schemas.clear()
            self._schemas[asked] = schema
        columns = (each.column for each in self._in_envelope if each.column in row)
        return schema, Struct.of(schema, [payload, *map(row.get, columns)])

    def _envelope_schema(self, columns: Schema, payload_schema: Schema, route: str, version: int | None) -> Schema:
        before, dot, last = (columns.name or "").rpartition(".")
        builder = SchemaBuilder.struct().name(f"{before}{dot}{route}.{last}" if columns.name else route)
        builder.field("payload", payload_schema)
        for column, _, alias in self._in_envelope:
            if column not in columns.by_name and self._ignores_missing:
                continue
            builder.field(alias, part(columns, column, "column for the envelope").schema)
        return builder.version(version).build()

    def _topic(self, route: str) -> str:
        topic = self._topics.get(route)
        if topic is None:
            topic = self._replacement.first(route) if self._pattern.fullmatch(route) else route
            if len(self._topics) < MEMORY:
                self._topics[route] = topic
        return topic

    def _time(self, change: Struct, row: Struct) -> int | None:
        """Milliseconds."""
        if self._timestamp is not None:
            time = typed(row, self._timestamp, Type.INT64, "column of the timestamp")
            if time is not None:
                name = part(row.schema, self._timestamp, "column of the timestamp").schema.name
                units = PER_MS.get(name or "")
                if units is None:
                    raise ConnectError(
                        f"the column of the timestamp {self._timestamp!r} is {name or 'INT64 without a name'}, "
                        f"and has to be one of {', '.join(PER_MS)}"
                    )
                # Towards zero, as Java divides.
                return int(time) // units if time >= 0 else -(-int(time) // units)
        found: int | None = change.get("ts_ms")
        return found
