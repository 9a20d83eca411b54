"""`KTable`: a stream of updates, read as a table with one row per key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from moldau.streams.aggregations import Aggregates
from moldau.streams.dsl.abstract_stream import AbstractStream, processor_node, returned_serde
from moldau.streams.dsl.callback import joiner_of, takes_key
from moldau.streams.dsl.foreign_keys import foreign_key_join
from moldau.streams.dsl.graph import Graph, GraphNode, grace_of
from moldau.streams.dsl.grouped import stored_as
from moldau.streams.dsl.grouped_table import KGroupedTable
from moldau.streams.dsl.options import Grouped, Materialized, Name, TableJoined, key_value_spec, name_of
from moldau.streams.dsl.suppressed import BufferConfig, Suppressed
from moldau.streams.errors import TopologyError
from moldau.streams.expressions import Expression
from moldau.streams.operators.stateless import PassThrough
from moldau.streams.operators.suppress import Bounds, Suppress
from moldau.streams.operators.table_joins import JoinNeeds, TableJoin
from moldau.streams.operators.tables import (
    RegroupTable,
    TableFilter,
    TableMapValues,
    TableOperator,
    TableTransformValues,
    ToStream,
    WindowedAggregate,
)
from moldau.streams.processor import ValueTransformer
from moldau.streams.serdes import Serde, SerdeLike, serde_of
from moldau.streams.serdes.primitive import STRING
from moldau.streams.topology.nodes import StoreSpec
from moldau.streams.topology.topology import Topology

if TYPE_CHECKING:
    from moldau.streams.dsl.kstream import KStream

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")
V3 = TypeVar("V3")

INNER = JoinNeeds(left=True, right=True)
LEFT = JoinNeeds(left=True, right=False)
OUTER = JoinNeeds(left=False, right=False)


class KTable(AbstractStream[K, V]):
    """The newest value per key. Updates with a null value are deletions."""

    def __init__(
        self,
        graph: Graph,
        node: GraphNode,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        sources: frozenset[str],
        operator: TableOperator,
    ) -> None:
        super().__init__(graph, node, key, value, sources)
        self.operator = operator
        self.grouped_serdes: tuple[Serde[Any] | None, Serde[Any] | None] | None = None
        """Of an aggregate the serdes of the records that went into it."""
        self.kept: KTable[K, Any] | None = None
        """Of the results of an aggregate whose groups keep something else: the table of what they keep."""

    @property
    def queryable_store_name(self) -> str | None:
        """The store that can be asked from outside, None if the table has none."""
        if self.kept is not None:
            return self.kept.queryable_store_name
        store = self.operator.store
        return None if store is None else store.name

    def results(self, aggregates: Aggregates, name: Name) -> KTable[K, Any]:
        """What goes on from this aggregate, which keeps `aggregates`; its store and its late records stay its own."""
        if aggregates.results is None:
            return self
        given = name_of(name)
        told = self.map_values(Expression(aggregates.results), name=None if given is None else f"{given}-results")
        told.kept = self
        return told

    @overload
    def filter(
        self,
        predicate: Callable[[V], Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]: ...
    @overload
    def filter(
        self,
        predicate: Callable[[K, V], Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]: ...
    def filter(
        self,
        predicate: Callable[..., Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]:
        """The rows for which the predicate holds; a row that stops to hold is deleted."""
        return self._filtered(predicate, materialized, name, store, wanted=True)

    @overload
    def filter_not(
        self,
        predicate: Callable[[V], Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]: ...
    @overload
    def filter_not(
        self,
        predicate: Callable[[K, V], Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]: ...
    def filter_not(
        self,
        predicate: Callable[..., Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
    ) -> KTable[K, V]:
        """The rows for which it does not hold."""
        return self._filtered(predicate, materialized, name, store, wanted=False)

    @overload
    def map_values(
        self,
        mapper: Callable[[V], V2],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KTable[K, V2]: ...
    @overload
    def map_values(
        self,
        mapper: Callable[[K, V], V2],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KTable[K, V2]: ...
    def map_values(
        self,
        mapper: Callable[..., Any],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: Any = None,
    ) -> KTable[K, Any]:
        """A new value per row."""
        stored = stored_as(materialized, store, None, None)
        value_serde = stored.value or returned_serde(value, mapper)
        spec = self._spec(stored, value_serde, "KTABLE-MAPVALUES-")
        operator = TableMapValues(self.operator, spec, mapper, takes_key=takes_key(mapper))
        return self._next("MAPVALUES", name, operator, value_serde)

    def transform_values(
        self,
        supplier: Callable[[], ValueTransformer],
        *stores: str | Materialized[Any, Any],
        name: Name = None,
        store: str | None = None,
        value: Any = None,
    ) -> KTable[K, Any]:
        """A new value per row from an object of yours, `supplier()`, connected to these stores. See `processor`.

        Among the stores may stand a `Materialized`, for the table itself. A deletion is given to it too, as None.
        """
        materialized = next((one for one in stores if isinstance(one, Materialized)), None)
        connected = [one for one in stores if isinstance(one, str)]
        stored = stored_as(materialized, store, None, None)
        value_serde = stored.value or serde_of(value)
        spec = self._spec(stored, value_serde, "KTABLE-TRANSFORMVALUES-")
        node_name = self.graph.name(name_of(name), "KTABLE-TRANSFORMVALUES-")
        operator = TableTransformValues(self.operator, spec, node_name, supplier)
        node = table_node(node_name, operator, connected)
        self.graph.add(self.node, node)
        return KTable(self.graph, node, stored.key or self.key_serde, value_serde, self.sources, operator)

    @overload
    def to_stream(self, mapper: None = None, name: Name = None) -> KStream[K, V]: ...
    @overload
    def to_stream(self, mapper: Callable[[V], K2], name: Name = None) -> KStream[K2, V]: ...
    @overload
    def to_stream(self, mapper: Callable[[K, V], K2], name: Name = None) -> KStream[K2, V]: ...
    def to_stream(self, mapper: Callable[..., Any] | None = None, name: Name = None) -> Any:
        """The updates as facts; with a function, under the keys that it makes."""
        from moldau.streams.dsl.kstream import KStream

        node_name = self.graph.name(name_of(name), "KTABLE-TOSTREAM-")
        node = self.graph.add(self.node, processor_node(node_name, ToStream()))
        stream: KStream[K, V] = KStream(self.graph, node, self.key_serde, self.value_serde, self.sources)
        return stream if mapper is None else stream.select_key(mapper)

    def late(self, name: Name = None) -> KStream[Any, Any]:
        """The records that came too late for every window of this aggregate, under their own keys, as they were.

        Kafka only counts them. Raises TypeError for a table that is not an aggregate in windows or sessions.
        """
        from moldau.streams.dsl.kstream import KStream

        if self.kept is not None:
            return self.kept.late(name)
        operator = self.operator
        if not isinstance(operator, WindowedAggregate) or self.grouped_serdes is None:
            raise TypeError("late(): only aggregates of one stream, in windows or sessions, know late records")
        operator.late = name_of(name) or operator.late or f"{self.node.name}-late"
        node = self.graph.add(self.node, processor_node(operator.late, PassThrough()))
        return KStream(self.graph, node, *self.grouped_serdes, self.sources)

    def to(self, topic: str, *, key: Any = None, value: Any = None, name: Name = None) -> None:
        """The updates to a topic: `to_stream().to(topic)`."""
        self.to_stream().to(topic, key=key, value=value, name=name)

    @overload
    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2], V3],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]: ...
    @overload
    def join(
        self,
        other: KTable[K2, V2],
        foreign_key_extractor: Callable[[V], K2 | None],
        joiner: Callable[[V, V2], V3],
        joined: TableJoined | None = None,
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]: ...
    @overload
    def join(
        self,
        other: KTable[K2, V2],
        foreign_key_extractor: Callable[[K, V], K2 | None],
        joiner: Callable[[V, V2], V3],
        joined: TableJoined | None = None,
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]: ...
    def join(self, other: Any, *arguments: Any, **named: Any) -> Any:
        """A row for each key that both tables have.

        With a function of the row before the joiner, the other table is looked up by the key that it makes.
        """
        return _joined(self, other, arguments, named, left=False)

    @overload
    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2 | None], V3],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]: ...
    @overload
    def left_join(
        self,
        other: KTable[K2, V2],
        foreign_key_extractor: Callable[[V], K2 | None],
        joiner: Callable[[V, V2 | None], V3],
        joined: TableJoined | None = None,
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]: ...
    @overload
    def left_join(
        self,
        other: KTable[K2, V2],
        foreign_key_extractor: Callable[[K, V], K2 | None],
        joiner: Callable[[V, V2 | None], V3],
        joined: TableJoined | None = None,
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]: ...
    def left_join(self, other: Any, *arguments: Any, **named: Any) -> Any:
        """A row for each key of this table; the other value is None if the other table has none.

        With a function of the row before the joiner, the other table is looked up by the key that it makes.
        """
        return _joined(self, other, arguments, named, left=True)

    def outer_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V | None, V2 | None], V3],
        materialized: Materialized[Any, Any] | None = None,
        *,
        name: Name = None,
        store: str | None = None,
        value: SerdeLike[V3] | None = None,
    ) -> KTable[K, V3]:
        """A row for each key that one of both has."""
        return _table_join(self, other, joiner, stored_as(materialized, store, None, serde_of(value)), name, OUTER)

    @overload
    def group_by(
        self,
        selector: Callable[[K, V], tuple[K2, V2]],
        grouped: Grouped[Any, Any] | None = None,
        *,
        key: SerdeLike[K2] | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KGroupedTable[K2, V2]: ...
    @overload
    def group_by(
        self,
        selector: Callable[[V], tuple[K2, V2]],
        grouped: Grouped[Any, Any] | None = None,
        *,
        key: SerdeLike[K2] | None = None,
        value: SerdeLike[V2] | None = None,
    ) -> KGroupedTable[K2, V2]: ...
    def group_by(
        self,
        selector: Callable[..., tuple[Any, Any]],
        grouped: Grouped[Any, Any] | None = None,
        *,
        key: Any = None,
        value: Any = None,
    ) -> KGroupedTable[Any, Any]:
        """Group rows under another key and value, a pair made of each row; an expression makes the key alone."""
        options = grouped or Grouped()
        if isinstance(selector, Expression):
            selector, value = _by(selector), value or self.value_serde
        operator = RegroupTable(self.operator, selector, takes_key=takes_key(selector))
        node_name = self.graph.name(options.name, "KTABLE-SELECT-")
        node = self.graph.add(self.node, processor_node(node_name, operator))
        self.operator.send_old_values(force=True)
        return KGroupedTable(
            self.graph,
            node,
            serde_of(key) or options.key or STRING,
            serde_of(value) or options.value,
            self.sources,
            options.name,
        )

    def suppress(self, suppressed: Suppressed) -> KTable[K, V]:
        """Hold updates back: until a window closes, or for a time, or until there are too many. See `Suppressed`.

        Raises TopologyError when windows shall close and this table has none, and for a versioned table.
        """
        graph = self.graph
        if self.operator.versioned:
            raise TopologyError("a versioned table cannot be suppressed\nhint: keep it in a store without history")
        name = suppressed.name or graph.number("KTABLE-SUPPRESS-")
        wait_ms = grace_of(self.node) if suppressed.wait_ms is None else suppressed.wait_ms
        store_name = graph.store_name("KTABLE-SUPPRESS-") if suppressed.name is None else f"{suppressed.name}-store"
        buffer = suppressed.buffer
        store = StoreSpec(
            store_name,
            "suppress",
            self.key_serde,
            self.value_serde,
            logged=buffer.logged,
            in_memory=True,
            log_config=buffer.log_config,
        )
        bounds = Bounds(buffer.records, buffer.bytes, buffer.emits_early)
        until_close = suppressed.wait_ms is None
        operator = Suppress(self.operator, store, wait_ms, bounds, until_windows_close=until_close)

        def write(topology: Topology, parents: list[str]) -> None:
            topology.add_processor(name, operator, *parents)
            topology.add_state_store(store, name)

        node = graph.add(self.node, GraphNode(name, write))
        return KTable(graph, node, self.key_serde, self.value_serde, self.sources, operator)

    def final(self, name: str | None = None) -> KTable[K, V]:
        """Each window once, when it has closed: `suppress` until then, without a bound."""
        suppressed = Suppressed.until_window_closes(BufferConfig.unbounded())
        return self.suppress(suppressed if name is None else suppressed.with_name(name))

    def _filtered(
        self,
        predicate: Callable[..., Any],
        materialized: Materialized[Any, Any] | None,
        name: Name,
        store: str | None,
        *,
        wanted: bool,
    ) -> KTable[K, V]:
        stored = stored_as(materialized, store, None, None)
        spec = self._spec(stored, stored.value or self.value_serde, "KTABLE-FILTER-")
        operator = TableFilter(self.operator, spec, predicate, takes_key=takes_key(predicate), wanted=wanted)
        return self._next("FILTER", name, operator, stored.value or self.value_serde)

    def _spec(self, stored: Materialized[Any, Any], value: Serde[Any] | None, prefix: str) -> StoreSpec | None:
        """The store of a derived table, if one was named. Without a name Kafka draws a number all the same."""
        if stored == Materialized():
            return None
        if stored.name is None:
            self.graph.store_name(prefix)
            return None
        return key_value_spec(replace(stored, key=stored.key or self.key_serde, value=value), stored.name)

    def _next(self, kind: str, name: Name, operator: TableOperator, value: Serde[Any] | None) -> KTable[K, Any]:
        node = table_node(self.graph.name(name_of(name), f"KTABLE-{kind}-"), operator)
        self.graph.add(self.node, node)
        return KTable(self.graph, node, self.key_serde, value, self.sources, operator)


def _by(expression: Expression) -> Callable[[Any], tuple[Any, Any]]:
    key_of = expression.function

    def select(value: Any) -> tuple[Any, Any]:
        return key_of(value), value

    return select


def table_node(name: str, operator: TableOperator, connected: Iterable[str] = ()) -> GraphNode:
    """A node of a table's operator, with the store that it turned out to need by the time of building, and others."""

    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_processor(name, operator, *parents)
        if operator.store is not None:
            topology.add_state_store(operator.store, name)
        topology.connect(name, *connected)

    node = GraphNode(name, write)
    node.grace_ms = operator.grace_ms
    return node


def _joined(
    this: KTable[Any, Any], other: KTable[Any, Any], arguments: tuple[Any, ...], named: dict[str, Any], *, left: bool
) -> KTable[Any, Any]:
    """A join by key, or with an extractor before the joiner one by foreign key."""
    if "foreign_key_extractor" in named or (len(arguments) > 1 and callable(arguments[1])):
        return _foreign_join(this, other, *arguments, **named, left=left)
    if "joiner" in named and arguments and callable(arguments[0]):
        return _foreign_join(this, other, *arguments, **named, left=left)
    return _key_join(this, other, *arguments, **named, needs=LEFT if left else INNER)


def _key_join(
    this: KTable[Any, Any],
    other: KTable[Any, Any],
    joiner: Callable[..., Any],
    materialized: Materialized[Any, Any] | None = None,
    *,
    needs: JoinNeeds,
    name: Name = None,
    store: str | None = None,
    value: Any = None,
) -> KTable[Any, Any]:
    return _table_join(this, other, joiner, stored_as(materialized, store, None, serde_of(value)), name, needs)


def _foreign_join(
    this: KTable[Any, Any],
    other: KTable[Any, Any],
    foreign_key_extractor: Callable[..., Any],
    joiner: Callable[..., Any],
    joined: TableJoined | None = None,
    materialized: Materialized[Any, Any] | None = None,
    *,
    left: bool,
    name: Name = None,
    store: str | None = None,
    value: Any = None,
) -> KTable[Any, Any]:
    options = joined or TableJoined()
    options = replace(options, name=name_of(name) or options.name)
    stored = stored_as(materialized, store, this.key_serde, serde_of(value) or returned_serde(None, joiner))
    return foreign_key_join(this, other, foreign_key_extractor, joiner, options, stored, left=left)


def _table_join(
    this: KTable[Any, Any],
    other: KTable[Any, Any],
    joiner: Callable[..., Any],
    stored: Materialized[Any, Any],
    name: Name,
    needs: JoinNeeds,
) -> KTable[Any, Any]:
    """Three nodes: one per side, and one where they meet, which has the store if there is one."""
    graph, given = this.graph, name_of(name)
    named = stored != Materialized(value=stored.value)
    store_name = (stored.name or graph.store_name("KTABLE-MERGE-")) if named else None
    merge = graph.name(given, "KTABLE-MERGE-")
    sources = this.copartitioned_with(other)
    if not needs.right:
        this.operator.send_old_values(force=True)
    if not needs.left:
        other.operator.send_old_values(force=True)
    spec = None if store_name is None else key_value_spec(replace(stored, key=stored.key or this.key_serde), store_name)
    operator = TableJoin(this.operator, other.operator, joiner_of(joiner), spec, needs)
    join_this = graph.name(given, "KTABLE-JOINTHIS-", "-join-this")
    join_other = graph.name(given, "KTABLE-JOINOTHER-", "-join-other")
    left_side, right_side = operator.sides()

    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_processor(join_this, left_side, this.node.name)
        topology.add_processor(join_other, right_side, other.node.name)
        topology.add_processor(merge, operator, join_this, join_other)
        if operator.store is not None:
            topology.add_state_store(operator.store, merge)
        topology.connect(join_this, *left_side.other.store_names)
        topology.connect(join_other, *right_side.other.store_names)

    node = graph.add([this.node, other.node], GraphNode(merge, write))
    return KTable(graph, node, stored.key or this.key_serde, stored.value, sources, operator)
