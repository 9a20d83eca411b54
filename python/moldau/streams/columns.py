"""The second executor of expressions: sub-topologies that are made of nothing else, compiled for `moldau._core`.

What is compiled takes records from the bytes that were fetched to the bytes that go out, without an object per record:
filters, new keys, new values, branches, aggregates, sinks; keys, and values as JSON, text or bytes. A sub-topology with
anything else in it is left to the functions of `task`, and so is each single record that is unusual: there an error is
raised and a handler is asked. So both executors give the same, byte for byte.

Behind an aggregate there are two cases. Where every update goes on, what comes behind it is compiled like the rest.
With a record cache only the last update of a group goes on, at a commit: that is left to the functions, whatever they
are.

A program has registers: the fields of a value, then what expressions have computed. The shape of a value says at each
node what stands for it: the record's own value, one register, or an object of several.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, TypeGuard

import msgspec
from msgspec import inspect

from moldau._core import ColumnProgram
from moldau.streams.column_aggregates import ColumnAggregate, NotColumnarError, aggregated, trees_of
from moldau.streams.expressions import Expression, Tree
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
from moldau.streams.operators.tables import RegroupTable, TableFilter, TableMapValues, ToStream
from moldau.streams.operators.time_windows import TimeWindowAggregate
from moldau.streams.serdes import Serde, primitive
from moldau.streams.serdes.structured import encode_json
from moldau.streams.serdes.windowed import TimeWindowedSerde
from moldau.streams.topology.nodes import Node, ProcessorNode, SinkNode, SourceNode

_OPERATORS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "and", "or", "not"})
_SAID: Final = {"part": "a field of a field"}

NODES_MAX: Final = 1000
"""A node is compiled once per way that leads to it."""

_PLAIN: Final[tuple[tuple[type, str], ...]] = (
    (inspect.AnyType, "any"),
    (inspect.BoolType, "bool"),
    (inspect.IntType, "int"),
    (inspect.FloatType, "float"),
    (inspect.StrType, "text"),
)
_ANY_OBJECT: Final = tuple(inspect.DictType(key, inspect.AnyType()) for key in (inspect.AnyType(), inspect.StrType()))
_KEYS: Final = {id(primitive.STRING): "text", id(primitive.BYTES): "bytes", id(primitive.LONG): "long"}
_WRITTEN: Final = {
    id(primitive.STRING): "text",
    id(primitive.LONG): "long",
    id(primitive.DOUBLE): "double",
    id(primitive.BY_TYPE): "type",
}
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
    """A compiled sub-topology: `topics` has the topic of each output, by the topology's name.

    Of each aggregate a task brings a table to the program, in their order.
    """

    program: ColumnProgram
    topics: tuple[str, ...]
    aggregates: tuple[ColumnAggregate, ...] = ()


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a type: as Python calls it, as JSON does, and what the program is told of it."""

    name: str
    encoded: str
    spec: tuple[str, str, bool, tuple[Any, ...]]


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
        sources = [node for node in nodes if isinstance(node, SourceNode)]
        if len(sources) != 1 or len(sources[0].topics) != 1 or sources[0].pattern is not None:
            raise NotColumnarError("it reads several topics, whose records are taken in the order of their times")
        (self._source,) = sources
        self._children: dict[str, list[Node]] = {node.name: [] for node in nodes}
        for node in nodes:
            for parent in () if isinstance(node, SourceNode) else node.parents:
                self._children[parent].append(node)
        self._key = self._key_kind()
        self._whole: tuple[_Field, ...] | None = None
        """Of a value that is an object all fields, if they are known."""
        self._fields: dict[str, int] = {}
        """Per name of a field its register."""
        self._value = self._value_kind(nodes)
        self._registers = len(self._value) if isinstance(self._value, list) else 0
        self._steps: list[tuple[Any, ...] | None] = []
        self._outputs: dict[str, int] = {}
        self._nodes = nodes
        self._caches = caches
        self._aggregates: dict[str, ColumnAggregate] = {}
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
        )
        return Columns(program, tuple(self._outputs), tuple(self._aggregates.values()))

    def _key_kind(self) -> str:
        source = self._source
        if source.timestamp_extractor is not None:
            raise NotColumnarError(f"{source.name} has a timestamp extractor")
        kind = _KEYS.get(id(source.key))
        if kind is None:
            raise NotColumnarError(f"the keys of {source.name} are {_serde_name(source.key)}, not text, bytes or int")
        return kind

    def _value_kind(self, nodes: list[Node]) -> str | list[tuple[str, str, bool, tuple[Any, ...]]]:
        serde = self._source.value
        if serde is primitive.STRING:
            return "text"
        if serde is primitive.BYTES:
            return "bytes"
        kind = _json_kind(serde)
        if kind is None:
            raise NotColumnarError(f"the values of {self._source.name} are {_serde_name(serde)}, not plain JSON")
        told = inspect.type_info(kind)
        if _is_any_object(told):
            names = list(dict.fromkeys(name for node in nodes for name in _names_in(node)))
            fields = [_Field(name, name, (name, "any", True, ("missing",))) for name in names]
        else:
            fields = _fields_of(told, f"the values of {self._source.name}")
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
        raise NotColumnarError(f"{node.name} is a {type(operator).__name__}")

    def _branch(self, operator: Branch, shape: _Shape, node: ProcessorNode) -> tuple[Any, ...]:
        children = {child.name: child for child in self._children[node.name]}
        branches = [
            (self._expression(predicate, shape, node), self._step(children[name], shape))
            for predicate, _, name in operator.branches
        ]
        default = None if operator.default is None else self._step(children[operator.default], shape)
        return "branch", branches, default

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
            trees = _completed(trees, kind, node.name)
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
        what = tree[0]
        if what == "field":
            return "register", self._field(tree[1], shape, node)
        if what == "constant":
            return "constant", _constant(tree[1], node.name)
        if what == "make":
            raise NotColumnarError(f"{node.name} makes an object inside of an expression")
        if what not in _OPERATORS:
            raise NotColumnarError(f"{node.name} has an expression with {_SAID.get(what, what)}")
        return what, *(self._tree(part, shape, node) for part in tree[1:])

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
            return "register", shape.key, _written(node.key, node.name)
        if shape.windowed:
            if not isinstance(node.key, TimeWindowedSerde) or node.key.inner is not self._source.key:
                raise NotColumnarError(f"{node.name} writes keys with a window as {_serde_name(node.key)}")
            return ("window",)
        if node.key is not self._source.key and node.key is not primitive.BY_TYPE:
            raise NotColumnarError(f"{node.name} writes keys otherwise than {self._source.name} reads them")
        return ("record",)

    def _value_form(self, node: SinkNode, shape: _Shape) -> tuple[Any, ...]:
        if isinstance(shape.value, int):
            return "register", shape.value, _written(node.value, node.name)
        as_json = _is_json(node.value) or node.value is primitive.BY_TYPE
        if shape.value is not None:
            if not as_json:
                raise NotColumnarError(f"{node.name} writes objects as {_serde_name(node.value)}")
            encoded = {name: name for name in shape.value}
            if shape.kind is not dict and all(shape.kind is not one.kind for one in self._aggregates.values()):
                fields = _written_fields(inspect.type_info(shape.kind), f"the values of {node.name}")
                encoded = {field.name: field.encoded for field in fields}
            return "object", _parts(encoded, shape.value), False
        if isinstance(self._value, str):
            if node.value is not self._source.value and node.value is not primitive.BY_TYPE:
                raise NotColumnarError(f"{node.name} writes values otherwise than {self._source.name} reads them")
            return ("record",)
        if not as_json:
            raise NotColumnarError(f"{node.name} writes objects as {_serde_name(node.value)}")
        return self._whole_form(node)

    def _whole_form(self, node: SinkNode) -> tuple[Any, ...]:
        told = inspect.type_info(_json_kind(self._source.value))
        if _is_any_object(told):
            return ("again",)
        if self._whole is None:
            raise NotColumnarError(f"{node.name} writes a {_name_of(told)} as it was read, whose fields have any order")
        fields = _written_fields(told, f"the values of {self._source.name}")
        return "object", _parts({field.name: field.encoded for field in fields}, self._fields), True


def _parts(encoded: Mapping[str, str], registers: Mapping[str, int]) -> list[tuple[bytes, int]]:
    """What stands before each field of an object, and its register."""
    return [(encode_json(name) + b":", registers[field]) for field, name in encoded.items()]


def _names_in(node: Node) -> Iterable[str]:
    """Every name of a field in the expressions of a node."""
    if not isinstance(node, ProcessorNode):
        return
    operator: Any = node.operator
    callbacks = [getattr(operator, "predicate", None), getattr(operator, "mapper", None)]
    if isinstance(operator, Branch):
        callbacks += [predicate for predicate, _, _ in operator.branches]
    if isinstance(operator, StreamAggregate | TimeWindowAggregate):
        known = trees_of(operator.aggregator)
        for tree in () if known is None else known[1].values():
            yield from _names_of(tree)
    for callback in callbacks:
        if isinstance(callback, Expression):
            yield from _names_of(callback.tree)


def _is_other(one: Node, node: Node) -> TypeGuard[ProcessorNode]:
    return isinstance(one, ProcessorNode) and one is not node


def _not_null(aggregate: ColumnAggregate, shape: _Shape) -> tuple[Any, ...]:
    """What drops a record when it is null: in windows a null value counts like any other."""
    if aggregate.windows is not None or isinstance(shape.value, Mapping):
        return ("key",)
    return ("value",) if shape.value is None else ("register", shape.value)


def _names_of(tree: Tree) -> Iterable[str]:
    if tree[0] == "field":
        yield tree[1]
    elif tree[0] == "part":
        yield from _names_of(tree[1])
    elif tree[0] == "make":
        for _, part in tree[2]:
            yield from _names_of(part)
    elif tree[0] != "constant":
        for part in tree[1:]:
            yield from _names_of(part)


def _serde_name(serde: Serde[Any] | None) -> str:
    return "of no known type" if serde is None else serde.name


def _name_of(told: Any) -> str:
    kind = getattr(told, "cls", None)
    return type(told).__name__.removesuffix("Type") if kind is None else str(kind.__name__)


def _json_kind(serde: Serde[Any] | None) -> Any:
    """The type that a serde reads JSON as, None if it does not, or with hooks of somebody's own."""
    decoder = getattr(getattr(serde, "deserialize", None), "__self__", None)
    if type(serde) is not Serde or not isinstance(decoder, msgspec.json.Decoder):
        return None
    plain = decoder.strict and decoder.dec_hook is None and decoder.float_hook is None
    return decoder.type if plain else None


def _is_json(serde: Serde[Any] | None) -> bool:
    return type(serde) is Serde and serde.serialize is encode_json


def _is_any_object(told: Any) -> bool:
    return isinstance(told, inspect.AnyType) or told in _ANY_OBJECT


def _fields_of(told: Any, place: str) -> list[_Field]:
    """The fields of a type whose values are JSON objects, each of one plain type."""
    if not isinstance(told, (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)):
        raise NotColumnarError(f"{place} are {_name_of(told)}, not objects with fields")
    kind: Any = told.cls
    if isinstance(told, inspect.StructType) and (told.array_like or told.forbid_unknown_fields or told.tag is not None):
        raise NotColumnarError(f"{place}: {kind.__name__} has a form of its own (array, tag or forbidden fields)")
    if hasattr(kind, "__post_init__"):
        raise NotColumnarError(f"{place}: {kind.__name__} has a __post_init__")
    return [_field_of(field, f"{place}: {kind.__name__}.{field.name}", told) for field in told.fields]


def _field_of(field: inspect.Field, place: str, told: Any) -> _Field:
    plain, nullable = field.type, False
    if isinstance(plain, inspect.UnionType) and plain.includes_none and len(plain.types) == 2:
        (plain,) = [one for one in plain.types if not isinstance(one, inspect.NoneType)]
        nullable = True
    name = next((name for kind, name in _PLAIN if type(plain) is kind and plain == kind()), None)
    if name is None:
        raise NotColumnarError(f"{place} is no plain text, number, bool or Any")
    if field.required:
        absent: tuple[Any, ...] = ("required",)
    elif isinstance(told, inspect.TypedDictType):
        absent = ("missing",)
    elif field.default is not msgspec.NODEFAULT:
        absent = "default", _constant(field.default, place)
    else:
        raise NotColumnarError(f"{place} has a default that is made for each value")
    return _Field(field.name, field.encode_name, (field.encode_name, name, nullable, absent))


def _written_fields(told: Any, place: str) -> list[_Field]:
    """The fields of a type as they are written, in their order."""
    if isinstance(told, inspect.StructType) and told.cls.__struct_config__.omit_defaults:
        raise NotColumnarError(f"{place}: {told.cls.__name__} leaves defaults out")
    return _fields_of(told, place)


def _completed(trees: dict[str, Tree], kind: Any, node: str) -> dict[str, Tree]:
    """What an object is made of, with its defaults."""
    told = inspect.type_info(kind) if isinstance(kind, type) else None
    if not isinstance(told, (inspect.StructType, inspect.DataclassType)):
        raise NotColumnarError(f"{node} makes a {kind}, which is no dict, dataclass or Struct")
    fields = _written_fields(told, f"the values of {node}")
    defaults = {field.name: field.spec[3] for field in fields if field.spec[3][0] == "default"}
    names = [field.name for field in fields]
    if {*signature(kind).parameters} != {*names} or {*trees, *defaults} != {*names}:
        raise NotColumnarError(f"{node} makes a {kind.__name__} of other fields than it has")
    return {name: trees.get(name) or ("constant", defaults[name][1]) for name in names}


def _constant(value: Any, place: str) -> Any:
    if value is None or type(value) in {bool, float, str}:
        return value
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return value
    raise NotColumnarError(f"{place} has the constant {value!r}, which is no plain text, number of 64 bits or bool")


def _written(serde: Serde[Any] | None, node: str) -> str:
    """How a register is written."""
    kind = "json" if _is_json(serde) else _WRITTEN.get(id(serde))
    if kind is None:
        raise NotColumnarError(f"{node} writes {_serde_name(serde)}, not JSON, text or a number of 8 bytes")
    return kind
