"""Clients in other languages: one child process each, one JSON object per line in and out.

A request is `{"verb": "produce", ...}`, an answer `{"result": ...}` or `{"error": "INVALID_PARTITIONS", ...}`.
The programs stand beside this file: `kafkajs/client.js`, `franz_go/main.go`, `java/Client.java`. They are built once
into the user's cache directory, in a folder named after the digest of their sources; the repository stays clean.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.versus.apache_kafka import java
from bench.versus.jars import kafka_version, made_once, require_tool
from tests.conformance.clients import Client, ClientError, MemberState, Record, Start

HERE = Path(__file__).parent
ANSWER_TIMEOUT_S = 60.0
BUILD_TIMEOUT_S = 1800


def built_once(name: str, sources: Sequence[Path], build: Callable[[Path], object], *, pinned: str = "") -> Path:
    """Return the folder that `build(folder)` filled for exactly these sources, building it when it is not there.

    `pinned` names what else decides the result, such as the version of a package.
    """
    digest = hashlib.sha256(pinned.encode() + b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]

    def make(folder: Path) -> None:
        for source in sources:
            shutil.copy(source, folder)
        build(folder)

    return made_once(f"{name}-{digest}", make)


def run_build(command: list[str], folder: Path) -> str:
    """Run a step of a build in `folder` and return what it printed; raises RuntimeError with its last words."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class ProcessClient(Client):
    """The verbs as lines to a child process. Subclasses name the command."""

    def __post_init__(self) -> None:
        self._process = subprocess.Popen(
            [*self.command(), self.bootstrap_servers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._complaints: list[str] = []
        threading.Thread(target=self._read_answers, daemon=True).start()
        threading.Thread(target=self._read_complaints, daemon=True).start()

    def command(self) -> list[str]:
        """What to run; raises MissingToolError when the toolchain is not there."""
        raise NotImplementedError

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # What a client library logs may come between answers.
            if line.startswith("{"):
                self._answers.put(line)
            else:
                self._complain(line)

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._complain(line)

    def _complain(self, line: str) -> None:
        self._complaints = [*self._complaints[-50:], line]

    def _call(self, verb: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
        self._process.stdin.flush()
        try:
            answer = json.loads(self._answers.get(timeout=ANSWER_TIMEOUT_S))
        except queue.Empty:
            raise AssertionError(f"{self.name}: no answer to {verb}:\n{''.join(self._complaints)}") from None
        if "error" in answer:
            raise ClientError(answer["error"], answer.get("message", ""))
        return answer["result"]

    def produce(self, topic: str, records: Sequence[Record], compression: str = "none") -> list[tuple[int, int]]:
        rows = [
            {
                "value": record.value,
                "key": record.key,
                "headers": [list(header) for header in record.headers],
                "partition": record.partition,
                "timestamp_ms": record.timestamp_ms,
            }
            for record in records
        ]
        placed = self._call("produce", topic=topic, records=rows, compression=compression)
        return [(partition, offset) for partition, offset in placed]

    def consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int = 10_000
    ) -> list[Record]:
        rows = self._call(
            "consume", topic=topic, partitions=list(partitions), start=start, count=count, timeout_ms=timeout_ms
        )
        return [Record(**{**row, "headers": tuple(map(tuple, row["headers"]))}) for row in rows]

    def offset_of(self, topic: str, partition: int, at: Start) -> int | None:
        offset: int | None = self._call("offset_of", topic=topic, partition=partition, at=at)
        return offset

    def join(self, member: str, group: str, topic: str, instance_id: str | None = None) -> None:
        self._call(
            "join", member=member, group=group, topic=topic, instance_id=instance_id, protocol=self.group_protocol
        )

    def state(self, member: str) -> MemberState:
        row = self._call("state", member=member)
        return MemberState(frozenset(row["partitions"]), row["rebalances"], row["records"])

    def commit(self, member: str) -> None:
        self._call("commit", member=member)

    def leave(self, member: str) -> None:
        self._call("leave", member=member)

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        rows = self._call("committed", group=group, topic=topic, partitions=list(partitions))
        return {int(partition): offset for partition, offset in rows.items()}

    def open_transaction(self, name: str, transactional_id: str, topic: str, values: Sequence[str]) -> None:
        self._call("open_transaction", member=name, transactional_id=transactional_id, topic=topic, values=list(values))

    def end_transaction(self, name: str, *, commit: bool) -> None:
        self._call("end_transaction", member=name, commit=commit)

    def transform(
        self, group: str, transactional_id: str, source: str, target: str, count: int, *, commit: bool
    ) -> None:
        self._call(
            "transform",
            group=group,
            transactional_id=transactional_id,
            topic=source,
            target=target,
            count=count,
            commit=commit,
        )

    def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str] | None = None) -> None:
        self._call("create_topic", topic=topic, partitions=partitions, configs=dict(configs or {}))

    def partition_count(self, topic: str) -> int:
        return int(self._call("partition_count", topic=topic))

    def topic_config(self, topic: str) -> dict[str, str]:
        return dict(self._call("topic_config", topic=topic))

    def set_topic_config(self, topic: str, key: str, value: str) -> None:
        self._call("set_topic_config", topic=topic, key=key, value=value)

    def grow_topic(self, topic: str, partitions: int) -> None:
        self._call("grow_topic", topic=topic, partitions=partitions)

    def delete_topic(self, topic: str) -> None:
        self._call("delete_topic", topic=topic)

    def groups(self) -> set[str]:
        return set(self._call("groups"))

    def delete_group(self, group: str) -> None:
        self._call("delete_group", group=group)

    def close(self) -> None:
        assert self._process.stdin is not None
        # A program that died has closed its end; the test that used it has reported that.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class KafkaJs(ProcessClient):
    name = "kafkajs"
    compressions = frozenset({"none", "gzip", "snappy"})
    lacks: ClassVar[Mapping[str, str]] = {"static_membership": "kafkajs 2.2.4 has no group.instance.id"}

    def command(self) -> list[str]:
        node, npm = require_tool("node", "nodejs"), require_tool("npm", "npm")
        sources = [HERE / "kafkajs" / name for name in ("package.json", "package-lock.json", "client.js")]
        folder = built_once(
            "kafkajs", sources, lambda folder: run_build([npm, "ci", "--no-audit", "--no-fund"], folder)
        )
        self.version = json.loads((folder / "package.json").read_text())["dependencies"]["kafkajs"]
        return [node, str(folder / "client.js")]


class FranzGo(ProcessClient):
    name = "franz-go"
    lacks: ClassVar[Mapping[str, str]] = {
        "static_leader": "franz-go 1.22.2, restarted as leader, asks for a rebalance when a plan made anew is another"
    }

    def command(self) -> list[str]:
        go = require_tool("go", "golang-go, 1.25 or newer")
        sources = [
            HERE / "franz_go" / name
            for name in ("go.mod", "go.sum", "main.go", "admin.go", "members.go", "transactions.go")
        ]
        folder = built_once("franz-go", sources, lambda folder: run_build([go, "build", "-o", "client", "."], folder))
        line = next(line for line in (folder / "go.mod").read_text().splitlines() if "franz-go v" in line)
        self.version = line.split()[-1]
        return [str(folder / "client")]


class JavaClient(ProcessClient):
    name = "java"

    def command(self) -> list[str]:
        require_tool("javac", "openjdk-17-jdk-headless")
        self.version = kafka_version()
        # The JDK compiles the one file in memory.
        return java(str(HERE / "java" / "Client.java"), jvm_options=["-XX:TieredStopAtLevel=1", "-Xmx256m"])


class FranzGoConsumer(FranzGo):
    """The same client, which asks its user to opt in to the consumer protocol."""

    name = "franz-go-consumer"
    group_protocol = "consumer"
    lacks: ClassVar[Mapping[str, str]] = {
        "static_membership": "franz-go 1.22.2 closes a static member without a word: its place is kept for a session"
    }


class JavaConsumer(JavaClient):
    """The same client with `group.protocol=consumer`."""

    name = "java-consumer"
    group_protocol = "consumer"
