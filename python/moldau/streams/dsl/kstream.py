"""`KStream`: a stream of facts, and what can be done with one record at a time.

Every call returns a new stream and changes none. A callback takes the value, or the key and the value: how many
arguments it has is looked at once, when it is called here. What needs other records (groups, joins) is in the modules
beside this one.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TextIO, TypeVar, overload

from moldau.streams.dsl.abstract_stream import processor_node, returned_serde
from moldau.streams.dsl.branched import BranchedKStream
from moldau.streams.dsl.callback import takes_key
from moldau.streams.dsl.graph import GraphNode, Passage
from moldau.streams.dsl.grouped import KGroupedStream, stored_as
from moldau.streams.dsl.ktable import KTable, table_node
from moldau.streams.dsl.options import (
    Branched,
    Grouped,
    Materialized,
    Name,
    Produced,
    Repartitioned,
    key_value_spec,
    name_of,
)
from moldau.streams.dsl.repartition import repartition_node
from moldau.streams.dsl.stream_joins import JoinableStream
from moldau.streams.expressions import Expression
from moldau.streams.operators.contract import Headers, Operator
from moldau.streams.operators.stateless import (
    Filter,
    FlatMap,
    FlatMapValues,
    Map,
    MapValues,
    PassThrough,
    Peek,
    SelectKey,
)
from moldau.streams.operators.tables import TableSource
from moldau.streams.processor import CustomOperator
from moldau.streams.serdes import Serde, SerdeLike, serde_of
from moldau.streams.serdes.primitive import BY_TYPE, STRING
from moldau.streams.topology.nodes import TopicChooser
from moldau.streams.topology.topology import Topology

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")


class KStream(JoinableStream[K, V]):
    """Records as they come, each a fact of its own."""

    @overload
    def filter(self, predicate: Callable[[V], Any], name: Name = None) -> KStream[K, V]: ...
    @overload
    def filter(self, predicate: Callable[[K, V], Any], name: Name = None) -> KStream[K, V]: ...
    def filter(self, predicate: Callable[..., Any], name: Name = None) -> KStream[K, V]:
        """The records for which the predicate holds."""
        return self._next("FILTER", name, Filter(predicate, takes_key(predicate)))

    @overload
    def filter_not(self, predicate: Callable[[V], Any], name: Name = None) -> KStream[K, V]: ...
    @overload
    def filter_not(self, predicate: Callable[[K, V], Any], name: Name = None) -> KStream[K, V]: ...
    def filter_not(self, predicate: Callable[..., Any], name: Name = None) -> KStream[K, V]:
        """The records for which it does not hold."""
        return self._next("FILTER", name, Filter(predicate, takes_key(predicate), wanted=False))

    @overload
    def map_values(
        self, mapper: Callable[[V], V2], name: Name = None, *, value: SerdeLike[V2] | None = None
    ) -> KStream[K, V2]: ...
    @overload
    def map_values(
        self, mapper: Callable[[K, V], V2], name: Name = None, *, value: SerdeLike[V2] | None = None
    ) -> KStream[K, V2]: ...
    def map_values(self, mapper: Callable[..., Any], name: Name = None, *, value: Any = None) -> KStream[K, Any]:
        """A new value for each; keys stay, so nothing has to be repartitioned."""
        operator = MapValues(mapper, takes_key(mapper))
        return self._next("MAPVALUES", name, operator, value=returned_serde(value, mapper))

    @overload
    def flat_map_values(
        self, mapper: Callable[[V], Iterable[V2]], name: Name = None, *, value: SerdeLike[V2] | None = None
    ) -> KStream[K, V2]: ...
    @overload
    def flat_map_values(
        self, mapper: Callable[[K, V], Iterable[V2]], name: Name = None, *, value: SerdeLike[V2] | None = None
    ) -> KStream[K, V2]: ...
    def flat_map_values(self, mapper: Callable[..., Any], name: Name = None, *, value: Any = None) -> KStream[K, Any]:
        """Any number of values for each; keys stay."""
        operator = FlatMapValues(mapper, takes_key(mapper))
        return self._next("FLATMAPVALUES", name, operator, value=serde_of(value))

    @overload
    def map(
        self,
        mapper: Callable[[K, V], tuple[K2, V2]],
        name: Name = None,
        *,
        key: SerdeLike[K2] | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KStream[K2, V2]: ...
    @overload
    def map(
        self,
        mapper: Callable[[V], tuple[K2, V2]],
        name: Name = None,
        *,
        key: SerdeLike[K2] | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KStream[K2, V2]: ...
    def map(
        self, mapper: Callable[..., Any], name: Name = None, *, key: Any = None, value: Any = None
    ) -> KStream[Any, Any]:
        """A new key and value for each, as a pair."""
        return self._rekeyed("MAP", name, Map(mapper, takes_key(mapper)), serde_of(key), serde_of(value))

    @overload
    def flat_map(
        self,
        mapper: Callable[[K, V], Iterable[tuple[K2, V2]]],
        name: Name = None,
        *,
        key: SerdeLike[K2] | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KStream[K2, V2]: ...
    @overload
    def flat_map(
        self,
        mapper: Callable[[V], Iterable[tuple[K2, V2]]],
        name: Name = None,
        *,
        key: SerdeLike[K2] | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KStream[K2, V2]: ...
    def flat_map(
        self, mapper: Callable[..., Any], name: Name = None, *, key: Any = None, value: Any = None
    ) -> KStream[Any, Any]:
        """Any number of pairs for each."""
        return self._rekeyed("FLATMAP", name, FlatMap(mapper, takes_key(mapper)), serde_of(key), serde_of(value))

    @overload
    def select_key(
        self, mapper: Callable[[V], K2], name: Name = None, *, key: SerdeLike[K2] | None = None
    ) -> KStream[K2, V]: ...
    @overload
    def select_key(
        self, mapper: Callable[[K, V], K2], name: Name = None, *, key: SerdeLike[K2] | None = None
    ) -> KStream[K2, V]: ...
    def select_key(self, mapper: Callable[..., Any], name: Name = None, *, key: Any = None) -> KStream[Any, V]:
        """A new key for each; groups and joins after this go through a repartition topic."""
        operator = SelectKey(mapper, takes_key(mapper))
        return self._rekeyed("KEY-SELECT", name, operator, returned_serde(key, mapper), self.value_serde)

    @overload
    def peek(self, action: Callable[[V], Any], name: Name = None) -> KStream[K, V]: ...
    @overload
    def peek(self, action: Callable[[K, V], Any], name: Name = None) -> KStream[K, V]: ...
    def peek(self, action: Callable[..., Any], name: Name = None) -> KStream[K, V]:
        """Look at each record on its way."""
        return self._next("PEEK", name, Peek(action, takes_key(action)))

    @overload
    def for_each(self, action: Callable[[V], Any], name: Name = None) -> None: ...
    @overload
    def for_each(self, action: Callable[[K, V], Any], name: Name = None) -> None: ...
    def for_each(self, action: Callable[..., Any], name: Name = None) -> None:
        """Do something with each record; nothing comes after it."""
        self._next("FOREACH", name, Peek(action, takes_key(action)))

    def process(self, supplier: Callable[[], Any], *stores: str, name: Name = None) -> KStream[Any, Any]:
        """A processor of your own: `supplier()` makes one per task, connected to these stores. See `processor`."""
        node = self._custom("KSTREAM-PROCESSOR-", supplier, stores, name, keeps_keys=False)
        return KStream(self.graph, node, None, None, self.sources, repartition_required=True)

    def process_values(self, supplier: Callable[[], Any], *stores: str, name: Name = None) -> KStream[K, Any]:
        """The same for a processor that keeps keys, so nothing has to be repartitioned after it."""
        node = self._custom("KSTREAM-PROCESSVALUES-", supplier, stores, name, keeps_keys=True)
        return KStream(
            self.graph, node, self.key_serde, None, self.sources, repartition_required=self.repartition_required
        )

    def _custom(
        self, prefix: str, supplier: Callable[[], Any], stores: tuple[str, ...], name: Name, *, keeps_keys: bool
    ) -> GraphNode:
        node_name = name_of(name) or self.graph.number(prefix)

        def write(topology: Topology, parents: list[str]) -> None:
            topology.add_processor(node_name, CustomOperator(supplier, keeps_keys), *parents)
            topology.connect(node_name, *stores)

        node = GraphNode(node_name, write)
        node.changes_keys, node.changes_values = not keeps_keys, True
        return self.graph.add(self.node, node)

    def print(self, label: str | None = None, name: Name = None, *, file: TextIO | None = None) -> None:
        """Print each record as `[label]: key, value`; the label is the node before unless it is given."""
        shown = self.node.name if label is None else label

        def show(key: Any, value: Any) -> None:
            print(f"[{shown}]: {key}, {value}", file=file or sys.stdout)

        self._next("PRINTER", name, Peek(show, takes_key=True))

    def merge(self, other: KStream[K, V], name: Name = None) -> KStream[K, V]:
        """The records of both, in no particular order between them."""
        merged = self.graph.name(name_of(name), "KSTREAM-MERGE-")
        node = self.graph.add([self.node, other.node], processor_node(merged, PassThrough()))
        node.is_merge = True
        return KStream(
            self.graph,
            node,
            self.key_serde if self.key_serde is other.key_serde else None,
            self.value_serde if self.value_serde is other.value_serde else None,
            self.sources | other.sources,
            repartition_required=self.repartition_required or other.repartition_required,
        )

    def split(self, name: Name = None) -> BranchedKStream[K, V]:
        """Split into branches: `.split().branch(predicate).default_branch()`."""
        return BranchedKStream(self, name_of(name))

    def branch(self, *predicates: Callable[..., Any], name: Name = None) -> list[KStream[K, V]]:
        """One stream per predicate; a record goes to the first that holds. Deprecated: `split()` has names."""
        warnings.warn("branch(...) is Kafka's spelling before 4.0: use split()", DeprecationWarning, stacklevel=2)
        split = self.split(name)
        for number, predicate in enumerate(predicates, start=1):
            split.branch(predicate, Branched.as_(str(number)))
        return list(split.no_default_branch().values())

    def to(
        self,
        topic: str | TopicChooser,
        produced: Produced[Any, Any] | None = None,
        *,
        key: Any = None,
        value: Any = None,
        name: Name = None,
    ) -> None:
        """Write to a topic, or to the one that `topic(key, value, headers)`, or an expression, names for each record.

        Types that nobody named are written by what the object is: text as UTF-8, int as 8 bytes, objects as JSON.
        """
        written = produced or Produced()
        if isinstance(topic, Expression):
            topic = _chooser(topic)
        key_serde = serde_of(key) or written.key or self.key_serde or BY_TYPE
        value_serde = serde_of(value) or written.value or self.value_serde or BY_TYPE
        sink = self.graph.name(name_of(name) or written.name, "KSTREAM-SINK-")

        def write(topology: Topology, parents: list[str]) -> None:
            topology.add_sink(sink, topic, *parents, key=key_serde, value=value_serde, partitioner=written.partitioner)

        self.graph.add(self.node, GraphNode(sink, write))

    def through(self, topic: str, *, key: Any = None, value: Any = None) -> KStream[K, V]:
        """Write to a topic of yours and read it back. Deprecated: `repartition()` makes the topic by itself."""
        warnings.warn(
            "through(...) is Kafka's spelling before 4.0: use repartition()", DeprecationWarning, stacklevel=2
        )
        from moldau.streams.dsl.builder import source_stream

        self.to(topic, key=key, value=value)
        return source_stream(
            self.graph, topic, serde_of(key) or self.key_serde or STRING, serde_of(value) or self.value_serde
        )

    def repartition(
        self, repartitioned: Repartitioned[Any, Any] | None = None, *, partitions: int | None = None, name: Name = None
    ) -> KStream[K, V]:
        """Through an internal topic: equal keys meet in one partition, and its number can be chosen."""
        wanted = repartitioned or Repartitioned()
        wanted = replace(wanted, partitions=partitions or wanted.partitions, name=name_of(name) or wanted.name)
        prefix = wanted.name if wanted.name is not None else self.graph.number("KSTREAM-REPARTITION-")
        passage = Passage(
            wanted.key or self.key_serde or STRING,
            wanted.value or self.value_serde,
            wanted.partitions,
            wanted.partitioner,
        )
        node = self.graph.add(self.node, repartition_node(self.graph, prefix, passage, asked_for=True))
        return KStream(self.graph, node, passage.key, passage.value, frozenset({node.name}))

    def to_table(
        self, materialized: Materialized[Any, Any] | None = None, *, name: Name = None, store: str | None = None
    ) -> KTable[K, V]:
        """The newest value per key of this stream."""
        node_name = self.graph.name(name_of(name), "KSTREAM-TOTABLE-")
        stored = stored_as(materialized, store, self.key_serde or STRING, self.value_serde)
        store_name = stored.name or self.graph.store_name("KSTREAM-TOTABLE-")
        parent, sources = self.node, self.sources
        if self.repartition_required:
            parent = repartition_node(self.graph, node_name, Passage(stored.key, stored.value))
            self.graph.add(self.node, parent)
            sources = frozenset({parent.name})
        operator = TableSource(key_value_spec(stored, store_name), stored=stored.name is not None)
        node = self.graph.add(parent, table_node(node_name, operator))
        return KTable(self.graph, node, stored.key, stored.value, sources, operator)

    def group_by_key(
        self, grouped: Grouped[Any, Any] | None = None, *, key: Any = None, value: Any = None
    ) -> KGroupedStream[K, V]:
        """Group by the key that records have."""
        options = grouped or Grouped()
        return KGroupedStream(
            self.graph,
            self.node,
            serde_of(key) or options.key or self.key_serde or STRING,
            serde_of(value) or options.value or self.value_serde,
            self.sources,
            repartition_required=self.repartition_required,
            repartition_name=options.name,
        )

    @overload
    def group_by(
        self, mapper: Callable[[V], K2], grouped: Grouped[Any, Any] | None = None, *, key: SerdeLike[K2] | None = None
    ) -> KGroupedStream[K2, V]: ...
    @overload
    def group_by(
        self,
        mapper: Callable[[K, V], K2],
        grouped: Grouped[Any, Any] | None = None,
        *,
        key: SerdeLike[K2] | None = None,
    ) -> KGroupedStream[K2, V]: ...
    def group_by(
        self, mapper: Callable[..., Any], grouped: Grouped[Any, Any] | None = None, *, key: Any = None
    ) -> KGroupedStream[Any, V]:
        """Group by a key that is made of each record; it goes through a repartition topic."""
        options = grouped or Grouped()
        rekeyed = self._rekeyed(
            "KEY-SELECT", options.name, SelectKey(mapper, takes_key(mapper)), returned_serde(key, mapper), None
        )
        return KGroupedStream(
            self.graph,
            rekeyed.node,
            options.key or rekeyed.key_serde or STRING,
            options.value or self.value_serde,
            self.sources,
            repartition_required=True,
            repartition_name=options.name,
        )

    def _next(self, kind: str, name: Name, operator: Operator, *, value: Serde[Any] | None = None) -> KStream[K, Any]:
        """A stream behind one more operator that keeps keys; values keep their serde unless it is given."""
        node_name = self.graph.name(name_of(name), f"KSTREAM-{kind}-")
        node = self.graph.add(self.node, processor_node(node_name, operator))
        keeps = kind in {"FILTER", "PEEK"}
        node.changes_values = kind in {"MAPVALUES", "FLATMAPVALUES"}
        return KStream(
            self.graph,
            node,
            self.key_serde,
            self.value_serde if keeps else value,
            self.sources,
            repartition_required=self.repartition_required,
        )

    def _rekeyed(
        self, kind: str, name: Name, operator: Operator, key: Serde[Any] | None, value: Serde[Any] | None
    ) -> KStream[Any, Any]:
        node_name = self.graph.name(name_of(name), f"KSTREAM-{kind}-")
        node = self.graph.add(self.node, processor_node(node_name, operator))
        node.changes_keys = True
        return KStream(self.graph, node, key, value, self.sources, repartition_required=True)


def _chooser(expression: Expression) -> TopicChooser:
    topic_of = expression.function

    def choose(key: Any, value: Any, headers: Headers) -> str:
        topic: str = topic_of(value)
        return topic

    return choose
