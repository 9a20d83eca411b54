"""A small application for the tests of `moldau streams`: how much each customer has ordered."""

from moldau.streams import StreamsBuilder, Topology


def topology() -> Topology:
    """Totals per customer, from orders to totals."""
    return builder_of("orders", "totals").build()


def builder_of(source: str, sink: str) -> StreamsBuilder:
    """The same with other topics."""
    made = StreamsBuilder()
    (
        made.stream(source, key=str, value=dict)
        .group_by_key()
        .aggregate(lambda: 0, lambda key, order, total: total + order["amount"], store="totals", value=int)
        .to_stream()
        .to(sink, value=int)
    )
    return made


builder = builder_of("orders", "totals")
nothing = 7
