"""Reads the numbers of a node, under the names of `moldau.observe.metrics`."""

from __future__ import annotations

from moldau._core import Core


def measure(core: Core) -> dict[str, int]:
    """Every number of the node now; counters are totals since it began to serve. May be called from any thread."""
    logs = core.logs()
    return {
        **core.counters(),
        "partitions": len(logs),
        "partitions_offline": sum(not log.online for log in logs),
        "log_bytes": sum(log.size_bytes for log in logs),
        "directories_offline": sum(not directory.online for directory in core.directories()),
    }
