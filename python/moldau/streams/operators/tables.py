"""Operators between tables: changes in, changes out.

A table that is looked up, or whose readers need old values, must have a store; `TableOperator` is how a reader asks.
Whether old values are sent is decided by all readers together before a task is made, so operators read it when bound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.errors import StreamsError
from moldau.streams.expressions import function_of
from moldau.streams.operators.contract import Getter, GetterAt, Headers, NodeContext, Process, View, fan_out
from moldau.streams.operators.record_cache import CACHED_KINDS
from moldau.streams.processor import ProcessorContext, ValueTransformer, start
from moldau.streams.topology.nodes import StoreSpec

Computed = Callable[[Any, Any], Any]
"""`computed(key, value) -> value`: the value of a derived table for that of the table before it."""


@dataclass(frozen=True, slots=True)
class StoreView:
    """A table that lies in a store."""

    store: str
    versioned: bool = False

    @property
    def store_names(self) -> tuple[str, ...]:
        return (self.store,)

    def getter_at(self, task: TaskContext) -> GetterAt | None:
        if not self.versioned:
            return None
        get_at: GetterAt = task.store(self.store).get_at
        return get_at

    def getter(self, task: TaskContext) -> Getter:
        get: Getter = task.store(self.store).get
        return get


class TableOperator(ABC):
    """A table as its readers see it: where it can be looked up, and whether it sends old values."""

    grace_ms: int | None = None
    """Of a windowed aggregate: how long after its end a window closes."""

    def __init__(self, store: StoreSpec | None, *, stored: bool) -> None:
        self._store = store
        self.stored = stored
        self.sends_old_values = False

    @property
    def store(self) -> StoreSpec | None:
        """The store that the node brings along, None if nobody needs one."""
        return self._store if self.stored else None

    @property
    def versioned(self) -> bool:
        """Whether it knows what was true when: updates may then come late, and say so."""
        return self.stored and self._store is not None and self._store.kind == "versioned"

    def send_old_values(self, *, force: bool) -> bool:
        """Send old values from now on if that is possible; with `force` a store is made for it if it takes one."""
        self.sends_old_values = True
        return True

    def view(self) -> View:
        """How this table is looked up."""
        assert self._store is not None
        return StoreView(self._store.name, self.versioned)

    def put_and_forward(self, task: TaskContext, forward: Process) -> tuple[Any, Process]:
        """The store, and `forward` as it is called after a put.

        A versioned store has the last word on whether an update is the latest. A cached one may hold it back.
        """
        assert self._store is not None
        store = task.store(self._store.name)
        if self.versioned:
            return store, store.corrected(forward)
        if task.caches is None or not self._store.cached or self._store.kind not in CACHED_KINDS:
            return store, forward
        return task.caches.over(self._store, store, forward, sends_old=self.sends_old_values)

    @abstractmethod
    def bind(self, node: NodeContext, forward: Process) -> Process:
        """The function that takes the node's records."""


class WindowedAggregate(TableOperator):
    """An aggregate in windows, which close: a record may be late for all of them."""

    late: str | None = None
    """The child that gets the records which no window took any more, as they were."""

    def without_late(self, node: NodeContext, forward: Process) -> tuple[Process | None, Process]:
        """Where late records go to, None for nowhere, and where results do."""
        if self.late is None:
            return None, forward
        others = [child for name, child in node.children.items() if name != self.late]
        return node.children[self.late], fan_out(others)


class TableSource(TableOperator):
    """A topic, or a stream, as a table: the newest value per key. (`KTableSource`)

    It keeps a store only when it is named, looked up, or asked for old values.
    """

    def __init__(self, store: StoreSpec, *, stored: bool) -> None:
        super().__init__(store, stored=stored)

    def send_old_values(self, *, force: bool) -> bool:
        if not force and not self.stored:
            return False
        self.stored = True
        self.sends_old_values = True
        return True

    def view(self) -> View:
        self.stored = True
        return super().view()

    def bind(self, node: NodeContext, forward: Process) -> Process:
        dropped = node.dropped
        if self.store is None:

            def process_unstored(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                if key is None:
                    dropped("the key is null")
                else:
                    forward(key, (value, None, True), timestamp, headers)

            return process_unstored
        sends_old = self.sends_old_values
        store, forward = self.put_and_forward(node.task, forward)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                dropped("the key is null")
                return
            old = get(key) if sends_old else None
            put(key, (value, timestamp))
            forward(key, (value, None if old is None else old[0], True), timestamp, headers)

        return process


class _Derived(TableOperator):
    """A table that is computed from one other, value by value, with a store of its own or without."""

    skips_nothing_to_nothing = False
    """Whether a row that neither was nor is there is left out, as far as old values are at hand to know it."""

    def __init__(self, parent: TableOperator, store: StoreSpec | None) -> None:
        super().__init__(store, stored=store is not None)
        self._parent = parent

    def send_old_values(self, *, force: bool) -> bool:
        if self.stored or self._parent.send_old_values(force=force):
            self.sends_old_values = True
        return self.sends_old_values

    @property
    def versioned(self) -> bool:
        return super().versioned if self.stored else self._parent.versioned

    def view(self) -> View:
        return super().view() if self.stored else _ComputedView(self._parent.view(), self.computing)

    @abstractmethod
    def computing(self, task: TaskContext) -> Computed:
        """What makes the value here of a key and the value there, in one task."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return self._stored_process(node, forward) if self.stored else self._plain_process(node, forward)

    def _stored_process(self, node: NodeContext, forward: Process) -> Process:
        sends_old = self.sends_old_values
        computed = self.computing(node.task)
        skips = self.skips_nothing_to_nothing and not self._parent.versioned
        store, forward = self.put_and_forward(node.task, forward)
        get, put = store.get, store.put

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            new = computed(key, change[0])
            held = get(key) if sends_old else None
            old = None if held is None else held[0]
            if skips and sends_old and old is None and new is None:
                return
            put(key, (new, timestamp))
            forward(key, (new, old, True), timestamp, headers)

        return process

    def _plain_process(self, node: NodeContext, forward: Process) -> Process:
        sends_old, computed = self.sends_old_values, self.computing(node.task)
        skips = self.skips_nothing_to_nothing and not self._parent.versioned

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            new = computed(key, change[0])
            old = computed(key, change[1]) if sends_old else None
            if skips and sends_old and old is None and new is None:
                return
            forward(key, (new, old, change[2]), timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class _ComputedView:
    parent: View
    computing: Callable[[TaskContext], Computed]

    @property
    def store_names(self) -> tuple[str, ...]:
        return self.parent.store_names

    def getter(self, task: TaskContext) -> Getter:
        get, computed = self.parent.getter(task), self.computing(task)

        def look_up(key: Any) -> Any:
            held = get(key)
            if held is None:
                return None
            value = computed(key, held[0])
            return None if value is None else (value, held[1])

        return look_up

    def getter_at(self, task: TaskContext) -> GetterAt | None:
        get_at = self.parent.getter_at(task)
        if get_at is None:
            return None
        computed = self.computing(task)

        def look_up(key: Any, as_of: int) -> Any:
            held = get_at(key, as_of)
            if held is None:
                return None
            value = computed(key, held[0])
            return None if value is None else (value, held[1])

        return look_up


class TableFilter(_Derived):
    """The rows for which the predicate is `wanted`; a row that no longer is becomes a tombstone. (`KTableFilter`)"""

    skips_nothing_to_nothing = True

    def __init__(
        self,
        parent: TableOperator,
        store: StoreSpec | None,
        predicate: Callable[..., Any],
        *,
        takes_key: bool,
        wanted: bool,
    ) -> None:
        super().__init__(parent, store)
        # With old values at hand for nothing, a row that never was there is not deleted downstream.
        if parent.send_old_values(force=False):
            self.sends_old_values = True
        self._predicate = function_of(predicate)
        self._takes_key = takes_key
        self._wanted = wanted

    def computing(self, task: TaskContext) -> Computed:
        return self._computed

    def _computed(self, key: Any, value: Any) -> Any:
        if value is None:
            return None
        holds = self._predicate(key, value) if self._takes_key else self._predicate(value)
        return value if bool(holds) is self._wanted else None


class TableMapValues(_Derived):
    """A new value per row. (`KTableMapValues`)"""

    def __init__(
        self, parent: TableOperator, store: StoreSpec | None, mapper: Callable[..., Any], *, takes_key: bool
    ) -> None:
        super().__init__(parent, store)
        self.mapper = mapper
        self._map = function_of(mapper)
        self._takes_key = takes_key

    def computing(self, task: TaskContext) -> Computed:
        return self._computed

    def _computed(self, key: Any, value: Any) -> Any:
        if value is None:
            return None
        return self._map(key, value) if self._takes_key else self._map(value)


class TableTransformValues(_Derived):
    """A new value per row, made by an object of the user's that may look into stores. (`KTableTransformValues`)

    Each node and each look-up of a task has a transformer of its own. It is given deletions too, as None.
    """

    def __init__(
        self, parent: TableOperator, store: StoreSpec | None, name: str, supplier: Callable[[], ValueTransformer]
    ) -> None:
        super().__init__(parent, store)
        self._name = name
        self._supplier = supplier

    def computing(self, task: TaskContext) -> Computed:
        transformer = self._supplier()
        start(transformer, ProcessorContext(NodeContext(self._name, task, {}), self._forward_nothing))
        return transformer.transform

    def _forward_nothing(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        raise StreamsError(f"{self._name} forwards a record\nhint: return the new value from transform(key, value)")


class TablePassThrough(TableOperator):
    """Where the aggregates of several streams into one store come together. (`KTablePassThrough`)"""

    def __init__(self, parents: Sequence[TableOperator]) -> None:
        super().__init__(parents[0].store, stored=True)
        self._parents = parents

    @property
    def versioned(self) -> bool:
        return self._parents[0].versioned

    def send_old_values(self, *, force: bool) -> bool:
        for parent in self._parents:
            parent.send_old_values(force=force)
        return True

    def view(self) -> View:
        return self._parents[0].view()

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return forward


class ToStream:
    """The new values of a table as a stream; a row that went is a record with a null value."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            forward(key, change[0], timestamp, headers)

        sink = node.task.sinks.get(forward)
        if sink is not None:
            node.task.table_sinks[process] = sink
        return process


class RegroupTable:
    """Rows under another key: the old row is taken away where it was, the new one added where it goes.

    Under one key both travel in one record (KIP-904), so that nobody sees the table without the row. Rows without a
    key or value of their own are left out, and so is what a versioned table learned late. (`KTableRepartitionMap`)
    """

    def __init__(self, parent: TableOperator, selector: Callable[..., Any], *, takes_key: bool) -> None:
        self._parent = parent
        self._selector = selector
        self._takes_key = takes_key

    def bind(self, node: NodeContext, forward: Process) -> Process:
        selector, takes_key, versioned = self._selector, self._takes_key, self._parent.versioned

        def select(key: Any, value: Any) -> Any:
            if value is None:
                return None
            pair = selector(key, value) if takes_key else selector(value)
            return None if pair[0] is None or pair[1] is None else pair

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            if versioned and not change[2]:
                return
            new, old = select(key, change[0]), select(key, change[1])
            if new is not None and old is not None and new[0] == old[0]:
                forward(new[0], (new[1], old[1], change[2]), timestamp, headers)
                return
            if old is not None:
                forward(old[0], (None, old[1], change[2]), timestamp, headers)
            if new is not None:
                forward(new[0], (new[1], None, change[2]), timestamp, headers)

        return process
