"""Changes of PostgreSQL into a topic, rows per second: `python -m bench.connect_cdc [--rows N] [--transaction N]`.

A connector is started once so that its slot exists, and stopped; N rows of nine columns are inserted, all at once or in
small transactions; the worker is started again. Measured from the first record in the topic to the last: wall time, and
CPU time of the worker alone. `pg_recvlogical` reads the same WAL from a slot of its own: the limit. PostgreSQL, node
and worker share the machine, so the CPU is what can be compared. JSON without schemas.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.postgres_under_test import Postgres, postgres_under_test

from bench.versus import peers
from bench.versus.broker_process import BrokerProcess, free_port

DATABASE, LIMIT_SLOT = "shop", "pg_recvlogical"
TABLE = """CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, amount numeric(10,2) NOT NULL,
    status text NOT NULL, email text, note text, paid bool NOT NULL, at timestamp NOT NULL, due date)"""
ROWS = """INSERT INTO orders SELECT g, g % 9973, (g % 100000) / 100.0, 'PENDING', 'customer' || g || '@shop.test',
    CASE WHEN g % 4 = 0 THEN 'leave it at the door' END, g % 3 = 0, '2026-01-01 10:20:30.123456', '2026-02-03'
    FROM generate_series({first}, {last}) g"""
JSON = "org.apache.kafka.connect.json.JsonConverter"
TIMEOUT_S = 600


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """`moldau connect run` with one connector, as a process."""

    def __init__(self, folder: Path, node: BrokerProcess, config: dict[str, str]) -> None:
        self._log = folder / "worker.log"
        file = folder / "connector.json"
        file.write_text(json.dumps(config))
        self._command = [sys.executable, "-m", "moldau", "connect", "run", str(file)]
        self._command += ["--bootstrap-servers", node.bootstrap_servers, "--standalone", str(folder / "offsets")]
        self._command += ["--port", str(free_port())]

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=peers.moldau_environment(), start_new_session=True
            )

    def check(self, deadline: float) -> None:
        if self.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the worker did not get there:\n{self._log.read_text()[-3000:]}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def insert(postgres: Postgres, rows: int, transaction: int) -> None:
    with postgres.connect(DATABASE) as connection:
        for first in range(1, rows + 1, transaction):
            last = min(first + transaction - 1, rows)
            connection.execute(ROWS.format(first=first, last=last).encode())


def end_of(consumer: Consumer) -> int:
    try:
        return int(consumer.get_watermark_offsets(TopicPartition("p.public.orders", 0), timeout=5)[1])
    except KafkaException:
        return 0


def measure(worker: Worker, node: BrokerProcess, rows: int) -> str:
    """From the first record that is there to the last."""
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "bench", "log_level": 0})
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while not (before := end_of(consumer)):
            worker.check(deadline)
            time.sleep(0.02)
        started, used = time.monotonic(), cpu_s(worker.process.pid)
        while end_of(consumer) < rows:
            worker.check(deadline)
            time.sleep(0.05)
        seconds, used = time.monotonic() - started, cpu_s(worker.process.pid) - used
    finally:
        consumer.close()
    count = rows - before
    return f"{count / seconds:,.0f} rows/s, {used / count * 1e6:.2f} µs of the worker's CPU for each"


def limit(postgres: Postgres, rows: int) -> str:
    """The same WAL through `pg_recvlogical`, into nothing."""
    end = postgres.execute("SELECT pg_current_wal_lsn()", dbname=DATABASE)[0][0]
    command = [postgres.binaries / "pg_recvlogical", "--start", "--slot", LIMIT_SLOT, "-d", DATABASE, "-f", "/dev/null"]
    command += ["-h", "127.0.0.1", "-p", str(postgres.port), "-U", postgres.conninfo()["user"], "--endpos", end]
    command += ["-o", "proto_version=1", "-o", "publication_names=dbz_publication", "--no-loop"]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PGPASSWORD": postgres.conninfo()["password"]}
    subprocess.run(command, check=True, timeout=TIMEOUT_S, env=environment, capture_output=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{rows / seconds:,.0f} rows/s, {used / rows * 1e6:.2f} µs of its CPU for each"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.connect_cdc", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--transaction", type=int, default=0, help="rows of a transaction; 0: all rows in one")
    parser.add_argument("--no-headers", action="store_true", help="extended.headers.enabled=false")
    given = parser.parse_args()
    with postgres_under_test() as postgres, tempfile.TemporaryDirectory(prefix="moldau-bench-") as name:
        folder = Path(name)
        with peers.start("moldau", folder / "node", {"auto.create.topics.enable": "true"}) as node:
            config = postgres.create_database(DATABASE) | {
                "name": "cdc",
                "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
                "topic.prefix": "p",
                "plugin.name": "pgoutput",
                "snapshot.mode": "no_data",
                "extended.headers.enabled": str(not given.no_headers).lower(),
                **{f"{part}.converter": JSON for part in ("key", "value")},
                **{f"{part}.converter.schemas.enable": "false" for part in ("key", "value")},
            }
            postgres.execute(TABLE, dbname=DATABASE)
            worker = Worker(folder, node, config)
            worker.start()
            deadline = time.monotonic() + TIMEOUT_S
            while not postgres.execute("SELECT 1 FROM pg_replication_slots WHERE active", dbname=DATABASE):
                worker.check(deadline)
                time.sleep(0.05)
            worker.stop()
            slot = f"SELECT pg_create_logical_replication_slot('{LIMIT_SLOT}', 'pgoutput')"
            postgres.execute(slot, dbname=DATABASE)
            insert(postgres, given.rows, given.transaction or given.rows)
            print(f"pg_recvlogical: {limit(postgres, given.rows)}", flush=True)
            worker.start()
            try:
                found = measure(worker, node, given.rows)
            finally:
                worker.stop()
            print(f"moldau: {found} (load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
