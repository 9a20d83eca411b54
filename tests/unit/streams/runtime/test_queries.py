"""Which stores can be asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.streams import JoinWindows, StreamJoined, StreamsBuilder, StreamsError
from moldau.streams.runtime.layout import LayoutOptions, lay_out
from moldau.streams.runtime.queries import LocalTasks


def test_a_store_of_a_join_says_that_it_answers_no_queries():
    builder = StreamsBuilder()
    left, right = (builder.stream(topic, value=str) for topic in ("left", "right"))
    near = JoinWindows.of_time_difference_with_no_grace("1m")
    left.join(right, lambda one, other: one + other, near, StreamJoined.as_("pairs"))
    topology = builder.build()
    layout = lay_out(topology, {"left": 1, "right": 1}, LayoutOptions("app"))
    local = LocalTasks(SimpleNamespace(topology=topology, layout=layout), list)
    with pytest.raises(StreamsError, match="store pairs-this-join-store is of kind join_window, which answers no"):
        local.serdes("pairs-this-join-store")
