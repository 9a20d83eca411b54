"""The first read of all tables, in one exported snapshot: what the stream then goes on from, without a gap or a double.

Rows come by COPY in text, as in the stream, so one set of functions reads both. Reader threads, one or more
(`snapshot.max.threads`), each with a session that has taken over the same snapshot, put blocks of raw rows into a
bounded queue; the task's thread makes records of them. A snapshot that was not finished starts again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.connection import Connection, Server, identifier, rows
from moldau.connect.connectors.postgres.errors import explained
from moldau.connect.connectors.postgres.events import ChangeRecord, Events, left_out
from moldau.connect.connectors.postgres.offsets import Position, snapshot_map
from moldau.connect.connectors.postgres.pgoutput import RawRow
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.errors import DataError

_LOG = logging.getLogger(__name__)

# How many rows a reader hands on at once, and how many such blocks may wait.
BLOCK_ROWS: Final = 1024
BLOCKS_WAITING: Final = 8
_ISOLATION: Final = {
    "serializable": "SERIALIZABLE",
    "repeatable_read": "REPEATABLE READ",
    "read_committed": "READ COMMITTED",
    "read_uncommitted": "READ UNCOMMITTED",
}


@dataclass(frozen=True)
class SnapshotPlan:
    """What is read and how. `exported` is the snapshot's name, or None for the isolation's own."""

    tables: Sequence[TableSchema]
    isolation: str
    exported: str | None
    threads: int
    overrides: Mapping[TableId, str]
    lock: bool = False
    lock_timeout_ms: int = 10_000
    failure_mode: str = "fail"


def begin(connection: Connection, plan: SnapshotPlan) -> None:
    """Starts the reading transaction. A serializable one cannot take over a snapshot, so it is repeatable read then."""
    try:
        if plan.exported is not None and plan.isolation in ("serializable", "repeatable_read"):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute(f"SET TRANSACTION SNAPSHOT '{plan.exported}'".encode())
        else:
            deferrable = ", DEFERRABLE" if plan.isolation == "serializable" else ""
            level = _ISOLATION[plan.isolation]
            connection.execute(f"BEGIN ISOLATION LEVEL {level}, READ ONLY{deferrable}".encode())
        if plan.lock:
            connection.execute(f"SET LOCAL lock_timeout = {plan.lock_timeout_ms}".encode())
            for table in plan.tables:
                connection.execute(f"LOCK TABLE {_qualified(table.id)} IN ACCESS SHARE MODE".encode())
    except psycopg.Error as error:
        raise explained(error, "starting the transaction of the snapshot") from error


def _qualified(table: TableId) -> str:
    return f"{identifier(table.schema)}.{identifier(table.name)}"


def copy_statement(connection: Connection, table: TableSchema, override: str | None) -> str:
    """The COPY that gives a table's columns in the order of its raw rows."""
    names = [column.name for column in table.table.columns]
    if override is None:
        return _copy(map(identifier, names), _qualified(table.id))
    query = override.strip().rstrip(";")
    try:
        # The query is the operator's own; it is asked for its columns only.
        described = connection.execute(f"SELECT * FROM ({query}) AS q LIMIT 0".encode()).description or []  # noqa: S608
    except psycopg.Error as error:
        raise explained(error, f"snapshot.select.statement.overrides.{table.id}") from error
    given = {column.name for column in described}
    told = [identifier(name) if name in given else "NULL" for name in names]
    return _copy(told, f"({query}) AS q")


def _copy(columns: Iterable[str], source: str) -> str:
    """Names are quoted by whoever calls this."""
    return f"COPY (SELECT {', '.join(columns)} FROM {source}) TO STDOUT"  # noqa: S608


def copy_rows(connection: Connection, statement: str) -> Iterator[list[RawRow]]:
    """The rows of a COPY in blocks."""
    block: list[RawRow] = []
    with connection.cursor().copy(statement.encode()) as copy:
        while line := copy.read():
            block.append(copy_row(bytes(line)))
            if len(block) == BLOCK_ROWS:
                yield block
                block = []
    if block:
        yield block


_ESCAPED: Final = {
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\",
}  # fmt: skip


def copy_row(line: bytes) -> RawRow:
    """A line of COPY's text format (manual, "COPY", "Text Format")."""
    fields = line[:-1].split(b"\t")
    if b"\\" not in line:
        return list(fields)
    return [None if field == b"\\N" else (_unescaped(field) if b"\\" in field else field) for field in fields]


def _unescaped(field: bytes) -> bytes:
    parts = field.split(b"\\")
    out = [parts[0]]
    index = 1
    while index < len(parts):
        part = parts[index]
        if part:
            out.append(_ESCAPED.get(part[:1], part[:1]) + part[1:])
        else:
            # Two backslashes in a row stand for one; what follows is plain.
            out.append(b"\\")
            index += 1
            if index < len(parts):
                out.append(parts[index])
        index += 1
    return b"".join(out)


class Snapshot:
    """Reads the tables of a plan; `read` gives the next records until `done`."""

    def __init__(self, server: Server, plan: SnapshotPlan, events: Events, position: Position, kind: str) -> None:
        self._server = server
        self._plan = plan
        self._events = events
        self._position = position
        self._kind = kind
        self._blocks: queue.Queue[tuple[int, list[RawRow]] | BaseException | None] = queue.Queue(BLOCKS_WAITING)
        self._stopped = threading.Event()
        self._todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(plan.tables)):
            self._todo.put(index)
        self._readers = 0
        self._held: tuple[int, RawRow, bool] | None = None
        self._any = False
        self._begun: set[int] = set()
        self.rows = 0
        self.done = not plan.tables
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Opens the sessions and lets them read; returns when each has taken over the snapshot."""
        if self.done:
            return
        count = max(1, min(self._plan.threads, len(self._plan.tables)))
        connections: list[Connection] = []
        try:
            for _ in range(count):
                connections.append(self._server.connect("snapshot"))
                begin(connections[-1], self._plan)
        except BaseException:
            for connection in connections:
                connection.close()
            raise
        self._readers = count
        for connection in connections:
            thread = threading.Thread(target=self._run, args=(connection,), name="postgres snapshot", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            with contextlib.closing(connection):
                self._read_tables(connection)
        except psycopg.Error as error:
            self._put(explained(error, "reading a table for the snapshot"))
        except BaseException as error:  # noqa: BLE001 - raised again by `read`, in the task's thread
            self._put(error)
        self._put(None)

    def _read_tables(self, connection: Connection) -> None:
        while not self._stopped.is_set():
            try:
                index = self._todo.get_nowait()
            except queue.Empty:
                return
            table = self._plan.tables[index]
            statement = copy_statement(connection, table, self._plan.overrides.get(table.id))
            for block in copy_rows(connection, statement):
                if not self._put((index, block)):
                    return

    def _put(self, item: tuple[int, list[RawRow]] | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._blocks.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def read(self, timeout_s: float) -> list[ChangeRecord]:
        """The records of the next block. Each waits for the one behind it: only then is known whether it is the last.

        Raises `PostgresError`, and `DataError` for a value that cannot be read.
        """
        try:
            item = self._blocks.get(timeout=timeout_s)
        except queue.Empty:
            return []
        if isinstance(item, BaseException):
            raise item
        if item is None:
            self._readers -= 1
            if self._readers == 0:
                self._finish()
        else:
            index, block = item
            for raw in block:
                self._hold(index, raw)
        return self._events.take()

    def _hold(self, index: int, raw: RawRow) -> None:
        if self._plan.failure_mode != "fail":
            try:
                self._plan.tables[index].row(raw)
            except DataError as error:
                left_out(self._plan.failure_mode, error)
                return
        held, self._held = self._held, (index, raw, index not in self._begun)
        self._begun.add(index)
        if held is not None:
            self._emit(held, last_of_table=held[0] != index, last=False)

    def _finish(self) -> None:
        if self._held is not None:
            self._emit(self._held, last_of_table=True, last=True)
            self._held = None
        self.done = True

    def _emit(self, held: tuple[int, RawRow, bool], *, last_of_table: bool, last: bool) -> None:
        index, raw, first_of_table = held
        if last:
            mark = "last"
        elif not self._any:
            mark = "first"
        elif last_of_table:
            mark = "last_in_data_collection"
        else:
            mark = "first_in_data_collection" if first_of_table else "true"
        self._any = True
        self.rows += 1
        position = self._position
        offset = snapshot_map(position.lsn, position.xid, position.time_us, last=last, kind=self._kind)
        self._events.row("r", self._plan.tables[index], None, raw, position, offset, mark)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def transaction_id(connection: Connection) -> int | None:
    """The transaction that Debezium names in a snapshot: a new one of the session that looks."""
    found: Any = rows(connection, "SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE txid_current() END")
    return int(found[0][0])
