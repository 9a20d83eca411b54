"""The settings of the sink, in Confluent's names and in Debezium's, read into one form.

What cannot be done is refused with a reason; what only says how Java is to do it is accepted and does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.config_def import NO_DEFAULT, ConfigDef, ConfigValue, Importance, Type, invalid
from moldau.connect.config_validators import CaseInsensitiveValidString, Range
from moldau.connect.connectors.jdbc.address import libpq_parameters
from moldau.connect.errors import ConfigError

INSERT_MODES: Final = ("insert", "upsert", "update")
KEY_MODES: Final = ("none", "kafka", "record_key", "record_value")
KAFKA_FIELDS: Final = ("__connect_topic", "__connect_partition", "__connect_offset")
HIGH, MEDIUM, LOW = Importance.HIGH, Importance.MEDIUM, Importance.LOW


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What the task needs to know. `parameters` are libpq's."""

    parameters: dict[str, str]
    insert_mode: str
    key_mode: str
    key_fields: tuple[str, ...]
    only_fields: frozenset[str]
    without_fields: frozenset[str]
    delete: bool
    truncate: bool
    create: bool
    evolve: bool
    table_format: str
    batch_size: int
    max_retries: int
    retry_backoff_ms: int
    envelopes: bool
    """Whether values are Debezium's change events, which are taken apart here."""
    null_is_default: bool = True


def _modes(*names: str) -> CaseInsensitiveValidString:
    return CaseInsensitiveValidString(*names)


CONFLUENT: Final = (
    ConfigDef()
    .define("connection.url", Type.STRING, NO_DEFAULT, None, HIGH, "jdbc:postgresql://host:port/database?...")
    .define("connection.user", Type.STRING, None, None, HIGH, "Who connects.")
    .define("connection.password", Type.PASSWORD, None, None, HIGH, "The password.")
    .define("insert.mode", Type.STRING, "insert", _modes(*INSERT_MODES), HIGH, "insert, upsert or update.")
    .define("pk.mode", Type.STRING, "none", _modes(*KEY_MODES), HIGH, "Where the primary key comes from.")
    .define("pk.fields", Type.LIST, "", None, MEDIUM, "The columns of the key; what they may be, pk.mode says.")
    .define("fields.whitelist", Type.LIST, "", None, MEDIUM, "The fields of the value that are written; empty: all.")
    .define("delete.enabled", Type.BOOLEAN, False, None, MEDIUM, "Whether a tombstone deletes; for record_key.")
    .define("auto.create", Type.BOOLEAN, False, None, MEDIUM, "Whether tables are created.")
    .define("auto.evolve", Type.BOOLEAN, False, None, MEDIUM, "Whether columns are added.")
    .define("table.name.format", Type.STRING, "${topic}", None, MEDIUM, "The table of a topic: [schema.]table.")
    .define("batch.size", Type.INT, 3000, Range(1), MEDIUM, "The rows of a statement, at most.")
    .define("max.retries", Type.INT, 10, Range(0), MEDIUM, "How often a failure that may pass is tried again.")
    .define("retry.backoff.ms", Type.INT, 3000, Range(0), MEDIUM, "The wait before that.")
    .define("replace.null.with.default", Type.BOOLEAN, True, None, LOW, "Whether null is the field's default.")
    .define(
        "dialect.name", Type.STRING, "", _modes("", "PostgreSqlDatabaseDialect"), LOW, "PostgreSQL is all there is."
    )
    .define("connection.attempts", Type.INT, 3, Range(1), LOW, "Does nothing: max.retries is for connections as well.")
    .define("connection.backoff.ms", Type.LONG, 10_000, Range(0), LOW, "Does nothing: see retry.backoff.ms.")
    .define("quote.sql.identifiers", Type.STRING, "always", _modes("always"), LOW, "Names are always quoted.")
    .define("db.timezone", Type.STRING, "UTC", _modes("UTC"), LOW, "Columns without a zone hold UTC.")
    .define("table.types", Type.LIST, "TABLE", None, LOW, "Does nothing: whatever takes rows is a table.")
)
DEBEZIUM: Final = (
    ConfigDef()
    .define("connection.url", Type.STRING, NO_DEFAULT, None, HIGH, "jdbc:postgresql://host:port/database?...")
    .define("connection.username", Type.STRING, None, None, HIGH, "Who connects.")
    .define("connection.password", Type.PASSWORD, None, None, HIGH, "The password.")
    .define("insert.mode", Type.STRING, "insert", _modes(*INSERT_MODES), HIGH, "insert, upsert or update.")
    .define("primary.key.mode", Type.STRING, "none", _modes(*KEY_MODES), HIGH, "Where the primary key comes from.")
    .define("primary.key.fields", Type.LIST, "", None, MEDIUM, "The columns of the key.")
    .define("field.include.list", Type.LIST, "", None, MEDIUM, "The fields of the value that are written; empty: all.")
    .define("field.exclude.list", Type.LIST, "", None, MEDIUM, "The fields of the value that are not written.")
    .define("delete.enabled", Type.BOOLEAN, False, None, MEDIUM, "Whether deletes and tombstones delete.")
    .define("truncate.enabled", Type.BOOLEAN, False, None, MEDIUM, "Whether a truncate empties the table.")
    .define(
        "schema.evolution", Type.STRING, "none", _modes("none", "basic"), MEDIUM, "basic: create tables, add columns."
    )
    .define("collection.name.format", Type.STRING, "${topic}", None, MEDIUM, "The table; dots of a topic become _.")
    .define("table.name.format", Type.STRING, None, None, LOW, "The older name of collection.name.format.")
    .define("batch.size", Type.INT, 500, Range(1), MEDIUM, "The rows of a statement, at most.")
    .define("flush.max.retries", Type.INT, 5, Range(0), MEDIUM, "How often a failure that may pass is tried again.")
    .define("flush.retry.delay.ms", Type.INT, 1000, Range(0), MEDIUM, "The wait before that.")
    .define("quote.identifiers", Type.BOOLEAN, True, None, LOW, "Does nothing: names are always quoted.")
    .define("use.time.zone", Type.STRING, "UTC", _modes("UTC"), LOW, "Columns without a zone hold UTC.")
    .define("use.reduction.buffer", Type.BOOLEAN, True, None, LOW, "Does nothing: a batch holds a row once.")
)


def confluent(props: Mapping[str, Any]) -> SinkSettings:
    """Confluent's settings. Raises `ConfigError`."""
    values = CONFLUENT.parse(props)
    return _checked(
        SinkSettings(
            _parameters(values, "connection.user"),
            values["insert.mode"].lower(),
            values["pk.mode"].lower(),
            tuple(values["pk.fields"]),
            frozenset(values["fields.whitelist"]),
            frozenset(),
            values["delete.enabled"],
            truncate=False,
            create=values["auto.create"],
            evolve=values["auto.evolve"],
            table_format=values["table.name.format"],
            batch_size=values["batch.size"],
            max_retries=values["max.retries"],
            retry_backoff_ms=values["retry.backoff.ms"],
            envelopes=False,
            null_is_default=values["replace.null.with.default"],
        ),
        "pk.mode",
        "pk.fields",
    )


def debezium(props: Mapping[str, Any]) -> SinkSettings:
    """Debezium's settings. Raises `ConfigError`."""
    values = DEBEZIUM.parse(props)
    evolves = values["schema.evolution"].lower() == "basic"
    return _checked(
        SinkSettings(
            _parameters(values, "connection.username"),
            values["insert.mode"].lower(),
            values["primary.key.mode"].lower(),
            tuple(values["primary.key.fields"]),
            frozenset(values["field.include.list"]),
            frozenset(values["field.exclude.list"]),
            values["delete.enabled"],
            truncate=values["truncate.enabled"],
            create=evolves,
            evolve=evolves,
            table_format=values["table.name.format"] or values["collection.name.format"],
            batch_size=values["batch.size"],
            max_retries=values["flush.max.retries"],
            retry_backoff_ms=values["flush.retry.delay.ms"],
            envelopes=True,
        ),
        "primary.key.mode",
        "primary.key.fields",
    )


def validated(config: ConfigDef, read: Any, props: Mapping[str, str]) -> list[ConfigValue]:
    """What is wrong with the settings, those included that do not go together."""
    found = config.validate_all(props)
    if not any(value.errors for value in found.values()):
        try:
            read(props)
        except ConfigError as error:
            name = error.name if error.name in found else "connection.url"
            found[name].errors.append(str(error))
    return list(found.values())


def _parameters(values: Mapping[str, Any], user: str) -> dict[str, str]:
    found = libpq_parameters(values["connection.url"])
    if values[user] is not None:
        found["user"] = values[user]
    if values["connection.password"] is not None:
        found["password"] = values["connection.password"].value
    return found


def _checked(settings: SinkSettings, mode: str, fields: str) -> SinkSettings:
    key = settings.key_mode
    if settings.delete and key != "record_key":
        raise invalid("delete.enabled", True, f"deletes need {mode}=record_key: a tombstone has nothing but its key")
    if settings.insert_mode != "insert" and key == "none":
        raise invalid(mode, key, f"insert.mode={settings.insert_mode} needs a primary key")
    if key == "kafka" and settings.key_fields and len(settings.key_fields) != len(KAFKA_FIELDS):
        names = ", ".join(KAFKA_FIELDS)
        raise invalid(
            fields, ",".join(settings.key_fields), f"kafka has topic, partition and offset: three, as {names}"
        )
    if "$" in settings.table_format.replace("${topic}", ""):
        raise invalid("table.name.format", settings.table_format, "${topic} is all that is replaced")
    return settings
