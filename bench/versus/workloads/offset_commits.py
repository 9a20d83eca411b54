"""Offset commits: one group that waits for each, and a hundred groups at once, one connection each.

OffsetCommit version 7 for one partition, as a consumer with assigned partitions sends it (no generation).
"""

from __future__ import annotations

import struct
import time
import uuid
from collections.abc import Iterator

from confluent_kafka.admin import NewTopic

from bench.versus.broker_process import BrokerProcess
from bench.versus.load.frames import Connections, frame, text, wait_for_coordinator
from bench.versus.sample import Sample
from bench.versus.workloads import Workload, create_topics, measured, percentiles, rate

OFFSET_COMMIT, VERSION = 8, 7
COUNT, QUICK_COUNT = 10_000, 200
GROUPS = 100
WAIT_S = 60
# UNKNOWN_TOPIC_OR_PARTITION while a broker has not yet heard of it, COORDINATOR_LOAD_IN_PROGRESS,
# COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
RETRIED = {3, 14, 15, 16}


def commit_frame(group: str, topic: str, offset: int) -> bytes:
    head = text(group) + struct.pack(">i", -1) + text("") + text(None)
    partitions = struct.pack(">iiqi", 1, 0, offset, -1) + text("")
    return frame(OFFSET_COMMIT, VERSION, head + struct.pack(">i", 1) + text(topic) + partitions)


def _error(answer: bytes) -> int:
    """The error code of the only partition, which is the last thing in the answer."""
    code: int = struct.unpack_from(">h", answer, len(answer) - 2)[0]
    return code


def _ready(connections: Connections, group: str, topic: str) -> None:
    """Commit until the coordinator takes it: its partition may still be loading."""
    deadline = time.monotonic() + WAIT_S
    while True:
        connections.send(0, commit_frame(group, topic, 0), None)
        found = [answer for wait in (WAIT_S,) for _tag, answer in connections.answers(wait)]
        code = _error(found[0]) if found else -1
        if code == 0:
            return
        if code not in RETRIED or time.monotonic() > deadline:
            raise RuntimeError(f"a commit was refused with error code {code}")
        time.sleep(0.02)


def commits(connections: Connections, groups: list[str], topic: str, count: int) -> list[float]:
    """`count` commits, one in flight for each group; the seconds that each took."""
    started: dict[str, float] = {}
    found: list[float] = []
    sent = 0
    for number, group in enumerate(groups):
        started[group] = time.perf_counter()
        connections.send(number, commit_frame(group, topic, sent), (number, group))
        sent += 1
    while len(found) < count:
        progress = len(found)
        for (number, group), answer in connections.answers(WAIT_S):
            if (code := _error(answer)) != 0:
                raise RuntimeError(f"a commit was refused with error code {code}")
            found.append(time.perf_counter() - started[group])
            if sent < count:
                started[group] = time.perf_counter()
                connections.send(number, commit_frame(group, topic, sent), (number, group))
                sent += 1
        if len(found) == progress:
            raise RuntimeError(f"no answer to a commit within {WAIT_S} s")
    return found


def measure(node: BrokerProcess, quick: bool) -> Iterator[Sample]:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    create_topics(node, [NewTopic(name, 1, 1)])
    count = QUICK_COUNT if quick else COUNT
    for what, group_count in (("one group", 1), (f"{GROUPS} groups", GROUPS)):
        groups = [f"{name}-{group_count}-{number}" for number in range(group_count)]
        connections = Connections(node.bootstrap_servers, group_count)
        try:
            for group in groups:
                wait_for_coordinator(node.bootstrap_servers, group)
                _ready(connections, group, name)
            with measured(node) as taken:
                latencies = commits(connections, groups, name, count)
        finally:
            connections.close()
        yield rate(f"offset commits, {what}", "commit", count, taken)
        yield from percentiles(f"offset commits, {what}", latencies)


WORKLOAD = Workload(measure)
