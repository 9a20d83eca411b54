"""Debezium's outbox EventRouter: rows of an outbox table become events on topics of their own.

An insert into the table is an event; its columns say under which key, into which topic and with what payload. Deletes
and tombstones of the table are left out, an update is not expected. `table.fields.additional.placement` puts further
columns into headers, into an envelope around the payload, or makes them the partition.

What it does is recorded from Debezium's own class (`tests/golden/connect`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import CaseInsensitiveValidString, Rule
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.java_regex import JavaRegexValidator
from moldau.connect.records import ConnectRecord, Headers
from moldau.connect.transforms.base import KafkaTransformation, Plans, require_struct
from moldau.connect.transforms.debezium import is_envelope
from moldau.connect.transforms.expand_json import expanded
from moldau.connect.transforms.routing import RegexRouter

logger: Final = logging.getLogger(__name__)
MILLISECONDS_PER: Final = {
    "io.debezium.time.Timestamp": 1,
    "io.debezium.time.MicroTimestamp": 1000,
    "io.debezium.time.NanoTimestamp": 1_000_000,
}
PLACEMENTS: Final = ("envelope", "header", "partition")


class Placement(NamedTuple):
    """Where a further column goes."""

    field: str
    place: str
    alias: str


def placements_of(pairs: Sequence[str] | None) -> list[Placement]:
    """The pairs or triples of `table.fields.additional.placement`. Raises `ConfigError`."""
    found = []
    for pair in pairs or ():
        parts = [part.strip() for part in pair.split(":")]
        if len(parts) not in {2, 3}:
            raise ConfigError(
                f"A comma-separated list of valid String pairs or trios is expected but got: {', '.join(pairs or ())}"
            )
        if parts[1].lower() not in PLACEMENTS:
            raise ConfigError(f"{pair!r} places a field in {parts[1]!r}; places are {', '.join(PLACEMENTS)}")
        found.append(Placement(parts[0], parts[1].lower(), parts[-1] if len(parts) == 3 else parts[0]))
    return found


def _check_placements(_: str, pairs: Any) -> None:
    placements_of(pairs)


TABLE: Final = "Table"
ROUTER: Final = "Router"
CONFIG: Final = (
    ConfigDef()
    .define("table.field.event.id", Type.STRING, "id", doc="The column with the event's id.", group=TABLE)
    .define("table.field.event.key", Type.STRING, "aggregateid", doc="The column with the key.", group=TABLE)
    .define("table.field.event.type", Type.STRING, "type", doc="The column with the event's type.", group=TABLE)
    .define("table.field.event.payload", Type.STRING, "payload", doc="The column with the payload.", group=TABLE)
    .define(
        "table.field.event.timestamp",
        Type.STRING,
        None,
        doc="The column with the timestamp; without it the event has that of the change.",
        group=TABLE,
    )
    .define(
        "table.fields.additional.placement",
        Type.LIST,
        None,
        Rule(_check_placements, "column:header|envelope|partition[:alias], ..."),
        Importance.HIGH,
        "Further columns, as column:place or column:place:alias. Places: header, envelope, partition.",
        group=TABLE,
    )
    .define(
        "table.field.additional.missing",
        Type.STRING,
        "error",
        CaseInsensitiveValidString("error", "ignore"),
        doc="What to do when such a column is not there.",
        group=TABLE,
    )
    .define(
        "table.field.event.schema.version",
        Type.STRING,
        None,
        doc="The column with the version of the event's schema.",
        group=TABLE,
    )
    .define(
        "table.op.invalid.behavior",
        Type.STRING,
        "warn",
        CaseInsensitiveValidString("warn", "error", "fatal"),
        doc="What to do about an update of the table: log (`warn`, `error`) and leave it out, or fail (`fatal`).",
        group=TABLE,
    )
    .define(
        "table.expand.json.payload",
        Type.BOOLEAN,
        False,
        doc="Whether JSON in the payload becomes a struct.",
        group=TABLE,
    )
    .define(
        "table.json.payload.null.behavior",
        Type.STRING,
        "ignore",
        CaseInsensitiveValidString("ignore", "optional_bytes"),
        doc="What null in that JSON becomes: no field, or optional bytes.",
        group=TABLE,
    )
    .define(
        "route.by.field",
        Type.STRING,
        "aggregatetype",
        importance=Importance.HIGH,
        doc="The column that says where the event goes.",
        group=ROUTER,
    )
    .define(
        "route.topic.regex",
        Type.STRING,
        "(?<routedByValue>.*)",
        JavaRegexValidator(),
        Importance.LOW,
        "What is matched against it.",
        group=ROUTER,
    )
    .define(
        "route.topic.replacement",
        Type.STRING,
        "outbox.event.${routedByValue}",
        importance=Importance.HIGH,
        doc="The topic.",
        group=ROUTER,
    )
    .define(
        "route.tombstone.on.empty.payload",
        Type.BOOLEAN,
        False,
        importance=Importance.HIGH,
        doc="Whether an event without a payload becomes a tombstone.",
        group=ROUTER,
    )
)


class EventRouter(KafkaTransformation):
    """See the module. Changes of other tables and records that are no changes pass as they are."""

    CONFIG = CONFIG

    def take(self, settings: Mapping[str, Any]) -> None:
        self._id: str = settings["table.field.event.id"]
        self._key: str = settings["table.field.event.key"]
        self._payload: str = settings["table.field.event.payload"]
        self._timestamp: str | None = settings["table.field.event.timestamp"]
        self._version: str | None = settings["table.field.event.schema.version"]
        self._route_by: str = settings["route.by.field"]
        self._placements = placements_of(settings["table.fields.additional.placement"])
        self._ignores_missing: bool = settings["table.field.additional.missing"].lower() == "ignore"
        self._has_envelope = any(each.place == "envelope" for each in self._placements)
        self._on_update: str = settings["table.op.invalid.behavior"].lower()
        self._expands: bool = settings["table.expand.json.payload"]
        self._keeps_null: bool = settings["table.json.payload.null.behavior"].lower() == "optional_bytes"
        self._tombstones: bool = settings["route.tombstone.on.empty.payload"]
        self._router = RegexRouter()
        self._router.configure(
            {"regex": settings["route.topic.regex"], "replacement": settings["route.topic.replacement"]}
        )
        self._payload_envelopes: dict[tuple[Schema, int | None], Schema] = {}
        self._plans = Plans(self._plan)

    def _plan(self, schema: Schema) -> Schema:
        """The schema of the row, checked for the columns that an event needs."""
        for what, name in (("payload", self._payload), ("event-id", self._id)):
            if name not in schema.by_name:
                raise DataError(f"Unable to find {what} field {name} in event; it has: {', '.join(schema.by_name)}")
        return schema

    def apply(self, record: ConnectRecord) -> ConnectRecord | None:
        if record.value is None:
            return None
        if not is_envelope(record):
            return record
        change = require_struct(record.value, "Detect Debezium Operation")
        operation = change.get("op")
        if operation == "d":
            return None
        if operation == "u":
            self._refuse_update(record)
            return None
        row = require_struct(change.get("after"), "Read Outbox Event")
        return self._router.apply(self._event(record, change, row))

    def _refuse_update(self, record: ConnectRecord) -> None:
        if self._on_update == "fatal":
            raise DataError(f"an update of the outbox table, whose rows are never to change (key {record.key!r})")
        level = logging.WARNING if self._on_update == "warn" else logging.ERROR
        logger.log(level, "an update of the outbox table is left out; its rows are never to change")

    def _event(self, record: ConnectRecord, change: Struct, row: Struct) -> ConnectRecord:
        schema = self._plans.of(row.schema)
        payload_schema, payload = schema.by_name[self._payload].schema, row.get(self._payload)
        headers = record.headers.duplicate()
        headers.add("id", row.get(self._id), schema.by_name[self._id].schema)
        if self._expands and isinstance(payload, str):
            payload_schema, payload = self._expanded(payload_schema, payload)
        value_schema: Schema | None = payload_schema
        value: Any = payload
        if self._has_envelope:
            value_schema = self._envelope(payload_schema, row)
            value = Struct(value_schema, payload=payload)
        partition = self._place(row, headers, value if self._has_envelope else None)
        if self._tombstones and (payload is None or not str(payload).strip()):
            value_schema, value = None, None
        key_field = schema.by_name.get(self._key)
        return record.new_record(
            row.get(self._route_by),
            partition,
            Schema.STRING_SCHEMA if key_field is None else key_field.schema,
            row.get(self._key),
            value_schema,
            value,
            self._moment(change, row),
            headers,
        )

    def _expanded(self, schema: Schema, payload: str) -> tuple[Schema, Any]:
        try:
            return expanded(self._payload, payload, keeps_null=self._keeps_null)
        except DataError as error:
            logger.warning("the payload stays text: %s", error)
            return schema, payload

    def _place(self, row: Struct, headers: Headers, envelope: Struct | None) -> int | None:
        partition = None
        for field, place, alias in self._placements:
            if field not in row.schema.by_name:
                if self._ignores_missing:
                    continue
                raise DataError(f"Unable to find field {field} in event; it has: {', '.join(row.schema.by_name)}")
            value = row.get(field)
            if place == "header":
                headers.add(alias, value, row.schema.by_name[field].schema)
            elif place == "partition":
                partition = value
            elif envelope is not None:
                envelope.put(alias, value)
        return partition

    def _envelope(self, payload: Schema, row: Struct) -> Schema:
        version = None if self._version is None else row.get(self._version)
        known = self._payload_envelopes.get((payload, version))
        if known is not None:
            return known
        package, dot, name = (row.schema.name or "").rpartition(".")
        routed = row.get(self._route_by)
        builder = SchemaBuilder.struct().name(f"{package}{dot}{routed}.{name}" if name else routed).version(version)
        builder.field("payload", payload)
        for field, place, alias in self._placements:
            if place == "envelope" and field in row.schema.by_name:
                builder.field(alias, row.schema.by_name[field].schema)
        self._payload_envelopes[payload, version] = builder.build()
        return self._payload_envelopes[payload, version]

    def _moment(self, change: Struct, row: Struct) -> int | None:
        if self._timestamp is None:
            return _milliseconds(change)
        field = row.schema.by_name.get(self._timestamp)
        if field is None:
            raise DataError(f"Unable to find timestamp field {self._timestamp} in event")
        value = row.values[field.index]
        if value is None:
            return _milliseconds(change)
        per = MILLISECONDS_PER.get(field.schema.name or "")
        if per is None:
            known = ", ".join(MILLISECONDS_PER)
            raise DataError(f"the column {self._timestamp} is {field.schema}, no timestamp: that is one of {known}")
        return int(abs(value) // per * (-1 if value < 0 else 1))


def _milliseconds(change: Struct) -> int | None:
    found = change.get("ts_ms")
    return None if found is None else int(found)
