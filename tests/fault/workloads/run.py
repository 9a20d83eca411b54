"""A workload under faults, from the start of its node to the verdict.

node, proxy and clients start; faults happen one after the other; producers are asked to leave; consumers go on until
their group is done; everything is read by a reader of its own; the histories of all are judged as one.
"""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from bench.versus.broker_process import BrokerProcess
from tests.fault.faults import FAULTS
from tests.fault.history.operations import merged, operations_in, write_history
from tests.fault.history.verdict import Verdict, judge
from tests.fault.proxy import Proxy
from tests.fault.records import create_topic
from tests.fault.workloads.ending import DRAINED_WITHIN_S, read_everything, wait_until_the_group_is_done
from tests.fault.workloads.recording import Recorder
from tests.fault.workloads.worker import USELESS, Task

ROOT = Path(__file__).parents[3]
PARTITIONS = 3
STUCK_S = 15
"""Longer than any call of a worker may take while nothing is done to it or to its node."""
HELD_UP_S = 1
SAYS_WHERE_WITHIN_S = 1
HANG = "client hangs"


@dataclass(frozen=True, slots=True)
class Workload:
    """Which clients there are, by role, and which topics."""

    clients: dict[str, int]
    topics: tuple[str, ...]
    group: bool
    """Whether a group has to get everything in the first topic."""


WORKLOADS = {
    "queue": Workload({"send": 2, "consume": 2}, ("queue",), group=True),
    "copy": Workload({"send": 1, "copy": 1}, ("original", "copied"), group=True),
    "transform": Workload({"send": 1, "transform": 3}, ("raw", "refined"), group=True),
    "transfer": Workload({"transfer": 2}, ("books-0", "books-1"), group=False),
}
SENDERS = {"send", "transfer"}


@dataclass
class Client:
    """One client, and the processes it has had."""

    task: Task
    lives: int = 0
    started_at: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.lives += 1
        self.started_at = time.time()
        # Each life has dice of its own, or it would walk into the same trouble again.
        task = msgspec.structs.replace(self.task, process=self.process_name, seed=self.task.seed + self.lives)
        command = [sys.executable, "-m", "tests.fault.workloads.worker", msgspec.json.encode(task).decode()]
        self.process = subprocess.Popen(command, cwd=ROOT)

    @property
    def process_name(self) -> str:
        return f"{self.task.process}.{self.lives}"

    def is_stuck(self, whole_since: float) -> bool:
        """Whether its loop has not come round: a call into the client library does not return.

        `whole_since` is when the last fault was over: until then a call may have had to wait for a node.
        """
        file = Path(self.task.file)
        return file.exists() and time.time() - max(file.stat().st_mtime, self.started_at, whole_since) > STUCK_S

    def ask_to_leave(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@dataclass
class WorkloadRun:
    """See `tests.fault.faults.Run`."""

    name: str
    seed: int
    node: BrokerProcess
    proxy: Proxy
    folder: Path
    disk: Path | None = None
    aborts: float = 0.1
    stuck: list[str] = field(default_factory=list)
    """Clients that hung in one call and were killed: each is an anomaly."""
    _clients: list[Client] = field(default_factory=list)
    _lives: threading.Lock = field(default_factory=threading.Lock)
    """Held by who starts a client again, or takes it out of `_clients` for good."""
    _watching: threading.Event = field(default_factory=threading.Event)
    _whole_since: float = 0.0
    """When the last fault was over; the end of time while one goes on."""

    def __post_init__(self) -> None:
        self.workload = WORKLOADS[self.name]
        self.chance = random.Random(self.seed)
        self._files = self.folder / "clients"
        self._files.mkdir()
        self._notes = Recorder(self._files / "faults.jsonl", "faults")

    def clients(self) -> list[subprocess.Popen[bytes]]:
        return [client.process for client in self._clients if client.process.poll() is None]

    # From start to verdict

    def judged(self, faults: Sequence[str], duration_s: float) -> Verdict:
        """Run it; each of `faults` happens, again and again until `duration_s` is over, at least once each."""
        self._notes.note(f"workload {self.name}, seed {self.seed}, faults {list(faults)}")
        watcher = threading.Thread(target=self._start_again, daemon=True)
        try:
            for topic in self.workload.topics:
                create_topic(self.proxied, topic, PARTITIONS, segment_bytes=str(1 << 20))
            self._start_clients()
            watcher.start()
            self._wait_until_all_have_begun()
            self._trouble(faults, duration_s)
            self._leave(SENDERS)
            if self.workload.group:
                first = self.workload.topics[0]
                wait_until_the_group_is_done(
                    self._notes, self.node.bootstrap_servers, f"{first}-group", first, PARTITIONS
                )
            self._watching.set()
            watcher.join()
            self._leave(set(self.workload.clients))
            reader = Recorder(self._files / "reader.jsonl", "reader")
            read_everything(reader, self.node.bootstrap_servers, dict.fromkeys(self.workload.topics, PARTITIONS))
        finally:
            self._watching.set()
            for process in self.clients():
                process.kill()
                process.wait()
        history = merged(operation for file in sorted(self._files.iterdir()) for operation in operations_in(file))
        write_history(self.history_file, history)
        verdict = judge(history)
        return replace(verdict, anomalies=verdict.anomalies | {HANG: self.stuck}) if self.stuck else verdict

    @property
    def history_file(self) -> Path:
        return self.folder / "history.jsonl"

    @property
    def proxied(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"

    def _start_clients(self) -> None:
        topics, protocol = self.workload.topics, self.chance.choice(("classic", "consumer"))
        self._notes.note(f"group.protocol {protocol}")
        for role, count in self.workload.clients.items():
            for slot in range(count):
                name = f"{role}-{slot}"
                task = Task(
                    role=role,
                    process=name,
                    slot=slot,
                    file=str(self._files / f"{name}.jsonl"),
                    bootstrap_servers=self.proxied,
                    topic="books" if role == "transfer" else topics[0],
                    output=topics[-1],
                    partitions=PARTITIONS,
                    seed=self.chance.randrange(1 << 30),
                    group_protocol=protocol,
                    aborts=self.aborts,
                )
                self._clients.append(Client(task))
        for client in self._clients:
            client.start()

    def _start_again(self) -> None:
        """A client that was killed, is stuck, or was made useless by a fault comes again. The rest is a bug of ours."""
        while not self._watching.wait(0.05):
            self._see_whether_files_can_be_written()
            with self._lives:
                for client in self._clients:
                    self._see_to(client)

    def _see_whether_files_can_be_written(self) -> None:
        """Where the disk holds up everybody who writes, clients are not stuck in a call, but in their histories."""
        began = time.monotonic()
        (self.folder / "pulse").write_bytes(b".")
        if time.monotonic() - began > HELD_UP_S:
            self._whole_since = max(self._whole_since, time.time())

    def _see_to(self, client: Client) -> None:
        status = client.process.poll()
        if status is None and client.is_stuck(self._whole_since):
            self.stuck.append(f"{client.process_name} was stuck for {STUCK_S} s in one call")
            self._notes.note(self.stuck[-1])
            # Where it hangs goes to stderr (`faulthandler`), before it is gone.
            client.process.send_signal(signal.SIGUSR1)
            time.sleep(SAYS_WHERE_WITHIN_S)
            client.process.kill()
            client.process.wait()
        elif status in (USELESS, -signal.SIGKILL):
            self._notes.note(f"{client.process_name} ended with {status}")
            client.start()

    def _wait_until_all_have_begun(self) -> None:
        deadline = time.monotonic() + DRAINED_WITHIN_S
        while True:
            files = [Path(client.task.file) for client in self._clients]
            if all(file.exists() and file.stat().st_size > 200 for file in files):
                return
            assert time.monotonic() < deadline, f"not begun: {[file.name for file in files if not file.exists()]}"
            time.sleep(0.05)

    def _trouble(self, faults: Sequence[str], duration_s: float) -> None:
        until = time.monotonic() + duration_s
        while True:
            for name in self.chance.sample(faults, len(faults)):
                self._notes.note(name)
                self._whole_since = math.inf
                FAULTS[name](self, self.chance)
                self._whole_since = time.time()
                time.sleep(self.chance.uniform(0, 0.5))
            if not faults:
                time.sleep(max(0, until - time.monotonic()))
            if time.monotonic() >= until:
                self._notes.note("faults are over")
                return

    def _leave(self, roles: set[str]) -> None:
        """Ask the clients of `roles` to leave, and wait. One that has ended otherwise has left as well."""
        with self._lives:
            leaving = [client for client in self._clients if client.task.role in roles]
            self._clients = [client for client in self._clients if client not in leaving]
        for client in leaving:
            client.ask_to_leave()
        for client in leaving:
            try:
                status = client.process.wait(DRAINED_WITHIN_S + 30)
            except subprocess.TimeoutExpired:
                client.process.kill()
                raise AssertionError(f"{client.task.process} does not leave") from None
            # One that has just been started again knows no SIGTERM yet, and has done nothing. One that the last fault
            # has killed may still have been dying when it was asked.
            ends = (0, USELESS, -signal.SIGTERM, -signal.SIGKILL)
            assert status in ends, f"{client.task.process} ended with {status}"
