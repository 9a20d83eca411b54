"""Which stores can be asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.streams import Materialized, SessionWindows, StreamsBuilder, StreamsError
from moldau.streams.runtime.layout import LayoutOptions, lay_out
from moldau.streams.runtime.queries import LocalTasks


def test_a_session_store_says_that_it_answers_no_queries():
    builder = StreamsBuilder()
    builder.stream("in", key=str, value=str).group_by_key().windowed_by(
        SessionWindows.of_inactivity_gap_with_no_grace("1m")
    ).count(Materialized.as_("sessions"))
    topology = builder.build()
    environment = SimpleNamespace(topology=topology, layout=lay_out(topology, {"in": 1}, LayoutOptions("app")))
    local = LocalTasks(environment, list)
    with pytest.raises(StreamsError, match="store sessions is of kind session, which answers no queries yet\nhint: "):
        local.serdes("sessions")
