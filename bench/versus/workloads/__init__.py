"""Workloads of the control plane: each can be run alone, `python -m bench.versus transactions --quick`.

A workload is a function from a running broker and a size to samples. It ends by itself: its work is counted, and each
wait in it has a limit. Broker CPU is read around the measured part only, never around what prepares it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient, NewTopic

from bench.versus.broker_process import BrokerProcess
from bench.versus.sample import Sample

TOPIC_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Workload:
    """`measure(node, quick)` gives the samples of one round."""

    measure: Callable[[BrokerProcess, bool], Iterator[Sample]]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Broker settings beyond those of Kafka's server.properties, the same for both."""
    fresh: bool = False
    """Every round has brokers of its own, and none is thrown away: it is the start and the growth that count."""


@dataclass(slots=True)
class Measured:
    """Wall time and broker CPU of a block."""

    seconds: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def measured(node: BrokerProcess) -> Iterator[Measured]:
    """Fills in its result when the block ends."""
    result = Measured()
    cpu_before, started = node.usage().cpu_s, time.perf_counter()
    yield result
    result.seconds = time.perf_counter() - started
    result.cpu_s = node.usage().cpu_s - cpu_before


def rate(row: str, what: str, count: int, taken: Measured) -> Sample:
    """`count` operations: per second, and µs of broker CPU for each."""
    return Sample(row, f"{what}s/s", count / taken.seconds, taken.cpu_s / count * 1e6, f"µs/{what}")


def percentiles(row: str, latencies_s: Sequence[float]) -> Iterator[Sample]:
    ordered = sorted(latencies_s)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        microseconds = ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6
        yield Sample(f"{row}, {name}", "µs", microseconds, lower_is_better=True)


def create_topics(node: BrokerProcess, topics: Sequence[NewTopic], limit_s: float = TOPIC_TIMEOUT_S) -> None:
    """Create topics with one request and wait until the broker says it has."""
    admin = AdminClient({"bootstrap.servers": node.bootstrap_servers})
    futures = admin.create_topics(list(topics), operation_timeout=limit_s, request_timeout=limit_s)
    for future in futures.values():
        future.result(limit_s)
