"""One client at a time: started on empty topics, given a lot to warm up, then the lot that counts.

The clock begins when the first batch of the measured lot is on its way and ends with the last record that came out; how
far the output has come is asked of the broker, whom that costs next to nothing. When nothing came out for a while, the
output is read and held against what must have come of the lot: a client with other results has no number. Processor
time is the client's process's, all of its threads, and goes on until then: the commit after the last record, which
writes stores and changelogs, belongs to the lot however fast the records went through. What the client uses while it
has nothing to do, before the lots or behind this one, whichever is less, is taken off for that while.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.versus.broker_process import BrokerProcess, Usage, process_usage
from bench.versus.streams import load
from bench.versus.streams.orders_registry import OrdersRegistry
from bench.versus.streams.peers import Peer, environment
from bench.versus.streams.rows import Check, Outcome, Row, is_the_same

LOOK_S = 0.02
QUIET_S = 2.5
IDLE_S = 1.5
IDLE_SHARE = 0.1
START_LIMIT_S = 60
STILL_LIMIT_S = 45
"""After so long without anything new the output is as wrong as it will stay."""
STOP_S = 20
TICK_S = 0.01
"""The kernel counts no finer."""
LOG_TAIL_CHARACTERS = 2000
_numbers = itertools.count(1)


class WrongOutputError(RuntimeError):
    """What came out is not what must come of the records."""


class RunFailedError(RuntimeError):
    """A client has no number. `reason` is one line; the message has the end of the client's log too."""

    def __init__(self, error: Exception, log: Path) -> None:
        told = str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"
        self.reason = (told.splitlines() or [type(error).__name__])[0]
        tail = log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:] if log.exists() else ""
        super().__init__(f"{told}\n{tail}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One client on one row: records that it read, seconds by the wall, seconds of its processor."""

    records: int
    wall_s: float
    cpu_s: float
    resident_bytes: int


class Run:
    """A client with its topics, from its start to its end."""

    def __init__(
        self, node: BrokerProcess, registry: OrdersRegistry, peer: Peer, row: Row, guarantee: str, folder: Path
    ) -> None:
        self._node = node
        self._registry = registry
        self._peer = peer
        self._row = row
        self._guarantee = guarantee
        self._suffix = f"{peer.name}-{next(_numbers)}"
        self._folder = folder / self._suffix
        self._client: subprocess.Popen[bytes] | None = None
        self._read_to = 0
        self._idle_share = 0.0
        reader = {
            "bootstrap.servers": node.bootstrap_servers,
            "group.id": "bench-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        self._reader = Consumer(reader)

    def measure(self, records: int) -> Sample:
        """Both lots; raises RunFailedError: other results, a client that ended or cannot be installed."""
        self._folder.mkdir(parents=True)
        log = self._folder / "client.log"
        try:
            return self._measure(records, log)
        except Exception as error:
            raise RunFailedError(error, log) from error

    def _measure(self, records: int, log: Path) -> Sample:
        self._create_topics()
        if self._row.name == "enriched":
            load.send(self._node.bootstrap_servers, {self._topic("customers"): load.customers(self._row.keys)})
        schema_id = self._registry.schema_id if self._row.avro else None
        lots = [load.Lot(number, records, self._row.keys, schema_id) for number in (0, 1)]
        for lot in lots:
            for topic in self._row.inputs:
                lot.encode(topic)
        try:
            with log.open("wb") as out:
                command = self._peer.command(
                    [
                        self._node.bootstrap_servers,
                        self._row.name,
                        self._guarantee,
                        self._suffix,
                        str(self._folder / "state"),
                    ]
                )
                known = environment(self._peer, self._registry.url)
                self._client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=known)
            self._wait_until_idle()
            self._take(lots[0])
            return self._take(lots[1])
        finally:
            self._stop()

    def _topic(self, name: str) -> str:
        return f"{name}-{self._suffix}"

    def _create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self._node.bootstrap_servers})
        names = ("orders", "payments", "customers", "out")
        for future in admin.create_topics([NewTopic(self._topic(name), 1, 1) for name in names]).values():
            future.result(30)

    def _usage(self) -> Usage:
        assert self._client is not None
        if self._client.poll() is not None:
            raise RuntimeError(f"the client ended with {self._client.returncode}")
        try:
            return process_usage(self._client.pid)
        except KeyError as error:
            # It has no memory any more.
            raise RuntimeError(f"the client ended with {self._client.wait(STOP_S)}") from error

    def _wait_until_idle(self) -> None:
        """Until it has started and has nothing to do; what that costs is looked at once more, behind the last of it."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            share = self._share_used()
            if self._usage().cpu_s > self._peer.start_cpu_s and share < IDLE_SHARE:
                self._idle_share = min(share, self._share_used())
                return
        raise RuntimeError(f"it was not idle within {START_LIMIT_S} s")

    def _share_used(self) -> float:
        """Of a core, for a while from now."""
        before, began = self._usage().cpu_s, time.monotonic()
        time.sleep(IDLE_S)
        return (self._usage().cpu_s - before) / (time.monotonic() - began)

    def _take(self, lot: load.Lot) -> Sample:
        """Write a lot and follow its output."""
        expected, check = self._row.expect(lot), Check(self._row.tell)
        batches = {self._topic(topic): lot.encode(topic) for topic in self._row.inputs}
        out = TopicPartition(self._topic("out"), 0)
        end = self._reader.get_watermark_offsets(out, timeout=30)[1]
        before = self._usage()
        started = moved = time.monotonic()
        load.send(self._node.bootstrap_servers, batches)
        checked = end
        while True:
            time.sleep(LOOK_S)
            seen = self._reader.get_watermark_offsets(out, timeout=30)[1]
            # Behind the answer: what came while the broker was asked has come by now.
            usage, now = self._usage(), time.monotonic()
            if seen != end:
                end, moved = seen, now
            elif now - moved > QUIET_S and end != checked:
                checked = end
                if is_the_same(expected, self._outcome(out, end, check)):
                    idle_share = min(self._idle_share, self._share_used())
                    cpu_s = spent(before, usage, idle_share, now - moved)
                    break
            if now - moved > STILL_LIMIT_S:
                raise WrongOutputError(f"{outcome_text(check.outcome())}, expected {outcome_text(expected)}")
        records = lot.records * len(self._row.inputs)
        return Sample(records, moved - started, cpu_s, usage.peak_resident_bytes)

    def _outcome(self, out: TopicPartition, end: int, check: Check) -> Outcome:
        """Read on to the end."""
        self._reader.assign([TopicPartition(out.topic, 0, self._read_to)])
        deadline = time.monotonic() + START_LIMIT_S
        while self._read_to < end and time.monotonic() < deadline:
            for message in self._reader.consume(10_000, 0.5):
                error = message.error()
                if error is None:
                    check.take(message.key(), message.value())
                    self._read_to = message.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its name)
                    # Markers of transactions are offsets without records.
                    self._read_to = max(self._read_to, message.offset())
        self._reader.unassign()
        return check.outcome()

    def _stop(self) -> None:
        if self._client is not None:
            self._client.terminate()
            try:
                self._client.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._client.kill()
                self._client.wait()
        self._reader.close()
        admin = AdminClient({"bootstrap.servers": self._node.bootstrap_servers})
        topics = [name for name in admin.list_topics(timeout=30).topics if self._suffix in name]
        for future in admin.delete_topics(topics).values():
            future.result(30)
        shutil.rmtree(self._folder / "state", ignore_errors=True)


def spent(before: Usage, after: Usage, idle_share: float, idle_s: float) -> float:
    """Processor seconds between two moments, without those of having had nothing to do for so long at the end."""
    return max(after.cpu_s - before.cpu_s - idle_share * idle_s, TICK_S)


def outcome_text(outcome: Outcome) -> str:
    return f"{outcome[0]:,} results with {outcome[1]:,.2f} in sum"
