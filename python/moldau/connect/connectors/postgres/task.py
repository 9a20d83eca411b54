"""The source task: first the snapshot, then the stream, and after a lost connection on from where it was.

Everything happens in `poll`, in the worker's thread: what is not polled waits in the server. `commit_record` and
`commit` say what has arrived in Kafka; only that is confirmed to PostgreSQL.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from moldau.connect.connectors.postgres import catalog, preparation, seen, source_info
from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.actions import Actions, BlockingSnapshot
from moldau.connect.connectors.postgres.catalog import TableId, Types
from moldau.connect.connectors.postgres.channels import Channel
from moldau.connect.connectors.postgres.compiled import Compiler
from moldau.connect.connectors.postgres.connection import Connection, rows, run
from moldau.connect.connectors.postgres.direct import Direct, ReadyChanges
from moldau.connect.connectors.postgres.errors import PostgresError
from moldau.connect.connectors.postgres.events import ChangeRecord, Events
from moldau.connect.connectors.postgres.filters import split_list
from moldau.connect.connectors.postgres.incremental import Incremental
from moldau.connect.connectors.postgres.notifications import INITIAL, Notifications
from moldau.connect.connectors.postgres.offsets import Position, Resume, Stored, blocking_map, snapshot_map
from moldau.connect.connectors.postgres.replication import (
    NewSlot,
    ReplicationStream,
    drop_slot,
    find_slot,
)
from moldau.connect.connectors.postgres.seen import Queue, Seen, SnapshotSeen
from moldau.connect.connectors.postgres.settings import Settings
from moldau.connect.connectors.postgres.snapshot import Snapshot, SnapshotPlan, transaction_id
from moldau.connect.connectors.postgres.streaming import Streaming
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.connectors.postgres.tables import Tables
from moldau.connect.connectors.postgres.transactions import Transactions
from moldau.connect.connectors.postgres.visibility import HandedOn, ServerView, Underway, Visibility
from moldau.connect.errors import ConfigError
from moldau.connect.plugin import Metric, RecordMetadata, SourceTask
from moldau.connect.ready import Stretches, stretches_of
from moldau.connect.records import SourceRecord

_LOG = logging.getLogger(__name__)
MESSAGES_SINCE: Final = 140000
"""The version of the server whose stream has messages."""


class PostgresSourceTask(SourceTask):
    def __init__(self) -> None:
        # What `stop` looks at, however far `start` came.
        self._stopping = threading.Event()
        self._busy = threading.Lock()
        self._channels: Sequence[Channel] = ()
        self._snapshot: Snapshot | None = None
        self._first: tuple[SnapshotPlan, Position] | None = None
        """The first snapshot, while it waits."""
        self._streaming: Streaming | None = None
        self._stream: ReplicationStream | None = None
        self._connection: Connection | None = None
        self._exporting: Connection | None = None
        self._drops_slot = False
        self._wanted: deque[BlockingSnapshot] = deque()
        """Blocking snapshots that are asked for; the first is being taken when there is a snapshot beside a stream."""

    def version(self) -> str:
        return source_info.DEBEZIUM_VERSION

    def start(self, props: Mapping[str, str]) -> None:
        """Connects, makes publication and slot, and decides about the snapshot. Raises `PostgresError`."""
        self._settings = settings = Settings(props)
        self._server = settings.server
        self._slot_name = settings.required("slot.name")
        self._seen, self._snapshot_seen = Seen(), SnapshotSeen()
        self._events = Events(settings.event_settings(props.get("task.id", "0")))
        self._transactions = Transactions(
            self._events, settings.topics, enabled=settings.flag("provide.transaction.metadata")
        )
        offered = self.context.direct_converters()
        self._compiler = None if offered is None else Compiler(offered, self._events)
        channels = split_list(settings.text("notification.enabled.channels"))
        topic = settings.text("notification.sink.topic.name")
        self._notifications = Notifications(self._events, channels, topic)
        self._acknowledged = Acknowledged()
        self._actions: Actions | None = None
        self._incremental: Incremental | None = None
        self._handed_on = HandedOn(self._stopping.wait)
        self._knows_handed_on = False
        """Whether it holds what was handed on before a restart, as far as that may be invisible."""
        self._stored: Stored | None = None
        self._failures = 0
        self._next_try = 0.0
        self._next_heartbeat = time.monotonic()
        self._next_xmin = 0.0
        found = self.context.offset_storage_reader().offset({"server": settings.prefix})
        if found:
            self._stored = Stored.read(found)
        self._position = self._stored.position if self._stored is not None else Position()
        self._reading_rows = self._stored is None or self._stored.snapshot_running
        self._channels = settings.open_channels()
        try:
            self._begin()
        except BaseException:
            self._release()
            self._close_channels()
            raise
        self._drops_slot = settings.flag("slot.drop.on.stop")

    def _begin(self) -> None:
        try:
            self._prepare()
            if not self._reading_rows:
                offset = self._position.to_map() if self._position.lsn else {}
                self._notifications.send(INITIAL, "SKIPPED", offset, self._position, {})
        except PostgresError as error:
            if not error.retriable:
                raise
            # A task that is moved while the server restarts: `poll` tries again.
            self._lost(error)

    # Preparation.

    def _prepare(self) -> None:
        settings = self._settings
        self._connection = connection = self._server.connect()
        timeout_ms = settings.number("database.query.timeout.ms")
        run(connection, f"SET statement_timeout = {timeout_ms}", "setting database.query.timeout.ms")
        state = catalog.server_state(connection)
        catalog.check_logical(state)
        self._tables = Tables(connection, Types(connection), settings.shape, settings.tables)
        captured = self._captured(connection)
        preparation.within_guardrail(settings, captured)
        slot = find_slot(connection, self._slot_name)
        course = preparation.course(settings, self._stored, slot)
        self._stream_after = course.stream
        if course.stream:
            preparation.prepare_identities(connection, settings, captured)
            preparation.prepare_publication(connection, settings, captured)
        new = None
        if course.snapshot or (slot is None and course.stream):
            self._exporting = exporting = self._server.connect_for_replication("slot")
            new = preparation.make_slot(
                connection, exporting, settings, slot, stream=course.stream, given_up=self._is_given_up
            )
        if new is not None:
            shown = Visibility.exported(connection, new.snapshot)
            self._handed_on.begin_behind(shown, Underway.now(connection))
            # One that was there has been read by others; what they hand on they may until it is ours.
            self._knows_handed_on = self._knows_handed_on or slot is None
        self._reading_rows = course.snapshot
        if course.snapshot:
            self._position = Position()
            self._prepare_snapshot(connection, captured, new, state)
        elif new is not None and not self._position.lsn:
            self._position.lsn = self._position.processed_lsn = new.consistent_lsn
        if not course.snapshot:
            self._end_export()

    def _captured(self, connection: Connection) -> list[TableId]:
        settings = self._settings
        found = catalog.list_tables(
            connection,
            via_partition_root=settings.flag("publish.via.partition.root"),
            system_too=not settings.flag("table.ignore.builtin"),
        )
        captured = [table for table in found if settings.tables(table)]
        if not captured:
            _LOG.warning(
                "No table of %s is captured: table.include.list and its like name none of its %d tables",
                self._server,
                len(found),
            )
        return captured

    def _prepare_snapshot(
        self, connection: Connection, captured: Sequence[TableId], new: NewSlot | None, state: catalog.ServerState
    ) -> None:
        settings = self._settings
        position = self._position
        position.lsn = position.processed_lsn = new.consistent_lsn if new is not None else state.lsn
        position.xid = transaction_id(connection)
        position.time_us = time.time_ns() // 1000
        wanted = [table for table in captured if settings.snapshot_tables(str(table))]
        # Signals of the past are nobody's.
        signals = [table for table in wanted if str(table) in settings.signal_table_names]
        others = preparation.in_order(connection, settings, [table for table in wanted if table not in signals])
        read = [self._tables.read(table) for table in others]
        plan = self._plan(
            [table for table in read if table is not None],
            settings.choice("snapshot.isolation.mode"),
            new.snapshot if new is not None else None,
            settings.overrides,
        )
        plan = dataclasses.replace(plan, passed_over=signals)
        # Where an exact snapshot was taken beside an older slot, the stream starts at that snapshot as well.
        position.snapshot_lsn = position.lsn if new is not None else 0
        delay_s = settings.number("snapshot.delay.ms") / 1000
        if delay_s and self._stopping.wait(delay_s):
            return
        self._first = (plan, dataclasses.replace(position))
        self._begin_first()

    def _begin_first(self) -> None:
        """Begins the first snapshot, unless it has an isolation of its own and would miss what the stream leaves out:
        commits from before the slot that are not visible yet.
        """
        assert self._first is not None
        plan, begun = self._first
        if not plan.takes_over:
            self._end_export()
            if plan.exported is not None and self._handed_on.visible(self._server_view) is None:
                return
        self._first = None
        self._begin_snapshot(plan, begun, lambda last: snapshot_map(begun, last=last))
        self._end_export()
        _LOG.info("Reading %d tables at %d", len(plan.tables), begun.lsn)

    def _plan(
        self, tables: Sequence[TableSchema], isolation: str, exported: str | None, selects: Mapping[TableId, str]
    ) -> SnapshotPlan:
        settings = self._settings
        return SnapshotPlan(
            tables,
            isolation,
            exported,
            selects,
            settings.division,
            settings.block_size,
            settings.waiting,
            settings.choice("snapshot.locking.mode") == "shared",
            settings.number("snapshot.lock.timeout.ms"),
            settings.choice("event.processing.failure.handling.mode"),
        )

    def _begin_snapshot(self, plan: SnapshotPlan, position: Position, offset: Callable[[bool], dict[str, Any]]) -> None:
        self._snapshot = Snapshot(
            self._server,
            plan,
            self._events,
            position,
            offset,
            self._acknowledged,
            self._compiler,
            self._snapshot_seen,
            self._notifications,
        )
        self._snapshot.start()

    def _begin_blocking(self, wanted: BlockingSnapshot, connection: Connection) -> None:
        """Reads tables while the stream waits, in a snapshot of this moment. Raises `PostgresError`."""
        # That of the transaction in which the stream waits; rows of a snapshot have none.
        self._interrupted_origin, self._events.origin = self._events.origin, None
        # As in Debezium its rows are of where the stream waits, and of this moment.
        position = dataclasses.replace(self._position, time_us=time.time_ns() // 1000)
        tables = preparation.in_order(connection, self._settings, wanted.tables)
        read = [table for each in tables if (table := self._tables.read(each)) is not None]
        waits_at = dataclasses.replace(self._position)
        with contextlib.closing(self._server.connect("snapshot")) as exporting:
            run(exporting, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", "beginning a blocking snapshot")
            exported = rows(exporting, "SELECT pg_export_snapshot()", doing="exporting a snapshot")[0][0]
            plan = self._plan(read, "repeatable_read", exported, wanted.selects)
            self._begin_snapshot(plan, position, lambda last: blocking_map(waits_at, last=last))
        _LOG.info("The stream waits while %d tables are read, as the signal %s asks", len(read), wanted.id)

    _interrupted_origin: tuple[str, int] | None = None

    def _end_export(self) -> None:
        if self._exporting is not None:
            self._exporting.close()
            self._exporting = None

    # Records.

    def poll(self) -> Sequence[SourceRecord] | None:
        with self._busy:
            if self._stopping.is_set():
                return None
            try:
                records = self._read()
            except PostgresError as error:
                if not error.retriable:
                    raise
                self._lost(error)
                return None
            self._failures = 0 if records else self._failures
            return records or None

    def _read(self) -> Sequence[SourceRecord]:
        wait_s = self._settings.number("poll.interval.ms") / 1000
        if self._next_try:
            if self._stopping.wait(min(wait_s, max(0.0, self._next_try - time.monotonic()))):
                return []
            if time.monotonic() < self._next_try:
                return []
            self._reconnect()
        elif self._first is not None:
            self._begin_first()
        if self._first is not None:
            self._stopping.wait(wait_s)
            return []
        if self._snapshot is not None:
            return self._read_snapshot(self._snapshot, wait_s)
        if not self._stream_after:
            self._stopping.wait(wait_s)
            return []
        if self._streaming is None:
            self._start_stream()
        assert self._streaming is not None
        assert self._actions is not None
        self._actions.poll()
        if self._wanted:
            # A chunk would wait for the same.
            if self._handed_on.visible(self._server_view) is not None:
                return self._read_blocking(self._wanted[0], wait_s)
        elif self._obeys:
            self._handed_on.keep_short(self._server_view)
            if self._incremental is not None:
                self._incremental.step()
        notes = self._events.take()
        self._acknowledged.sent(notes)
        if notes:
            return notes
        asked = len(self._wanted)
        try:
            records = self._streaming.read(self._settings.number("max.batch.size"), wait_s)
        except PostgresError:
            # Its messages come again, and so does what signals among them ask for.
            while len(self._wanted) > asked:
                self._wanted.pop()
            raise
        try:
            beats = self._beats()
        except PostgresError as error:
            if not error.retriable:
                raise
            # What was read counts as handed on.
            self._lost(error)
            return records
        return Stretches([*stretches_of(records), beats]) if beats else records

    @property
    def _obeys(self) -> bool:
        """Whether signals may ask for snapshots."""
        return self._incremental is not None or bool(self._channels)

    @property
    def _server_view(self) -> ServerView:
        assert self._connection is not None
        return ServerView(self._connection)

    def _is_given_up(self) -> bool:
        return self._stopping.is_set() or self.context.given_up()

    def _read_snapshot(self, snapshot: Snapshot, wait_s: float) -> Sequence[SourceRecord]:
        try:
            records = snapshot.read(wait_s)
        except PostgresError as error:
            if self._streaming is None or error.retriable:
                raise
            return self._given_up(self._wanted[0], error)
        for part in stretches_of(records):
            self._acknowledged.sent([part] if isinstance(part, ReadyChanges) else part)  # type: ignore[arg-type]
        if snapshot.done:
            snapshot.stop()
            self._snapshot = None
            if self._streaming is not None:
                self._end_blocking()
                return records
            self._reading_rows = False
            self._position.message_type = None
            _LOG.info("The snapshot is complete: %d rows", sum(self._snapshot_seen.rows.values()))
            delay_s = self._settings.number("streaming.delay.ms") / 1000
            if delay_s:
                self._stopping.wait(delay_s)
        return records

    def _read_blocking(self, wanted: BlockingSnapshot, wait_s: float) -> Sequence[SourceRecord]:
        """Begins a blocking snapshot, or gives up one that the server refuses: the stream goes on then."""
        assert self._connection is not None
        try:
            self._begin_blocking(wanted, self._connection)
        except PostgresError as error:
            if error.retriable:
                raise
            return self._given_up(wanted, error)
        assert self._snapshot is not None
        return self._read_snapshot(self._snapshot, wait_s)

    def _end_blocking(self) -> None:
        """The stream goes on, as a rule in the middle of a transaction."""
        self._wanted.popleft()
        self._events.origin = self._interrupted_origin

    def _given_up(self, wanted: BlockingSnapshot, error: PostgresError) -> Sequence[SourceRecord]:
        _LOG.warning("The blocking snapshot that the signal %s asks for is given up: %s", wanted.id, error)
        if self._snapshot is not None:
            self._snapshot.stop()
            self._snapshot = None
        self._end_blocking()
        self._notifications.send(INITIAL, "ABORTED", self._position.to_map(), self._position, {})
        records = self._events.take()
        self._acknowledged.sent(records)
        return records

    def _start_stream(self) -> None:
        settings, position = self._settings, self._position
        self._stream = ReplicationStream(
            self._server,
            self._slot_name,
            settings.required("publication.name"),
            position.done_before,
            parameters=settings.stream_parameters,
            status_interval_s=settings.number("status.update.interval.ms") / 1000,
            receive_bytes=settings.block_size.bytes,
        )
        assert self._connection is not None
        self._prepare_signals(position, self._connection)
        if self._obeys and not self._knows_handed_on:
            # The slot is ours now: nobody else hands on any more.
            self._handed_on.suspect(Underway.now(self._connection))
        self._knows_handed_on = True
        self._streaming = Streaming(
            self._stream,
            self._tables,
            self._events,
            self._transactions,
            position,
            Resume(dataclasses.replace(position)),
            self._acknowledged,
            skipped=settings.skipped,
            message_wanted=settings.message_wanted,
            failure_mode=settings.choice("event.processing.failure.handling.mode"),
            onlooker=self._incremental,
            handed_on=self._handed_on if self._obeys else None,
            direct=self._direct(),
            seen=self._seen,
        )
        _LOG.info("Streaming from the slot %s", self._slot_name)

    def _direct(self) -> Direct | None:
        """The short way of changes, when the worker and the settings allow it."""
        if self._compiler is None or not Direct.suits(self._events):
            return None
        signal_table = None if self._incremental is None else self._incremental.signal_table
        return Direct(self._compiler, self._events, lambda table: table.id == signal_table)

    def _prepare_signals(self, position: Position, connection: Connection) -> None:
        """What obeys signals, and with a signal table incremental snapshots."""
        settings = self._settings
        self._actions = Actions(
            position,
            lambda: self._captured(connection),
            self._wanted.append,
            self._channels,
            settings.number("signal.poll.interval.ms") / 1000,
        )
        self._incremental = None
        table, read_only = settings.signal_table, settings.flag("read.only")
        if read_only and connection.info.server_version < MESSAGES_SINCE:
            raise ConfigError(
                "read.only=true needs PostgreSQL 14 or newer, whose stream has messages", name="read.only"
            )
        if table is not None or read_only:
            self._incremental = self._actions.incremental = Incremental(
                connection,
                self._tables,
                self._events,
                position,
                table,
                self._actions.obey,
                self._notifications,
                self._handed_on,
                chunk_rows=settings.number("incremental.snapshot.chunk.size"),
                delete_marks=(settings.text("incremental.snapshot.watermarking.strategy") or "").lower()
                == "insert_delete",
                read_only=read_only,
            )

    def _beats(self) -> list[ChangeRecord]:
        """Heartbeats and the slot's xmin, when their time has come."""
        now = time.monotonic()
        xmin_s = self._settings.number("xmin.fetch.interval.ms") / 1000
        if xmin_s and now >= self._next_xmin and self._connection is not None:
            self._next_xmin = now + xmin_s
            statement = "SELECT catalog_xmin::text::int8 FROM pg_replication_slots WHERE slot_name = %s"
            found = rows(self._connection, statement, (self._slot_name,))
            self._events.xmin = found[0][0] if found else None
        beat_s = self._settings.number("heartbeat.interval.ms") / 1000
        if not beat_s or now < self._next_heartbeat:
            return []
        self._next_heartbeat = now + beat_s
        query = self._settings.text("heartbeat.action.query")
        if query is not None and self._connection is not None:
            run(self._connection, query, "running heartbeat.action.query")
        self._events.heartbeat(self._position, self._position.to_map())
        beats = self._events.take()
        self._acknowledged.sent(beats)
        return beats

    # Failures.

    def _lost(self, error: PostgresError) -> None:
        """A connection is gone: try again after a while, `errors.max.retries` times."""
        if self._is_given_up():
            self._next_try = time.monotonic()
            self._release()
            return
        most = self._settings.number("errors.max.retries")
        if 0 <= most <= self._failures:
            raise error
        self._failures += 1
        wait_s = self._settings.number("retriable.restart.connector.wait.ms") / 1000
        _LOG.warning("%s; trying again in %.1f s", error, wait_s)
        self._next_try = time.monotonic() + wait_s
        self._release()
        self._events.take()

    def _reconnect(self) -> None:
        # What was handed on is where we go on; a snapshot that was not finished starts again.
        if self._position.lsn:
            self._stored = Stored(dataclasses.replace(self._position), snapshot_running=self._reading_rows)
            self._position = self._stored.position
        self._prepare()
        self._next_try = 0.0

    _reading_rows = False
    """Whether there is a snapshot to take, or to begin again: until its last row has been handed on."""

    def _release(self) -> None:
        """Closes everything; nothing of it raises."""
        # The slot is free before readers of a snapshot end, which may take a while.
        if self._stream is not None:
            self._stream.close()
        self._stream = self._streaming = None
        if self._snapshot is not None:
            self._snapshot.stop()
            self._snapshot = None
        self._first = None
        for connection in (self._connection, self._exporting):
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.close()
        self._connection = self._exporting = None

    def _close_channels(self) -> None:
        channels, self._channels = self._channels, ()
        for channel in channels:
            channel.close()

    # What others look at.

    def metrics(self) -> Iterable[Metric]:
        settings = self._settings
        snapshot, connected = self._snapshot, self._stream is not None
        rows, size = (0, 0) if snapshot is None else snapshot.waiting
        queue = Queue(*settings.waiting, rows, size)
        self._snapshot_seen.paused = self._incremental is not None and self._incremental.paused
        return seen.metrics(settings.prefix, self._seen, self._snapshot_seen, queue, connected=connected)

    # What has arrived.

    def commit_record(self, record: SourceRecord, metadata: RecordMetadata | None) -> None:
        if isinstance(record, ChangeRecord):
            self._acknowledged.arrived(record)

    def commit(self) -> None:
        stream = self._stream
        if stream is not None and self._acknowledged.lsn and self._settings.confirms:
            with contextlib.suppress(PostgresError):
                # A broken connection is met, and mended, by the next poll.
                stream.confirm(self._acknowledged.lsn)

    def stop(self) -> None:
        self._stopping.set()
        with self._busy:
            for wanted in self._wanted:
                _LOG.warning(
                    "The task ends before the blocking snapshot is complete that the signal %s asks for: ask again",
                    wanted.id,
                )
            self._release()
            self._close_channels()
            if self._drops_slot:
                with contextlib.closing(self._server.connect()) as connection:
                    if find_slot(connection, self._slot_name) is not None:
                        drop_slot(connection, self._slot_name)
