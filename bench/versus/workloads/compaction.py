"""The log cleaner beside a producer: a compacted topic in which each key was written many times.

The topic is filled while its dirty ratio may be 1, then `min.cleanable.dirty.ratio` goes to 0.01 and the clock runs
until its closed segments have shrunk to what the keys need. All the while one producer sends a single record every
few milliseconds to another topic; its latency is the price that others pay. `MB` are those of the dirty log.
"""

from __future__ import annotations

import struct
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Self

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from bench.versus.broker_process import BrokerProcess
from bench.versus.load.wire import (
    Reader,
    check_produced,
    connect,
    produce_frame,
    record_batch,
    wait_for_leaders,
)
from bench.versus.sample import Sample
from bench.versus.workloads import Workload, create_topics, measured, percentiles

MEGABYTES, QUICK_MEGABYTES = 1000, 24
SEGMENT_BYTES, QUICK_SEGMENT_BYTES = 64 << 20, 4 << 20
KEYS = 5_000
RECORDS_PER_BATCH, RECORD_BYTES = 100, 200
CLEAN_TIMEOUT_S = 300
PAUSE_S = 0.005


def _log_bytes(node: BrokerProcess, topic: str) -> int:
    """Bytes of the partition's segments; those that were replaced have another name until they are deleted."""
    total = 0
    for segment in (node.data / f"{topic}-0").glob("*.log"):
        try:
            total += segment.stat().st_size
        except FileNotFoundError:
            continue  # replaced between the listing and the question
    return total


def _fill(node: BrokerProcess, topic: str, megabytes: int) -> None:
    """Batches with the keys in turn, five requests in flight."""
    keys = [struct.pack(">q", number) for number in range(KEYS)]
    lots = [keys[first : first + RECORDS_PER_BATCH] for first in range(0, KEYS, RECORDS_PER_BATCH)]
    batches = [record_batch(RECORDS_PER_BATCH, RECORD_BYTES, lot) for lot in lots]
    frames = [produce_frame(topic, range(1), batch) for batch in batches]
    with connect(node.bootstrap_servers) as connection:
        reader = Reader(connection)
        wait_for_leaders(reader, topic, 1, batches[0])
        sent = waiting = turn = 0
        while sent < megabytes * 1_000_000 or waiting:
            while sent < megabytes * 1_000_000 and waiting < 5:
                connection.sendall(frames[turn % len(frames)])
                sent += len(frames[turn % len(frames)])
                turn += 1
                waiting += 1
            check_produced(reader.answer())
            waiting -= 1


class _Beside:
    """A producer that sends one record at a time until it is told to stop."""

    def __init__(self, node: BrokerProcess, topic: str) -> None:
        self.latencies_s: list[float] = []
        self._frame = produce_frame(topic, range(1), record_batch(1, RECORD_BYTES))
        self._connection = connect(node.bootstrap_servers)
        self._reader = Reader(self._connection)
        wait_for_leaders(self._reader, topic, 1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._connection.close()

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_S):
            started = time.perf_counter()
            self._connection.sendall(self._frame)
            check_produced(self._reader.answer())
            self.latencies_s.append(time.perf_counter() - started)


def _set_dirty_ratio(node: BrokerProcess, topic: str, ratio: str) -> None:
    entry = ConfigEntry("min.cleanable.dirty.ratio", ratio, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    # Kept in a name until the answer is there: a client that is collected gives its futures up.
    admin = AdminClient({"bootstrap.servers": node.bootstrap_servers})
    admin.incremental_alter_configs([resource])[resource].result(30)


def measure(node: BrokerProcess, quick: bool) -> Iterator[Sample]:
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    segment_bytes = QUICK_SEGMENT_BYTES if quick else SEGMENT_BYTES
    config = {
        "cleanup.policy": "compact",
        "segment.bytes": str(segment_bytes),
        "min.cleanable.dirty.ratio": "1",
        "min.compaction.lag.ms": "0",
    }
    create_topics(node, [NewTopic(topic, 1, 1, config=config), NewTopic(f"{topic}-beside", 1, 1)])
    _fill(node, topic, QUICK_MEGABYTES if quick else MEGABYTES)
    dirty = _log_bytes(node, topic)
    # What stays: each key once, and the segment that is written to.
    clean_at_most = segment_bytes + 2 * KEYS * (RECORD_BYTES + 100)
    with _Beside(node, f"{topic}-beside") as beside, measured(node) as taken:
        _set_dirty_ratio(node, topic, "0.01")
        deadline = time.monotonic() + CLEAN_TIMEOUT_S
        while (left := _log_bytes(node, topic)) > clean_at_most:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{left} of {dirty} bytes are left after {CLEAN_TIMEOUT_S} s")
            time.sleep(0.01)
    gigabytes = (dirty - left) / 1e9
    yield Sample("compaction beside a producer", "MB/s", gigabytes * 1000 / taken.seconds, taken.cpu_s / gigabytes)
    yield from percentiles("produce latency beside compaction", beside.latencies_s)


# A cleaner that sleeps 15 s between looks, as it does by default, would be most of the figure.
WORKLOAD = Workload(measure, {"log.cleaner.backoff.ms": "100"})
