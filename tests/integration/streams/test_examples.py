"""The programs in examples/streams do what they say: in the driver, and as processes on a node."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import HOUR_MS, T0

from moldau.streams import KafkaStreams, Serdes, TopologyTestDriver
from moldau.streams.serdes import time_windowed_serde

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "streams"
MINUTE = 60_000


@pytest.fixture(autouse=True)
def of_the_folder(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def program(name):
    return importlib.import_module(name)


def paid(amount, status="COMPLETED"):
    return program("hourly_revenue").Order("1", "ada", amount, status)


def test_both_spellings_of_hourly_revenue_give_the_same():
    totals = []
    for name, topic, kind in (("hourly_revenue", "hourly-revenue", float), ("expressions", "hourly-figures", dict)):
        with TopologyTestDriver(program(name).topology()) as driver:
            orders = driver.create_input_topic("orders", value=program("hourly_revenue").Order)
            for minutes, order in ((5, paid(12.5)), (50, paid(7.5)), (55, paid(99.0, "REFUNDED")), (70, paid(1.0))):
                orders.pipe_input("ada", order, timestamp=minutes * MINUTE)
            hours = time_windowed_serde(Serdes.String(), HOUR_MS)
            written = driver.create_output_topic(topic, key=hours, value=kind).read_key_values_to_list()
            totals.append([(window.start, value["revenue"] if kind is dict else value) for window, value in written])
    assert totals[0] == totals[1] == [(0, 12.5), (0, 20.0), (HOUR_MS, 1.0)]


def test_an_order_gets_its_customer_and_one_without_is_said():
    enrichment = program("enrichment")
    with TopologyTestDriver(enrichment.topology()) as driver:
        driver.create_input_topic("customers", value=dict).pipe_input("ada", {"name": "Ada", "tier": "gold"})
        orders = driver.create_input_topic("orders", value=program("hourly_revenue").Order)
        for key in ("ada", "bob"):
            orders.pipe_input(key, paid(12.5))
        out = driver.create_output_topic("orders-enriched", value=enrichment.EnrichedOrder).read_values_to_list()
    assert [(one.customer, one.tier) for one in out] == [("Ada", "gold"), ("unknown", "none")]


def test_a_visit_is_told_once_when_it_is_over():
    with TopologyTestDriver(program("sessions").topology()) as driver:
        clicks = driver.create_input_topic("clicks")
        for minutes in (0, 10, 25, 90, 200):
            clicks.pipe_input("ada", "click", timestamp=minutes * MINUTE)
        out = driver.create_output_topic("clicks-per-visit", value=int).read_key_values_to_list()
    assert out == [("ada", 3), ("ada", 1)]


@pytest.mark.timeout(240)
def test_every_customer_is_found_from_an_instance_that_has_only_some(own_cluster, tmp_path):
    own_cluster.create(4, "orders", "refunds", "hourly-revenue")
    customers = [f"customer-{number}" for number in range(8)]
    value = {"order_id": "1", "customer_id": "", "amount": 2.5, "status": "COMPLETED"}
    own_cluster.write("orders", [(name.encode(), json.dumps(value).encode(), T0) for name in customers])
    # Instances on one machine need two folders; here each process has a temporary directory of its own.
    running = spawn(tmp_path / "a", "hourly_revenue.py", own_cluster.bootstrap)
    try:
        assert running.stdout.readline().startswith("running, queries at http://127.0.0.1:")
        eventually(lambda: len(own_cluster.read("hourly-revenue")) == len(customers))
        asked = spawn(tmp_path / "b", "query.py", own_cluster.bootstrap, *customers)
        said, _ = asked.communicate(timeout=90)
        running.terminate()
        assert running.wait(90) == 0
    finally:
        running.kill()
        running.communicate()
    hour = T0 // HOUR_MS * HOUR_MS
    assert said.splitlines() == [f"{name} {hour} 2.50" for name in customers]


def test_an_instance_that_does_not_come_up_is_closed(monkeypatch):
    closed = []

    def late(_):
        raise TimeoutError("still REBALANCING")

    monkeypatch.setattr(KafkaStreams, "start", lambda app: app)
    monkeypatch.setattr(KafkaStreams, "wait_until_running", late)
    monkeypatch.setattr(KafkaStreams, "close", lambda app: closed.append(app.settings.application_id))
    monkeypatch.setattr(sys, "argv", ["hourly_revenue.py", "127.0.0.1:1"])
    with pytest.raises(TimeoutError, match="still REBALANCING"):
        runpy.run_path(str(FOLDER / "hourly_revenue.py"), run_name="__main__")
    assert closed == ["orders-app"]


def spawn(folder, name, *arguments):
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, str(FOLDER / name), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )
