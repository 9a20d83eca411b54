"""The tables that rows go to: what columns they have, and how they are created and grow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from moldau.connect.connectors.jdbc.mapping import Shape
from moldau.connect.connectors.jdbc.settings import SinkSettings
from moldau.connect.connectors.jdbc.types import default_literal, type_name
from moldau.connect.connectors.postgres.connection import Connection, identifier, literal
from moldau.connect.data import Field
from moldau.connect.errors import ConnectError

COLUMNS: Final = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, slots=True)
class Table:
    """`sql` is its name as statements have it, `columns` are the types by name."""

    sql: str
    columns: dict[str, str]


def table_name(topic: str, settings: SinkSettings, database: str) -> str:
    """The name of a topic's table, quoted. Raises `ConnectError` when the topic names another database."""
    if settings.envelopes:
        topic = topic.replace(".", "_")
    parts = settings.table_format.replace("${topic}", topic).split(".")
    if len(parts) == 3 and parts[0] == database:
        parts = parts[1:]
    if len(parts) > 2 or not all(parts):
        raise ConnectError(
            f"{'.'.join(parts)} is no name of a table: it has a schema before a dot, at most\n"
            "hint: set table.name.format, or give the topic another name with the RegexRouter transform"
        )
    return ".".join(map(identifier, parts))


class Tables:
    """What is known of the tables of a session. `forget` when something may have changed."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._known: dict[str, Table] = {}

    def forget(self) -> None:
        """Ask the database again."""
        self._known.clear()

    def prepared(self, connection: Connection, sql: str, shape: Shape) -> Table:
        """The table, with every column of the shape.

        Raises:
            ConnectError: it is not there, or lacks columns, and is not to be created or grown.
        """
        table = self._known.get(sql) or self._found(connection, sql)
        if table is None:
            self._create(connection, sql, shape)
            table = self._found(connection, sql)
            assert table is not None
        missing = [field for field in (*shape.keys, *shape.values) if field.name not in table.columns]
        if missing:
            self._grow(connection, table, missing)
            table = self._found(connection, sql)
            assert table is not None
        self._known[sql] = table
        return table

    def existing(self, connection: Connection, sql: str) -> Table | None:
        """The table, None when it is not there."""
        return self._known.get(sql) or self._found(connection, sql)

    @staticmethod
    def _found(connection: Connection, sql: str) -> Table | None:
        columns = dict(connection.execute(COLUMNS, (sql,)).fetchall())
        return Table(sql, columns) if columns else None

    def _create(self, connection: Connection, sql: str, shape: Shape) -> None:
        if not self._settings.create:
            raise ConnectError(
                f"there is no table {sql}\nhint: create it, or set auto.create=true (schema.evolution=basic)"
            )
        columns = [_column(field, key=True) for field in shape.keys]
        columns += [_column(field, key=False) for field in shape.values]
        if shape.keys:
            columns.append(f"PRIMARY KEY ({', '.join(identifier(field.name) for field in shape.keys)})")
        _run(connection, f"CREATE TABLE IF NOT EXISTS {sql} ({', '.join(columns)})")

    def _grow(self, connection: Connection, table: Table, missing: list[Field]) -> None:
        names = ", ".join(field.name for field in missing)
        if not self._settings.evolve:
            alike = _alike(table, missing)
            raise ConnectError(
                f"{table.sql} has no column {names}{alike}\n"
                "hint: add it, leave the field out, or set auto.evolve=true (schema.evolution=basic)"
            )
        needed = [field.name for field in missing if not field.schema.optional and field.schema.default_value is None]
        if needed:
            raise ConnectError(
                f"{table.sql} has no column {', '.join(needed)}, which rows that are there have no value for: "
                "the field is required and has no default\nhint: add the column yourself"
            )
        added = ", ".join(f"ADD COLUMN IF NOT EXISTS {_column(field, key=False)}" for field in missing)
        _run(connection, f"ALTER TABLE {table.sql} {added}")


def _column(field: Field, *, key: bool) -> str:
    schema = field.schema
    words = [identifier(field.name), type_name(schema)]
    default = default_literal(schema)
    if default is not None and not key:
        words.append(f"DEFAULT {_written(default)}")
    if key or not schema.optional:
        words.append("NOT NULL")
    return " ".join(words)


def _written(value: Any) -> str:
    """A default, which the server reads as its column wants it."""
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    if isinstance(value, list):
        inside = ",".join('"' + str(each).replace("\\", "\\\\").replace('"', '\\"') + '"' for each in value)
        return literal(f"{{{inside}}}")
    return literal(str(value))


def _alike(table: Table, missing: Iterable[Field]) -> str:
    known = {name.lower(): name for name in table.columns}
    found = [known[field.name.lower()] for field in missing if field.name.lower() in known]
    return f" (but {', '.join(found)}: names are told apart by their case)" if found else ""


def _run(connection: Connection, statement: str) -> None:
    """Create or grow a table, which another task may do at the same time: then what it did counts."""
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        # IF NOT EXISTS looks before the other one commits, and stumbles over the catalog's own indexes after it.
        return
