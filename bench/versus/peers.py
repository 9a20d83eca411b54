"""The two brokers as processes, each with the settings of Apache Kafka's own server.properties.

Both keep what they are sent in the page cache, as Kafka does by default: no flush per record or per interval.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.versus import apache_kafka
from bench.versus.broker_process import BrokerProcess
from bench.versus.jars import kafka_version
from bench.versus.ports import free_port

PEERS = ("moldau", "kafka")
# Set for both, so that neither is helped by a default of its own.
SHARED = {
    "num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.segment.bytes": "1073741824",
    "auto.create.topics.enable": "false",
}
# Several nodes stand beside each other in one run: none takes a port that everybody knows.
MOLDAU_ALONE = ("--no-registry", "--no-connect", "--override=moldau.http.listener=127.0.0.1:0")


def moldau_environment() -> dict[str, str]:
    """The environment in which `python -m moldau` finds this checkout, however it was installed.

    Its modules stay compiled between starts, as those of an installed package are, whatever this process was told.
    """
    sources = Path(__file__).resolve().parents[2] / "python"
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPATH": f"{sources}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def moldau(directory: Path, settings: dict[str, str] | None = None) -> BrokerProcess:
    """`moldau up` in `directory`, not yet started."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    overrides = [f"--override={key}={value}" for key, value in {**SHARED, **(settings or {})}.items()]
    data = str(directory / "data")
    command = [sys.executable, "-m", "moldau", "up", "--data", data, "--port", str(port), *MOLDAU_ALONE, *overrides]
    return BrokerProcess(command, port, directory / "server.log", moldau_environment())


def start(peer: str, directory: Path, settings: Mapping[str, str] | None = None) -> BrokerProcess:
    """Prepare a peer in an empty folder and start it; it has answered Metadata when this returns."""
    settings = {**SHARED, **(settings or {})}
    node = moldau(directory, settings) if peer == "moldau" else apache_kafka.prepare(directory, settings=settings)
    node.peer = peer
    node.start()
    return node


def version_of(peer: str) -> str:
    """How the peer calls itself in the report."""
    if peer == "kafka":
        return f"Apache Kafka {kafka_version()}"
    command = ["git", "rev-parse", "--short", "HEAD"]
    head = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"Moldau at {head}" if head else "Moldau"
