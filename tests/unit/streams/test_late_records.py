"""Late records as a stream: what no window takes any more, and only that."""

from __future__ import annotations

import pytest

from moldau.streams import EmitStrategy, StreamsBuilder, TopologyTestDriver, hopping, sessions, sliding, tumbling


def test_late_records_come_as_they_were_and_results_stay_apart():
    builder = StreamsBuilder()
    counts = builder.stream("in", value=str).group_by_key().window(tumbling(10, grace=5)).count()
    counts.to_stream(lambda window, _: window.key).to("out")
    counts.late().to("late")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in")
        for value, timestamp in (("one", 1), ("two", 14), ("in time", 3), ("three", 15), ("late", 4)):
            source.pipe_input("a", value, timestamp)
        late = driver.create_output_topic("late").read_records_to_list()
        assert [(one.key, one.value, one.timestamp) for one in late] == [("a", "late", 4)]
        assert driver.create_output_topic("out", value=int).read_values_to_list() == [1, 1, 2, 2]
        assert driver.dropped_records == 1


def test_a_record_that_one_hopping_window_still_takes_is_not_late():
    builder = StreamsBuilder()
    counts = builder.stream("in", value=str).group_by_key().window(hopping(10, 5)).count()
    counts.late("too-late").to("late")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in")
        for value, timestamp in (("one", 12), ("half", 8), ("late", 4)):
            source.pipe_input("a", value, timestamp)
        assert driver.create_output_topic("late").read_values_to_list() == ["late"]


@pytest.mark.parametrize("emits", [EmitStrategy.on_window_update(), EmitStrategy.on_window_close()])
@pytest.mark.parametrize("windows", [sessions(10, grace=5), sliding(10, grace=5)])
def test_sessions_and_sliding_windows_know_them_too(windows, emits):
    builder = StreamsBuilder()
    counts = builder.stream("in", value=str).group_by_key().window(windows).emit_strategy(emits).count()
    counts.to_stream(lambda window, _: window.key).to("out")
    counts.late().to("late")
    with TopologyTestDriver(builder.build(), emit_interval_ms=0) as driver:
        source = driver.create_input_topic("in")
        for value, timestamp in (("one", 20), ("two", 100), ("in time", 96), ("late", 70)):
            source.pipe_input("a", value, timestamp)
        late = driver.create_output_topic("late").read_records_to_list()
        assert [(one.key, one.value, one.timestamp) for one in late] == [("a", "late", 70)]
        assert driver.dropped_records == 1
        results = driver.create_output_topic("out", value=int).read_values_to_list()
        assert {type(result) for result in results} <= {int, type(None)}


def test_a_table_without_windows_has_no_late_records():
    counts = StreamsBuilder().stream("in", value=str).group_by_key().count()
    with pytest.raises(TypeError, match="late"):
        counts.late()
