"""Changes and snapshots of PostgreSQL into topics: Moldau, Debezium, and `pg_recvlogical` into nothing, the limit.

A connector is started once so that its slot exists, and stopped. Then the changes are written, and each worker is
started again and reads them by itself while the others are down. The clock runs from the first record in the topics to
the last, the worker's CPU time between the same moments. Defaults of both connectors, JSON without schemas.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.postgres_under_test import Postgres

from bench.versus.broker_process import BrokerProcess
from bench.versus.connect import changes, workers
from bench.versus.connect.measured import Measured

PEERS: Final = {"moldau": workers.moldau, "debezium": workers.java}
PUBLICATION: Final = "dbz_publication"
LIMIT_SLOT: Final = "pg_recvlogical"
TABLES: Final = ("orders", "accounts", "tellers", "branches", "history")
TIMEOUT_S: Final = 900
LOOK_S: Final = 0.02


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
        self._workers = {
            peer: make(folder / peer, node, self._config(peer, {"snapshot.mode": "no_data"}))
            for peer, make in PEERS.items()
        }
        for peer in self._workers:
            self._acquaint(peer)

    def close(self) -> None:
        """Stop what runs."""
        for worker in self._workers.values():
            worker.stop()
        self._consumer.close()

    def _acquaint(self, peer: str) -> None:
        """Lets a worker make its slot and keep an offset: Debezium begins at the end of the WAL where it has none."""
        worker = self._workers[peer]
        with worker:
            self._until(worker, lambda: bool(self._slots(f"slot_name = '{peer}' AND active")))
            changes.pgbench(self._postgres, 1)
            self._until(worker, lambda: self._there([f"{peer}.public.history"]) > 0)

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

    def bulk(self, rows: int) -> dict[str, Measured]:
        """One transaction that inserts so many rows."""
        first, self._orders = self._orders + 1, self._orders + rows
        return self._changes("bulk", lambda: changes.bulk(self._postgres, first, rows))

    def pgbench(self, count: int) -> dict[str, Measured]:
        """Small transactions of about so many changes altogether."""
        return self._changes("pgbench", lambda: changes.pgbench(self._postgres, count))

    def fill(self, rows: int) -> None:
        """See to it that the bulk table has so many rows."""
        if self._orders < rows:
            changes.bulk(self._postgres, self._orders + 1, rows - self._orders)
            self._orders = rows

    def _changes(self, load: str, write: Callable[[], int]) -> dict[str, Measured]:
        slot = f"SELECT pg_create_logical_replication_slot('{LIMIT_SLOT}', 'pgoutput')"
        self._postgres.execute(slot, dbname=changes.DATABASE)
        count = write()
        self._say(f"{load}: {count:,} changes are written")
        found = {"limit": self._limit(count)}
        for peer, worker in self._workers.items():
            topics = [f"{peer}.public.{table}" for table in TABLES]
            before = self._there(topics)
            with worker:
                found[peer] = self._measure(worker, topics, before, count)
        return found

    def _limit(self, count: int) -> Measured:
        """The same WAL from a slot of its own into nothing; its CPU time is the client's alone."""
        (end,) = self._postgres.execute("SELECT pg_current_wal_lsn()", dbname=changes.DATABASE)[0]
        program = str(self._postgres.binaries / "pg_recvlogical")
        account = self._postgres.conninfo()
        command = [program, "--start", "--slot", LIMIT_SLOT, "-d", changes.DATABASE, "-f", "/dev/null"]
        command += ["-h", "127.0.0.1", "-p", str(self._postgres.port), "-U", str(account["user"]), "--endpos", end]
        command += ["-o", "proto_version=1", "-o", f"publication_names={PUBLICATION}", "--no-loop"]
        environment = {**os.environ, "PGPASSWORD": str(account["password"])}
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, timeout=TIMEOUT_S, env=environment, capture_output=True)
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        self._postgres.drop_slot(LIMIT_SLOT)
        return Measured(count, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    # Snapshots.

    def snapshot(self, threads: int) -> dict[str, Measured]:
        """All rows of the bulk table, by so many sessions."""
        self._snapshots += 1
        found = {}
        for peer, make in PEERS.items():
            prefix = f"{peer}-snapshot-{self._snapshots}"
            own = {
                "topic.prefix": prefix,
                "slot.name": prefix.replace("-", "_"),
                "snapshot.mode": "initial_only",
                "snapshot.max.threads": str(threads),
                "table.include.list": "public.orders",
            }
            worker = make(self._folder / prefix, self._node, self._config(peer, own))
            with worker:
                found[peer] = self._measure(worker, [f"{prefix}.public.orders"], 0, self._orders)
            for (slot,) in self._slots(f"slot_name = '{own['slot.name']}'"):
                self._postgres.drop_slot(slot)
        return found

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
        self._until(worker, lambda: self._there(topics) - before >= count)
        seconds, used = time.monotonic() - started, worker.usage().cpu_s - used
        return Measured(count - there, seconds, used)

    def _there(self, topics: list[str]) -> int:
        """Records in topics; those that are not there yet have none."""
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
    def _until(worker: workers.Worker, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            worker.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not get there:\n{worker.log_tail()}")
            time.sleep(LOOK_S)
