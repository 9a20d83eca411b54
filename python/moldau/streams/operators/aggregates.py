"""Aggregates per key without windows: of streams, which only add, and of tables, which take away first.

The timestamp of a result is the greatest of all that went into it. Reductions are aggregates whose first value is the
record itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from moldau.streams.errors import StreamsError
from moldau.streams.operators.contract import Headers, NodeContext, Process, ValueAndTimestamp
from moldau.streams.operators.record_cache import hold_of
from moldau.streams.operators.tables import TableOperator
from moldau.streams.serdes import required
from moldau.streams.topology.nodes import StoreSpec

NULL_DROPPED: Final = "the key or the value is null"

Initializer = Callable[[], Any]
Aggregator = Callable[[Any, Any, Any], Any]
"""`aggregator(key, value, aggregate) -> aggregate`."""


class Clock:
    """The time of one aggregate: the greatest timestamp (ms) that came to it, -1 before the first."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = -1


@dataclass(frozen=True, slots=True)
class Adding:
    """How an aggregate changes its store, for whoever adds to its groups in another way: for columns.

    `store` is as the operator has it: a record cache notes what was there before a put. `forward` is told each update.
    """

    store: Any
    forward: Process
    clock: Clock


def no_value() -> None:
    """The first value of a reduction: none."""


def zero() -> int:
    """The first value of a count."""
    return 0


def plus_one(key: Any, value: Any, count: int) -> int:
    """One more."""
    return count + 1


def minus_one(key: Any, value: Any, count: int) -> int:
    """One less."""
    return count - 1


def reduction(reducer: Callable[[Any, Any], Any]) -> Aggregator:
    """A reducer as an aggregator: the first value stands for itself."""

    def aggregate(key: Any, value: Any, held: Any) -> Any:
        return value if held is None else reducer(held, value)

    return aggregate


def may_change(store: StoreSpec) -> bool:
    """Whether a callback could change a value in place: then an old value has to be read apart from the one it gets."""
    return store.value is None or not store.value.immutable


def kept_apart(store: StoreSpec) -> Callable[[ValueAndTimestamp[Any]], ValueAndTimestamp[Any]]:
    """A copy of a pair whose value a callback could change in place; any other pair is returned as it is."""
    if not may_change(store):
        return lambda pair: pair
    serde = required(store.value, f"store {store.name}", "value")

    def copied(pair: ValueAndTimestamp[Any]) -> ValueAndTimestamp[Any]:
        value, timestamp = pair
        return None if value is None else serde.deserialize(serde.serialize(value)), timestamp

    return copied


class StreamAggregate(TableOperator):
    """Adds each record to its key's aggregate. (`KStreamAggregate`, `KStreamReduce`)

    Kafka's aggregate sends the fresh initial value as the old one, its reduction nothing; with `no_value` both agree.
    """

    def __init__(self, store: StoreSpec, initializer: Initializer, aggregator: Aggregator) -> None:
        super().__init__(store, stored=True)
        self._initializer = initializer
        self.aggregator = aggregator

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        initializer, aggregator, sends_old = self._initializer, self.aggregator, self.sends_old_values
        dropped = node.dropped
        store, forward = self.put_and_forward(node.task, forward)
        node.task.adding[node.name] = Adding(store, forward, Clock())
        store, hold = hold_of(store)
        get, put = store.get, store.put
        reads_twice = sends_old and may_change(self._store)

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None or value is None:
                dropped(NULL_DROPPED)
                return
            held = get(key)
            if held is None:
                old = initializer()
            else:
                old = held[0]
                timestamp = max(timestamp, held[1])
            before = old if sends_old else None
            if reads_twice:
                before = initializer() if held is None else get(key)[0]
            new = aggregator(key, value, old)
            put(key, (new, timestamp))
            if hold is not None:
                hold(key, key, None if held is None else held[0], new, timestamp, headers)
                return
            forward(key, (new, before, True), timestamp, headers)

        return process


class TableAggregate(TableOperator):
    """Takes the old row out of its group's aggregate and puts the new one in. (`KTableAggregate`, `KTableReduce`)"""

    def __init__(self, store: StoreSpec, initializer: Initializer, adder: Aggregator, subtractor: Aggregator) -> None:
        super().__init__(store, stored=True)
        self._initializer = initializer
        self._adder = adder
        self._subtractor = subtractor

    def bind(self, node: NodeContext, forward: Process) -> Process:
        assert self._store is not None
        initializer, adder, subtractor = self._initializer, self._adder, self._subtractor
        sends_old, name = self.sends_old_values, self._store.name
        store, forward = self.put_and_forward(node.task, forward)
        get, put = store.get, store.put
        reads_twice = sends_old and may_change(self._store)

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                raise StreamsError(f"a row without a key came to the aggregate with store {name}")
            added, removed, _ = change
            held = get(key)
            old = None if held is None else held[0]
            aggregate, before = old, old if sends_old else None
            if reads_twice and held is not None:
                before = get(key)[0]
            if held is not None and (added is not None or removed is not None):
                timestamp = max(timestamp, held[1])
            if removed is not None and old is not None:
                aggregate = subtractor(key, removed, old)
            if added is not None:
                aggregate = adder(key, added, initializer() if aggregate is None else aggregate)
            put(key, (aggregate, timestamp))
            forward(key, (aggregate, before, True), timestamp, headers)

        return process
