"""The connector's settings, read into what the parts need. Names and defaults are those of `properties.py`."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from moldau.connect.connectors.postgres.blocks import Bounds
from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.channels import Channel, FileChannel, KafkaChannel
from moldau.connect.connectors.postgres.chunks import Division
from moldau.connect.connectors.postgres.columns import ColumnRules
from moldau.connect.connectors.postgres.connection import Server
from moldau.connect.connectors.postgres.copying import BlockSize
from moldau.connect.connectors.postgres.events import EventSettings
from moldau.connect.connectors.postgres.filters import Predicate, TableFilter, any_of, included, split_list
from moldau.connect.connectors.postgres.naming import Topics
from moldau.connect.connectors.postgres.properties import default_of
from moldau.connect.connectors.postgres.replication import RECEIVE_BYTES_MAX
from moldau.connect.connectors.postgres.table import Shape
from moldau.connect.connectors.postgres.types import Modes
from moldau.connect.errors import ConfigError
from moldau.connect.name_adjustment import adjuster, field_adjuster

_LOG = logging.getLogger(__name__)

_KEY_COLUMNS = re.compile(r"^\s*([^:]+):([^:,]+(?:,[^:,]+)*)\s*$")
# What of a snapshot may wait unless max.queue.size.in.bytes says it.
WAITING_BYTES: Final = 4 * RECEIVE_BYTES_MAX
# What libpq calls the settings under `database.`.
_LIBPQ = {
    "database.sslmode": "sslmode",
    "database.sslcert": "sslcert",
    "database.sslkey": "sslkey",
    "database.sslpassword": "sslpassword",
    "database.sslrootcert": "sslrootcert",
}


class Settings:
    """A view of the settings as they were given."""

    def __init__(self, props: Mapping[str, str]) -> None:
        self.props = {name: value for name, value in props.items() if value is not None}
        if "topic.prefix" not in self.props and "database.server.name" in self.props:
            # Debezium before 2.0 called it so, and guides still do.
            self.props["topic.prefix"] = self.props["database.server.name"]

    def text(self, name: str) -> str | None:
        value = self.props.get(name)
        if value is None or value == "":
            return default_of(name)
        return value.strip()

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise ConfigError(f"The '{name}' value is invalid: A value is required", name=name)
        return value

    def number(self, name: str) -> int:
        value = self.required(name)
        try:
            return int(value)
        except ValueError:
            raise ConfigError(f"The '{name}' value is invalid: An integer is expected", name=name) from None

    def flag(self, name: str) -> bool:
        return (self.text(name) or "false").lower() == "true"

    def choice(self, name: str) -> str:
        return self.required(name).lower()

    # What the parts take.

    @property
    def server(self) -> Server:
        parameters = {theirs: value for ours, theirs in _LIBPQ.items() if (value := self.text(ours)) is not None}
        if self.flag("database.tcpKeepAlive"):
            parameters["keepalives"] = "1"
        statements = self.text("database.initial.statements") or ""
        return Server(
            self.required("database.hostname"),
            self.number("database.port"),
            self.required("database.user"),
            self.props.get("database.password"),
            self.required("database.dbname"),
            {"connect_timeout": "30", **parameters},
            tuple(part.strip().replace(";;", ";") for part in re.split(r"(?<!;);(?!;)", statements) if part.strip()),
        )

    @property
    def prefix(self) -> str:
        return self.required("topic.prefix")

    @property
    def topics(self) -> Topics:
        return Topics(
            self.prefix,
            self.required("topic.delimiter"),
            self.text("topic.heartbeat.prefix") or self.required("heartbeat.topics.prefix"),
            self.required("topic.transaction"),
            self.text("topic.heartbeat.name"),
        )

    @property
    def modes(self) -> Modes:
        return Modes(
            self.choice("decimal.handling.mode"),
            self.choice("time.precision.mode"),
            self.choice("binary.handling.mode"),
            self.choice("interval.handling.mode"),
            self.choice("hstore.handling.mode"),
            self.number("money.fraction.digits"),
            self.flag("include.unknown.datatypes"),
            _placeholder(self.required("unavailable.value.placeholder")),
        )

    @property
    def key_columns(self) -> list[tuple[Predicate, tuple[str, ...]]]:
        found = []
        for part in (self.text("message.key.columns") or "").split(";"):
            if not part.strip():
                continue
            match = _KEY_COLUMNS.match(part)
            if match is None:
                raise ConfigError(
                    f"message.key.columns: {part!r} is not TABLE:COLUMN,COLUMN", name="message.key.columns"
                )
            names = tuple(name.strip() for name in match[2].split(","))
            found.append((any_of([match[1].strip()]), names))
        return found

    @property
    def shape(self) -> Shape:
        return Shape(
            self.modes,
            ColumnRules(self.props),
            self.topics,
            adjuster(self.choice("schema.name.adjustment.mode")),
            field_adjuster(self.choice("field.name.adjustment.mode")),
            self.key_columns,
            self.flag("include.schema.comments"),
        )

    @property
    def signal_tables(self) -> tuple[str, ...]:
        return tuple(split_list(self.text("signal.data.collection")))

    @property
    def signal_table_names(self) -> list[str]:
        """The same with their schemas; they may be named with the database in front, as in Debezium."""
        return [".".join(name.split(".")[-2:]) for name in self.signal_tables]

    @property
    def signal_table(self) -> TableId | None:
        """The table of signals, when its channel is enabled."""
        if not self.signal_tables or "source" not in self.signal_channels:
            return None
        schema, _, name = self.signal_tables[0].rpartition(".")
        # Debezium also takes the database's name in front.
        return TableId(schema.rpartition(".")[2] or "public", name)

    @property
    def signal_channels(self) -> list[str]:
        return split_list(self.text("signal.enabled.channels"))

    def open_channels(self) -> list[Channel]:
        """The channels of signals besides the table. Raises `ConfigError`."""
        found: list[Channel] = []
        try:
            for name in self.signal_channels:
                if name == "file":
                    found.append(FileChannel(Path(self.required("signal.file"))))
                elif name == "kafka":
                    found.append(self._kafka_channel())
                elif name != "source":
                    _LOG.warning("signal.enabled.channels: there is no %s; there are source, kafka and file", name)
        except BaseException:
            for channel in found:
                channel.close()
            raise
        return found

    def _kafka_channel(self) -> KafkaChannel:
        topic = self.text("signal.kafka.topic") or f"{self.prefix}-signal"
        client = {
            "bootstrap.servers": self.required("signal.kafka.bootstrap.servers"),
            "group.id": self.required("signal.kafka.groupId"),
        }
        prefix = "signal.consumer."
        own = {key.removeprefix(prefix): value for key, value in self.props.items() if key.startswith(prefix)}
        return KafkaChannel(topic, self.prefix, {**client, **own})

    @property
    def tables(self) -> TableFilter:
        return TableFilter(dict(self.props), self.signal_table_names)

    @property
    def snapshot_tables(self) -> Predicate:
        """`snapshot.include.collection.list`: of the captured tables, those whose rows are read."""
        return included(self.text("snapshot.include.collection.list"), None)

    @property
    def skipped(self) -> frozenset[str]:
        return frozenset(split_list(self.text("skipped.operations"))) - {"none"}

    @property
    def message_wanted(self) -> Predicate:
        return included(self.text("message.prefix.include.list"), self.text("message.prefix.exclude.list"))

    def event_settings(self, task_id: str) -> EventSettings:
        headers: tuple[tuple[str, str], ...] = ()
        if self.flag("extended.headers.enabled"):
            headers = (
                ("connectorLogicalName", self.prefix),
                ("taskId", task_id),
                ("connectorName", "postgresql"),
            )
        return EventSettings(
            self.prefix,
            self.required("database.dbname"),
            self.topics,
            self.flag("tombstones.on.delete"),
            self.skipped,
            headers,
            self.flag("skip.messages.without.change"),
        )

    @property
    def overrides(self) -> dict[TableId, str]:
        """`snapshot.select.statement.overrides`: SELECT statements in place of a table's own."""
        found = {}
        for name in split_list(self.text("snapshot.select.statement.overrides")):
            schema, _, table = name.partition(".")
            statement = self.text(f"snapshot.select.statement.overrides.{name}")
            if statement is None:
                said = f"snapshot.select.statement.overrides.{name}"
                raise ConfigError(f"{said} is missing: snapshot.select.statement.overrides names {name}", name=said)
            found[TableId(schema, table)] = statement
        return found

    @property
    def division(self) -> Division:
        """How tables are divided for a snapshot (`snapshot.max.threads` and what belongs to it)."""
        name = "snapshot.max.threads.multiplier"
        tables = [key.removeprefix(f"{name}.") for key in self.props if key.startswith(f"{name}.")]
        return Division(
            self.number("snapshot.max.threads"),
            self.number(name),
            {table: self.number(f"{name}.{table}") for table in tables},
            self.flag("legacy.snapshot.max.threads") or self.flag("internal.legacy.snapshot.max.threads"),
        )

    @property
    def block_size(self) -> BlockSize:
        """What a poll takes at most: `max.batch.size` rows and a part of `max.queue.size.in.bytes`."""
        return BlockSize(self.number("max.batch.size"), min(RECEIVE_BYTES_MAX, self._queue_bytes or RECEIVE_BYTES_MAX))

    @property
    def waiting(self) -> Bounds:
        """What of a snapshot may wait for polls."""
        return Bounds(self.number("max.queue.size"), self._queue_bytes or WAITING_BYTES)

    @property
    def _queue_bytes(self) -> int:
        return self.number("max.queue.size.in.bytes")

    @property
    def stream_parameters(self) -> dict[str, str]:
        told = (self.text("slot.stream.params") or "").split(";")
        return dict(part.split("=", 1) for part in told if "=" in part)

    @property
    def confirms(self) -> bool:
        """Whether the server is told what it may forget (`lsn.flush.mode`, formerly `flush.lsn.source`)."""
        mode = self.text("lsn.flush.mode")
        return mode != "manual" if mode is not None else self.flag("flush.lsn.source")


def _placeholder(said: str) -> str:
    """`hex:` in front of it says that it is bytes in hexadecimal."""
    return bytes.fromhex(said.removeprefix("hex:")).decode("latin-1") if said.startswith("hex:") else said


@dataclass(frozen=True)
class Identity:
    """Which tables get which replica identity (`replica.identity.autoset.values`)."""

    matches: Predicate
    clause: str


_IDENTITY = re.compile(r"^\s*([^\s:]+):(DEFAULT|INDEX (\w+)|FULL|NOTHING)\s*$", re.IGNORECASE)


def replica_identities(told: str | None) -> list[Identity]:
    found = []
    for part in split_list(told):
        match = _IDENTITY.match(part)
        if match is None:
            name = "replica.identity.autoset.values"
            raise ConfigError(f"{name}: {part!r} is not TABLE:DEFAULT|FULL|NOTHING|INDEX name", name=name)
        clause = f'USING INDEX "{match[3]}"' if match[3] else match[2].upper()
        found.append(Identity(any_of([match[1]]), clause))
    return found


def describe(offset: Mapping[str, Any]) -> str:
    return json.dumps(dict(offset), default=str)
