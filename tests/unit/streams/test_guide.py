"""The guide of topologies runs as it stands, and its two spellings say the same."""

from __future__ import annotations

import re
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from moldau.streams import StreamsBuilder, TopologyTestDriver

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "topologies.md"


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """The names that the page defines, after every block has run in its order."""
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 15
    module = types.ModuleType("guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "guide", module)
        for block in blocks:
            exec(compile(block, str(GUIDE), "exec"), module.__dict__)
    return module.__dict__


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
