"""Names of topics, schemas and fields, as Debezium makes them (`SchemaTopicNamingStrategy`, `SchemaNameAdjuster`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from moldau.connect.connectors.postgres.catalog import TableId

Adjust: TypeAlias = Callable[[str], str]

_TOPIC_INVALID: Final = re.compile(r"[^A-Za-z0-9._-]")
_AVRO_INVALID: Final = re.compile(r"[^A-Za-z0-9_]")


def _avro(name: str, replace: Callable[[str], str]) -> str:
    adjusted = _AVRO_INVALID.sub(lambda match: replace(match[0]), name)
    return f"_{adjusted}" if adjusted[:1].isdigit() else adjusted


def _unicode(character: str) -> str:
    return f"_u{ord(character):04x}"


_PART: Final[dict[str, Adjust]] = {
    "none": lambda name: name,
    "avro": lambda name: _avro(name, lambda _: "_"),
    # The underscore itself is escaped here, so that two names never become one.
    "avro_unicode": lambda name: _avro(name.replace("_", "_u005f"), _unicode),
}


def adjuster(mode: str) -> Adjust:
    """`schema.name.adjustment.mode` for a name with dots between its parts."""
    part = _PART[mode]
    return lambda name: ".".join(part(piece) for piece in name.split("."))


def field_adjuster(mode: str) -> Adjust:
    """`field.name.adjustment.mode` for the name of one field."""
    return _PART[mode]


@dataclass(frozen=True)
class Topics:
    """Where events go."""

    prefix: str
    delimiter: str = "."
    heartbeat_prefix: str = "__debezium-heartbeat"
    transaction: str = "transaction"

    def of_table(self, table: TableId) -> str:
        name = self.delimiter.join((self.prefix, table.schema, table.name))
        return _TOPIC_INVALID.sub("_", name)

    @property
    def heartbeat(self) -> str:
        return _TOPIC_INVALID.sub("_", self.delimiter.join((self.heartbeat_prefix, self.prefix)))

    @property
    def transactions(self) -> str:
        return _TOPIC_INVALID.sub("_", self.delimiter.join((self.prefix, self.transaction)))

    @property
    def messages(self) -> str:
        """Of `pg_logical_emit_message`; its dot does not follow `topic.delimiter`."""
        return f"{self.prefix}.message"
