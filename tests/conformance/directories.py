"""What tests need that hand a data directory from one broker to the other."""

from __future__ import annotations

from pathlib import Path

from bench.versus.apache_kafka import java, server_properties
from bench.versus.broker_process import BrokerProcess
from bench.versus.ports import free_port


def kafka_on(directory: Path, data: Path, **settings: object) -> BrokerProcess:
    """Apache Kafka on a directory that is formatted already, as the only voter of its quorum."""
    port, controller_port = free_port(), free_port()
    directory.mkdir(exist_ok=True)
    properties = {"log.dirs": str(data), "controller.quorum.voters": f"1@127.0.0.1:{controller_port}"}
    properties |= {key.replace("_", "."): str(value) for key, value in settings.items()}
    file = directory / "server.properties"
    file.write_text(server_properties(directory, port, controller_port, properties))
    return BrokerProcess(java("kafka.Kafka", str(file), jvm_options=["-Xmx512m"]), port, directory / "server.log")
