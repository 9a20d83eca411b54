"""`python -m bench.versus.streams`: run some rows on some clients, and print or write the page.

python -m bench.versus.streams stateless --clients moldau quix --records 50000   # small, printed
python -m bench.versus.streams all --clients all --rounds 3 --write              # everything; writes its page
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.versus import peers as brokers
from bench.versus.broker_process import BrokerProcess
from bench.versus.streams.orders_registry import OrdersRegistry
from bench.versus.streams.page import Results, page
from bench.versus.streams.peers import BOTH_GUARANTEES, PEERS
from bench.versus.streams.rows import ROWS
from bench.versus.streams.runs import Run, RunFailedError

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "benchmarks-streams.md"
FEWEST = 10_000
SMALL_ROWS = ["stateless", "hourly-revenue"]
SMALL_CLIENTS = ["moldau", "kafka-streams", "quix"]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(given: argparse.Namespace, node: BrokerProcess, registry: OrdersRegistry, folder: Path) -> Results:
    """Every client of a row in turn, round after round. One that fails has that in its place, and the others go on."""
    results = Results()
    for row in given.rows:
        for guarantee in given.guarantees:
            able = [one for one in given.clients if row in PEERS[one].rows and guarantee in PEERS[one].guarantees]
            results.cases += [(row, guarantee, name) for name in able]
            for number in range(given.rounds):
                # In an order that changes, so that a slow minute of the machine does not always fall on the same one.
                for name in able if number % 2 else able[::-1]:
                    peer = PEERS[name]
                    records = max(given.records // peer.divisor_of(row), FEWEST)
                    try:
                        sample = Run(node, registry, peer, ROWS[row], guarantee, folder).measure(records)
                    except RunFailedError as error:
                        results.failed((row, guarantee, name), error.reason)
                        say(f"{row}, {guarantee}, {peer.title}: {error}")
                        continue
                    results.add((row, guarantee, name), sample)
                    rates = f"{sample.records / sample.cpu_s:,.0f} records per CPU second, "
                    say(f"{row}, {guarantee}, {peer.title}: {rates}{sample.records / sample.wall_s:,.0f} by the wall")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.versus.streams", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=SMALL_ROWS, help=f"of {', '.join(ROWS)}, or all")
    parser.add_argument("--clients", nargs="+", default=SMALL_CLIENTS, help=f"of {', '.join(PEERS)}, or all")
    parser.add_argument("--guarantees", nargs="+", choices=BOTH_GUARANTEES, default=list(BOTH_GUARANTEES))
    parser.add_argument("--records", type=int, default=200_000, help="orders of a lot")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--broker", choices=brokers.PEERS, default="moldau")
    parser.add_argument("--directory", type=Path, default=None, help="where data is kept while it runs")
    parser.add_argument(
        "--write",
        type=Path,
        nargs="?",
        const=PAGE,
        help="write a page; docs/reference/benchmarks-streams.md if not said",
    )
    given = parser.parse_args()
    for name, known in (("rows", ROWS), ("clients", PEERS)):
        if getattr(given, name) == ["all"]:
            setattr(given, name, list(known))
        if unknown := [one for one in getattr(given, name) if one not in known]:
            parser.error(f"no {name} {', '.join(unknown)}; there are {', '.join(known)}")
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="moldau-bench-", dir=given.directory) as folder:
        node = brokers.start(given.broker, Path(folder) / "broker")
        try:
            with OrdersRegistry(node.bootstrap_servers) as registry:
                results = measure(given, node, registry, Path(folder))
        finally:
            node.stop()
    facts = {
        "command": " ".join(["python -m bench.versus.streams", *sys.argv[1:]]),
        "broker": brokers.version_of(given.broker),
        "records": given.records,
        "rounds": f"{given.rounds} round{'s' if given.rounds > 1 else ''}",
        "load_before": load_before,
    }
    text = page(results, facts)
    if given.write is not None:
        given.write.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
