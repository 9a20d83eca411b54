"""The first read of all tables, in one exported snapshot: what the stream then goes on from, without a gap or a double.

Reader threads (`snapshot.max.threads`), each with a session that has taken over the same snapshot, read tables or
ranges of them (`chunks.py`) and put blocks of rows into a bounded queue; the task's thread hands them on. All but a few
rows are the bytes of records by then (`copied.py`). A snapshot that was not finished starts again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.blocks import Bounds, Waiting
from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.chunks import Chunk, Division, chunks, copy_statement, qualified
from moldau.connect.connectors.postgres.compiled import Compiler
from moldau.connect.connectors.postgres.connection import Connection, Server, rows
from moldau.connect.connectors.postgres.copied import AMONG_OTHERS, CopiedRows, Piece
from moldau.connect.connectors.postgres.copying import Block, BlockSize, copy_blocks, copy_row
from moldau.connect.connectors.postgres.direct import ReadyChanges
from moldau.connect.connectors.postgres.errors import explained
from moldau.connect.connectors.postgres.events import Events, left_out
from moldau.connect.connectors.postgres.notifications import INITIAL, Notifications, listed
from moldau.connect.connectors.postgres.offsets import Position
from moldau.connect.connectors.postgres.pgoutput import RawRow
from moldau.connect.connectors.postgres.seen import SnapshotSeen
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.errors import DataError
from moldau.connect.ready import Stretches
from moldau.connect.records import SourceRecord

_LOG = logging.getLogger(__name__)
# How long readers may take to end, and how often one that waits in the server is told so.
ENDS_WITHIN_S: Final = 10.0
CANCELLED_EVERY_S: Final = 0.5

_ISOLATION: Final = {
    "serializable": "SERIALIZABLE",
    "repeatable_read": "REPEATABLE READ",
    "read_committed": "READ COMMITTED",
    "read_uncommitted": "READ UNCOMMITTED",
}


@dataclass(frozen=True)
class SnapshotPlan:
    """What is read and how. `exported` is the snapshot's name, or None for the isolation's own.

    `passed_over` are captured and not read; notifications name them all the same when a table is done, as Debezium's.
    """

    tables: Sequence[TableSchema]
    isolation: str
    exported: str | None
    overrides: Mapping[TableId, str]
    division: Division
    block: BlockSize
    waiting: Bounds
    lock: bool = False
    lock_timeout_ms: int = 10_000
    failure_mode: str = "fail"
    passed_over: Sequence[TableId] = ()

    @property
    def takes_over(self) -> bool:
        """Whether what is read is what the exported snapshot shows."""
        return self.exported is not None and self.isolation in ("serializable", "repeatable_read")


def begin(connection: Connection, plan: SnapshotPlan) -> None:
    """Starts the reading transaction. A serializable one cannot take over a snapshot, so it is repeatable read then."""
    try:
        if plan.takes_over:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute(f"SET TRANSACTION SNAPSHOT '{plan.exported}'".encode())
        else:
            deferrable = ", DEFERRABLE" if plan.isolation == "serializable" else ""
            level = _ISOLATION[plan.isolation]
            connection.execute(f"BEGIN ISOLATION LEVEL {level}, READ ONLY{deferrable}".encode())
        if plan.lock:
            connection.execute(f"SET LOCAL lock_timeout = {plan.lock_timeout_ms}".encode())
            for table in plan.tables:
                connection.execute(f"LOCK TABLE {qualified(table.id)} IN ACCESS SHARE MODE".encode())
    except psycopg.Error as error:
        raise explained(error, "starting the transaction of the snapshot") from error


@dataclass(slots=True)
class _Read:
    """Rows of a table in the order in which they were read. The first and the last may turn out to be special."""

    table: int
    first: RawRow | None
    between: list[Piece]
    last: RawRow


@dataclass(frozen=True, slots=True)
class _Begun:
    """A piece of a table is being read."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class _Finished:
    """A piece of a table was read to its end."""

    chunk: Chunk


@dataclass(slots=True)
class _Progress:
    """Of one table: the last row that was read is held back until it is known what follows it."""

    pieces_left: int
    begun: bool = False
    held: RawRow | None = None


class Snapshot:
    """Reads the tables of a plan; `read` gives the next records until `done`."""

    def __init__(
        self,
        server: Server,
        plan: SnapshotPlan,
        events: Events,
        position: Position,
        offset: Callable[[bool], dict[str, Any]],
        acknowledged: Acknowledged,
        compiler: Compiler | None,
        seen: SnapshotSeen,
        notifications: Notifications,
    ) -> None:
        """`offset` gives the offset of any row, and (True) that of the last."""
        self._server = server
        self._plan = plan
        self._events = events
        self._position = position
        self._offset, self._last_offset = offset(False), offset(True)
        self._notifications = notifications
        self._copied = CopiedRows(compiler, events, position, self._offset, acknowledged)
        self._waiting: Waiting[_Read | _Begun | _Finished | BaseException] = Waiting(plan.waiting)
        self._todo: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        self._tables: list[_Progress] = []
        self._ended: tuple[int, RawRow] | None = None
        """The last row of a table that is complete, while it may be the last of all."""
        self._any = False
        self._seen = seen
        self.done = not plan.tables
        self._readers: list[tuple[threading.Thread, Connection]] = []
        self._names = listed(table.id for table in plan.tables)
        self._captured = listed((*(table.id for table in plan.tables), *plan.passed_over))

    def start(self) -> None:
        """Opens the sessions and lets them read; returns when all have taken over the snapshot.

        Raises `PostgresError`.
        """
        self._note("STARTED", {})
        if self.done:
            self._note("COMPLETED", {}, last=True)
            return
        plan = self._plan
        self._seen.begin([str(table.id) for table in plan.tables])
        self._copied.prepare(plan.tables)
        connections: list[Connection] = []
        try:
            connections.append(self._begun())
            todo = chunks(connections[0], plan.tables, plan.division, plan.overrides)
            while len(connections) < min(plan.division.threads, len(todo)):
                connections.append(self._begun())
        except BaseException:
            for connection in connections:
                connection.close()
            raise
        self._tables = [_Progress(sum(chunk.table == number for chunk in todo)) for number in range(len(plan.tables))]
        for chunk in todo:
            self._todo.put(chunk)
        for connection in connections:
            thread = threading.Thread(target=self._run, args=(connection,), name="postgres snapshot", daemon=True)
            self._readers.append((thread, connection))
            thread.start()

    def _begun(self) -> Connection:
        connection = self._server.connect("snapshot")
        try:
            begin(connection, self._plan)
        except BaseException:
            connection.close()
            raise
        return connection

    # The readers' threads.

    def _run(self, connection: Connection) -> None:
        try:
            with contextlib.closing(connection):
                while not self._waiting.stopped:
                    try:
                        chunk = self._todo.get_nowait()
                    except queue.Empty:
                        return
                    self._waiting.put(_Begun(chunk))
                    self._read_chunk(connection, chunk)
                    self._waiting.put(_Finished(chunk))
        except psycopg.Error as error:
            self._waiting.put(explained(error, "reading a table for the snapshot"))
        except BaseException as error:  # noqa: BLE001 - raised again by `read`, in the task's thread
            self._waiting.put(error)

    def _read_chunk(self, connection: Connection, chunk: Chunk) -> None:
        plan, waiting = self._plan, self._waiting
        table = plan.tables[chunk.table]
        statement = copy_statement(connection, table, chunk, plan.overrides.get(table.id))
        begins = True
        for block in copy_blocks(connection, statement, plan.block, lambda: waiting.stopped):
            found, size = self._taken_apart(chunk.table, block, begins=begins)
            if found is None:
                continue
            begins = False
            if not waiting.put(found, block.rows, len(block.lines) + size):
                return

    def _taken_apart(self, number: int, block: Block, *, begins: bool) -> tuple[_Read | None, int]:
        """The rows of a block, and the size of what was made of them. None when no row of it can be read."""
        table, lines = self._plan.tables[number], block.lines
        start, end, last = 0, len(lines), None
        while last is None and start < end:
            begin_of_last = lines.rfind(b"\n", start, end - 1) + 1 or start
            last = self._readable(table, lines[begin_of_last : end - 1])
            end = begin_of_last
        if last is None:
            return None, 0
        first = None
        while begins and first is None and start < end:
            behind = lines.index(b"\n", start) + 1
            first = self._readable(table, lines[start : behind - 1])
            start = behind
        between, size = self._copied.pieces(table, lines[start:end])
        return _Read(number, first, between, last), size

    def _readable(self, table: TableSchema, line: bytes) -> RawRow | None:
        """A row, unless it cannot be read and `event.processing.failure.handling.mode` leaves such rows out."""
        raw = copy_row(line)
        if self._plan.failure_mode != "fail":
            try:
                table.key(raw)
                table.row(raw)
            except DataError as error:
                left_out(self._plan.failure_mode, error)
                return None
        return raw

    # The task's thread.

    def read(self, timeout_s: float) -> Sequence[SourceRecord]:
        """The records of the next block; empty when none comes within the time.

        Raises `PostgresError`, and `DataError` for a value that cannot be read.
        """
        self._copied.try_again()
        item = self._waiting.get(timeout_s)
        if item is None:
            return []
        if isinstance(item, BaseException):
            raise item
        parts: list[Sequence[SourceRecord]] = []
        if isinstance(item, _Begun):
            self._begun_with(item.chunk)
        elif isinstance(item, _Finished):
            self._finished(item.chunk)
        else:
            self._take(item, parts)
        parts.append(self._events.take())
        return Stretches(parts) if len(parts) > 1 else parts[0]

    def _take(self, read: _Read, parts: list[Sequence[SourceRecord]]) -> None:
        table = self._tables[read.table]
        self._ended_is_not_last()
        if table.held is not None:
            self._emit(read.table, table.held)
        if read.first is not None:
            self._emit(read.table, read.first)
        for piece in read.between:
            if isinstance(piece, ReadyChanges):
                parts += [self._events.take(), piece]
                self._seen.read(str(self._plan.tables[read.table].id), piece.size)
                self._any = table.begun = True
                continue
            for row in piece:
                self._emit(read.table, row)
        table.held = read.last

    def _begun_with(self, chunk: Chunk) -> None:
        name = str(self._plan.tables[chunk.table].id)
        progress = {"current_collection_in_progress": name}
        if chunk.place == 0:
            self._note("IN_PROGRESS", {**progress, "data_collections": self._names})
        self._note_of(chunk, "TABLE_CHUNK_IN_PROGRESS", {**progress, "total_rows_scanned": str(self._seen.rows[name])})

    def _finished(self, chunk: Chunk) -> None:
        number, table = chunk.table, self._tables[chunk.table]
        table.pieces_left -= 1
        name = str(self._plan.tables[number].id)
        done = {"scanned_collection": name, "data_collections": self._captured, "status": "SUCCEEDED"}
        self._note_of(chunk, "TABLE_CHUNK_COMPLETED", done)
        if table.pieces_left == 0:
            self._seen.remaining -= 1
            rows = self._seen.rows[name] + (table.held is not None)
            self._note("TABLE_SCAN_COMPLETED", {**done, "total_rows_scanned": str(rows)})
            if table.held is not None:
                self._ended_is_not_last()
                self._ended = (number, table.held)
                table.held = None
        if not any(each.pieces_left for each in self._tables):
            if self._ended is not None:
                self._emit(*self._ended, ends_table=True, ends_all=True)
            self._seen.end("completed")
            self.done = True
            self._note("COMPLETED", {}, last=True)

    def _note(self, kind: str, more: Mapping[str, str], *, last: bool = False) -> None:
        offset = self._last_offset if last else self._offset
        self._notifications.send(INITIAL, kind, offset, self._position, more)

    def _note_of(self, chunk: Chunk, kind: str, more: Mapping[str, str]) -> None:
        if self._plan.division.ranges(self._plan.tables[chunk.table].id) > 1:
            self._note(kind, {**more, "chunk_index": str(chunk.place), "total_chunks": str(chunk.total)})

    def _ended_is_not_last(self) -> None:
        if self._ended is not None:
            self._emit(*self._ended, ends_table=True)
            self._ended = None

    def _emit(self, number: int, raw: RawRow, *, ends_table: bool = False, ends_all: bool = False) -> None:
        table = self._tables[number]
        if ends_all:
            mark = "last"
        elif not self._any:
            mark = "first"
        elif ends_table:
            mark = "last_in_data_collection"
        else:
            mark = AMONG_OTHERS if table.begun else "first_in_data_collection"
        try:
            self._events.row(
                "r",
                self._plan.tables[number],
                None,
                raw,
                self._position,
                self._last_offset if ends_all else self._offset,
                mark,
            )
        except DataError as error:
            self._seen.seen.erroneous += 1
            left_out(self._plan.failure_mode, error)
            return
        self._seen.read(str(self._plan.tables[number].id), 1)
        self._any = table.begun = True

    @property
    def waiting(self) -> tuple[int, int]:
        """Rows and bytes that wait to be handed on."""
        return self._waiting.rows, self._waiting.bytes

    def stop(self) -> None:
        """Ends the readers: also one whose COPY waits for a lock of its table, and does not see that it is stopped."""
        self._waiting.stop()
        self._seen.end("aborted")
        deadline, living = time.monotonic() + ENDS_WITHIN_S, list(self._readers)
        while living:
            look_again = time.monotonic() + CANCELLED_EVERY_S
            for thread, _ in living:
                thread.join(max(0.0, look_again - time.monotonic()))
            living = [each for each in living if each[0].is_alive()]
            if time.monotonic() >= deadline:
                break
            for _, connection in living:
                # What it begins only now, the next round meets.
                with contextlib.suppress(psycopg.Error):
                    connection.cancel_safe(timeout=CANCELLED_EVERY_S)
        for _ in living:
            _LOG.warning("A reader of the snapshot does not end; it is left to itself")


def transaction_id(connection: Connection) -> int | None:
    """The transaction that Debezium names in a snapshot: a new one of the session that looks."""
    found: Any = rows(connection, "SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE txid_current() END")
    return int(found[0][0])
