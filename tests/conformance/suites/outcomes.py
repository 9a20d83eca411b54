"""How the tests of a suite ended, and which of the failures are allowed."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ALLOWED = Path(__file__).parent / "allowed"
HOW = ("fails", "flaky", "left out")


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of a suite; `said` is its last words where it did not pass."""

    test: str
    verdict: Verdict
    seconds: float = 0.0
    said: str = ""

    @property
    def is_failure(self) -> bool:
        return self.verdict in (Verdict.FAILED, Verdict.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Allowance:
    """A failure that is expected, and why.

    `how` is `fails` (it must fail), `flaky` (it may: the suite itself is not sure), or `left out` (it is not run: it
    would wait for minutes for something that is known to be missing). Where only one place of a long test may fail,
    `saying` is what the failure must say.
    """

    test: str
    how: str
    reason: str
    saying: str = ""


def allowances(suite: str) -> dict[str, Allowance]:
    """The table `allowed/<suite>.tsv`: test, how, reason, and what the failure must say, if that matters."""
    with (ALLOWED / f"{suite}.tsv").open(newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if row and not row[0].startswith("#")]
    found = {row[0]: Allowance(*row) for row in rows}
    for allowance in found.values():
        assert allowance.how in HOW, f"{suite}.tsv: {allowance.test} is none of {', '.join(HOW)}"
        assert allowance.reason.strip(), f"{suite}.tsv: no reason for {allowance.test}"
    return found


def left_out(suite: str) -> list[str]:
    """The tests of `allowed/<suite>.tsv` that are not run."""
    return [allowance.test for allowance in allowances(suite).values() if allowance.how == "left out"]


def objections(outcomes: Sequence[Outcome], allowed: Mapping[str, Allowance]) -> list[str]:
    """What must not be: failures that are not allowed, or not in that place, and allowed ones that passed."""
    complaints = []
    for outcome in outcomes:
        allowance = allowed.get(outcome.test)
        if outcome.is_failure and allowance is None:
            complaints.append(f"{outcome.test} {outcome.verdict}: {outcome.said}")
        if outcome.is_failure and allowance is not None and allowance.saying not in outcome.said:
            complaints.append(f"{outcome.test} {outcome.verdict}, but not with {allowance.saying!r}: {outcome.said}")
        if outcome.verdict is Verdict.PASSED and allowance is not None and allowance.how == "fails":
            complaints.append(f"{outcome.test} passed: take it off the list ({allowance.reason})")
    return complaints


def summary(outcomes: Iterable[Outcome]) -> str:
    """The closing line, such as `115 passed, 0 failed, 2 skipped`."""
    count = Counter(outcome.verdict for outcome in outcomes)
    failed = count[Verdict.FAILED] + count[Verdict.TIMED_OUT]
    return f"{count[Verdict.PASSED]} passed, {failed} failed, {count[Verdict.SKIPPED]} skipped"
