"""What a record costs an application of streams: `python -m bench.streams [--records 500000] [--rounds 3]`.

`--idle 1000` measures what it costs to have nothing to do, with so many partitions: processor time over 30 s, of the
application and of the node.

A node, a topic that is filled before, and the application in a process of its own, so that its processor time (of all
of its threads, librdkafka's too) is its own. Each at-least-once and exactly-once: map and filter with functions, the
same with expressions, the guide's hourly revenue (JSON, state on disk) with functions and with expressions, each
without and with a record cache of 10 MiB, and a join of a stream with a table of 10,000 rows. Best of the rounds.

    workload guarantee | records/s by the wall | microseconds of processor per record
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import moldau
from moldau.streams import StreamsBuilder, TimeWindows, Topology, col, make
from moldau.streams.runtime import KafkaStreams

KEYS: Final = 10_000
HOURS: Final = 6
HOUR_MS: Final = 3_600_000
WITHIN_S: Final = 600
IDLE_S: Final = 30
CACHE_BYTES: Final = 10 * 1024 * 1024
GUARANTEES: Final = ("at_least_once", "exactly_once_v2")


def stateless() -> Topology:
    """Every fourth record is left out, the others get another value."""
    builder = StreamsBuilder()
    (
        builder.stream("orders", key=str, value=dict)
        .filter(lambda order: order["status"] == "COMPLETED")
        .map_values(lambda order: {"amount": order["amount"] * 1.2})
        .to("out", value=dict)
    )
    return builder.build()


def expressions() -> Topology:
    """The same in expressions: through columns."""
    builder = StreamsBuilder()
    (
        builder.stream("orders", key=str, value=dict)
        .filter(col.status == "COMPLETED")
        .map_values(make(dict, amount=col.amount * 1.2))
        .to("out", value=dict)
    )
    return builder.build()


def hourly_revenue() -> Topology:
    """The guide's: revenue per customer and hour."""
    builder = StreamsBuilder()
    (
        builder.stream("orders", key=str, value=dict)
        .filter(lambda order: order["status"] == "COMPLETED")
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .aggregate(lambda: 0.0, lambda _, order, total: total + order["amount"], store="revenue", value=float)
        .to_stream()
        .to("out", value=float)
    )
    return builder.build()


def hourly_expressions() -> Topology:
    """The same in expressions: through columns."""
    builder = StreamsBuilder()
    (
        builder.stream("orders", key=str, value=dict)
        .filter(col.status == "COMPLETED")
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .agg(revenue=col.amount.sum(), store="revenue")
        .to("out")
    )
    return builder.build()


def enriched() -> Topology:
    """Each order with its customer's name."""
    builder = StreamsBuilder()
    customers = builder.table("customers", key=str, value=str, store="customers")
    (
        builder.stream("orders", key=str, value=dict)
        .join(customers, lambda order, name: {"amount": order["amount"], "name": name})
        .to("out", value=dict)
    )
    return builder.build()


WORKLOADS: Final = {
    "stateless": stateless,
    "expressions": expressions,
    "hourly-revenue": hourly_revenue,
    "hourly-revenue+cache": hourly_revenue,
    "hourly-expressions": hourly_expressions,
    "hourly-expressions+cache": hourly_expressions,
    "enriched": enriched,
}


def fill(bootstrap: str, records: int) -> None:
    """Orders of some hours, and their customers."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, 1) for name in ("orders", "customers", "out")]).values():
        future.result(30)
    begin = (int(time.time()) // 3600 - HOURS - 1) * HOUR_MS
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000})
    for number in range(KEYS):
        producer.produce("customers", f"customer {number}", f"c{number}", timestamp=begin - 1)
    statuses = ("COMPLETED", "COMPLETED", "COMPLETED", "CANCELLED")
    for number in range(records):
        order = {
            "order_id": f"order-{number:09}",
            "customer_id": f"c{number * 7919 % KEYS}",
            "amount": float(number % 100),
            "status": statuses[number % 4],
            "items": [{"sku": f"sku-{number % 500}", "quantity": 1}],
        }
        key, moment = order["customer_id"], begin + number * HOURS * HOUR_MS // records
        producer.produce("orders", json.dumps(order).encode(), key, timestamp=moment)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(WITHIN_S) == 0


def run(bootstrap: str, workload: str, guarantee: str, records: int) -> None:
    """One application until it has worked on all records; prints seconds by the wall and of the processor."""
    wanted = records + (KEYS if workload == "enriched" else 0)
    with tempfile.TemporaryDirectory() as folder:
        app = KafkaStreams(
            WORKLOADS[workload](),
            application_id=f"bench-{time.time_ns()}",
            bootstrap_servers=bootstrap,
            processing_guarantee=guarantee,
            state_dir=folder,
            statestore_cache_max_bytes=CACHE_BYTES if workload.endswith("+cache") else 0,
            **({"commit_interval_ms": 1000} if guarantee == "at_least_once" else {}),
        )
        with app:
            app.wait_until_running()
            begun, spent = time.monotonic(), _processor_s()
            while sum(thread["records"] for thread in app.metrics()["threads"].values()) < wanted:
                assert app.failure is None, app.failure
                time.sleep(0.05)
            print(time.monotonic() - begun, _processor_s() - spent, flush=True)


def rest(bootstrap: str) -> None:
    """An application with nothing to do; prints how many seconds of the processor it takes for that."""
    builder = StreamsBuilder()
    builder.stream("quiet", key=str, value=dict).filter(lambda order: order["amount"] > 1).to("out", value=dict)
    with tempfile.TemporaryDirectory() as folder:
        app = KafkaStreams(builder.build(), application_id="idle", bootstrap_servers=bootstrap, state_dir=folder)
        with app:
            app.wait_until_running(WITHIN_S)
            time.sleep(5)
            spent = _processor_s()
            time.sleep(IDLE_S)
            print(_processor_s() - spent, flush=True)


def measure_idle(bootstrap: str, partitions: int) -> None:
    """The same, and what the node takes, which is in this process."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic("quiet", partitions), NewTopic("out", 1)]).values():
        future.result(WITHIN_S)
    with subprocess.Popen(
        [sys.executable, "-m", "bench.streams", "--rest", bootstrap], stdout=subprocess.PIPE, text=True
    ) as application:
        time.sleep(10)
        begun, spent = time.monotonic(), _processor_s()
        assert application.stdout is not None
        took = float(application.stdout.read())
        node = (_processor_s() - spent) / (time.monotonic() - begun)
    print(f"idle, {partitions} partitions | application {took / IDLE_S:7.2%} of a core | node {node:7.2%}")


def _processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(bootstrap: str, records: int, rounds: int, only: list[str]) -> None:
    """Every workload, or some, with both guarantees, in turn."""
    for workload in only or WORKLOADS:
        for guarantee in GUARANTEES:
            command = [sys.executable, "-m", "bench.streams", "--run", bootstrap, workload, guarantee, str(records)]
            results = [
                tuple(map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()))
                for _ in range(rounds)
            ]
            wall, processor = min(one[0] for one in results), min(one[1] for one in results)
            print(f"{workload:24} {guarantee:16} | {records / wall:9,.0f} /s | {processor / records * 1e6:6.2f} us")


def main() -> None:
    """Measure, or be the measured process."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(WORKLOADS), default=[])
    parser.add_argument("--idle", type=int, metavar="PARTITIONS")
    parser.add_argument("--run", nargs=4, metavar=("BOOTSTRAP", "WORKLOAD", "GUARANTEE", "RECORDS"))
    parser.add_argument("--rest", metavar="BOOTSTRAP")
    given = parser.parse_args()
    if given.rest is not None:
        rest(given.rest)
        return
    if given.run is not None:
        run(*given.run[:3], int(given.run[3]))
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        moldau.Broker(Path(folder), group_initial_rebalance_delay_ms=0) as broker,
    ):
        if given.idle is not None:
            measure_idle(broker.bootstrap_servers, given.idle)
            return
        fill(broker.bootstrap_servers, given.records)
        measure(broker.bootstrap_servers, given.records, given.rounds, given.only)


if __name__ == "__main__":
    main()
