"""librdkafka's own tests, in full: no quick mode, and told that the broker is of today, or most would skip themselves.

The sources with their tests come inside the npm package of Confluent's JavaScript client, which is built on them; they
are compiled without TLS and SASL. Every broker test is a process of its own with a time limit. `kafka-topics.sh`, which
some of them call, is a small script over the Java tools. Tests that need no broker are left out: they say nothing
about one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.versus.apache_kafka import java
from bench.versus.jars import require_tool
from tests.conformance.clients.process import built_once, run_build
from tests.conformance.suites.outcomes import Outcome, Verdict

NAME = "librdkafka"
NPM_PACKAGE = "@confluentinc/kafka-javascript@1.10.1"
VERSION = "2.15.1"
BROKER_VERSION = "4.2.0"
TEST_TIMEOUT_S = 420
AT_ONCE = 2
TABLE_ENTRY = re.compile(r"^\s+_TEST\((\w+),([^;]*?)\),?$", re.MULTILINE | re.DOTALL)
TOOLS = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-acls.sh": "kafka.admin.AclCommand",
}


def prepare() -> Path:
    """Build the test runner; the folder has it at `librdkafka/tests/test-runner`."""
    npm, make = require_tool("npm", "npm"), require_tool("make", "make")
    require_tool("g++", "g++")

    def build(folder: Path) -> None:
        run_build([npm, "pack", "--silent", NPM_PACKAGE], folder)
        [package] = folder.glob("*.tgz")
        run_build(["tar", "xzf", package.name, "--strip-components=2", "package/deps/librdkafka"], folder)
        package.unlink()
        sources = folder / "librdkafka"
        run_build(["./configure", "--disable-curl", "--disable-sasl", "--disable-ssl"], sources)
        run_build([make, "-j2", "libs"], sources)
        run_build([make, "-j2", "-C", "tests", "build"], sources)

    folder = built_once("librdkafka-tests", [], build, pinned=NPM_PACKAGE)
    _write_tools(folder / "kafka" / "bin")
    return folder


def version() -> str:
    return VERSION


def names(folder: Path) -> list[str]:
    """The tests that need a broker, in the order of librdkafka's own table."""
    table = (folder / "librdkafka" / "tests" / "test.c").read_text()
    found = TABLE_ENTRY.findall(table)
    return [name for name, flags in found if "TEST_F_LOCAL" not in flags and "TEST_F_MANUAL" not in flags]


def run(
    bootstrap: str,
    *,
    tests: Sequence[str] = (),
    protocol: str = "classic",
    on_end: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run the broker tests, two at a time; `tests` are names or beginnings of names, all when there are none."""
    folder = prepare()
    chosen = [name for name in names(folder) if not tests or name.startswith(tuple(tests))]

    def one(name: str) -> Outcome:
        outcome = _run_one(folder, name, bootstrap, protocol)
        if on_end is not None:
            on_end(outcome)
        return outcome

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, chosen))


def _run_one(folder: Path, name: str, bootstrap: str, protocol: str) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        settings, report = Path(scratch) / "test.conf", Path(scratch) / "report.json"
        settings.write_text(f"bootstrap.servers={bootstrap}\ntest.topic.random=true\ntest.timeout.multiplier=2\n")
        environment = {
            **os.environ,
            "TESTS": name,
            "TEST_KAFKA_VERSION": BROKER_VERSION,
            "TEST_CONSUMER_GROUP_PROTOCOL": protocol,
            "TEST_REPORT": str(report),
            "RDKAFKA_TEST_CONF": str(settings),
            "KAFKA_PATH": str(folder / "kafka"),
            "BROKERS": bootstrap,
            "LD_LIBRARY_PATH": ":".join(str(folder / "librdkafka" / name) for name in ("src", "src-cpp")),
        }
        environment.pop("CI", None)  # It would switch on quick mode.
        started = time.monotonic()
        tests = folder / "librdkafka" / "tests"
        try:
            done = subprocess.run(
                ["./test-runner", "-p1", "-L", "-K"],
                cwd=tests,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TEST_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            said = (expired.stdout or b"").decode(errors="replace")
            return Outcome(name, Verdict.TIMED_OUT, TEST_TIMEOUT_S, _last_words(said))
        seconds = time.monotonic() - started
        state = _state(report, name)
        if done.returncode == 0 and state in ("PASSED", "SKIPPED"):
            verdict = Verdict.PASSED if state == "PASSED" else Verdict.SKIPPED
            return Outcome(name, verdict, seconds, "" if verdict is Verdict.PASSED else _last_words(done.stdout))
        return Outcome(name, Verdict.FAILED, seconds, f"exit {done.returncode}, {state}: {_last_words(done.stdout)}")


def _state(report: Path, name: str) -> str:
    """What the runner's report says of a test: PASSED, SKIPPED, FAILED, or that it never got to write one."""
    if not report.exists():
        return "no report"
    tests = json.loads(report.read_text())["tests"]
    return str(tests[name]["state"]) if name in tests else "not run"


def _last_words(output: str) -> str:
    """The lines of a failure in a long log: its own last FAIL or SKIP lines, or else the end."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in output.splitlines()]
    telling = [line for line in lines if re.search(r"FAIL|SKIP|assert|Assertion|ERROR|mismatch", line)]
    return " | ".join((telling or lines)[-4:])[:1500]


def _write_tools(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, main_class in TOOLS.items():
        script = folder / name
        command = java(main_class, jvm_options=["-XX:TieredStopAtLevel=1", "-Xmx256m"])
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
