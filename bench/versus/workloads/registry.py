"""The schema registry, alone in a process beside the broker: registrations, lookups, start with what it holds, memory.

The registry beside Apache Kafka is Apicurio 3.3.3, through its interface for Confluent's clients and with its schemas
in Kafka: Confluent's own is not in Maven Central. The CPU is that of the registry's process. Eight connections, each
with one request at a time. New schemas are Avro records under 100 subjects with compatibility NONE; a known one is
registered again. The start is that of a registry that finds all those schemas in its topic.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.versus import apicurio
from bench.versus.broker_process import BrokerProcess
from bench.versus.peers import moldau_environment
from bench.versus.ports import free_port
from bench.versus.sample import Sample
from bench.versus.workloads import Workload, measured, percentiles, rate

SCHEMAS, QUICK_SCHEMAS = 10_000, 100
LOOKUPS, QUICK_LOOKUPS = 5_000, 100
SUBJECTS = 100
CONNECTIONS = 8
START_TIMEOUT_S = 300
Request = tuple[str, str, dict[str, str] | None]
"""Method, path and body."""
HEADERS = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


class RegistryProcess(BrokerProcess):
    """A registry as a child process; ready when it lists its subjects, which it does when it has read its topic."""

    def __init__(self, node: BrokerProcess, topic: str) -> None:
        """`moldau registry` on a Moldau node, Apicurio on Apache Kafka."""
        port = free_port()
        if node.peer == "moldau":
            self.prefix = ""
            command = [sys.executable, "-m", "moldau", "registry", "--bootstrap-servers", node.bootstrap_servers]
            command += ["--port", str(port), "--topic", topic, "--group", topic, "--compatibility", "NONE"]
            environment = moldau_environment()
        else:
            self.prefix = apicurio.PREFIX
            command, environment = apicurio.command(port, node.bootstrap_servers, topic)
        super().__init__(command, port, node.log_file.with_name("registry.log"), environment)

    def answers(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", f"{self.prefix}/subjects")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        started = time.monotonic()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"the registry ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() - started > timeout_s:
                self.kill()
                raise RuntimeError(f"the registry does not answer after {timeout_s:.0f} s:\n{self.log_tail()}")
            time.sleep(0.005)
        self.ready_after_s = time.monotonic() - started


def _schema(number: int) -> dict[str, str]:
    fields = [{"name": "id", "type": "long"}, {"name": f"field_{number}", "type": ["null", "string"], "default": None}]
    return {"schema": json.dumps({"type": "record", "name": "Order", "fields": fields})}


def _register(number: int) -> Request:
    return "POST", f"/subjects/bench-{number % SUBJECTS}/versions", _schema(number)


def _call(connection: http.client.HTTPConnection, method: str, path: str, body: object) -> float:
    started = time.perf_counter()
    connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
    return time.perf_counter() - started


def _calls(
    registry: RegistryProcess, count: int, request: Callable[[int], tuple[str, str, dict[str, str] | None]]
) -> list[float]:
    """`count` requests over all connections; the seconds of each."""
    numbers = itertools.count()

    def work(_connection_number: int) -> list[float]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", registry.port, timeout=60)) as connection:
            found = []
            while (number := next(numbers)) < count:
                method, path, body = request(number)
                found.append(_call(connection, method, registry.prefix + path, body))
            return found

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [taken for one in pool.map(work, range(CONNECTIONS)) for taken in one]


def measure(node: BrokerProcess, quick: bool) -> Iterator[Sample]:
    schemas = QUICK_SCHEMAS if quick else SCHEMAS
    lookups = QUICK_LOOKUPS if quick else LOOKUPS
    topic = f"_schemas-{uuid.uuid4().hex[:8]}"
    registry = RegistryProcess(node, topic)
    registry.start()
    try:
        for row, count, request in (
            ("registry, new schemas", schemas, _register),
            ("registry, known schemas", lookups, lambda number: _register(number % schemas)),
            ("registry, by id", lookups, lambda number: ("GET", f"/schemas/ids/{1 + number % schemas}", None)),
            ("registry, latest of a subject", lookups, _latest),
        ):
            with measured(registry) as taken:
                latencies = _calls(registry, count, request)
            yield rate(row, "request", count, taken)
            yield from percentiles(row, latencies)
        registry.stop()
        registry.start()
        start_ms, cpu_ms = registry.ready_after_s * 1e3, registry.usage().cpu_s * 1e3
        row = f"registry, start with {schemas:,} schemas"
        yield Sample(row, "ms", start_ms, cpu_ms, "ms/start", lower_is_better=True)
        resident = registry.usage().resident_bytes / 2**20
        yield Sample(f"registry, resident with {schemas:,} schemas", "MiB", resident, lower_is_better=True)
    finally:
        if registry.is_running():
            registry.stop()


def _latest(number: int) -> tuple[str, str, None]:
    return "GET", f"/subjects/bench-{number % SUBJECTS}/versions/latest", None


WORKLOAD = Workload(measure)
