"""Grouped streams with windows of a fixed grid, waiting for an aggregate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from moldau.streams.dsl.grouped import KGroupedStream, stored_as, with_key
from moldau.streams.dsl.options import Materialized, Name, name_of
from moldau.streams.dsl.windows import EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from moldau.streams.operators.aggregates import Aggregator, no_value, plus_one, reduction, zero
from moldau.streams.operators.tables import TableOperator
from moldau.streams.operators.time_windows import TimeWindowAggregate
from moldau.streams.serdes import Serde, SerdeLike, Windowed, serde_of, time_windowed_serde
from moldau.streams.serdes.primitive import LONG
from moldau.streams.topology.nodes import StoreSpec

if TYPE_CHECKING:
    from moldau.streams.dsl.ktable import KTable

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class TimeWindowedKStream(Generic[K, V]):
    """Records by key and window."""

    def __init__(
        self, grouped: KGroupedStream[K, V], windows: TimeWindows | UnlimitedWindows, emit: EmitStrategy | None = None
    ) -> None:
        self._grouped = grouped
        self._windows = windows
        self._emit = emit or EmitStrategy.on_window_update()

    def emit_strategy(self, strategy: EmitStrategy) -> TimeWindowedKStream[K, V]:
        """The same, emitting by another rule."""
        if strategy.on_close and isinstance(self._windows, UnlimitedWindows):
            raise ValueError("an unlimited window never closes, so nothing would be emitted on close")
        return type(self)(self._grouped, self._windows, strategy)

    def count(
        self, materialized: Materialized[Any, Any] | None = None, *, name: Name = None, store: str | None = None
    ) -> KTable[Windowed[K], int]:
        """How many records there were per key and window."""
        stored = stored_as(materialized, store, self._grouped.key_serde, LONG)
        if materialized is not None and stored.name is None:
            self._grouped.graph.store_name("KSTREAM-AGGREGATE-")
        return self._table("AGGREGATE", name, stored, zero, plus_one)

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[Windowed[K], V]:
        """One value per key and window."""
        stored = stored_as(materialized, store, self._grouped.key_serde, self._grouped.value_serde)
        return self._table("REDUCE", name, stored, no_value, reduction(reducer))

    @overload
    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[Windowed[K], A]: ...
    @overload
    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[V, A], A],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[Windowed[K], A]: ...
    def aggregate(
        self,
        initializer: Callable[[], Any],
        aggregator: Callable[..., Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: Any = None,
    ) -> KTable[Any, Any]:
        """One aggregate per key and window: `aggregator(key, value, aggregate)`, or without the key."""
        stored = stored_as(materialized, store, self._grouped.key_serde, serde_of(value), initializer)
        return self._table("AGGREGATE", name, stored, initializer, with_key(aggregator))

    def _table(
        self,
        kind: str,
        name: Name,
        stored: Materialized[Any, Any],
        initializer: Callable[[], Any],
        aggregator: Aggregator,
    ) -> KTable[Any, Any]:
        graph = self._grouped.graph
        store_name = stored.name or graph.store_name(f"KSTREAM-{kind}-")
        node_name = graph.name(name_of(name), f"KSTREAM-{kind}-")
        spec = window_store(stored, store_name, self._windows.size_ms, self._windows.grace_ms)
        operator = self._operator(spec, initializer, aggregator)
        key = None if stored.key is None else self._windowed_key(stored.key)
        return self._grouped.table(node_name, operator, store_name, key, stored.value, self._windows.grace_ms)

    def _operator(self, spec: StoreSpec, initializer: Callable[[], Any], aggregator: Aggregator) -> TableOperator:
        return TimeWindowAggregate(spec, self._windows, initializer, aggregator, emit_on_close=self._emit.on_close)

    def _windowed_key(self, key: Serde[Any]) -> Serde[Any]:
        return time_windowed_serde(key, self._windows.size_ms)


def window_store(stored: Materialized[Any, Any], name: str, size_ms: int, grace_ms: int) -> StoreSpec:
    """The store of windows; it keeps them at least as long as they take records."""
    needed = size_ms + grace_ms
    retention = needed if stored.retention_ms is None else stored.retention_ms
    if retention < needed:
        raise ValueError(
            f"store {name} keeps windows for {retention} ms, but they take records for {needed} ms (size and grace)\n"
            f"hint: a retention of {needed} ms or more"
        )
    return StoreSpec(
        name,
        "window",
        stored.key,
        stored.value,
        logged=stored.logged,
        cached=stored.cached,
        in_memory=stored.in_memory,
        retention_ms=retention,
        window_size_ms=size_ms,
        segment_interval_ms=max(retention // 2, 60_000),
        log_config=stored.log_config,
    )


def windowed(grouped: KGroupedStream[Any, Any], windows: Any) -> Any:
    """The windowed stream for a kind of window."""
    if isinstance(windows, TimeWindows | UnlimitedWindows):
        return TimeWindowedKStream(grouped, windows)
    if isinstance(windows, SlidingWindows | SessionWindows):
        raise NotImplementedError(f"{type(windows).__name__}")
    raise TypeError(f"windows are needed here, such as TimeWindows.of_size_with_no_grace('1h'), not {windows!r}")
