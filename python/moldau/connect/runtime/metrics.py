"""A worker's `/metrics`: what its connectors and tasks count, under the names of `moldau.observe.connect`.

Read by the thread of the request while the tasks go on: see `task_metrics`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from moldau.connect.runtime.dead_letters import DeadLetterQueue
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.sink_task import WorkerSinkTask
from moldau.connect.runtime.source_task import SourceTaskRunner
from moldau.connect.runtime.task import WorkerTask
from moldau.connect.runtime.tolerance import LogReporter, Tolerance
from moldau.connect.runtime.worker import Worker
from moldau.observe import connect as names
from moldau.observe import process
from moldau.observe.exposition import Exposition
from moldau.observe.families import PROCESS, Family

logger: Final = logging.getLogger("moldau.connect.metrics")

Numbers = Mapping[str, float]
Labels = Mapping[str, str]


class _Samples:
    """By family, so that each family stands once."""

    def __init__(self) -> None:
        self.by_family: dict[Family, list[tuple[Labels, float]]] = defaultdict(list)

    def add(self, families: Mapping[str, Family], labels: Labels, numbers: Numbers) -> None:
        for name, value in numbers.items():
            self.by_family[families[name]].append((labels, value))


def exposition(worker: Worker) -> bytes:
    """All numbers in Prometheus' text format."""
    samples = _Samples()
    tasks = worker.running_tasks()
    samples.add(names.WORKER, {}, _of_worker(worker, len(tasks)))
    for connector, numbers in _by_connector(worker, tasks).items():
        samples.add(names.CONNECTOR_TASKS, {"connector": connector}, numbers)
    for task_id, task in tasks:
        labels = {"connector": task_id.connector, "task": str(task_id.task)}
        state = "failed" if task is None else task.metrics.states.now
        samples.add({"": names.STATUS}, {**labels, "status": state}, {"": 1})
        if task is not None:
            _add_task(samples, labels, task)
    samples.add(PROCESS, {}, process.read())
    text = Exposition()
    for family, values in samples.by_family.items():
        text.values(family, values)
    return text.text()


def _of_worker(worker: Worker, tasks: int) -> Numbers:
    found: dict[str, float] = {"connectors": len(worker.connector_configs()), "tasks": tasks}
    for kind, outcomes in (("connector", worker.startups.connectors), ("task", worker.startups.tasks)):
        found[f"{kind}_attempts"] = outcomes.successes + outcomes.failures
        found[f"{kind}_successes"] = outcomes.successes
        found[f"{kind}_failures"] = outcomes.failures
    return found


def _by_connector(worker: Worker, tasks: Iterable[tuple[TaskId, WorkerTask | None]]) -> dict[str, dict[str, float]]:
    found = {name: dict.fromkeys(names.CONNECTOR_TASKS, 0.0) for name in worker.connector_configs()}
    for task_id, task in tasks:
        numbers = found.setdefault(task_id.connector, dict.fromkeys(names.CONNECTOR_TASKS, 0.0))
        numbers["total"] += 1
        numbers["failed" if task is None else task.metrics.states.now] += 1
    return found


def _add_task(samples: _Samples, labels: Labels, task: WorkerTask) -> None:
    metrics = task.metrics
    batch_avg, batch_max = metrics.batches.seen()
    commit_avg, commit_max = metrics.commit_ms.seen()
    commits = metrics.commits + metrics.commits_failed
    numbers: dict[str, float] = {
        "running_ratio": metrics.states.ratio("running"),
        "pause_ratio": metrics.states.ratio("paused"),
        "batch_avg": batch_avg,
        "batch_max": batch_max,
        "commit_avg_ms": commit_avg,
        "commit_max_ms": commit_max,
        "commit_success": metrics.commits / commits if commits else 0,
        "commit_failure": metrics.commits_failed / commits if commits else 0,
    }
    samples.add(names.TASKS, labels, numbers)
    if isinstance(task, SourceTaskRunner):
        samples.add(names.SOURCES, labels, _of_source(task))
        samples.add(names.ERRORS, labels, _of_errors(task.parts.tolerance))
    elif isinstance(task, WorkerSinkTask):
        samples.add(names.SINKS, labels, _of_sink(task))
        samples.add(names.ERRORS, labels, _of_errors(task.parts.tolerance))
    else:
        return
    if not task.task_started:
        return
    try:
        for family, own_labels, value in task.parts.task.metrics():
            samples.by_family[family].append((own_labels, value))
    except Exception:
        # A plugin's own: the others are shown all the same.
        logger.warning("the metrics of task %s could not be read", task.id, exc_info=True)


def _of_source(task: SourceTaskRunner) -> Numbers:
    metrics, written = task.metrics, task.written
    poll_avg, poll_max = metrics.batch_ms.seen()
    return {
        "polled": metrics.taken,
        "poll_rate": metrics.taken_rate.of(metrics.taken),
        "written": written,
        "write_rate": metrics.given_rate.of(written),
        "active": max(0, metrics.taken - metrics.left_out - written),
        "poll_avg_ms": poll_avg,
        "poll_max_ms": poll_max,
    }


def _of_sink(task: WorkerSinkTask) -> Numbers:
    metrics = task.metrics
    put_avg, put_max = metrics.batch_ms.seen()
    return {
        "read": metrics.taken,
        "read_rate": metrics.taken_rate.of(metrics.taken),
        "sent": metrics.given,
        "send_rate": metrics.given_rate.of(metrics.given),
        "active": task.not_committed(),
        "partitions": len(task.parts.context.assigned),
        "commits": metrics.commits,
        "commits_skipped": metrics.commits_failed,
        "put_avg_ms": put_avg,
        "put_max_ms": put_max,
    }


def _of_errors(tolerance: Tolerance) -> Numbers:
    counts, reporters = tolerance.counts, tolerance.reporters
    queues = [each for each in reporters if isinstance(each, DeadLetterQueue)]
    return {
        "errors": counts.errors,
        "failures": counts.failures,
        "skipped": counts.skipped,
        "retries": counts.retries,
        "logged": sum(each.logged for each in reporters if isinstance(each, LogReporter)),
        "dead_letters": sum(each.sent for each in queues),
        "dead_letters_lost": sum(each.lost for each in queues),
        "last_error_ms": counts.last_error_ms,
    }
