"""What an instance reports: `app.metrics()` as plain values, and the same in Prometheus' text format.

Names are in `moldau.observe.streams`. Tasks are looked at while their thread waits for records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from moldau.observe import streams as names
from moldau.observe.exposition import Exposition

if TYPE_CHECKING:
    from moldau.streams.runtime.stream_task import StreamTask
    from moldau.streams.runtime.thread import StreamThread

Labels = dict[str, str]
Sample = tuple[Labels, float]


def of_threads(threads: Iterable[StreamThread]) -> dict[str, Any]:
    """What each thread and each of its tasks has done, by their names."""
    found = {}
    for thread in threads:
        with thread.gate.visit():
            found[thread.name] = {
                **thread.counts.as_dict(),
                "tasks": {name: _of_task(task) for name, task in thread.tasks.items()},
                "restoring": thread.restoring(),
            }
    return found


def _of_task(task: StreamTask) -> dict[str, Any]:
    context = task.context
    return {
        "records": task.processed,
        "columnar": task.columnar,
        "skipped": task.skipped,
        "buffered": task.buffered,
        "stream_time": context.stream_time,
        "record_age_ms": task.record_age_ms,
        "lag": task.lag(),
        "dropped": {f"{node}: {why}": count for (node, why), count in context.dropped_records.items()},
        "nodes": dict(context.node_counts or {}),
        "stores": {
            store: opened.approximate_num_entries()
            for store, opened in task.stores.items()
            if hasattr(opened, "approximate_num_entries")
        },
        "state_bytes": None if task.database is None else task.database.size(),
    }


def exposition(metrics: dict[str, Any]) -> bytes:
    """`app.metrics()` as Prometheus reads it."""
    text = Exposition()
    text.values(names.STATE, [({"application_id": metrics["application_id"], "state": metrics["state"]}, 1)])
    threads = [({"thread_id": name}, thread) for name, thread in metrics["threads"].items()]
    tasks = [
        ({**labels, "task_id": name}, task) for labels, thread in threads for name, task in thread["tasks"].items()
    ]
    for field, family in names.THREADS.items():
        text.values(family, [(labels, thread[field]) for labels, thread in threads])
    for field, family in names.TASKS.items():
        text.values(family, [(labels, task[field]) for labels, task in tasks if task[field] is not None])
    text.values(names.LAG, _split(tasks, "lag", "topic"))
    text.values(
        names.DROPPED,
        [
            ({**labels, "processor_node_id": place.partition(": ")[0], "reason": place.partition(": ")[2]}, count)
            for labels, task in tasks
            for place, count in task["dropped"].items()
        ],
    )
    text.values(names.NODES, _split(tasks, "nodes", "processor_node_id"))
    text.values(names.STORE_ENTRIES, _split(tasks, "stores", "store"))
    text.values(
        names.STATE_BYTES, [(labels, task["state_bytes"]) for labels, task in tasks if task["state_bytes"] is not None]
    )
    text.values(names.RESTORE_REMAINING, _split(threads, "restoring", "store"))
    text.value(names.GLOBAL_RECORDS, metrics["global_records"])
    return text.text()


def _split(rows: Iterable[tuple[Labels, dict[str, Any]]], field: str, label: str) -> Iterator[Sample]:
    for labels, row in rows:
        for name, value in row[field].items():
            yield {**labels, label: name}, value
