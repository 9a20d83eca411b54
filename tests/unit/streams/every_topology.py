"""All topologies of the scenarios by name, and those that Kafka was asked about and we do not have yet."""

from __future__ import annotations

from tests.unit.streams import (
    cogroup_topologies,
    foreign_key_topologies,
    join_topologies,
    processor_topologies,
    suppress_topologies,
    topologies,
    versioned_topologies,
)

from moldau.streams import StreamsBuilder, Topology

ALL = {
    **topologies.MADE,
    **cogroup_topologies.MADE,
    **foreign_key_topologies.MADE,
    **join_topologies.MADE,
    **processor_topologies.MADE,
    **suppress_topologies.MADE,
    **versioned_topologies.MADE,
}

NOT_YET = frozenset(
    """
    table_transform_values table_transform_values_stored table_optimized table_filter_optimized
    table_group_by_count_optimized stream_stream_self_optimized two_aggregates_optimized
    two_aggregates_named_optimized regrouped_optimized count_of_counts_optimized stream_table_optimized
    table_table_optimized stream_stream_rekeyed_optimized
    """.split()
)


def build(name: str) -> Topology:
    builder = StreamsBuilder()
    ALL[name](builder)
    return builder.build()
