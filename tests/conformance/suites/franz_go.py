"""franz-go's own tests of its client: classic, consumer-protocol, static and transactional groups over real topics.

The version is the one in `tests/conformance/clients/franz_go/go.mod`; the test binary is built from the Go module
cache. Each test function is one outcome; the environment variables are those of franz-go's `pkg/kgo/helpers_test.go`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.versus.jars import require_tool
from tests.conformance.clients.process import HERE as CLIENTS
from tests.conformance.clients.process import built_once, run_build
from tests.conformance.suites.outcomes import Outcome, Verdict, left_out

NAME = "franz-go"
PACKAGE = "github.com/twmb/franz-go/pkg/kgo"
SUITE_TIMEOUT_S = 900
RECORDS = 50_000
"""franz-go's own default is 500,000 records for each of its pipelines."""
END = re.compile(r"^--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)")
SAID_BY_A_TEST = re.compile(r"\w+_test\.go:\d+: ")
TIDYING_UP = re.compile(r"deleting (group|topic)|NOT DELETING", re.IGNORECASE)
VERDICTS = {"PASS": Verdict.PASSED, "FAIL": Verdict.FAILED, "SKIP": Verdict.SKIPPED}


def prepare() -> Path:
    """Build the test binary; raises MissingToolError without Go."""
    go = require_tool("go", "golang-go, 1.26 or newer")
    sources = [CLIENTS / "franz_go" / name for name in ("go.mod", "go.sum")]
    return built_once(
        "franz-go-tests", sources, lambda folder: run_build([go, "test", "-c", "-o", "kgo.test", PACKAGE], folder)
    )


def version() -> str:
    line = next(line for line in (CLIENTS / "franz_go" / "go.mod").read_text().splitlines() if "franz-go v" in line)
    return line.split()[-1]


def run(bootstrap: str, *, tests: Sequence[str] = (), records: int = RECORDS) -> list[Outcome]:
    """Run the suite against a broker; `tests` are names of test functions, all of them when there are none."""
    folder = prepare()
    environment = {
        **os.environ,
        "KGO_SEEDS": bootstrap,
        "KGO_TEST_RF": "1",
        "KGO_TEST_RECORDS": str(records),
        "KGO_TEST_STABLE_FETCH": "1",
    }
    skipped = "|".join(map(re.escape, left_out(NAME)))
    command = [str(folder / "kgo.test"), "-test.v", f"-test.timeout={SUITE_TIMEOUT_S}s", f"-test.skip=^({skipped})$"]
    if tests:
        command.append(f"-test.run=^({'|'.join(map(re.escape, tests))})$")
    # Some tests read the sources of the package they belong to.
    module = run_build([require_tool("go", "golang-go"), "list", "-f", "{{.Dir}}", PACKAGE], folder).strip()
    done = subprocess.run(
        command, env=environment, cwd=module, capture_output=True, text=True, timeout=SUITE_TIMEOUT_S + 60, check=False
    )
    outcomes = _read(done.stdout)
    if not outcomes or (done.returncode != 0 and not any(outcome.is_failure for outcome in outcomes)):
        last = (done.stdout + done.stderr).strip().splitlines()[-30:]
        outcomes.append(Outcome("the run itself", Verdict.FAILED, said="\n".join(last)))
    return outcomes


def _read(output: str) -> list[Outcome]:
    outcomes: list[Outcome] = []
    words: list[str] = []
    for line in output.splitlines():
        end = END.match(line)
        if end is None:
            words.append(line.strip())
            continue
        verdict = VERDICTS[end[1]]
        said = "" if verdict is Verdict.PASSED else " | ".join(_telling(words))
        outcomes.append(Outcome(end[2], verdict, float(end[3]), said))
        words.clear()
    return outcomes


def _telling(words: Sequence[str]) -> Sequence[str]:
    """Of all that a test said, the first things that went wrong: not its tidying up, which comes after them."""
    told = [line for line in words if SAID_BY_A_TEST.match(line) and not TIDYING_UP.search(line)]
    return told[:12] or words[-6:]
