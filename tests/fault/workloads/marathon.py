"""Workloads and faults in turn, for as long as is asked, from a seed that is printed."""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path

from tests.fault.workloads.run import WORKLOADS
from tests.fault.workloads.stage import possible_faults, staged

ROUND_S = 15


def marathon(folder: Path, duration_s: float, seed: int) -> list[str]:
    """Rounds until the time is over; what was found, each with its seed. The folder of a clean round is removed."""
    began = time.monotonic()
    until = began + duration_s
    faults = possible_faults(folder)
    chance = random.Random(seed)
    say(f"seed {seed}, faults {faults}")
    findings = []
    number = 0
    while time.monotonic() < until:
        workload = list(WORKLOADS)[number % len(WORKLOADS)]
        # One fault, then two, then three together, so that a finding points at something.
        chosen = chance.sample(faults, 1 + number // len(WORKLOADS) % 3)
        round_seed = chance.randrange(1 << 30)
        if finding := _round(folder / f"round-{number}", workload, round_seed, chosen):
            findings.append(finding)
            say(finding)
        number += 1
    say(f"seed {seed}: {number} rounds in {time.monotonic() - began:.0f} s, {len(findings)} findings")
    return findings


def _round(folder: Path, workload: str, seed: int, faults: list[str]) -> str:
    what = f"{workload} with {faults}, seed {seed}"
    try:
        with staged(folder, workload, seed, faults) as run:
            verdict = run.judged(faults, ROUND_S)
    except Exception as error:  # noqa: BLE001 - the other rounds go on, this one is a finding
        return f"{what}: {type(error).__name__}: {error}\n    {folder}"
    if verdict.anomalies:
        return f"{what}:\n{verdict.report()}\n    {run.history_file}"
    say(f"{what}: {verdict.report().splitlines()[0]}")
    shutil.rmtree(folder)
    return ""


def say(text: str) -> None:
    """To where it is seen while it goes on: pytest takes stdout."""
    print(text, file=sys.__stderr__, flush=True)
