"""Ten thousand partitions on one node, then a hundred thousand: created in topics of 1,000, then measured at rest.

Memory is what the node has grown by. The start is one after an orderly stop, up to the first Metadata answer; the full
Metadata answer (version 1, every topic) is asked for on one connection. A broker that cannot hold the larger number
is named below the table with its reason.
"""

from __future__ import annotations

import struct
import time
import uuid
from collections.abc import Iterator

from confluent_kafka.admin import NewTopic

from bench.versus.broker_process import METADATA_KEY, METADATA_VERSION, BrokerProcess
from bench.versus.load.frames import ask, frame
from bench.versus.sample import Sample
from bench.versus.workloads import Measured, Workload, create_topics, measured

COUNTS, QUICK_COUNTS = (10_000, 100_000), (200, 1_000)
PER_TOPIC, QUICK_PER_TOPIC = 1_000, 100
ANSWERS = 10
START_TIMEOUT_S, STOP_TIMEOUT_S = 600, 300
LEADERS_TIMEOUT_S = 300
ALL_TOPICS = frame(METADATA_KEY, METADATA_VERSION, struct.pack(">i", -1))


def _led_partitions(answer: bytes) -> int:
    """Partitions with a leader in a Metadata v1 answer."""

    def skip_text(position: int) -> int:
        return position + 2 + max(struct.unpack_from(">h", answer, position)[0], 0)

    (brokers,) = struct.unpack_from(">i", answer)
    position = 4
    for _ in range(brokers):
        position = skip_text(skip_text(position + 4) + 4)
    position += 4
    (topics,) = struct.unpack_from(">i", answer, position)
    position += 4
    led = 0
    for _ in range(topics):
        position = skip_text(position + 2) + 1
        (count,) = struct.unpack_from(">i", answer, position)
        position += 4
        for _ in range(count):
            code, _index, leader, replicas = struct.unpack_from(">hiii", answer, position)
            led += code == 0 and leader >= 0
            position += 14 + 4 * replicas
            (in_sync,) = struct.unpack_from(">i", answer, position)
            position += 4 + 4 * in_sync
    return led


def _wait_for_leaders(node: BrokerProcess, count: int) -> None:
    deadline = time.monotonic() + LEADERS_TIMEOUT_S
    while (led := _led_partitions(ask(node.bootstrap_servers, ALL_TOPICS))) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{led} of {count} partitions have a leader after {LEADERS_TIMEOUT_S} s")
        time.sleep(0.2)


def _full_answers(node: BrokerProcess, row: str) -> Iterator[Sample]:
    taken_s = []
    with measured(node) as taken:
        for _ in range(ANSWERS):
            started = time.perf_counter()
            ask(node.bootstrap_servers, ALL_TOPICS)
            taken_s.append(time.perf_counter() - started)
    middle_ms = sorted(taken_s)[ANSWERS // 2] * 1e3
    cpu_ms = taken.cpu_s / ANSWERS * 1e3
    yield Sample(f"{row}, full Metadata answer", "ms", middle_ms, cpu_ms, "ms/answer", lower_is_better=True)


def measure(node: BrokerProcess, quick: bool) -> Iterator[Sample]:
    per_topic = QUICK_PER_TOPIC if quick else PER_TOPIC
    resident_before = node.usage().resident_bytes
    created, grown = 0, Measured()
    for count in QUICK_COUNTS if quick else COUNTS:
        row = f"{count:,} partitions"
        with measured(node) as taken:
            # One topic a request: a controller writes the records of one request as one batch, which has a limit.
            while created < count:
                create_topics(node, [NewTopic(f"bench-{uuid.uuid4().hex[:12]}", per_topic, 1)])
                created += per_topic
            _wait_for_leaders(node, count)
        grown.seconds += taken.seconds
        grown.cpu_s += taken.cpu_s
        cpu_us = grown.cpu_s / count * 1e6
        yield Sample(f"{row}, creation", "partitions/s", count / grown.seconds, cpu_us, "µs/partition")
        per_partition = (node.usage().resident_bytes - resident_before) / count / 1024
        yield Sample(f"{row}, memory", "KiB/partition", per_partition, lower_is_better=True)
        yield from _full_answers(node, row)
        if node.stop(STOP_TIMEOUT_S) not in (0, 143):
            raise RuntimeError(f"no orderly stop within {STOP_TIMEOUT_S} s")
        node.start(START_TIMEOUT_S)
        cpu_ms = node.usage().cpu_s * 1e3
        yield Sample(f"{row}, start", "ms", node.ready_after_s * 1e3, cpu_ms, "ms/start", lower_is_better=True)
        _wait_for_leaders(node, count)
        resident_kib = node.usage().resident_bytes / count / 1024
        yield Sample(f"{row}, whole memory after start", "KiB/partition", resident_kib, lower_is_better=True)


WORKLOAD = Workload(measure, fresh=True)
