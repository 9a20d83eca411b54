"""Real data: what an application makes of the flights of 2013, beside Polars over the same file.

Instances join, are killed and leave in the middle; under exactly-once nobody can tell from what came out.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka.admin import NewTopic
from tests.integration.streams.cluster import committed, eventually
from tests.integration.streams.flights import APPLICATION, HOUR_MS, PARTITIONS, REST_MS, airlines, flights, planes

ROOT = Path(__file__).resolve().parents[3]


def spawn(cluster, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.streams.flights", cluster.bootstrap, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def hours_by_polars(departures):
    """Airline, departures and mean delay by carrier and the hour's start."""
    hourly = (
        departures.join(airlines(), on="carrier")
        .group_by("carrier", "name", (pl.col("time") // HOUR_MS * HOUR_MS).alias("hour"))
        .agg(pl.len().alias("departures"), pl.col("delay").sum())
    )
    return {
        (row["carrier"], row["hour"]): (row["name"], row["departures"], row["delay"] / row["departures"])
        for row in hourly.iter_rows(named=True)
    }


def legs_by_polars(departures):
    """Manufacturer, departures and the sum of delays by aircraft and the first and last departure between two rests."""
    of_aircraft = departures.filter(pl.col("tailnum").is_not_null()).sort("tailnum", "time")
    rested = pl.col("time").diff().over("tailnum") > REST_MS
    sessions = (
        of_aircraft.with_columns(rested.fill_null(False).cum_sum().over("tailnum").alias("session"))
        .group_by("tailnum", "session")
        .agg(pl.col("time").min().alias("start"), pl.col("time").max().alias("end"), pl.len(), pl.col("delay").sum())
        .join(planes(), on="tailnum", how="left")
    )
    return {
        (row["tailnum"], row["start"], row["end"]): (row["manufacturer"] or "unknown", row["len"], row["delay"])
        for row in sessions.iter_rows(named=True)
    }


def hours_by_streams(cluster):
    """The same from what the application wrote, and how often it wrote each hour."""
    last, updates = {}, {}
    for message in cluster.read("departures"):
        place = message.key()[:-8].decode(), struct.unpack(">q", message.key()[-8:])[0]
        value = json.loads(message.value())
        last[place] = value["airline"], value["departures"], value["mean_delay"]
        updates[place] = updates.get(place, 0) + 1
    return last, updates


def legs_by_streams(cluster):
    """The sessions that were not taken back for a longer one."""
    last = {}
    for message in cluster.read("legs"):
        end, start = struct.unpack(">qq", message.key()[-16:])
        place = message.key()[:-16].decode(), start, end
        if message.value() is None:
            del last[place]
        else:
            value = json.loads(message.value())
            last[place] = value["manufacturer"], value["departures"], value["delay"]
    return last


def fill(cluster, table):
    config = {"retention.ms": "-1"}
    names = ("flights", "airlines", "planes", "departures", "legs")
    for future in cluster.admin.create_topics([NewTopic(name, PARTITIONS, config=config) for name in names]).values():
        future.result(30)
    before = table["time"][0] - 1
    cluster.write("airlines", [(code.encode(), name.encode(), before) for code, name in airlines().iter_rows()])
    cluster.write("planes", [(number.encode(), maker.encode(), before) for number, maker in planes().iter_rows()])
    rows = table.rename({"flight": "number", "tailnum": "aircraft"}).iter_rows(named=True)
    cluster.write(
        "flights",
        [
            (
                row["carrier"].encode(),
                json.dumps({k: row[k] for k in ("number", "aircraft", "delay")}).encode(),
                row["time"],
            )
            for row in rows
        ],
    )


def fly(cluster, tmp_path, table, within_s):
    """Run it with four instances, of which one is left at the end: one is killed, one leaves, one is killed."""
    fill(cluster, table)

    def worked_on():
        return sum(offset for (topic, _), offset in committed(cluster, APPLICATION).items() if topic == "flights")

    def more_than(part):
        eventually(lambda: worked_on() > len(table) * part, within_s)

    instances = []

    def join():
        instances.append(spawn(cluster, tmp_path / f"instance-{len(instances)}"))
        assert instances[-1].stdout.readline() == b"running\n"

    try:
        join()
        more_than(0.1)
        join()
        instances[0].kill()
        more_than(0.3)
        join()
        instances[1].terminate()
        assert instances[1].wait(60) == 0
        more_than(0.5)
        join()
        instances[2].kill()
        eventually(lambda: worked_on() == len(table), within_s)
        left = table.filter(pl.col("delay").is_not_null())
        expected = legs_by_polars(left)
        # What went through the repartition topic is a transaction behind.
        eventually(lambda: legs_by_streams(cluster) == expected, within_s)
    finally:
        for instance in instances:
            instance.kill()
            instance.wait(30)
            instance.stdout.close()
    last, updates = hours_by_streams(cluster)
    expected = hours_by_polars(left)
    assert last == expected
    assert updates == {place: count for place, (_, count, _) in expected.items()}, "each departure counts once"


@pytest.mark.timeout(300)
def test_a_week_of_flights_is_counted_as_polars_counts_it_whoever_is_killed(own_cluster, tmp_path):
    fly(own_cluster, tmp_path, flights().head(6000), 90)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_flights_of_2013_are_counted_as_polars_counts_them(own_cluster, tmp_path):
    table = flights()
    assert (len(table), table["delay"].count()) == (336_776, 328_521)
    started = time.monotonic()
    fly(own_cluster, tmp_path, table, 600)
    print(f"{len(table)} flights in {time.monotonic() - started:.0f} s")
