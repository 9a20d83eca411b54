"""What is measured, on whom, in which order.

Both brokers run all the time; the one that is not asked is idle. Each row is measured on one and at once on the other,
in an order that changes from round to round, so that a slow minute of the machine falls on both. A first round of every
row is thrown away: it is the time in which the JVM compiles, and it would flatter us. What a start costs is measured
afterwards, on brokers of their own, with nothing else running.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from bench.versus import peers
from bench.versus.broker_process import BrokerProcess
from bench.versus.sample import Results, Sample

LOADS = {"wire": "wire", "librdkafka": "librdkafka", "java": "java_tools"}
LATENCIES = ("wire", "librdkafka", "end-to-end")
LOAD_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. The bytes of a throughput row are the same for every record size."""

    rounds: int
    megabytes: int
    latency_count: int
    clients: tuple[str, ...] = tuple(LOADS)
    record_bytes: tuple[int, ...] = (100, 1024)
    partitions: tuple[int, ...] = (1, 24)


def order_of(number: int) -> tuple[str, ...]:
    return peers.PEERS if number % 2 else tuple(reversed(peers.PEERS))


def _load(module: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"bench.versus.load.{module}", *arguments]
    environment = peers.moldau_environment()
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S, check=False, env=environment, cwd=root
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


class Bench:
    """The two running brokers and the topics of the row at hand."""

    def __init__(self, plan: Plan, directory: Path, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.directory = directory
        self.say = say
        self.results = Results()
        self._topics = 0

    def run(self) -> Results:
        """All rounds, after one that warms up; then the starts."""
        nodes: dict[str, BrokerProcess] = {}
        try:
            for peer in peers.PEERS:
                nodes[peer] = peers.start(peer, self.directory / peer)
            for number in range(self.plan.rounds + 1):
                self.say("warm-up" if number == 0 else f"round {number} of {self.plan.rounds}")
                order = order_of(number)
                found: dict[str, list[Sample]] = {peer: [] for peer in order}
                self._rows(order, nodes, found)
                for peer in order if number > 0 else ():
                    peak = nodes[peer].usage().peak_resident_bytes / 2**20
                    found[peer].append(Sample("resident memory, peak under load", "MiB", peak, lower_is_better=True))
                    self.results.samples[peer].append(found[peer])
        finally:
            for node in nodes.values():
                if node.is_running():
                    node.stop()
        for number in range(self.plan.rounds):
            for peer in order_of(number):
                self.results.samples[peer][number].extend(self._start(peer, number))
        return self.results

    def _start(self, peer: str, number: int) -> Iterator[Sample]:
        folder = self.directory / f"start-{number}" / peer
        node = peers.start(peer, folder)
        try:
            start_ms = node.ready_after_s * 1000
            self.say(f"  {peer} answered {start_ms:.0f} ms after its start")
            yield Sample("start to first answer, empty directory", "ms", start_ms, lower_is_better=True)
            resident = node.usage().resident_bytes / 2**20
            yield Sample("resident memory, idle", "MiB", resident, lower_is_better=True)
        finally:
            node.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _rows(self, order: tuple[str, ...], nodes: dict[str, BrokerProcess], found: dict[str, list[Sample]]) -> None:
        for what in LATENCIES:
            for peer in order:
                found[peer].extend(self._latency(nodes[peer], what))
        for client in self.plan.clients:
            for record_bytes in self.plan.record_bytes:
                for partitions in self.plan.partitions:
                    for peer in order:
                        found[peer].extend(self._throughput(nodes[peer], client, record_bytes, partitions))

    def _new_topic(self, node: BrokerProcess, partitions: int) -> tuple[AdminClient, str]:
        self._topics += 1
        topic = f"bench-{self._topics}"
        admin = AdminClient({"bootstrap.servers": node.bootstrap_servers})
        for future in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            future.result(30)
        deadline = time.monotonic() + 30
        while len(admin.list_topics(topic, timeout=10).topics[topic].partitions) < partitions:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topic} did not get its partitions")
            time.sleep(0.05)
        return admin, topic

    def _latency(self, node: BrokerProcess, what: str) -> Iterator[Sample]:
        admin, topic = self._new_topic(node, 1)
        where = ("--bootstrap-servers", node.bootstrap_servers, "--topic", topic)
        measured = _load("latency", what, *where, "--count", str(self.plan.latency_count))
        admin.delete_topics([topic])[topic].result(30)
        name = "end-to-end latency, librdkafka" if what == "end-to-end" else f"produce latency acks=all, {what}"
        for percentile in ("p50", "p99"):
            microseconds = measured[percentile] * 1e6
            self.say(f"  {name} {percentile}: {microseconds:.0f} µs")
            yield Sample(f"{name}, {percentile}", "µs", microseconds, lower_is_better=True)

    def _throughput(self, node: BrokerProcess, client: str, record_bytes: int, partitions: int) -> Iterator[Sample]:
        admin, topic = self._new_topic(node, partitions)
        # The wire client is so much cheaper that the same bytes would be over before they could be measured.
        megabytes = self.plan.megabytes * (3 if client == "wire" else 1)
        # A record of 100 bytes costs a client about as much as one of 1 KiB: fewer bytes give rows of similar length.
        records = megabytes * 1_000_000 // record_bytes // (4 if record_bytes < 1000 else 1)
        gigabytes = records * record_bytes / 1e9
        for what in ("produce", "consume"):
            before = node.usage().cpu_s
            measured = _load(
                LOADS[client],
                *(what, "--bootstrap-servers", node.bootstrap_servers, "--topic", topic),
                *("--partitions", str(partitions), "--records", str(records), "--record-bytes", str(record_bytes)),
            )
            cpu_s_per_gb = (node.usage().cpu_s - before) / gigabytes
            rate = gigabytes * 1000 / measured["seconds"]
            row = f"{what} {record_bytes} B, {partitions} partition{'s' if partitions > 1 else ''}, {client}"
            self.say(f"  {row}: {rate:.0f} MB/s, {cpu_s_per_gb:.2f} broker CPU s/GB")
            yield Sample(row, "MB/s", rate, cpu_s_per_gb)
        admin.delete_topics([topic])[topic].result(30)
