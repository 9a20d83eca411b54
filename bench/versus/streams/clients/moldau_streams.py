"""Moldau's client; it takes one argument more: CACHE_BYTES."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import msgspec

from moldau.streams import JoinWindows, KStream, SessionWindows, StreamsBuilder, TimeWindows, col, make
from moldau.streams.runtime import KafkaStreams
from moldau.streams.subject import Subject

COMMIT_INTERVAL_MS = 1000
IN_STEP_MS = 500
"""So long the row of two inputs waits for the one that is behind."""


class Order(msgspec.Struct, frozen=True):
    """The guide's order."""

    order_id: str
    customer_id: str
    amount: float
    status: str


class Payment(msgspec.Struct, frozen=True):
    """What was paid for an order."""

    order_id: str
    paid: float
    method: str


class Customer(msgspec.Struct, frozen=True):
    """A row of the table."""

    name: str


class Total(msgspec.Struct, frozen=True):
    """An order on its way out."""

    amount: float
    text: str


class Topics:
    """The topics of one run."""

    def __init__(self, suffix: str) -> None:
        self.builder = StreamsBuilder()
        self.suffix = suffix

    def named(self, topic: str) -> str:
        return f"{topic}-{self.suffix}"

    def orders(self) -> KStream[str, Order]:
        return self.builder.stream(self.named("orders"), key=str, value=Order)


def stateless(topics: Topics) -> None:
    (
        topics.orders()
        .filter(lambda order: order.status == "COMPLETED")
        .map_values(lambda order: Total(order.amount * 1.2, order.order_id))
        .to(topics.named("out"), key=str, value=Total)
    )


def expressions(topics: Topics) -> None:
    (
        topics.orders()
        .filter(col.status == "COMPLETED")
        .map_values(make(Total, amount=col.amount * 1.2, text=col.order_id))
        .to(topics.named("out"), key=str, value=Total)
    )


def hourly_revenue(topics: Topics) -> None:
    hourly(topics, topics.orders())


def hourly_avro(topics: Topics) -> None:
    value = Subject("orders-value", Order, registry=os.environ["BENCH_REGISTRY_URL"])
    hourly(topics, topics.builder.stream(topics.named("orders"), key=str, value=value))


def hourly(topics: Topics, orders: KStream[str, Order]) -> None:
    (
        orders.filter(lambda order: order.status == "COMPLETED")
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .aggregate(lambda: 0.0, lambda _, order, total: total + order.amount, store="revenue", value=float)
        .to_stream()
        .to(topics.named("out"), value=float)
    )


def hourly_expressions(topics: Topics) -> None:
    (
        topics.orders()
        .filter(col.status == "COMPLETED")
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .agg(revenue=col.amount.sum(), store="revenue")
        .to(topics.named("out"))
    )


def enriched(topics: Topics) -> None:
    customers = topics.builder.table(topics.named("customers"), key=str, value=Customer, store="customers")
    (
        topics.orders()
        .join(customers, lambda order, customer: Total(order.amount, customer.name))
        .to(topics.named("out"), key=str, value=Total)
    )


def paid(topics: Topics) -> None:
    payments = topics.builder.stream(topics.named("payments"), key=str, value=Payment)
    (
        topics.orders()
        .join(
            payments,
            lambda order, payment: Total(payment.paid, order.order_id),
            JoinWindows.of_time_difference_and_grace("1s", "10m"),
        )
        .to(topics.named("out"), key=str, value=Total)
    )


def sessions(topics: Topics) -> None:
    (
        topics.orders()
        .group_by_key()
        .windowed_by(SessionWindows.of_inactivity_gap_with_no_grace("1h"))
        .count(store="sessions")
        .to_stream()
        .to(topics.named("out"), value=int)
    )


ROWS: dict[str, Callable[[Topics], None]] = {
    "stateless": stateless,
    "expressions": expressions,
    "hourly-revenue": hourly_revenue,
    "hourly-expressions": hourly_expressions,
    "hourly-avro": hourly_avro,
    "many-keys": hourly_revenue,
    "enriched": enriched,
    "paid": paid,
    "sessions": sessions,
}


def main() -> None:
    bootstrap, row, guarantee, suffix, folder, cache_bytes = sys.argv[1:7]
    topics = Topics(suffix)
    ROWS[row](topics)
    app = KafkaStreams(
        topics.builder.build(),
        application_id=f"moldau-{suffix}",
        bootstrap_servers=bootstrap,
        processing_guarantee=guarantee,
        state_dir=folder,
        statestore_cache_max_bytes=int(cache_bytes),
        **({"max_task_idle_ms": IN_STEP_MS} if row == "paid" else {}),
        **({"commit_interval_ms": COMMIT_INTERVAL_MS} if guarantee == "at_least_once" else {}),
    )
    app.run()


if __name__ == "__main__":
    main()
