"""Holding updates of a table back, so that only the newest of several comes out. (`KTableSuppressProcessor`)

A row keeps its place in the queue from its first update on. It leaves when stream time has passed that by the wait, or
early when the buffer is full. While it waits, the table is what it was before: old values and look-ups say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.errors import StreamsError
from moldau.streams.operators.contract import Getter, Headers, NodeContext, Process, View
from moldau.streams.operators.origin import Origin, as_it_was, origin_of
from moldau.streams.operators.tables import TableOperator
from moldau.streams.topology.nodes import StoreSpec

NOT_WAITING: Any = object()
"""What a buffer answers for a key of which no update waits."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a buffer may hold, and what happens when there is more."""

    records: int | None
    bytes: int | None
    emits_early: bool


class Suppress(TableOperator):
    """The table of what was let out."""

    def __init__(
        self, parent: TableOperator, store: StoreSpec, wait_ms: int, bounds: Bounds, *, until_windows_close: bool
    ) -> None:
        super().__init__(store, stored=True)
        parent.send_old_values(force=True)
        self._parent = parent
        self._wait = wait_ms
        self._bounds = bounds
        self._until_windows_close = until_windows_close

    def send_old_values(self, *, force: bool) -> bool:
        return self._parent.send_old_values(force=force)

    def view(self) -> View:
        assert self._store is not None
        return _SuppressedView(self._store.name, self._parent.view())

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        buffer, task = node.task.store(self._store.name), node.task
        wait, windowed = self._wait, self._until_windows_close
        buffer.weighs = self._bounds.bytes is not None
        put, evict = buffer.put, buffer.evict
        full = _fullness(buffer, self._bounds)
        send = as_it_was(task, forward)
        stream_time = -1

        def let_out(key: Any, change: Any, origin: Origin) -> None:
            # The row of a window that was never seen needs no tombstone.
            if change[0] is not None or not windowed:
                send(key, change, origin)

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time
            if timestamp > stream_time:
                stream_time = timestamp
            put(key[2] if windowed else timestamp, key, change, origin_of(task, timestamp, headers))
            expired = stream_time - wait
            while buffer.earliest <= expired:
                evict(let_out)
            if full is not None:
                while full(node.name):
                    evict(let_out)

        return process


def _fullness(buffer: Any, bounds: Bounds) -> Callable[[str], bool] | None:
    """Whether one more row has to go, None if there are no bounds; raises instead for a buffer that must not emit."""
    if bounds.records is None and bounds.bytes is None:
        return None
    records = math.inf if bounds.records is None else bounds.records
    size = math.inf if bounds.bytes is None else bounds.bytes

    def full(node: str) -> bool:
        if len(buffer) <= records and buffer.bytes <= size:
            return False
        if bounds.emits_early:
            return True
        raise StreamsError(
            f"the buffer of {node} is full: it has {len(buffer)} rows and {buffer.bytes} bytes, "
            f"it may have {records} and {size}\n"
            "hint: a larger one, or emit_early_when_full()"
        )

    return full


@dataclass(frozen=True, slots=True)
class _SuppressedView:
    store: str
    parent: View

    @property
    def store_names(self) -> tuple[str, ...]:
        return (self.store, *self.parent.store_names)

    def getter_at(self, task: TaskContext) -> None:
        return None

    def getter(self, task: TaskContext) -> Getter:
        prior, get = task.store(self.store).prior, self.parent.getter(task)

        def look_up(key: Any) -> Any:
            before = prior(key)
            if before is NOT_WAITING:
                return get(key)
            return None if before is None else (before, -1)

        return look_up
