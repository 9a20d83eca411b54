"""Names of topics, as Debezium makes them (`SchemaTopicNamingStrategy`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from moldau.connect.connectors.postgres.catalog import TableId

_TOPIC_INVALID: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Topics:
    """Where events go."""

    prefix: str
    delimiter: str = "."
    heartbeat_prefix: str = "__debezium-heartbeat"
    transaction: str = "transaction"
    heartbeat_name: str | None = None
    """Said whole: connectors may share one."""

    def of_table(self, table: TableId) -> str:
        name = self.delimiter.join((self.prefix, table.schema, table.name))
        return _TOPIC_INVALID.sub("_", name)

    @property
    def heartbeat(self) -> str:
        if self.heartbeat_name is not None:
            return self.heartbeat_name
        return _TOPIC_INVALID.sub("_", self.delimiter.join((self.heartbeat_prefix, self.prefix)))

    @property
    def transactions(self) -> str:
        return _TOPIC_INVALID.sub("_", self.delimiter.join((self.prefix, self.transaction)))

    @property
    def messages(self) -> str:
        """Of `pg_logical_emit_message`; its dot does not follow `topic.delimiter`."""
        return f"{self.prefix}.message"
