"""Joins with tables in columns give what the functions of a task give: outputs, stores, drops, failures.

Both live through the same: records of the stream and rows of the table in any order of time, rows that are deleted,
commits, stops and crashes. Rows are looked up again when they may have changed, and only then.
"""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.streams.lives import LARGE, Life, lives
from tests.property.streams.test_columns import Made, Struct, called, combined, constants, encoded, fitting, headers
from tests.record_batches import batch

from moldau._core import LookupTable, RecordBlock
from moldau.client.fetching import Fetched
from moldau.streams import (
    BufferConfig,
    StreamsBuilder,
    Suppressed,
    TimeWindows,
    Topology,
    col,
    count,
    left,
    make,
    right,
)
from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.columns import compile_columns
from moldau.streams.runtime import stream_task
from moldau.streams.state import open_in_memory

keys = st.sampled_from([b"a", b"b", "é".encode(), b"a", b"b", b"a"]) | st.none() | st.just(b"\xff")
usual = fitting.map(lambda value: json.dumps(value).encode())
values = st.one_of(usual, usual, usual, encoded(), st.none())
times = st.integers(0, 20)
records = st.lists(st.tuples(times, keys, values, st.just([]) | headers), max_size=10)
plain_rows = st.none() | st.sampled_from([b"x", b"Ada", "Řeka".encode(), b"\xff", b"12345678", b"\x00" * 8])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), records, records),
        st.tuples(st.just("take"), records, records),
        st.tuples(st.just("take"), records, records),
        st.just(("commit",)),
        st.just(("ask",)),
        st.just(("stop",)),
        st.just(("crash",)),
    ),
    min_size=1,
    max_size=8,
)


def joiners(row: Any) -> Any:
    """Expressions over a record and a row, of which these fields are known."""
    leaves = st.sampled_from([left.a, left.b, left.c, left.d.x, *row, *row]) | constants
    of_two = st.sampled_from(["==", "<", "+", "-", "*", "/", "and", "or"])
    functions = st.sampled_from(["is_null", "lower", "abs", "len", "round"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(combined, of_two, inner, inner)
            | st.builds(called, functions, inner)
            | st.builds(called, st.just("is_in"), inner, st.lists(constants, max_size=3))
        ),
        max_leaves=4,
    )


objects = joiners([right.a, right.b, right.c, right.d, right.d.x, right.a.is_null(), right.d.x.is_null()])
plains = joiners([right, right.is_null()])


TOPICS = ("in", "rows")


def joins(topology: Topology, history: list[Any], *, run_min: int = 1, **how: Any) -> Life:
    """Both, where runs of a stream between rows go through columns from so many records on."""
    with patch.object(stream_task, "RUN_MIN", run_min):
        return lives(topology, history, topics=TOPICS, **how)


def joined(of_stream: Any, of_row: Any, joiner: Any, *, is_left: bool, between: str = "nothing") -> Any:
    """A builder, and the stream behind the join."""
    builder = StreamsBuilder()
    table = builder.table("rows", key=str, value=of_row)
    if between == "filter":
        table = table.filter(lambda row: row is not None and row != "x")
    elif between == "map_values":
        table = table.map_values(lambda row: row, value=of_row)
    stream = builder.stream("in", key=str, value=of_stream)
    return builder, (stream.left_join if is_left else stream.join)(table, joiner)


LIMITS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
betweens = st.sampled_from(["nothing", "nothing", "filter", "map_values"])


@LIMITS
@given(
    st.sampled_from([dict, Struct]),
    st.sampled_from([dict, Struct]),
    st.tuples(objects, objects),
    st.booleans(),
    betweens,
    steps,
    st.sampled_from([1, 1, 2, 4]),
    st.booleans(),
)
def test_records_and_rows_of_objects(
    kind: Any, row: Any, parts: Any, is_left: bool, between: str, history: Any, run_min: int, on_disk: bool
):
    one, other = parts
    builder, stream = joined(kind, row, make(dict, one=one, other=other, n=1), is_left=is_left, between=between)
    stream.to("out", value=dict)
    joins(builder.build(), history, run_min=run_min, on_disk=on_disk)


@LIMITS
@given(
    st.sampled_from([str, int, float]),
    plains.filter(lambda one: hasattr(one, "tree")),
    st.booleans(),
    betweens,
    st.lists(st.tuples(records, st.lists(st.tuples(times, keys, plain_rows), max_size=8)), min_size=1, max_size=4),
)
def test_rows_may_be_plain_values(row: Any, joiner: Any, is_left: bool, between: str, history: Any):
    builder, stream = joined(dict, row, joiner, is_left=is_left, between=between)
    stream.to("out", value=dict)
    joins(builder.build(), [("take", *step) for step in history])


@LIMITS
@given(objects, steps, st.sampled_from([0, LARGE]), st.booleans())
def test_what_is_before_and_behind_a_join(part: Any, history: Any, cache_bytes: int, on_disk: bool):
    builder = StreamsBuilder()
    table = builder.table("rows", key=str, value=dict, store="kept")
    table.to_stream().to("rows-again", value=dict)
    stream = builder.stream("in", key=str, value=dict).filter(col.a > -3)
    both = stream.join(table, make(Made, one=left.b, two=part))
    both.filter(col.two.is_not_null()).to("some")
    both.group_by_key(value=Made).agg(n=count(), total=col.one.sum(), mean=col.one.mean(), store="sums").to("sums")
    stream.map_values(make(dict, c=col.c)).left_join(table, make(dict, c=left.c, a=right.a)).to("more", value=dict)
    joins(builder.build(), history, cache_bytes=cache_bytes, on_disk=on_disk)


def orders(number: int, *, since: int = 0) -> list[Any]:
    value = b'{"a":1,"b":2.5,"c":"x","d":{"x":7}}'
    return [(since + one, b"k%d" % (one % 7), value, []) for one in range(number)]


def rows(number: int, moment: int, name: str) -> list[Any]:
    return [(moment, b"k%d" % one, json.dumps({"c": name, "d": {"x": one}}).encode(), []) for one in range(number)]


@pytest.mark.parametrize("cache_bytes", [0, LARGE])
def test_usual_records_are_not_taken_one_by_one(cache_bytes: int):
    joiner = make(Made, one=left.c.upper(), two=right.d.x + left.d.x)
    builder, stream = joined(dict, dict, joiner, is_left=False)
    stream.to("out")
    history = [
        ("take", orders(200, since=10), rows(7, 0, "before")),
        ("take", orders(200, since=300), rows(3, 400, "between")),
        ("commit",),
        ("take", orders(20, since=600), []),
    ]
    life = joins(builder.build(), history, cache_bytes=cache_bytes, on_disk=True)
    assert life.columnar == 420
    assert len(life.out) == 420
    assert life.out[0][2] == b'{"one":"X","to":7,"three":3}'


def test_few_records_between_two_rows_are_taken_by_functions():
    builder, stream = joined(dict, dict, make(dict, c=right.c), is_left=True)
    stream.to("out", value=dict)
    in_turns = [(moment, b"k1", json.dumps({"c": str(moment)}).encode(), []) for moment in range(0, 91, 3)]
    life = joins(builder.build(), [("take", orders(100), in_turns)], run_min=stream_task.RUN_MIN)
    # Behind the last row there is nothing to wait for.
    assert life.columnar == 10


def test_a_row_is_looked_up_once_until_it_changes():
    builder, stream = joined(dict, dict, make(dict, c=right.c), is_left=False)
    stream.to("out", value=dict)
    asked: list[str] = []
    in_memory = open_in_memory

    def open_noted(spec: Any, context: Any) -> Any:
        store: Any = in_memory(spec, context)
        get = store.get
        store.get = lambda key: (asked.append(key), get(key))[1]
        return store

    with patch.object(stream_task, "RUN_MIN", 1), patch("tests.property.streams.lives.open_in_memory", open_noted):
        life = Life(builder.build(), topics=TOPICS, columns=True, kept_max=100)
        life.take(orders(100, since=10), rows(7, 0, "one"))
        life.take(orders(100, since=200), [])
        assert sorted(asked) == sorted([f"k{number}" for number in range(7)])
        life.take(orders(14, since=400), rows(1, 300, "two"))
        assert asked[7:] == ["k0"]
    life.task.close()


def why_not(builder: StreamsBuilder, part: int = 0) -> str:
    with pytest.raises(NotColumnarError) as caught:
        compile_columns(builder.build().sub_topologies()[part].nodes)
    return str(caught.value)


def test_what_is_not_for_columns_says_so():
    builder, stream = joined(dict, dict, lambda one, other: one, is_left=False)
    stream.to("out", value=dict)
    assert "joins with a function of yours" in why_not(builder)
    builder, stream = joined(dict, dict, make(dict, all=left, c=right.c), is_left=False)
    stream.to("out", value=dict)
    assert "takes the value of its records as a whole" in why_not(builder)

    builder = StreamsBuilder()
    table, stream = builder.table("rows", key=bytes, value=dict), builder.stream("in", key=str, value=dict)
    stream.join(table, make(dict, c=right.c)).to("out", value=dict)
    assert "looks up keys otherwise than they are read" in why_not(builder)

    builder = StreamsBuilder()
    table, stream = builder.table("rows", value=dict), builder.stream("in", value=dict)
    table.to_stream().merge(stream.join(table, make(dict, c=right.c))).to("out", value=dict)
    assert "is behind" in why_not(builder)

    builder = StreamsBuilder()
    counts = builder.stream("rows", value=dict).group_by_key().count()
    builder.stream("in", value=dict).join(counts, make(dict, n=right)).to("out", value=dict)
    assert "reads several topics" in why_not(builder)

    builder = StreamsBuilder()
    some_time = Suppressed.until_time_limit(10, BufferConfig.unbounded())
    held = builder.table("rows", value=dict).suppress(some_time).to_stream().to_table(store="held")
    builder.stream("in", value=dict).join(held, make(dict, c=right.c)).to("out", value=dict)
    assert "not read from a topic as it is" in why_not(builder)

    builder = StreamsBuilder()
    names = builder.global_table("rows", value=dict)
    builder.stream("in", value=dict).join(names, col.c, make(dict, c=right.c)).to("out", value=dict)
    assert "looks up a key that was computed" in why_not(builder, part=1)


def test_what_waits_for_a_table_is_counted_so_that_no_more_of_it_is_fetched():
    builder, stream = joined(dict, dict, make(dict, c=right.c), is_left=False)
    stream.to("out", value=dict)
    life = Life(builder.build(), topics=TOPICS, columns=True)
    block = RecordBlock(batch(0, orders(100)), 0, None)
    life.task.take(Fetched("in", 0, block, 10, 100, 100, at_end=True))
    assert life.task.process(0) == 0
    assert life.task.inputs["in"].waiting == life.task.buffered == 90
    life.task.take(Fetched("rows", 0, None, 0, 0, 0, at_end=True))
    assert life.task.process(0) == 90
    assert life.task.buffered == 0
    life.task.close()


def test_a_stream_that_is_aggregated_in_windows_is_joined_before():
    builder, stream = joined(dict, dict, make(dict, a=left.a, c=right.c), is_left=False)
    grid = TimeWindows.of_size_with_no_grace(10)
    stream.group_by_key(value=dict).windowed_by(grid).agg(n=count(), c=col.c.max(), store="windows").to("out")
    history = [("take", orders(100), rows(7, 0, "one")), ("take", orders(20, since=200), rows(7, 205, "two"))]
    assert joins(builder.build(), history).columnar == 120


@pytest.mark.parametrize("cache_bytes", [0, LARGE])
def test_nothing_of_a_closed_task_is_kept(cache_bytes: int, tmp_path: Path):
    builder, stream = joined(dict, dict, make(dict, c=right.c), is_left=True)
    stream.to("out", value=dict)
    life = Life(builder.build(), topics=TOPICS, columns=True, cache_bytes=cache_bytes, folder=tmp_path)
    life.take(orders(20), rows(7, 0, "one"))
    life.commit()
    life.task.close()
    closed = weakref.ref(life.task)
    del life
    gc.collect()
    assert closed() is None


def test_a_run_has_the_tables_that_its_program_joins_with():
    builder, stream = joined(dict, dict, make(dict, c=right.c), is_left=False)
    stream.to("out", value=dict)
    program = compile_columns(builder.build().sub_topologies()[0].nodes).program
    block = RecordBlock(batch(0, orders(3)), 0, None)
    with pytest.raises(ValueError, match="1 lookups was given 0"):
        program.run(block, 0, 3)

    def fail(key: bytes | None) -> None:
        raise OSError("the disk is gone")

    # An error of the store is left to the functions.
    assert program.run(block, 0, 3, lookups=[LookupTable(fail, 10)]).stop == 0
