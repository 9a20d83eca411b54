"""From the replication stream to records: one message after the other, without a thread of its own.

The state is the position (`offsets.Position`) and what is outstanding at Kafka (`acknowledged.Acknowledged`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from moldau.connect.connectors.postgres import pgoutput
from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.direct import Direct, ReadyChanges, Run
from moldau.connect.connectors.postgres.events import ChangeRecord, Events, Step, left_out
from moldau.connect.connectors.postgres.filters import Predicate
from moldau.connect.connectors.postgres.offsets import Position, Resume
from moldau.connect.connectors.postgres.pgoutput import RawRow
from moldau.connect.connectors.postgres.replication import ReplicationStream, WalMessage, split
from moldau.connect.connectors.postgres.seen import Seen
from moldau.connect.connectors.postgres.signals import MARKS
from moldau.connect.connectors.postgres.table import StaleEnumError, TableSchema
from moldau.connect.connectors.postgres.tables import Tables
from moldau.connect.connectors.postgres.transactions import Transactions
from moldau.connect.connectors.postgres.visibility import HandedOn
from moldau.connect.data import Struct
from moldau.connect.errors import DataError
from moldau.connect.ready import Stretches
from moldau.connect.records import SourceRecord

# What came of messages: records made one by one, a run of ready ones, or where a transaction ended.
_Item: TypeAlias = "list[ChangeRecord] | ReadyChanges | int"


class _Still:
    """Without transaction metadata every event of a change has the same offset, and no block."""

    __slots__ = ("_step",)

    def __init__(self, block: Struct | None, offset: dict[str, Any]) -> None:
        self._step = (block, offset)

    def __call__(self) -> tuple[Struct | None, dict[str, Any]]:
        return self._step


class Onlooker(Protocol):
    """Looks at the stream: signals, and chunks of incremental snapshots."""

    @property
    def is_watching(self) -> bool:
        """Whether it looks at each row of the transaction at hand; otherwise rows of many tables go past it."""

    @property
    def watched_from(self) -> int | None:
        """Whether it looks at a transaction is to be asked from the one with this number on."""

    def on_row(self, kind: str, table: TableSchema, old: RawRow | None, new: RawRow | None) -> None:
        """A change of a captured table, before it becomes records."""

    def on_truncate(self, table: TableSchema) -> None:
        """All rows of a captured table are gone."""

    def on_mark(self, content: bytes) -> None:
        """A message of ours in the WAL."""


class Streaming:
    """Reads a stream. With `direct`, runs of messages go its short way while the onlooker does not look at each row."""

    def __init__(
        self,
        stream: ReplicationStream,
        tables: Tables,
        events: Events,
        transactions: Transactions,
        position: Position,
        resume: Resume,
        acknowledged: Acknowledged,
        *,
        skipped: frozenset[str] = frozenset("t"),
        message_wanted: Predicate = lambda _: True,
        failure_mode: str = "fail",
        onlooker: Onlooker | None = None,
        handed_on: HandedOn | None = None,
        direct: Direct | None = None,
        seen: Seen | None = None,
    ) -> None:
        self.position = position
        self._stream = stream
        self._tables = tables
        self._events = events
        self._transactions = transactions
        self._resume = resume
        self._acknowledged = acknowledged
        self._skipped = skipped
        self._message_wanted = message_wanted
        self._failure_mode = failure_mode
        self._onlooker = onlooker
        self._handed_on = handed_on
        self._direct = direct
        self._seen = seen or Seen()
        self._in_transaction = False
        self._skip_transaction = False
        self._ended: list[tuple[int, int]] = []
        """Transactions that ended in the messages at hand: behind how many records, and where in the WAL."""
        self._handlers: dict[type, Callable[[Any, int], None]] = {
            pgoutput.Insert: self._insert,
            pgoutput.Update: self._update,
            pgoutput.Delete: self._delete,
            pgoutput.Begin: self._begin,
            pgoutput.Commit: self._commit,
            pgoutput.Relation: self._relation,
            pgoutput.Truncate: self._truncate,
            pgoutput.LogicalMessage: self._message,
            pgoutput.Origin: self._origin,
            pgoutput.TypeName: lambda _type, _lsn: None,
        }

    def read(self, limit: int, timeout_s: float) -> Sequence[SourceRecord]:
        """Records of up to `limit` messages; empty when none came within `timeout_s`. Raises `PostgresError`."""
        messages = self._stream.receive(limit, timeout_s)
        if not messages:
            if not self._in_transaction:
                # All that the server had to send until here is handed on: it may forget it, however quiet our tables.
                self._acknowledged.passed(self._stream.received_lsn)
            return []
        return self.take(messages)

    def take(self, messages: list[WalMessage]) -> Sequence[SourceRecord]:
        """Records of messages. All of them or, when that raises, none: then the position is what it was."""
        before = dataclasses.replace(self.position)
        items: list[_Item] = []
        try:
            self._go_through(messages, items)
        except BaseException:
            # A look into the catalog may meet a connection that is gone; the server sends these messages again.
            self.position.go_back_to(before)
            self._events.take()
            self._ended = []
            raise
        parts = self._hand_on(items)
        if parts:
            self._seen.now(self.position.time_us)
        return parts[0] if len(parts) == 1 else Stretches(parts)

    def _go_through(self, messages: list[WalMessage], items: list[_Item]) -> None:
        place, count = 0, len(messages)
        if self._direct is not None:
            self._direct.try_again()
        while place < count:
            run = None
            if self._direct is not None and self._usual():
                watched_from = None if self._onlooker is None else self._onlooker.watched_from
                run = self._direct.run(messages, place, self.position, watched_from)
            if run is None:
                self._one(messages[place])
                place += 1
                continue
            self._seen.run(run.counts)
            if self._handed_on is not None:
                self._handed_on.add(run.begun)
            items += self._singles()
            items += self._ready(run, messages[place : place + run.messages])
            place += run.messages
        items += self._singles()

    def _singles(self) -> Iterator[_Item]:
        """Records that were made one by one, and where between them transactions end."""
        records, done = self._events.take(), 0
        for count, end_lsn in self._ended:
            yield records[done:count]
            yield end_lsn
            done = count
        yield records[done:]
        self._ended = []

    def _hand_on(self, items: list[_Item]) -> list[Sequence[SourceRecord]]:
        """Says what is on its way, and how far the stream has come between."""
        parts: list[Sequence[SourceRecord]] = []
        for item in items:
            if isinstance(item, int):
                self._acknowledged.passed(item)
                continue
            if not item:
                continue
            self._acknowledged.sent([item] if isinstance(item, ReadyChanges) else item)
            if parts and isinstance(item, list) and isinstance(parts[-1], list):
                parts[-1] += item
            else:
                parts.append(item)
        return parts

    def _one(self, wal: WalMessage) -> None:
        lsn, payload = split(wal)
        message = pgoutput.decode(payload)
        self._handlers[message.__class__](message, lsn)

    def _usual(self) -> bool:
        """Whether nothing depends on single events now."""
        if self._resume.waiting or self._skip_transaction or self._transactions.enabled:
            return False
        return self._onlooker is None or not self._onlooker.is_watching

    def _ready(self, run: Run, messages: list[WalMessage]) -> Iterator[_Item]:
        if run.in_transaction is not None:
            self._in_transaction = run.in_transaction
        if run.last_event is not None:
            again = partial(self._again, messages, run, self._tables.as_now())
            offset, confirm_lsn = run.last_event.to_map(), run.last_event.commit_lsn
            yield ReadyChanges(
                run.by_topic,
                run.headers,
                run.size,
                self._events.partition,
                offset,
                confirm_lsn,
                self._acknowledged,
                again,
            )
        if self.position.commit_lsn != run.began.commit_lsn:
            yield self.position.commit_lsn

    def _again(self, messages: list[WalMessage], run: Run, tables: Tables) -> Sequence[ChangeRecord]:
        """The records of a run, made as those of single messages are."""
        events = self._events.again(run.now_ns, run.origin)
        position, acknowledged = dataclasses.replace(run.began), Acknowledged()
        streaming = Streaming(self._stream, tables, events, self._transactions, position, Resume(None), acknowledged)
        for wal in messages:
            streaming._one(wal)
        return events.take()

    def _begin(self, message: pgoutput.Begin, lsn: int) -> None:
        position = self.position
        if self._handed_on is not None:
            self._handed_on.add((message.xid,))
        self._in_transaction = True
        self._skip_transaction = self._resume.begin(message.xid, message.final_lsn)
        self._events.origin = None
        if self._skip_transaction or self._resume.inside:
            # What comes again does not lead back: the count at an LSN goes on, and a heartbeat says where we are.
            return
        position.xid = message.xid
        position.time_us = message.commit_us
        position.lsn = lsn
        position.events_at_lsn = 0
        position.message_type = "BEGIN"
        if not self._skip_transaction and not self._resume.waiting:
            self._transactions.begin(position)

    def _commit(self, message: pgoutput.Commit, lsn: int) -> None:
        position = self.position
        done = self._skip_transaction
        self._in_transaction = self._skip_transaction = False
        self._resume.commit()
        if not done:
            position.lsn = position.commit_lsn = position.processed_lsn = message.end_lsn
            position.events_at_lsn = 0
            position.message_type = "COMMIT"
            self._seen.transactions += 1
            self._transactions.end(position)
        # Behind the records of the transaction: confirmed when they are.
        self._ended.append((len(self._events.out), message.end_lsn))

    def _relation(self, message: pgoutput.Relation, lsn: int) -> None:
        self._tables.announce(message)
        self._announce(message.oid)

    def _announce(self, oid: int) -> None:
        if self._direct is not None:
            self._direct.announce(oid, self._tables.get(oid))

    def _origin(self, message: pgoutput.Origin, lsn: int) -> None:
        self._events.origin = (message.name, message.lsn)

    def _offset(self, kind: str, lsn: int) -> dict[str, Any] | None:
        """Moves on to an event; its offset, or None when it was handed on before a restart."""
        if self._is_done(lsn):
            return None
        position = self.position
        position.events_at_lsn = position.events_at_lsn + 1 if lsn == position.lsn else 1
        position.lsn = position.processed_lsn = lsn
        position.message_type = kind
        return position.to_map()

    def _is_done(self, lsn: int) -> bool:
        """Whether an event was handed on before a restart. To be asked once of each."""
        return self._skip_transaction or (self._resume.waiting and self._resume.is_done(lsn))

    def _table(self, oid: int) -> TableSchema | None:
        try:
            return self._tables.get(oid)
        except KeyError:
            raise pgoutput.PgOutputError(f"a row of relation {oid} came before the relation was described") from None

    def _insert(self, message: pgoutput.Insert, lsn: int) -> None:
        self._change("INSERT", message.relation, None, message.new, lsn)

    def _update(self, message: pgoutput.Update, lsn: int) -> None:
        self._change("UPDATE", message.relation, message.old, message.new, lsn)

    def _delete(self, message: pgoutput.Delete, lsn: int) -> None:
        self._change("DELETE", message.relation, message.old, None, lsn)

    def _change(self, kind: str, oid: int, old: RawRow | None, new: RawRow | None, lsn: int) -> None:
        table = self._table(oid)
        if table is None:
            self._seen.filtered += 1
            return
        offset = self._offset(kind, lsn)
        if offset is None:
            return
        self._seen.change(kind, skipped=self._skipped)
        if self._onlooker is not None:
            self._onlooker.on_row(kind, table, old, new)
            # It may have handed on rows of its own, and keeps in the offset how far it has come.
            offset = self.position.to_map()
        before = len(self._events.out)
        try:
            self._emit(kind, table, old, new, offset)
        except StaleEnumError:
            del self._events.out[before:]
            self._emit(kind, self._tables.refresh_enums(oid), old, new, offset)
            self._announce(oid)
        except DataError as error:
            del self._events.out[before:]
            self._seen.erroneous += 1
            left_out(self._failure_mode, error)

    def _emit(
        self, kind: str, table: TableSchema, old: RawRow | None, new: RawRow | None, offset: dict[str, Any]
    ) -> None:
        if self._transactions.enabled:
            step: Step = partial(self._transactions.step, table.id, self.position)
        else:
            step = _Still(None, offset)
        if old is None and kind == "INSERT":
            self._events.insert(table, new or [], self.position, step)
        elif new is not None:
            self._events.update(table, old, new, self.position, step)
        else:
            self._events.delete(table, old or [], self.position, step)

    def _truncate(self, message: pgoutput.Truncate, lsn: int) -> None:
        tables = [table for oid in message.relations if (table := self._table(oid)) is not None]
        if "t" in self._skipped:
            if not self._is_done(lsn):
                self._emptied(tables)
            return
        handed_on = self.position.processed_lsn
        for number, table in enumerate(tables, 1):
            offset = self._offset("TRUNCATE", lsn)
            if offset is None:
                continue
            self._emptied((table,))
            self._seen.others += 1
            if number < len(tables):
                # Only with the last of its tables is the truncate wholly handed on.
                offset["lsn_proc"] = handed_on
            block = None
            if self._transactions.enabled:
                block, offset = self._transactions.step(table.id, self.position)
            self._events.truncate(table, self.position, offset, block)

    def _emptied(self, tables: Iterable[TableSchema]) -> None:
        if self._onlooker is not None:
            for table in tables:
                self._onlooker.on_truncate(table)

    def _message(self, message: pgoutput.LogicalMessage, lsn: int) -> None:
        if message.prefix == MARKS:
            # What goes out because of it comes again until it has arrived, as with a row of the signal table.
            if self._onlooker is not None and self._offset("INSERT", lsn) is not None:
                self._onlooker.on_mark(message.content)
            return
        if not self._message_wanted(message.prefix):
            return
        position = self.position
        handed_on, xid = position.processed_lsn, position.xid
        if not message.transactional:
            # It comes between transactions, where it stands in the WAL: all that was committed before has come.
            position.xid = None
            position.commit_lsn = handed_on = lsn
        offset = self._offset("MESSAGE", lsn)
        if offset is not None:
            self._seen.others += 1
            block = None
            if message.transactional and self._transactions.enabled:
                block, offset = self._transactions.step("message", position)
            offset["lsn_proc"] = handed_on or lsn
            self._events.message(message, position, offset, block)
        position.processed_lsn, position.xid = handed_on, xid
