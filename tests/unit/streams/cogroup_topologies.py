"""The topologies of the scenarios that cogroup, by name; `Topologies.java` has them in Java."""

from __future__ import annotations

from typing import Any

from tests.unit.streams.topologies import SESSION, TUMBLING, Make, adding_to, both, merged, minus, out, stored, text

from moldau.streams import CogroupedKStream, SlidingWindows, StreamsBuilder

MADE: dict[str, Make] = {}
topology = adding_to(MADE)


def together(left: Any, right: Any) -> CogroupedKStream[str, str]:
    """Left records are added with a plus, right ones with a minus."""
    first: CogroupedKStream[str, str] = left.cogroup(lambda k, v, a: both(a, v))
    return first.cogroup(right.group_by_key(), lambda v, a: minus(a, v))


def zero() -> str:
    return "0"


@topology
def cogroup(b: StreamsBuilder) -> None:
    group = together(text(b, "left").group_by_key(), text(b, "right"))
    group.aggregate(zero, stored("together")).to_stream().to("out")


@topology
def cogroup_rekeyed(b: StreamsBuilder) -> None:
    group = together(text(b, "left").group_by(lambda v: v), text(b, "right"))
    group.aggregate(zero).to_stream().to("out")


@topology
def cogroup_windowed(b: StreamsBuilder) -> None:
    group = together(text(b, "left").group_by_key(), text(b, "right"))
    out(group.windowed_by(TUMBLING).aggregate(zero, stored("together")), str)


@topology
def cogroup_session(b: StreamsBuilder) -> None:
    group = together(text(b, "left").group_by_key(), text(b, "right"))
    out(group.windowed_by(SESSION).aggregate(zero, merged), str)


@topology
def cogroup_named(b: StreamsBuilder) -> None:
    group = together(text(b, "left").group_by_key(), text(b, "right"))
    group.aggregate(zero, stored("together"), name="gather").to_stream().to("out")


@topology
def cogroup_sliding(b: StreamsBuilder) -> None:
    group = together(text(b, "left").group_by_key(), text(b, "right"))
    windows = SlidingWindows.of_time_difference_and_grace(10, 50)
    out(group.windowed_by(windows).aggregate(zero, stored("together")), str)
