"""Hourly revenue per customer, in the spelling of Kafka Streams.

python hourly_revenue.py [BOOTSTRAP] runs one instance; start it twice and the two share the work.
"""

import sys
from dataclasses import dataclass

from moldau.streams import (
    Branched,
    Consumed,
    KafkaStreams,
    Materialized,
    Named,
    StreamsBuilder,
    TimeWindows,
    Topology,
)


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    customer_id: str
    amount: float
    status: str


def topology() -> Topology:
    builder = StreamsBuilder()
    orders = builder.stream("orders", Consumed.with_(key=str, value=Order))
    branches = (
        orders.filter(lambda key, order: order.amount > 0)
        .split(Named.as_("orders-"))
        .branch(lambda key, order: order.status == "COMPLETED", Branched.as_("completed"))
        .branch(lambda key, order: order.status == "REFUNDED", Branched.as_("refunded"))
        .default_branch(Branched.as_("other"))
    )
    branches["orders-refunded"].to("refunds")
    (
        branches["orders-completed"]
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .aggregate(
            lambda: 0.0,
            lambda key, order, total: total + order.amount,
            Materialized.as_("hourly-revenue-store"),
        )
        .to_stream()
        .to("hourly-revenue")
    )
    return builder.build()


def application(bootstrap: str) -> KafkaStreams:
    return KafkaStreams(
        topology(),
        application_id="orders-app",
        bootstrap_servers=bootstrap,
        processing_guarantee="exactly_once_v2",
        # Where this instance answers queries: any free port.
        application_server="127.0.0.1:0",
    )


if __name__ == "__main__":
    with application(sys.argv[1] if len(sys.argv) > 1 else "localhost:9092") as app:
        app.wait_until_running()
        print(f"running, queries at http://{app.application_server}/streams/orders-app/stores", flush=True)
        app.run()
