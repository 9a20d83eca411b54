"""Judges a run: what was committed in the database, what is in the topics, what is in the lake. Pure functions.

Topics: every committed change has its event, those of one key in their order. A restart may send again what was sent,
from any place on in the same order; nothing else comes twice, nothing is passed over, nothing comes from nowhere. A row
that a snapshot has read stands for all changes of its key before. The lake: every offset that the sink has committed
is there once, the others are not there at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fault.connect.shop import Change

TOMBSTONE = "tombstone"
FINDINGS_SHOWN = 5

Place = tuple[str, int]
"""A topic and a partition."""


@dataclass(frozen=True, slots=True)
class Event:
    """A record in a topic of a table. A tombstone has neither transaction nor place in the WAL."""

    topic: str
    partition: int
    offset: int
    table: str
    key: int
    op: str
    """As in `Change`; `r` for a row that a snapshot has read; `TOMBSTONE`."""
    xid: int | None = None
    lsn: int = 0
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A record in an object of the lake."""

    topic: str
    partition: int
    offset: int
    op: str
    key: int
    object: str


@dataclass
class Verdict:
    """What was found, by name, and what was counted."""

    anomalies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)

    def found(self, name: str, what: str) -> None:
        self.anomalies[name].append(what)

    def report(self) -> str:
        lines = [", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))]
        for name, cases in self.anomalies.items():
            lines.append(f"{name}: {len(cases)}")
            lines += [f"    {case}" for case in cases[:FINDINGS_SHOWN]]
        return "\n".join(lines)


def judge_topics(
    changes: Iterable[Change], events: Iterable[Event], *, once: bool = False, settled: Mapping[Place, int] = {}
) -> Verdict:
    """`events` in the order of their offsets. With `once` nothing may have been sent again.

    `settled` are the ends of the partitions at a time when the snapshot was over, and its end kept: behind them there
    is no other one.
    """
    verdict = Verdict()
    wanted: dict[tuple[str, int], list[Change]] = defaultdict(list)
    for change in changes:
        wanted[change.table, change.key].append(change)
        verdict.counts["changes committed"] += 1
        if change.op == "d":
            # A tombstone follows a delete.
            wanted[change.table, change.key].append(
                Change(change.table, change.key, TOMBSTONE, change.xid, change.lsn, None)
            )
    seen: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in events:
        seen[event.table, event.key].append(event)
        verdict.counts["events"] += 1
        if event.op == "r" and event.offset >= settled.get((event.topic, event.partition), event.offset + 1):
            verdict.found("another snapshot", f"{event} although the first was complete")
    snapshot_lsn = max((event.lsn for each in seen.values() for event in each if event.op == "r"), default=0)
    for row, found in seen.items():
        if len({event.partition for event in found}) > 1:
            verdict.found("scattered key", f"{row} is in several partitions")
        _Course(verdict, row, wanted.pop(row, []), snapshot_lsn, once=once).follow(found)
    for row, expected in wanted.items():
        _Course(verdict, row, expected, snapshot_lsn, once=once).follow([])
    return verdict


class _Course:
    """The events of one key beside the changes that it has had."""

    def __init__(
        self, verdict: Verdict, row: tuple[str, int], expected: Sequence[Change], snapshot_lsn: int, *, once: bool
    ) -> None:
        self._verdict = verdict
        self._row = row
        self._expected = expected
        self._snapshot_lsn = snapshot_lsn
        self._once = once
        self._at = -1
        """The change that the last event stood for."""
        self._furthest = -1

    def follow(self, events: Iterable[Event]) -> None:
        for event in events:
            index = self._index_of(event)
            if index is None:
                self._verdict.found("event from nowhere", f"{event}")
            elif event.op == "r":
                self._at = index
                self._furthest = max(self._furthest, index)
                self._verdict.counts["rows of snapshots"] += 1
            else:
                self._step(index, event)
        self._check_passed_over("lost change", self._furthest + 1, len(self._expected), "the end of the topic")

    def _step(self, index: int, event: Event) -> None:
        if index == self._at + 1:
            pass
        elif index > self._furthest:
            self._check_passed_over("skipped change", self._furthest + 1, index, f"{event}")
            if self._at < self._furthest:
                self._verdict.found("out of order", f"{event} comes before what was being sent again has come again")
        elif index > self._at:
            self._verdict.found("out of order", f"{event} leaves out a part of what is sent again")
        if index <= self._furthest:
            self._verdict.counts["events sent again"] += 1
            if self._once:
                self._verdict.found("event twice", f"{event}")
        self._at = index
        self._furthest = max(self._furthest, index)

    def _check_passed_over(self, name: str, start: int, end: int, by: str) -> None:
        for change in self._expected[start:end]:
            if change.lsn > self._snapshot_lsn:
                self._verdict.found(name, f"{change} has no event before {by}")

    def _index_of(self, event: Event) -> int | None:
        """Which change it stands for: the next one if that can be, else the last one that was sent before."""
        following = self._at + 1
        if following < len(self._expected) and _stands_for(event, self._expected, following, self._at):
            return following
        for index in (*range(self._furthest, -1, -1), *range(self._furthest + 1, len(self._expected))):
            if _stands_for(event, self._expected, index, self._at):
                return index
        return None


def _stands_for(event: Event, expected: Sequence[Change], index: int, at: int) -> bool:
    change = expected[index]
    if event.op == "r":
        return change.op in "cu" and change.tag == event.tag
    if event.op == TOMBSTONE:
        # It names no transaction: it belongs to the delete before it.
        return change.op == TOMBSTONE and index == at + 1
    return (change.op, change.xid) == (event.op, event.xid) and event.tag in (None, change.tag)


def judge_lake(events: Iterable[Event], rows: Iterable[Row], committed: Mapping[Place, int]) -> Verdict:
    """`committed` is what the group of the sink has."""
    verdict = Verdict()
    found: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.topic, row.partition, row.offset].append(row)
        verdict.counts["rows in the lake"] += 1
    for event in events:
        place = (event.topic, event.partition, event.offset)
        there = found.pop(place, [])
        if event.op == TOMBSTONE:
            if there:
                verdict.found("row from nowhere", f"{there[0]} is a tombstone in the topic")
        elif event.offset >= committed.get((event.topic, event.partition), 0):
            if there:
                verdict.found("row before its commit", f"{there[0]}")
        elif not there:
            verdict.found("lost offset", f"{event} is committed, and in no object")
        elif len(there) > 1:
            verdict.found("offset twice", f"{place} is in {sorted(row.object for row in there)}")
        elif (there[0].op, there[0].key) != (event.op, event.key):
            verdict.found("another row", f"{there[0]} is {event} in the topic")
    for strange in found.values():
        verdict.found("row from nowhere", f"{strange[0]}")
    return verdict
