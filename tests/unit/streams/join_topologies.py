"""The topologies of the scenarios that join, by name; `Topologies.java` has them in Java."""

from __future__ import annotations

from typing import Any

from tests.unit.streams.topologies import Make, adding_to, both, stored, text

from moldau.streams import Joined, JoinWindows, StreamJoined, StreamsBuilder

MADE: dict[str, Make] = {}
topology = adding_to(MADE)

# Joins of streams.

NEAR = JoinWindows.of_time_difference_with_no_grace(10)
NEAR_LATE = JoinWindows.of_time_difference_and_grace(10, 20)
AFTER = JoinWindows.of_time_difference_and_grace(0, 20).after(10)
BEFORE = JoinWindows.of_time_difference_and_grace(0, 20).before(10)


@topology
def stream_stream(b: StreamsBuilder) -> None:
    text(b, "left").join(text(b, "right"), both, NEAR).to("out")


@topology
def stream_stream_late(b: StreamsBuilder) -> None:
    text(b, "left").join(text(b, "right"), both, NEAR_LATE).to("out")


@topology
def stream_stream_left(b: StreamsBuilder) -> None:
    text(b, "left").left_join(text(b, "right"), both, NEAR).to("out")


@topology
def stream_stream_left_late(b: StreamsBuilder) -> None:
    text(b, "left").left_join(text(b, "right"), both, NEAR_LATE).to("out")


@topology
def stream_stream_outer(b: StreamsBuilder) -> None:
    text(b, "left").outer_join(text(b, "right"), both, NEAR).to("out")


@topology
def stream_stream_outer_late(b: StreamsBuilder) -> None:
    text(b, "left").outer_join(text(b, "right"), lambda k, one, other: both(one, other), NEAR_LATE).to("out")


@topology
def stream_stream_after(b: StreamsBuilder) -> None:
    text(b, "left").join(text(b, "right"), both, AFTER).to("out")


@topology
def stream_stream_before(b: StreamsBuilder) -> None:
    text(b, "left").join(text(b, "right"), both, BEFORE).to("out")


@topology
def stream_stream_outer_after(b: StreamsBuilder) -> None:
    text(b, "left").outer_join(text(b, "right"), both, AFTER).to("out")


@topology
def stream_stream_left_before(b: StreamsBuilder) -> None:
    text(b, "left").left_join(text(b, "right"), both, BEFORE).to("out")


@topology
def stream_stream_self(b: StreamsBuilder) -> None:
    one = text(b, "in")
    one.join(one, both, NEAR_LATE).to("out")


@topology
def stream_stream_rekeyed(b: StreamsBuilder) -> None:
    left, right = text(b, "left").select_key(lambda v: v), text(b, "right").select_key(lambda v: v)
    left.join(right, both, NEAR).to("out")


@topology
def stream_stream_rekeyed_left(b: StreamsBuilder) -> None:
    text(b, "left").select_key(lambda v: v).left_join(text(b, "right"), both, NEAR).to("out")


@topology
def stream_stream_named(b: StreamsBuilder) -> None:
    left, right = text(b, "left").select_key(lambda v: v), text(b, "right").select_key(lambda v: v)
    left.outer_join(right, both, NEAR, StreamJoined.as_("meeting").with_name("met")).to("out")


# Joins with tables.


def rows(b: StreamsBuilder, topic: str) -> Any:
    return b.table(topic, value=str)


@topology
def stream_table(b: StreamsBuilder) -> None:
    text(b, "left").join(rows(b, "right"), both).to("out")


@topology
def stream_table_left(b: StreamsBuilder) -> None:
    text(b, "left").left_join(rows(b, "right"), lambda k, v, row: both(v, row)).to("out")


@topology
def stream_table_rekeyed(b: StreamsBuilder) -> None:
    text(b, "left").select_key(lambda v: v).join(rows(b, "right"), both).to("out")


@topology
def stream_table_rekeyed_named(b: StreamsBuilder) -> None:
    text(b, "left").select_key(lambda v: v).left_join(rows(b, "right"), both, Joined.as_("enriched")).to("out")


@topology
def stream_table_filtered(b: StreamsBuilder) -> None:
    left = text(b, "left")
    table = rows(b, "right").filter(lambda v: v.startswith("a")).map_values(lambda v: v + "!")
    left.join(table, both).to("out")


def initial(value: str) -> str | None:
    return value[:1] or None


@topology
def stream_global(b: StreamsBuilder) -> None:
    table = b.global_table("right", value=str)
    text(b, "left").join(table, initial, both).to("out")


@topology
def stream_global_left(b: StreamsBuilder) -> None:
    table = b.global_table("right", value=str, store="everywhere")
    text(b, "left").left_join(table, lambda k, v: initial(v), both).to("out")


@topology
def table_table(b: StreamsBuilder) -> None:
    rows(b, "left").join(rows(b, "right"), both).to_stream().to("out")


@topology
def table_table_left(b: StreamsBuilder) -> None:
    rows(b, "left").left_join(rows(b, "right"), both).to_stream().to("out")


@topology
def table_table_outer(b: StreamsBuilder) -> None:
    rows(b, "left").outer_join(rows(b, "right"), both).to_stream().to("out")


@topology
def table_table_stored(b: StreamsBuilder) -> None:
    rows(b, "left").outer_join(rows(b, "right"), both, stored("joined")).to_stream().to("out")


@topology
def table_table_named(b: StreamsBuilder) -> None:
    rows(b, "left").join(rows(b, "right"), both, name="met").to_stream().to("out")


@topology
def table_table_group_by(b: StreamsBuilder) -> None:
    joined = rows(b, "left").join(rows(b, "right"), both)
    joined.group_by(lambda k, v: (v, k), value=str).count().to_stream().to("out")


@topology
def table_table_filtered(b: StreamsBuilder) -> None:
    left = rows(b, "left").filter(lambda v: v.startswith("a"))
    left.left_join(rows(b, "right"), both).to_stream().to("out")
