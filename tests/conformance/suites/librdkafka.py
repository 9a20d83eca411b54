"""librdkafka's own tests, in full: no quick mode, and told that the broker is of today, or most would skip themselves.

The sources with their tests come inside the npm package of Confluent's JavaScript client, which is built on them; they
are compiled without TLS and SASL. Every number of a test is a process of its own with a time limit. What some of them
call, `kafka-topics.sh` for one, is a small script over the Java tools. Tests that need no broker are left out: they say
nothing about one.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.versus.apache_kafka import java
from bench.versus.jars import require_tool
from tests.conformance.clients.process import built_once, run_build
from tests.conformance.suites.outcomes import Outcome, Verdict, left_out

NAME = "librdkafka"
NPM_PACKAGE = "@confluentinc/kafka-javascript@1.10.1"
VERSION = "2.15.1"
BROKER_VERSION = "4.2.0"
TEST_TIMEOUT_S = 1200
AT_ONCE = 2
TABLE_ENTRY = re.compile(r"^\s+_TEST\((\w+),([^;]*?)\),?$", re.MULTILINE | re.DOTALL)
STATES = {"PASSED": Verdict.PASSED, "SKIPPED": Verdict.SKIPPED}
TOOLS = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
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
    """Run the broker tests, two processes at a time; `tests` are beginnings of names, all when there are none.

    The runner chooses by number, and a number may have several tests: they run in one process, one after the other.
    """
    folder = prepare()
    omitted = left_out(suite_of(protocol))
    chosen = [name for name in names(folder) if name not in omitted and (not tests or name.startswith(tuple(tests)))]
    numbers = {number: list(members) for number, members in itertools.groupby(chosen, lambda name: name[:4])}

    def one(number: str) -> list[Outcome]:
        outcomes = _run_number(folder, number, numbers[number], bootstrap, protocol)
        for outcome in outcomes:
            if on_end is not None:
                on_end(outcome)
        return outcomes

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [outcome for outcomes in pool.map(one, numbers) for outcome in outcomes]


def suite_of(protocol: str) -> str:
    """Which table of allowances holds for groups of this protocol."""
    return NAME if protocol == "classic" else f"{NAME}-{protocol}"


def _run_number(folder: Path, number: str, members: Sequence[str], bootstrap: str, protocol: str) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as scratch:
        settings, report = Path(scratch) / "test.conf", Path(scratch) / "report.json"
        settings.write_text(f"bootstrap.servers={bootstrap}\ntest.topic.random=true\ntest.timeout.multiplier=2\n")
        environment = {
            **os.environ,
            "TESTS": number,
            "TEST_KAFKA_VERSION": BROKER_VERSION,
            "TEST_CONSUMER_GROUP_PROTOCOL": protocol,
            "TEST_REPORT": str(report),
            "RDKAFKA_TEST_CONF": str(settings),
            "KAFKA_PATH": str(folder / "kafka"),
            "BROKERS": bootstrap,
            "LD_LIBRARY_PATH": ":".join(str(folder / "librdkafka" / name) for name in ("src", "src-cpp")),
        }
        environment.pop("CI", None)  # It would switch on quick mode.
        limit_s = TEST_TIMEOUT_S * len(members)
        try:
            done = subprocess.run(
                ["./test-runner", "-p1", "-L", "-K"],
                cwd=folder / "librdkafka" / "tests",
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            said = last_words((expired.stdout or b"").decode(errors="replace"))
            return [Outcome(name, Verdict.TIMED_OUT, limit_s, said) for name in members]
        return _read_report(report, members, done.returncode, done.stdout)


def _read_report(report: Path, members: Sequence[str], code: int, output: str) -> list[Outcome]:
    """What the runner's report says of each test. One that ends badly without naming a test is a failure of all."""
    tests = json.loads(report.read_text())["tests"] if report.exists() else {}
    states = {name: tests.get(name, {"state": "not run"}) for name in members}
    blamed = [name for name, told in states.items() if told["state"] not in STATES]
    if code != 0 and not blamed:
        blamed = list(members)
    said = last_words(output)
    return [
        Outcome(name, Verdict.FAILED, told.get("duration", 0.0), f"exit {code}, {told['state']}: {said}")
        if name in blamed
        else Outcome(name, STATES[told["state"]], told["duration"], "" if told["state"] == "PASSED" else said)
        for name, told in states.items()
    ]


def last_words(output: str) -> str:
    """The lines of a failure in a long log: its own last lines that tell of one, or else the end."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in output.splitlines()]
    telling = [line for line in lines if re.search(r"FAIL|SKIP|timed out|assert|Assertion|ERROR|mismatch", line)]
    return " | ".join((telling or lines)[-4:])[:1500]


def _write_tools(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, main_class in TOOLS.items():
        script = folder / name
        command = java(main_class, jvm_options=["-XX:TieredStopAtLevel=1", "-Xmx256m"])
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
