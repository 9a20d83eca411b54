"""The guide's Streams chapter over the changes of the shop's tables: hourly revenue, and orders joined with customers.

    ecommerce-prod.public.orders     -> orders      by customer -> hourly-revenue-store -> hourly-revenue
    ecommerce-prod.public.customers  -> customers   by customer    join with orders     -> enriched-orders
    ecommerce-prod.public.inventory  -> inventory   by product

`moldau streams run shop.py:topology --exactly-once` runs it. Records are Avro; their schemas are the files beside this
one, in the registry at MOLDAU_REGISTRY_URL (http://localhost:8081 without it). Time is the shop's: when something was
ordered, not when it came by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from moldau.streams import (
    Branched,
    Consumed,
    Materialized,
    Named,
    Produced,
    StreamsBuilder,
    Subject,
    TimeWindows,
    Topology,
)

PREFIX = "ecommerce-prod.public"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of the table `orders`, as Debezium writes it."""

    id: int
    customer_id: str
    sku: str
    amount: Decimal
    status: str
    event_ts: int


@dataclass(frozen=True, slots=True)
class OrderChange:
    """A change of it; what else is in the envelope is not asked for."""

    after: OrderRow | None


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A row of the table `customers`, without the columns that stay in the database."""

    id: str
    name: str
    city: str
    event_ts: int


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """A change of it."""

    after: CustomerRow | None


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """A row of the table `inventory`."""

    sku: str
    stock: int
    event_ts: int


@dataclass(frozen=True, slots=True)
class InventoryChange:
    """A change of it."""

    after: InventoryRow | None


@dataclass(frozen=True, slots=True)
class Order:
    """What the topic `orders` and the lake have."""

    order_id: int
    customer_id: str
    sku: str
    amount: Decimal
    status: str
    event_ts: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """What the topic `customers` has."""

    customer_id: str
    name: str
    city: str


@dataclass(frozen=True, slots=True)
class Stock:
    """What the topic `inventory` and the lake have."""

    sku: str
    stock: int
    event_ts: datetime


@dataclass(frozen=True, slots=True)
class EnrichedOrder:
    """An order and who ordered it."""

    order_id: int
    customer_id: str
    name: str
    city: str
    amount: Decimal
    status: str
    event_ts: datetime


ORDERS = Subject("orders-value", Order)
CUSTOMERS = Subject("customers-value", Customer)
INVENTORY = Subject("inventory-value", Stock)
ENRICHED_ORDERS = Subject("enriched-orders-value", EnrichedOrder)


def when_it_happened(timestamp: int, key: Any, change: Any, partition_time: int) -> int:
    """The time of a change: that of the row."""
    return timestamp if change is None or change.after is None else change.after.event_ts


def moment(milliseconds: int) -> datetime:
    """A time of Debezium."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def topology() -> Topology:
    """All of it."""
    builder = StreamsBuilder()
    unwrap(builder)

    # From here on it is the guide's.
    orders = builder.stream("orders", Consumed.with_(key=str, value=ORDERS))
    branches = (
        orders.filter(lambda key, order: order.amount > 0)
        .split(Named.as_("orders-"))
        .branch(lambda key, order: order.status == "COMPLETED", Branched.as_("completed"))
        .branch(lambda key, order: order.status == "REFUNDED", Branched.as_("refunded"))
        .default_branch(Branched.as_("other"))
    )
    hourly_revenue = (
        branches["orders-completed"]
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace(timedelta(hours=1)))
        .aggregate(
            lambda: Decimal(0),
            lambda key, order, total: total + order.amount,
            # Without grace a store forgets a window one hour later; this one is asked about the whole day.
            Materialized.as_("hourly-revenue-store").with_retention("1d"),
        )
    )
    hourly_revenue.to_stream().to("hourly-revenue")

    customers = builder.table("customers", Consumed.with_(key=str, value=CUSTOMERS), store="customers-store")
    enriched = orders.join(
        customers,
        lambda order, customer: EnrichedOrder(
            order.order_id,
            order.customer_id,
            customer.name,
            customer.city,
            order.amount,
            order.status,
            order.event_ts,
        ),
    )
    enriched.to("enriched-orders", value=ENRICHED_ORDERS)

    orders.group_by_key().count(store="orders-per-customer")
    return builder.build()


def unwrap(builder: StreamsBuilder) -> None:
    """Rows out of Debezium's envelopes, by the key that the rest of the shop thinks in."""

    def changes(table: str, kind: type[Any]) -> Any:
        value = Subject(f"{PREFIX}.{table}-value", kind)
        consumed = Consumed.with_(key=bytes, value=value, timestamp_extractor=when_it_happened)
        return builder.stream(f"{PREFIX}.{table}", consumed).filter(
            lambda key, change: change is not None and change.after
        )

    changes("orders", OrderChange).map(
        lambda key, change: (
            change.after.customer_id,
            Order(
                change.after.id,
                change.after.customer_id,
                change.after.sku,
                change.after.amount,
                change.after.status,
                moment(change.after.event_ts),
            ),
        )
    ).to("orders", Produced.with_(str, ORDERS))
    changes("customers", CustomerChange).map(
        lambda key, change: (change.after.id, Customer(change.after.id, change.after.name, change.after.city))
    ).to("customers", Produced.with_(str, CUSTOMERS))
    changes("inventory", InventoryChange).map(
        lambda key, change: (
            change.after.sku,
            Stock(change.after.sku, change.after.stock, moment(change.after.event_ts)),
        )
    ).to("inventory", Produced.with_(str, INVENTORY))
