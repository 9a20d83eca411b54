"""Real clients under faults: what they did and saw is a history without an anomaly.

`make test-faults DURATION=3600` goes on for longer. A finding leaves its history in the folder that it names:
`python -m tests.fault.history FILE` looks at it again.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.fault.faults import FAULTS
from tests.fault.history.verdict import Verdict
from tests.fault.planted import BUGS
from tests.fault.workloads.run import WORKLOADS
from tests.fault.workloads.stage import missing_faults, possible_faults, staged

SEED = 20
EVERY_TIME = {"transform", "transfer"}
"""A part of `make test`; what the others do is in these too, and `make test-long` runs them all."""
PLANTED = {
    ("commit-what-is-aborted", "copy"): {"aborted read", "duplicate"},
    ("abort-in-one-partition", "transfer"): {"lost write", "torn transaction", "money not conserved"},
    ("offsets-outside-of-the-transaction", "transform"): {"skipped poll"},
}


def clean(verdict: Verdict, history_file: Path) -> None:
    assert not verdict.anomalies, f"{verdict.report()}\npython -m tests.fault.history {history_file}"
    assert verdict.counts["sends ok"] > 50, verdict.report()
    assert verdict.counts["records read"] > 50, verdict.report()


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_can_be_had_here(fault: str, tmp_path: Path):
    missing = missing_faults(tmp_path)
    if fault in missing:
        pytest.skip(f"{fault} is left out of every run: {missing[fault]}")


def test_a_fault_waits_for_a_client_when_all_were_just_killed():
    received: list[int] = []
    running = iter([[], [], [SimpleNamespace(send_signal=received.append)]])
    FAULTS["kill client"](SimpleNamespace(clients=running.__next__), random.Random(SEED))
    assert received == [signal.SIGKILL]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "workload", [name if name in EVERY_TIME else pytest.param(name, marks=pytest.mark.slow) for name in WORKLOADS]
)
def test_a_workload_under_every_fault_once_loses_and_tears_nothing(workload: str, tmp_path: Path):
    faults = possible_faults(tmp_path)
    with staged(tmp_path / "run", workload, SEED, faults) as run:
        clean(run.judged(faults, 0), run.history_file)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("bug", "workload"), PLANTED)
def test_a_bug_that_was_planted_is_found_and_named(bug: str, workload: str, tmp_path: Path):
    with staged(tmp_path / "run", workload, SEED, bug=bug, aborts=0.4) as run:
        verdict = run.judged((), 2)
    assert PLANTED[bug, workload] <= verdict.names(), verdict.report()


def test_every_bug_is_planted_somewhere():
    assert {bug for bug, _ in PLANTED} == set(BUGS)


@pytest.mark.timeout(400)
def test_a_disk_that_forgets_what_was_acknowledged_is_found_out(tmp_path: Path):
    with staged(tmp_path / "run", "queue", SEED) as run:
        kill = run.node.kill

        def kill_and_forget() -> None:
            kill()
            for segment in (tmp_path / "run").rglob("queue-*/*.log"):
                os.truncate(segment, segment.stat().st_size // 2)

        run.node.kill = kill_and_forget
        try:
            verdict = run.judged(("kill node",), 0)
        finally:
            run.node.kill = kill
    assert "lost write" in verdict.names(), verdict.report()


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_workloads_and_faults_for_as_long_as_is_asked(tmp_path: Path):
    """`MOLDAU_TEST_FAULTS_DURATION_S` seconds, from the seed `MOLDAU_TEST_FAULTS_SEED` or a new one."""
    from tests.fault.workloads.marathon import marathon

    duration_s = float(os.environ.get("MOLDAU_TEST_FAULTS_DURATION_S") or "300")
    seed = int(os.environ.get("MOLDAU_TEST_FAULTS_SEED") or random.SystemRandom().randrange(1 << 30))
    findings = marathon(tmp_path, duration_s, seed)
    assert not findings, "\n".join(findings)
