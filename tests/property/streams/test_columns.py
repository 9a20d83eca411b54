"""Columns give what the functions of a task give: outputs, times, headers, failures, for any records and topologies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.record_batches import batch

from moldau._core import RecordBlock
from moldau.client.fetching import Fetched
from moldau.streams import StreamsBuilder, col, make
from moldau.streams.columns import compile_columns
from moldau.streams.runtime.exception_handlers import Response
from moldau.streams.runtime.layout import LayoutOptions, TaskId, lay_out
from moldau.streams.runtime.stream_task import StreamTask, TaskParts
from moldau.streams.state import open_in_memory

NAMES = ["a", "b", "c", "d"]


class Struct(msgspec.Struct, frozen=True):
    """Fields of every plain type."""

    a: int
    b: float
    c: str | None = None
    d: Any = True


@dataclass
class Data:
    """The same with names of its own order."""

    d: Any
    c: str
    b: float | None = 2.5
    a: int = -1


class Typed(TypedDict):
    """A dict that is checked."""

    a: int
    b: NotRequired[float]
    c: str
    d: NotRequired[Any]


class Made(msgspec.Struct, rename={"two": "to"}):
    """What goes out."""

    one: Any
    two: Any = None
    three: int = 3


TYPES: list[Any] = [dict, dict[str, Any], Any, Struct, Data, Typed]

texts = st.text(max_size=6) | st.sampled_from(["", "x", "COMPLETED", 'q"\\/\n\t\x1f\x7f', "é\u2028😀"])
numbers = (
    st.integers(-5, 5)
    | st.sampled_from([2**53 - 1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e16, 1e-5, 9.99e-6, 1e22, 123456789012345680.0])
)
plain = st.none() | st.booleans() | numbers | texts
nested = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
fitting = st.fixed_dictionaries(
    {"a": st.integers(-5, 5), "b": st.floats(-10, 10) | st.integers(-5, 5), "c": texts}, optional={"d": nested}
)
objects = st.dictionaries(st.sampled_from([*NAMES, "e"]), nested | plain, max_size=5) | fitting


@st.composite
def encoded(draw: st.DrawFn) -> bytes:
    """JSON in any of the ways to write it, or nearly."""
    value = draw(objects if draw(st.integers(0, 3)) == 0 else fitting)
    escaped, spaces = draw(st.booleans()), draw(st.sampled_from([None, (", ", ": "), (",", ":"), (" ,\n", "\t:\r")]))
    text = json.dumps(value, ensure_ascii=escaped, separators=spaces)
    if draw(st.integers(0, 14)) == 0:
        text = draw(
            st.sampled_from(
                [
                    text[:-1],
                    text + "}",
                    f" {text}\n",
                    "[1]",
                    "null",
                    "",
                    '{"a":1,"a":2,"b":1,"c":"x"}',
                    '{"\\u0061":1,"b":1.0,"c":"x"}',
                    '{"a":01}',
                    '{"a":1.}',
                    '{"a":1e999,"b":1,"c":""}',
                    '{"a":-0,"b":-0.0,"c":"\\ud83d\\ude00"}',
                    '{"a":1,"b":1E+2,"c":"\\ud800"}',
                    '{"a":1.0,"b":7,"c":"\\u0041\\/"}',
                    '{"a":5,"b":12345678901234567890,"c":null}',
                ]
            )
        )
    return text.encode("utf-8", "surrogatepass")


keys = st.none() | st.sampled_from([b"k", "é".encode(), b"", b"12345678"]) | st.just(b"\xff")
headers = st.lists(st.tuples(st.sampled_from(["h", "i"]), st.none() | st.binary(max_size=3)), max_size=2)
values = st.none() | encoded() | encoded() | encoded()
records = st.lists(st.tuples(st.integers(0, 10_000), keys, values, st.just([]) | headers), min_size=1, max_size=12)


def combined(operator: str, one: Any, other: Any) -> Any:
    if not hasattr(one, "tree"):
        one, other = other, one
    if not hasattr(one, "tree"):
        return one
    return one._with(operator, other)


def called(name: str, one: Any, *arguments: Any) -> Any:
    if not hasattr(one, "tree"):
        return one
    if name in {"starts_with", "ends_with"}:
        (text,) = arguments
        arguments = (text if hasattr(text, "tree") or isinstance(text, str) else "x",)
    return getattr(one, name)(*arguments)


def part_of(one: Any, name: str) -> Any:
    return one[name] if hasattr(one, "tree") else one


constants = plain.filter(lambda value: not isinstance(value, int) or abs(value) < 2**63)
fields = st.sampled_from(NAMES).map(lambda name: col[name])
leaves = fields | st.sampled_from([col.d.x, col.d.x.COMPLETED, col.c.x]) | constants
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(
            combined,
            st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "//", "%", "and", "or"]),
            inner,
            inner,
        )
        | inner.map(lambda one: ~one if hasattr(one, "tree") else one)
        | st.builds(called, st.sampled_from(["abs", "round", "lower", "upper", "len", "is_null", "is_not_null"]), inner)
        | st.builds(called, st.just("round"), inner, st.integers(0, 15))
        | st.builds(called, st.sampled_from(["starts_with", "ends_with", "contains"]), inner, inner)
        | st.builds(called, st.just("between"), inner, inner, inner)
        | st.builds(called, st.just("is_in"), inner, st.lists(constants, max_size=4))
        | st.builds(part_of, inner, st.sampled_from(["x", "COMPLETED"]))
    ),
    max_leaves=4,
).filter(lambda one: hasattr(one, "tree"))


steps = st.one_of(
    st.tuples(st.just("filter"), expressions),
    st.tuples(st.just("filter_not"), expressions),
    st.tuples(st.just("select_key"), expressions),
    st.tuples(st.just("dict"), expressions, expressions),
    st.tuples(st.just("made"), expressions, expressions),
    st.tuples(st.just("two"), expressions),
)


def apply(stream: Any, step: tuple[Any, ...]) -> Any:
    what, *parts = step
    if what == "dict":
        return stream.map_values(make(dict, a=parts[0], d=parts[1], c="constant", b=1.5))
    if what == "made":
        return stream.map_values(make(Made, two=parts[0], one=parts[1])).map_values(
            make(dict, a=col.three, b=col.two, c=col.one, d=None)
        )
    if what == "two":
        return stream.filter(parts[0]).merge(stream.filter_not(parts[0]))
    return getattr(stream, what)(parts[0])


class Outcome:
    """All that a task did."""

    def __init__(self, topology: Any, data: bytes, columns: Any) -> None:
        self.out: list[Any] = []
        self.failures: list[Any] = []
        layout = lay_out(topology, {"in": 1}, LayoutOptions("app"))
        parts = TaskParts(
            topology,
            "app",
            lambda: 0,
            open_in_memory,
            lambda topic, key, value, timestamp, headers, *_: self.out.append(
                (topic, key, value, timestamp, list(headers))
            ),
            self.failed,
            self.failed,
            self.failed,
            lambda failure: None,
            0,
            columns=columns,
        )
        task = StreamTask(TaskId(0, 0), layout.sub_topologies[0], parts)
        block = RecordBlock(data, 0, None)
        task.take(Fetched("in", 0, block, 0, len(block), block.next_offset, at_end=True))
        self.done = task.process(0)
        self.positions = task.positions()
        self.stream_time = task.context.stream_time
        self.skipped = task.skipped
        self.columnar = task.columnar

    def failed(self, failure: Any) -> Response:
        self.failures.append((type(failure.error), str(failure.error), failure.offset, failure.key, failure.value))
        return Response.CONTINUE

    @property
    def told(self) -> tuple[Any, ...]:
        # There is no order between topics.
        out = sorted(self.out, key=lambda record: record[0])
        return out, self.failures, self.done, self.positions, self.stream_time, self.skipped


def topology_of(kind: Any, chain: list[tuple[Any, ...]], key: Any = str, value: Any = dict) -> Any:
    builder = StreamsBuilder()
    stream = builder.stream("in", key=key, value=kind)
    for step in chain:
        stream = apply(stream, step)
    rekeyed = any(step[0] == "select_key" for step in chain)
    stream.to("out", key=str if rekeyed else key, value=value)
    return builder.build()


def both(topology: Any, given_records: list[Any]) -> Outcome:
    columns = compile_columns(topology.sub_topologies()[0].nodes)
    data = batch(0, given_records)
    one, other = Outcome(topology, data, None), Outcome(topology, data, columns)
    assert other.told == one.told
    return other


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TYPES), st.lists(steps, max_size=3), records)
def test_any_topology_of_expressions_gives_the_same(kind: Any, chain: list[Any], given_records: list[Any]):
    if kind is Typed and not any(step[0] in {"dict", "made"} for step in chain):
        chain = [*chain, ("dict", col.a, col.c)]
    both(topology_of(kind, chain), given_records)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([dict, Struct]), records)
@example(dict, [(1, b"k", b'{"a":1.5e-7,"b":[{"x":[]}],"c":"\\u00e9"}', [])])
def test_what_passes_is_written_as_it_would_be_after_it_was_read(kind: Any, given_records: list[Any]):
    both(topology_of(kind, []), given_records)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expressions, st.sampled_from([str, int, float, dict]), st.sampled_from([str, int, float, dict]), records)
def test_keys_and_values_that_are_computed_are_written_by_any_serde(
    expression: Any, key: Any, value: Any, given_records: list[Any]
):
    builder = StreamsBuilder()
    stream = builder.stream("in", key=str, value=dict)
    stream.select_key(expression).map_values(expression).to("out", key=key, value=value)
    both(builder.build(), given_records)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expressions, expressions, records)
def test_a_record_takes_the_first_branch_that_is_true(one: Any, other: Any, given_records: list[Any]):
    builder = StreamsBuilder()
    branches = builder.stream("in", key=str, value=dict).split().branch(one).branch(other).default_branch()
    for number, branch in enumerate(branches.values()):
        # Two of them write to one topic.
        branch.to(f"out-{number % 2}", key=str, value=dict)
    both(builder.build(), given_records)


def computed(expressions: dict[str, Any], given_records: list[Any]) -> Outcome:
    builder = StreamsBuilder()
    builder.stream("in", key=str, value=dict).map_values(make(dict, **expressions)).to("out", value=dict)
    return both(builder.build(), given_records)


@settings(max_examples=300, deadline=None)
@given(numbers, numbers, st.integers(0, 15))
def test_numbers_are_computed_as_in_python(one: Any, other: Any, digits: int):
    signs = {"sum": col.a + col.b, "times": col.a * col.b, "less": col.a - col.b, "abs": col.a.abs()}
    rounded = {"rounded": col.a.round(), "to": col.a.round(digits)}
    record = [(0, b"k", json.dumps({"a": one, "b": other}).encode(), [])]
    for expressions in (signs, rounded, {"over": col.a / col.b}, {"floor": col.a // col.b, "rest": col.a % col.b}):
        computed(expressions, record)


LETTERS = [chr(code) for low, high in [(0x20, 0x180), (0x400, 0x460), (0x2010, 0x2028)] for code in range(low, high)]


def test_letters_have_the_case_that_they_have_in_python():
    texts_of_them = ["".join(LETTERS), *LETTERS, "€ 漢字 🌍"]
    given_records = [(0, b"k", json.dumps({"a": text}).encode(), []) for text in texts_of_them]
    # A surrogate pair in an escape is unusual by itself.
    given_records[-1] = (0, b"k", json.dumps({"a": texts_of_them[-1]}, ensure_ascii=False).encode(), [])
    outcome = computed({"lower": col.a.lower(), "upper": col.a.upper(), "n": col.a.len()}, given_records)
    assert outcome.columnar == len(given_records)


@settings(max_examples=100, deadline=None)
@given(st.text() | texts)
def test_texts_are_looked_through_as_in_python(text: str):
    value = json.dumps({"a": text, "b": text[1:2]}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    cased = {"lower": col.a.lower(), "upper": col.a.upper(), "n": col.a.len()}
    within = {"in": col.a.contains(col.b), "begins": col.a.starts_with(col.b), "ends": col.a.ends_with(col.b)}
    computed(cased | within, [(0, b"k", value, [])])


def test_what_is_absent_is_null_in_both():
    values = [{}, {"a": None}, {"a": 1}, {"d": {}}, {"d": {"x": None}}, {"d": {"x": 1}}, {"d": None}]
    given_records = [(0, b"k", json.dumps(value).encode(), []) for value in values]
    given_records.insert(3, (0, b"k", None, []))
    outcome = computed({"a": col.a.is_null(), "x": col.d.x.is_null(), "is": col.a.is_not_null()}, given_records)
    assert outcome.columnar == len(given_records)
    assert not outcome.failures


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([str, bytes]), st.sampled_from([str, bytes, int]), records)
def test_bytes_and_text_pass_as_they_are(value: Any, key: Any, given_records: list[Any]):
    both(topology_of(value, [], key, value), given_records)


@pytest.mark.parametrize("kind", [dict, Struct])
def test_usual_records_are_not_taken_one_by_one(kind: Any):
    usual = [
        (number, b"k", json.dumps({"a": number, "b": number / 2, "c": "text", "d": [number]}).encode())
        for number in range(100)
    ]
    chain = [("filter", col.a > 10), ("dict", col.b * 1.2, col.c)]
    assert both(topology_of(kind, chain), usual).columnar == 100


def test_fields_of_fields_functions_and_constants_are_columns_too():
    usual = [
        (number, b"k", json.dumps({"a": number, "c": "Text", "d": {"x": number % 3, "y": {"z": [1]}}}).encode(), [])
        for number in range(100)
    ]
    builder = StreamsBuilder()
    stream = builder.stream("in", key=str, value=dict)
    stream = stream.filter(col.d.x.is_in([1, 2]) & (col.a % 2 == 0) & col.c.lower().starts_with("te"))
    stream.map_values(make(dict, z=col.d.y, half=(col.a / 3).round(2), n=col.d.y.z.is_null())).to("out", value=dict)
    outcome = both(builder.build(), usual)
    assert outcome.columnar == 100
    assert outcome.out[0][2] == b'{"z":{"z":[1]},"half":0.67,"n":false}'
