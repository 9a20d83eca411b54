"""Joins of two streams in a window of time. (`KStreamKStreamJoin`)

Each side keeps its records in a window store and looks into the other's. A left or outer join must also say which
records met nobody, but only once nobody can come any more: until then they wait in a buffer that both sides share,
ordered by time. Stream time is that of both sides together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moldau.streams.dsl.windows import JoinWindows
from moldau.streams.operators.contract import Headers, NodeContext, Process

Joiner = Callable[[Any, Any, Any], Any]
"""`joiner(key, left, right) -> value`."""

_NEVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class KeepForJoin:
    """Hands a record on to the join, then keeps it for those of the other side."""

    store: str

    def bind(self, node: NodeContext, forward: Process) -> Process:
        put = node.task.store(self.store).put

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            forward(key, value, timestamp, headers)
            if key is not None:
                put(key, value, timestamp)

        return process


class JoinTime:
    """What the two sides of one join know of time, in one task."""

    __slots__ = ("earliest_waiting", "next_look", "stream_time")

    def __init__(self) -> None:
        self.stream_time = -1
        self.earliest_waiting = _NEVER
        self.next_look = 0


@dataclass(frozen=True, slots=True)
class JoinSide:
    """One side of a join: looks for partners of its records in the other side's store."""

    is_left: bool
    windows: JoinWindows
    joiner: Joiner
    other_store: str
    keeps_unmatched: bool
    buffer: str | None
    """The store of records that wait for a partner, in a left or outer join."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        fetch, dropped = node.task.store(self.other_store).fetch, node.dropped
        before, after = self.windows.before_ms, self.windows.after_ms
        if not self.is_left:
            before, after = after, before
        joiner, is_left, keeps = self.joiner, self.is_left, self.keeps_unmatched
        waiting = None if self.buffer is None else node.task.store(self.buffer)
        clock = JoinTime() if waiting is None else waiting.time
        release = None if waiting is None else _Release(self, node, waiting, after, forward).closed

        def alone(key: Any, value: Any) -> Any:
            return joiner(key, value, None) if is_left else joiner(key, None, value)

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if timestamp > clock.stream_time:
                clock.stream_time = timestamp
            if keeps and key is None and value is not None:
                forward(key, alone(key, value), timestamp, headers)
                return
            if key is None or value is None:
                dropped("the key or the value is null")
                return
            if release is not None and timestamp == clock.stream_time:
                release(headers)
            latest = timestamp + after
            if latest < 0:
                latest = 0
            found = fetch(key, timestamp - before, latest)
            for other_time, other in found:
                if waiting is not None:
                    waiting.remove(other_time, not is_left, key)
                joined = joiner(key, value, other) if is_left else joiner(key, other, value)
                forward(key, joined, other_time if other_time > timestamp else timestamp, headers)
            if found or not keeps:
                return
            if waiting is None or latest < clock.stream_time:
                forward(key, alone(key, value), timestamp, headers)
            else:
                clock.earliest_waiting = min(clock.earliest_waiting, timestamp)
                waiting.add(timestamp, is_left, key, value)

        return process


@dataclass(frozen=True, slots=True)
class JoinWithItself:
    """A stream joined with itself: its records are kept once and looked up as both sides. (`KStreamKStreamSelfJoin`)

    What comes out is what two sides would give, in the same order: the pairs that the record leads, then those that it
    follows, and with itself before the first that is later than it.
    """

    windows: JoinWindows
    joiner: Joiner
    store: str

    def bind(self, node: NodeContext, forward: Process) -> Process:
        fetch, dropped = node.task.store(self.store).fetch, node.dropped
        before, after, joiner = self.windows.before_ms, self.windows.after_ms, self.joiner
        retention = self.windows.size_ms + self.windows.grace_ms
        clock = JoinTime()

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None or value is None:
                dropped("the key or the value is null")
                return
            clock.stream_time = max(clock.stream_time, timestamp)
            for other_time, other in fetch(key, max(0, timestamp - before), max(0, timestamp + after)):
                forward(key, joiner(key, value, other), max(timestamp, other_time), headers)
            waits = timestamp > clock.stream_time - retention + 1
            for other_time, other in fetch(key, max(0, timestamp - after), max(0, timestamp + before)):
                if waits and other_time > timestamp:
                    waits = False
                    forward(key, joiner(key, value, value), timestamp, headers)
                forward(key, joiner(key, other, value), max(timestamp, other_time), headers)
            if waits:
                forward(key, joiner(key, value, value), timestamp, headers)

        return process


class _Release:
    """Sends what waited long enough, in the order of time."""

    def __init__(self, side: JoinSide, node: NodeContext, waiting: Any, after: int, forward: Process) -> None:
        self._windows = side.windows
        self._joiner = side.joiner
        self._after = after
        self._clock = node.task.clock
        self._interval = node.task.emit_interval_ms
        self._waiting = waiting
        self._forward = forward

    def closed(self, headers: Headers) -> None:
        """Send the records whose window has closed. One side's closing may be later than the other's."""
        time: JoinTime = self._waiting.time
        windows, joiner = self._windows, self._joiner
        if time.earliest_waiting + self._after + windows.grace_ms >= time.stream_time:
            return
        now = self._clock()
        if now < time.next_look:
            return
        time.next_look = now + self._interval
        time.earliest_waiting = _NEVER
        left_open = right_open = False
        gone = []
        for (timestamp, is_left, key), values in self._waiting.in_order():
            time.earliest_waiting = timestamp
            if left_open and right_open:
                break
            reach = windows.after_ms if is_left else windows.before_ms
            if timestamp + reach + windows.grace_ms >= time.stream_time:
                left_open, right_open = left_open or is_left, right_open or not is_left
                continue
            for value in values:
                alone = joiner(key, value, None) if is_left else joiner(key, None, value)
                self._forward(key, alone, timestamp, headers)
            gone.append((timestamp, is_left, key))
        for place in gone:
            self._waiting.remove(*place)
