"""kcat, the command-line client (an older librdkafka): produce, consume, offset queries, group membership."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from bench.versus.jars import require_tool
from tests.conformance.clients import Client, ClientError, MemberState, Record, Start

TIMEOUT_S = 30.0
KEY_DELIMITER = "\x1f"
ASSIGNED = re.compile(r"rebalanced \(memberid [^)]*\): assigned:(.*)")


class _Member:
    """One `kcat -G`; what it is assigned stands in its stderr, what it read in its stdout."""

    def __init__(self, command: list[str]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="kcat-"))
        self.out, self.log = folder / "out", folder / "log"
        with self.out.open("w") as out, self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=out, stderr=log)

    def state(self) -> MemberState:
        log = self.log.read_text()
        assigned = ASSIGNED.findall(log)
        current = assigned[-1] if assigned and "revoked" not in log.rsplit("assigned:", 1)[1] else ""
        partitions = frozenset(int(number) for number in re.findall(r"\[(\d+)\]", current))
        return MemberState(partitions, len(assigned), len(self.out.read_text().splitlines()))

    def leave(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT_S)


class Kcat(Client):
    name = "kcat"
    lacks: ClassVar[Mapping[str, str]] = {
        "admin": "kcat has no admin requests",
        "placement": "kcat does not tell where a record went",
        "committed": "kcat cannot ask for committed offsets",
        "commit": "kcat commits when it leaves, not on request",
    }

    def __post_init__(self) -> None:
        self._kcat = require_tool("kcat", "kcat")
        shown = subprocess.run([self._kcat, "-V"], capture_output=True, text=True, check=True).stdout
        self.version = re.search(r"Version (\S+)", shown)[1]  # type: ignore[index]
        self._members: dict[str, _Member] = {}

    def _run(self, *arguments: str, stdin: str | None = None) -> str:
        command = [self._kcat, "-b", self.bootstrap_servers, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise ClientError("KCAT", done.stderr)
        return done.stdout

    def produce(self, topic: str, records: Sequence[Record], compression: str = "none") -> list[tuple[int, int]]:
        # kcat has one partition and one set of headers for all it reads.
        for (partition, headers), batch in groupby(records, lambda record: (record.partition, record.headers)):
            arguments = ["-P", "-t", topic, "-z", compression, "-X", "enable.idempotence=true", "-K", KEY_DELIMITER]
            arguments += ["-Z"] if compression == "none" else []
            arguments += [] if partition is None else ["-p", str(partition)]
            for name, value in headers:
                arguments += ["-H", f"{name}={value}"]
            lines = "".join(f"{record.key or ''}{KEY_DELIMITER}{record.value}\n" for record in batch)
            self._run(*arguments, stdin=lines)
        return []

    def consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int = 10_000
    ) -> list[Record]:
        offset = f"s@{start}" if isinstance(start, int) else {"earliest": "beginning", "latest": "end"}[start]
        found: list[Record] = []
        for partition in partitions:
            out = self._run("-C", "-t", topic, "-p", str(partition), "-o", offset, "-e", "-q", "-J")
            found.extend(_record(json.loads(line)) for line in out.splitlines())
        return found[:count]

    def offset_of(self, topic: str, partition: int, at: Start) -> int | None:
        timestamp = at if isinstance(at, int) else {"earliest": -2, "latest": -1}[at]
        out = self._run("-Q", "-t", f"{topic}:{partition}:{timestamp}")
        offset = int(out.rsplit("offset", 1)[1])
        return None if offset < 0 else offset

    def join(self, member: str, group: str, topic: str, instance_id: str | None = None) -> None:
        command = [self._kcat, "-b", self.bootstrap_servers, "-u", "-J", "-X", "auto.offset.reset=earliest"]
        command += ["-X", "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=500"]
        if instance_id is not None:
            command += ["-X", f"group.instance.id={instance_id}"]
        self._members[member] = _Member([*command, "-G", group, topic])

    def state(self, member: str) -> MemberState:
        return self._members[member].state()

    def leave(self, member: str) -> None:
        if member in self._members:
            self._members.pop(member).leave()

    def close(self) -> None:
        for member in list(self._members):
            self.leave(member)


def _record(row: dict[str, object]) -> Record:
    flat = row.get("headers") or []
    assert isinstance(flat, list)
    headers = tuple(zip(flat[::2], flat[1::2], strict=True))
    return Record(row["payload"], row["key"], headers, row["partition"], row["ts"], row["offset"])  # type: ignore[arg-type]
