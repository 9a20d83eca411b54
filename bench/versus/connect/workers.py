"""Connect workers as processes, Moldau's and Java's with Debezium, each standalone with one connector."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.versus import peers
from bench.versus.apache_kafka import JVM_PERFORMANCE, LOG_SETTINGS
from bench.versus.broker_process import BrokerProcess, Usage, process_usage
from bench.versus.jars import jars_of, require_tool
from bench.versus.ports import free_port

POM: Final = Path(__file__).parent / "java" / "pom.xml"
JSON: Final = "org.apache.kafka.connect.json.JsonConverter"
# What bin/connect-standalone.sh passes.
HEAP: Final = ["-Xms256M", "-Xmx2G"]
STOP_TIMEOUT_S: Final = 60


class Worker:
    """A process that is started and stopped again, and goes on where it was."""

    def __init__(self, command: list[str], log_file: Path, environment: dict[str, str] | None = None) -> None:
        self._command = command
        self._log_file = log_file
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns at once."""
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises with the end of the log when the process is gone."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"the worker has ended:\n{self.log_tail()}")

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self._log_file.read_text(errors="replace").splitlines()[-lines:])

    def usage(self) -> Usage:
        """What it has used since its start."""
        assert self.process is not None
        return process_usage(self.process.pid)

    def stop(self) -> None:
        """Ask it to end, and see to it."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def moldau(folder: Path, node: BrokerProcess, config: Mapping[str, str]) -> Worker:
    """`moldau connect run` with one connector."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "connector.json"
    file.write_text(json.dumps(dict(config)))
    command = [sys.executable, "-m", "moldau", "connect", "run", str(file), "--standalone", str(folder / "offsets")]
    command += ["--bootstrap-servers", node.bootstrap_servers, "--port", str(free_port())]
    return Worker(command, folder / "worker.log", peers.moldau_environment())


def java(folder: Path, node: BrokerProcess, config: Mapping[str, str]) -> Worker:
    """`connect-standalone` of Apache Kafka with the Debezium connector on its class path."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "bootstrap.servers": node.bootstrap_servers,
        "listeners": f"http://127.0.0.1:{free_port()}",
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "60000",
        "key.converter": JSON,
        "value.converter": JSON,
        "plugin.discovery": "only_scan",
    }
    files = []
    for name, properties in (("worker.properties", settings), ("connector.properties", config)):
        file = folder / name
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        files.append(str(file))
    command = [require_tool("java", "openjdk-17-jre-headless"), *HEAP, *JVM_PERFORMANCE]
    command += [f"-Dlog4j2.configurationFile={LOG_SETTINGS}", "-cp", f"{worker_jars()}/*"]
    command += ["org.apache.kafka.connect.cli.ConnectStandalone", *files]
    return Worker(command, folder / "worker.log")


def worker_jars() -> Path:
    """The folder with the jars of the Java worker and of Debezium."""
    return jars_of(POM, "connect-worker-jars")
