"""Debezium's ExtractNewRecordState: the row that a change has made, in the place of the change.

A delete has no row; `delete.tombstone.handling.mode` says what comes of it and of the tombstone behind it:

| mode | the delete | the tombstone |
| --- | --- | --- |
| `tombstone` (the default) | a record whose value is null | left out |
| `drop` | left out | left out |
| `rewrite` | the row as it was, with `__deleted` = "true" | left out |
| `rewrite-with-tombstone` | the same | kept |
| `delete-to-tombstone` | a tombstone | left out |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import ValidString
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.data import Type as DataType
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import ConnectRecord, Headers
from moldau.connect.transforms.base import REPLACE_NULL, KafkaTransformation, copy_basics, require_struct, values_of

MODES: Final = ("drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone")
PURPOSE: Final = "source field insertion"
TRANSACTION: Final = ("id", "data_collection_order", "total_order")
OF_THE_CHANGE: Final = ("op", "ts_ms", "ts_us", "ts_ns")


def is_envelope(record: ConnectRecord) -> bool:
    """Whether the value is a change of Debezium's, and not a heartbeat or a change of a schema."""
    schema = record.value_schema
    return schema is not None and schema.name is not None and schema.name.endswith(".Envelope")


class Reference(NamedTuple):
    """A field of the change that is added: `struct` is where it stands, None for the change itself."""

    struct: str | None
    field: str
    name: str

    def schema_in(self, change: Schema) -> Schema | None:
        """The schema that it is added with: optional, whatever it was."""
        parent = change if self.struct is None else change.by_name[self.struct].schema
        field = parent.by_name.get(self.field) or change.by_name.get(self.field)
        if field is None:
            return None
        source = field.schema
        builder = (
            SchemaBuilder.array(source.value_schema)
            if source.type is DataType.ARRAY and source.value_schema is not None
            else SchemaBuilder(source.type)
        )
        if source.type is DataType.STRUCT:
            for inner in source.fields:
                builder.field(inner.name, inner.schema)
        return copy_basics(source, builder).optional().build()

    def value_in(self, change: Struct) -> Any:
        parent = change if self.struct is None else change.get_without_default(self.struct)
        if parent is None:
            return None
        return (change if self.field in change else parent).get_without_default(self.field)


def references_of(prefix: str, text: str) -> list[Reference]:
    """The fields of `add.fields` and `add.headers`: `op`, `table`, `source.lsn`, `source.lsn:position`."""
    found = []
    for each in text.split(",") if text else []:
        path, _, alias = each.strip().partition(":")
        steps = path.split(".")
        if ":" in alias or len(steps) > 2 or not all(steps):
            raise ConfigError(
                f"{each.strip()!r} is no field of a change, such as op, source.lsn or source.lsn:position"
            )
        struct, field = (steps[0], steps[1]) if len(steps) == 2 else (_struct_of(steps[0]), steps[0])
        name = alias or (f"{struct}_{field}" if len(steps) == 2 else field)
        found.append(Reference(struct, field, prefix + name))
    return found


def _struct_of(field: str) -> str | None:
    if field in TRANSACTION:
        return "transaction"
    return None if field in OF_THE_CHANGE else "source"


class ExtractNewRecordState(KafkaTransformation):
    """See the module. Records that are no changes pass as they are."""

    CONFIG = (
        ConfigDef()
        .define(
            "delete.tombstone.handling.mode",
            Type.STRING,
            "tombstone",
            ValidString(*MODES),
            doc="What comes of a delete and its tombstone.",
        )
        .define("add.fields", Type.STRING, "", doc="Fields of the change to add to the row.")
        .define("add.fields.prefix", Type.STRING, "__", doc="What stands before their names.")
        .define("add.headers", Type.STRING, "", doc="Fields of the change to add as headers.")
        .define("add.headers.prefix", Type.STRING, "__", doc="What stands before their names.")
        .define("route.by.field", Type.STRING, "", doc="The column that names the topic.")
        .define("drop.fields.header.name", Type.STRING, None, doc="The header that lists fields to leave out.")
        .define("drop.fields.from.key", Type.BOOLEAN, False, doc="Whether they are left out of the key as well.")
        .define(
            "drop.fields.keep.schema.compatible",
            Type.BOOLEAN,
            True,
            importance=Importance.LOW,
            doc="Whether only optional fields are left out.",
        )
        .define(REPLACE_NULL, Type.BOOLEAN, True, doc="Whether null becomes the default when `__deleted` is added.")
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._mode: str = settings["delete.tombstone.handling.mode"]
        self._rewrites = self._mode.startswith("rewrite")
        self._fields = references_of(settings["add.fields.prefix"], settings["add.fields"])
        self._headers = references_of(settings["add.headers.prefix"], settings["add.headers"])
        self._route_by: str = settings["route.by.field"]
        self._drop_header: str = (settings["drop.fields.header.name"] or "").strip()
        self._drops_from_key: bool = settings["drop.fields.from.key"]
        self._keeps_compatible: bool = settings["drop.fields.keep.schema.compatible"]
        self._replace_null: bool = settings[REPLACE_NULL]
        self._schemas: dict[tuple[Schema, Schema], Schema] = {}

    def apply(self, record: ConnectRecord) -> ConnectRecord | None:
        if record.value is None:
            record = self._with_headers(record, None)
            return record if self._mode == "rewrite-with-tombstone" else None
        if not is_envelope(record):
            return record
        change = require_struct(record.value, PURPOSE)
        record = self._with_headers(record, change)
        after, before = change.get("after"), change.get("before") if "before" in change else None
        if after is not None:
            return self._row(record, change, require_struct(after, PURPOSE), deleted="false")
        return None if before is None else self._deleted(record, change, require_struct(before, PURPOSE))

    def _deleted(self, record: ConnectRecord, change: Struct, before: Struct) -> ConnectRecord | None:
        if self._mode == "drop":
            return None
        if self._rewrites:
            return self._row(record, change, before, deleted="true")
        schema = change.schema.by_name["after"].schema if self._mode == "tombstone" else None
        return self._routed(record.with_value(schema, None), before)

    def _row(self, record: ConnectRecord, change: Struct, row: Struct, *, deleted: str) -> ConnectRecord:
        values = values_of(row, replace_null=self._rewrites and self._replace_null)
        if self._rewrites:
            values.append(deleted)
        for reference in self._fields:
            if reference.schema_in(change.schema) is not None:
                values.append(reference.value_in(change))
        schema = self._schema(row.schema, change.schema)
        made = self._routed(record.with_value(schema, Struct.of(schema, values)), row)
        return self._dropped(made) if self._drop_header else made

    def _schema(self, row: Schema, change: Schema) -> Schema:
        known = self._schemas.get((row, change))
        if known is None:
            builder = copy_basics(row, SchemaBuilder.struct())
            for field in row.fields:
                builder.field(field.name, field.schema)
            if self._rewrites:
                builder.field("__deleted", Schema.OPTIONAL_STRING_SCHEMA)
            for reference in self._fields:
                schema = reference.schema_in(change)
                if schema is not None:
                    builder.field(reference.name, schema)
            known = self._schemas[row, change] = builder.build()
        return known

    def _routed(self, record: ConnectRecord, row: Struct) -> ConnectRecord:
        if not self._route_by:
            return record
        topic = row.get(self._route_by)
        if topic is not None and not isinstance(topic, str):
            raise DataError(f"the column {self._route_by!r} names no topic: {topic!r}")
        return record.with_topic(topic) if topic and topic.strip() else record

    def _with_headers(self, record: ConnectRecord, change: Struct | None) -> ConnectRecord:
        if not self._headers:
            return record
        headers: Headers = record.headers.duplicate()
        for reference in self._headers:
            if change is None:
                if reference.field == "op":
                    headers.add_string(reference.name, "d")
                continue
            schema = reference.schema_in(change.schema)
            if schema is not None:
                headers.add(reference.name, reference.value_in(change), schema)
        return record.with_headers(headers)

    def _dropped(self, record: ConnectRecord) -> ConnectRecord:
        header = next((each for each in record.headers if each.key == self._drop_header), None)
        names = header.value if header is not None and isinstance(header.value, list) else []
        if not names:
            return record
        if self._drops_from_key and isinstance(record.key, Struct):
            key = self._without(record.key, names)
            record = record.with_key(key.schema, key)
        value = self._without(require_struct(record.value, PURPOSE), names)
        return record.with_value(value.schema, value)

    def _without(self, struct: Struct, names: list[Any]) -> Struct:
        kept = [
            field
            for field in struct.schema.fields
            if field.name not in names or (self._keeps_compatible and not field.schema.optional)
        ]
        if len(kept) == len(struct.schema.fields):
            return struct
        builder = copy_basics(struct.schema, SchemaBuilder.struct())
        for field in kept:
            builder.field(field.name, field.schema)
        return Struct.of(builder.build(), [struct.values[field.index] for field in kept])
