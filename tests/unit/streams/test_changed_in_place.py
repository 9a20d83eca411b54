"""Aggregates that a callback changes in place: what was sent and kept before does not change with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moldau.streams import StreamsBuilder, TopologyTestDriver, sliding, tumbling


def add(value: str, held: list[str]) -> list[str]:
    held.append(value)
    return held


def added(value: str, held: list[str]) -> list[str]:
    return [*held, value]


def test_an_aggregate_that_is_changed_in_place_is_not_its_own_old_value():
    builder = StreamsBuilder()
    words = builder.stream("in", value=str).group_by_key().aggregate(list, add, store="words")
    lengths = words.group_by(lambda key, held: (str(len(held)), key), value=str)
    lengths.count(store="lengths")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in")
        source.pipe_input("a", "x")
        source.pipe_input("a", "y")
        lengths_store = driver.get_key_value_store("lengths")
        assert [(key, held[0]) for key, held in lengths_store.all()] == [("1", 0), ("2", 1)]


@pytest.mark.parametrize("window", [None, tumbling(10), sliding(10)])
def test_the_first_aggregate_of_a_key_is_not_its_own_old_value(window: Any):
    builder = StreamsBuilder()
    grouped = builder.stream("in", value=str).group_by_key()
    words = (grouped if window is None else grouped.window(window)).aggregate(list, add, store="words")
    words.group_by(lambda held: (str(len(held)), "row"), value=str).count(store="lengths")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in")
        source.pipe_input("a", "x", 1)
        source.pipe_input("b", "y", 1)
        assert driver.get_key_value_store("lengths").get("1")[0] == 2


def test_a_sliding_window_does_not_take_over_what_was_added_to_the_one_before():
    assert _sliding(add) == _sliding(added)


def _sliding(aggregator: Callable[[str, list[str]], list[str]]) -> list[tuple[int, list[str]]]:
    builder = StreamsBuilder()
    builder.stream("in", value=str).group_by_key().window(sliding(10)).aggregate(list, aggregator, store="words")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in")
        for value, timestamp in (("e", 3), ("f", 7), ("g", 5), ("x", 100), ("z", 105), ("y", 103), ("w", 101)):
            source.pipe_input("a", value, timestamp)
        return [(window.start, held) for window, (held, _) in driver.get_window_store("words").all()]
