"""The guide of topologies runs as it stands, and its two spellings say the same."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from moldau.streams import StreamsBuilder, TopologyTestDriver, col, count

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "topologies.md"


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """The names that the page defines, after every block has run in its order."""
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    names: dict[str, Any] = {"__name__": "guide"}
    import sys
    import types

    module = types.ModuleType("guide")
    sys.modules["guide"] = module
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), module.__dict__)
    names.update(module.__dict__)
    return names


def test_every_block_of_the_guide_runs(guide: dict[str, Any]):
    assert "KSTREAM-AGGREGATE" in str(guide["topology"].describe())


def test_both_spellings_give_the_same_revenue(guide: dict[str, Any]):
    order = guide["Order"]
    with TopologyTestDriver(guide["expressed"]) as driver:
        source = driver.create_input_topic("orders", str, order)
        for amount, status in ((12.5, "COMPLETED"), (7.5, "COMPLETED"), (-1.0, "COMPLETED"), (99.0, "REFUNDED")):
            source.pipe_input("customer-1", order("1", "customer-1", amount, status), timestamp=0)
        held, _ = driver.get_window_store("hourly-revenue-store").fetch("customer-1", 0)
        assert (held.revenue, held.orders) == (20.0, 2)
        written = driver.create_output_topic("hourly-revenue", bytes, dict).read_values_to_list()
    assert written == [{"revenue": 12.5, "orders": 1}, {"revenue": 20.0, "orders": 2}]


def test_the_list_form_of_branch_works_and_warns():
    builder = StreamsBuilder()
    with pytest.warns(DeprecationWarning, match="split"):
        small, rest = builder.stream("in", value=int).branch(lambda v: v < 10, lambda v: True)
    small.to("small")
    rest.to("rest")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in", value=int)
        source.pipe_input("a", 1)
        source.pipe_input("a", 11)
        assert driver.create_output_topic("small", value=int).read_values_to_list() == [1]
        assert driver.create_output_topic("rest", value=int).read_values_to_list() == [11]


def test_through_writes_to_a_topic_and_reads_it_back():
    builder = StreamsBuilder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        builder.stream("in", value=str).through("middle").map_values(str.upper).to("out", value=str)
    with TopologyTestDriver(builder.build()) as driver:
        driver.create_input_topic("in").pipe_input("a", "b")
        assert driver.create_output_topic("middle").read_key_value() == ("a", "b")
        assert driver.create_output_topic("out").read_key_value() == ("a", "B")


@pytest.mark.parametrize("value", [{"amount": 3, "price": 2.5}, type("Order", (), {"amount": 3, "price": 2.5})()])
def test_an_expression_reads_dicts_and_objects(value: Any):
    assert (col.amount * col.price + 1 > 8)(value) is True
    assert (~(col.amount == 3) | (col.price < 1))(value) is False
    assert (10 - col.amount)(value) == 7


def test_an_expression_has_no_truth_of_its_own():
    with pytest.raises(TypeError, match="hint"):
        bool(col.amount > 1 and col.price > 1)


@pytest.mark.parametrize("name", ["a b", "a;import os", "", "1"])
def test_only_names_are_fields(name: str):
    with pytest.raises(ValueError, match="field"):
        col[name]


def test_least_greatest_and_count_of_a_group():
    builder = StreamsBuilder()
    grouped = builder.stream("in", value=dict).group_by_key()
    grouped.agg(least=col.amount.min(), greatest=col.amount.max(), n=count(), store="numbers")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in", value=dict)
        for amount in (3, 1, 2):
            source.pipe_input("a", {"amount": amount})
        held, _ = driver.get_key_value_store("numbers").get("a")
        assert (held.least, held.greatest, held.n) == (1, 3, 3)


def test_an_aggregate_that_is_changed_in_place_is_not_its_own_old_value():
    builder = StreamsBuilder()

    def add(value: str, held: list[str]) -> list[str]:
        held.append(value)
        return held

    words = builder.stream("in", value=str).group_by_key().aggregate(list, add, store="words")
    lengths = words.group_by(lambda key, held: (str(len(held)), key), value=str)
    lengths.count(store="lengths")
    with TopologyTestDriver(builder.build()) as driver:
        source = driver.create_input_topic("in")
        source.pipe_input("a", "x")
        source.pipe_input("a", "y")
        lengths_store = driver.get_key_value_store("lengths")
        assert [(key, held[0]) for key, held in lengths_store.all()] == [("1", 0), ("2", 1)]
