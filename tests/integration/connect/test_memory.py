"""The worker's memory while a transaction of millions of rows streams through it: measured, and bounded by settings."""

from __future__ import annotations

import os
import time

import pytest
from bench.versus import peers
from bench.versus.connect import changes, workers
from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.postgres_under_test import postgres_under_test

ROWS = int(os.environ.get("MOLDAU_TEST_TRANSACTION_ROWS", "2000000"))
WARM_UP = 100_000
GROWTH_MIB_MAX = 48
WITHIN_S = 1500


def until_there(consumer: Consumer, worker: workers.Worker, topic: str, rows: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        worker.check()
        assert time.monotonic() < deadline, worker.log_tail()
        try:
            if consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1] >= rows:
                return
        except KafkaException:
            # The topic is not there yet.
            pass
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_transaction_of_millions_of_rows_is_never_held_in_memory(tmp_path):
    with (
        postgres_under_test() as postgres,
        peers.moldau(tmp_path / "node", {"auto.create.topics.enable": "true"}) as node,
    ):
        config = changes.create(postgres) | {
            "name": "cdc",
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "topic.prefix": "p",
            "plugin.name": "pgoutput",
            "snapshot.mode": "no_data",
            **{f"{part}.converter": workers.JSON for part in ("key", "value")},
            **{f"{part}.converter.schemas.enable": "false" for part in ("key", "value")},
        }
        consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "test", "log_level": 0})
        with workers.moldau(tmp_path / "worker", node, config) as worker:
            while not postgres.execute("SELECT 1 FROM pg_replication_slots WHERE active", dbname=changes.DATABASE):
                worker.check()
            changes.bulk(postgres, 1, WARM_UP)
            until_there(consumer, worker, "p.public.orders", WARM_UP)
            before = worker.usage().peak_resident_bytes
            changes.bulk(postgres, WARM_UP + 1, ROWS)
            until_there(consumer, worker, "p.public.orders", WARM_UP + ROWS)
            after = worker.usage().peak_resident_bytes
        consumer.close()
    grown_mib = (after - before) / 2**20
    print(f"{ROWS:,} rows in one transaction: {before / 2**20:.0f} MiB before, {after / 2**20:.0f} MiB at most")
    assert grown_mib < GROWTH_MIB_MAX, f"{grown_mib:.0f} MiB more than the {before / 2**20:.0f} of before"
