"""`moldau demo shop`: the guide's shop, from PostgreSQL to a lake, and a count that agrees at every stage.

When a check fails the command fails.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.interrupts import INTERRUPTS
from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output, emphasised, say

if TYPE_CHECKING:
    from moldau.cli.demo.shop.shop import Report

NEEDED: Final = ("psycopg", "pyarrow", "rocksdict", "avro", "httpx")
"""A module of each extra that takes part."""
INSTALL: Final = "pip install 'moldau[demo]'"


def run_shop(
    *,
    count: Annotated[int, Parameter(name=["--orders", "-n"])] = 5_000,
    seconds: Annotated[float, Parameter(name=["--seconds", "-s"])] = 20.0,
    folder: Path | None = None,
    output: Output = Output(),
) -> None:
    """Sell things: orders in PostgreSQL, their changes in topics, hourly revenue by Streams, Parquet in a lake.

    It ends with a count that is exact: every order is held against what PostgreSQL has, at every stage, and the
    revenue of each hour in SQL, in the store of the streams application and in the lake.

    Parameters
    ----------
    count
        How many orders are placed.
    seconds
        Over how many seconds.
    folder
        Where topics, state, the lake and what each part says are kept; all of it is gone without it.
    """
    from moldau.cli.demo.shop.screen import Lines, Screen
    from moldau.cli.demo.shop.shop import Shop

    if count < 1:
        raise UsageError("there are no orders")
    _look_for_packages()
    # Whoever tells the demo to stop, or closes its terminal, stops its parts as well.
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, INTERRUPTS.interrupt)

    def tell(step: str, text: str) -> None:
        line = f"{step:8} {text}"
        if output.for_eyes:
            print(f"{emphasised(f'{step:8}', sys.stdout)} {text}", flush=True)
        else:
            say(line)

    started = time.monotonic()
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moldau-shop-")))
        else:
            _take(folder)
        shop = Shop(folder.resolve(), count, seconds, tell)
        report = shop.run(Screen() if output.for_eyes and sys.stdout.isatty() else Lines(tell))
        if not output.for_eyes:
            output.record(as_record(report), ("state", "orders", "seconds"))
    for finding in report.findings:
        tell("check", f"{'ok  ' if finding.passed else 'FAIL'} {finding.text}")
    customer, address, entries = report.best
    spent = sum(Decimal(entry["value"]) for entry in entries)
    tell("query", f"{customer} spent {spent:,.2f} in {len(entries)} hours, said")
    tell("", address)
    failed = sum(not finding.passed for finding in report.findings)
    if failed:
        raise RefusedError(f"{failed} of {len(report.findings)} checks failed")
    tell("done", f"{count:,} orders, equal at every stage, in {time.monotonic() - started:.1f} s")


def _look_for_packages() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"the shop needs packages that are not installed: {', '.join(missing)}", INSTALL)


def _take(folder: Path) -> None:
    """Make the folder. Raises UsageError when something is in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", "name a new folder")
    except OSError as error:
        raise UsageError(f"{folder} cannot be used: {error.strerror}") from error


def as_record(report: Report) -> dict[str, Any]:
    """What programs get."""
    figures = report.figures
    median, worst = figures.latency_ms
    return {
        "orders": figures.total,
        "seconds": round(figures.seconds, 1),
        "stages": [{"part": one.part, "what": one.what, "count": one.count} for one in figures.stages],
        "revenue": {place: str(sum(hours.values())) for place, hours in report.revenue.items()},
        "latency_ms": {"median": median, "p99": worst},
        "checks": [{"passed": one.passed, "text": one.text} for one in report.findings],
    }
