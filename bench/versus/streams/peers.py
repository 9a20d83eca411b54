"""The peers: what each one's client is started with, and where it comes from.

Python peers live in an environment of their own under the user's cache, made with uv from pinned packages the first
time; Kafka Streams' jars come from Maven Central and its client is compiled once. Nothing of them is in our lock.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.versus.jars import jars_of, made_once, require_tool
from bench.versus.peers import moldau_environment

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
INSTALL_TIMEOUT_S = 900
KAFKA_CLIENT = "confluent-kafka[avro,schemaregistry]==2.16.1"
QUIX = ("quixstreams[avro]==3.28.1", "confluent-kafka[avro,schemaregistry]==2.12.2")
FAUST = ("faust-streaming[orjson,rocksdict,uvloop]==0.15.3", "aiokafka==0.14.0", "orjson==3.13.0", "rocksdict==0.3.29")
BYTEWAX = ("bytewax==0.21.1", KAFKA_CLIENT, "orjson==3.13.0")
PATHWAY = ("pathway==0.33.0",)
CACHE_BYTES = 10 * 1024 * 1024
BOTH_GUARANTEES = ("at_least_once", "exactly_once_v2")


@dataclass(frozen=True, slots=True)
class Peer:
    """One client. `command(arguments)` is what starts it with BOOTSTRAP ROW GUARANTEE SUFFIX FOLDER."""

    name: str
    title: str
    command: Callable[[Sequence[str]], list[str]]
    rows: tuple[str, ...]
    guarantees: tuple[str, ...] = BOTH_GUARANTEES
    divisor: int = 1
    """It is given so many times fewer records, to be done in about the same time."""
    slow: Mapping[str, int] = field(default_factory=dict)
    """The divisor of rows that take it much longer than its others."""
    beside: str = "moldau"
    """The client of ours that it is held against; in a row without that one, `moldau`."""
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Why not, by row or guarantee; a cache where nothing is updated needs no reason."""
    start_cpu_s: float = 0.4
    """It has not started before it used so much; below that, an idle process is one that waits for a core."""

    def divisor_of(self, row: str) -> int:
        return self.slow.get(row, self.divisor)


def _moldau(cache_bytes: int, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "bench.versus.streams.clients.moldau_streams", *arguments, str(cache_bytes)]


def _kafka_streams(cache_bytes: int, arguments: Sequence[str]) -> list[str]:
    jars = jars_of(HERE / "java" / "pom.xml", "bench-streams-jars")
    source = HERE / "java" / "StreamsClient.java"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    classes = made_once(f"bench-streams-client-{digest}", partial(_compile, source, jars))
    java = require_tool("java", "openjdk-17-jre-headless")
    return [java, "-cp", f"{classes}:{jars}/*", "StreamsClient", *arguments, str(cache_bytes)]


def _compile(source: Path, jars: Path, folder: Path) -> None:
    javac = require_tool("javac", "openjdk-17-jdk-headless")
    _run([javac, "-cp", f"{jars}/*", "-d", str(folder), str(source)])


def _python(packages: Sequence[str], client: str, arguments: Sequence[str]) -> list[str]:
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    folder = made_once(f"bench-{client}-{digest}", partial(_install, packages))
    return [str(folder / "bin" / "python"), str(HERE / "clients" / f"{client}.py"), *arguments]


def _install(packages: Sequence[str], folder: Path) -> None:
    uv = _run([str(ROOT / "tools" / "ensure-uv.sh")]).strip()
    _run([uv, "venv", "--quiet", "--relocatable", "--allow-existing", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "install", "--quiet", "--python", str(folder), *packages])


def _run(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


EVERY_ROW = (
    "stateless",
    "expressions",
    "hourly-revenue",
    "hourly-expressions",
    "hourly-avro",
    "many-keys",
    "enriched",
    "paid",
    "sessions",
)
UPDATED = ("hourly-revenue", "hourly-expressions", "hourly-avro", "many-keys", "sessions")
"""Rows in which a key is updated again and again."""
AT_LEAST_ONCE = ("at_least_once",)
NO_EXPRESSIONS = {
    "expressions": "no expressions; as `stateless`",
    "hourly-expressions": "no expressions; as `hourly-revenue`",
}

PEERS = {
    peer.name: peer
    for peer in (
        Peer("moldau", "Moldau", partial(_moldau, 0), EVERY_ROW),
        Peer(
            "moldau-cached",
            "Moldau, record cache of 10 MiB",
            partial(_moldau, CACHE_BYTES),
            UPDATED,
            beside="moldau-cached",
        ),
        Peer("kafka-streams", "Kafka Streams 4.3.1", partial(_kafka_streams, 0), EVERY_ROW, slow={"sessions": 20}),
        Peer(
            "kafka-streams-cached",
            "Kafka Streams 4.3.1, record cache of 10 MiB",
            partial(_kafka_streams, CACHE_BYTES),
            UPDATED,
            slow={"sessions": 20},
            beside="moldau-cached",
        ),
        Peer("quix", "Quix Streams 3.28.1", partial(_python, QUIX, "quix_streams"), EVERY_ROW, divisor=4),
        Peer(
            "faust",
            "Faust 0.15.3",
            partial(_python, FAUST, "faust_streaming"),
            ("stateless", "hourly-revenue", "many-keys", "enriched"),
            divisor=4,
            cannot={
                **NO_EXPRESSIONS,
                "hourly-avro": "no Avro and no registry of its own",
                "paid": "joins of streams are not implemented",
                "sessions": "no session windows",
            },
            start_cpu_s=0.6,
        ),
        Peer(
            "bytewax",
            "Bytewax 0.21.1",
            partial(_python, BYTEWAX, "bytewax_flows"),
            ("stateless", "hourly-revenue", "hourly-avro", "many-keys", "enriched", "sessions"),
            AT_LEAST_ONCE,
            divisor=4,
            cannot={
                **NO_EXPRESSIONS,
                "paid": "joins within windows, not of records near each other",
                "exactly_once_v2": "its Kafka sink is at-least-once",
            },
        ),
        Peer(
            "pathway",
            "Pathway 0.33.0, results every second",
            partial(_python, PATHWAY, "pathway_tables"),
            tuple(row for row in EVERY_ROW if row != "hourly-avro"),
            AT_LEAST_ONCE,
            beside="moldau-cached",
            cannot={"hourly-avro": "no Avro", "exactly_once_v2": "not in its free edition"},
            start_cpu_s=1.5,
        ),
    )
}


def environment(peer: Peer, registry: str) -> dict[str, str]:
    """The environment of a client: ours finds this checkout, the others nothing of it; all know the registry's URL."""
    ours = peer.name.startswith("moldau")
    return {**(moldau_environment() if ours else {**os.environ, "PYTHONPATH": ""}), "BENCH_REGISTRY_URL": registry}
