"""`python -m bench.versus`: run the comparison and write the table.

python -m bench.versus                          # Produce, Fetch and start; writes its page
python -m bench.versus transactions --quick     # one workload of the control plane, small, printed
python -m bench.versus all --rounds 2           # every workload; writes the page of the control plane
python -m bench.versus connect --quick          # Connect beside Debezium: see bench/versus/connect
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.versus.connect.__main__ import main as connect
from bench.versus.report import throughput_page, workloads_page
from bench.versus.rounds import LOADS, Bench, Plan
from bench.versus.workloads.runs import WORKLOADS, Runs, about

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
THROUGHPUT_PAGE = REFERENCE / "benchmarks.md"
CONTROL_PAGE = REFERENCE / "benchmarks-control-plane.md"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def throughput(given: argparse.Namespace, directory: Path, command: str) -> str:
    """Produce and Fetch: the page."""
    plan = Plan(given.rounds, given.megabytes, given.latency_count, tuple(given.clients))
    if given.quick:
        plan = Plan(1, 8, 200, tuple(given.clients), (1024,), (1,))
    load_before = os.getloadavg()[0]
    results = Bench(plan, directory, say).run()
    return throughput_page(results, plan.rounds, command, load_before)


def workloads(given: argparse.Namespace, directory: Path, command: str) -> str:
    """Some workloads, or all: the page."""
    names = list(WORKLOADS) if "all" in given.workloads else list(dict.fromkeys(given.workloads))
    load_before = os.getloadavg()[0]
    runs = Runs(directory, 1 if given.quick else given.rounds, given.quick, say)
    for name in names:
        runs.run(name)
    return workloads_page(runs.results, runs.rounds, command, load_before, about(names))


def main() -> None:
    if sys.argv[1:2] == ["connect"]:
        # Other peers, other rows: it has a page and options of its own.
        connect(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench.versus", description="Moldau beside Apache Kafka.")
    known = ["all", *WORKLOADS]
    parser.add_argument(
        "workloads", nargs="*", help=f"workloads of the control plane: {', '.join(known)}; without any: throughput"
    )
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds, after one of warm-up")
    parser.add_argument(
        "--megabytes", type=int, default=200, help="bytes of a throughput row (the wire client: 3 times)"
    )
    parser.add_argument("--latency-count", type=int, default=3000, help="records of a latency row")
    parser.add_argument("--clients", nargs="+", choices=list(LOADS), default=list(LOADS))
    parser.add_argument("--quick", action="store_true", help="one small round, printed and not written: does it work?")
    parser.add_argument("--directory", type=Path, default=None, help="where the brokers keep their data while it runs")
    parser.add_argument("--write", type=Path, default=None, help="the page to write instead of the one in docs/")
    given = parser.parse_args()
    # Not `choices`: argparse of Python 3.11 holds the empty list against them too.
    if unknown := [name for name in given.workloads if name not in known]:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(known)}")
    command = " ".join(["python -m bench.versus", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="moldau-bench-", dir=given.directory) as folder:
        page = (workloads if given.workloads else throughput)(given, Path(folder), command)
    target = given.write
    if target is None and not given.quick and (not given.workloads or "all" in given.workloads):
        target = CONTROL_PAGE if given.workloads else THROUGHPUT_PAGE
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
