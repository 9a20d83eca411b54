"""Every number that a node reports: name, kind, unit and one sentence.

Counters are totals since the process began; a rate is the difference of two readings, which is the reader's business.
Names are stable: a dashboard that was made today shows the same tomorrow.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final


class Kind(enum.Enum):
    """Whether a number only grows; the words are Prometheus'."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number."""

    name: str
    kind: Kind
    unit: str
    """What is counted: `bytes`, `requests`, …"""
    doc: str


def _counter(name: str, unit: str, doc: str) -> Metric:
    return Metric(name, Kind.COUNTER, unit, doc)


def _gauge(name: str, unit: str, doc: str) -> Metric:
    return Metric(name, Kind.GAUGE, unit, doc)


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        _counter("connections_accepted", "connections", "Connections that were let in."),
        _counter(
            "connections_refused", "connections", "Connections closed at once because their address has too many."
        ),
        _counter("connections_reaped", "connections", "Connections closed after connections.max.idle.ms."),
        _gauge("connections_open", "connections", "Connections that are open now."),
        _counter(
            "malformed_requests", "requests", "Requests that could not be read; each cost its sender a connection."
        ),
        _counter("bytes_received", "bytes", "What clients have sent, frames included."),
        _counter("bytes_sent", "bytes", "What clients were sent, frames included."),
        _counter("produced_bytes", "bytes", "Batches that were appended for producers, as they are on disk."),
        _counter("produced_messages", "records", "Records that were appended for producers."),
        _counter("fetched_bytes", "bytes", "Batches that were sent to consumers."),
        _counter("failed_produce_partitions", "partitions", "Partitions of Produce requests that got an error."),
        _counter("failed_fetch_partitions", "partitions", "Partitions of Fetch requests that got an error."),
        _counter("sessions_evicted", "sessions", "Fetch sessions that made room for others."),
        _gauge("partitions", "partitions", "Partitions whose log is on this node."),
        _gauge("partitions_offline", "partitions", "Partitions of this node that cannot be served."),
        _gauge("log_bytes", "bytes", "Size of all logs of this node."),
        _counter("log_cleaner_passes", "passes", "Logs that were compacted."),
        _counter("log_cleaner_read_bytes", "bytes", "What compaction has read; dirty parts are read twice."),
        _counter("log_cleaner_written_bytes", "bytes", "What compaction has written."),
        _counter("log_cleaner_removed_records", "records", "Records that compaction has removed."),
        _gauge("log_cleaner_max_dirty_percent", "percent", "Dirty part of the dirtiest compacted log."),
        _gauge(
            "log_cleaner_uncleanable_partitions",
            "partitions",
            "Partitions set aside because they cannot be compacted; the log says why.",
        ),
        _gauge("directories_offline", "directories", "Log directories that have failed."),
    )
}

REQUESTS: Final = re.compile(r"requests_\d+")
"""One counter for each API key: `requests_1` counts Fetch requests."""


def find(name: str) -> Metric | None:
    """The declaration of a reported number; None for a name that is not declared."""
    if REQUESTS.fullmatch(name):
        return _counter(name, "requests", f"Requests with API key {name.partition('_')[2]}.")
    return METRICS.get(name)
