"""Grouped streams with time windows, waiting for an aggregate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from moldau.streams.aggregations import Aggregates, Aggregation
from moldau.streams.dsl.callback import with_key
from moldau.streams.dsl.grouped import KGroupedStream, stored_as
from moldau.streams.dsl.options import Materialized, Name, name_of
from moldau.streams.dsl.session_windowed import SessionWindowedKStream
from moldau.streams.dsl.window_stores import window_store
from moldau.streams.dsl.windows import EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from moldau.streams.operators.aggregates import Aggregator, no_value, plus_one, reduction, zero
from moldau.streams.operators.sliding_windows import SlidingWindowAggregate
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


AlignedWindows = TimeWindows | UnlimitedWindows | SlidingWindows


class TimeWindowedKStream(Generic[K, V]):
    """Records by key and window."""

    def __init__(
        self, grouped: KGroupedStream[K, V], windows: AlignedWindows, emit: EmitStrategy | None = None
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

    def agg(self, *, store: str | None = None, name: Name = None, **parts: Aggregation) -> KTable[Windowed[K], Any]:
        """Several aggregations at once: `agg(revenue=col.amount.sum(), n=count())` gives values with these fields."""
        aggregates = Aggregates(parts)
        stored = stored_as(None, store, self._grouped.key_serde, serde_of(aggregates.kind))
        return self._table("AGGREGATE", name, stored, no_value, aggregates.step).results(aggregates, name)

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
        spec = aligned_store(self._windows, stored, store_name, emits_on_close=self._emit.on_close)
        operator = aligned_aggregate(self._windows, spec, initializer, aggregator)
        return self._grouped.table(node_name, operator, store_name, aligned_key(self._windows, stored), stored.value)


def aligned_store(
    windows: AlignedWindows, stored: Materialized[Any, Any], name: str, *, emits_on_close: bool
) -> StoreSpec:
    """The store of an aggregate in windows of a grid, or in sliding ones."""
    size = _size_ms(windows)
    needed = size + windows.grace_ms + (size if isinstance(windows, SlidingWindows) else 0)
    return window_store(stored, name, size, needed, emits_on_close=emits_on_close)


def aligned_aggregate(
    windows: AlignedWindows, spec: StoreSpec, initializer: Callable[[], Any], aggregator: Aggregator
) -> TableOperator:
    """The operator that adds to the windows which `spec` holds."""
    on_close = spec.emits_on_close
    if isinstance(windows, SlidingWindows):
        difference, grace = windows.difference_ms, windows.grace_ms
        return SlidingWindowAggregate(spec, difference, grace, initializer, aggregator, emit_on_close=on_close)
    return TimeWindowAggregate(spec, windows, initializer, aggregator, emit_on_close=on_close)


def aligned_key(windows: AlignedWindows, stored: Materialized[Any, Any]) -> Serde[Any] | None:
    """The serde of keys with a window."""
    return None if stored.key is None else time_windowed_serde(stored.key, _size_ms(windows))


def _size_ms(windows: AlignedWindows) -> int:
    return windows.difference_ms if isinstance(windows, SlidingWindows) else windows.size_ms


def windowed(grouped: KGroupedStream[Any, Any], windows: Any) -> Any:
    """The windowed stream for a kind of window."""
    if isinstance(windows, TimeWindows | UnlimitedWindows | SlidingWindows):
        return TimeWindowedKStream(grouped, windows)
    if isinstance(windows, SessionWindows):
        return SessionWindowedKStream(grouped, windows)
    raise TypeError(f"windows are needed here, such as TimeWindows.of_size_with_no_grace('1h'), not {windows!r}")
