"""The topologies of the scenarios, by name; tests/conformance/clients/java/streams/Topologies.java has them in Java."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moldau.streams import (
    Branched,
    Consumed,
    EmitStrategy,
    Grouped,
    KTable,
    Materialized,
    Named,
    Produced,
    Repartitioned,
    SessionWindows,
    SlidingWindows,
    StreamsBuilder,
    TimeWindows,
    UnlimitedWindows,
)
from moldau.streams.serdes import Serdes, session_windowed_serde, time_windowed_serde

Make = Callable[[StreamsBuilder], Any]
MADE: dict[str, Make] = {}
"""The topologies of this module by name; `every_topology.py` has them with those of the others."""
TUMBLING = TimeWindows.of_size_with_no_grace(10)
LATE = TimeWindows.of_size_and_grace(10, 5)
HOPPING = LATE.advance_by(4)


def adding_to(made: dict[str, Make]) -> Callable[[Make], Make]:
    """The decorator of one module's topologies."""

    def topology(make: Make) -> Make:
        made[make.__name__] = make
        return make

    return topology


topology = adding_to(MADE)


def text(builder: StreamsBuilder, topic: str) -> Any:
    return builder.stream(topic, key=str, value=str)


def both(one: str | None, other: str | None) -> str:
    return f"{_java(one)}+{_java(other)}"


def minus(one: str, other: str) -> str:
    return f"{one}-{other}"


def _java(value: str | None) -> str:
    return "null" if value is None else value


def out(table: KTable[Any, Any], value: Any) -> None:
    table.to_stream(lambda window, _: f"{window.key}@{window.start}-{window.end}").to("out", key=str, value=value)


def stored(name: str) -> Materialized[Any, Any]:
    return Materialized.as_(name).with_key_serde(str).with_value_serde(str)


# Stateless.


@topology
def filter(b: StreamsBuilder) -> None:
    text(b, "in").filter(lambda v: v is not None and v.startswith("a")).to("out")


@topology
def filter_not(b: StreamsBuilder) -> None:
    text(b, "in").filter_not(lambda k, v: v is not None and v.startswith("a")).to("out")


@topology
def map(b: StreamsBuilder) -> None:
    text(b, "in").map(lambda k, v: (v, k)).to("out")


@topology
def map_values(b: StreamsBuilder) -> None:
    text(b, "in").map_values(lambda v: v + "!").to("out")


@topology
def map_values_with_key(b: StreamsBuilder) -> None:
    text(b, "in").map_values(lambda k, v: _java(k) + _java(v)).to("out")


@topology
def flat_map(b: StreamsBuilder) -> None:
    text(b, "in").flat_map(lambda k, v: [(v, k), (k, v)]).to("out")


@topology
def flat_map_values(b: StreamsBuilder) -> None:
    text(b, "in").flat_map_values(str.split).to("out")


@topology
def select_key(b: StreamsBuilder) -> None:
    text(b, "in").select_key(lambda v: v).to("out")


@topology
def peek_and_for_each(b: StreamsBuilder) -> None:
    text(b, "in").peek(lambda v: None).for_each(lambda k, v: None)


@topology
def merge(b: StreamsBuilder) -> None:
    text(b, "left").merge(text(b, "right")).to("out")


@topology
def split(b: StreamsBuilder) -> None:
    branches = (
        text(b, "in").split().branch(lambda v: v.startswith("a")).branch(lambda v: v.startswith("b")).default_branch()
    )
    branches["1"].to("a")
    branches["2"].to("b")
    branches["0"].to("others")


@topology
def split_named(b: StreamsBuilder) -> None:
    branches = (
        text(b, "in")
        .split(Named.as_("split-"))
        .branch(lambda v: v.startswith("a"), Branched.as_("a"))
        .branch(lambda k, v: v.startswith("b"), "b")
        .no_default_branch()
    )
    branches["split-a"].to("a")
    branches.b.to("b")


@topology
def named(b: StreamsBuilder) -> None:
    source = b.stream("in", Consumed.with_(str, str).with_name("source"))
    kept = source.filter(lambda v: True, Named.as_("kept")).map_values(lambda v: v, "mapped")
    kept.select_key(lambda v: v, name="keyed").to("out", Produced.as_("sink"))


@topology
def two_topics(b: StreamsBuilder) -> None:
    b.stream(["left", "right"], key=str, value=str).to("out")


@topology
def one_source_twice(b: StreamsBuilder) -> None:
    text(b, "in").map_values(lambda v: _java(v) + "1").to("one")
    text(b, "in").map_values(lambda v: _java(v) + "2").to("two")


@topology
def repartition(b: StreamsBuilder) -> None:
    text(b, "in").repartition().to("out")


@topology
def repartition_named(b: StreamsBuilder) -> None:
    rekeyed = text(b, "in").select_key(lambda v: v)
    rekeyed.repartition(Repartitioned.as_("again").with_number_of_partitions(3)).to("out")


@topology
def back_in(b: StreamsBuilder) -> None:
    text(b, "in").filter(lambda v: len(v) < 3).map_values(lambda v: v + "x").to("in")
    text(b, "in").to("out")


# Grouped.


@topology
def count(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().count().to_stream().to("out")


@topology
def count_stored(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().count(Materialized.as_("counts")).to_stream().to("out")


@topology
def count_named(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().count(name="counter").to_stream().to("out")


@topology
def reduce(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().reduce(both).to_stream().to("out")


@topology
def aggregate(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().aggregate(lambda: "0", lambda k, v, a: both(a, v), store="all").to_stream().to("out")


@topology
def group_by(b: StreamsBuilder) -> None:
    text(b, "in").group_by(lambda v: v).count().to_stream().to("out")


@topology
def group_by_null(b: StreamsBuilder) -> None:
    text(b, "in").group_by(lambda v: v or None).count().to_stream().to("out")


@topology
def group_by_named(b: StreamsBuilder) -> None:
    text(b, "in").group_by(lambda v: v, Grouped.as_("by-value")).count(store="counts").to_stream().to("out")


@topology
def two_aggregates(b: StreamsBuilder) -> None:
    grouped = text(b, "in").select_key(lambda v: v).group_by_key()
    grouped.count().to_stream().to("counts")
    grouped.reduce(both).to_stream().to("out")


@topology
def two_aggregates_named(b: StreamsBuilder) -> None:
    grouped = text(b, "in").select_key(lambda v: v).group_by_key(Grouped.as_("mine"))
    grouped.count().to_stream().to("counts")
    grouped.reduce(both).to_stream().to("out")


@topology
def count_filtered(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().count().filter(lambda v: v % 2 == 0).to_stream().to("out")


@topology
def count_of_counts(b: StreamsBuilder) -> None:
    counts = text(b, "in").group_by_key().count()
    counts.group_by(lambda k, v: (f"n{v}", k), Grouped.with_(str, str)).reduce(both, minus).to_stream().to("out")


# Windows of a grid.


@topology
def tumbling(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(TUMBLING).count(), int)


@topology
def tumbling_stored(b: StreamsBuilder) -> None:
    windows = text(b, "in").group_by_key().windowed_by(TUMBLING)
    out(windows.aggregate(lambda: "0", lambda v, a: both(a, v), stored("hours")), str)


@topology
def tumbling_grace(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(LATE).count(), int)


@topology
def tumbling_retention(b: StreamsBuilder) -> None:
    windows = text(b, "in").group_by_key().windowed_by(LATE)
    out(windows.reduce(both, stored("kept").with_retention(100)), str)


@topology
def hopping(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(HOPPING).reduce(both), str)


@topology
def unlimited(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(UnlimitedWindows.of().start_on(5)).count(), int)


@topology
def tumbling_rekeyed(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by(lambda v: v).windowed_by(TUMBLING).count(), int)


@topology
def tumbling_close(b: StreamsBuilder) -> None:
    windows = text(b, "in").group_by_key().windowed_by(LATE).emit_strategy(EmitStrategy.on_window_close())
    out(windows.reduce(both), str)


@topology
def hopping_close(b: StreamsBuilder) -> None:
    windows = text(b, "in").group_by_key().windowed_by(HOPPING).emit_strategy(EmitStrategy.on_window_close())
    out(windows.reduce(both), str)


@topology
def tumbling_key_bytes(b: StreamsBuilder) -> None:
    counts = text(b, "in").group_by_key().windowed_by(TUMBLING).count()
    counts.to_stream().to("out", Produced.with_(time_windowed_serde(Serdes.String(), 10), Serdes.Long()))


@topology
def tumbling_regrouped(b: StreamsBuilder) -> None:
    counts = text(b, "in").group_by_key().windowed_by(TUMBLING).count()
    by_window = counts.group_by(lambda w, v: (f"w{w.start}", w.key), Grouped.with_(str, str))
    by_window.reduce(both, minus).to_stream().to("out")


# Tables.


@topology
def table_group_by_count(b: StreamsBuilder) -> None:
    b.table("in", value=str).group_by(lambda k, v: (v, k), value=str).count().to_stream().to("out")


@topology
def to_table(b: StreamsBuilder) -> None:
    text(b, "in").to_table().to_stream().to("out")


@topology
def to_table_rekeyed(b: StreamsBuilder) -> None:
    text(b, "in").select_key(lambda v: v).to_table(stored("kept")).to_stream().to("out")


@topology
def table(b: StreamsBuilder) -> None:
    b.table("in", value=str).to_stream().to("out")


@topology
def table_stored(b: StreamsBuilder) -> None:
    b.table("in", value=str, store="rows").to_stream().to("out")


@topology
def table_named(b: StreamsBuilder) -> None:
    b.table("in", Consumed.with_(str, str).with_name("rows")).to_stream(name="facts").to("out")


@topology
def table_filter(b: StreamsBuilder) -> None:
    b.table("in", value=str).filter(lambda v: v.startswith("a")).to_stream().to("out")


@topology
def table_filter_stored(b: StreamsBuilder) -> None:
    b.table("in", value=str).filter(lambda v: v.startswith("a"), stored("kept")).to_stream().to("out")


@topology
def table_filter_not(b: StreamsBuilder) -> None:
    b.table("in", value=str, store="rows").filter_not(lambda k, v: v.startswith("a")).to_stream().to("out")


@topology
def table_map_values(b: StreamsBuilder) -> None:
    b.table("in", value=str).map_values(lambda v: v + "!").to_stream().to("out")


@topology
def table_map_values_stored(b: StreamsBuilder) -> None:
    b.table("in", value=str).map_values(lambda k, v: k + v, stored("mapped")).to_stream().to("out")


def first(key: str, value: str) -> tuple[str, str]:
    return value[:1], value


@topology
def table_group_by_reduce(b: StreamsBuilder) -> None:
    b.table("in", value=str).group_by(first, value=str).reduce(both, minus).to_stream().to("out")


@topology
def table_group_by_aggregate(b: StreamsBuilder) -> None:
    groups = b.table("in", value=str).group_by(first, Grouped.as_("first"), value=str)
    added, taken = (lambda v, a: both(a, v)), (lambda k, v, a: minus(a, v))
    groups.aggregate(lambda: "0", added, taken, stored("groups")).to_stream().to("out")


@topology
def table_filter_group_by(b: StreamsBuilder) -> None:
    kept = b.table("in", value=str).filter(lambda v: len(v) > 1).map_values(str.upper)
    kept.group_by(first, value=str).reduce(both, minus).to_stream().to("out")


@topology
def table_filter_sends_old(b: StreamsBuilder) -> None:
    kept = b.table("in", value=str).filter(lambda v: v.startswith("a"), stored("kept"))
    kept.group_by(lambda k, v: (v, k), value=str).count().to_stream().to("out")


# Sessions and sliding windows.

SESSION = SessionWindows.of_inactivity_gap_with_no_grace(10)
LATE_SESSION = SessionWindows.of_inactivity_gap_and_grace(10, 15)


def merged(one: str, other: str) -> str:
    return f"({one}|{other})"


@topology
def session(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(SESSION).count(), int)


@topology
def session_grace(b: StreamsBuilder) -> None:
    out(text(b, "in").group_by_key().windowed_by(LATE_SESSION).reduce(both), str)


@topology
def session_aggregate(b: StreamsBuilder) -> None:
    sessions = text(b, "in").group_by_key().windowed_by(LATE_SESSION)
    out(sessions.aggregate(lambda: "0", lambda v, a: both(a, v), merged, store="sessions"), str)


@topology
def session_close(b: StreamsBuilder) -> None:
    sessions = text(b, "in").group_by_key().windowed_by(LATE_SESSION).emit_strategy(EmitStrategy.on_window_close())
    out(sessions.reduce(both), str)


@topology
def session_key_bytes(b: StreamsBuilder) -> None:
    counts = text(b, "in").group_by_key().windowed_by(SESSION).count()
    counts.to_stream().to("out", Produced.with_(session_windowed_serde(Serdes.String()), Serdes.Long()))


@topology
def sliding(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_with_no_grace(10)
    out(text(b, "in").group_by_key().windowed_by(windows).reduce(both), str)


@topology
def sliding_grace(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_and_grace(10, 50)
    out(text(b, "in").group_by_key().windowed_by(windows).reduce(both), str)


@topology
def sliding_count(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_and_grace(10, 50)
    out(text(b, "in").group_by_key().windowed_by(windows).count(), int)


@topology
def sliding_close(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_and_grace("10ms", "5ms")
    closing = text(b, "in").group_by_key().windowed_by(windows).emit_strategy(EmitStrategy.on_window_close())
    out(closing.reduce(both), str)
