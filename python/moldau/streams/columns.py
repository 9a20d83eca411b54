"""The second executor of expressions: sub-topologies that are made of nothing else, compiled for `moldau._core`.

What is compiled takes records from the bytes that were fetched to the bytes that go out, without an object per record:
filters, new keys, new values, branches, aggregates, joins with tables, sinks; keys, and values as JSON, text or bytes.
A sub-topology with anything else in it is left to the functions of `task`, and so is each single record that is
unusual: there an error is raised and a handler is asked. So both executors give the same, byte for byte.

Where records are joined with tables, the tables are read by functions: what is compiled is the way of the one source
that is none, and it has to be a way of its own.

Behind an aggregate there are two cases. Where every update goes on, what comes behind it is compiled like the rest.
With a record cache only the last update of a group goes on, at a commit: that is left to the functions, whatever they
are.

A program has registers: the fields of a value, then what expressions have computed. The shape of a value says at each
node what stands for it: the record's own value, one register, or an object of several.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from msgspec import inspect

from moldau._core import ColumnProgram
from moldau.streams.column_aggregates import ColumnAggregate, NotColumnarError, aggregated, trees_of
from moldau.streams.column_joins import ColumnJoin, names_of_record, of_row, over_one
from moldau.streams.column_types import (
    KEYS,
    Field,
    completed,
    constant_of,
    fields_of,
    is_any_object,
    is_json,
    json_kind,
    name_of,
    serde_name,
    written_as,
    written_fields,
)
from moldau.streams.expressions import Expression
from moldau.streams.operators.aggregates import StreamAggregate, TableAggregate
from moldau.streams.operators.stateless import (
    Branch,
    Filter,
    FilterNullKeys,
    FlatMap,
    FlatMapValues,
    Map,
    MapValues,
    PassThrough,
    Peek,
    SelectKey,
)
from moldau.streams.operators.suppress import Suppress
from moldau.streams.operators.table_joins import StreamTableJoin
from moldau.streams.operators.tables import RegroupTable, TableFilter, TableMapValues, TableSource, ToStream
from moldau.streams.operators.time_windows import TimeWindowAggregate
from moldau.streams.serdes import primitive, required
from moldau.streams.serdes.structured import encode_json
from moldau.streams.serdes.windowed import TimeWindowedSerde
from moldau.streams.topology.nodes import Node, ProcessorNode, SinkNode, SourceNode
from moldau.streams.trees import FUNCTIONS, Tree, names_of

_OPERATORS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "//", "%", "and", "or", "not"})
_KNOWN: Final = _OPERATORS | FUNCTIONS.keys() | {"is_null", "mean"}
_DIGITS_MAX: Final = 15
"""So many digits behind the point are rounded to in columns (`DIGITS_MAX` of function.rs)."""

NODES_MAX: Final = 1000
"""A node is compiled once per way that leads to it."""

_BEHIND_A_CACHE: Final = (
    Branch,
    Filter,
    FilterNullKeys,
    FlatMap,
    FlatMapValues,
    Map,
    MapValues,
    PassThrough,
    Peek,
    RegroupTable,
    SelectKey,
    StreamAggregate,
    Suppress,
    TableAggregate,
    TableFilter,
    TableMapValues,
    TimeWindowAggregate,
    ToStream,
)
"""What does not notice that records are no longer taken one by one."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A compiled sub-topology: `source` is the topic that it reads, `topics` has the topic of each output, by the
    topology's names.

    Of each aggregate, and of each join, a task brings a table to the program, in their order.
    """

    program: ColumnProgram
    source: str
    topics: tuple[str, ...]
    aggregates: tuple[ColumnAggregate, ...]
    joins: tuple[ColumnJoin, ...]
    read_key: Callable[[bytes], Any]
    """Reads the keys of the source, which are the keys of all tables."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What stands for key and value behind a node.

    `key` is None for the record's own, or a register; `windowed` is the record's own with a window. `value` is None for
    the record's own, a register, or the registers of an object by the names of its fields. `kind` is the type of such
    an object.
    """

    key: int | None = None
    value: int | Mapping[str, int] | None = None
    kind: Any = None
    windowed: bool = False
    aggregated: bool = False
    """Whether it is an update of an aggregate, whose time is not the record's."""


def compile_columns(nodes: Iterable[Node], *, caches: bool = False) -> Columns:
    """Compile a sub-topology. With `caches` its tables are behind record caches, as far as they are to be cached.

    Raises:
        NotColumnarError: something in it has to be done record by record.
    """
    return _Compiler(list(nodes), caches=caches).compiled()


class _Compiler:
    def __init__(self, nodes: list[Node], *, caches: bool) -> None:
        self._children: dict[str, list[Node]] = {node.name: [] for node in nodes}
        for node in nodes:
            for parent in () if isinstance(node, SourceNode) else node.parents:
                self._children[parent].append(node)
        self._source = self._only_source([node for node in nodes if isinstance(node, SourceNode)])
        compiled = self._behind_all(self._source)
        self._tables = self._looked_up(nodes, compiled)
        """The sources of the tables that records are joined with, by their stores."""
        self._key = self._key_kind()
        self._whole: tuple[Field, ...] | None = None
        """Of a value that is an object all fields, if they are known."""
        self._fields: dict[str, int] = {}
        """Per name of a field its register."""
        self._value = self._value_kind([node for node in nodes if node.name in compiled])
        self._registers = len(self._value) if isinstance(self._value, list) else 0
        self._steps: list[tuple[Any, ...] | None] = []
        self._outputs: dict[str, int] = {}
        self._nodes = nodes
        self._caches = caches
        self._aggregates: dict[str, ColumnAggregate] = {}
        self._joins: dict[str, ColumnJoin] = {}
        self._of_functions: set[str] = set()
        """The nodes behind aggregates with caches."""

    def compiled(self) -> Columns:
        roots = self._behind(self._source.name, _Shape())
        for name in self._aggregates.keys() & self._of_functions:
            raise NotColumnarError(f"{name} aggregates records, and what leaves the cache of another aggregate")
        program = ColumnProgram(
            self._key,
            self._value,
            self._registers,
            [step for step in self._steps if step],
            roots,
            len(self._outputs),
            len(self._aggregates),
            len(self._joins),
        )
        aggregates, joins = tuple(self._aggregates.values()), tuple(self._joins.values())
        read_key = required(self._source.key, self._source.name, "key").deserialize
        return Columns(program, self._source.topics[0], tuple(self._outputs), aggregates, joins, read_key)

    def _only_source(self, sources: list[SourceNode]) -> SourceNode:
        """The source that is compiled: the only one, or the only one that is no table's."""
        chosen = [source for source in sources if not self._is_of_table(source)] if len(sources) > 1 else sources
        if len(chosen) != 1 or len(chosen[0].topics) != 1 or chosen[0].pattern is not None:
            raise NotColumnarError("it reads several topics, whose records are taken in the order of their times")
        return chosen[0]

    def _is_of_table(self, source: SourceNode) -> bool:
        children = self._children[source.name]
        return all(isinstance(child, ProcessorNode) and isinstance(child.operator, TableSource) for child in children)

    def _behind_all(self, source: SourceNode) -> set[str]:
        """The names of all nodes that records of a source come to."""
        found, todo = {source.name}, [source.name]
        while todo:
            for child in self._children[todo.pop()]:
                if child.name not in found:
                    found.add(child.name)
                    todo.append(child.name)
        return found

    def _looked_up(self, nodes: list[Node], compiled: set[str]) -> dict[str, SourceNode]:
        """The tables whose rows nobody changes but records of their own topics, which functions work on."""
        tables: dict[str, SourceNode] = {}
        for source in nodes:
            if not isinstance(source, SourceNode) or source is self._source:
                continue
            for name in sorted(self._behind_all(source) - {source.name}):
                node = next(one for one in nodes if one.name == name)
                if name in compiled:
                    raise NotColumnarError(f"{name} is behind {self._source.name} and {source.name}")
                if not isinstance(node, ProcessorNode):
                    continue
                if not isinstance(node.operator, (TableSource, *_BEHIND_A_CACHE)):
                    raise NotColumnarError(f"{name}, behind a table, is a {type(node.operator).__name__}")
                # A table further behind changes when a cache or a buffer lets go, not with a record of its own key.
                table = node.operator if isinstance(node.operator, TableSource) else None
                if table is not None and table.store is not None and source.name in node.parents:
                    tables[table.store.name] = source
        return tables

    def _key_kind(self) -> str:
        source = self._source
        if source.timestamp_extractor is not None:
            raise NotColumnarError(f"{source.name} has a timestamp extractor")
        kind = KEYS.get(id(source.key))
        if kind is None:
            raise NotColumnarError(f"the keys of {source.name} are {serde_name(source.key)}, not text, bytes or int")
        return kind

    def _value_kind(self, nodes: list[Node]) -> str | list[tuple[str, str, bool, tuple[Any, ...]]]:
        serde = self._source.value
        if serde is primitive.STRING:
            return "text"
        if serde is primitive.BYTES:
            return "bytes"
        kind = json_kind(serde)
        if kind is None:
            raise NotColumnarError(f"the values of {self._source.name} are {serde_name(serde)}, not plain JSON")
        told = inspect.type_info(kind)
        if is_any_object(told):
            names = list(dict.fromkeys(name for node in nodes for name in _names_in(node)))
            fields = [Field(name, name, (name, "any", True, ("missing",))) for name in names]
        else:
            fields = fields_of(told, f"the values of {self._source.name}")
            if not isinstance(told, inspect.TypedDictType):
                self._whole = tuple(fields)
        self._fields = {field.name: number for number, field in enumerate(fields)}
        return [field.spec for field in fields]

    def _behind(self, name: str, shape: _Shape) -> list[int]:
        return [self._step(node, shape) for node in self._children[name]]

    def _step(self, node: Node, shape: _Shape) -> int:
        """A node and all behind it; a node of lower number hands on to those of higher ones."""
        number = len(self._steps)
        if number == NODES_MAX:
            raise NotColumnarError(f"more than {NODES_MAX} ways lead through it")
        self._steps.append(None)
        if isinstance(node, SinkNode):
            self._steps[number] = self._sink(node, shape)
        else:
            assert isinstance(node, ProcessorNode)
            self._steps[number] = self._processor(node, shape)
        return number

    def _processor(self, node: ProcessorNode, shape: _Shape) -> tuple[Any, ...]:
        operator: Any = node.operator
        match operator:
            case PassThrough() | ToStream():
                return "pass", self._behind(node.name, shape)
            case FilterNullKeys():
                return "keyed", shape.key, self._behind(node.name, shape)
            case Filter():
                predicate = self._expression(operator.predicate, shape, node)
                return "filter", predicate, operator.wanted, self._behind(node.name, shape)
            case SelectKey():
                key = self._register()
                parts = [(key, self._expression(operator.mapper, shape, node))]
                return "keep", parts, self._behind(node.name, dataclasses.replace(shape, key=key, windowed=False))
            case MapValues():
                return self._map_values(operator.mapper, shape, node)
            case TableMapValues() if not operator.stored and not operator.sends_old_values:
                return self._map_values(operator.mapper, shape, node)
            case Branch():
                return self._branch(operator, shape, node)
            case StreamAggregate() | TimeWindowAggregate():
                return self._aggregate(operator, shape, node)
            case StreamTableJoin():
                return self._join(operator, shape, node)
        raise NotColumnarError(f"{node.name} is a {type(operator).__name__}")

    def _branch(self, operator: Branch, shape: _Shape, node: ProcessorNode) -> tuple[Any, ...]:
        children = {child.name: child for child in self._children[node.name]}
        branches = [
            (self._expression(predicate, shape, node), self._step(children[name], shape))
            for predicate, _, name in operator.branches
        ]
        default = None if operator.default is None else self._step(children[operator.default], shape)
        return "branch", branches, default

    def _join(self, operator: StreamTableJoin, shape: _Shape, node: ProcessorNode) -> tuple[Any, ...]:
        if operator.key_of is not None or operator.waiting is not None:
            raise NotColumnarError(f"{node.name} looks up a key that was computed, or waits")
        if operator.tree is None:
            raise NotColumnarError(f"{node.name} joins with a function of yours")
        if shape.key is not None or shape.windowed or shape.aggregated:
            raise NotColumnarError(f"{node.name} looks up a key that was computed")
        self._check_table(operator, node)
        join = self._joins.setdefault(node.name, ColumnJoin(node.name, operator.table, of_row(operator.tree)))
        registers = {tree: self._register() for tree in join.wanted}
        whole = shape.value if isinstance(shape.value, int) else None
        joiner = over_one(operator.tree, registers, whole, node.name)
        # The values that go on are computed in a step of their own.
        number = len(self._steps)
        self._steps.append(None)
        parts, joined = self._mapped(Expression(joiner), shape, node)
        self._steps[number] = "keep", parts, self._behind(node.name, joined)
        known, first = [*self._joins].index(node.name), min(registers.values(), default=0)
        return "join", known, _null_rule(shape), operator.keeps_unmatched, first, len(registers), [number]

    def _check_table(self, operator: StreamTableJoin, node: ProcessorNode) -> None:
        """Raise if anybody else than records of a topic, under their own keys, changes the table."""
        for store in operator.table.store_names:
            source = self._tables.get(store)
            users = [one for one in self._nodes if isinstance(one, ProcessorNode) and store in one.stores]
            owner = next((one.operator for one in users if isinstance(one.operator, TableSource)), None)
            spec = None if owner is None else owner.store
            if source is None or spec is None or spec.kind != "timestamped" or spec.make is not None:
                raise NotColumnarError(f"{node.name} joins with a table that is not read from a topic as it is")
            if source.key is not self._source.key:
                raise NotColumnarError(f"{node.name} looks up keys otherwise than they are read")
            for one in users:
                if not isinstance(one.operator, (TableSource, StreamTableJoin)):
                    raise NotColumnarError(f"the store of {node.name} is used by other nodes too")

    def _aggregate(
        self, operator: StreamAggregate | TimeWindowAggregate, shape: _Shape, node: ProcessorNode
    ) -> tuple[Any, ...]:
        known = self._aggregates.get(node.name)
        if known is None:
            known = aggregated(operator, node.name, self._source.key, caches=self._caches)
            if any(known.spec.name in one.stores for one in self._nodes if _is_other(one, node)):
                raise NotColumnarError(f"the store of {node.name} is used by other nodes too")
            self._aggregates[node.name] = known
        if shape.key is not None or shape.windowed:
            raise NotColumnarError(f"{node.name} groups by a key that was computed")
        if shape.aggregated:
            raise NotColumnarError(f"{node.name} aggregates what another aggregate tells")
        grid = known.windows
        windows = None if grid is None else (grid.size_ms, grid.advance_ms, grid.grace_ms)
        parts = [(tree[0], *(self._tree(part, shape, node) for part in tree[1:])) for tree in known.trees.values()]
        step = "aggregate", [*self._aggregates].index(node.name), windows, parts, _not_null(known, shape)
        if not known.cached and operator.sends_old_values:
            raise NotColumnarError(f"{node.name} has to tell what was there before")
        registers = {name: self._register() for name in known.trees}
        first = next(iter(registers.values()))
        value = first if known.kind is None else registers
        behind = _Shape(None, value, known.kind, windowed=windows is not None, aggregated=True)
        if known.cached:
            self._check_behind(node.name)
            self._aggregates[node.name] = dataclasses.replace(known, topics=self._straight(node.name, behind))
            return *step, None, []
        return *step, first, self._behind(node.name, behind)

    def _straight(self, name: str, shape: _Shape) -> tuple[str, ...] | None:
        """The topics that updates go to without anything in between, if nobody else wants them."""
        topics: list[str] = []
        for child in self._children[name]:
            if isinstance(child, SinkNode):
                try:
                    _, value = self._forms(child, shape)
                except NotColumnarError:
                    return None
                if value[0] == "register" and value[2] != "long":
                    return None
                assert isinstance(child.topic, str)
                topics.append(child.topic)
                continue
            assert isinstance(child, ProcessorNode)
            further = self._straight(child.name, shape) if isinstance(child.operator, ToStream) else None
            if further is None:
                return None
            topics += further
        return tuple(topics)

    def _check_behind(self, name: str) -> None:
        for child in self._children[name]:
            self._of_functions.add(child.name)
            if isinstance(child, ProcessorNode) and not isinstance(child.operator, _BEHIND_A_CACHE):
                raise NotColumnarError(f"{child.name} is a {type(child.operator).__name__}")
            self._check_behind(child.name)

    def _map_values(self, mapper: Any, shape: _Shape, node: ProcessorNode) -> tuple[Any, ...]:
        parts, mapped = self._mapped(mapper, shape, node)
        return "keep", parts, self._behind(node.name, dataclasses.replace(mapped, windowed=shape.windowed))

    def _mapped(self, mapper: Any, shape: _Shape, node: ProcessorNode) -> tuple[list[tuple[int, Tree]], _Shape]:
        if not isinstance(mapper, Expression) or mapper.tree[0] != "make":
            register = self._register()
            parts = [(register, self._expression(mapper, shape, node))]
            return parts, _Shape(shape.key, register, aggregated=shape.aggregated)
        _, kind, given = mapper.tree
        trees = dict(given)
        if kind is not dict:
            trees = completed(trees, kind, node.name)
        parts = [(self._register(), self._tree(tree, shape, node)) for tree in trees.values()]
        registers = {name: register for name, (register, _) in zip(trees, parts, strict=True)}
        return parts, _Shape(shape.key, registers, kind, aggregated=shape.aggregated)

    def _register(self) -> int:
        self._registers += 1
        return self._registers - 1

    def _expression(self, callback: Any, shape: _Shape, node: Node) -> Tree:
        if not isinstance(callback, Expression):
            name = getattr(callback, "__qualname__", repr(callback))
            raise NotColumnarError(f"{node.name} calls a function of yours, {name}")
        return self._tree(callback.tree, shape, node)

    def _tree(self, tree: Tree, shape: _Shape, node: Node) -> Tree:
        match tree:
            case ("register", _):
                return tree
            case ("field", name):
                return "register", self._field(name, shape, node)
            case ("constant", value):
                return "constant", constant_of(value, node.name)
            case ("part", whole, name):
                return "part", self._tree(whole, shape, node), name
            case ("in", one, (_, values)):
                return "in", self._tree(one, shape, node), [constant_of(value, node.name) for value in values]
            case ("round", one, (_, digits)):
                if not 0 <= digits <= _DIGITS_MAX:
                    raise NotColumnarError(f"{node.name} rounds to {digits} digits")
                return "round", self._tree(one, shape, node), digits
            case ("make", *_):
                raise NotColumnarError(f"{node.name} makes an object inside of an expression")
            case (what, *parts) if what in _KNOWN:
                return what, *(self._tree(part, shape, node) for part in parts)
        raise NotColumnarError(f"{node.name} has an expression with {tree[0]}")

    def _field(self, name: str, shape: _Shape, node: Node) -> int:
        if isinstance(shape.value, int):
            raise NotColumnarError(f"{node.name} reads the field {name} of a value that was computed")
        known = self._fields if shape.value is None else shape.value
        if name not in known:
            raise NotColumnarError(f"{node.name} reads {name}, which is no field of its values")
        return known[name]

    def _sink(self, node: SinkNode, shape: _Shape) -> tuple[Any, ...]:
        key, value = self._forms(node, shape)
        assert isinstance(node.topic, str)
        # Two sinks that write to one topic write in the order of the records.
        return "sink", self._outputs.setdefault(node.topic, len(self._outputs)), key, value

    def _forms(self, node: SinkNode, shape: _Shape) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        if not isinstance(node.topic, str):
            raise NotColumnarError(f"{node.name} chooses its topic per record")
        if node.partitioner is not None:
            raise NotColumnarError(f"{node.name} has a partitioner of yours")
        return self._key_form(node, shape), self._value_form(node, shape)

    def _key_form(self, node: SinkNode, shape: _Shape) -> tuple[Any, ...]:
        if shape.key is not None:
            return "register", shape.key, written_as(node.key, node.name)
        if shape.windowed:
            if not isinstance(node.key, TimeWindowedSerde) or node.key.inner is not self._source.key:
                raise NotColumnarError(f"{node.name} writes keys with a window as {serde_name(node.key)}")
            return ("window",)
        if node.key is not self._source.key and node.key is not primitive.BY_TYPE:
            raise NotColumnarError(f"{node.name} writes keys otherwise than {self._source.name} reads them")
        return ("record",)

    def _value_form(self, node: SinkNode, shape: _Shape) -> tuple[Any, ...]:
        if isinstance(shape.value, int):
            return "register", shape.value, written_as(node.value, node.name)
        as_json = is_json(node.value) or node.value is primitive.BY_TYPE
        if shape.value is not None:
            if not as_json:
                raise NotColumnarError(f"{node.name} writes objects as {serde_name(node.value)}")
            encoded = {name: name for name in shape.value}
            if shape.kind is not dict and all(shape.kind is not one.kind for one in self._aggregates.values()):
                fields = written_fields(inspect.type_info(shape.kind), f"the values of {node.name}")
                encoded = {field.name: field.encoded for field in fields}
            return "object", _parts(encoded, shape.value), False
        if isinstance(self._value, str):
            if node.value is not self._source.value and node.value is not primitive.BY_TYPE:
                raise NotColumnarError(f"{node.name} writes values otherwise than {self._source.name} reads them")
            return ("record",)
        if not as_json:
            raise NotColumnarError(f"{node.name} writes objects as {serde_name(node.value)}")
        return self._whole_form(node)

    def _whole_form(self, node: SinkNode) -> tuple[Any, ...]:
        told = inspect.type_info(json_kind(self._source.value))
        if is_any_object(told):
            return ("again",)
        if self._whole is None:
            raise NotColumnarError(f"{node.name} writes a {name_of(told)} as it was read, whose fields have any order")
        fields = written_fields(told, f"the values of {self._source.name}")
        return "object", _parts({field.name: field.encoded for field in fields}, self._fields), True


def _parts(encoded: Mapping[str, str], registers: Mapping[str, int]) -> list[tuple[bytes, int]]:
    """What stands before each field of an object, and its register."""
    return [(encode_json(name) + b":", registers[field]) for field, name in encoded.items()]


def _names_in(node: Node) -> Iterable[str]:
    """Every name of a field in the expressions of a node."""
    if not isinstance(node, ProcessorNode):
        return
    operator: Any = node.operator
    if isinstance(operator, StreamTableJoin) and operator.tree is not None:
        yield from names_of_record(operator.tree)
    callbacks = [getattr(operator, "predicate", None), getattr(operator, "mapper", None)]
    if isinstance(operator, Branch):
        callbacks += [predicate for predicate, _, _ in operator.branches]
    if isinstance(operator, StreamAggregate | TimeWindowAggregate):
        known = trees_of(operator.aggregator)
        for tree in () if known is None else known[1].values():
            yield from names_of(tree)
    for callback in callbacks:
        if isinstance(callback, Expression):
            yield from names_of(callback.tree)


def _is_other(one: Node, node: Node) -> TypeGuard[ProcessorNode]:
    return isinstance(one, ProcessorNode) and one is not node


def _not_null(aggregate: ColumnAggregate, shape: _Shape) -> tuple[Any, ...]:
    """What drops a record when it is null: in windows a null value counts like any other."""
    return ("key",) if aggregate.windows is not None else _null_rule(shape)


def _null_rule(shape: _Shape) -> tuple[Any, ...]:
    """What drops a record when its value is null, which an object never is."""
    if isinstance(shape.value, Mapping):
        return ("key",)
    return ("value",) if shape.value is None else ("register", shape.value)
