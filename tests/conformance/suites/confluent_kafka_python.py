"""confluent-kafka-python's integration tests of admin, consumer and producer, and of the registry when one is named.

They are not part of any package: `checkout` is a clone of the repository, at the tag of the installed client. They run
with this project's interpreter and the client that is installed in it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.suites.outcomes import Outcome, Verdict

NAME = "confluent-kafka-python"
SUITE_TIMEOUT_S = 1800
END = re.compile(r"^(\S+::\S.*?) (PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)\b")
VERDICTS = {"PASSED": Verdict.PASSED, "XFAIL": Verdict.PASSED, "SKIPPED": Verdict.SKIPPED}


def version() -> str:
    import confluent_kafka

    return str(confluent_kafka.__version__)


def run(
    bootstrap: str, *, checkout: Path, tests: Sequence[str] = ("admin", "consumer", "producer"), registry: str = ""
) -> list[Outcome]:
    """Run the folders `tests` of `checkout`'s integration tests against a broker, and a registry at a URL."""
    folders = [f"tests/integration/{name}" for name in tests]
    command = [
        *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:moldau.testing.plugin"),
        *("--timeout=300", "--import-mode=importlib", *folders),
    ]
    environment = {**os.environ, "BROKERS": bootstrap, "SR_URL": registry or "http://127.0.0.1:1"}
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=SUITE_TIMEOUT_S, check=False
    )
    outcomes = [
        Outcome(found[1], VERDICTS.get(found[2], Verdict.FAILED), said=_reason(done.stdout, found[1]))
        for line in done.stdout.splitlines()
        if (found := END.match(line))
    ]
    if not outcomes:
        outcomes.append(Outcome("the run itself", Verdict.FAILED, said=(done.stdout + done.stderr)[-3000:]))
    return outcomes


def _reason(output: str, test: str) -> str:
    """The line of pytest's short summary about a test."""
    line = next((line for line in output.splitlines() if re.match(rf"(FAILED|ERROR) {re.escape(test)}", line)), "")
    return line.partition(" - ")[2][:400]
