"""Sums, means, least and greatest ones of a group: what is told of them, and what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moldau.streams import (
    SessionWindows,
    StreamsBuilder,
    TimeWindows,
    Topology,
    TopologyError,
    TopologyTestDriver,
    col,
    count,
    tumbling,
)


def amounts(topology: Topology, *given: Any, store: str = "numbers") -> Any:
    """What the store has of a group after these amounts."""
    with TopologyTestDriver(topology) as driver:
        source = driver.create_input_topic("in", value=dict)
        for amount in given:
            source.pipe_input("a", {"amount": amount})
        held, _ = driver.get_key_value_store(store).get("a")
        return held


def grouped(**parts: Any) -> Topology:
    builder = StreamsBuilder()
    builder.stream("in", value=dict).group_by_key().agg(**parts, store="numbers").to("out")
    return builder.build()


def test_sum_mean_least_greatest_and_count_of_a_group():
    topology = grouped(
        total=col.amount.sum(),
        mean=col.amount.mean(),
        least=col.amount.min(),
        greatest=col.amount.max(),
        n=count(),
    )
    held = amounts(topology, 3, 1, 2)
    assert (held.total, held.mean, held.least, held.greatest, held.n) == (6, 2.0, 1, 3, 3)


def test_none_counts_for_nothing_but_as_a_record():
    topology = grouped(total=col.amount.sum(), mean=col.amount.mean(), least=col.amount.min(), n=count())
    held = amounts(topology, None, 4, None, 2)
    assert (held.total, held.mean, held.least, held.n) == (6, 3.0, 2, 4)
    held = amounts(topology, None)
    assert (held.total, held.mean, held.least, held.n) == (0, None, None, 1)


def test_a_mean_of_whole_numbers_is_exact_however_large_they_are():
    large = 2**53
    held = amounts(grouped(mean=col.amount.mean()), large + 1, large + 3)
    assert held.mean == large + 2
    assert held.mean_sum == 2 * large + 4


def test_what_goes_on_is_the_mean_and_what_is_kept_its_sum_and_count():
    with TopologyTestDriver(grouped(mean=col.amount.mean(), n=count())) as driver:
        source = driver.create_input_topic("in", value=dict)
        for amount in (1, 2):
            source.pipe_input("a", {"amount": amount})
        out = driver.create_output_topic("out", value=dict).read_values_to_list()
        assert out == [{"mean": 1.0, "n": 1}, {"mean": 1.5, "n": 2}]
        assert driver.get_key_value_store("numbers").get("a")[0].mean == 1.5


def test_names_of_what_is_kept_get_out_of_the_way_of_names_that_are_given():
    held = amounts(grouped(mean=col.amount.mean(), mean_sum=col.amount.max(), mean_count=count()), 1, 4)
    assert (held.mean, held.mean_sum, held.mean_count) == (2.5, 4, 2)


def test_a_table_is_added_up_without_what_is_gone():
    builder = StreamsBuilder()
    rows = builder.table("stock", value=dict).group_by(col.shop)
    rows.agg(pieces=col.pieces.sum(), mean=col.pieces.mean(), kinds=count(), store="shops").to("out")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("stock", value=dict)
        for key, value in (
            ("tea", {"shop": "a", "pieces": 3}),
            ("milk", {"shop": "a", "pieces": 4}),
            ("salt", {"shop": "a", "pieces": None}),
            ("tea", {"shop": "b", "pieces": 5}),
            ("milk", None),
            ("salt", {"shop": "a", "pieces": 8}),
        ):
            source.pipe_input(key, value)
        shops = driver.get_key_value_store("shops").all()
        rows_of = {key: (held.pieces, held.mean, held.kinds) for key, (held, _) in shops}
        assert rows_of == {"a": (8, 8.0, 1), "b": (5, 5.0, 1)}
        last = driver.create_output_topic("out", value=dict).read_key_values_to_map()
        assert last == {"a": {"pieces": 8, "mean": 8.0, "kinds": 1}, "b": {"pieces": 5, "mean": 5.0, "kinds": 1}}
    with pytest.raises(TopologyError, match="most cannot be told without a row that is gone"):
        builder.table("other", value=dict).group_by(col.shop).agg(most=col.pieces.max())


def test_sessions_that_become_one_have_the_mean_of_both():
    builder = StreamsBuilder()
    clicks = builder.stream("in", value=dict).group_by_key()
    windows = SessionWindows.of_inactivity_gap_and_grace("10s", "1h")
    clicks.windowed_by(windows).agg(mean=col.amount.mean(), store="sessions").to("out")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in", value=dict)
        for second, amount in ((0, 1), (15, 3), (16, None), (8, 8)):
            source.pipe_input("a", {"amount": amount}, timestamp=second * 1000)
        ((_, held),) = driver.get_session_store("sessions").fetch("a")
        assert held.mean == 4.0
        out = driver.create_output_topic("out", key=bytes, value=dict).read_values_to_list()
        assert out[-1] == {"mean": 4.0}
        assert None in out


def test_the_results_of_an_aggregate_have_its_store_and_its_late_records():
    builder = StreamsBuilder()
    windows = builder.stream("in", value=dict).group_by_key().window(tumbling("1s"))
    table = windows.agg(mean=col.amount.mean(), store="seconds", name="means")
    assert table.queryable_store_name == "seconds"
    table.late().to("late", value=dict)
    table.filter(col.mean > 1).to_stream(lambda window, _: window.key).to("out")
    topology = builder.build()
    assert "means-results" in str(topology.describe())
    with TopologyTestDriver(topology) as driver:
        source = driver.create_input_topic("in", value=dict)
        for moment, amount in ((0, 1), (1, 4), (5000, 1), (2, 7)):
            source.pipe_input("a", {"amount": amount}, timestamp=moment)
        assert driver.create_output_topic("late", value=dict).read_values_to_list() == [{"amount": 7}]
        out = driver.create_output_topic("out", value=dict).read_values_to_list()
        # What was not there before is no row that could be deleted.
        assert out == [{"mean": 2.5}]


def test_a_mean_is_joined_and_grouped_again_like_any_value():
    builder = StreamsBuilder()
    means = builder.stream("in", value=dict).group_by_key().agg(mean=col.amount.mean(), kind=col.kind.max())
    names = builder.table("names", value=str)
    means.join(names, lambda held, name: f"{name}: {held.mean}").to("joined", value=str)
    means.group_by(col.kind).agg(sum=col.mean.sum(), n=count(), store="kinds")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in", value=dict)
        driver.create_input_topic("names", value=str).pipe_input("a", "Ada")
        for key, amount in (("a", 1), ("a", 2), ("b", 4)):
            source.pipe_input(key, {"amount": amount, "kind": "all"})
        driver.create_input_topic("names", value=str).pipe_input("a", "Ann")
        assert driver.create_output_topic("joined").read_values_to_list() == ["Ada: 1.0", "Ada: 1.5", "Ann: 1.5"]
        held, _ = driver.get_key_value_store("kinds").get("all")
        assert (held.sum, held.n) == (5.5, 2)


@pytest.mark.parametrize("part", [col.amount, count, 5, "sum"])
def test_what_is_no_aggregation_is_refused(part: Any):
    grouped_stream = StreamsBuilder().stream("in", value=dict).group_by_key()
    with pytest.raises(TypeError, match=r"total is no aggregation.*\nhint: .*count"):
        grouped_stream.agg(total=part)


def test_an_aggregate_is_called_as_a_field_can_be():
    grouped_stream = StreamsBuilder().stream("in", value=dict).group_by_key()
    with pytest.raises(ValueError, match=r"'a\.sum' is not the name of a field"):
        grouped_stream.agg(**{"a.sum": count()})
    with pytest.raises(ValueError, match="agg needs at least one"):
        grouped_stream.agg()


def test_what_is_kept_is_json_that_says_what_it_is():
    builder = StreamsBuilder()
    grid = TimeWindows.of_size_with_no_grace("1h")
    builder.stream("in", value=dict).group_by_key().windowed_by(grid).agg(mean=col.amount.mean(), store="hours")
    serde = builder.build().stores["hours"].value
    assert serde is not None
    held = serde.deserialize(b'{"mean.sum":6,"mean.count":4}')
    assert held.mean == 1.5
    assert json.loads(serde.serialize(held)) == {"mean.sum": 6, "mean.count": 4}
