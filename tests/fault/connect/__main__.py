"""`python -m tests.fault.connect [--duration S] [--seed N]`: change data capture into a lake, under kill -9.

Runs one after the other until the time is over. The folder of a run in which something was found stays. `--only N` is
one run again, by the seed that its finding was printed with. Status 1 when there is a finding. The seed decides
faults, moments and what writers do, not how processes interleave.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fault.connect.planted import BUGS
from tests.fault.connect.run import STORES, Run

RUN_S = 25


def marathon(folder: Path, duration_s: float, seed: int, given: argparse.Namespace | None = None) -> int:
    """Runs until the time is over, or the one that is asked for; how many of them found something."""
    say(f"seed {seed}")
    chance = random.Random(seed)
    until = time.monotonic() + duration_s
    done, counts, findings, runs = Counter[str](), Counter[str](), 0, 0
    only, bug, store, faults, once = (None, None, None, [], None) if given is None else (
        given.only, given.bug, given.store, given.fault, given.once
    )  # fmt: skip
    while runs == 0 or (only is None and time.monotonic() < until):
        number = chance.randrange(1 << 30) if only is None else only
        run = Run(folder / f"run-{runs}", number, bug, store, once=once)
        runs += 1
        try:
            verdict = run.judged(RUN_S, faults)
        except Exception as error:  # noqa: BLE001 - the other runs go on, this one is a finding
            findings += 1
            say(f"run with seed {number}: {type(error).__name__}: {error}\n    {run.folder}")
            continue
        done, counts = done + run.done, counts + verdict.counts
        promise = "exactly" if run.once else "at least"
        say(f"run with seed {number}, {promise} once: {verdict.report()}")
        if verdict.anomalies:
            findings += 1
            say(f"    {run.folder}")
        else:
            shutil.rmtree(run.folder)
    for what in (done, counts):
        say(", ".join(f"{count} {name}" for name, count in sorted(what.items())))
    say(f"seed {seed}: {runs} runs, {findings} with findings")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.connect")
    parser.add_argument("--duration", type=float, default=300, help="seconds in all (300)")
    parser.add_argument("--seed", type=int, default=None, help="chosen by chance if not given, and printed")
    parser.add_argument("--only", type=int, default=None, help="the seed of one run")
    parser.add_argument("--store", choices=STORES, help="where the lake is; the seed chooses if it is not given")
    parser.add_argument("--once", action=argparse.BooleanOptionalAction, help="whether the source is exactly once")
    parser.add_argument("--fault", action="append", default=[], help="may be given many times; all if not given")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant one, to see that it is found")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 30) if given.seed is None else given.seed
    return 1 if marathon(Path(tempfile.mkdtemp(prefix="moldau-connect-")), given.duration, seed, given) else 0


def say(text: str) -> None:
    """To where it is seen while it goes on: pytest takes stdout."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.__stderr__, flush=True)


if __name__ == "__main__":
    sys.exit(main())
