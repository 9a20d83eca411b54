"""The same revenue in Moldau's own spelling: expressions instead of functions, several aggregations at once."""

import sys

from hourly_revenue import Order

from moldau.streams import KafkaStreams, StreamsBuilder, Topology, col, count, tumbling


def topology() -> Topology:
    builder = StreamsBuilder()
    (
        builder.stream("orders", value=Order)
        .filter((col.status == "COMPLETED") & (col.amount > 0))
        .group_by_key()
        .window(tumbling("1h"))
        .agg(revenue=col.amount.sum(), orders=count(), store="hourly-figures")
        .to("hourly-figures")
    )
    return builder.build()


if __name__ == "__main__":
    bootstrap = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
    KafkaStreams(topology(), application_id="figures-app", bootstrap_servers=bootstrap).run()
