"""Joins with tables: of a stream, which looks up, and of two tables, where either side's change makes a new row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.operators.contract import Getter, Headers, NodeContext, Process, View
from moldau.streams.operators.origin import as_it_was, origin_of
from moldau.streams.operators.stream_joins import Joiner
from moldau.streams.operators.tables import TableOperator
from moldau.streams.topology.nodes import StoreSpec
from moldau.streams.trees import Tree

ValueJoiner = Callable[[Any, Any], Any]

NULL_DROPPED: Final = "the join key or the value is null"


@dataclass(frozen=True, slots=True)
class StreamTableJoin:
    """Looks up a row for each record: by its key, or by one that is made of it. (`KStreamKTableJoinProcessor`)

    A left join keeps records without a key to look up; records without a value are dropped by both. Of a versioned
    table the row is the one of the record's time.
    """

    table: View
    joiner: Joiner
    keeps_unmatched: bool
    key_of: Callable[[Any, Any], Any] | None = None
    waiting: str | None = None
    """The store of records that wait until a versioned table has heard of their time."""
    tree: Tree | None = None
    """The joiner, if it is an expression of both values."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        join = self._join(node, forward)
        return join if self.waiting is None else _waiting_join(node, self.waiting, join)

    def _join(self, node: NodeContext, forward: Process) -> Process:
        joiner, keeps, key_of, dropped = self.joiner, self.keeps_unmatched, self.key_of, node.dropped
        get, get_at = self.table.getter(node.task), self.table.getter_at(node.task)

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            wanted = key if key_of is None else key_of(key, value)
            if value is None or (wanted is None and not keeps):
                dropped(NULL_DROPPED)
                return
            held = None
            if wanted is not None:
                held = get(wanted) if get_at is None else get_at(wanted, timestamp)
            if held is not None:
                forward(key, joiner(key, value, held[0]), timestamp, headers)
            elif keeps:
                forward(key, joiner(key, value, None), timestamp, headers)

        return process


def _waiting_join(node: NodeContext, waiting: str, join: Process) -> Process:
    """The join of records that wait first; those that cannot be joined at all are dropped, or sent, at once."""
    task, buffer, send = node.task, node.task.store(waiting), as_it_was(node.task, join)

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None or value is None or not buffer.put(key, value, origin_of(task, timestamp, headers)):
            join(key, value, timestamp, headers)
        else:
            buffer.evict(send)

    return process


@dataclass(frozen=True, slots=True)
class TableJoinSide:
    """One side of a join of tables: what a change here makes of the row that the other side has.

    `needs_this` and `needs_other` say whose row must be there for a result: both in an inner join, the left one in a
    left join, neither in an outer one. (`KTableKTableInnerJoin`, `…Left…`, `…Right…`, `…OuterJoin`)
    """

    merger: TableJoin
    this: TableOperator
    other: View
    joiner: ValueJoiner
    needs_this: bool
    needs_other: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        get, dropped, sends_old = self.other.getter(node.task), node.dropped, self.merger.sends_old_values
        latest_only = self.this.versioned
        needs_this, needs_other, joiner = self.needs_this, self.needs_other, self.joiner

        def joined(value: Any, other: Any) -> Any:
            if value is None and (needs_this or other is None):
                return None
            return joiner(value, other)

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                dropped("the key is null")
                return
            new, old, is_latest = change
            if latest_only and not is_latest:
                dropped("the table knows a later version")
                return
            held = get(key)
            if held is None:
                if needs_other or (new is None and old is None):
                    return
                other = None
            else:
                other = held[0]
                timestamp = max(timestamp, held[1])
            result = joined(new, other), joined(old, other) if sends_old else None, is_latest
            forward(key, result, timestamp, headers)

        return process


class TableJoin(TableOperator):
    """Where both sides of a join of tables come together, with a store if it has a name. (`KTableKTableJoinMerger`)"""

    def __init__(
        self, left: TableOperator, right: TableOperator, joiner: ValueJoiner, store: StoreSpec | None, needs: JoinNeeds
    ) -> None:
        super().__init__(store, stored=store is not None)
        self._left = left
        self._right = right
        self._joiner = joiner
        self._needs = needs

    def sides(self) -> tuple[TableJoinSide, TableJoinSide]:
        """The nodes for both sides."""
        joiner, needs = self._joiner, self._needs

        def reversed_joiner(right: Any, left: Any) -> Any:
            return joiner(left, right)

        return (
            TableJoinSide(self, self._left, self._right.view(), joiner, needs.left, needs.right),
            TableJoinSide(self, self._right, self._left.view(), reversed_joiner, needs.right, needs.left),
        )

    def send_old_values(self, *, force: bool) -> bool:
        self._left.send_old_values(force=True)
        self._right.send_old_values(force=True)
        self.sends_old_values = True
        return True

    def view(self) -> View:
        if self.stored:
            return super().view()
        return _JoinedView(self._left.view(), self._right.view(), self._joiner, self._needs)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        if self._store is None:
            return forward
        store, forward = self.put_and_forward(node.task, forward)
        put = store.put

        def process(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            put(key, (change[0], timestamp))
            forward(key, change, timestamp, headers)

        return process


@dataclass(frozen=True, slots=True)
class JoinNeeds:
    """Whose rows a join needs for a result."""

    left: bool
    right: bool


@dataclass(frozen=True, slots=True)
class _JoinedView:
    left: View
    right: View
    joiner: ValueJoiner
    needs: JoinNeeds

    @property
    def store_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.left.store_names + self.right.store_names))

    def getter_at(self, task: TaskContext) -> None:
        return None

    def getter(self, task: TaskContext) -> Getter:
        left_of, right_of, joiner, needs = self.left.getter(task), self.right.getter(task), self.joiner, self.needs

        def look_up(key: Any) -> Any:
            left, right = left_of(key), right_of(key)
            if (left is None and (needs.left or right is None)) or (right is None and needs.right):
                return None
            value = joiner(None if left is None else left[0], None if right is None else right[0])
            timestamp = max(side[1] for side in (left, right) if side is not None)
            return None if value is None else (value, timestamp)

        return look_up
