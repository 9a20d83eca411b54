"""Aggregates per session. (`KStreamSessionWindowAggregate`)

A record merges all sessions of its key that it touches into one; the merged ones are taken back with a tombstone before
the new one is sent. A result is stamped with the end of its session and carries no headers, as in Kafka.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.operators.aggregates import Aggregator, Initializer
from moldau.streams.operators.contract import Getter, Headers, NodeContext, Process
from moldau.streams.operators.record_cache import hold_of
from moldau.streams.operators.tables import StoreView, WindowedAggregate
from moldau.streams.operators.window_closing import WindowClosing, find_in_sessions
from moldau.streams.serdes import Windowed
from moldau.streams.topology.nodes import StoreSpec

Merger = Callable[[Any, Any, Any], Any]
"""`merger(key, one, other) -> aggregate` of two sessions that became one."""


def merged_counts(key: Any, one: int, other: int) -> int:
    """The count of two sessions."""
    return one + other


def merged_reductions(reducer: Callable[[Any, Any], Any]) -> Merger:
    """The reduction of two sessions."""

    def merge(key: Any, one: Any, other: Any) -> Any:
        return other if one is None else reducer(one, other)

    return merge


class SessionView(StoreView):
    """A table whose keys are sessions."""

    def getter(self, task: TaskContext) -> Getter:
        fetch = task.store(self.store).fetch_session

        def look_up(session: Any) -> Any:
            value = fetch(session[0], session[1], session[2])
            return None if value is None else (value, session[2])

        return look_up


class SessionAggregate(WindowedAggregate):
    """Adds each record to the session that it makes or joins."""

    def __init__(
        self,
        store: StoreSpec,
        gap_ms: int,
        grace_ms: int,
        initializer: Initializer,
        aggregator: Aggregator,
        merger: Merger,
        *,
        emit_on_close: bool,
    ) -> None:
        super().__init__(store, stored=True)
        self.grace_ms: int = gap_ms + grace_ms
        self._gap = gap_ms
        self._initializer = initializer
        self._aggregator = aggregator
        self._merger = merger
        self._emit_on_close = emit_on_close

    def view(self) -> SessionView:
        assert self._store is not None
        return SessionView(self._store.name)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        dropped, sends_old = node.dropped, self.sends_old_values
        late, forward = self.without_late(node, forward)
        store, forward = self.put_and_forward(node.task, forward)
        store, hold = hold_of(store)
        gap, until_closed = self._gap, self.grace_ms
        initializer, aggregator, merger = self._initializer, self._aggregator, self._merger
        find, put, remove, make = store.find_sessions, store.put, store.remove, tuple.__new__
        closing = WindowClosing(node, self._store.name, _bounds, find_in_sessions(store), forward)
        close = closing.emit_closed if self._emit_on_close else None
        stream_time = -1

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            nonlocal stream_time
            if key is None:
                dropped("the key is null")
                return
            if timestamp > stream_time:
                stream_time = timestamp
            closed = stream_time - until_closed
            start = end = timestamp
            aggregate, before = initializer(), None
            touched = list(find(key, timestamp - gap, timestamp + gap))
            for session, held in touched:
                aggregate = merger(key, aggregate, held)
                _, first, last = session
                if first < start:
                    start = first
                if last > end:
                    end = last
            if end < closed:
                dropped("the session is closed")
                if late is not None:
                    late(key, value, timestamp, headers)
            else:
                if start != timestamp or end != timestamp:
                    for session, held in touched:
                        remove(session)
                        if hold is not None:
                            hold(tuple(session), key, held, None, session[2], ())
                        elif close is None:
                            forward(session, (None, held if sends_old else None, True), session[2], ())
                elif touched:
                    ((_, before),) = touched
                aggregate = aggregator(key, value, aggregate)
                # Past the constructor of the named tuple, which is a function of Python.
                merged = make(Windowed, (key, start, end))
                put(merged, aggregate)
                if hold is not None:
                    hold((key, start, end), key, before, aggregate, end, ())
                elif close is None:
                    forward(merged, (aggregate, None, True), end, ())
            if close is not None:
                close(closed, headers)

        return process


def _bounds(last_close: int | None, closed: int) -> tuple[int, int] | None:
    """The ends of the sessions that closed since the last time."""
    lower, upper = max(0, -1 if last_close is None else last_close), closed - 1
    return (lower, upper) if upper >= lower else None
