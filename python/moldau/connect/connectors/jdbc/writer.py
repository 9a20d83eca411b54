"""How rows get into a table: by COPY into a table of the session, and from there with one statement for all of them.

That is one statement for a batch of any size, and the server reads each value as its column wants it. All rows of a
`put` are in one transaction, so a failure in the middle leaves nothing behind. A row that the server does not take is
found by halves, and reported; the others are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from moldau.connect.connectors.jdbc.batches import Batch
from moldau.connect.connectors.jdbc.mapping import MISSING, Row, Shape
from moldau.connect.connectors.jdbc.settings import SinkSettings
from moldau.connect.connectors.jdbc.tables import Table, Tables
from moldau.connect.connectors.jdbc.types import Convert, converter
from moldau.connect.connectors.postgres.connection import Connection, identifier
from moldau.connect.data import Field
from moldau.connect.errors import ConnectError, DataError
from moldau.connect.records import SinkRecord

Refuse = Callable[[SinkRecord, Exception], None]
"""Reports a record that cannot be written; raises when that is not tolerated."""


class Writer:
    """Of one session."""

    def __init__(self, connection: Connection, settings: SinkSettings, refuse: Refuse) -> None:
        self.connection = connection
        self.database: str = connection.info.dbname
        self._settings = settings
        self._refuse = refuse
        self._tables = Tables(settings)
        self._stages: dict[tuple[str, tuple[str, ...]], str] = {}
        self._used: set[str] = set()
        self._instead: list[Row] = []

    def begin(self) -> None:
        """A transaction begins: tables of the session are empty."""
        self._used.clear()

    def forget(self) -> None:
        """A transaction was undone, and with it whatever was created in it."""
        self._tables.forget()
        self._stages.clear()

    def truncate(self, sql: str) -> None:
        """Empty a table, if it is there."""
        if self._tables.existing(self.connection, sql) is not None:
            self.connection.execute(f"TRUNCATE {sql}".encode())

    def write(self, batch: Batch) -> None:
        """Write what waits. Raises `ConnectError`, and what psycopg raises when the failure is of no single row."""
        rows = batch.rows()
        while rows:
            # Of a key whose last row is refused, the one before it counts.
            self._instead = []
            self._write(batch, rows)
            rows = self._instead

    def _write(self, batch: Batch, rows: list[Row]) -> None:
        deletes = [row for row in rows if row.values is None]
        if deletes:
            table = self._tables.existing(self.connection, batch.table)
            if table is not None:
                self._write_part(table, Shape(batch.shape.keys, ()), deletes, self._delete)
        for places, part in _by_missing([row for row in rows if row.values is not None]).items():
            shape, some = _without(batch.shape, places, part)
            table = self._tables.prepared(self.connection, batch.table, batch.shape)
            self._write_part(table, shape, some, self._put_part if places else self._put)

    def _write_part(
        self, table: Table, shape: Shape, rows: Sequence[Row], write: Callable[[Table, Shape, list[list[Any]]], None]
    ) -> None:
        fields = (*shape.keys, *shape.values)
        converts = [converter(field.schema, table.columns.get(field.name, "")) for field in fields]
        good: list[Row] = []
        content: list[list[Any]] = []
        for row in rows:
            try:
                content.append(_converted(row, fields, converts))
                good.append(row)
            except DataError as error:
                self._report(row, error)
        if content:
            self._stage(table, tuple(field.name for field in fields))
            self._in_halves(table, good, content, lambda some: write(table, shape, some))

    def _in_halves(
        self, table: Table, rows: list[Row], content: list[list[Any]], write: Callable[[list[list[Any]]], None]
    ) -> None:
        try:
            with self.connection.transaction():
                write(content)
            return
        except psycopg.errors.CardinalityViolation:
            # Keys that differ here are one for the column (citext, numeric with a scale): one after the other, then.
            if len(rows) == 1:
                raise
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(rows) == 1:
                self._report(rows[0], _explained(error, table, self._settings))
                return
        middle = len(rows) // 2
        self._in_halves(table, rows[:middle], content[:middle], write)
        self._in_halves(table, rows[middle:], content[middle:], write)

    def _report(self, row: Row, error: Exception) -> None:
        self._refuse(row.record, error)
        if row.earlier is not None:
            self._instead.append(row.earlier)

    def _put_part(self, table: Table, shape: Shape, content: list[list[Any]]) -> None:
        """Rows of which a column did not come: where they are, they are updated, as the column may not be null."""
        if self._settings.insert_mode != "upsert":
            self._put(table, shape, content)
            return
        names = [field.name for field in (*shape.keys, *shape.values)]
        columns = ", ".join(map(identifier, names))
        stage = self._filled(table, tuple(names), columns, content)
        self._update(table, shape, stage)
        self._run(f"DELETE FROM {stage} s USING {table.sql} t WHERE {_same(shape)}")  # noqa: S608 (names are quoted)
        self._run(f"INSERT INTO {table.sql} ({columns}) SELECT {columns} FROM {stage}")  # noqa: S608 (names are quoted)

    def _put(self, table: Table, shape: Shape, content: list[list[Any]]) -> None:
        names = [field.name for field in (*shape.keys, *shape.values)]
        columns = ", ".join(map(identifier, names))
        mode = self._settings.insert_mode
        if mode == "insert":
            self._copy(table.sql, columns, content)
            return
        stage = self._filled(table, tuple(names), columns, content)
        if mode == "update":
            self._update(table, shape, stage)
            return
        keys = [identifier(field.name) for field in shape.keys]
        values = [identifier(field.name) for field in shape.values]
        changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in values)
        action = f"UPDATE SET {changes}" if values else "NOTHING"
        source = f"SELECT {columns} FROM {stage}"  # noqa: S608 (names are quoted)
        self._run(f"INSERT INTO {table.sql} ({columns}) {source} ON CONFLICT ({', '.join(keys)}) DO {action}")

    def _delete(self, table: Table, shape: Shape, content: list[list[Any]]) -> None:
        names = tuple(field.name for field in shape.keys)
        stage = self._filled(table, names, ", ".join(map(identifier, names)), content)
        self._run(f"DELETE FROM {table.sql} t USING {stage} s WHERE {_same(shape)}")  # noqa: S608 (names are quoted)

    def _update(self, table: Table, shape: Shape, stage: str) -> None:
        changes = ", ".join(f"{name} = s.{name}" for name in (identifier(field.name) for field in shape.values))
        if changes:
            self._run(f"UPDATE {table.sql} t SET {changes} FROM {stage} s WHERE {_same(shape)}")  # noqa: S608 (names are quoted)

    def _stage(self, table: Table, names: tuple[str, ...]) -> str:
        """The table of the session that has these columns, made when it is not there."""
        found = self._stages.get((table.sql, names))
        if found is None:
            found = f"pg_temp.moldau_sink_{len(self._stages)}"
            columns = ", ".join(map(identifier, names))
            self._run(f"DROP TABLE IF EXISTS {found}")
            name = found.removeprefix("pg_temp.")
            like = f"SELECT {columns} FROM {table.sql} WITH NO DATA"  # noqa: S608 (names are quoted)
            self._run(f"CREATE TEMP TABLE {name} ON COMMIT DELETE ROWS AS {like}")
            self._stages[table.sql, names] = found
        return found

    def _filled(self, table: Table, names: tuple[str, ...], columns: str, content: list[list[Any]]) -> str:
        stage = self._stages[table.sql, names]
        if stage in self._used:
            self._run(f"TRUNCATE {stage}")
        self._used.add(stage)
        self._copy(stage, columns, content)
        return stage

    def _copy(self, target: str, columns: str, content: list[list[Any]]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {target} ({columns}) FROM STDIN".encode()) as copy:
            for row in content:
                copy.write_row(row)

    def _run(self, statement: str) -> None:
        self.connection.execute(statement.encode())


def _same(shape: Shape) -> str:
    """The condition that a row of the table and one of the stage have the same key."""
    return " AND ".join(f"t.{name} = s.{name}" for name in (identifier(field.name) for field in shape.keys))


def _converted(row: Row, fields: Sequence[Field], converts: Sequence[Convert | None]) -> list[Any]:
    values = [*row.key, *(row.values or ())]
    for at, convert in enumerate(converts):
        if convert is not None and values[at] is not None:
            try:
                values[at] = convert(values[at])
            except (DataError, ValueError, OverflowError, TypeError) as error:
                raise DataError(f"the field {fields[at].name!r} cannot be a column: {error}") from error
    return values


def _by_missing(rows: Sequence[Row]) -> dict[tuple[int, ...], list[Row]]:
    """The rows by the places of what did not come with them."""
    found: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        places = tuple(at for at, value in enumerate(row.values or ()) if value is MISSING)
        found.setdefault(places, []).append(row)
    return found


def _without(shape: Shape, places: tuple[int, ...], rows: list[Row]) -> tuple[Shape, list[Row]]:
    if not places:
        return shape, rows
    kept = [at for at in range(len(shape.values)) if at not in places]
    values = tuple(shape.values[at] for at in kept)
    some = [Row(row.record, row.key, [(row.values or [])[at] for at in kept], row.earlier) for row in rows]
    return Shape(shape.keys, values), some


def _explained(error: psycopg.Error, table: Table, settings: SinkSettings) -> ConnectError:
    said = str(error).strip().splitlines()
    hint = ""
    if isinstance(error, psycopg.errors.UniqueViolation) and settings.insert_mode == "insert":
        hint = "\nhint: insert.mode=upsert takes records that come again"
    return DataError(f"{table.sql} does not take a row: {' '.join(said[:2])}{hint}")
