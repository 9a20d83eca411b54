"""ByLogicalTableRouter, and ToLogicalTopicRouter as Debezium calls it now: tables of the same shape share a topic.

Since keys of several tables may be equal, a field with the table is added to the key, unless the settings say that
they never are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from moldau.connect.config_def import ConfigDef, Importance, invalid
from moldau.connect.config_def import Type as Kind
from moldau.connect.config_validators import NonEmptyString
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.java_regex import JavaRegexError, JavaRegexValidator, Replacement, compile_java
from moldau.connect.name_adjustment import adjuster
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.debezium.base import ENVELOPE, DebeziumTransformation, OneOf, is_envelope, row_of, word

_LOG = logging.getLogger(__name__)
NAMES_MAX: Final = 10_000
ROWS: Final = ("before", "after")


def _settings(key_field: str, cache: str) -> ConfigDef:
    definition = ConfigDef()

    def define(name: str, kind: Kind, doc: str, default: Any = None, validator: Any = None) -> None:
        definition.define(name, kind, default, validator, Importance.LOW, doc)

    for name, doc in (
        ("topic.regex", "What the name of a topic has to match, as a whole (java.util.regex)."),
        ("topic.replacement", "The topic instead; ${name} and $1 are groups of the expression."),
    ):
        validator = JavaRegexValidator() if name == "topic.regex" else NonEmptyString()
        definition.define(name, Kind.STRING, validator=validator, importance=Importance.LOW, doc=doc)
    define("key.enforce.uniqueness", Kind.BOOLEAN, "Whether the key gets a field with the table.", True)
    define("key.field.regex", Kind.STRING, "What to take for the table from the topic (java.util.regex).", "")
    define("key.field.replacement", Kind.STRING, "What to put in that field, if the expression matches.", "")
    define("key.field.name", Kind.STRING, "The name of that field.", key_field)
    define(
        "schema.name.adjustment.mode",
        Kind.STRING,
        "How names of schemas are made to fit Avro.",
        "none",
        OneOf("none", "avro", "avro_unicode"),
    )
    define(cache, Kind.INT, "How many schemas Debezium remembers; here it has no effect.", 16)
    return definition


class ToLogicalTopicRouter(DebeziumTransformation):
    """Renames topics, with the schemas of their records."""

    CONFIG = _settings("__dbz__sourceIdentifier", "logical.destination.cache.size")

    def take(self, settings: Mapping[str, Any]) -> None:
        self._topic = _Rewriting(settings, "topic")
        table = settings["key.field.regex"]
        if table and not settings["key.field.replacement"]:
            name = "key.field.replacement"
            raise invalid(name, None, f"{name} must be non-empty if key.field.regex is set.")
        self._table = _Rewriting(settings, "key.field") if table else None
        self._unique: bool = settings["key.enforce.uniqueness"]
        self._key_field: str = settings["key.field.name"]
        self._adjust = adjuster(word(settings["schema.name.adjustment.mode"]))
        self._key_schemas: dict[tuple[Schema, str], Schema] = {}
        self._envelopes: dict[tuple[Schema, str], Schema] = {}

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        topic = self._topic.of(record.topic)
        if topic is None:
            return record
        if not topic:
            _LOG.warning("the topic %s would get an empty name; it stays what it is", record.topic)
            return record
        key_schema, key = self._key(record, topic) if record.key is not None else (None, None)
        value_schema, value = record.value_schema, record.value
        if value is not None and value_schema is not None and is_envelope(value_schema):
            value_schema, value = self._envelope(value_schema, row_of(value, "Updating schema"), topic)
        return record.new_record(topic, record.kafka_partition, key_schema, key, value_schema, value, record.timestamp)

    def _key(self, record: ConnectRecord, topic: str) -> tuple[Schema, Struct]:
        key = row_of(record.key, "Updating schema")
        asked = (key.schema, topic)
        schema = self._key_schemas.get(asked)
        if schema is None:
            more = {self._key_field: Schema.STRING_SCHEMA} if self._unique else {}
            schema = _renamed(key.schema, self._adjust(f"{topic}.Key"), more=more)
            _remember(self._key_schemas, asked, schema)
        values = list(key.values)
        if self._unique:
            table = None if self._table is None else self._table.of(record.topic)
            values.append(record.topic if table is None else table)
        return schema, Struct.of(schema, values)

    def _envelope(self, schema: Schema, envelope: Struct, topic: str) -> tuple[Schema, Struct]:
        asked = (schema, topic)
        known = self._envelopes.get(asked)
        if known is None:
            known = self._envelope_schema(schema, topic)
            _remember(self._envelopes, asked, known)
        values = list(envelope.values)
        for name in ROWS:
            field = known.by_name.get(name)
            if field is not None and values[field.index] is not None:
                row = row_of(values[field.index], "Updating schema")
                values[field.index] = Struct.of(field.schema, row.values)
        return known, Struct.of(known, values)

    def _envelope_schema(self, schema: Schema, topic: str) -> Schema:
        rows = [schema.by_name[name].schema for name in ROWS if name in schema.by_name]
        changed: dict[str, Schema] = {}
        if rows:
            row = _renamed(rows[0], self._adjust(f"{topic}.Value"))
            changed = {name: row for name in ROWS if name in schema.by_name}
        return _renamed(schema, self._adjust(f"{topic}{ENVELOPE}"), changed=changed)


class ByLogicalTableRouter(ToLogicalTopicRouter):
    """The same under its older name, with the older name of the field in the key."""

    CONFIG = _settings("__dbz__physicalTableIdentifier", "logical.table.cache.size")


class _Rewriting:
    """An expression and what takes the place of its match, from `<prefix>.regex` and `<prefix>.replacement`."""

    def __init__(self, settings: Mapping[str, Any], prefix: str) -> None:
        name = f"{prefix}.replacement"
        try:
            self._pattern = compile_java(settings[f"{prefix}.regex"])
        except JavaRegexError as error:
            raise invalid(f"{prefix}.regex", settings[f"{prefix}.regex"], str(error)) from error
        try:
            self._replacement = Replacement(self._pattern, settings[name])
        except JavaRegexError as error:
            raise invalid(name, settings[name], str(error)) from error
        self._known: dict[str, str | None] = {}

    def of(self, topic: str) -> str | None:
        """What becomes of a topic; None when it does not match."""
        if topic not in self._known:
            if len(self._known) >= NAMES_MAX:
                self._known.clear()
            matches = self._pattern.fullmatch(topic) is not None
            self._known[topic] = self._replacement.first(topic) if matches else None
        return self._known[topic]


def _renamed(
    source: Schema, name: str, *, changed: Mapping[str, Schema] | None = None, more: Mapping[str, Schema] | None = None
) -> Schema:
    """A struct's schema under another name, with some fields of another schema, and with more fields."""
    builder = SchemaBuilder.struct().name(name).version(source.version).doc(source.doc).parameters(source.parameters)
    if source.optional:
        builder.optional()
    for field in source.fields:
        builder.field(field.name, (changed or {}).get(field.name, field.schema))
    for added, schema in (more or {}).items():
        builder.field(added, schema)
    return builder.build()


def _remember(known: dict[tuple[Schema, str], Schema], asked: tuple[Schema, str], schema: Schema) -> None:
    if len(known) >= NAMES_MAX:
        known.clear()
    known[asked] = schema
