"""Every name on the `/metrics` of a Connect worker, once.

What Kafka Connect has is called as the JMX exporter of Prometheus spells it (`kafka.connect:type=source-task-metrics`),
what Debezium has as in Debezium's own example for that exporter (`debezium_metrics_…`, with Java's spelling), so that
dashboards for both show something. Averages and maxima are over the last half minute to minute, rates too, as in Kafka.
"""

from __future__ import annotations

from typing import Final

from moldau.observe.families import Family
from moldau.observe.metrics import Kind


def _counter(name: str, doc: str) -> Family:
    return Family(name, Kind.COUNTER, doc)


def _gauge(name: str, doc: str) -> Family:
    return Family(name, Kind.GAUGE, doc)


_WORKER: Final = "kafka_connect_connect_worker_metrics"
_TASK: Final = "kafka_connect_connector_task_metrics"
_SOURCE: Final = "kafka_connect_source_task_metrics"
_SINK: Final = "kafka_connect_sink_task_metrics"
_ERROR: Final = "kafka_connect_task_error_metrics"
_DEBEZIUM: Final = "debezium_metrics"

WORKER: Final[dict[str, Family]] = {
    "connectors": _gauge(f"{_WORKER}_connector_count", "Connectors that run in this worker."),
    "tasks": _gauge(f"{_WORKER}_task_count", "Tasks that run in this worker."),
    "connector_attempts": _counter(f"{_WORKER}_connector_startup_attempts_total", "Starts of connectors."),
    "connector_successes": _counter(f"{_WORKER}_connector_startup_success_total", "Starts that succeeded."),
    "connector_failures": _counter(f"{_WORKER}_connector_startup_failure_total", "Starts that failed."),
    "task_attempts": _counter(f"{_WORKER}_task_startup_attempts_total", "Starts of tasks."),
    "task_successes": _counter(f"{_WORKER}_task_startup_success_total", "Starts of tasks that succeeded."),
    "task_failures": _counter(f"{_WORKER}_task_startup_failure_total", "Starts of tasks that failed."),
}
"""One sample each."""

CONNECTOR_TASKS: Final[dict[str, Family]] = {
    "total": _gauge(f"{_WORKER}_connector_total_task_count", "Tasks of a connector in this worker."),
    "running": _gauge(f"{_WORKER}_connector_running_task_count", "Tasks of a connector that run."),
    "paused": _gauge(f"{_WORKER}_connector_paused_task_count", "Tasks of a connector that are paused."),
    "failed": _gauge(f"{_WORKER}_connector_failed_task_count", "Tasks of a connector that have failed."),
    "unassigned": _gauge(f"{_WORKER}_connector_unassigned_task_count", "Tasks of a connector that have not begun."),
    "destroyed": _gauge(f"{_WORKER}_connector_destroyed_task_count", "Tasks of a connector that have ended."),
}
"""One sample per connector."""

STATUS: Final = _gauge("kafka_connect_connector_status", "1, with what a task does: running, paused, failed, ….")

TASKS: Final[dict[str, Family]] = {
    "running_ratio": _gauge(f"{_TASK}_running_ratio", "Part of its time in which a task has run."),
    "pause_ratio": _gauge(f"{_TASK}_pause_ratio", "Part of its time in which a task was paused."),
    "batch_avg": _gauge(f"{_TASK}_batch_size_avg", "Records of a batch, on average."),
    "batch_max": _gauge(f"{_TASK}_batch_size_max", "Records of the largest batch."),
    "commit_avg_ms": _gauge(f"{_TASK}_offset_commit_avg_time_ms", "Milliseconds of a commit of offsets, on average."),
    "commit_max_ms": _gauge(f"{_TASK}_offset_commit_max_time_ms", "Milliseconds of the longest commit of offsets."),
    "commit_success": _gauge(
        f"{_TASK}_offset_commit_success_percentage", "Part of the commits that succeeded, 0 to 1."
    ),
    "commit_failure": _gauge(f"{_TASK}_offset_commit_failure_percentage", "Part of the commits that failed, 0 to 1."),
}
"""One sample per task."""

SOURCES: Final[dict[str, Family]] = {
    "polled": _counter(f"{_SOURCE}_source_record_poll_total", "Records that a task has polled of its source."),
    "poll_rate": _gauge(f"{_SOURCE}_source_record_poll_rate", "Records polled a second."),
    "written": _counter(f"{_SOURCE}_source_record_write_total", "Records that Kafka has acknowledged."),
    "write_rate": _gauge(f"{_SOURCE}_source_record_write_rate", "Records acknowledged a second."),
    "active": _gauge(f"{_SOURCE}_source_record_active_count", "Records that were polled and are not acknowledged yet."),
    "poll_avg_ms": _gauge(f"{_SOURCE}_poll_batch_avg_time_ms", "Milliseconds of a poll with records, on average."),
    "poll_max_ms": _gauge(f"{_SOURCE}_poll_batch_max_time_ms", "Milliseconds of the longest poll with records."),
}
"""One sample per source task."""

SINKS: Final[dict[str, Family]] = {
    "read": _counter(f"{_SINK}_sink_record_read_total", "Records that a task has consumed."),
    "read_rate": _gauge(f"{_SINK}_sink_record_read_rate", "Records consumed a second."),
    "sent": _counter(f"{_SINK}_sink_record_send_total", "Records that were put to the connector, after transforms."),
    "send_rate": _gauge(f"{_SINK}_sink_record_send_rate", "Records put a second."),
    "active": _gauge(f"{_SINK}_sink_record_active_count", "Records that were consumed and are not committed yet."),
    "partitions": _gauge(f"{_SINK}_partition_count", "Partitions that a task reads."),
    "commits": _counter(f"{_SINK}_offset_commit_completion_total", "Commits of offsets that succeeded."),
    "commits_skipped": _counter(f"{_SINK}_offset_commit_skip_total", "Commits of offsets that failed, and came later."),
    "put_avg_ms": _gauge(f"{_SINK}_put_batch_avg_time_ms", "Milliseconds of a put, on average."),
    "put_max_ms": _gauge(f"{_SINK}_put_batch_max_time_ms", "Milliseconds of the longest put."),
}
"""One sample per sink task."""

ERRORS: Final[dict[str, Family]] = {
    "errors": _gauge(f"{_ERROR}_total_record_errors", "Errors in the way of records, those of retries among them."),
    "failures": _gauge(f"{_ERROR}_total_record_failures", "Records that failed."),
    "skipped": _gauge(f"{_ERROR}_total_records_skipped", "Records that failed and were left out."),
    "retries": _gauge(f"{_ERROR}_total_retries", "Operations that were tried again."),
    "logged": _gauge(f"{_ERROR}_total_errors_logged", "Errors that were written to the log (errors.log.enable)."),
    "dead_letters": _gauge(f"{_ERROR}_deadletterqueue_produce_requests", "Records sent to the dead-letter queue."),
    "dead_letters_lost": _gauge(
        f"{_ERROR}_deadletterqueue_produce_failures", "Records that the dead-letter queue did not take."
    ),
    "last_error_ms": _gauge(f"{_ERROR}_last_error_timestamp", "When the last error was, in milliseconds since 1970."),
}
"""One sample per task; totals since it started, called as in Kafka."""

_COMMON: Final = {
    "TotalNumberOfEventsSeen": "Events since the task started.",
    "TotalNumberOfCreateEventsSeen": "Events of new rows.",
    "TotalNumberOfUpdateEventsSeen": "Events of changed rows.",
    "TotalNumberOfDeleteEventsSeen": "Events of deleted rows.",
    "NumberOfEventsFiltered": "Changes of tables that are not captured, or of skipped operations.",
    "NumberOfErroneousEvents": "Changes that could not be read.",
    "MilliSecondsSinceLastEvent": "Since the last event was read, -1 when none was.",
    "QueueTotalCapacity": "Records that may wait between reading and polling.",
    "QueueRemainingCapacity": "Of these, how many more may.",
    "MaxQueueSizeInBytes": "Bytes that may wait.",
    "CurrentQueueSizeInBytes": "Bytes that wait.",
}
_STREAMING: Final = {
    "Connected": "1 while the stream is open.",
    "MilliSecondsBehindSource": "From the commit in the database to the reading of the last event, -1 before one.",
    "NumberOfCommittedTransactions": "Transactions that were read to their end.",
}
_SNAPSHOT: Final = {
    "TotalTableCount": "Tables of the snapshot.",
    "RemainingTableCount": "Tables that are not read to their end.",
    "SnapshotRunning": "1 while rows are read.",
    "SnapshotPaused": "1 while an incremental snapshot is paused.",
    "SnapshotCompleted": "1 when all rows are read.",
    "SnapshotAborted": "1 when reading has ended before.",
    "SnapshotSkipped": "1 when no rows were to be read.",
    "SnapshotDurationInSeconds": "How long it has taken so far, or took.",
}
DEBEZIUM: Final[dict[str, Family]] = {
    name: _gauge(f"{_DEBEZIUM}_{name}", doc) for name, doc in (_COMMON | _STREAMING | _SNAPSHOT).items()
}
"""By attribute. Labels: plugin, name (topic.prefix), context (streaming or snapshot)."""

ROWS_SCANNED: Final = _gauge(f"{_DEBEZIUM}_RowsScanned", "Rows of a table that the snapshot has read.")

ALL: Final[tuple[Family, ...]] = (
    *WORKER.values(),
    *CONNECTOR_TASKS.values(),
    STATUS,
    *TASKS.values(),
    *SOURCES.values(),
    *SINKS.values(),
    *ERRORS.values(),
    *DEBEZIUM.values(),
    ROWS_SCANNED,
)
"""Everything, for the reference page."""
