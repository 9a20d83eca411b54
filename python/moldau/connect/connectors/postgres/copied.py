"""The short way of a snapshot's rows: lines of COPY that become the bytes of records, in Rust (`moldau-change`).

Called by the readers' threads, so several tables, or ranges of one, are written side by side. A line that is not as
usual is left to `events.py`, in the task's thread; so both ways make the same records, and errors are raised in one
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from moldau._core import ChangeTable
from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.compiled import Compiler
from moldau.connect.connectors.postgres.copying import copy_row, rows_of
from moldau.connect.connectors.postgres.direct import ReadyChanges, told
from moldau.connect.connectors.postgres.events import ChangeRecord, Events
from moldau.connect.connectors.postgres.offsets import Position
from moldau.connect.connectors.postgres.pgoutput import RawRow
from moldau.connect.connectors.postgres.table import TableSchema
from moldau.connect.errors import RetriableError

# What a row is that is neither the first nor the last of anything.
AMONG_OTHERS: Final = "true"
# After so many unusual lines the rest of a block is left to Python at once.
PATIENCE: Final = 64

Piece: TypeAlias = "ReadyChanges | list[RawRow]"


class CopiedRows:
    """Makes records of lines. `offset` is that of all rows that are not the snapshot's last."""

    def __init__(
        self,
        compiler: Compiler | None,
        events: Events,
        position: Position,
        offset: dict[str, Any],
        acknowledged: Acknowledged,
    ) -> None:
        self._compiler = compiler
        self._events = events
        self._position = position
        self._told = told(position)
        self._offset = offset
        self._acknowledged = acknowledged
        self._compiled: dict[TableSchema, ChangeTable] = {}
        self._later: list[TableSchema] = []

    def prepare(self, tables: Sequence[TableSchema]) -> None:
        """Compiles tables; what cannot be for the moment (a registry that did not answer) is tried by `try_again`."""
        if self._compiler is None:
            return
        for table in tables:
            try:
                made = self._compiler.table(table)
            except RetriableError:
                self._later.append(table)
                continue
            if made is not None:
                self._compiled[table] = made

    def try_again(self) -> None:
        if self._later:
            later, self._later = self._later, []
            self.prepare(later)

    def pieces(self, table: TableSchema, lines: bytes) -> tuple[list[Piece], int]:
        """Records of whole lines as far as they are usual, rows where they are not; and the size of the records."""
        compiled = self._compiled.get(table)
        if compiled is None:
            return [rows_of(lines)] if lines else [], 0
        found: list[Piece] = []
        start = unusual = total = 0
        now_ns, xmin = self._events.clock(), self._events.xmin
        while start < len(lines):
            messages, behind, size = compiled.rows(lines, start, self._told, now_ns, xmin, AMONG_OTHERS)
            if messages:
                found.append(self._ready(table, messages, lines[start:behind], now_ns))
                total += size
            start = behind
            if start == len(lines):
                break
            unusual += 1
            end = len(lines) if unusual > PATIENCE else lines.index(b"\n", start) + 1
            left = rows_of(lines[start:end])
            if found and isinstance(found[-1], list):
                found[-1] += left
            else:
                found.append(left)
            start = end
        return found, total

    def _ready(
        self, table: TableSchema, messages: list[dict[str, bytes | None]], lines: bytes, now_ns: int
    ) -> ReadyChanges:
        assert self._compiler is not None
        topic = table.topic
        return ReadyChanges(
            {topic: messages},
            {topic: self._compiler.headers(topic)},
            len(messages),
            self._events.partition,
            self._offset,
            self._position.commit_lsn,
            self._acknowledged,
            partial(self._again, table, lines, now_ns),
        )

    def _again(self, table: TableSchema, lines: bytes, now_ns: int) -> Sequence[ChangeRecord]:
        events = self._events.again(now_ns, None)
        for line in lines.split(b"\n")[:-1]:
            events.row("r", table, None, copy_row(line), self._position, self._offset, AMONG_OTHERS)
        return events.take()
