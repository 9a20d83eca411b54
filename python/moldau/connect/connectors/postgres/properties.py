"""Every setting of `io.debezium.connector.postgresql.PostgresConnector`: its type, default, rule and what it does here.

Names, types and defaults are those of Debezium 3.6. A text that starts with "No effect" says why there is nothing to
do: the setting is accepted, so that a configuration from elsewhere is taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TIMES = "adaptive adaptive_time_microseconds isostring microseconds nanoseconds connect"
_NO_JVM = "No effect: it names a Java class."


@dataclass(frozen=True, slots=True)
class Property:
    """`rule` is how the text is checked: see `validation.RULES`. `choices` are the words that it may be."""

    name: str
    type: str
    default: str | None
    importance: str
    rule: str
    doc: str
    choices: tuple[str, ...] = ()


def _p(name: str, kind: str, default: str | None, importance: str, rule: str, doc: str, choices: str = "") -> Property:
    return Property(name, kind, default, importance, rule, doc, tuple(choices.split()))


_CONNECTION = (
    _p("topic.prefix", "string", None, "high", "prefix", "First part of every topic's name, and the name in offsets."),
    _p("database.server.name", "string", None, "low", "", "What Debezium before 2.0 called topic.prefix."),
    _p("database.hostname", "string", None, "high", "required", "Host of the server."),
    _p("database.port", "int", "5432", "high", "int", "Port of the server."),
    _p("database.user", "string", None, "high", "required", "User with the REPLICATION attribute."),
    _p("database.password", "password", None, "high", "", "The user's password."),
    _p("database.dbname", "string", None, "high", "required", "The database whose changes are captured."),
    _p(
        "database.query.timeout.ms", "int", "600000", "low", "int0", "Longest time for a statement; 0 is without limit."
    ),
    _p("database.initial.statements", "string", None, "low", "", "SQL for every new session, divided by semicolons."),
    _p(
        "database.sslmode",
        "string",
        "prefer",
        "medium",
        "choice",
        "Encryption, in libpq's words.",
        "allow prefer disable verify-ca require verify-full",
    ),
    _p("database.sslcert", "string", None, "medium", "", "File with the client's certificate."),
    _p("database.sslkey", "string", None, "medium", "", "File with the client's key."),
    _p("database.sslpassword", "password", None, "medium", "", "Password of the client's key."),
    _p("database.sslrootcert", "string", None, "medium", "", "File with the certificates that sign the server's."),
    _p("database.sslfactory", "string", None, "medium", "", _NO_JVM + " Use database.sslmode."),
    _p(
        "database.connection.factory.class",
        "class",
        None,
        "low",
        "",
        _NO_JVM + " A token that expires goes into a file: database.password=${file:...}.",
    ),
    _p("database.tcpKeepAlive", "boolean", "true", "medium", "bool", "TCP keep-alive on connections."),
    _p(
        "connection.validation.timeout.ms",
        "long",
        "60000",
        "low",
        "long+",
        "How long a connector's settings may wait for an answer of the server when they are judged.",
    ),
)
_REPLICATION = (
    _p(
        "plugin.name",
        "string",
        "decoderbufs",
        "medium",
        "choice",
        "Logical decoding plugin. pgoutput is used in any case: it comes with every server since 10.",
        "decoderbufs pgoutput",
    ),
    _p("slot.name", "string", "debezium", "medium", "slot", "The replication slot; one for each connector."),
    _p("slot.drop.on.stop", "boolean", "false", "medium", "bool", "Drop the slot when the task stops. For tests only."),
    _p(
        "slot.failover",
        "boolean",
        "false",
        "medium",
        "bool",
        "Create the slot so that standbys keep it (17 and newer).",
    ),
    _p("slot.stream.params", "string", None, "low", "", "More parameters for pgoutput: `name=value;name=value`."),
    _p("slot.max.retries", "int", "6", "low", "int", "How often to try again for a slot that is in use."),
    _p("slot.retry.delay.ms", "long", "10000", "low", "long,int", "Time between two tries."),
    _p(
        "publication.name", "string", "dbz_publication", "medium", "", "The publication that the stream is filtered by."
    ),
    _p(
        "publication.autocreate.mode",
        "string",
        "all_tables",
        "medium",
        "choice",
        "Which publication is created when there is none.",
        "no_tables filtered disabled all_tables",
    ),
    _p(
        "publish.via.partition.root",
        "boolean",
        "false",
        "medium",
        "bool",
        "Rows of partitions under their root's name.",
    ),
    _p(
        "replica.identity.autoset.values",
        "string",
        None,
        "medium",
        "identity",
        "`TABLE:FULL|DEFAULT|NOTHING|INDEX name`.",
    ),
    _p("status.update.interval.ms", "int", "10000", "medium", "int+", "How often the server is told that we live."),
    _p(
        "lsn.flush.mode",
        "string",
        None,
        "low",
        "choice",
        "`manual` never confirms.",
        "connector_and_driver connector manual",
    ),
    _p("flush.lsn.source", "boolean", "true", "low", "bool", "Older form of lsn.flush.mode: false is `manual`."),
    _p(
        "lsn.flush.timeout.ms",
        "long",
        "30000",
        "medium",
        "long+",
        "No effect: a confirmation is one message, not waited for.",
    ),
    _p(
        "lsn.flush.timeout.action", "string", "fail", "medium", "choice", "As lsn.flush.timeout.ms.", "fail warn ignore"
    ),
    _p(
        "xmin.fetch.interval.ms",
        "long",
        "0",
        "medium",
        "long0",
        "How often `source.xmin` is read from the slot; 0 never.",
    ),
    _p(
        "offset.mismatch.strategy",
        "string",
        "no_validation",
        "low",
        "",
        "No effect: the later of offset and slot counts.",
    ),
)
_CAPTURE = (
    _p("schema.include.list", "list", None, "high", "regexes", "Schemas to capture."),
    _p("schema.exclude.list", "list", None, "medium", "regexes,not:schema.include.list", "Schemas to leave out."),
    _p("table.include.list", "list", None, "high", "regexes", "Tables to capture: `schema.table`."),
    _p("table.exclude.list", "list", None, "medium", "regexes,not:table.include.list", "Tables to leave out."),
    _p("table.ignore.builtin", "boolean", "true", "low", "bool", "Leave the system's tables out."),
    _p("column.include.list", "list", None, "medium", "regexes", "Columns to capture: `schema.table.column`."),
    _p("column.exclude.list", "list", None, "medium", "regexes,not:column.include.list", "Columns to leave out."),
    _p(
        "message.key.columns",
        "string",
        None,
        "medium",
        "keys",
        "Keys other than the primary: `TABLE:COLUMN,COLUMN;...`.",
    ),
    _p("message.prefix.include.list", "list", None, "medium", "regexes", "Prefixes of logical messages to capture."),
    _p(
        "message.prefix.exclude.list",
        "list",
        None,
        "medium",
        "regexes,not:message.prefix.include.list",
        "Prefixes of logical messages to leave out.",
    ),
    _p("skipped.operations", "list", "t", "low", "operations", "Of c, u, d and t, those that make no events; or none."),
    _p(
        "skip.messages.without.change",
        "boolean",
        "false",
        "medium",
        "bool",
        "No event of an update in which no captured column has another value. For tables with REPLICA IDENTITY FULL.",
    ),
    _p("guardrail.collections.max", "int", "0", "medium", "int0", "Most tables to capture; 0 is without limit."),
    _p(
        "guardrail.collections.limit.action",
        "string",
        "warn",
        "medium",
        "choice",
        "What a table more does.",
        "warn fail",
    ),
)
_VALUES = (
    _p("decimal.handling.mode", "string", "precise", "medium", "choice", "numeric and money.", "string double precise"),
    _p("time.precision.mode", "string", "adaptive", "medium", "choice", "Dates and times.", _TIMES),
    _p("binary.handling.mode", "string", "bytes", "low", "choice", "bytea.", "bytes base64 hex base64-url-safe"),
    _p("hstore.handling.mode", "string", "json", "low", "choice", "hstore.", "json map"),
    _p("interval.handling.mode", "string", "numeric", "low", "choice", "interval.", "string numeric"),
    _p("money.fraction.digits", "short", "2", "low", "", "Digits of money behind the point."),
    _p("include.unknown.datatypes", "boolean", "false", "medium", "bool", "Types without a place in Connect as bytes."),
    _p(
        "unavailable.value.placeholder",
        "string",
        "__debezium_unavailable_value",
        "medium",
        "",
        "Stands for a TOASTed value that an update did not touch; `hex:` in front for bytes.",
    ),
    _p(
        "column.propagate.source.type", "list", None, "medium", "regexes", "Columns whose schema tells type and length."
    ),
    _p("datatype.propagate.source.type", "list", None, "medium", "regexes", "The same, by `schema.table.type`."),
    _p(
        "include.schema.comments",
        "boolean",
        "false",
        "medium",
        "bool",
        "Comments of tables and columns as documentation.",
    ),
    _p(
        "schema.refresh.mode",
        "string",
        "columns_diff",
        "medium",
        "choice",
        "No effect: the stream says when a table has changed.",
        "columns_diff columns_diff_exclude_unchanged_toast",
    ),
    _p("converters", "string", None, "low", "", _NO_JVM),
    _p("post.processors", "string", None, "low", "", _NO_JVM),
)
_EVENTS = (
    _p("tombstones.on.delete", "boolean", "true", "medium", "bool", "A tombstone behind each delete."),
    _p(
        "provide.transaction.metadata",
        "boolean",
        "false",
        "low",
        "boolonce",
        "A topic with what each transaction held.",
    ),
    _p(
        "schema.name.adjustment.mode",
        "string",
        "none",
        "low",
        "choice",
        "Names of schemas that converters take.",
        "none avro_unicode avro",
    ),
    _p("field.name.adjustment.mode", "string", "none", "low", "choice", "Names of fields.", "none avro_unicode avro"),
    _p("topic.delimiter", "string", ".", "medium", "", "Between prefix, schema and table in a topic's name."),
    _p("topic.transaction", "string", "transaction", "medium", "", "Last part of the transactions' topic."),
    _p("topic.heartbeat.prefix", "string", None, "medium", "", "First part of the heartbeats' topic."),
    _p("topic.heartbeat.name", "string", None, "medium", "topic", "The heartbeats' topic, whatever the prefixes say."),
    _p("topic.cache.size", "int", "10000", "low", "", "No effect: there is nothing to keep."),
    _p("heartbeat.topics.prefix", "string", "__debezium-heartbeat", "low", "", "Older form of topic.heartbeat.prefix."),
    _p("heartbeat.interval.ms", "int", "0", "medium", "int0", "How often a heartbeat is sent; 0 never."),
    _p("heartbeat.action.query", "string", None, "low", "", "SQL to run with each heartbeat."),
    _p("extended.headers.enabled", "boolean", "true", "low", "bool", "Headers `__debezium.context.*` on each record."),
    _p("topic.naming.strategy", "class", "io.debezium.schema.SchemaTopicNamingStrategy", "medium", "", _NO_JVM),
    _p(
        "sourceinfo.struct.maker",
        "class",
        "io.debezium.connector.postgresql.PostgresSourceInfoStructMaker",
        "low",
        "",
        _NO_JVM,
    ),
    _p(
        "transaction.metadata.factory",
        "class",
        "io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory",
        "low",
        "",
        _NO_JVM,
    ),
)
_SNAPSHOT = (
    _p(
        "snapshot.mode",
        "string",
        "initial",
        "medium",
        "choice",
        "When all rows are read first. `never`, as it was called before Debezium 3.4, is `no_data`.",
        "always initial_only configuration_based when_needed initial custom no_data",
    ),
    _p("snapshot.mode.custom.name", "string", None, "medium", "custom:snapshot.mode", _NO_JVM),
    _p(
        "snapshot.mode.configuration.based.snapshot.data",
        "boolean",
        "false",
        "medium",
        "bool",
        "configuration_based: read rows.",
    ),
    _p(
        "snapshot.mode.configuration.based.snapshot.schema",
        "boolean",
        "false",
        "medium",
        "bool",
        "No effect: schemas are read when met.",
    ),
    _p(
        "snapshot.mode.configuration.based.start.stream",
        "boolean",
        "false",
        "medium",
        "bool",
        "configuration_based: stream afterwards.",
    ),
    _p(
        "snapshot.mode.configuration.based.snapshot.on.schema.error",
        "boolean",
        "false",
        "medium",
        "bool",
        "No effect: there is no schema history that could be broken.",
    ),
    _p(
        "snapshot.mode.configuration.based.snapshot.on.data.error",
        "boolean",
        "false",
        "medium",
        "bool",
        "configuration_based: read rows when the slot has lost its place.",
    ),
    _p(
        "snapshot.isolation.mode",
        "string",
        "serializable",
        "low",
        "choice",
        "Isolation of the snapshot. Where a snapshot is taken over from a slot, serializable is repeatable_read.",
        "read_uncommitted repeatable_read read_committed serializable",
    ),
    _p(
        "snapshot.locking.mode",
        "string",
        "none",
        "low",
        "choice",
        "`shared` locks tables against DDL.",
        "shared custom none",
    ),
    _p("snapshot.locking.mode.custom.name", "string", None, "medium", "custom:snapshot.locking.mode", _NO_JVM),
    _p("snapshot.lock.timeout.ms", "long", "10000", "medium", "long0", "Longest wait for those locks."),
    _p("snapshot.query.mode", "string", "select_all", "low", "choice", "`custom` has no effect.", "select_all custom"),
    _p("snapshot.query.mode.custom.name", "string", None, "medium", "custom:snapshot.query.mode", _NO_JVM),
    _p("snapshot.include.collection.list", "list", None, "medium", "regexes", "Captured tables whose rows are read."),
    _p("snapshot.select.statement.overrides", "string", None, "medium", "", "Tables with a SELECT of their own."),
    _p(
        "snapshot.tables.order.by.row.count",
        "string",
        "disabled",
        "medium",
        "choice",
        "Order of the tables: large or small ones first.",
        "disabled descending ascending",
    ),
    _p("snapshot.delay.ms", "long", "0", "low", "long0", "Wait before the snapshot."),
    _p("streaming.delay.ms", "long", "0", "low", "long0", "Wait between snapshot and stream."),
    _p(
        "snapshot.fetch.size",
        "int",
        None,
        "medium",
        "int0",
        "No effect: COPY streams; how much waits is said by max.queue.size and max.queue.size.in.bytes.",
    ),
    _p(
        "snapshot.max.threads",
        "int",
        "1",
        "medium",
        "int+",
        "Sessions that read side by side, and into how many ranges of its primary key a table is divided for them.",
    ),
    _p(
        "snapshot.max.threads.multiplier",
        "int",
        "1",
        "medium",
        "int+",
        "So many ranges of each table for each session; with a table's name behind it (`.schema.table`) for that one.",
    ),
    _p("legacy.snapshot.max.threads", "boolean", "false", "low", "bool", "Leave tables whole: a session reads one."),
    _p("internal.legacy.snapshot.max.threads", "boolean", "false", "low", "bool", "As legacy.snapshot.max.threads."),
    _p(
        "internal.snapshot.scan.all.columns.force",
        "boolean",
        "false",
        "low",
        "bool",
        "No effect: only captured tables are looked at.",
    ),
    _p("incremental.snapshot.chunk.size", "int", "1024", "medium", "int", "Rows of an incremental snapshot at once."),
    _p(
        "read.only",
        "boolean",
        "false",
        "medium",
        "bool",
        "Incremental snapshots write their marks into the WAL, not into the signal table, which need not be there.",
    ),
    _p(
        "incremental.snapshot.watermarking.strategy",
        "string",
        "INSERT_INSERT",
        "low",
        "",
        "`insert_delete` removes the watermarks from the signal table again.",
    ),
)
_SIGNALS = (
    _p("signal.data.collection", "list", None, "medium", "", "The table for signals: `schema.table`."),
    _p(
        "signal.enabled.channels",
        "list",
        "source",
        "medium",
        "",
        "Where signals come from: `source` (the table), `file`, `kafka`.",
    ),
    _p("signal.poll.interval.ms", "long", "5000", "medium", "long+", "How often file and topic are looked at."),
    _p("signal.file", "string", "file-signals.txt", "high", "", "File of the channel `file`; a line is a signal."),
    _p("signal.kafka.topic", "string", None, "high", "", "Topic of the channel `kafka`; `PREFIX-signal` by default."),
    _p("signal.kafka.bootstrap.servers", "string", None, "high", "kafka", "Where that topic is."),
    _p("signal.kafka.groupId", "string", "kafka-signal", "low", "", "Group that keeps how far the topic was read."),
    _p("signal.kafka.poll.timeout.ms", "int", "0", "low", "int0", "No effect: what has been fetched is taken."),
    _p(
        "notification.enabled.channels",
        "list",
        None,
        "medium",
        "",
        "Where snapshots tell of themselves: sink, log.",
    ),
    _p("notification.sink.topic.name", "string", None, "high", "notification", "Topic of the channel `sink`."),
)
_RUNNING = (
    _p(
        "max.batch.size",
        "int",
        "2048",
        "medium",
        "int+",
        "Messages of the stream or rows of a snapshot for a poll.",
    ),
    _p(
        "max.queue.size",
        "int",
        "8192",
        "medium",
        "int+,queue",
        "Rows of a snapshot that wait for polls; changes wait in the server.",
    ),
    _p(
        "max.queue.size.in.bytes",
        "long",
        "0",
        "medium",
        "long0",
        "Bytes of a poll, 8 MiB at most, and of what waits of a snapshot; 0 is 32 MiB for that.",
    ),
    _p("poll.dispatch.interval.ms", "long", "0", "medium", "int0", "No effect: a poll takes what has arrived by then."),
    _p("poll.interval.ms", "long", "500", "medium", "int+", "How long a poll waits for a first message."),
    _p("query.fetch.size", "int", "0", "medium", "int0", "No effect: as snapshot.fetch.size."),
    _p("errors.max.retries", "int", "-1", "low", "int", "Reconnects after a lost connection; -1 is without limit."),
    _p("retriable.restart.connector.wait.ms", "long", "10000", "low", "long+", "Time before a reconnect."),
    _p(
        "event.processing.failure.handling.mode",
        "string",
        "fail",
        "medium",
        "choice",
        "What a row does that cannot be read: stop, or be left out with or without a warning.",
        "warn fail ignore skip",
    ),
    _p("executor.shutdown.timeout.ms", "long", "4000", "medium", "long+", "No effect: stopping waits for nothing."),
    _p("statistics.metrics.enabled", "boolean", "true", "medium", "bool", "No effect."),
    _p("custom.metric.tags", "list", None, "low", "pairs", "No effect: there is no JMX."),
    _p("custom.sanitize.pattern", "string", None, "low", "", "No effect: passwords are never shown."),
    _p(
        "internal.log.position.check.enable",
        "boolean",
        "true",
        "medium",
        "bool",
        "No effect: the slot is always checked.",
    ),
    _p("internal.advanced.metrics.enable", "boolean", "false", "medium", "bool", "No effect."),
    _p("memory.management.schemas.class", "class", None, "low", "", _NO_JVM),
    _p("memory.management.tables.class", "class", None, "low", "", _NO_JVM),
    _p(
        "openlineage.integration.enabled",
        "boolean",
        "false",
        "low",
        "bool",
        "No effect: nothing is told to OpenLineage.",
    ),
    _p("openlineage.integration.config.file.path", "string", "./openlineage.yml", "low", "", "No effect."),
    _p("openlineage.integration.job.namespace", "string", None, "low", "", "No effect."),
    _p("openlineage.integration.job.description", "string", None, "low", "", "No effect."),
    _p("openlineage.integration.job.tags", "list", None, "low", "pairs", "No effect."),
    _p("openlineage.integration.job.owners", "list", None, "low", "pairs", "No effect."),
    _p("openlineage.integration.dataset.kafka.bootstrap.servers", "string", None, "low", "", "No effect."),
)
GROUPS: Final[dict[str, tuple[Property, ...]]] = {
    "Connection": _CONNECTION,
    "Replication": _REPLICATION,
    "Capture": _CAPTURE,
    "Values": _VALUES,
    "Events": _EVENTS,
    "Snapshot": _SNAPSHOT,
    "Signals": _SIGNALS,
    "Running": _RUNNING,
}
PROPERTIES: Final = {prop.name: prop for group in GROUPS.values() for prop in group}


def default_of(name: str) -> str | None:
    """The default of a setting, or None; settings with a part in their name have none."""
    prop = PROPERTIES.get(name)
    return None if prop is None else prop.default
