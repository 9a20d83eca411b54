"""The S3 sink beside pyarrow, and the guide's five transforms beside Kafka's own classes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from bench import connect_chain, s3_sink
from bench.versus.apache_kafka import JVM_PERFORMANCE
from bench.versus.connect.measured import Measured
from bench.versus.connect.workers import worker_jars
from bench.versus.jars import require_tool

CHAIN: Final = Path(__file__).parent / "java" / "Chain.java"
# Of the second kind many more rounds: Java compiles what it has met often.
ROUNDS, JAVA_ROUNDS = 3, 30
TIMEOUT_S: Final = 600
# A millisecond of event time each, and the sink writes a folder for each hour.
MOST_ROWS: Final = 3_600_000


def lake(rows: int, folder: Path) -> dict[str, Callable[[], Measured]]:
    """Rows into Parquet in a local folder: by the sink, which is given records, and by pyarrow, given columns.

    They are whole files: the last one of the sink is complete with its last row.
    """
    rows = max(1, rows // s3_sink.FILE_ROWS) * s3_sink.FILE_ROWS
    if rows > MOST_ROWS:
        raise ValueError(f"{rows:,} rows are of more than an hour, and an hour is a folder: at most {MOST_ROWS:,}")
    values = s3_sink.rows(rows)
    megabytes = sum(pa.array(column).nbytes for column in zip(*values, strict=True)) / 1e6

    def measured(run: s3_sink.Run) -> Measured:
        taken = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=folder) as own:
                taken.append(run(values, Path(own)))
        best = min(taken, key=lambda each: each.cpu_s)
        return Measured(rows, best.time_s, best.cpu_s, megabytes)

    return {"limit": partial(measured, s3_sink.by_pyarrow), "moldau": partial(measured, s3_sink.by_the_sink)}


def transforms(records: int) -> dict[str, Callable[[], Measured]]:
    """Five transforms, key and value to JSON with schemas; one thread, its CPU time, the best round."""
    return {"moldau": partial(_our_transforms, records), "java": partial(_java_transforms, records)}


def _our_transforms(records: int) -> Measured:
    ours = records / connect_chain.whole_chain(records, ROUNDS)
    return Measured(records, ours, ours)


def _java_transforms(records: int) -> Measured:
    java = require_tool("java", "openjdk-17-jdk-headless")
    command = [java, *JVM_PERFORMANCE, "-cp", f"{worker_jars()}/*", str(CHAIN), str(records), str(JAVA_ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{CHAIN.name}:\n{done.stdout}{done.stderr}")
    count, nanoseconds = map(int, done.stdout.split()[-2:])
    theirs = nanoseconds / 1e9
    return Measured(count, theirs, theirs)
