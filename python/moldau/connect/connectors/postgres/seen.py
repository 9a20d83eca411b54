"""What the connector has seen, as Debezium's metrics tell it (`moldau.observe.connect`).

Numbers are changed by the task's thread, for runs of changes at once; whoever scrapes reads them without a lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from moldau.connect.plugin import Metric
from moldau.observe.connect import DEBEZIUM, ROWS_SCANNED

_MS: Final = 1_000_000
_LETTERS: Final = {"INSERT": "c", "UPDATE": "u", "DELETE": "d"}


@dataclass(slots=True)
class Seen:
    """Changes of the stream, or rows of a snapshot."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    others: int = 0
    """Rows of a snapshot, truncates, messages."""
    filtered: int = 0
    erroneous: int = 0
    transactions: int = 0
    behind_ms: int = -1
    last_event_ns: int = 0

    def run(self, counts: tuple[int, int, int, int, int]) -> None:
        """A run of changes: created, updated, deleted, passed over, and ends of transactions."""
        created, updated, deleted, filtered, transactions = counts
        self.created += created
        self.updated += updated
        self.deleted += deleted
        self.filtered += filtered
        self.transactions += transactions

    def change(self, kind: str, *, skipped: frozenset[str]) -> None:
        """One change by itself: INSERT, UPDATE or DELETE. `skipped` are the letters of `skipped.operations`."""
        if _LETTERS[kind] in skipped:
            self.filtered += 1
        elif kind == "INSERT":
            self.created += 1
        elif kind == "UPDATE":
            self.updated += 1
        else:
            self.deleted += 1

    def now(self, committed_us: int = 0) -> None:
        """Events were read, the last of them committed at this time."""
        self.last_event_ns = time.time_ns()
        if committed_us:
            self.behind_ms = max(0, self.last_event_ns // _MS - committed_us // 1000)

    def numbers(self) -> dict[str, float]:
        """By attribute."""
        since = (time.time_ns() - self.last_event_ns) // _MS if self.last_event_ns else -1
        return {
            "TotalNumberOfEventsSeen": self.created + self.updated + self.deleted + self.others,
            "TotalNumberOfCreateEventsSeen": self.created,
            "TotalNumberOfUpdateEventsSeen": self.updated,
            "TotalNumberOfDeleteEventsSeen": self.deleted,
            "NumberOfEventsFiltered": self.filtered,
            "NumberOfErroneousEvents": self.erroneous,
            "MilliSecondsSinceLastEvent": since,
        }


@dataclass(slots=True)
class Queue:
    """What waits between readers and the task, and what may."""

    rows_max: int
    bytes_max: int
    rows: int = 0
    bytes: int = 0

    def numbers(self) -> dict[str, float]:
        """By attribute."""
        return {
            "QueueTotalCapacity": self.rows_max,
            "QueueRemainingCapacity": max(0, self.rows_max - self.rows),
            "MaxQueueSizeInBytes": self.bytes_max,
            "CurrentQueueSizeInBytes": self.bytes,
        }


@dataclass(slots=True)
class SnapshotSeen:
    """The snapshot of now, or the last one."""

    state: str = "skipped"
    tables: int = 0
    remaining: int = 0
    paused: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    _began: float = 0.0
    _ended: float = 0.0

    def begin(self, tables: list[str]) -> None:
        """Rows are read from here."""
        self.state, self.tables, self.remaining = "running", len(tables), len(tables)
        self.rows = dict.fromkeys(tables, 0)
        self._began, self._ended = time.monotonic(), 0.0

    def end(self, state: str) -> None:
        """It is `completed` or `aborted`."""
        if self.state == "running":
            self.state, self._ended = state, time.monotonic()

    def read(self, table: str, count: int) -> None:
        """Rows of a table were handed on."""
        self.rows[table] += count
        self.seen.others += count
        self.seen.now()

    def numbers(self) -> dict[str, float]:
        """By attribute."""
        took = (self._ended or time.monotonic()) - self._began if self._began else 0
        states = {f"Snapshot{state.title()}": self.state == state for state in _STATES}
        return {
            **self.seen.numbers(),
            "TotalTableCount": self.tables,
            "RemainingTableCount": self.remaining,
            **states,
            "SnapshotPaused": self.paused,
            "SnapshotDurationInSeconds": int(took),
        }


_STATES: Final = ("running", "completed", "aborted", "skipped")


def metrics(prefix: str, stream: Seen, snapshot: SnapshotSeen, queue: Queue, *, connected: bool) -> Iterator[Metric]:
    """All samples of a task."""
    contexts: dict[str, dict[str, Any]] = {
        "streaming": {
            **stream.numbers(),
            "Connected": connected,
            "MilliSecondsBehindSource": stream.behind_ms,
            "NumberOfCommittedTransactions": stream.transactions,
        },
        "snapshot": snapshot.numbers(),
    }
    for context, numbers in contexts.items():
        labels = {"plugin": "postgres", "name": prefix, "context": context}
        for name, value in {**numbers, **queue.numbers()}.items():
            yield Metric(DEBEZIUM[name], labels, float(value))
    for table, count in list(snapshot.rows.items()):
        labels = {"plugin": "postgres", "name": prefix, "context": "snapshot", "table": table}
        yield Metric(ROWS_SCANNED, labels, float(count))
