"""The topologies of these tests, in a module of its own so that a process of its own can run them too."""

from __future__ import annotations

import time
from dataclasses import dataclass

from moldau.streams.aggregations import count
from moldau.streams.dsl.builder import StreamsBuilder
from moldau.streams.dsl.options import Materialized
from moldau.streams.dsl.windows import TimeWindows
from moldau.streams.expressions import col, left, make, right
from moldau.streams.serdes import Serdes
from moldau.streams.topology.topology import Topology

HOUR_MS = 3_600_000
# Of today: a broker deletes what is older than its retention and refuses what is of the future.
T0 = (int(time.time()) // 3600 - 5) * HOUR_MS


@dataclass(slots=True)
class Order:
    amount: float
    status: str


def hourly_revenue(orders: str = "orders", revenue: str = "hourly-revenue", *, in_memory: bool = True) -> Topology:
    """The guide's: revenue per customer and hour."""
    builder = StreamsBuilder()
    store = Materialized.as_("hourly-revenue-store")
    (
        builder.stream(orders, key=str, value=Order)
        .filter(lambda key, order: order.amount > 0)
        .filter(lambda key, order: order.status == "COMPLETED")
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .aggregate(
            lambda: 0.0,
            lambda key, order, total: total + order.amount,
            store.with_store_type("in_memory") if in_memory else store,
        )
        .to_stream()
        .to(revenue)
    )
    return builder.build()


def count_per_key(source: str, sink: str, store: str = "counts", *, in_memory: bool = True) -> Topology:
    """How often each key came: one output per record, so that a lost or a doubled one shows."""
    builder = StreamsBuilder()
    counts = Materialized.as_(store)
    (
        builder.stream(source, key=str, value=str)
        .group_by_key()
        .count(counts.with_store_type("in_memory") if in_memory else counts)
        .to_stream()
        .to(sink, value=int)
    )
    return builder.build()


def count_per_value(source: str, sink: str) -> Topology:
    """How often each value came: the key changes, so there is a repartition topic."""
    builder = StreamsBuilder()
    (
        builder.stream(source, key=str, value=str)
        .group_by(lambda key, value: value)
        .count(Materialized.as_("counts"))
        .to_stream()
        .to(sink, value=int)
    )
    return builder.build()


def doubled(source: str, sink: str) -> Topology:
    """Numbers, times two: no state."""
    builder = StreamsBuilder()
    builder.stream(source, key=str, value=int).map_values(lambda value: value * 2).to(sink)
    return builder.build()


def expressions(source: str, sink: str) -> Topology:
    """Orders that were paid, smaller and by customer: a topology for columns."""
    builder = StreamsBuilder()
    (
        builder.stream(source, key=str, value=dict)
        .filter(col.status == "COMPLETED")
        .select_key(col.customer, key=str)
        .map_values(make(dict, number=col.number, amount=col.amount * 1.2))
        .to(sink)
    )
    return builder.build()


def priced_in_expressions(orders: str, prices: str, sink: str) -> Topology:
    """Orders with the price that was known then; those of which none was known too."""
    builder = StreamsBuilder()
    table = builder.table(prices, key=str, value=dict, store="prices")
    (
        builder.stream(orders, key=str, value=dict)
        .filter(col.status == "COMPLETED")
        .left_join(table, make(dict, number=left.number, price=right.price, none=right.price.is_null()))
        .to(sink, value=dict)
    )
    return builder.build()


def revenue_in_expressions(source: str, sink: str, *, rekeyed: bool) -> Topology:
    """Revenue per hour and key, or customer behind a repartition topic: aggregates for columns."""
    builder = StreamsBuilder()
    paid = builder.stream(source, key=str, value=dict).filter(col.status == "COMPLETED")
    grouped = paid.group_by(col.customer, key=str) if rekeyed else paid.group_by_key()
    (
        grouped.windowed_by(TimeWindows.of_size_and_grace("1h", "10m"))
        .agg(revenue=col.amount.sum(), orders=count(), greatest=col.amount.max(), store="revenue")
        .to(sink)
    )
    return builder.build()


__all__ = [
    "HOUR_MS",
    "T0",
    "Order",
    "Serdes",
    "count_per_key",
    "count_per_value",
    "doubled",
    "expressions",
    "hourly_revenue",
    "priced_in_expressions",
    "revenue_in_expressions",
]
