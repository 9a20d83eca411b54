"""The topologies of the scenarios with processors of their own; `Topologies.java` has them in Java."""

from __future__ import annotations

import re
from typing import Any

from tests.unit.streams.topologies import Make, adding_to, both, text

from moldau.streams import (
    Consumed,
    Grouped,
    Materialized,
    Processor,
    PunctuationType,
    Record,
    Serdes,
    StreamsBuilder,
    ValueTransformer,
)
from moldau.streams.topology.nodes import StoreSpec

MADE: dict[str, Make] = {}
topology = adding_to(MADE)


class Counting(Processor):
    def init(self, context: Any) -> None:
        super().init(context)
        self.seen = context.get_state_store("seen")

    def process(self, record: Record[str, str]) -> None:
        before = self.seen.get(record.key)
        self.seen.put(record.key, record.value)
        self.context.forward(record.with_value(f"{'null' if before is None else before}>{record.value}"))


class Shouting(Processor):
    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record.with_value(record.value.upper()))


class Ticking(Processor):
    def init(self, context: Any) -> None:
        super().init(context)
        context.schedule(10, PunctuationType.STREAM_TIME, lambda now: context.forward(Record("stream", str(now), now)))
        context.schedule(
            10, PunctuationType.WALL_CLOCK_TIME, lambda now: context.forward(Record("wall", str(now), now))
        )

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record)


class Marking(ValueTransformer):
    def transform(self, key: str, value: str | None) -> str | None:
        return None if value is None else f"{key}={value}"


@topology
def table_transform_values(b: StreamsBuilder) -> None:
    b.table("in", value=str).transform_values(Marking, value=str).to_stream().to("out")


@topology
def table_transform_values_stored(b: StreamsBuilder) -> None:
    marked = Materialized.as_("marked").with_value_serde(str)
    b.table("in", value=str).transform_values(Marking, marked).to_stream().to("out")


@topology
def process(b: StreamsBuilder) -> None:
    b.add_state_store(StoreSpec("seen", "key_value", Serdes.String(), Serdes.String()))
    text(b, "in").process(Counting, "seen").to("out")


@topology
def process_values(b: StreamsBuilder) -> None:
    text(b, "in").process_values(Shouting).group_by_key().count().to_stream().to("out")


@topology
def punctuate(b: StreamsBuilder) -> None:
    text(b, "in").process(Ticking).to("out")


# What else a topology can be made of.


@topology
def pattern(b: StreamsBuilder) -> None:
    b.stream(re.compile("in.*"), key=str, value=str).map_values(lambda v: v + "!").to("out")


@topology
def timestamp_extractor(b: StreamsBuilder) -> None:
    def extract(timestamp: int, key: Any, value: str | None, partition_time: int) -> int:
        return -1 if value is None else partition_time + 10 * len(value)

    b.stream("in", Consumed.with_(str, str, timestamp_extractor=extract)).to("out")


@topology
def chosen_topic(b: StreamsBuilder) -> None:
    text(b, "in").to(lambda k, v, headers: "out" if v is not None and v.startswith("a") else "rest")


@topology
def regrouped(b: StreamsBuilder) -> None:
    rekeyed = text(b, "in").select_key(lambda v: v)
    rekeyed.group_by_key().count().to_stream().to("counts")
    rekeyed.map_values(lambda v: v + "!", value=str).group_by_key().reduce(both).to_stream().to("out")
    long = rekeyed.filter(lambda v: v is not None and len(v) > 1)
    long.group_by_key(Grouped.as_("long")).reduce(both).to_stream().to("rest")
