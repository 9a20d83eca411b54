"""Aggregates in time windows of a fixed grid: tumbling, hopping, unlimited. (`KStreamWindowAggregate`)

Whether a record is late is judged per window, against the greatest timestamp that this node has seen: a window takes
records until stream time has passed its end and the grace. One record may be late for one hopping window and in time
for the next. A null value is aggregated like any other, unlike in aggregates without windows: that is Kafka's way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from moldau.streams.operators.aggregates import Aggregator, Initializer
from moldau.streams.operators.contract import Headers, NodeContext, Process
from moldau.streams.operators.tables import TableOperator
from moldau.streams.serdes import Windowed
from moldau.streams.topology.nodes import StoreSpec

_INT64_MAX = 2**63 - 1


class Grid(Protocol):
    """Windows of one size on a grid."""

    @property
    def size_ms(self) -> int: ...
    @property
    def grace_ms(self) -> int: ...
    def starts_for(self, timestamp: int) -> range: ...


class TimeWindowAggregate(TableOperator):
    """Adds each record to every window that holds it and is still open."""

    def __init__(
        self,
        store: StoreSpec,
        windows: Grid,
        initializer: Initializer,
        aggregator: Aggregator,
        *,
        emit_on_close: bool = False,
        late: str | None = None,
    ) -> None:
        super().__init__(store, stored=True)
        self.windows = windows
        self._initializer = initializer
        self._aggregator = aggregator
        self._emit_on_close = emit_on_close
        self.late = late
        """The child that gets the records which came too late, as they were."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        store, dropped, sends_old = node.task.store(self._store.name), node.dropped, self.sends_old_values
        fetch, put = store.fetch, store.put
        initializer, aggregator = self._initializer, self._aggregator
        starts_for, size, grace = self.windows.starts_for, self.windows.size_ms, self.windows.grace_ms
        close = _Closing(node, self, store, forward).emit_closed if self._emit_on_close else None
        late = None if self.late is None else node.children[self.late]
        stream_time = -1

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time
            if key is None:
                dropped("the key is null")
                return
            if timestamp > stream_time:
                stream_time = timestamp
            closed = stream_time - grace
            for start in starts_for(timestamp):
                end = start + size
                if end <= closed:
                    dropped("the window is closed")
                    if late is not None:
                        late(key, value, timestamp, headers)
                    continue
                held = fetch(key, start)
                if held is None:
                    old, newest = initializer(), timestamp
                else:
                    old, newest = held
                    if timestamp > newest:
                        newest = timestamp
                new = aggregator(key, value, old)
                put(key, (new, newest), start)
                if close is None:
                    window = Windowed(key, start, end if end < _INT64_MAX else _INT64_MAX)
                    forward(window, (new, old if sends_old else None, True), newest, headers)
            if close is not None:
                close(closed, headers)

        return process


class _Closing:
    """Emits each window once, after it has closed."""

    def __init__(self, node: NodeContext, operator: TimeWindowAggregate, store: Any, forward: Process) -> None:
        self._clock: Callable[[], int] = node.task.clock
        self._interval = node.task.emit_interval_ms
        self._windows = operator.windows
        self._fetch_all = store.fetch_all
        self._forward = forward
        self._next_look = 0
        self._last_close: int | None = None

    def emit_closed(self, closed: int, headers: Headers) -> None:
        """Hand on all windows whose end and grace are over at `closed`, unless it looked a moment ago."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + self._interval
        if self._last_close is not None and self._last_close >= closed:
            return
        size = self._windows.size_ms
        upper = closed - size
        if upper < 0:
            return
        lower = 0 if self._last_close is None else max(0, self._last_close - size) + 1
        if self._last_close is not None and self._same_windows(upper, lower - 1):
            return
        for window, (value, timestamp) in self._fetch_all(lower, upper):
            self._forward(window, (value, None, True), timestamp, headers)
        self._last_close = closed

    def _same_windows(self, one: int, other: int) -> bool:
        starts_for = self._windows.starts_for
        return list(starts_for(one)) == list(starts_for(other))
