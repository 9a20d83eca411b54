"""Topologies: nodes, sub-topologies, internal topics, and their description."""

from moldau.streams.topology.describe import TopologyDescription
from moldau.streams.topology.topology import Topology

__all__ = ["Topology", "TopologyDescription"]
