"""Emitting on close: each window once, when stream time has passed its end and its grace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moldau.streams.operators.contract import Headers, NodeContext, Process

Bounds = Callable[[int | None, int], tuple[int, int] | None]
"""`bounds(last_close, closed) -> (lower, upper)`: what to look for in the store, None for nothing to find."""

Find = Callable[[int, int], Iterator[tuple[Any, Any, int]]]
"""`find(lower, upper)`: windows with their values and timestamps."""


class WindowClosing:
    """Looks for windows that have closed, no more often than the interval of the task."""

    def __init__(self, node: NodeContext, store: str, bounds: Bounds, find: Find, forward: Process) -> None:
        self._clock = node.task.clock
        self._interval = node.task.emit_interval_ms
        self._bounds = bounds
        self._find = find
        self._forward = forward
        self._next_look = 0
        self._store = store
        self._closed = node.task.closed_windows

    def emit_closed(self, closed: int, headers: Headers) -> None:
        """Hand on all windows that have closed by `closed` and were not handed on before."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + self._interval
        last_close = self._closed.get(self._store)
        if last_close is not None and last_close >= closed:
            return
        bounds = self._bounds(last_close, closed)
        if bounds is None:
            return
        for window, value, timestamp in self._find(*bounds):
            self._forward(window, (value, None, True), timestamp, headers)
        self._closed[self._store] = closed


def find_in_windows(store: Any) -> Find:
    """The search in a window store."""

    def find(lower: int, upper: int) -> Iterator[tuple[Any, Any, int]]:
        for window, (value, timestamp) in store.fetch_all(lower, upper):
            yield window, value, timestamp

    return find


def find_in_sessions(store: Any) -> Find:
    """The search in a session store; a session's result is stamped with its end."""

    def find(lower: int, upper: int) -> Iterator[tuple[Any, Any, int]]:
        for window, value in store.find_all_sessions(lower, upper):
            yield window, value, window.end

    return find
