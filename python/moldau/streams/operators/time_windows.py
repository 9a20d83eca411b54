"""Aggregates in time windows of a fixed grid: tumbling, hopping, unlimited. (`KStreamWindowAggregate`)

Whether a record is late is judged per window, against the greatest timestamp that this node has seen: a window takes
records until stream time has passed its end and the grace. One record may be late for one hopping window and in time
for the next. A null value is aggregated like any other, unlike in aggregates without windows: that is Kafka's way.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from moldau.streams.context import TaskContext
from moldau.streams.dsl.windows import TimeWindows
from moldau.streams.operators.aggregates import Adding, Aggregator, Clock, Initializer, may_change
from moldau.streams.operators.contract import Getter, Headers, NodeContext, Process
from moldau.streams.operators.record_cache import hold_of
from moldau.streams.operators.tables import StoreView, WindowedAggregate
from moldau.streams.operators.window_closing import Bounds, WindowClosing, find_in_windows
from moldau.streams.serdes import Windowed
from moldau.streams.topology.nodes import StoreSpec

_INT64_MAX = 2**63 - 1
NULL_DROPPED: Final = "the key is null"
LATE_DROPPED: Final = "the window is closed"


class Grid(Protocol):
    """Windows of one size on a grid."""

    @property
    def size_ms(self) -> int: ...
    @property
    def grace_ms(self) -> int: ...
    def starts_for(self, timestamp: int) -> range: ...


class WindowView(StoreView):
    """A table whose keys are windows of a window store."""

    def getter(self, task: TaskContext) -> Getter:
        fetch = task.store(self.store).fetch

        def look_up(window: Any) -> Any:
            return fetch(window[0], window[1])

        return look_up


class TimeWindowAggregate(WindowedAggregate):
    """Adds each record to every window that holds it and is still open."""

    def __init__(
        self,
        store: StoreSpec,
        windows: Grid,
        initializer: Initializer,
        aggregator: Aggregator,
        *,
        emit_on_close: bool = False,
    ) -> None:
        super().__init__(store, stored=True)
        self.windows = windows
        self.grace_ms = windows.grace_ms
        self._initializer = initializer
        self.aggregator = aggregator
        self.emit_on_close = emit_on_close

    def view(self) -> WindowView:
        assert self._store is not None
        return WindowView(self._store.name)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        dropped, sends_old = node.dropped, self.sends_old_values
        initializer, aggregator = self._initializer, self.aggregator
        starts_for, size, grace = self.windows.starts_for, self.windows.size_ms, self.windows.grace_ms
        late, forward = self.without_late(node, forward)
        store, forward = self.put_and_forward(node.task, forward)
        fetch, put, clock = store.fetch, store.put, Clock()
        node.task.adding[node.name] = Adding(store, forward, clock)
        closing = WindowClosing(node, self._store.name, _bounds(self.windows), find_in_windows(store), forward)
        close = closing.emit_closed if self.emit_on_close else None
        reads_twice = sends_old and may_change(self._store)
        if close is None and late is None and not sends_old and _is_tumbling(self.windows):
            return self._tumbling(node, store, forward, clock)

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                dropped(NULL_DROPPED)
                return
            if timestamp > clock.now:
                clock.now = timestamp
            closed = clock.now - grace
            taken = False
            for start in starts_for(timestamp):
                end = start + size
                if end <= closed:
                    dropped(LATE_DROPPED)
                    continue
                taken = True
                held = fetch(key, start)
                if held is None:
                    old, newest = initializer(), timestamp
                else:
                    old, newest = held
                    if timestamp > newest:
                        newest = timestamp
                before = old if sends_old else None
                if reads_twice:
                    before = initializer() if held is None else fetch(key, start)[0]
                new = aggregator(key, value, old)
                put(key, (new, newest), start)
                if close is None:
                    window = Windowed(key, start, end if end < _INT64_MAX else _INT64_MAX)
                    forward(window, (new, before, True), newest, headers)
            if late is not None and not taken:
                late(key, value, timestamp, headers)
            if close is not None:
                close(closed, headers)

        return process

    def _tumbling(self, node: NodeContext, store: Any, forward: Process, clock: Clock) -> Process:
        """The same where a record is in one window and nobody asks for more than the result."""
        store, hold = hold_of(store)
        fetch, put, dropped = store.fetch, store.put, node.dropped
        initializer, aggregator = self._initializer, self.aggregator
        size, grace, make = self.windows.size_ms, self.windows.grace_ms, tuple.__new__

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                dropped(NULL_DROPPED)
                return
            if timestamp > clock.now:
                clock.now = timestamp
            start = timestamp - timestamp % size
            end = start + size
            if end <= clock.now - grace:
                dropped(LATE_DROPPED)
                return
            held = fetch(key, start)
            if held is None:
                old, newest = None, timestamp
                new = aggregator(key, value, initializer())
            else:
                old, newest = held
                new = aggregator(key, value, old)
                if timestamp > newest:
                    newest = timestamp
            put(key, (new, newest), start)
            if hold is not None:
                hold((key, start), key, old, new, newest, headers)
                return
            if end > _INT64_MAX:
                end = _INT64_MAX
            # Past the constructor of the named tuple, which is a function of Python.
            forward(make(Windowed, (key, start, end)), (new, None, True), newest, headers)

        return process


def _is_tumbling(windows: Grid) -> bool:
    return isinstance(windows, TimeWindows) and windows.advance_ms == windows.size_ms


def _bounds(windows: Grid) -> Bounds:
    """The starts of the windows that closed since the last time, unless none can have."""
    size, starts_for = windows.size_ms, windows.starts_for

    def bounds(last_close: int | None, closed: int) -> tuple[int, int] | None:
        upper = closed - size
        lower = 0 if last_close is None else max(0, last_close - size) + 1
        if upper < 0 or (last_close is not None and list(starts_for(upper)) == list(starts_for(lower - 1))):
            return None
        return lower, upper

    return bounds
