"""The guide of topologies runs as it stands, and its two spellings say the same. The README's program is a module."""

from __future__ import annotations

import re
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from moldau.streams import KafkaStreams, Serdes, StreamsBuilder, TopologyTestDriver
from moldau.streams.serdes import time_windowed_serde

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "guides" / "topologies.md"
HOUR_MS = 3_600_000


def programs(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """The names that the page defines, after every block has run in its order."""
    blocks = programs(GUIDE)
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


def test_the_program_of_the_readme_can_be_imported_and_counts_revenue(monkeypatch: pytest.MonkeyPatch):
    """`moldau streams run revenue.py:builder` imports it: what runs then is not for the program to run too."""
    monkeypatch.setattr(KafkaStreams, "run", lambda _: pytest.fail("the import runs the application"))
    (program,) = (one for one in programs(ROOT / "README.md") if "StreamsBuilder" in one)
    module: dict[str, Any] = {"__name__": "revenue"}
    exec(compile(program, "README.md", "exec"), module)
    with TopologyTestDriver(module["builder"].build()) as driver:
        orders = driver.create_input_topic("orders", str, dict)
        for minutes, amount in ((5, 12.5), (50, 7.5), (70, 1.0)):
            orders.pipe_input("ada", {"amount": amount}, timestamp=minutes * 60_000)
        revenue = driver.create_output_topic("hourly-revenue", time_windowed_serde(Serdes.String(), HOUR_MS), float)
        written = revenue.read_key_values_to_list()
    assert [(hour.start, total) for hour, total in written] == [(0, 12.5), (0, 20.0), (HOUR_MS, 1.0)]
