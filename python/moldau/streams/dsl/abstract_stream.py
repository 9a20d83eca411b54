"""What streams and tables of the language have in common: their place in the graph and the types they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from moldau.streams.dsl.graph import Graph, GraphNode
from moldau.streams.dsl.old_names import missing
from moldau.streams.expressions import Expression
from moldau.streams.operators.contract import Operator, View
from moldau.streams.serdes import Serde, serde_of
from moldau.streams.topology.topology import Topology

K = TypeVar("K")
V = TypeVar("V")


class AbstractStream(Generic[K, V]):
    """A node of the graph with the serdes of what comes out of it and the sources it comes from."""

    def __init__(
        self,
        graph: Graph,
        node: GraphNode,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        sources: frozenset[str],
    ) -> None:
        self.graph = graph
        self.node = node
        self.key_serde = key
        self.value_serde = value
        self.sources = sources

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing(self, name)

    def copartitioned_with(self, *others: AbstractStream[Any, Any]) -> frozenset[str]:
        """All sources of this and the others; note that they must have equally many partitions."""
        together = self.sources.union(*(other.sources for other in others))
        self.graph.copartitioned.append(together)
        return together


def processor_node(name: str, operator: Operator, looks_up: View | None = None) -> GraphNode:
    """A node of one operator, connected to the stores of the table that it looks up."""

    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_processor(name, operator, *parents)
        if looks_up is not None:
            topology.connect(name, *looks_up.store_names)

    return GraphNode(name, write)


def returned_serde(given: Any, function: Any) -> Serde[Any] | None:
    """The serde of what a callback returns: as given, or as its annotation says, or a class its own."""
    if given is not None:
        stated: Serde[Any] = serde_of(given)
        return stated
    if isinstance(function, type):
        return serde_of(function)
    if isinstance(function, Expression):
        return serde_of(function.tree[1]) if function.tree[0] == "make" else None
    try:
        kind = get_type_hints(function).get("return")
    except (TypeError, NameError, AttributeError):
        # No function with annotations, or one whose names cannot be looked up from here: then nothing is known.
        return None
    return None if kind in {None, Any, type(None), object} or isinstance(kind, TypeVar) else serde_of(kind)
