"""All topologies of the scenarios by name, and those that Kafka was asked about and we do not have yet."""

from __future__ import annotations

from tests.unit.streams import join_topologies, processor_topologies, topologies

from moldau.streams import StreamsBuilder, Topology

ALL = {**topologies.MADE, **join_topologies.MADE, **processor_topologies.MADE}

NOT_YET = frozenset(
    """
    cogroup cogroup_rekeyed cogroup_session cogroup_windowed foreign_key foreign_key_left foreign_key_stored
    stream_versioned stream_versioned_grace suppress_close suppress_close_session suppress_named suppress_records
    suppress_time versioned_group_by versioned_table versioned_table_join
    """.split()
)


def build(name: str) -> Topology:
    builder = StreamsBuilder()
    ALL[name](builder)
    return builder.build()
