"""The `source` block of an event, and the schemas beside the tables': transactions, messages, heartbeats.

`source.version` names the Debezium whose event format this is, as its consumers expect to read there.
"""

from __future__ import annotations

from typing import Final

from moldau.connect.connectors.postgres.semantic import SNAPSHOT_MARKS
from moldau.connect.data import Schema, SchemaBuilder

DEBEZIUM_VERSION: Final = "3.6.1.Final"
CONNECTOR: Final = "postgresql"


def constants(prefix: str, database: str) -> dict[str, str]:
    """What the source block of all events of a connector says."""
    return {"version": DEBEZIUM_VERSION, "connector": CONNECTOR, "name": prefix, "db": database}


_SNAPSHOT_MARK: Final = (
    SchemaBuilder.string()
    .name("io.debezium.data.Enum")
    .version(1)
    .parameter("allowed", SNAPSHOT_MARKS)
    .optional()
    .default_value("false")
    .build()
)
SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.postgresql.Source")
    .version(1)
    .field("version", Schema.STRING_SCHEMA)
    .field("connector", Schema.STRING_SCHEMA)
    .field("name", Schema.STRING_SCHEMA)
    .field("ts_ms", Schema.INT64_SCHEMA)
    .field("snapshot", _SNAPSHOT_MARK)
    .field("db", Schema.STRING_SCHEMA)
    .field("sequence", Schema.OPTIONAL_STRING_SCHEMA)
    .field("ts_us", Schema.OPTIONAL_INT64_SCHEMA)
    .field("ts_ns", Schema.OPTIONAL_INT64_SCHEMA)
    .field("schema", Schema.STRING_SCHEMA)
    .field("table", Schema.STRING_SCHEMA)
    .field("txId", Schema.OPTIONAL_INT64_SCHEMA)
    .field("lsn", Schema.OPTIONAL_INT64_SCHEMA)
    .field("xmin", Schema.OPTIONAL_INT64_SCHEMA)
    .field("origin", Schema.OPTIONAL_STRING_SCHEMA)
    .field("origin_lsn", Schema.OPTIONAL_INT64_SCHEMA)
    .build()
)
TRANSACTION_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("event.block")
    .version(1)
    .field("id", Schema.STRING_SCHEMA)
    .field("total_order", Schema.INT64_SCHEMA)
    .field("data_collection_order", Schema.INT64_SCHEMA)
    .optional()
    .build()
)
COLLECTION_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("event.collection")
    .version(1)
    .field("data_collection", Schema.STRING_SCHEMA)
    .field("event_count", Schema.INT64_SCHEMA)
    .optional()
    .build()
)
TRANSACTION_KEY_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.common.TransactionMetadataKey")
    .version(1)
    .field("id", Schema.STRING_SCHEMA)
    .build()
)
TRANSACTION_VALUE_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.common.TransactionMetadataValue")
    .version(1)
    .field("status", Schema.STRING_SCHEMA)
    .field("id", Schema.STRING_SCHEMA)
    .field("event_count", Schema.OPTIONAL_INT64_SCHEMA)
    .field("data_collections", SchemaBuilder.array(COLLECTION_SCHEMA).optional().build())
    .field("ts_ms", Schema.INT64_SCHEMA)
    .build()
)
MESSAGE_KEY_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.postgresql.MessageKey")
    .version(1)
    .field("prefix", Schema.OPTIONAL_STRING_SCHEMA)
    .build()
)
MESSAGE_BLOCK_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.postgresql.Message")
    .version(1)
    .field("prefix", Schema.OPTIONAL_STRING_SCHEMA)
    .field("content", Schema.OPTIONAL_BYTES_SCHEMA)
    .build()
)
MESSAGE_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.postgresql.MessageValue")
    .version(1)
    .field("op", Schema.STRING_SCHEMA)
    .field("ts_ms", Schema.OPTIONAL_INT64_SCHEMA)
    .field("source", SCHEMA)
    .field("transaction", TRANSACTION_SCHEMA)
    .field("message", MESSAGE_BLOCK_SCHEMA)
    .build()
)
NOTIFICATION_KEY_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.common.NotificationKey")
    .version(1)
    .field("id", Schema.STRING_SCHEMA)
    .build()
)
NOTIFICATION_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.common.Notification")
    .version(1)
    .field("id", Schema.STRING_SCHEMA)
    .field("type", Schema.STRING_SCHEMA)
    .field("aggregate_type", Schema.STRING_SCHEMA)
    .field("additional_data", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.STRING_SCHEMA).optional().build())
    .field("timestamp", Schema.INT64_SCHEMA)
    .build()
)
HEARTBEAT_KEY_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.common.ServerNameKey")
    .version(1)
    .field("serverName", Schema.STRING_SCHEMA)
    .build()
)
HEARTBEAT_SCHEMA: Final = (
    SchemaBuilder.struct()
    .name("io.debezium.connector.common.Heartbeat")
    .version(1)
    .field("ts_ms", Schema.INT64_SCHEMA)
    .build()
)
