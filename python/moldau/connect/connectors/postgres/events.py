"""Change events: from a change of a row to the records that Debezium would emit for it, in its order.

A delete is followed by a tombstone; a changed key is a delete and a tombstone of the old key and a create of the new
one, each with the other key in a header. Only the last record of a change has an offset behind it: when a worker ends
in between, all of them come again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from moldau.connect.connectors.postgres import source_info
from moldau.connect.connectors.postgres.naming import Topics
from moldau.connect.connectors.postgres.offsets import Position, not_yet
from moldau.connect.connectors.postgres.pgoutput import UNCHANGED, LogicalMessage, RawRow
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.data import Schema, Struct
from moldau.connect.errors import DataError
from moldau.connect.records import Header, Headers, SourceRecord

_LOG = logging.getLogger(__name__)

NEW_KEY: Final = "__debezium.newkey"
OLD_KEY: Final = "__debezium.oldkey"
_CONTEXT: Final = "__debezium.context."
_PLACES: Final = {field.name: field.index for field in source_info.SCHEMA.fields}
_TS_MS, _TS_US, _TS_NS = _PLACES["ts_ms"], _PLACES["ts_us"], _PLACES["ts_ns"]
_SNAPSHOT, _SEQUENCE = _PLACES["snapshot"], _PLACES["sequence"]
_SCHEMA, _TABLE = _PLACES["schema"], _PLACES["table"]
_TX_ID, _LSN, _XMIN = _PLACES["txId"], _PLACES["lsn"], _PLACES["xmin"]
_ORIGIN, _ORIGIN_LSN = _PLACES["origin"], _PLACES["origin_lsn"]


# The place of the next event in its transaction, and its offset.
Step: TypeAlias = Callable[[], tuple[Struct | None, dict[str, Any]]]


def left_out(mode: str, error: DataError) -> None:
    """`event.processing.failure.handling.mode`: a change that cannot be read stops the task, or is passed over."""
    if mode == "fail":
        raise error
    if mode == "warn":
        _LOG.warning("A change is left out (event.processing.failure.handling.mode=warn): %s", error)


class ChangeRecord(SourceRecord):
    """A record on its way to Kafka. `confirm_lsn`: what may be confirmed to PostgreSQL once it has arrived there."""

    __slots__ = ("acknowledged", "confirm_lsn")

    acknowledged: bool
    confirm_lsn: int


@dataclass(frozen=True)
class EventSettings:
    """What rules the making of events."""

    prefix: str
    database: str
    topics: Topics
    tombstones: bool = True
    skipped: frozenset[str] = frozenset("t")
    extended_headers: tuple[tuple[str, str], ...] = ()
    only_changes: bool = False
    """Whether an update that changes nothing of what is captured makes no event."""


class Events:
    """Makes records; `add` appends them to `out`. One position is shared by the events of a message."""

    def __init__(self, settings: EventSettings, clock: Callable[[], int] = time.time_ns) -> None:
        self.settings = settings
        self.clock = clock
        self.partition = {"server": settings.prefix}
        self._skipped = settings.skipped
        self.context = [
            Header(_CONTEXT + name, value, Schema.STRING_SCHEMA) for name, value in settings.extended_headers
        ]
        self._source_template: list[Any] = [None] * len(source_info.SCHEMA.fields)
        for name, value in source_info.constants(settings.prefix, settings.database).items():
            self._source_template[_PLACES[name]] = value
        self.out: list[ChangeRecord] = []
        self.xmin: int | None = None
        self.origin: tuple[str, int] | None = None

    def again(self, now_ns: int, origin: tuple[str, int] | None) -> Events:
        """One that makes the same events as this one did at another time."""
        events = Events(self.settings, lambda: now_ns)
        events.xmin, events.origin = self.xmin, origin
        return events

    def source(self, position: Position, schema: str, table: str, mark: str = "false") -> Struct:
        """The source block. Most of it is the same for all events: what is not is put into a copy."""
        time_us, lsn, commit_lsn = position.time_us, position.lsn, position.commit_lsn
        values = self._source_template.copy()
        values[_TS_MS] = time_us // 1000
        values[_SNAPSHOT] = mark
        values[_SEQUENCE] = f'["{commit_lsn}","{lsn}"]' if commit_lsn else f'[null,"{lsn}"]'
        values[_TS_US] = time_us
        values[_TS_NS] = time_us * 1000
        values[_SCHEMA] = schema
        values[_TABLE] = table
        if mark != "incremental":
            values[_TX_ID] = position.xid
            values[_LSN] = lsn
            values[_XMIN] = self.xmin
        if self.origin is not None:
            values[_ORIGIN], values[_ORIGIN_LSN] = self.origin
        return Struct.of(source_info.SCHEMA, values)

    def insert(self, table: TableSchema, new: RawRow, position: Position, step: Step) -> None:
        if "c" not in self._skipped:
            block, offset = step()
            self.row("c", table, None, new, position, offset, block=block)

    def row(
        self,
        op: str,
        table: TableSchema,
        old: RawRow | None,
        new: RawRow | None,
        position: Position,
        offset: dict[str, Any],
        mark: str = "false",
        headers: Sequence[Header] = (),
        block: Struct | None = None,
    ) -> None:
        """One event. Raises `DataError` when a value cannot be read."""
        key = table.key(new if new is not None else old or [])
        before = None if old is None else table.row(old)
        after = None if new is None else table.row(new)
        source = self.source(position, table.id.schema, table.id.name, mark)
        now = self.clock()
        envelope = [before, after, source, block, op, now // 1_000_000, now // 1000, now]
        value = Struct.of(table.envelope_schema, envelope)
        headers = [*headers, *self.context] if headers else self.context
        self.add(table.topic, table.key_schema, key, table.envelope_schema, value, offset, position, headers)

    def update(self, table: TableSchema, old: RawRow | None, new: RawRow, position: Position, step: Step) -> None:
        if old is not None:
            # With replica identity FULL an unchanged TOASTed value is in the old row.
            if UNCHANGED in new:
                new = [old[i] if value is UNCHANGED else value for i, value in enumerate(new)]
            if self.settings.only_changes and table.row(old) == table.row(new):
                return
            if table.keys_differ(old, new):
                self._moved(table, old, new, position, step)
                return
        if "u" not in self._skipped:
            block, offset = step()
            self.row("u", table, old, new, position, offset, block=block)

    def _moved(self, table: TableSchema, old: RawRow, new: RawRow, position: Position, step: Step) -> None:
        old_key, new_key = table.key(old), table.key(new)
        created = "c" not in self._skipped
        if "d" not in self._skipped:
            headers = [Header(NEW_KEY, new_key, table.key_schema)]
            block, offset = step()
            self._deleted(table, old, old_key, position, offset, block, headers, last=not created)
        if created:
            headers = [Header(OLD_KEY, old_key, table.key_schema)]
            block, offset = step()
            self.row("c", table, None, new, position, offset, headers=headers, block=block)

    def delete(self, table: TableSchema, old: RawRow, position: Position, step: Step) -> None:
        if "d" in self._skipped:
            return
        block, offset = step()
        self._deleted(table, old, table.key(old), position, offset, block)

    def _deleted(
        self,
        table: TableSchema,
        old: RawRow,
        key: Struct | None,
        position: Position,
        offset: dict[str, Any],
        block: Struct | None,
        headers: Sequence[Header] = (),
        *,
        last: bool = True,
    ) -> None:
        """A `d`, and its tombstone; `last` unless more records of the same change follow."""
        tombstones = self.settings.tombstones
        before = not_yet(offset) if tombstones or not last else offset
        self.row("d", table, old, None, position, before, headers=headers, block=block)
        if tombstones:
            headers = [*headers, *self.context]
            self.add(table.topic, table.key_schema, key, None, None, offset if last else before, position, headers)

    def truncate(self, table: TableSchema, position: Position, offset: dict[str, Any], block: Struct | None) -> None:
        source = self.source(position, table.id.schema, table.id.name)
        now = self.clock()
        value = Struct.of(table.envelope_schema, [None, None, source, block, "t", now // 1_000_000, now // 1000, now])
        self.add(table.topic, None, None, table.envelope_schema, value, offset, position, self.context)

    def message(
        self, message: LogicalMessage, position: Position, offset: dict[str, Any], block: Struct | None
    ) -> None:
        key = Struct.of(source_info.MESSAGE_KEY_SCHEMA, [message.prefix])
        content = Struct.of(source_info.MESSAGE_BLOCK_SCHEMA, [message.prefix, message.content])
        value = ["m", self.clock() // 1_000_000, self.source(position, "", ""), block, content]
        schema = source_info.MESSAGE_SCHEMA
        topic = self.settings.topics.messages
        self.add(topic, source_info.MESSAGE_KEY_SCHEMA, key, schema, Struct.of(schema, value), offset, position)

    def heartbeat(self, position: Position, offset: dict[str, Any]) -> None:
        key = Struct.of(source_info.HEARTBEAT_KEY_SCHEMA, [self.settings.prefix])
        value = Struct.of(source_info.HEARTBEAT_SCHEMA, [self.clock() // 1_000_000])
        topic, schema = self.settings.topics.heartbeat, source_info.HEARTBEAT_SCHEMA
        self.add(topic, source_info.HEARTBEAT_KEY_SCHEMA, key, schema, value, offset, position)

    def add(
        self,
        topic: str,
        key_schema: Schema | None,
        key: Any,
        value_schema: Schema | None,
        value: Any,
        offset: dict[str, Any],
        position: Position,
        headers: Sequence[Header] = (),
    ) -> None:
        record = ChangeRecord.__new__(ChangeRecord)
        record.topic = topic
        record.kafka_partition = None
        record.key_schema = key_schema
        record.key = key
        record.value_schema = value_schema
        record.value = value
        record.timestamp = None
        record.raw_headers = Headers(headers) if headers else None
        record.source_partition = self.partition
        record.source_offset = offset
        record.acknowledged = False
        record.confirm_lsn = position.commit_lsn
        self.out.append(record)

    def take(self) -> list[ChangeRecord]:
        out, self.out = self.out, []
        return out
