"""`moldau lag`: how far groups are behind, in records and in seconds, and when they will have caught up.

`arithmetic` says what a lag is, `reading` asks a cluster for what it is made of. Any Kafka will do.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.lag.arithmetic import Sample, is_over, records, sums
from moldau.cli.lag.reading import LagReader
from moldau.cli.outcome import ThresholdError, UsageError
from moldau.cli.output import Output, say

COLUMNS: Final = ("group", "topic", "partition", "committed", "end", "lag", "lag_s", "per_s", "catch_up_s")
SUM_COLUMNS: Final = ("group", "topic", "partitions", "behind", "lag", "lag_s", "per_s", "catch_up_s")
"""What fits a terminal; programs get everything."""
CLEAR: Final = "\033[H\033[2J"
"""Home, and wipe: a table that is watched stays where it is."""


def show_lag(
    *groups: str,
    topic: Annotated[list[str] | None, Parameter(name=["--topic", "-t"], negative=())] = None,
    threshold: int | None = None,
    threshold_seconds: float | None = None,
    over: float = 1.0,
    watch: float | None = None,
    isolation: Literal["read-committed", "read-uncommitted"] = "read-committed",
    partitions: bool = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Show how far consumer groups are behind, in records and in seconds. With a threshold, end with 6 above it.

    Parameters
    ----------
    groups
        Their names. Without any every group, as one line for each of its topics.
    topic
        Only this topic, also where the group has committed nothing yet; may be given many times.
    threshold
        End with exit code 6 when a partition is more than this many records behind.
    threshold_seconds
        End with exit code 6 when the next record of a partition has been waiting for longer.
    over
        Seconds between the two looks that rates and the time to catch up come from; 0 looks once and tells none.
    watch
        Look again every so many seconds, until Ctrl-C or until a threshold is passed.
    isolation
        How the group reads. With read-committed the end is the last stable offset.
    partitions
        A line for each partition also of groups that were not named. Programs get each partition in any case.
    """
    if over < 0 or (watch is not None and watch <= 0):
        raise UsageError("--over and --watch are numbers of seconds")
    reader = LagReader(connection, groups, topic or (), committed=isolation == "read-committed")
    before: Sample | None = None
    if over > 0:
        before = reader.sample()
        time.sleep(over)
    while True:
        now = reader.sample()
        rows = _rows(reader, before, now, threshold, threshold_seconds)
        _print(rows, output, watched=watch is not None, summed=not groups and not partitions)
        _tell_thresholds(rows)
        if watch is None:
            return
        before = now
        time.sleep(watch)


def _rows(
    reader: LagReader, before: Sample | None, now: Sample, threshold: int | None, threshold_seconds: float | None
) -> list[dict[str, Any]]:
    first = reader.first_records(now)
    rows = records(before, now, first, time.time_ns() // 1_000_000)
    return [{**row, "over": is_over(row, threshold, threshold_seconds)} for row in rows]


def _print(rows: list[dict[str, Any]], output: Output, *, watched: bool, summed: bool) -> None:
    if watched and output.for_eyes and sys.stdout.isatty():
        print(CLEAR, end="")
    if not output.for_eyes:
        output.records(rows, ())
    elif summed:
        output.records(map(_for_eyes, sums(rows)), SUM_COLUMNS)
    else:
        output.records(map(_for_eyes, rows), COLUMNS)
    sys.stdout.flush()
    if not output.for_eyes:
        return
    if not rows:
        say("no group has committed anything")
    if lost := sum(row["lost"] for row in rows):
        say(f"note: {lost:,} records were deleted before they were read")
    if undecided := sum({(row["topic"], row["partition"]): row["undecided"] for row in rows}.values()):
        say(f"note: {undecided:,} offsets belong to transactions that are open, and wait for their end")


def _for_eyes(row: dict[str, Any]) -> dict[str, Any]:
    def rounded(name: str) -> float | None:
        return None if row[name] is None else round(row[name], 1)

    shown = {"end": row.get("end_offset"), "lag_s": rounded("lag_s"), "per_s": rounded("consumed_per_s")}
    return {**row, **shown, "catch_up_s": rounded("catch_up_s")}


def _tell_thresholds(rows: list[dict[str, Any]]) -> None:
    over = [row for row in rows if row["over"]]
    if over:
        worst = max(over, key=lambda row: row["lag"])
        raise ThresholdError(
            f"{len(over)} of {len(rows)} partitions are over the threshold; {worst['group']} is {worst['lag']:,} "
            f"records behind in {worst['topic']}-{worst['partition']}"
        )
