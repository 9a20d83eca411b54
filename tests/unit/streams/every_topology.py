"""All topologies of the scenarios by name."""

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

OPTIMIZED = "_optimized"


def build(name: str) -> Topology:
    """The topology of that name; with `_optimized` after it, the one that every optimisation makes of it."""
    builder = StreamsBuilder()
    ALL[name.removesuffix(OPTIMIZED)](builder)
    return builder.build({"topology.optimization": "all"} if name.endswith(OPTIMIZED) else None)
