"""What signals ask for, whichever channel they come by: snapshots, incremental or blocking, and lines in the log.

Names, fields and what is refused are Debezium's (`io.debezium.pipeline.signal.actions`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moldau.connect.connectors.postgres.catalog import TableId
from moldau.connect.connectors.postgres.channels import Channel
from moldau.connect.connectors.postgres.filters import any_of
from moldau.connect.connectors.postgres.incremental import Incremental
from moldau.connect.connectors.postgres.offsets import Position
from moldau.connect.connectors.postgres.signals import Signal

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlockingSnapshot:
    """Tables to read while the stream waits, some of them by a SELECT of their own."""

    id: str
    tables: Sequence[TableId]
    selects: Mapping[TableId, str]


class Actions:
    """Obeys signals. Without a signal table or `read.only` there is no `incremental`. Belongs to the task's thread."""

    def __init__(
        self,
        position: Position,
        captured: Callable[[], list[TableId]],
        wanted: Callable[[BlockingSnapshot], None],
        channels: Sequence[Channel],
        interval_s: float,
    ) -> None:
        """`wanted` takes blocking snapshots, which begin when what was read is handed on."""
        self.incremental: Incremental | None = None
        self._position = position
        self._captured = captured
        self._wanted = wanted
        self._channels = channels
        self._interval_s = interval_s
        self._next = 0.0
        self._actions: dict[str, Callable[[Signal], None]] = {
            "log": self._log,
            "execute-snapshot": self._execute,
            "stop-snapshot": self._stop,
            "pause-snapshot": lambda _: self._pause(paused=True),
            "resume-snapshot": lambda _: self._pause(paused=False),
        }

    def poll(self) -> None:
        """Obeys what has come by the channels, when it is time to look."""
        now = time.monotonic()
        if not self._channels or now < self._next:
            return
        self._next = now + self._interval_s
        for channel in self._channels:
            for signal in channel.read():
                self.obey(signal)

    def obey(self, signal: Signal) -> None:
        """What cannot be done is told in the log and changes nothing."""
        action = self._actions.get(signal.type)
        if action is None:
            known = ", ".join(self._actions)
            _LOG.warning("The signal %s has the unknown type %r; there are: %s", signal.id, signal.type, known)
            return
        action(signal)

    def _log(self, signal: Signal) -> None:
        message = signal.data.get("message")
        if not message:
            _LOG.warning("The signal %s is to log something, and its data has no message", signal.id)
            return
        _LOG.info("Signal %s: %s", signal.id, str(message).replace("{}", str(self._position.to_map()), 1))

    def _execute(self, signal: Signal) -> None:
        kind = _kind(signal)
        tables = self._named(signal)
        if kind is None or tables is None:
            return
        conditions = _conditions(signal)
        if kind == "blocking":
            self._wanted(BlockingSnapshot(signal.id, tables, _of_tables(conditions, tables)))
            _LOG.info("A blocking snapshot of %s is asked for by the signal %s", _said(tables), signal.id)
        elif self._has_incremental(signal):
            assert self.incremental is not None
            self.incremental.execute(signal.id, tables, _of_tables(conditions, tables))

    def _stop(self, signal: Signal) -> None:
        named = signal.data.get("data-collections")
        tables = self._named(signal) if named else None
        if _kind(signal) == "incremental" and (tables is not None or not named) and self._has_incremental(signal):
            assert self.incremental is not None
            self.incremental.stop(tables)

    def _pause(self, *, paused: bool) -> None:
        if self.incremental is not None:
            self.incremental.pause(paused=paused)

    def _has_incremental(self, signal: Signal) -> bool:
        if self.incremental is None:
            _LOG.warning(
                "The signal %s asks for an incremental snapshot, which needs signal.data.collection and the channel"
                " source in signal.enabled.channels: marks are written into that table; or read.only=true",
                signal.id,
            )
        return self.incremental is not None

    def _named(self, signal: Signal) -> list[TableId] | None:
        """The captured tables that a signal names; None, with a word in the log, when it names none as it should."""
        told = signal.data.get("data-collections")
        if not isinstance(told, list) or not told or not all(isinstance(each, str) for each in told):
            _LOG.warning("The signal %s names no tables: data-collections is a list of names", signal.id)
            return None
        expressions = [each.strip() for each in told]
        matches = any_of(expressions)
        # A name may be told with the quotes that SQL wants.
        plain = {each.replace('"', "") for each in expressions}
        found = [table for table in self._captured() if matches(str(table)) or str(table) in plain]
        if not found:
            _LOG.warning("The signal %s names no captured table: %s", signal.id, ", ".join(expressions))
        return found or None


def _kind(signal: Signal) -> str | None:
    kind = str(signal.data.get("type") or "incremental").lower()
    if kind in ("incremental", "blocking"):
        return kind
    _LOG.warning("The signal %s asks for a snapshot of the unknown type %r", signal.id, kind)
    return None


def _conditions(signal: Signal) -> list[tuple[str, str]]:
    """Expressions for tables, and what is to be read of these."""
    found = []
    for each in signal.data.get("additional-conditions") or ():
        if isinstance(each, Mapping) and each.get("filter"):
            found.append((str(each.get("data-collection") or ""), str(each["filter"])))
    return found


def _of_tables(conditions: Sequence[tuple[str, str]], tables: Sequence[TableId]) -> dict[TableId, str]:
    return {
        table: told
        for expression, told in reversed(conditions)
        for table in tables
        if any_of([expression])(str(table)) or str(table) == expression.replace('"', "")
    }


def _said(tables: Sequence[Any]) -> str:
    return ", ".join(map(str, tables))
