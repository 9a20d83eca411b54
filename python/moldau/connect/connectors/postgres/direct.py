"""The short way of changes: runs of messages that become the bytes of records at once, in Rust (`moldau-change`).

A run ends in front of whatever is not usual (a message that is no change of a row, a changed key, a text that only
Python reads, a table that is not compiled); `Streaming` takes that one message its own way, and the next run begins
behind it. So both ways make the same records, and errors are raised in one place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from moldau._core import ChangeStream
from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.compiled import Compiler
from moldau.connect.connectors.postgres.events import ChangeRecord, Events
from moldau.connect.connectors.postgres.offsets import Position
from moldau.connect.connectors.postgres.replication import WalMessage
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.errors import RetriableError
from moldau.connect.ready import ReadyRecords

# After so many messages that were not usual, one after the other, the short way is tried less and less often.
PATIENCE_MAX: Final = 64
KINDS: Final = {ord("B"): "BEGIN", ord("C"): "COMMIT", ord("I"): "INSERT", ord("U"): "UPDATE", ord("D"): "DELETE"}
LETTERS: Final = {kind: letter for letter, kind in KINDS.items()}

Told = tuple[int, int, int, int, int | None, int, int]


def told(position: Position) -> Told:
    """A position as the compiled half takes it."""
    kind = LETTERS.get(position.message_type or "", 0)
    return (
        position.lsn,
        position.processed_lsn,
        position.commit_lsn,
        position.events_at_lsn,
        position.xid,
        position.time_us,
        kind,
    )


def move(position: Position, to: Told) -> None:
    """Takes over what the compiled half says."""
    position.lsn, position.processed_lsn, position.commit_lsn, position.events_at_lsn = to[:4]
    position.xid, position.time_us = to[4], to[5]
    position.message_type = KINDS.get(to[6], position.message_type)


@dataclass(frozen=True, slots=True)
class Run:
    """How far a run went and what it gave. `began` is the position before it, `last_event` that of its last event."""

    messages: int
    began: Position
    last_event: Position | None
    in_transaction: bool | None
    by_topic: Mapping[str, list[dict[str, Any]]]
    size: int
    headers: Mapping[str, list[tuple[str, str | bytes | None]]]
    now_ns: int
    origin: tuple[str, int] | None
    counts: tuple[int, int, int, int, int]
    begun: Sequence[int]
    """The numbers of transactions that began in it."""


class ReadyChanges(ReadyRecords):
    """Finished records of the connector. `again` makes them as `ChangeRecord`s, for whoever wants to look at one."""

    def __init__(
        self,
        messages: Mapping[str, list[dict[str, Any]]],
        headers: Mapping[str, list[tuple[str, str | bytes | None]]],
        size: int,
        partition: Mapping[str, Any],
        offset: Mapping[str, Any],
        confirm_lsn: int,
        acknowledged: Acknowledged,
        again: Callable[[], Sequence[ChangeRecord]],
    ) -> None:
        self.messages = messages
        self.headers = headers
        self.size = size
        self.source_partition = partition
        self.source_offset = offset
        self.confirm_lsn = confirm_lsn
        self.acknowledged = False
        self._acknowledged = acknowledged
        self._again = again

    def made(self) -> Sequence[ChangeRecord]:
        return self._again()

    def sent(self) -> None:
        self.messages = {}
        self._again = list

    def arrived(self) -> None:
        self._acknowledged.arrived(self)


class Direct:
    """Which tables have the short way, and what a run gives."""

    def __init__(self, compiler: Compiler, events: Events, never: Callable[[TableSchema], bool]) -> None:
        """`never` says of a table that its changes are looked at one by one."""
        self._compiler = compiler
        self._events = events
        self._never = never
        self._stream = ChangeStream()
        self._topics: dict[int, str] = {}
        self._headers: dict[str, list[tuple[str, str | bytes | None]]] = {}
        self._later: dict[int, TableSchema] = {}
        self._patience = 1
        self._wait = 0

    @staticmethod
    def suits(events: Events) -> bool:
        """Whether the settings make nothing of each change."""
        return not (events.settings.skipped & set("cud") or events.settings.only_changes)

    def announce(self, oid: int, table: TableSchema | None) -> None:
        """What rows under this OID belong to from now on; None when they are passed over."""
        self._later.pop(oid, None)
        if table is None:
            self._stream.put(oid, None)
            return
        self._stream.remove(oid)
        if self._never(table):
            return
        try:
            made = self._compiler.table(table)
        except RetriableError:
            self._later[oid] = table
            return
        if made is not None:
            self._topics[oid] = table.topic
            self._headers = {**self._headers, table.topic: self._compiler.headers(table.topic)}
            self._stream.put(oid, made)

    def try_again(self) -> None:
        """What could not be compiled for the moment (a registry that did not answer) may be now."""
        for oid, table in list(self._later.items()):
            self.announce(oid, table)

    def run(
        self, messages: list[WalMessage], start: int, position: Position, watched_from: int | None = None
    ) -> Run | None:
        """Goes through messages from the place `start` on, and moves `position`; None where the first is unusual.

        Transactions from the number `watched_from` on are unusual.
        """
        if self._wait:
            self._wait -= 1
            return None
        now_ns, events = self._events.clock(), self._events
        gone, behind, last, in_transaction, count, by_oid, counts, begun = self._stream.run(
            messages, start, told(position), now_ns, events.xmin, events.origin, watched_from
        )
        if not gone:
            self._wait = self._patience - 1
            self._patience = min(2 * self._patience, PATIENCE_MAX)
            return None
        self._patience = 1
        began, origin = dataclasses.replace(position), events.origin
        last_event = None
        if last is not None:
            move(position, last)
            last_event = dataclasses.replace(position)
        move(position, behind)
        if in_transaction is not None:
            events.origin = None
        by_topic: dict[str, list[dict[str, Any]]] = {}
        for oid, records in by_oid.items():
            by_topic.setdefault(self._topics[oid], []).extend(records)
        return Run(
            gone, began, last_event, in_transaction, by_topic, count, self._headers, now_ns, origin, counts, begun
        )
