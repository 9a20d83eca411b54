"""What a user did in one visit: clicks with less than half an hour between them."""

import sys

from moldau.streams import KafkaStreams, Materialized, SessionWindows, StreamsBuilder, Topology


def topology() -> Topology:
    builder = StreamsBuilder()
    visits = (
        builder.stream("clicks", value=str)
        .group_by_key()
        .windowed_by(SessionWindows.of_inactivity_gap_and_grace("30m", "5m"))
        .count(Materialized.as_("visits").with_retention("7d"))
    )
    # One record per visit, when it is over.
    visits.final().to_stream(lambda visit, clicks: visit.key).to("clicks-per-visit")
    return builder.build()


if __name__ == "__main__":
    bootstrap = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
    KafkaStreams(topology(), application_id="visits-app", bootstrap_servers=bootstrap).run()
