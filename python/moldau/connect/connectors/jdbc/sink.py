"""`io.confluent.connect.jdbc.JdbcSinkConnector` and Debezium's of the same name: the connectors and their task.

Rows are written before `put` returns, in one transaction; a failure that may pass is tried again with the same records.
With upsert, update and deletes it makes no difference how often that happens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import psycopg

from moldau.connect.config_def import ConfigDef, ConfigValue
from moldau.connect.connectors.jdbc import settings as known
from moldau.connect.connectors.jdbc.batches import Batch
from moldau.connect.connectors.jdbc.mapping import Kind, Row
from moldau.connect.connectors.jdbc.mapping import Mapping as RowMapping
from moldau.connect.connectors.jdbc.settings import SinkSettings
from moldau.connect.connectors.jdbc.tables import table_name
from moldau.connect.connectors.jdbc.writer import Writer
from moldau.connect.connectors.postgres.errors import explained
from moldau.connect.data import Schema
from moldau.connect.errors import ConnectError, DataError, RetriableError
from moldau.connect.plugin import ErrantRecordReporter, SinkConnector, SinkTask, Task
from moldau.connect.records import SinkRecord

logger: Final = logging.getLogger("moldau.connect.jdbc")
# Serialization failures and deadlocks, no room, the server goes down, and what has no state: the connection is gone.
PASSING: Final = ("40", "53", "57P", "08", "55P03")


class JdbcSinkConnector(SinkConnector):
    """With Confluent's settings. Every task gets the same; partitions of topics are what is divided."""

    CONFIG: ClassVar[ConfigDef] = known.CONFLUENT

    @staticmethod
    def read(props: Mapping[str, Any]) -> SinkSettings:
        """The settings in the form that the task has them in. Raises `ConfigError`."""
        return known.confluent(props)

    def version(self) -> str:
        return "10.8.0"

    def config(self) -> ConfigDef:
        return self.CONFIG

    def start(self, props: Mapping[str, str]) -> None:
        self.read(props)
        self._props = dict(props)

    def task_class(self) -> type[Task]:
        return JdbcSinkTask

    def task_configs(self, max_tasks: int) -> Sequence[Mapping[str, str]]:
        return [self._props] * max_tasks

    def validate(self, props: Mapping[str, str]) -> list[ConfigValue]:
        return known.validated(self.CONFIG, self.read, props)


class DebeziumJdbcSinkConnector(JdbcSinkConnector):
    """With Debezium's settings; it takes Debezium's events as they are."""

    CONFIG = known.DEBEZIUM

    @staticmethod
    def read(props: Mapping[str, Any]) -> SinkSettings:
        return known.debezium(props)

    def version(self) -> str:
        return "3.3.0.Final"

    def task_class(self) -> type[Task]:
        return DebeziumJdbcSinkTask


class JdbcSinkTask(SinkTask):
    """Records to rows."""

    CONNECTOR: ClassVar[type[JdbcSinkConnector]] = JdbcSinkConnector

    def __init__(self) -> None:
        self._writer: Writer | None = None
        self._failures = 0

    def start(self, props: Mapping[str, str]) -> None:
        self._settings = self.CONNECTOR.read(props)
        self._mapping = RowMapping(self._settings)
        self._reporter: ErrantRecordReporter | None = self.context.errant_record_reporter()

    def stop(self) -> None:
        self._disconnect()

    def put(self, records: Sequence[SinkRecord]) -> None:
        if not records:
            return
        try:
            writer = self._connected()
            with writer.connection.transaction():
                writer.begin()
                _Put(writer, self._mapping, self._settings, self._refuse).take(records)
        except psycopg.Error as error:
            self._judge(error)
        except BaseException:
            if self._writer is not None:
                self._writer.forget()
            raise
        self._failures = 0

    def _connected(self) -> Writer:
        if self._writer is None or self._writer.connection.closed:
            connection = psycopg.connect(autocommit=True, **self._settings.parameters)  # type: ignore[arg-type]
            self._writer = Writer(connection, self._settings, self._refuse)
        return self._writer

    def _disconnect(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.connection.close()

    def _refuse(self, record: SinkRecord, error: Exception) -> None:
        place = f"{record.topic}-{record.kafka_partition} at offset {record.kafka_offset}"
        if self._reporter is None:
            raise ConnectError(f"the record of {place} cannot be written: {error}") from error
        logger.warning("the record of %s is reported, and not written: %s", place, error)
        self._reporter.report(record, error)

    def _judge(self, error: psycopg.Error) -> None:
        """Raise what a failure of the database means."""
        state = error.sqlstate or ""
        writer = self._writer
        lost = writer is None or writer.connection.broken or writer.connection.closed
        if lost:
            self._disconnect()
        elif writer is not None:
            writer.forget()
        said = explained(error, "writing rows")
        if not (lost and not state) and not state.startswith(PASSING):
            if isinstance(error, psycopg.errors.InvalidColumnReference):
                hint = "an upsert needs a primary key or a unique index of just these columns"
                raise ConnectError(f"{said}\nhint: {hint}") from error
            raise ConnectError(str(said)) from error
        self._failures += 1
        if self._failures > self._settings.max_retries:
            raise ConnectError(f"{said}; it was tried {self._failures} times") from error
        self.context.timeout(self._settings.retry_backoff_ms)
        raise RetriableError(str(said)) from error


class DebeziumJdbcSinkTask(JdbcSinkTask):
    """The same with Debezium's settings."""

    CONNECTOR = DebeziumJdbcSinkConnector


class _Put:
    """One call of `put`: batches by table, written when they are full, or something else is asked of their table."""

    def __init__(
        self,
        writer: Writer,
        mapping: RowMapping,
        settings: SinkSettings,
        refuse: Callable[[SinkRecord, Exception], None],
    ) -> None:
        self._writer = writer
        self._mapping = mapping
        self._settings = settings
        self._refuse = refuse
        self._keyed = settings.insert_mode != "insert"
        self._waiting: dict[str, Batch] = {}
        self._names: dict[str, str] = {}

    def take(self, records: Sequence[SinkRecord]) -> None:
        for record in records:
            try:
                self._take(record)
            except DataError as error:
                self._refuse(record, error)
        for table in list(self._waiting):
            self._write(table)

    def _take(self, record: SinkRecord) -> None:
        kind, schema, value = self._mapping.kind(record)
        if kind is Kind.NOTHING:
            return
        table = self._table(record.topic)
        if kind is Kind.TRUNCATE:
            self._write(table)
            self._writer.truncate(table)
            return
        self._add(table, record, schema, value)

    def _add(self, table: str, record: SinkRecord, schema: Schema | None, value: Any) -> None:
        shape = self._mapping.shape(record, schema)
        row = self._mapping.row(record, shape, value)
        batch = self._waiting.get(table)
        if batch is not None and self._must_go(batch, row, shape):
            self._write(table)
            batch = None
        if batch is None:
            batch = self._waiting[table] = Batch(table, shape, keyed=self._keyed)
        elif row.values is not None:
            batch.shape = shape
        batch.add(row)

    def _must_go(self, batch: Batch, row: Row, shape: Any) -> bool:
        if len(batch) >= self._settings.batch_size:
            return True
        if batch.shape is not shape:
            # A key that is to be gone has no other columns.
            if batch.shape.keys != shape.keys:
                return True
            if row.values is not None and batch.has_writes and batch.shape.values != shape.values:
                return True
        return not self._keyed and len(batch) > 0 and batch.last_is_delete() != (row.values is None)

    def _table(self, topic: str) -> str:
        found = self._names.get(topic)
        if found is None:
            found = self._names[topic] = table_name(topic, self._settings, self._writer.database)
        return found

    def _write(self, table: str) -> None:
        batch = self._waiting.pop(table, None)
        if batch is None:
            return
        try:
            self._writer.write(batch)
        except DataError as error:
            # It is about the columns of the batch, not about the record that happens to be at hand.
            raise ConnectError(str(error)) from error
