"""Grouped streams with sessions, waiting for an aggregate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from moldau.streams.aggregations import Aggregates, Aggregation
from moldau.streams.dsl.callback import with_key
from moldau.streams.dsl.grouped import KGroupedStream, stored_as
from moldau.streams.dsl.options import Materialized, Name, name_of
from moldau.streams.dsl.window_stores import session_store
from moldau.streams.dsl.windows import EmitStrategy, SessionWindows
from moldau.streams.operators.aggregates import Aggregator, no_value, plus_one, reduction, zero
from moldau.streams.operators.sessions import Merger, SessionAggregate, merged_counts, merged_reductions
from moldau.streams.serdes import SerdeLike, Windowed, serde_of, session_windowed_serde
from moldau.streams.serdes.primitive import LONG

if TYPE_CHECKING:
    from moldau.streams.dsl.ktable import KTable

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class SessionWindowedKStream(Generic[K, V]):
    """Records by key and session."""

    def __init__(
        self, grouped: KGroupedStream[K, V], windows: SessionWindows, emit: EmitStrategy | None = None
    ) -> None:
        self._grouped = grouped
        self._windows = windows
        self._emit = emit or EmitStrategy.on_window_update()

    def emit_strategy(self, strategy: EmitStrategy) -> SessionWindowedKStream[K, V]:
        """The same, emitting by another rule."""
        return type(self)(self._grouped, self._windows, strategy)

    def count(
        self, materialized: Materialized[Any, Any] | None = None, *, name: Name = None, store: str | None = None
    ) -> KTable[Windowed[K], int]:
        """How many records there were per key and session."""
        stored = stored_as(materialized, store, self._grouped.key_serde, LONG)
        if materialized is not None and stored.name is None:
            self._grouped.graph.store_name("KSTREAM-AGGREGATE-")
        return self._table("AGGREGATE", name, stored, zero, plus_one, merged_counts)

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[Windowed[K], V]:
        """One value per key and session."""
        stored = stored_as(materialized, store, self._grouped.key_serde, self._grouped.value_serde)
        return self._table("REDUCE", name, stored, no_value, reduction(reducer), merged_reductions(reducer))

    # `object`, for mypy would make Any of the aggregate when a lambda of two of them returned one.
    @overload
    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A], A],
        merger: Callable[[K, A, A], object],
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
        merger: Callable[[A, A], object],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[Windowed[K], A]: ...
    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[..., A],
        merger: Callable[..., object],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[A] | None = None,
    ) -> KTable[Windowed[K], A]:
        """One aggregate per key and session; `merger(key, one, other)`, or without the key, joins two sessions."""
        stored = stored_as(materialized, store, self._grouped.key_serde, serde_of(value), initializer)
        return self._table("AGGREGATE", name, stored, initializer, with_key(aggregator), with_key(merger))

    def agg(self, *, store: str | None = None, name: Name = None, **parts: Aggregation) -> KTable[Windowed[K], Any]:
        """Several aggregations at once: `agg(revenue=col.amount.sum(), n=count())` gives values with these fields."""
        aggregates = Aggregates(parts)
        stored = stored_as(None, store, self._grouped.key_serde, serde_of(aggregates.kind))
        return self._table("AGGREGATE", name, stored, no_value, aggregates.step, aggregates.merge).results(
            aggregates, name
        )

    def _table(
        self,
        kind: str,
        name: Name,
        stored: Materialized[Any, Any],
        initializer: Callable[[], Any],
        aggregator: Aggregator,
        merger: Merger,
    ) -> KTable[Any, Any]:
        graph, gap, grace = self._grouped.graph, self._windows.gap_ms, self._windows.grace_ms
        store_name = stored.name or graph.store_name(f"KSTREAM-{kind}-")
        node_name = graph.name(name_of(name), f"KSTREAM-{kind}-")
        operator = SessionAggregate(
            session_store(stored, store_name, gap + grace, emits_on_close=self._emit.on_close),
            gap,
            grace,
            initializer,
            aggregator,
            merger,
            emit_on_close=self._emit.on_close,
        )
        key = None if stored.key is None else session_windowed_serde(stored.key)
        return self._grouped.table(node_name, operator, store_name, key, stored.value)
