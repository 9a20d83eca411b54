"""Changes and snapshots of PostgreSQL into topics: Moldau, Debezium, and what the server alone can do, the limit.

A connector is started once so that its slot exists, and stopped. Then the changes are written, and each worker is
started again and reads them by itself while the others are down. The clock runs from the first record in the topics to
the last, the worker's CPU time between the same moments. Defaults of both connectors, JSON without schemas.

The limit of changes is `pg_recvlogical`, which writes the stream to nowhere; that of a snapshot a COPY in the server,
to nowhere too.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.postgres_under_test import Postgres

from bench.versus.broker_process import BrokerProcess, process_usage
from bench.versus.connect import changes, workers
from bench.versus.connect.measured import Measured

PEERS: Final = {"moldau": workers.moldau, "debezium": workers.java}
PUBLICATION: Final = "dbz_publication"
LIMIT_SLOT: Final = "pg_recvlogical"
TABLES: Final = ("orders", "accounts", "tellers", "branches", "history")
# Until a worker has begun; and a peer that is slower than this has not finished.
BEGINS_WITHIN_S: Final = 180
SLOWEST_RATE: Final = 2_000
LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Load:
    """Changes that are in the WAL, and how many records each peer's topics had before."""

    count: int
    before: Mapping[str, int]


class Cdc:
    """One database, one node, a worker of each peer with a slot of its own."""

    def __init__(self, folder: Path, postgres: Postgres, node: BrokerProcess, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._postgres = postgres
        self._node = node
        self._say = say
        self._database = changes.create(postgres)
        self._consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "bench", "log_level": 0})
        self._orders = 0
        self._snapshots = 0
        self._workers: dict[str, workers.Worker] = {}
        """Those that have a slot and have read all that was written; none runs between two measurements."""

    def close(self) -> None:
        """Let go of the topics."""
        self._consumer.close()

    @property
    def acquainted(self) -> list[str]:
        """Who reads changes."""
        return list(self._workers)

    def acquaint(self, peer: str) -> None:
        """Let a worker make its slot and keep an offset: Debezium begins at the end of the WAL where it has none."""
        worker = PEERS[peer](self._folder / peer, self._node, self._config(peer, {"snapshot.mode": "no_data"}))
        with worker:
            self._until(worker, lambda: bool(self._slots(f"slot_name = '{peer}' AND active")))
            changes.pgbench(self._postgres, 1)
            self._until(worker, lambda: self._there([f"{peer}.public.history"]) > 0)
        self._workers[peer] = worker

    def part(self) -> None:
        """Drop all slots: what is written from here on is kept for nobody."""
        self._workers.clear()
        for slot in (*PEERS, LIMIT_SLOT):
            self._postgres.drop_slot(slot)

    def _config(self, peer: str, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "name": f"cdc-{peer}",
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "topic.prefix": peer,
            "slot.name": peer,
            "plugin.name": "pgoutput",
            "publication.name": PUBLICATION,
            **{f"{part}.converter": workers.JSON for part in ("key", "value")},
            **{f"{part}.converter.schemas.enable": "false" for part in ("key", "value")},
            **self._database,
            **more,
        }

    # Changes.

    def bulk(self, rows: int) -> Load:
        """One transaction that inserts so many rows."""
        first, self._orders = self._orders + 1, self._orders + rows
        return self._load("bulk", lambda: changes.bulk(self._postgres, first, rows))

    def pgbench(self, count: int) -> Load:
        """Small transactions of about so many changes altogether."""
        return self._load("pgbench", lambda: changes.pgbench(self._postgres, count))

    def _load(self, name: str, write: Callable[[], int]) -> Load:
        slot = f"SELECT pg_create_logical_replication_slot('{LIMIT_SLOT}', 'pgoutput')"
        self._postgres.drop_slot(LIMIT_SLOT)
        self._postgres.execute(slot, dbname=changes.DATABASE)
        before = {peer: self._there(_topics(peer)) for peer in self._workers}
        count = write()
        self._say(f"{name}: {count:,} changes are written")
        return Load(count, before)

    def changes_by(self, peer: str, load: Load) -> Measured:
        """What a worker takes for a load. One that does not get through it is asked no more."""
        worker = self._workers.pop(peer)
        with worker:
            measured = self._measure(worker, _topics(peer), load.before[peer], load.count)
        self._workers[peer] = worker
        return measured

    def stream_to_nowhere(self, load: Load) -> Measured:
        """The same WAL from a slot of its own; its CPU time is the client's alone."""
        (end,) = self._postgres.execute("SELECT pg_current_wal_lsn()", dbname=changes.DATABASE)[0]
        program = str(self._postgres.binaries / "pg_recvlogical")
        account = self._postgres.conninfo()
        command = [program, "--start", "--slot", LIMIT_SLOT, "-d", changes.DATABASE, "-f", "/dev/null"]
        command += ["-h", "127.0.0.1", "-p", str(self._postgres.port), "-U", str(account["user"]), "--endpos", end]
        command += ["-o", "proto_version=1", "-o", f"publication_names={PUBLICATION}", "--no-loop"]
        environment = {**os.environ, "PGPASSWORD": str(account["password"])}
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        within_s = _within_s(load.count)
        subprocess.run(command, check=True, timeout=within_s, env=environment, capture_output=True)
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        self._postgres.drop_slot(LIMIT_SLOT)
        return Measured(load.count, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    # Snapshots.

    def fill(self, rows: int) -> None:
        """See to it that the bulk table has so many rows, and that its pages are as they are read later."""
        if self._orders < rows:
            changes.bulk(self._postgres, self._orders + 1, rows - self._orders)
            self._orders = rows
        self._postgres.execute("VACUUM (ANALYZE) orders", "CHECKPOINT", dbname=changes.DATABASE)
        self._say(f"the bulk table has {self._orders:,} rows")

    def snapshot_by(self, peer: str, threads: int) -> Measured:
        """All rows of the bulk table, by so many sessions."""
        self._snapshots += 1
        prefix = f"{peer}-snapshot-{self._snapshots}"
        own = {
            "topic.prefix": prefix,
            "slot.name": prefix.replace("-", "_"),
            "snapshot.mode": "initial_only",
            "snapshot.max.threads": str(threads),
            "table.include.list": "public.orders",
        }
        worker = PEERS[peer](self._folder / prefix, self._node, self._config(peer, own))
        try:
            with worker:
                return self._measure(worker, [f"{prefix}.public.orders"], 0, self._orders)
        finally:
            self._postgres.drop_slot(own["slot.name"])

    def copy_to_nowhere(self) -> Measured:
        """All rows of the bulk table as text, by one session; its CPU time is that of the session in the server."""
        with self._postgres.connect(changes.DATABASE) as session:
            pid = session.info.backend_pid
            started, used = time.monotonic(), process_usage(pid).cpu_s
            session.execute(b"COPY orders TO '/dev/null'")
            seconds = time.monotonic() - started
            return Measured(self._orders, seconds, process_usage(pid).cpu_s - used)

    # The clock.

    def _measure(self, worker: workers.Worker, topics: list[str], before: int, count: int) -> Measured:
        """From the first record that is there to the last of `count`."""
        there = 0

        def first() -> bool:
            nonlocal there
            there = self._there(topics) - before
            return there > 0

        self._until(worker, first)
        started, used = time.monotonic(), worker.usage().cpu_s
        self._until(worker, lambda: self._there(topics) - before >= count, _within_s(count))
        seconds, used = time.monotonic() - started, worker.usage().cpu_s - used
        if there >= count:
            raise RuntimeError(f"all {count:,} records were there at the first look: too few to measure")
        return Measured(count - there, seconds, used)

    def _there(self, topics: list[str]) -> int:
        """Records in topics, those that retention has removed among them; topics that are not there yet have none."""
        total = 0
        known = self._consumer.list_topics(timeout=30).topics
        for topic in topics:
            if topic in known and known[topic].error is None:
                with contextlib.suppress(KafkaException):
                    total += self._consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]
        return total

    def _slots(self, condition: str) -> list[tuple[str]]:
        statement = f"SELECT slot_name FROM pg_replication_slots WHERE {condition}"
        return self._postgres.execute(statement, dbname=changes.DATABASE)

    @staticmethod
    def _until(worker: workers.Worker, condition: Callable[[], bool], within_s: float = BEGINS_WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            worker.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not get there within {within_s:.0f} s:\n{worker.log_tail()}")
            time.sleep(LOOK_S)


def _topics(peer: str) -> list[str]:
    return [f"{peer}.public.{table}" for table in TABLES]


def _within_s(count: int) -> float:
    return BEGINS_WITHIN_S + count / SLOWEST_RATE
