"""What an operator is: a function per record, made once per task.

`bind(node, forward)` is called when a task is made and returns the function that takes the node's records:
`process(key, value, timestamp, headers)`. It hands results on by calling `forward` with the same four. So a chain of
operators is a chain of calls: no record object, no dispatch, no look-up per record. What a node needs beside that
(stores, time, where a record came from, children by name) it takes from `node` while it is bound.

Values between tables are changes, `(new, old, is_latest)`: `old` is None unless the reader asked for old values
(`SendsOldValues`), `is_latest` is false only for what a versioned table learned late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from moldau.streams.context import TaskContext
    from moldau.streams.serdes import Serde
    from moldau.streams.task import Emit

V = TypeVar("V")

Header = tuple[str, bytes | None]
Headers = Sequence[Header]
Process = Callable[[Any, Any, int, Headers], None]
"""`process(key, value, timestamp_ms, headers)`: one record into a node."""

Change = tuple[V | None, V | None, bool]
ValueAndTimestamp = tuple[V, int]
"""A value as stores keep it, with the timestamp (ms) of the record that made it."""

GetterAt = Callable[[Any, int], ValueAndTimestamp[Any] | None]
"""What a versioned table held for a key at a time (ms)."""

Getter = Callable[[Any], ValueAndTimestamp[Any] | None]
"""What a table holds for a key now."""


class Sink(NamedTuple):
    """How a node writes what it is given into one topic, as it is: for whoever has many records at once."""

    topic: str
    key: Serde[Any]
    value: Serde[Any]
    emit: Emit


class NodeContext:
    """What a node sees while it is bound: its name, its task, and its children by name."""

    __slots__ = ("children", "name", "task")

    def __init__(self, name: str, task: TaskContext, children: Mapping[str, Process]) -> None:
        self.name = name
        self.task = task
        self.children = children

    def dropped(self, reason: str) -> None:
        """Count a record that this node may not use (Kafka's metric dropped-records-total), and log where it was."""
        self.task.dropped(self.name, reason)


class Operator(Protocol):
    """A node's work, told apart from any task: one operator is bound once per task."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        """The function that takes the node's records in the task of `node`."""
        ...


class View(Protocol):
    """How a table is looked up, for joins: from a store, or computed from another table's view."""

    def getter(self, task: TaskContext) -> Getter:
        """The look-up for one task."""
        ...

    def getter_at(self, task: TaskContext) -> GetterAt | None:
        """The look-up as of a time, None for a table that is not versioned."""
        ...

    @property
    def store_names(self) -> tuple[str, ...]:
        """The stores that a node must be connected to before it may use the look-up."""
        ...


def nowhere(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
    """Where a node without children forwards to."""


def fan_out(children: Sequence[Process]) -> Process:
    """One function that calls all children in order."""
    if not children:
        return nowhere
    if len(children) == 1:
        return children[0]
    if len(children) == 2:
        first, second = children

        def forward_to_two(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            first(key, value, timestamp, headers)
            second(key, value, timestamp, headers)

        return forward_to_two
    targets = tuple(children)

    def forward_to_all(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for target in targets:
            target(key, value, timestamp, headers)

    return forward_to_all
