"""Every name on the `/metrics` of a streams application, once.

What Kafka Streams has is called as the JMX exporter of Prometheus spells it (`kafka.streams:type=stream-task-metrics`),
so dashboards for it show something; the rest begins with `moldau_streams_`. Totals count since the instance started.
"""

from __future__ import annotations

from typing import Final

from moldau.observe.families import Family
from moldau.observe.metrics import Kind


def _counter(name: str, doc: str) -> Family:
    return Family(name, Kind.COUNTER, doc)


def _gauge(name: str, doc: str) -> Family:
    return Family(name, Kind.GAUGE, doc)


_THREAD: Final = "kafka_streams_stream_thread_metrics"
_TASK: Final = "kafka_streams_stream_task_metrics"

STATE: Final = _gauge("moldau_streams_state", "1, with the state of the instance.")

THREADS: Final[dict[str, Family]] = {
    "records": _counter(f"{_THREAD}_process_total", "Records that were taken through the topology."),
    "process_s": _counter("moldau_streams_process_seconds_total", "Time in the topology."),
    "polls": _counter(f"{_THREAD}_poll_total", "Turns of the loop."),
    "commits": _counter(f"{_THREAD}_commit_total", "Commits that wrote something."),
    "commit_s": _counter("moldau_streams_commit_seconds_total", "Time in commits."),
    "sent": _counter("moldau_streams_sent_records_total", "Records that were written, of changelogs too."),
    "restored": _counter("moldau_streams_restored_records_total", "Records of changelogs that were read back."),
    "rebalances": _counter("moldau_streams_rebalances_total", "Assignments of tasks."),
    "tasks_created": _counter(f"{_THREAD}_task_created_total", "Tasks that were made."),
    "tasks_closed": _counter(f"{_THREAD}_task_closed_total", "Tasks that were closed."),
}
"""One sample per thread."""

TASKS: Final[dict[str, Family]] = {
    "records": _counter(f"{_TASK}_process_total", "Records that a task has worked on."),
    "columnar": _counter("moldau_streams_columnar_records_total", "Those of them that were taken through columns."),
    "skipped": _counter("moldau_streams_skipped_records_total", "Records that a handler of exceptions has left out."),
    "buffered": _gauge(f"{_TASK}_active_buffer_records", "Records that wait in the queues of a task."),
    "stream_time": _gauge("moldau_streams_stream_time_ms", "Greatest timestamp that a task has seen, -1 for none."),
    "record_age_ms": _gauge(
        f"{_TASK}_record_age_ms", "How old the latest record was by its timestamp when it had been worked on."
    ),
}
"""One sample per task."""

LAG: Final = _gauge(
    "moldau_streams_input_lag_records", "Records of an input that the last fetch knew of and nobody did."
)
DROPPED: Final = _counter(
    f"{_TASK}_dropped_records_total", "Records that a node could not use, late ones among them; why is in reason."
)
NODES: Final = _counter(
    "kafka_streams_stream_processor_node_metrics_process_total",
    "Records into a node; counted with metrics.recording.level=DEBUG.",
)
STORE_ENTRIES: Final = _gauge(
    "moldau_streams_store_entries", "Entries of a store; on disk an estimate of all stores of the task together."
)
STATE_BYTES: Final = _gauge("moldau_streams_state_bytes", "Size of a task's database on disk.")
RESTORE_REMAINING: Final = _gauge(
    "kafka_streams_stream_task_metrics_restore_remaining_records", "Offsets of a changelog that are still to be read."
)
GLOBAL_RECORDS: Final = _counter("moldau_streams_global_records_total", "Records of global tables that were read.")

ALL: Final[tuple[Family, ...]] = (
    STATE,
    *THREADS.values(),
    *TASKS.values(),
    LAG,
    DROPPED,
    NODES,
    STORE_ENTRIES,
    STATE_BYTES,
    RESTORE_REMAINING,
    GLOBAL_RECORDS,
)
"""Everything, for the reference page."""
