"""The topologies of the scenarios with versioned tables, by name; `Topologies.java` has them in Java."""

from __future__ import annotations

from typing import Any

from tests.unit.streams.topologies import Make, adding_to, both, first, minus, stored, text

from moldau.streams import Joined, Materialized, StreamsBuilder

MADE: dict[str, Make] = {}
topology = adding_to(MADE)

WAITING = Joined.with_(str, str, str, "waiting", 10)


def kept(store: str, history: int = 1000) -> Materialized[Any, Any]:
    return stored(store).with_history_retention(history)


def versioned(b: StreamsBuilder, topic: str, store: str, history: int = 1000) -> Any:
    return b.table(topic, value=str, materialized=kept(store, history))


@topology
def versioned_table(b: StreamsBuilder) -> None:
    versioned(b, "in", "history").to_stream().to("out")


@topology
def versioned_table_short(b: StreamsBuilder) -> None:
    versioned(b, "in", "history", 20).to_stream().to("out")


@topology
def versioned_filter(b: StreamsBuilder) -> None:
    versioned(b, "in", "history").filter(lambda v: v.startswith("a")).to_stream().to("out")


@topology
def versioned_filter_stored(b: StreamsBuilder) -> None:
    versioned(b, "in", "history").filter(lambda v: v.startswith("a"), kept("kept")).to_stream().to("out")


@topology
def versioned_map_values(b: StreamsBuilder) -> None:
    versioned(b, "in", "history").map_values(lambda v: v + "!", kept("mapped")).to_stream().to("out")


@topology
def versioned_aggregate(b: StreamsBuilder) -> None:
    sums = text(b, "in").group_by_key().aggregate(lambda: "0", lambda v, a: both(a, v), kept("sums"))
    sums.to_stream().to("out")


@topology
def versioned_reduce(b: StreamsBuilder) -> None:
    text(b, "in").group_by_key().reduce(both, kept("sums")).to_stream().to("out")


@topology
def versioned_group_by(b: StreamsBuilder) -> None:
    versioned(b, "in", "history").group_by(first, value=str).reduce(both, minus).to_stream().to("out")


@topology
def versioned_table_join(b: StreamsBuilder) -> None:
    versioned(b, "left", "one").join(versioned(b, "right", "other"), both).to_stream().to("out")


@topology
def versioned_table_left(b: StreamsBuilder) -> None:
    versioned(b, "left", "one").left_join(versioned(b, "right", "other"), both).to_stream().to("out")


@topology
def versioned_table_outer(b: StreamsBuilder) -> None:
    versioned(b, "left", "one").outer_join(versioned(b, "right", "other", 20), both).to_stream().to("out")


@topology
def stream_versioned(b: StreamsBuilder) -> None:
    text(b, "left").join(versioned(b, "right", "history"), both).to("out")


@topology
def stream_versioned_left(b: StreamsBuilder) -> None:
    text(b, "left").left_join(versioned(b, "right", "history"), both).to("out")


@topology
def stream_versioned_short(b: StreamsBuilder) -> None:
    text(b, "left").left_join(versioned(b, "right", "history", 20), both).to("out")


@topology
def stream_versioned_filtered(b: StreamsBuilder) -> None:
    left = text(b, "left")
    table = versioned(b, "right", "history").filter(lambda v: v.startswith("a")).map_values(lambda v: v + "!")
    left.join(table, both).to("out")


@topology
def stream_versioned_grace(b: StreamsBuilder) -> None:
    text(b, "left").left_join(versioned(b, "right", "history"), both, WAITING).to("out")


@topology
def stream_versioned_grace_inner(b: StreamsBuilder) -> None:
    text(b, "left").join(versioned(b, "right", "history"), both, WAITING).to("out")
