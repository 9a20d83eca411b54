"""The client of Faust: agents that read topics, and tables that are kept in RocksDB and on a changelog.

Faust has no joins of streams and no session windows; a table is joined by looking a key up in it.
"""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import faust
import mode.loop

HOUR_S = 3600
COMMIT_INTERVAL_S = {"at_least_once": 1.0, "exactly_once_v2": 0.1}


class Order(faust.Record, serializer="json"):
    order_id: str
    customer_id: str
    amount: float
    status: str


class Customer(faust.Record, serializer="json"):
    name: str


class Total(faust.Record, serializer="json"):
    amount: float
    text: str


class Revenue(faust.Record, serializer="json"):
    start: int
    value: float


def stateless(app: faust.App, named: Callable[[str], str]) -> None:
    orders = app.topic(named("orders"), key_type=bytes, value_type=Order)
    out = app.topic(named("out"), key_type=bytes, value_type=Total)

    @app.agent(orders)
    async def more(stream: faust.Stream[Order]) -> None:
        async for key, order in stream.items():
            if order.status == "COMPLETED":
                await out.send(key=key, value=Total(amount=order.amount * 1.2, text=order.order_id))


def hourly_revenue(app: faust.App, named: Callable[[str], str]) -> None:
    orders = app.topic(named("orders"), key_type=bytes, value_type=Order)
    out = app.topic(named("out"), key_type=bytes, value_type=Revenue)
    revenue = app.Table("revenue", default=float, partitions=1).tumbling(
        timedelta(seconds=HOUR_S), expires=timedelta(days=1)
    )

    @app.agent(orders)
    async def add(stream: faust.Stream[Order]) -> None:
        async for event in stream.events():
            order = event.value
            if order.status == "COMPLETED":
                revenue[order.customer_id] += order.amount
                start = int(event.message.timestamp) // HOUR_S * HOUR_S * 1000
                total = Revenue(start=start, value=revenue[order.customer_id].current())
                await out.send(key=event.key, value=total)


def enriched(app: faust.App, named: Callable[[str], str]) -> None:
    orders = app.topic(named("orders"), key_type=bytes, value_type=Order)
    changes = app.topic(named("customers"), key_type=bytes, value_type=Customer)
    out = app.topic(named("out"), key_type=bytes, value_type=Total)
    customers = app.Table("customers", value_type=Customer, partitions=1)

    @app.agent(changes)
    async def keep(stream: faust.Stream[Customer]) -> None:
        async for key, customer in stream.items():
            customers[key.decode()] = customer

    @app.agent(orders)
    async def enrich(stream: faust.Stream[Order]) -> None:
        async for key, order in stream.items():
            customer = customers.get(order.customer_id)
            if customer is not None:
                await out.send(key=key, value=Total(amount=order.amount, text=customer.name))


ROWS = {
    "stateless": stateless,
    "hourly-revenue": hourly_revenue,
    "many-keys": hourly_revenue,
    "enriched": enriched,
}


def main() -> None:
    bootstrap, row, guarantee, suffix, folder = sys.argv[1:6]
    Path(folder).mkdir(parents=True, exist_ok=True)
    mode.loop.use("uvloop")
    app = faust.App(
        f"faust-{suffix}",
        broker=f"kafka://{bootstrap}",
        store="rocksdb://",
        datadir=folder,
        processing_guarantee="exactly_once" if guarantee == "exactly_once_v2" else "at_least_once",
        broker_commit_interval=COMMIT_INTERVAL_S[guarantee],
        topic_partitions=1,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
    )
    ROWS[row](app, lambda topic: f"{topic}-{suffix}")
    # Its worker reads the command line by itself.
    sys.argv[1:] = []
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
