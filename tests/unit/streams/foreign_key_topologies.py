"""The topologies of the scenarios that join by a foreign key, by name; `Topologies.java` has them in Java."""

from __future__ import annotations

from tests.unit.streams.join_topologies import initial, rows
from tests.unit.streams.topologies import Make, adding_to, both, stored
from tests.unit.streams.versioned_topologies import versioned

from moldau.streams import StreamsBuilder, TableJoined

MADE: dict[str, Make] = {}
topology = adding_to(MADE)


@topology
def foreign_key(b: StreamsBuilder) -> None:
    rows(b, "left").join(rows(b, "right"), initial, both).to_stream().to("out")


@topology
def foreign_key_left(b: StreamsBuilder) -> None:
    rows(b, "left").left_join(rows(b, "right"), initial, both).to_stream().to("out")


@topology
def foreign_key_with_key(b: StreamsBuilder) -> None:
    rows(b, "left").join(rows(b, "right"), lambda k, v: k.lower(), both).to_stream().to("out")


@topology
def foreign_key_stored(b: StreamsBuilder) -> None:
    joined = rows(b, "left").join(rows(b, "right"), initial, both, TableJoined.as_("fk"), stored("joined"))
    joined.to_stream().to("out")


@topology
def foreign_key_stored_left(b: StreamsBuilder) -> None:
    rows(b, "left").left_join(rows(b, "right"), initial, both, store="joined").to_stream().to("out")


@topology
def foreign_key_grouped(b: StreamsBuilder) -> None:
    joined = rows(b, "left").join(rows(b, "right"), initial, both)
    joined.group_by(lambda k, v: (v, k), value=str).count().to_stream().to("out")


@topology
def foreign_key_versioned(b: StreamsBuilder) -> None:
    left = versioned(b, "left", "one")
    left.left_join(versioned(b, "right", "other"), initial, both).to_stream().to("out")
