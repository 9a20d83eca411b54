"""Tables of windows are looked up by key and window, like any other table."""

from __future__ import annotations

from typing import Any

import pytest

from moldau.streams import StreamsBuilder, TopologyTestDriver, sessions, sliding, tumbling


@pytest.mark.parametrize("window", [tumbling(10), sliding(10), sessions(10)])
def test_two_windowed_tables_are_joined(window: Any):
    builder = StreamsBuilder()
    left, right = (builder.stream(topic, value=str).group_by_key().window(window).count() for topic in ("l", "r"))
    joined = left.join(right, lambda one, other: f"{one}{other}")
    joined.to_stream(lambda window, _: window.key).to("out", value=str)
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("l").pipe_input("a", "x", 1)
        driver.create_input_topic("r").pipe_input("a", "y", 1)
        assert driver.create_output_topic("out").read_key_values_to_list() == [("a", "11")]
