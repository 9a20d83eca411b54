"""Operators without state. Each takes its callback's number of arguments once and is one closure from then on.

A null value reaches the callbacks, as in Kafka; only grouping, tables and joins drop null keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moldau.streams.expressions import function_of
from moldau.streams.operators.contract import Headers, NodeContext, Process


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Hands records on: the node of a merge, and of each branch."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return forward


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps the records for which `predicate` is `wanted`. (`KStreamFilter`)"""

    predicate: Callable[..., Any]
    takes_key: bool
    wanted: bool = True

    def bind(self, node: NodeContext, forward: Process) -> Process:
        predicate, wanted = function_of(self.predicate), self.wanted
        if self.takes_key and wanted:

            def process_kept_pair(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                if predicate(key, value):
                    forward(key, value, timestamp, headers)

            return process_kept_pair
        if self.takes_key:

            def process_other_pairs(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                if not predicate(key, value):
                    forward(key, value, timestamp, headers)

            return process_other_pairs
        if wanted:

            def process_kept(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                if predicate(value):
                    forward(key, value, timestamp, headers)

            return process_kept

        def process_others(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if not predicate(value):
                forward(key, value, timestamp, headers)

        return process_others


@dataclass(frozen=True, slots=True)
class FilterNullKeys:
    """Drops records without a key silently: before a repartition topic of a join that null keys cannot match."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is not None:
                forward(key, value, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class MapValues:
    """A new value; the key stays. (`KStreamMapValues`)"""

    mapper: Callable[..., Any]
    takes_key: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper = function_of(self.mapper)
        if self.takes_key:

            def process_pair(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                forward(key, mapper(key, value), timestamp, headers)

            return process_pair

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            forward(key, mapper(value), timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class Map:
    """A new key and a new value, as a pair. (`KStreamMap`)"""

    mapper: Callable[..., Any]
    takes_key: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper = function_of(self.mapper)
        if self.takes_key:

            def process_pair(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                new_key, new_value = mapper(key, value)
                forward(new_key, new_value, timestamp, headers)

            return process_pair

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            new_key, new_value = mapper(value)
            forward(new_key, new_value, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class SelectKey:
    """A new key; the value stays."""

    mapper: Callable[..., Any]
    takes_key: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper = function_of(self.mapper)
        if self.takes_key:

            def process_pair(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                forward(mapper(key, value), value, timestamp, headers)

            return process_pair

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            forward(mapper(value), value, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class FlatMap:
    """Any number of pairs for a record. (`KStreamFlatMap`)"""

    mapper: Callable[..., Any]
    takes_key: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper, takes_key = function_of(self.mapper), self.takes_key

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            for new_key, new_value in mapper(key, value) if takes_key else mapper(value):
                forward(new_key, new_value, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class FlatMapValues:
    """Any number of values for a record. (`KStreamFlatMapValues`)"""

    mapper: Callable[..., Any]
    takes_key: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper, takes_key = function_of(self.mapper), self.takes_key

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            for new_value in mapper(key, value) if takes_key else mapper(value):
                forward(key, new_value, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class Peek:
    """Calls `action` and hands the record on; as the last of a stream, `for_each`. (`KStreamPeek`)"""

    action: Callable[..., Any]
    takes_key: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        action, takes_key = self.action, self.takes_key

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if takes_key:
                action(key, value)
            else:
                action(value)
            forward(key, value, timestamp, headers)

        return process


@dataclass(slots=True)
class Branch:
    """The first branch whose predicate holds takes the record, else the default, else nobody. (`KStreamBranch`)

    `branches` grows while the topology is built, and `default` gets its name.
    """

    branches: list[tuple[Callable[..., Any], bool, str]]
    default: str | None = None

    def bind(self, node: NodeContext, forward: Process) -> Process:
        children: Mapping[str, Process] = node.children
        branches = [(function_of(predicate), takes_key, children[name]) for predicate, takes_key, name in self.branches]
        default = None if self.default is None else children[self.default]

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            for predicate, takes_key, child in branches:
                if predicate(key, value) if takes_key else predicate(value):
                    child(key, value, timestamp, headers)
                    return
            if default is not None:
                default(key, value, timestamp, headers)

        return process
