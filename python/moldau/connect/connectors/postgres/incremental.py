"""Incremental snapshots: tables read in chunks while the stream goes on, begun by a signal (Debezium's DDD-3).

A chunk is read between two messages of the stream, and a mark behind it is written into the signal table. Of what the
stream brings until that mark comes by, the transactions that the read did not see (`visibility.py`) are newer than the
chunk: rows that they change are dropped from it. The rest goes out at the mark. A chunk is not read while a transaction
that was handed on before is not visible. So no row goes back, wherever a commit stands in the WAL.

Debezium writes a mark in front of the chunk, too, and compares what comes between both; so does ours, for others who
read the signal table. With `read.only` no table is written: the mark is a message in the WAL. Where it stands is kept
in the offset with each row: a restart goes on with the next chunk.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import psycopg

from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.chunks import qualified, range_of
from moldau.connect.connectors.postgres.connection import Connection, identifier, literal, run
from moldau.connect.connectors.postgres.copying import BlockSize, copy_blocks, rows_of
from moldau.connect.connectors.postgres.errors import explained
from moldau.connect.connectors.postgres.events import Events
from moldau.connect.connectors.postgres.notifications import INCREMENTAL, Notifications, listed
from moldau.connect.connectors.postgres.offsets import Position, not_yet
from moldau.connect.connectors.postgres.pgoutput import UNCHANGED, RawRow
from moldau.connect.connectors.postgres.signals import MARKS, WINDOW_CLOSE, WINDOW_OPEN, Signal, read_signal
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.connectors.postgres.tables import Tables
from moldau.connect.connectors.postgres.visibility import NUMBERS, HandedOn, ServerView, Visibility

_LOG = logging.getLogger(__name__)

# Where the state stands in an offset. Debezium's own keys hold serialized Java objects, which only Java reads.
STATE: Final = "incremental_snapshot_moldau"
CHUNK_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Work:
    """One table that is to be read. `last` is the key of the last row that was, `maximum` where to stop."""

    schema: str
    name: str
    condition: str | None = None
    last: list[str] | None = None
    maximum: list[str] | None = None
    rows: int = 0
    stopped: bool = False
    """Read no more, once the chunk that is on its way has gone out."""

    @property
    def id(self) -> TableId:
        return TableId(self.schema, self.name)


@dataclass(slots=True)
class Chunk:
    """Rows on their way: of what the read has `seen`, the last of them with the key `end`, None for an empty chunk."""

    id: str
    seen: Visibility
    end: list[str] | None = None
    window: dict[tuple[Any, ...], RawRow] = field(default_factory=dict)
    """By key, without those that were changed since."""


class Incremental:
    """Does what signals ask, and reads a chunk when the one before has gone out (`step`)."""

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        events: Events,
        position: Position,
        signal_table: TableId | None,
        obey: Callable[[Signal], None],
        notifications: Notifications,
        handed_on: HandedOn,
        *,
        chunk_rows: int,
        delete_marks: bool = False,
        read_only: bool = False,
    ) -> None:
        """`obey` takes the signals of the table, if there is one; without it, it is to be `read_only`."""
        self._connection = connection
        self._server = ServerView(connection)
        self._tables = tables
        self._events = events
        self._position = position
        self._obey = obey
        self._notifications = notifications
        self._correlation: str | None = None
        self._in_row = False
        self.signal_table = signal_table
        self._chunk_rows = chunk_rows
        self._delete_marks = delete_marks
        self._read_only = read_only
        self._queue: deque[Work] = deque()
        self._paused = False
        self._handed_on = handed_on
        self._table: TableSchema | None = None
        self._chunk: Chunk | None = None
        """What was read and waits for its closing mark."""
        stored = position.incremental.get(STATE)
        if stored:
            self._queue.extend(Work(**entry) for entry in json.loads(stored))

    def on_row(self, kind: str, table: TableSchema, old: RawRow | None, new: RawRow | None) -> None:
        """Every change of the stream, before it is handed on."""
        self._in_row = True
        try:
            if table.id == self.signal_table:
                if kind == "INSERT" and new is not None:
                    self._signalled(new)
            elif self._chunk is not None and self.is_watching and table.id == self._queue[0].id:
                for row in (old, new):
                    if row is not None:
                        self._chunk.window.pop(self._key(row, table), None)
        finally:
            self._in_row = False

    def on_truncate(self, table: TableSchema) -> None:
        """What a chunk holds of a table that is emptied since has not come."""
        if self._chunk is not None and self.is_watching and table.id == self._queue[0].id:
            self._chunk.window.clear()

    def on_mark(self, content: bytes) -> None:
        """A message of the stream that is a mark."""
        id_, _, kind = content.decode(errors="replace").partition(" ")
        self._in_row = True
        try:
            self._take(Signal(id_, kind, {}))
        finally:
            self._in_row = False

    def _signalled(self, row: RawRow) -> None:
        signal = read_signal(row)
        if signal is not None:
            self._take(signal)

    def _take(self, signal: Signal) -> None:
        if signal.type == WINDOW_CLOSE:
            self._closed(signal)
        elif signal.type != WINDOW_OPEN:
            self._obey(signal)

    @property
    def is_watching(self) -> bool:
        """Whether changes of the transaction at hand are newer than a chunk that was read, and compared with it."""
        xid = self._position.xid
        return self._chunk is not None and (xid is None or not self._chunk.seen.sees(xid))

    @property
    def watched_from(self) -> int | None:
        """The first transaction of which that may be true, those before it are none; None when it is of none."""
        return None if self._chunk is None else self._chunk.seen.xmin % NUMBERS

    @staticmethod
    def _key(row: RawRow, table: TableSchema) -> tuple[Any, ...]:
        return tuple(row[index] if row[index] is not UNCHANGED else None for index in table.key_indexes)

    # Signals.

    def pause(self, *, paused: bool) -> None:
        """`pause-snapshot` and `resume-snapshot`; there is nothing to pause while nothing is read.

        A pause holds until it is taken back, as in Debezium, also for what is asked for next.
        """
        if not self._queue:
            self._paused = self._paused and paused
            return
        if self._paused == paused:
            return
        self._paused = paused
        self._note("PAUSED" if paused else "RESUMED", data_collections=self._names())

    def execute(self, id_: str, tables: Sequence[TableId], conditions: Mapping[TableId, str]) -> None:
        """Read these tables, after those that are being read; of some only the rows that meet a condition."""
        began = bool(self._queue)
        self._correlation = id_
        for table in tables:
            if any(work.id == table and not work.stopped for work in self._queue):
                continue
            self._queue.append(Work(table.schema, table.name, conditions.get(table)))
            _LOG.info("An incremental snapshot of %s is asked for by the signal %s", table, id_)
        self._save()
        if not began:
            self._note("STARTED", data_collections=self._names())
            # What is asked right behind it, to pause or to stop, is asked of a snapshot that has begun, as in Debezium.
            self.step()

    def stop(self, tables: Sequence[TableId] | None) -> None:
        """Read these tables no more, None for all, once the chunk that was read has gone out, as Debezium does."""
        stopped = [work for work in self._queue if not work.stopped and (tables is None or work.id in tables)]
        if not stopped:
            _LOG.warning("No incremental snapshot is stopped: none of these tables is being read")
            return
        for work in stopped:
            work.stopped = True
        self._save()
        if self._chunk is None:
            self._abort()

    def _abort(self) -> None:
        stopped = {work.id for work in self._queue if work.stopped}
        if self._queue[0].stopped:
            self._forget_chunk()
        self._queue = deque(work for work in self._queue if not work.stopped)
        self._save()
        if not self._queue:
            self._note("COMPLETED")
        self._note("ABORTED", data_collections=listed(sorted(stopped)))
        if not self._queue:
            self._paused, self._correlation = False, None

    @property
    def paused(self) -> bool:
        return self._paused

    def _names(self) -> str:
        return listed(work.id for work in self._queue)

    def _note(self, kind: str, **more: str) -> None:
        offset = self._position.to_map()
        if self._in_row:
            # The change that is being looked at is not handed on yet.
            offset = not_yet(offset)
        self._notifications.send(INCREMENTAL, kind, offset, self._position, more, self._correlation)

    def _scanned(self, status: str) -> None:
        done = {"data_collections": self._names(), "scanned_collection": str(self._queue[0].id), "status": status}
        self._note("TABLE_SCAN_COMPLETED", **done, total_rows_scanned=str(self._queue[0].rows))

    def _forget_chunk(self) -> None:
        self._chunk = self._table = None

    def _save(self) -> None:
        state = [asdict(work) for work in self._queue]
        self._position.incremental = {STATE: json.dumps(state)} if state else {}

    # Chunks.

    def step(self) -> None:
        """Reads the next chunk, if one is wanted, none is on its way and the server shows what was handed on.

        Raises `PostgresError`.
        """
        if self._chunk is None and any(work.stopped for work in self._queue):
            # Whoever was to stop it has ended before its last chunk had gone out.
            self._abort()
        while self._queue and self._chunk is None and not self._paused:
            work = self._queue[0]
            if self._table is None or self._table.id != work.id:
                self._table = self._tables.read(work.id)
            if self._table is None or not self._table.key_indexes:
                why = "is gone" if self._table is None else "has no key"
                _LOG.warning("No incremental snapshot of %s: the table %s", work.id, why)
                self._done("UNKNOWN_SCHEMA" if self._table is None else "NO_PRIMARY_KEY")
                continue
            seen = self._handed_on.visible(self._server)
            if seen is None:
                return
            self._read_chunk(work, self._table, seen)

    def _done(self, status: str) -> None:
        self._scanned(status)
        self._queue.popleft()
        self._forget_chunk()
        self._save()
        if not self._queue:
            self._note("COMPLETED")
            self._correlation = None

    def _read_chunk(self, work: Work, table: TableSchema, seen: Visibility) -> None:
        """`seen` is of before: what is committed meanwhile counts as newer than the chunk, and may be in it."""
        keys = [table.table.columns[index].name for index in table.key_indexes]
        if work.maximum is None:
            work.maximum = self._maximum(work, table, keys)
            if work.maximum is None:
                _LOG.info("The incremental snapshot of %s is complete", work.id)
                self._done("EMPTY")
                return
        chunk = Chunk(str(uuid.uuid4()), seen)
        if not self._read_only:
            self._mark(chunk, "open", WINDOW_OPEN)
        rows_ = self._copy(self._select(work, table, keys, self._chunk_rows))
        chunk.window = {self._key(row, table): row for row in rows_}
        # Kept apart: the last row of the chunk may be dropped from the window, and the next chunk begins behind it.
        chunk.end = [part.decode() for part in self._key(rows_[-1], table)] if rows_ else None
        self._mark(chunk, "close", WINDOW_CLOSE)
        self._chunk = chunk
        work.rows += len(rows_)
        if chunk.end is not None:
            keys_ = {"maximum_key": ",".join(work.maximum), "last_processed_key": ",".join(chunk.end)}
            progress = {"data_collections": self._names(), "current_collection_in_progress": str(work.id)}
            self._note("IN_PROGRESS", **progress, **keys_)

    def _copy(self, select: str) -> list[RawRow]:
        size = BlockSize(self._chunk_rows, CHUNK_BYTES)
        try:
            blocks = list(copy_blocks(self._connection, f"COPY ({select}) TO STDOUT", size))
            return [row for block in blocks for row in rows_of(block.lines)]
        except psycopg.Error as error:
            raise explained(error, "reading a chunk of an incremental snapshot") from error

    def _select(self, work: Work, table: TableSchema, keys: list[str], limit: int) -> str:
        columns = ", ".join(identifier(column.name) for column in table.table.columns)
        quoted = ", ".join(map(identifier, keys))
        assert work.maximum is not None
        conditions = range_of(keys, work.last, work.maximum)
        if work.condition:
            conditions.append(f"({work.condition})")
        where = " AND ".join(conditions)
        source = qualified(work.id)
        # Names and values are quoted; the condition is the operator's own.
        return f"SELECT {columns} FROM {source} WHERE {where} ORDER BY {quoted} LIMIT {limit}"  # noqa: S608

    def _maximum(self, work: Work, table: TableSchema, keys: list[str]) -> list[str] | None:
        """The last key there is now: rows that come later come with the stream."""
        quoted = ", ".join(map(identifier, keys))
        backwards = ", ".join(f"{identifier(key)} DESC" for key in keys)
        where = f" WHERE {work.condition}" if work.condition else ""
        source = qualified(work.id)
        found = self._copy(f"SELECT {quoted} FROM {source}{where} ORDER BY {backwards} LIMIT 1")  # noqa: S608
        return [part.decode() for part in found[0] if isinstance(part, bytes)] if found else None

    def _mark(self, chunk: Chunk, suffix: str, kind: str) -> None:
        if self._read_only:
            content = literal(f"{chunk.id}-{suffix} {kind}")
            emit = f"SELECT pg_logical_emit_message(true, {literal(MARKS)}, {content})"
            self._write(emit, "writing a mark of an incremental snapshot into the WAL (read.only)")
            return
        assert self.signal_table is not None
        table = qualified(self.signal_table)
        told = json.dumps({f"{suffix}WindowTimestamp": time.time_ns() // 1_000_000})
        values = ", ".join(map(literal, (f"{chunk.id}-{suffix}", kind, told)))
        doing = f"writing a mark into the signal table {self.signal_table}"
        if suffix == "close" and self._delete_marks:
            opened = literal(f"{chunk.id}-open")
            self._write(f"DELETE FROM {table} WHERE id = {opened}", doing)  # noqa: S608
        self._write(f"INSERT INTO {table} VALUES ({values})", doing)  # noqa: S608

    def _write(self, statement: str, doing: str) -> None:
        # A mark is of no use after a failover, so the stream does not stand still until a standby has it. Both
        # statements are sent as one, which makes them one transaction.
        run(self._connection, f"SET LOCAL synchronous_commit = local; {statement}", doing)

    def _closed(self, signal: Signal) -> None:
        chunk = self._chunk
        if chunk is None or signal.id != f"{chunk.id}-close" or self._table is None:
            # Of a chunk from before a restart: it is read again.
            return
        table, work = self._table, self._queue[0]
        self._chunk = None
        for row in chunk.window.values():
            work.last = [part.decode() for part in self._key(row, table) if isinstance(part, bytes)]
            self._save()
            offset = self._position.to_map()
            self._events.row("r", table, None, row, self._position, offset, "incremental")
        work.last = chunk.end
        if any(each.stopped for each in self._queue):
            self._abort()
            if self._table is None:
                return
        if work.last is None or work.last == work.maximum:
            _LOG.info("The incremental snapshot of %s is complete", work.id)
            self._done("SUCCEEDED")
        else:
            self._save()
