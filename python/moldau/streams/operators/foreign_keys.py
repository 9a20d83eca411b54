"""Joins of tables by a key that is made of the left row: subscriptions one way, answers the other.

The left side tells the right one which row it wants (`SubscribeToForeign`), the right side keeps that
(`KeepSubscription`) and answers at once (`AnswerSubscription`) and whenever its row changes (`AnswerSubscribers`). An
answer carries the hash of the left value that asked; `ResolveAnswer` drops it when the row has changed since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moldau.streams.operators.contract import Headers, NodeContext, Process, View
from moldau.streams.operators.tables import TableOperator
from moldau.streams.serdes import Serde
from moldau.streams.serdes.foreign_key import (
    Instruction,
    Response,
    Subscription,
    foreign_prefix,
    primary_of,
    value_hash_of,
)

Extractor = Callable[[Any, Any], Any]
"""`extractor(key, value) -> foreign key`, None for a row that has none."""


@dataclass(frozen=True, slots=True)
class SubscribeToForeign:
    """Changes of left rows as subscriptions under their foreign keys. (`SubscriptionSendProcessorSupplier`)"""

    this: TableOperator
    extractor: Extractor
    foreign_key: Serde[Any]
    value: Serde[Any]
    left: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        extractor, write_key, write_value = self.extractor, self.foreign_key.serialize, self.value.serialize
        task, dropped, latest_only = node.task, node.dropped, self.this.versioned
        subscriptions = _left_subscriptions if self.left else _inner_subscriptions

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            new, old, is_latest = change
            if latest_only and not is_latest:
                dropped("the table knows a later version")
                return
            if new is None and old is None:
                return
            old_foreign = None if old is None else extractor(key, old)
            new_foreign = None if new is None else extractor(key, new)
            if new is not None and new_foreign is None and not self.left:
                dropped("the foreign key is null")
            changed = (None if new_foreign is None else write_key(new_foreign)) != (
                None if old_foreign is None else write_key(old_foreign)
            )
            value_hash = None if new is None else value_hash_of(write_value(new))
            for foreign, instruction in subscriptions(old_foreign, new_foreign, changed):
                forward(foreign, Subscription(value_hash, instruction, key, task.partition), timestamp, headers)

        return process


def _left_subscriptions(old: Any, new: Any, changed: bool) -> list[tuple[Any, Instruction]]:
    """A left join always wants an answer, also for a row without a foreign key and one that went."""
    ask = new, Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE
    if old is not None and changed:
        return [(old, Instruction.DELETE_KEY_NO_PROPAGATE), ask]
    return [ask]


def _inner_subscriptions(old: Any, new: Any, changed: bool) -> list[tuple[Any, Instruction]]:
    """An inner join wants an answer if there may be a result, or one may have to go."""
    if new is None:
        return [] if old is None else [(old, Instruction.DELETE_KEY_AND_PROPAGATE)]
    if old is None or not changed:
        return [(new, Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE)]
    return [(old, Instruction.DELETE_KEY_NO_PROPAGATE), (new, Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE)]


@dataclass(frozen=True, slots=True)
class KeepSubscription:
    """Keeps who wants to hear of a right row, or forgets it. (`SubscriptionReceiveProcessorSupplier`)"""

    store: str
    foreign_key: Serde[Any]
    primary_key: Serde[Any]

    def bind(self, node: NodeContext, forward: Process) -> Process:
        put, dropped = node.task.store(self.store).put, node.dropped
        write_foreign, write_primary = self.foreign_key.serialize, self.primary_key.serialize

        def process(key: Any, subscription: Subscription, timestamp: int, headers: Headers) -> None:
            instruction = subscription[1]
            if key is not None:
                place = foreign_prefix(write_foreign(key)) + write_primary(subscription[2])
                gone = instruction <= Instruction.DELETE_KEY_AND_PROPAGATE
                put(place, None if gone else (subscription, timestamp))
            elif instruction != Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE:
                dropped("the foreign key is null")
                return
            forward(key, subscription, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class AnswerSubscription:
    """Answers a subscription with the right row as it is now. (`SubscriptionJoinProcessorSupplier`)"""

    other: View

    def bind(self, node: NodeContext, forward: Process) -> Process:
        get = self.other.getter(node.task)

        def process(key: Any, subscription: Subscription, timestamp: int, headers: Headers) -> None:
            value_hash, instruction, primary, partition = subscription
            if instruction == Instruction.DELETE_KEY_NO_PROPAGATE:
                return
            value, held = None, None if key is None else get(key)
            if held is not None:
                timestamp = max(timestamp, held[1])
                value = None if instruction == Instruction.DELETE_KEY_AND_PROPAGATE else held[0]
            elif instruction == Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE:
                return
            forward(primary, Response(value_hash, value, partition), timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class AnswerSubscribers:
    """Tells all who subscribed to a right row what it is now. (`ForeignTableJoinProcessorSupplier`)"""

    other: TableOperator
    store: str
    foreign_key: Serde[Any]
    primary_key: Serde[Any]

    def bind(self, node: NodeContext, forward: Process) -> Process:
        scan, dropped, latest_only = node.task.store(self.store).prefix_scan, node.dropped, self.other.versioned
        write_foreign, read_primary = self.foreign_key.serialize, self.primary_key.deserialize

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                dropped("the key is null")
                return
            if latest_only and not change[2]:
                dropped("the table knows a later version")
                return
            value = change[0]
            for place, (subscription, _) in scan(foreign_prefix(write_foreign(key))):
                response = Response(subscription[0], value, subscription[3])
                forward(read_primary(primary_of(place)), response, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class ResolveAnswer:
    """Joins an answer with the left row that asked, if that is still the same. (`ResponseJoinProcessorSupplier`)"""

    this: View
    value: Serde[Any]
    joiner: Callable[[Any, Any], Any]
    left: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        get, write, joiner, left = self.this.getter(node.task), self.value.serialize, self.joiner, self.left
        dropped = node.dropped

        def process(key: Any, response: Response, timestamp: int, headers: Headers) -> None:
            held = get(key)
            value = None if held is None else held[0]
            if response[0] != (None if value is None else value_hash_of(write(value))):
                dropped("the row has changed since it asked")
                return
            other = response[1]
            nothing = other is None and (value is None or not left)
            forward(key, None if nothing else joiner(value, other), timestamp, headers)

        return process
