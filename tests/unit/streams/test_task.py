"""What a task does with records that it cannot take, with processors and with schedules that ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from moldau.streams import (
    Consumed,
    Joined,
    Processor,
    PunctuationType,
    Record,
    RecordError,
    StreamsBuilder,
    StreamsError,
    TopologyError,
    TopologyTestDriver,
)
from moldau.streams.durations import milliseconds
from moldau.streams.serdes import serde_of


def test_a_negative_timestamp_fails_and_says_where_and_what_to_do():
    builder = StreamsBuilder()
    builder.stream("in", value=str).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        with pytest.raises(RecordError, match=r"-1 is negative \(record in-0 at offset 0\)\nhint: .*extractor"):
            driver.create_input_topic("in").pipe_input("a", "x", -1)
        assert driver.dropped_records == 0


def test_a_record_whose_extractor_says_a_negative_time_is_dropped():
    builder = StreamsBuilder()
    builder.stream("in", Consumed.with_(str, str, lambda timestamp, key, value, latest: -1)).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("in").pipe_input("a", "x", 5)
        assert driver.create_output_topic("out").is_empty()
        assert driver.dropped_records == 1


class Twice(Processor):
    def process(self, record: Record[Any, Any]) -> None:
        self.context.forward(record)
        self.context.forward(record)


class Rekeying(Processor):
    def process(self, record: Record[Any, Any]) -> None:
        self.context.forward(record.with_key("other"))


def test_one_processor_that_keeps_keys_does_not_disturb_another():
    builder = StreamsBuilder()
    twice = builder.stream("in", value=str).process_values(Twice)
    twice.select_key(lambda value: value).process_values(Twice).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("in").pipe_input("a", "x")
        assert driver.create_output_topic("out").read_key_values_to_list() == [("x", "x")] * 4


def test_a_processor_that_must_keep_keys_cannot_change_one():
    builder = StreamsBuilder()
    builder.stream("in", value=str).process_values(Rekeying).to("out")
    with TopologyTestDriver(builder.build()) as driver, pytest.raises(StreamsError, match="changed a key"):
        driver.create_input_topic("in").pipe_input("a", "x")


class Once(Processor):
    def process(self, record: Record[Any, Any]) -> None:
        self.context.schedule(10, PunctuationType.WALL_CLOCK_TIME, lambda now: None).cancel()


def test_a_schedule_that_was_cancelled_is_forgotten():
    builder = StreamsBuilder()
    builder.stream("in", value=str).process(Once)
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("in").pipe_input("a", "x")
        driver.advance_wall_clock_time(1)
        assert driver.context.punctuators == []


def test_a_join_with_a_grace_period_is_refused():
    builder = StreamsBuilder()
    table = builder.table("rows", value=str)
    with pytest.raises(TopologyError, match="grace"):
        builder.stream("in", value=str).join(table, lambda one, other: one, Joined.with_(grace="1s"))


@dataclass(frozen=True)
class Tree:
    name: str
    below: tuple[Tree, ...] = ()


@dataclass(frozen=True)
class Sack:
    things: list[str]
    below: tuple[Sack, ...] = ()


def test_a_type_that_holds_itself_is_as_frozen_as_the_rest_of_it():
    assert serde_of(Tree).immutable
    assert not serde_of(Sack).immutable


def test_a_length_of_time_with_a_fraction_is_exact():
    assert milliseconds("1.001s", "size") == 1001
