"""`python -m bench.versus`: run the comparison and write the table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.versus.report import markdown
from bench.versus.rounds import LOADS, Bench, Plan

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.versus", description="Moldau beside Apache Kafka.")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds, after one of warm-up")
    parser.add_argument(
        "--megabytes", type=int, default=200, help="bytes of a throughput row (the wire client: 3 times)"
    )
    parser.add_argument("--latency-count", type=int, default=3000, help="records of a latency row")
    parser.add_argument("--clients", nargs="+", choices=list(LOADS), default=list(LOADS))
    parser.add_argument("--quick", action="store_true", help="one small round, printed and not written: does it work?")
    parser.add_argument("--directory", type=Path, default=None, help="where the brokers keep their data while it runs")
    parser.add_argument("--write", type=Path, default=PAGE, help="the page to write")
    given = parser.parse_args()
    plan = Plan(given.rounds, given.megabytes, given.latency_count, tuple(given.clients))
    if given.quick:
        plan = Plan(1, 8, 200, tuple(given.clients), (1024,), (1,))
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="moldau-bench-", dir=given.directory) as folder:
        results = Bench(plan, Path(folder), lambda text: print(text, file=sys.stderr, flush=True)).run()
    command = " ".join(["python -m bench.versus", *sys.argv[1:]])
    page = markdown(results, plan, command, load_before)
    if not given.quick:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        given.write.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
