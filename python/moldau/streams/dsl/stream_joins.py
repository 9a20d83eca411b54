"""How a stream is joined: with another stream in a window of time, with a table by key, with a global table by any key.

A joiner takes the two values, or the key and both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from moldau.streams.dsl.abstract_stream import AbstractStream, processor_node
from moldau.streams.dsl.callback import joiner_of, takes_key, with_key
from moldau.streams.dsl.global_table import GlobalKTable
from moldau.streams.dsl.graph import Graph, GraphNode, Passage, StreamJoinParts
from moldau.streams.dsl.ktable import KTable
from moldau.streams.dsl.options import Joined, Name, StreamJoined, name_of
from moldau.streams.dsl.repartition import repartition_node
from moldau.streams.dsl.windows import JoinWindows
from moldau.streams.errors import TopologyError
from moldau.streams.expressions import Expression
from moldau.streams.operators.stateless import PassThrough
from moldau.streams.operators.stream_joins import JoinSide, JoinWithItself, KeepForJoin
from moldau.streams.operators.table_joins import StreamTableJoin
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


class JoinableStream(AbstractStream[K, V]):
    """The joins of a stream."""

    def __init__(
        self,
        graph: Graph,
        node: GraphNode,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        sources: frozenset[str],
        *,
        repartition_required: bool = False,
    ) -> None:
        super().__init__(graph, node, key, value, sources)
        self.repartition_required = repartition_required
        self._repartition: GraphNode | None = None

    @overload
    def join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[V, V2], V3],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[K, V, V2], V3],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2], V3],
        joined: Joined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2], V3],
        joined: Joined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[V], K2 | None],
        joiner: Callable[[V, V2], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[V], K2 | None],
        joiner: Callable[[K, V, V2], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[K, V], K2 | None],
        joiner: Callable[[V, V2], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[K, V], K2 | None],
        joiner: Callable[[K, V, V2], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    def join(self, other: Any, *arguments: Any, name: Name = None, value: Any = None, **named: Any) -> Any:
        """Records that have a partner: `joiner(value, other)` for each pair."""
        return _joined(self, other, arguments, named, name, serde_of(value), left=False, right=False)

    @overload
    def left_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[V, V2 | None], V3],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[K, V, V2 | None], V3],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2 | None], V3],
        joined: Joined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[K, V, V2 | None], V3],
        joined: Joined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[V], K2 | None],
        joiner: Callable[[V, V2 | None], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[V], K2 | None],
        joiner: Callable[[K, V, V2 | None], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[K, V], K2 | None],
        joiner: Callable[[V, V2 | None], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def left_join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[K, V], K2 | None],
        joiner: Callable[[K, V, V2 | None], V3],
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    def left_join(self, other: Any, *arguments: Any, name: Name = None, value: Any = None, **named: Any) -> Any:
        """Every record of this stream; the other value is None for those without a partner.

        With a stream they come when the window has closed.
        """
        return _joined(self, other, arguments, named, name, serde_of(value), left=True, right=False)

    @overload
    def outer_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[V | None, V2 | None], V3],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    @overload
    def outer_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[K, V | None, V2 | None], V3],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name = None,
        value: SerdeLike[V3] | None = None,
    ) -> KStream[K, V3]: ...
    def outer_join(self, other: Any, *arguments: Any, name: Name = None, value: Any = None, **named: Any) -> Any:
        """Every record of both streams; the value of the missing side is None."""
        return _joined(self, other, arguments, named, name, serde_of(value), left=True, right=True)

    def repartitioned_for_join(self, prefix: str, key: Serde[Any], value: Serde[Any] | None) -> KStream[Any, Any]:
        """This stream behind a repartition topic; under the node's own name one topic serves several joins."""
        from moldau.streams.dsl.kstream import KStream

        node = repartition_node(self.graph, prefix, Passage(key, value))
        if self._repartition is None or self.node.name != prefix:
            self._repartition = self.graph.add(self.node, node)
        return KStream(self.graph, self._repartition, key, value, frozenset({self._repartition.name}))


def _joined(
    stream: JoinableStream[Any, Any],
    other: Any,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    name: Name,
    value: Serde[Any] | None,
    *,
    left: bool,
    right: bool,
) -> KStream[Any, Any]:
    if isinstance(other, GlobalKTable):
        return _join_global(stream, other, *arguments, **named, name=name, value=value, left=left)
    if isinstance(other, KTable):
        return _join_table(stream, other, *arguments, **named, name=name, value=value, left=left)
    if isinstance(other, JoinableStream):
        return _StreamJoin(stream, other, *arguments, **named, name=name, value=value, left=left, right=right).made()
    raise TypeError(f"a stream joins a KStream, a KTable or a GlobalKTable, not {other!r}")


def _join_global(
    stream: JoinableStream[Any, Any],
    table: GlobalKTable[Any, Any],
    key_selector: Callable[..., Any],
    joiner: Callable[..., Any],
    *,
    name: Name,
    value: Serde[Any] | None,
    left: bool,
) -> KStream[Any, Any]:
    from moldau.streams.dsl.kstream import KStream

    graph = stream.graph
    key_of = key_selector if takes_key(key_selector) else lambda _, record: key_selector(record)
    # Kafka names both kinds after the left join.
    node_name = graph.name(name_of(name), "KSTREAM-LEFTJOIN-")
    node = processor_node(node_name, StreamTableJoin(table.view, with_key(joiner_of(joiner)), left, key_of))
    node.relaxed_null_keys = left
    graph.add(stream.node, node)
    return KStream(
        graph, node, stream.key_serde, value, stream.sources, repartition_required=stream.repartition_required
    )


def _join_table(
    stream: JoinableStream[Any, Any],
    table: KTable[Any, Any],
    joiner: Callable[..., Any],
    joined: Joined[Any, Any, Any] | None = None,
    *,
    name: Name,
    value: Serde[Any] | None,
    left: bool,
) -> KStream[Any, Any]:
    from moldau.streams.dsl.kstream import KStream

    options = joined or Joined()
    if options.grace_ms is not None and not table.operator.versioned:
        raise TopologyError(
            "a join with a grace period needs a versioned table: only that knows what was true before\n"
            "hint: leave the grace period out, or Materialized.as_(...).with_history_retention(...) for the table"
        )
    given = name_of(name) or options.name
    key = options.key or stream.key_serde or STRING
    if stream.repartition_required:
        stream = stream.repartitioned_for_join(given or stream.node.name, key, options.value or stream.value_serde)
    graph = stream.graph
    sources = stream.copartitioned_with(table)
    view = table.operator.view()
    node_name = graph.name(given, "KSTREAM-LEFTJOIN-" if left else "KSTREAM-JOIN-")
    waiting = _waiting_store(node_name, key, options.value or stream.value_serde, options.grace_ms)
    operator = StreamTableJoin(
        view,
        with_key(joiner_of(joiner)),
        left,
        waiting=None if waiting is None else waiting.name,
        tree=joiner.tree if isinstance(joiner, Expression) else None,
    )

    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_processor(node_name, operator, *parents)
        if waiting is not None:
            # In memory where the table is: such an application needs no disk.
            in_memory = all(topology.stores[store].in_memory for store in view.store_names)
            topology.add_state_store(replace(waiting, in_memory=in_memory), node_name)
        topology.connect(node_name, *view.store_names)

    node = GraphNode(node_name, write)
    node.relaxed_null_keys = left
    graph.add(stream.node, node)
    return KStream(graph, node, key, value, sources)


def _waiting_store(node: str, key: Serde[Any], value: Serde[Any] | None, grace_ms: int | None) -> StoreSpec | None:
    """Where the stream's records wait for the time of a versioned table, None without a grace."""
    if grace_ms is None:
        return None
    return StoreSpec(f"{node}-Buffer", "waiting", key, value, retention_ms=grace_ms)


class _StreamJoin:
    """One join of two streams while it is put into the graph: five nodes, two or three stores."""

    def __init__(
        self,
        this: JoinableStream[Any, Any],
        other: JoinableStream[Any, Any],
        joiner: Callable[..., Any],
        windows: JoinWindows,
        joined: StreamJoined[Any, Any, Any] | None = None,
        *,
        name: Name,
        value: Serde[Any] | None,
        left: bool,
        right: bool,
    ) -> None:
        options = joined or StreamJoined()
        self._options = replace(
            options,
            name=name_of(name) or options.name,
            key=options.key or this.key_serde or STRING,
            value=options.value or this.value_serde,
            other_value=options.other_value or other.value_serde,
        )
        self._this = this
        self._other = other
        self._joiner = with_key(joiner_of(joiner))
        self._windows = windows
        self._value = value
        self._left = left
        self._right = right

    def made(self) -> KStream[Any, Any]:
        """Add the nodes and return what comes out."""
        from moldau.streams.dsl.kstream import KStream

        options, key = self._options, self._options.key or STRING
        this, other = self._this, self._other
        if this.repartition_required:
            prefix = this.node.name if options.name is None else f"{options.name}-left"
            this = this.repartitioned_for_join(prefix, key, options.value)
        if other.repartition_required:
            prefix = other.node.name if options.name is None else f"{options.name}-right"
            other = other.repartitioned_for_join(prefix, key, options.other_value)
        sources = this.copartitioned_with(other)
        node = self._nodes(this, other)
        return KStream(this.graph, node, key, self._value, sources)

    def _nodes(self, this: JoinableStream[Any, Any], other: JoinableStream[Any, Any]) -> GraphNode:
        graph, options = this.graph, self._options
        this_suffix = "-outer-this-join" if self._right else "-this-join"
        other_suffix = "-outer-other-join" if self._left else "-other-join"
        keeps_this = graph.name(options.name, "KSTREAM-WINDOWED-", "-this-windowed")
        keeps_other = graph.name(options.name, "KSTREAM-WINDOWED-", "-other-windowed")
        made_this = graph.number("KSTREAM-OUTERTHIS-" if self._right else "KSTREAM-JOINTHIS-")
        made_other = graph.number("KSTREAM-OUTEROTHER-" if self._left else "KSTREAM-JOINOTHER-")
        merge = graph.name(options.name, "KSTREAM-MERGE-", "-merge")
        base = options.store_name
        this_store = self._window(made_this if base is None else f"{base}{this_suffix}", options.value)
        other_store = self._window(made_other if base is None else f"{base}{other_suffix}", options.other_value)
        graph.add(this.node, _keeping(keeps_this, this_store))
        graph.add(other.node, _keeping(keeps_other, other_store))
        buffer = self._buffer(made_this) if self._left else None
        waiting = None if buffer is None else buffer.name
        left_side = JoinSide(True, self._windows, self._joiner, other_store.name, self._left, waiting)
        right_side = JoinSide(False, self._windows, self._joiner, this_store.name, self._right, waiting)
        join_this = made_this if options.name is None else f"{options.name}{this_suffix}"
        join_other = made_other if options.name is None else f"{options.name}{other_suffix}"

        def write(topology: Topology, parents: list[str]) -> None:
            topology.add_processor(join_this, left_side, keeps_this)
            topology.add_processor(join_other, right_side, keeps_other)
            topology.add_processor(merge, PassThrough(), join_this, join_other)
            topology.add_state_store(other_store, join_this)
            topology.add_state_store(this_store, join_other)
            if buffer is not None:
                topology.add_state_store(buffer, join_this, join_other)

        def write_with_itself(topology: Topology, parents: list[str]) -> None:
            topology.add_processor(merge, JoinWithItself(self._windows, self._joiner, this_store.name), keeps_this)
            topology.add_state_store(this_store, merge)

        node = GraphNode(merge, write)
        node.relaxed_null_keys = self._left or self._right
        node.stream_join = StreamJoinParts(keeps_this, keeps_other, write_with_itself)
        return graph.add([this.node, other.node], node)

    def _window(self, base: str, value: Serde[Any] | None) -> StoreSpec:
        options, windows = self._options, self._windows
        return StoreSpec(
            f"{base}-store",
            "join_window",
            options.key,
            value,
            logged=options.logged,
            in_memory=options.in_memory,
            retention_ms=windows.size_ms + windows.grace_ms,
            window_size_ms=windows.size_ms,
        )

    def _buffer(self, made_this: str) -> StoreSpec:
        options = self._options
        if options.store_name is not None:
            base = options.store_name + ("-outer-shared-join" if self._right else "-left-shared-join")
        else:
            base = f"KSTREAM-OUTERSHARED-{made_this[-10:]}"
        return StoreSpec(
            f"{base}-store",
            "join_buffer",
            options.key,
            options.value,
            options.other_value,
            logged=options.logged,
            in_memory=options.in_memory,
        )


def _keeping(name: str, store: StoreSpec) -> GraphNode:
    def write(topology: Topology, parents: list[str]) -> None:
        topology.add_processor(name, KeepForJoin(store.name), *parents)
        topology.add_state_store(store, name)

    return GraphNode(name, write)
