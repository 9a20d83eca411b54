"""Runs of chance, one by one by their seeds: the same in every file that has a world to let loose.

`python -m tests.simulation.test_groups_in_chaos 0 5000` tries that many seeds of one. A seed that breaks an invariant
is kept as a file in `regressions/`, with a word on what it found.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "regressions"
SHOWN = 3
"""So many broken runs are told with their tracebacks; the others only by their seeds."""
MANY = [range(first, first + 100) for first in range(0, 2000, 100)]
"""The seeds of `make test-long`."""

long_run = pytest.mark.parametrize("seeds", [pytest.param(some, marks=pytest.mark.slow) for some in MANY], ids=str)


def once_broken(world: str) -> list[object]:
    """The seeds under which an invariant of this world did not hold once."""
    files = sorted(FOLDER.glob(f"{world}-*.json"))
    return [pytest.param(json.loads(file.read_text())["seed"], id=file.stem) for file in files]


def broken(run: Callable[[int], object], seeds: Iterable[int]) -> list[int]:
    """The seeds of the runs that raised."""
    found: list[int] = []
    for seed in seeds:
        try:
            run(seed)
        except Exception:  # noqa: BLE001 -- whatever breaks a run is what is looked for
            found.append(seed)
            if len(found) <= SHOWN:
                print(f"seed {seed}")
                traceback.print_exc()
    return found


def main(run: Callable[[int], object]) -> None:
    """`FIRST LAST` on the command line: these runs, and exit code 1 when one was broken."""
    first, last = map(int, sys.argv[1:])
    found = broken(run, range(first, last))
    print(f"{last - first} runs, {len(found)} broken: {found[:20]}")
    sys.exit(bool(found))
