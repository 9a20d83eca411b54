"""How the connector reaches PostgreSQL: connections with its settings, for statements and for replication.

Every session speaks one dialect of text (ISO dates, PostgreSQL's interval style, UTC, shortest exact floats), so that a
value has the same text in a snapshot and in the stream.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import pq

from moldau.connect.connectors.postgres.errors import GivenUpError, PostgresError, explained

Connection: TypeAlias = "psycopg.Connection[Any]"
# How often it is asked whether somebody still waits, and how long a cancellation may take to reach the server.
LOOKS_EVERY_S: Final = 0.1
CANCELLED_WITHIN_S: Final = 2.0

SESSION: Final = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "search_path": "pg_catalog",
    "lc_monetary": "C",
}


@dataclass(frozen=True)
class Server:
    """Where the database is. `parameters` are libpq's (sslmode, connect_timeout, ...)."""

    host: str
    port: int
    user: str
    password: str | None
    dbname: str
    parameters: dict[str, str] = field(default_factory=dict)
    initial_statements: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"database {self.dbname!r} on {self.host}:{self.port} as {self.user}"

    def connect(self, purpose: str = "connector", *, statement_timeout_ms: int | None = None) -> Connection:
        """A session for statements, in autocommit; the timeout is for the first ones, too. Raises `PostgresError`."""
        session = {} if statement_timeout_ms is None else {"statement_timeout": str(statement_timeout_ms)}
        connection = self._open(purpose, session)
        try:
            for statement in self.initial_statements:
                connection.execute(statement.encode())
        except psycopg.Error as error:
            connection.close()
            raise explained(error, f"running database.initial.statements on {self}") from error
        return connection

    def connect_for_replication(self, purpose: str) -> Connection:
        """A session of the replication protocol, which also takes simple statements."""
        return self._open(purpose, {}, replication="database")

    def _open(self, purpose: str, session: Mapping[str, str], **more: str) -> Connection:
        escaped = {name: value.replace(" ", "\\ ") for name, value in {**SESSION, **session}.items()}
        told: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.dbname,
            "application_name": f"moldau {purpose}",
            "options": " ".join(f"-c {name}={value}" for name, value in escaped.items()),
            **self.parameters,
            **more,
        }
        try:
            return psycopg.connect(autocommit=True, **told)
        except psycopg.Error as error:
            raise explained(error, f"connecting to {self}") from error


def rows(connection: Connection, statement: str, arguments: Sequence[object] = (), doing: str = "") -> list[Any]:
    """All rows of a query. Raises `PostgresError`, with `doing` in front of what the server says."""
    try:
        return connection.execute(statement.encode(), arguments or None).fetchall()
    except psycopg.Error as error:
        raise explained(error, doing or "asking the database's catalog") from error


def run(connection: Connection, statement: str, doing: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        raise explained(error, doing) from error


def command(connection: Connection, statement: str, doing: str) -> list[str | None]:
    """A command of the replication protocol; the first row of its answer, or nothing."""
    return _first_row(connection.pgconn.exec_(statement.encode()), doing)


def long_command(connection: Connection, statement: str, doing: str, given_up: Callable[[], bool]) -> list[str | None]:
    """The same of one that may wait in the server for others, which it does no longer when it is `given_up`.

    Raises `PostgresError`; after a `GivenUpError` the connection is of no use.
    """
    pgconn = connection.pgconn
    try:
        pgconn.send_query(statement.encode())
        pgconn.flush()
        while pgconn.is_busy():
            if readable(pgconn.socket, LOOKS_EVERY_S):
                pgconn.consume_input()
            elif given_up():
                # The server would not see that the connection is closed.
                connection.cancel_safe(timeout=CANCELLED_WITHIN_S)
                raise GivenUpError(f"{doing}: given up")
        result = pgconn.get_result()
        while pgconn.get_result() is not None:
            pass
    except psycopg.Error as error:
        raise explained(error, doing) from error
    return [] if result is None else _first_row(result, doing)


def _first_row(result: pq.abc.PGresult, doing: str) -> list[str | None]:
    if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.COPY_BOTH):
        raise explained(psycopg.errors.error_from_result(result), doing)
    if result.status != pq.ExecStatus.TUPLES_OK or result.ntuples == 0:
        return []
    values = [result.get_value(0, column) for column in range(result.nfields)]
    return [None if value is None else value.decode() for value in values]


def readable(socket: int, within_s: float) -> bool:
    """Whether there is something to read. Not by `select`, which takes no descriptor over 1023."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def identifier(name: str) -> str:
    """A name as SQL writes it, quoted."""
    if "\0" in name:
        raise PostgresError("a name holds a zero byte")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def parse_lsn(text: str) -> int:
    """`16/B374D848` as a number. Raises `ValueError`."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def format_lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


Clock: TypeAlias = Callable[[], float]
