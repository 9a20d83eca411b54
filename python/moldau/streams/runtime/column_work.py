"""A task's part in columns: its tables of groups, above its stores.

A table changes groups without telling anybody. Whoever wants to look into a store, or to change it, asks for
`hand_over` before: then the store has what the table has, and a record cache the last update of each group, as if all
records had been taken one by one. Stores are told of groups in the order of their first changes, caches in that of
their last, which is the order in which they would have known of them.

Tables that records are joined with are read by functions. What was looked up is kept beside their stores until records
have changed it: `others_worked`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final
from weakref import WeakMethod

from moldau._core import AggregateTable, ColumnRun, LookupTable, RecordBlock
from moldau.streams.column_aggregates import ColumnAggregate
from moldau.streams.column_joins import ColumnJoin
from moldau.streams.columns import Columns
from moldau.streams.context import TaskContext
from moldau.streams.operators.record_cache import AROUND_BYTES
from moldau.streams.persistent import Room
from moldau.streams.serdes import Windowed, required
from moldau.streams.serdes.structured import encode_json
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.formats import pack_timestamp
from moldau.streams.task import Emit

_UNBOUNDED: Final = sys.maxsize
NOTHING_USUAL: Final = ...
"""What a part of a row is that cannot be told, for the table: nothing that columns compute with."""
_NUMBER: Final = itemgetter(0)
_NUMBER_OF_ROW: Final = itemgetter(3)
_NUMBER_OF_ROW_WITH_PARTS: Final = itemgetter(6)


class ColumnWork:
    """Runs a program over blocks, with the tables of one task."""

    def __init__(self, columns: Columns, context: TaskContext, emit: Emit, room: Room) -> None:
        """`room` is for groups that nothing has to be done about, and for rows that were looked up."""
        self.topics = columns.topics
        self._program = columns.program
        self._groups = [_Groups(aggregate, context, emit, room) for aggregate in columns.aggregates]
        self._tables = [groups.table for groups in self._groups]
        read_key = columns.read_key
        self._rows = [_Rows(join, context, read_key, room) for join in columns.joins]
        self._lookups = [rows.table for rows in self._rows]
        cached = any(aggregate.cached for aggregate in columns.aggregates)
        self._caches = context.caches if cached else None

    def run(self, block: RecordBlock, start: int, stop: int) -> ColumnRun:
        """Take records of a block; if it stops because the tables are full, their changes must be handed over."""
        for groups in self._groups:
            groups.begin()
        for rows in self._rows:
            rows.begin()
        room = _UNBOUNDED if self._caches is None else self._caches.room
        run = self._program.run(block, start, stop, self._tables, room, self._lookups)
        for groups in self._groups:
            groups.note()
        for rows in self._rows:
            rows.note()
        return run

    def others_work(self) -> None:
        """Functions take records of other inputs next: caches that they share with groups know of those first."""
        if self._caches is not None:
            self.hand_over()

    def others_worked(self, records: Sequence[tuple[Any, ...]]) -> None:
        """They have: the rows of these may have changed."""
        for rows in self._rows:
            rows.forget(records)

    def hand_over(self, *, asked: bool = False) -> None:
        """Tell stores and caches what changed; if somebody `asked` from outside, no cache is emptied for that."""
        for groups in self._groups:
            groups.hand_over(asked=asked)

    def make_room(self) -> None:
        """The same when a run has stopped because it found no more room in the caches."""
        if len(self._groups) == 1:
            self._groups[0].send_on()
        else:
            # Which of them is emptied is decided by the order in which the caches are told.
            self.hand_over()

    def flush(self, writers: Mapping[str, ChangelogWriter]) -> None:
        """The same at a commit: a store that knows of no changes of its own writes rows as they are."""
        for groups in self._groups:
            groups.flush(writers)

    def forget(self, records: Sequence[tuple[Any, ...]]) -> None:
        """These were worked on by functions, after a `hand_over`: their groups are not what they were."""
        for groups in self._groups:
            groups.forget(records)


class _Rows:
    """What was looked up in one table, and the store below it."""

    def __init__(self, join: ColumnJoin, context: TaskContext, read_key: Callable[[bytes], Any], room: Room) -> None:
        self._join = join
        self._context = context
        self._read_key = read_key
        self._get = join.view.getter(context)
        self._parts = join.functions()
        # As of the groups.
        ask = WeakMethod(self._load)

        def load(key: bytes | None) -> Sequence[Any] | None:
            method = ask()
            assert method is not None
            return method(key)

        self.table = LookupTable(load, room.groups_max)
        self._room = room
        room.tables.add(self)

    def begin(self) -> None:
        """Others may need more room than before."""
        self.table.limit(self._room.groups_max)

    def note(self) -> None:
        """Count what was dropped."""
        null = self.table.take_dropped()
        if null:
            self._context.dropped_at_once(self._join.node, self._join.null_reason, null)

    def forget(self, records: Sequence[tuple[Any, ...]]) -> None:
        """Ask again for the rows of these keys."""
        if len(self.table):
            self.table.forget([key for _, _, key, _, _ in records])

    def _load(self, key: bytes | None) -> Sequence[Any] | None:
        held = None if key is None else self._get(self._read_key(key))
        if held is None and key is not None:
            return None
        row = None if held is None else held[0]
        return [_told(part, row) for part in self._parts]


def _told(part: Callable[[Any], Any], row: Any) -> Any:
    try:
        return part(row)
    except Exception:  # noqa: BLE001 (whoever computes with it gets the same one from the functions)
        return NOTHING_USUAL


class _Groups:
    """One table, and the store below it."""

    def __init__(self, aggregate: ColumnAggregate, context: TaskContext, emit: Emit, room: Room) -> None:
        spec = aggregate.spec
        self._aggregate = aggregate
        self._context = context
        self._adding = context.adding[aggregate.node]
        self._store = context.store(spec.name)
        self._read_key = required(spec.key, f"store {spec.name}", "key").deserialize
        windowed, size = aggregate.windows is not None, aggregate.value_bytes
        # The garbage collector does not see into a table: what that holds must not lead back here.
        ask = WeakMethod(self._load_window if windowed else self._load)

        def load(key: bytes, start: int) -> tuple[tuple[Any, ...], int] | None:
            method = ask()
            assert method is not None
            return method(key, start)

        retention = self._store.retention_ms if windowed else None
        names = None if aggregate.names is None else [encode_json(name) + b":" for name in aggregate.names]
        self.table = AggregateTable(load, names, retention, room.groups_max, AROUND_BYTES, size)
        self._room = room
        room.tables.add(self)
        self._emit = emit
        """For updates that go to topics as they are in the store."""
        straight = not aggregate.cached or aggregate.topics is not None
        self._write_rows = getattr(self._store, "write_rows", None) if straight else None

    def begin(self) -> None:
        """Whoever works on the store in another way has gone on in time."""
        self.table.limit(self._room.groups_max)
        self.table.begin(self._adding.clock.now, -1 if self._aggregate.windows is None else self._store.stream_time)

    def note(self) -> None:
        """Count what was dropped, and let the others know the time."""
        aggregate, context = self._aggregate, self._context
        null, late = self.table.take_dropped()
        if null:
            context.dropped_at_once(aggregate.node, aggregate.null_reason, null)
        if late:
            context.dropped_at_once(aggregate.node, aggregate.late_reason, late)
        self._adding.clock.now = self.table.stream_time_ms

    def _load(self, key: bytes, _: int) -> tuple[tuple[Any, ...], int] | None:
        held = self._store.get(self._read_key(key))
        return None if held is None else (self._aggregate.parts(held[0]), held[1])

    def _load_window(self, key: bytes, start: int) -> tuple[tuple[Any, ...], int] | None:
        held = self._store.fetch(self._read_key(key), start)
        return None if held is None else (self._aggregate.parts(held[0]), held[1])

    def flush(self, writers: Mapping[str, ChangelogWriter]) -> None:
        """Write what changed to the table of the store and to its changelog, if nobody has to be told anything else."""
        rows, write = None, writers.get(self._aggregate.spec.name)
        if self._write_rows is not None and write is not None and self._is_alone:
            rows = self.table.rows()
        if rows is None:
            self.hand_over()
            return
        if not rows:
            return
        assert self._write_rows is not None
        self._write_rows(rows, write)
        if self._aggregate.cached:
            emit, topics = self._emit, self._aggregate.topics or ()
            for key, value, timestamp, _, headers in sorted(rows, key=_NUMBER_OF_ROW):
                for topic in topics:
                    emit(topic, key, value, timestamp, headers, None, None, None)

    @property
    def _is_alone(self) -> bool:
        """Whether no functions have worked on the store since the last commit."""
        caches = self._context.caches if self._aggregate.cached else None
        return bool(self._store.is_clean and (caches is None or caches.is_empty))

    def send_on(self) -> None:
        """The record cache would hold too much: the store is told of each group, and topics at once if nobody else is
        to be told, and nothing waits from before.
        """
        caches, topics, rows = self._context.caches, self._aggregate.topics, None
        if topics is not None and caches is not None and caches.is_empty:
            rows = self.table.rows_with_parts()
        if rows is None:
            self.hand_over()
            return
        put, read_key, value_of = self._store.put, self._read_key, self._aggregate.value
        if self._aggregate.windows is None:
            for key, _, parts, _, _, timestamp, *_ in rows:
                put(read_key(key), (value_of(parts), timestamp))
        else:
            for key, start, parts, _, _, timestamp, *_ in rows:
                put(read_key(key), (value_of(parts), timestamp), start)
        emit = self._emit
        for _, _, _, place, value, timestamp, _, headers in sorted(rows, key=_NUMBER_OF_ROW_WITH_PARTS):
            for topic in topics or ():
                emit(topic, place, value, timestamp, headers, None, None, None)

    def hand_over(self, *, asked: bool = False) -> None:
        """The store is told of each group, then the record cache."""
        changed = self.table.hand_over()
        if not changed:
            return
        put, read_key, value_of = self._adding.store.put, self._read_key, self._aggregate.value
        windows, cached = self._aggregate.windows, self._aggregate.cached
        updates = []
        for key_bytes, start, parts, timestamp, update in changed:
            key, value = read_key(key_bytes), value_of(parts)
            if windows is None:
                put(key, (value, timestamp))
            else:
                put(key, (value, timestamp), start)
                key = Windowed(key, start, start + windows.size_ms)
            if cached:
                updates.append((*update, key, value, timestamp))
        if updates:
            updates.sort(key=_NUMBER)
            self._tell(updates, asked=asked)

    def _tell(self, updates: list[tuple[Any, ...]], *, asked: bool) -> None:
        """A cache knows from the store's puts what was there before all of these: it is emptied with the last one."""
        assert self._context.caches is not None
        patient = updates if asked else updates[:-1]
        with self._context.caches.patient():
            self._forward(patient)
        self._forward(updates[len(patient) :])

    def _forward(self, updates: list[tuple[Any, ...]]) -> None:
        context, forward = self._context, self._adding.forward
        place = context.offset, context.timestamp
        for _, offset, moment, headers, key, value, timestamp in updates:
            context.offset, context.timestamp = offset, moment
            forward(key, (value, None, True), timestamp, headers)
        context.offset, context.timestamp = place

    def forget(self, records: Sequence[tuple[Any, ...]]) -> None:
        """What these records may have changed is asked for again."""
        windows, forget = self._aggregate.windows, self.table.forget
        for _, timestamp, key, _, _ in records:
            if key is None:
                continue
            if windows is None:
                forget(key)
                continue
            for start in windows.starts_for(timestamp):
                forget(key + pack_timestamp(start))
