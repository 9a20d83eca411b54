"""Aggregates in columns give what the functions of a task give, to the byte: outputs, changelogs, stores, drops.

Both live through the same: records in any order of time, commits, stops and crashes, questions from outside. With a
record cache they say the same once per commit; with one that is too small they end the same.
"""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.streams.lives import LARGE, Life, lives
from tests.property.streams.test_columns import Struct, encoded, expressions, fitting, headers
from tests.record_batches import batch

from moldau._core import AggregateTable, ColumnProgram, RecordBlock
from moldau.streams import BufferConfig, Materialized, StreamsBuilder, Suppressed, TimeWindows, col, count, make
from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.columns import compile_columns

STORE = "store"

keys = st.sampled_from([b"a", b"b", "é".encode(), b"", b"a", b"b"]) | st.none() | st.just(b"\xff")
usual = fitting.map(lambda value: json.dumps(value).encode())
values = st.one_of(usual, usual, usual, usual, encoded(), st.none())
records = st.lists(
    st.tuples(st.integers(0, 10_000), keys, values, st.one_of(st.just([]), st.just([]), headers)),
    min_size=1,
    max_size=10,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), records),
        st.tuples(st.just("take"), records),
        st.tuples(st.just("take"), records),
        st.just(("commit",)),
        st.just(("ask",)),
        st.just(("stop",)),
        st.just(("crash",)),
    ),
    min_size=1,
    max_size=8,
)
numbers = st.sampled_from([col.a, col.b, col.a + col.b, col.b * 2, col.a / 2])
anything = st.one_of(numbers, st.sampled_from([col.c, col.d]), expressions)
aggregations = st.one_of(
    st.builds(count),
    numbers.map(lambda one: one.sum()),
    numbers.map(lambda one: one.sum()),
    numbers.map(lambda one: one.mean()),
    anything.map(lambda one: one.sum()),
    anything.map(lambda one: one.mean()),
    anything.map(lambda one: one.min()),
    anything.map(lambda one: one.max()),
)
windows = st.one_of(
    st.none(),
    st.builds(TimeWindows.of_size_and_grace, st.just(1000), st.sampled_from([0, 500, 5000])),
    st.builds(
        lambda size, advance, grace: TimeWindows.of_size_and_grace(size, grace).advance_by(advance),
        st.just(1000),
        st.sampled_from([1000, 500, 300]),
        st.sampled_from([0, 700]),
    ),
)


def grouped(kind: Any, grid: TimeWindows | None, *, filtered: bool = False, in_memory: bool = False) -> Any:
    builder = StreamsBuilder()
    stream = builder.stream("in", key=str, value=kind)
    if filtered:
        stream = stream.filter(col.a > -3)
    group = stream.group_by_key()
    return builder, group if grid is None else group.windowed_by(grid)


LIMITS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LIMITS
@given(
    st.sampled_from([dict, Struct]),
    st.booleans(),
    windows,
    st.dictionaries(st.sampled_from(["n", "s", "x"]), aggregations, min_size=1),
    steps,
    st.sampled_from([0, LARGE]),
    st.booleans(),
)
def test_aggregates_of_expressions_are_the_same(
    kind: Any, filtered: bool, grid: Any, parts: Any, history: Any, cache_bytes: int, on_disk: bool
):
    builder, group = grouped(kind, grid, filtered=filtered)
    group.agg(store=STORE, **parts).to("out")
    lives(builder.build(), history, cache_bytes=cache_bytes, on_disk=on_disk)


@LIMITS
@given(
    st.sampled_from([str, bytes, int]), st.sampled_from([str, bytes, dict]), windows, steps, st.sampled_from([0, LARGE])
)
def test_counts_are_the_same_for_any_keys_and_values(key: Any, value: Any, grid: Any, history: Any, cache_bytes: int):
    builder = StreamsBuilder()
    group = builder.stream("in", key=key, value=value).group_by_key()
    counted = (group if grid is None else group.windowed_by(grid)).count(Materialized.as_(STORE))
    counted.to_stream().to("out", value=int)
    lives(builder.build(), history, cache_bytes=cache_bytes, on_disk=False)


@LIMITS
@given(windows, steps)
def test_what_comes_behind_may_be_expressions_too(grid: Any, history: Any):
    builder, group = grouped(dict, grid)
    table = group.agg(store=STORE, n=count(), total=col.b.sum())
    table.map_values(make(dict, mean=col.total / col.n)).to("means", value=dict)
    table.to_stream().filter(col.n > 1).to("twice")
    lives(builder.build(), history, cache_bytes=0, on_disk=False)


@LIMITS
@given(windows, steps, st.booleans())
def test_behind_a_cache_there_may_be_any_function(grid: Any, history: Any, on_disk: bool):
    builder, group = grouped(dict, grid)
    table = group.agg(store=STORE, n=count(), total=col.b.sum())
    table.filter(lambda value: value.n % 2 == 1).map_values(lambda value: {"n": value.n}, value=dict).to("odd")
    if grid is not None:
        table.suppress(Suppressed.until_window_closes(BufferConfig.unbounded())).to("closed")
    lives(builder.build(), history, cache_bytes=LARGE, on_disk=on_disk)


@LIMITS
@given(windows, steps, st.integers(1, 2000), st.booleans())
def test_a_cache_that_is_too_small_changes_nothing_of_what_is_last(
    grid: Any, history: Any, cache_bytes: int, on_disk: bool
):
    builder, group = grouped(dict, grid)
    group.agg(store=STORE, n=count(), least=col.a.min()).to("out")
    # What has left a full cache before a crash is one thing in columns and another in functions; it is done again.
    history = [("stop",) if step == ("crash",) else step for step in history]
    lives(builder.build(), history, cache_bytes=cache_bytes, on_disk=on_disk, exactly=False)


@LIMITS
@given(steps, st.sampled_from([0, LARGE]))
def test_several_aggregates_and_sinks_of_one_stream(history: Any, cache_bytes: int):
    builder = StreamsBuilder()
    stream = builder.stream("in", key=str, value=dict)
    group = stream.filter(col.b > 0).group_by_key()
    group.agg(store=STORE, n=count(), total=col.b.sum()).to("totals")
    group.windowed_by(TimeWindows.of_size_with_no_grace(1000)).agg(store="other", greatest=col.c.max()).to("greatest")
    stream.filter_not(col.b > 0).to("rest", value=dict)
    lives(builder.build(), history, cache_bytes=cache_bytes, on_disk=False)


def orders(count: int) -> list[Any]:
    value = b'{"a":1,"b":2.5,"c":"x"}'
    return [(number, b"k%d" % (number % 7), value, []) for number in range(count)]


@pytest.mark.parametrize("cache_bytes", [0, LARGE])
def test_usual_records_are_not_taken_one_by_one(cache_bytes: int):
    builder, group = grouped(dict, TimeWindows.of_size_with_no_grace(1000))
    group.agg(store=STORE, n=count(), total=col.b.sum()).to("out")
    history = [("take", orders(200)), ("ask",), ("take", orders(50)), ("commit",), ("take", orders(10))]
    assert lives(builder.build(), history, cache_bytes=cache_bytes, on_disk=True).columnar == 260


def test_a_cache_that_fills_up_is_emptied_where_it_would_be_without_columns():
    builder, group = grouped(dict, None)
    group.agg(store=STORE, n=count()).to("out")
    # 300 bytes around each of the updates, a key of two and a value of seven: the third is one too many.
    lives(builder.build(), [("take", orders(20))], cache_bytes=700, on_disk=False)


def why_not(topology: Any, *, caches: bool = False) -> str:
    with pytest.raises(NotColumnarError) as caught:
        compile_columns(topology.sub_topologies()[0].nodes, caches=caches)
    return str(caught.value)


def test_what_is_not_for_columns_says_so():
    builder, group = grouped(dict, TimeWindows.of_size_with_no_grace(1000))
    group.agg(store=STORE, n=count()).late().to("late")
    assert "late records" in why_not(builder.build())
    builder, group = grouped(dict, None)
    group.aggregate(lambda: 0, lambda value, held: held + 1, store=STORE).to("out", value=int)
    assert "a function of yours" in why_not(builder.build())
    builder, group = grouped(dict, None)
    group.agg(store=STORE, n=count()).filter(lambda value: value.n > 1).to("out")
    assert "what was there before" in why_not(builder.build())


@pytest.mark.parametrize("first", ["records", "updates"])
def test_records_and_what_leaves_a_cache_are_not_aggregated_together_in_columns(first: str):
    builder = StreamsBuilder()
    stream = builder.stream("in", key=str, value=str)
    counts = stream.group_by_key().count(Materialized.as_(STORE)).to_stream()
    both = stream.merge(counts) if first == "records" else counts.merge(stream)
    both.group_by_key().count(Materialized.as_("both")).to_stream().to("out", value=int)
    assert "the cache of another aggregate" in why_not(builder.build(), caches=True)


@pytest.mark.parametrize("grid", [None, TimeWindows.of_size_with_no_grace(1000)])
def test_what_an_aggregate_tells_is_not_aggregated_in_columns(grid: Any):
    builder, group = grouped(dict, None)
    again = group.agg(store=STORE, n=count()).to_stream().filter(col.n > 1).group_by_key()
    (again if grid is None else again.windowed_by(grid)).count(Materialized.as_("again")).to_stream().to("out")
    # An update has the greatest time of its group, which is not that of the record.
    assert "what another aggregate tells" in why_not(builder.build())
    compile_columns(builder.build().sub_topologies()[0].nodes, caches=True)


def test_a_cache_may_hold_more_than_was_reckoned():
    builder, group = grouped(dict, None)
    group.agg(store=STORE, greatest=col.c.max()).to("out")
    long = [(0, b"k%d" % number, json.dumps({"c": "x" * 1000}).encode(), []) for number in range(20)]
    lives(builder.build(), [("take", long), ("take", long)], cache_bytes=4000, on_disk=False, exactly=False)


def test_who_asks_does_not_send_on_what_a_cache_holds():
    def fail(value: Any) -> bool:
        raise ValueError("for the thread of the task")

    builder, group = grouped(dict, None)
    group.agg(store=STORE, greatest=col.c.max()).to_stream().filter(fail).to("out")
    long = [(0, b"k%d" % number, json.dumps({"c": "x" * 1000}).encode(), []) for number in range(3)]
    life = Life(builder.build(), columns=True, cache_bytes=2000)
    life.take(long)
    assert (len(life.ask()[STORE]), life.failures) == (3, [])
    # The next record finds no room, and makes some.
    life.take(long[:1])
    assert [failure[2] for failure in life.failures] == [1, 2, 3]
    life.commit()
    assert len(life.failures) == 3
    life.task.close()


@pytest.mark.parametrize("grid", [None, TimeWindows.of_size_with_no_grace(1000)])
@pytest.mark.parametrize("cache_bytes", [0, LARGE])
def test_nothing_of_a_closed_task_is_kept(grid: Any, cache_bytes: int, tmp_path: Path):
    builder, group = grouped(dict, grid)
    group.agg(store=STORE, n=count()).to("out")
    life = Life(builder.build(), columns=True, cache_bytes=cache_bytes, folder=tmp_path)
    life.take(orders(20))
    life.commit()
    life.task.close()
    closed = weakref.ref(life.task)
    del life
    gc.collect()
    assert closed() is None


def program(*, parts: Any = (("count",),), windows: Any = None, tables: int = 1) -> ColumnProgram:
    step = "aggregate", 0, windows, list(parts), ("key",), None, []
    return ColumnProgram("bytes", "bytes", 0, [step], [0], 0, tables)


def test_a_program_that_cannot_be_is_refused():
    for given_program in (
        {"parts": [("median",)]},
        {"parts": [("sum", ("register", 7))]},
        {"windows": (0, 1, 0)},
        {"windows": (10, 11, 0)},
        {"windows": (10, 5, -1)},
        {"tables": 0},
    ):
        with pytest.raises(ValueError, match=r"no |are none"):
            program(**given_program)
    block = RecordBlock(batch(0, [(1, b"k", b"v")]), 0, None)
    with pytest.raises(ValueError, match="1 tables was given 0"):
        program().run(block, 0, 1)


def test_an_error_of_the_store_is_left_to_the_functions():
    def load(key: bytes, start: int) -> None:
        raise OSError("the disk is gone")

    block = RecordBlock(batch(0, [(1, b"k", b"v")]), 0, None)
    assert program().run(block, 0, 1, [AggregateTable(load, None, None, 10, 0, 0)]).stop == 0
