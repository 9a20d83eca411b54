"""Orders with the customer's name: a stream meets the table of customers."""

import sys
from dataclasses import dataclass

from hourly_revenue import Order

from moldau.streams import KafkaStreams, StreamsBuilder, Topology


@dataclass(frozen=True, slots=True)
class Customer:
    name: str
    tier: str


@dataclass(frozen=True, slots=True)
class EnrichedOrder:
    order_id: str
    customer: str
    tier: str
    amount: float


def enriched(order: Order, customer: Customer | None) -> EnrichedOrder:
    known = customer or Customer("unknown", "none")
    return EnrichedOrder(order.order_id, known.name, known.tier, order.amount)


def topology() -> Topology:
    builder = StreamsBuilder()
    customers = builder.table("customers", value=Customer)
    builder.stream("orders", value=Order).left_join(customers, enriched).to("orders-enriched", value=EnrichedOrder)
    return builder.build()


if __name__ == "__main__":
    bootstrap = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
    KafkaStreams(topology(), application_id="enrichment-app", bootstrap_servers=bootstrap).run()
