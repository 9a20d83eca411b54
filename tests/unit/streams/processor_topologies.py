"""The topologies of the scenarios with processors of their own; `Topologies.java` has them in Java."""

from __future__ import annotations

from typing import Any

from tests.unit.streams.topologies import Make, adding_to, text

from moldau.streams import Processor, PunctuationType, Record, Serdes, StreamsBuilder
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
