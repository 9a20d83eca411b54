"""Apache Kafka as a peer: one node in KRaft mode, in a folder of its own, with the settings of its own quick start.

`python -m bench.versus.apache_kafka --port 19092` runs one until interrupted, which is how the conformance tests are
run against the real thing: `MOLDAU_TEST_BOOTSTRAP=127.0.0.1:19092 pytest tests/conformance`.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.versus.broker_process import BrokerProcess
from bench.versus.jars import kafka_jars, require_tool
from bench.versus.ports import free_port
from moldau.server.storage import random_uuid, uuid_to_text

LOG_SETTINGS = Path(__file__).parent / "kafka" / "log4j2.properties"

# What bin/kafka-run-class.sh passes; the heap is the one of bin/kafka-server-start.sh.
HEAP = ["-Xmx1G", "-Xms1G"]
JVM_PERFORMANCE = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
]


def java(main_class: str, *arguments: str, jvm_options: list[str] | None = None) -> list[str]:
    """The command line that runs a class out of Kafka's jars."""
    options = jvm_options if jvm_options is not None else []
    class_path = f"{kafka_jars()}/*"
    settings = f"-Dlog4j2.configurationFile={LOG_SETTINGS}"
    return [
        require_tool("java", "openjdk-17-jre-headless"),
        *options,
        settings,
        "-cp",
        class_path,
        main_class,
        *arguments,
    ]


def server_properties(directory: Path, port: int, controller_port: int, settings: Mapping[str, str]) -> str:
    """config/server.properties of Kafka 4.3 with our ports and folder; `settings` win."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "num.network.threads": "3",
        "num.io.threads": "8",
        "socket.send.buffer.bytes": "102400",
        "socket.receive.buffer.bytes": "102400",
        "socket.request.max.bytes": "104857600",
        "log.dirs": str(directory / "data"),
        "num.partitions": "1",
        "num.recovery.threads.per.data.dir": "2",
        "offsets.topic.replication.factor": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "log.retention.hours": "168",
        "log.segment.bytes": "1073741824",
        "log.retention.check.interval.ms": "300000",
        "group.initial.rebalance.delay.ms": "0",
    }
    properties.update(settings)
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def prepare(directory: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> BrokerProcess:
    """Format `directory` and return the node, not yet started."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    file = directory / "server.properties"
    file.write_text(server_properties(directory, port, free_port(), settings or {}))
    cluster_id = uuid_to_text(random_uuid())
    arguments = ("format", "--standalone", "-t", cluster_id, "-c", str(file))
    done = subprocess.run(java("kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"kafka-storage format failed:\n{done.stdout}{done.stderr}")
    command = java("kafka.Kafka", str(file), jvm_options=HEAP + JVM_PERFORMANCE)
    return BrokerProcess(command, port, directory / "server.log")


def main() -> None:
    """Run one node until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Run one Apache Kafka node in a temporary folder.")
    parser.add_argument("--port", type=int, default=None, help="port of the client listener (default: a free one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="apache-kafka-") as folder, prepare(Path(folder), arguments.port) as node:
        print(f"{node.bootstrap_servers} ready after {node.ready_after_s:.1f} s in {folder}", flush=True)
        # SIGTERM has to unwind the two `with` blocks, as an interrupt does: the node must not outlive its driver.
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
