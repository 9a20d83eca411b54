"""Aggregates in sliding windows. (`KStreamSlidingWindowAggregate`)

There is a window for every set of records of a key that differs from its neighbours: each record has a left window that
ends with it, and a right window that begins just after it once another record falls into that. Both ends belong to
the window. A window that would begin before 1970 is the one from 0 instead.
"""

from __future__ import annotations

from typing import Any

from moldau.streams.operators.aggregates import Aggregator, Initializer, kept_apart
from moldau.streams.operators.contract import Headers, NodeContext, Process
from moldau.streams.operators.tables import WindowedAggregate
from moldau.streams.operators.time_windows import WindowView
from moldau.streams.operators.window_closing import Bounds, WindowClosing, find_in_windows
from moldau.streams.serdes import Windowed
from moldau.streams.topology.nodes import StoreSpec


class SlidingWindowAggregate(WindowedAggregate):
    """Adds each record to the windows around it, and makes those that are missing."""

    def __init__(
        self,
        store: StoreSpec,
        difference_ms: int,
        grace_ms: int,
        initializer: Initializer,
        aggregator: Aggregator,
        *,
        emit_on_close: bool,
    ) -> None:
        super().__init__(store, stored=True)
        self.difference_ms = difference_ms
        self.grace_ms: int = grace_ms
        self.initializer = initializer
        self.aggregator = aggregator
        self.emit_on_close = emit_on_close

    def view(self) -> WindowView:
        assert self._store is not None
        return WindowView(self._store.name)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        late, forward = self.without_late(node, forward)
        store, forward = self.put_and_forward(node.task, forward)
        return _Sliding(self, node, self._store, store, forward, late).process


class _Sliding:
    """One task's work; the record in work is in attributes while it is taken through the windows."""

    def __init__(
        self,
        operator: SlidingWindowAggregate,
        node: NodeContext,
        spec: StoreSpec,
        store: Any,
        forward: Process,
        late: Process | None,
    ) -> None:
        self._node = node
        self._store = store
        self._apart = kept_apart(spec)
        self._forward = forward
        self._late = late
        self._difference = operator.difference_ms
        self._grace = operator.grace_ms
        self._initializer = operator.initializer
        self._aggregator = operator.aggregator
        self._sends_old = operator.sends_old_values
        closing = WindowClosing(node, spec.name, _bounds(self._difference), find_in_windows(self._store), forward)
        self._close = closing.emit_closed if operator.emit_on_close else None
        self._stream_time = -1
        self._closed = 0

    def process(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None or value is None:
            self._node.dropped("the key or the value is null")
            return
        self._stream_time = max(self._stream_time, timestamp)
        self._closed = self._stream_time - self._grace
        if timestamp + self._difference < self._closed:
            self._node.dropped("the window is closed")
            if self._late is not None:
                self._late(key, value, timestamp, headers)
            return
        record = key, value, timestamp, headers
        if timestamp < self._difference:
            self._early(*record)
            return
        self._in_the_middle(*record)
        if self._close is not None:
            self._close(self._closed, headers)

    def _in_the_middle(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        """The windows around a record are looked at from the latest to the earliest."""
        left = right = previous = None
        left_exists = right_exists = False
        starts = set()
        earliest = max(0, timestamp - 2 * self._difference)
        for start, held in self._store.backward_fetch_range(key, earliest, timestamp + 1):
            starts.add(start)
            end = start + self._difference
            if start == timestamp + 1:
                right_exists = True
            elif end > timestamp:
                right = right or self._apart(held)
                self._update(start, held, key, value, timestamp, headers)
            elif end == timestamp:
                left_exists = True
                self._update(start, held, key, value, timestamp, headers)
                if held[1] >= timestamp:
                    return
                previous = held[1]
            else:
                left, previous = held, held[1]
                break
        if previous is not None and previous + 1 not in starts and previous + 1 + self._difference >= timestamp:
            self._update(previous + 1, (self._initializer(), timestamp), key, value, timestamp, headers)
        if not left_exists:
            reaches = previous is not None and timestamp - self._difference <= previous
            first = left[0] if reaches and left is not None else self._initializer()
            self._update(timestamp - self._difference, (first, timestamp), key, value, timestamp, headers)
        if not right_exists and right is not None and right[1] > timestamp:
            self._make_right(right, key, timestamp, headers)

    def _early(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        """A record before one window's length after 1970: its left window is the one from 0."""
        first = right = previous = None
        right_exists = False
        starts = set()
        for start, held in self._store.fetch_range(key, 0, timestamp + 1):
            starts.add(start)
            if start == 0:
                first = held
                if held[1] < timestamp:
                    previous = held[1]
            elif start <= timestamp:
                right = self._apart(held)
                self._update(start, held, key, value, timestamp, headers)
            else:
                right_exists = True
        if right is None and first is not None and first[1] > timestamp:
            right = first
        if not right_exists and right is not None and right[1] > timestamp:
            self._make_right(right, key, timestamp, headers)
        if previous is not None and previous + 1 not in starts:
            self._update(previous + 1, (self._initializer(), timestamp), key, value, timestamp, headers)
        self._update(0, first or (self._initializer(), timestamp), key, value, timestamp, headers)

    def _make_right(self, held: Any, key: Any, timestamp: int, headers: Headers) -> None:
        """The window after a record holds what was in the window around it, without it."""
        start = timestamp + 1
        self._store.put(key, held, start)
        self._send(key, start, held[0], None, held[1], headers)

    def _update(self, start: int, held: Any, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if start + self._difference < self._closed:
            self._node.dropped("the window is closed")
            return
        old = held[0]
        before = self._apart(held)[0] if self._sends_old else None
        new = self._aggregator(key, value, old)
        newest = timestamp if old is None else max(timestamp, held[1])
        self._store.put(key, (new, newest), start)
        self._send(key, start, new, before, newest, headers)

    def _send(self, key: Any, start: int, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
        if self._close is None:
            window = Windowed(key, start, start + self._difference)
            self._forward(window, (new, old, True), timestamp, headers)


def _bounds(difference: int) -> Bounds:
    """The starts of the windows that closed since the last time."""

    def bounds(last_close: int | None, closed: int) -> tuple[int, int] | None:
        upper = closed - difference - 1
        if upper < 0:
            return None
        return 0 if last_close is None else max(0, last_close - difference), upper

    return bounds
