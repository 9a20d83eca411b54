"""`python -m bench.versus connect`: measure, and print or write the table.

python -m bench.versus connect --quick                  # does it work? small, printed
python -m bench.versus connect changes --rounds 3       # one part of it
python -m bench.versus connect --rounds 3 --write       # everything; writes its page
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.postgres_under_test import postgres_under_test

from bench.versus import peers
from bench.versus.connect import others
from bench.versus.connect.cdc import PEERS, Cdc, Load
from bench.versus.connect.measured import Measured
from bench.versus.connect.page import Row, page

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "reference" / "benchmarks-connect.md"
PARTS: Final = ("changes", "snapshot", "lake", "transforms")
QUICK: Final = {"rows": 20_000, "changes": 4_000, "snapshot": 50_000, "lake": 100_000, "records": 2_000}
# What has been counted need not stay: the disk holds a gigabyte of each topic, however many rows go by.
SETTINGS: Final = {
    "auto.create.topics.enable": "true",
    "log.segment.bytes": str(256 << 20),
    "log.retention.bytes": str(1 << 30),
    "log.retention.check.interval.ms": "5000",
    "log.segment.delete.delay.ms": "1000",
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


Measures = Mapping[str, Callable[[], Measured]]
"""How each of those that are compared is measured, by who it is."""


class Run:
    """Collects rows; whoever does not finish is a note, not the end."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self._given = given
        self._folder = folder
        self._rows: dict[str, tuple[str, list[Mapping[str, Measured]]]] = {}
        self.notes: list[str] = []
        self.postgres = ""

    @property
    def rows(self) -> list[Row]:
        return [Row(name, peer, rounds) for name, (peer, rounds) in self._rows.items()]

    def everything(self) -> None:
        given = self._given
        for number in range(1, given.rounds + 1):
            say(f"round {number} of {given.rounds}")
            if {"changes", "snapshot"} & set(given.parts):
                self._database(self._folder / str(number))
            if "lake" in given.parts:
                self._add("S3 sink", "debezium", lambda: others.lake(given.lake, self._folder))
            if "transforms" in given.parts:
                self._add("five transforms", "java", lambda: others.transforms(given.records))

    def _database(self, folder: Path) -> None:
        with postgres_under_test() as postgres, peers.moldau(folder / "node", SETTINGS) as node:
            self.postgres = postgres.execute("SHOW server_version")[0][0]
            cdc = Cdc(folder, postgres, node, say)
            try:
                if "changes" in self._given.parts:
                    self._changes(cdc)
                if "snapshot" in self._given.parts:
                    self._snapshots(cdc)
            finally:
                cdc.close()
        shutil.rmtree(folder, ignore_errors=True)

    def _changes(self, cdc: Cdc) -> None:
        given = self._given

        def measures(write: Callable[[], Load]) -> Measures:
            load = write()
            by_peers = {peer: partial(cdc.changes_by, peer, load) for peer in cdc.acquainted}
            return {"limit": partial(cdc.stream_to_nowhere, load), **by_peers}

        for peer in PEERS:
            try:
                cdc.acquaint(peer)
            except Exception as error:  # noqa: BLE001
                self._did_not_finish(f"changes, {peer}", error)
        self._add("changes, bulk", "debezium", lambda: measures(lambda: cdc.bulk(given.rows)))
        self._add("changes, pgbench", "debezium", lambda: measures(lambda: cdc.pgbench(given.changes)))
        cdc.part()

    def _snapshots(self, cdc: Cdc) -> None:
        def measures(threads: int) -> Measures:
            cdc.fill(self._given.snapshot)
            by_peers = {peer: partial(cdc.snapshot_by, peer, threads) for peer in PEERS}
            # A COPY has one session.
            return {"limit": cdc.copy_to_nowhere, **by_peers} if threads == 1 else by_peers

        self._add("snapshot, one session", "debezium", lambda: measures(1))
        self._add("snapshot, four sessions", "debezium", lambda: measures(4))

    def _add(self, name: str, peer: str, prepare: Callable[[], Measures]) -> None:
        """`prepare` does what has to be done before, and is not measured."""
        found: dict[str, Measured] = {}
        try:
            measures = prepare()
        except Exception as error:  # noqa: BLE001
            self._did_not_finish(name, error)
            return
        for who, measure in measures.items():
            try:
                found[who] = measure()
            except Exception as error:  # noqa: BLE001
                # Not finishing is a result too; what else was measured stands.
                self._did_not_finish(f"{name}, {who}", error)
                continue
            say(f"{name}, {who}: {found[who]}")
        if found:
            self._rows.setdefault(name, (peer, []))[1].append(found)

    def _did_not_finish(self, name: str, error: Exception) -> None:
        said = str(error).splitlines() or [""]
        self.notes.append(f"{name} did not finish: {type(error).__name__}: {said[0]}")
        say(f"{name} did not finish: {error}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.versus connect", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; without any: all")
    parser.add_argument("--rows", type=int, default=500_000, help="of the large transaction")
    parser.add_argument("--changes", type=int, default=100_000, help="of small transactions")
    parser.add_argument("--snapshot", type=int, default=10_000_000, help="rows of the table that is read whole")
    parser.add_argument("--lake", type=int, default=500_000, help="rows for the S3 sink")
    parser.add_argument("--records", type=int, default=20_000, help="for the transforms")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small numbers")
    parser.add_argument("--directory", type=Path, default=None, help="where data is kept while it runs")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.parts if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    given.parts = given.parts or list(PARTS)
    if given.quick:
        vars(given).update(QUICK)
    load_before = os.getloadavg()[0]
    # What was started stands in `with` blocks: SIGTERM has to unwind them, as an interrupt does.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="moldau-bench-", dir=given.directory) as folder:
        run = Run(given, Path(folder))
        run.everything()
    facts = {
        "command": " ".join(
            ["python -m bench.versus connect", *(arguments if arguments is not None else sys.argv[1:])]
        ),
        "postgres": run.postgres or "(not asked)",
        "rounds": f"{given.rounds} rounds" if given.rounds > 1 else "one round",
        "rows": given.rows,
        "changes": given.changes,
        "snapshot": given.snapshot,
        "lake": given.lake,
        "load_before": load_before,
    }
    text = page(run.rows, run.notes, facts)
    if given.write:
        PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
