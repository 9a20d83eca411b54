"""Real data: what an application makes of the flights of 2013, beside Polars over the same file.

One instance is killed in the middle and another one joins; under exactly-once nobody can tell from what came out.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka.admin import NewTopic
from tests.integration.streams.cluster import eventually
from tests.integration.streams.flights import HOUR_MS, PARTITIONS, airlines, departures

ROOT = Path(__file__).resolve().parents[3]


def spawn(cluster, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.streams.flights", cluster.bootstrap, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def by_polars(flights):
    """(airline, departures, sum of delays) by carrier and the hour's start."""
    hourly = (
        flights.join(airlines(), on="carrier")
        .group_by("carrier", "name", (pl.col("time") // HOUR_MS * HOUR_MS).alias("hour"))
        .agg(pl.len().alias("departures"), pl.col("delay").sum())
    )
    return {
        (row["carrier"], row["hour"]): (row["name"], row["departures"], row["delay"])
        for row in hourly.iter_rows(named=True)
    }


def by_streams(cluster):
    """The same from what the application wrote, and how often it wrote each hour."""
    last, updates = {}, {}
    for message in cluster.read("departures"):
        place = message.key()[:-8].decode(), struct.unpack(">q", message.key()[-8:])[0]
        value = json.loads(message.value())
        last[place] = value["airline"], value["departures"], value["delay"]
        updates[place] = updates.get(place, 0) + 1
    return last, updates


def fly(cluster, tmp_path, flights, within_s):
    config = {"retention.ms": "-1"}
    topics = [NewTopic(name, PARTITIONS, config=config) for name in ("flights", "airlines", "departures")]
    for future in cluster.admin.create_topics(topics).values():
        future.result(30)
    first = flights["time"][0]
    cluster.write("airlines", [(code.encode(), name.encode(), first - 1) for code, name in airlines().iter_rows()])
    cluster.write(
        "flights",
        [
            (carrier.encode(), json.dumps({"number": number, "delay": delay}).encode(), time)
            for carrier, number, delay, time in flights.iter_rows()
        ],
    )

    def written():
        return len(cluster.read("departures"))

    instances = [spawn(cluster, tmp_path / "a")]
    try:
        eventually(lambda: written() > len(flights) // 10, within_s)
        instances.append(spawn(cluster, tmp_path / "b"))
        assert instances[1].stdout.readline() == b"running\n"
        instances[0].kill()
        eventually(lambda: written() >= len(flights), within_s)
    finally:
        for instance in instances:
            instance.kill()
            instance.wait(30)
            instance.stdout.close()
    last, updates = by_streams(cluster)
    expected = by_polars(flights)
    assert last == expected
    assert updates == {place: count for place, (_, count, _) in expected.items()}, "each departure counts once"


@pytest.mark.timeout(300)
def test_a_week_of_flights_is_counted_as_polars_counts_it_whoever_is_killed(own_cluster, tmp_path):
    flights = departures().head(6000)
    fly(own_cluster, tmp_path, flights, 90)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_flights_of_2013_are_counted_as_polars_counts_them(own_cluster, tmp_path):
    flights = departures()
    assert len(flights) == 328_521
    fly(own_cluster, tmp_path, flights, 600)
