"""The tasks of one thread: made from what is assigned, fed, committed, given back.

A rebalance of the range protocol takes all partitions away and gives some back. Tasks that were taken away cleanly are
suspended with their state and go on at once when they come back; all others are closed. What is lost, not given, was
somebody else's in between: it is closed without a commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from confluent_kafka import TopicPartition

from moldau.streams.operators.record_cache import CacheBudget
from moldau.streams.persistent import DatabaseInUseError, TaskDatabase, opener
from moldau.streams.runtime.collector import RecordCollector
from moldau.streams.runtime.environment import Environment, ThreadCounts
from moldau.streams.runtime.exception_handlers import Failure
from moldau.streams.runtime.layout import TaskId
from moldau.streams.runtime.offset_metadata import encode
from moldau.streams.runtime.restorer import Changelog
from moldau.streams.runtime.settings import DEBUG_METRICS, StreamsSettings
from moldau.streams.runtime.stream_task import Message, StreamTask, TaskParts
from moldau.streams.state import open_in_memory
from moldau.streams.state.contract import ChangelogWriter

ENTRY_BYTES: Final = 200
"""What an entry of a cache is taken to weigh, with the objects around it."""
KEPT_BYTES: Final = 10 * 1024 * 1024
"""What a store on disk keeps in memory of what it has read and written, unless the record caches may hold more."""
_LOOK_AGAIN_S: Final = 0.05

logger: Final = logging.getLogger("moldau.streams")

Partition = tuple[str, int]


def kept_entries(settings: StreamsSettings) -> int:
    """How many entries a store on disk keeps in memory beside those that changed."""
    return max(KEPT_BYTES, settings.statestore_cache_max_bytes) // ENTRY_BYTES


class TaskManager:
    """The tasks of one thread. Belongs to that thread; queries look in while it does not work."""

    def __init__(
        self,
        environment: Environment,
        collector: RecordCollector,
        counts: ThreadCounts,
        known_end: Callable[[str, int], int],
    ) -> None:
        self._environment = environment
        self._collector = collector
        self._counts = counts
        self._known_end = known_end
        settings = environment.settings
        cache_entries = settings.statestore_cache_max_bytes // settings.num_stream_threads // ENTRY_BYTES
        self._cache = CacheBudget(cache_entries) if cache_entries else None
        self.tasks: dict[TaskId, StreamTask] = {}
        self.suspended: dict[TaskId, StreamTask] = {}
        self._by_place: dict[Partition, StreamTask] = {}
        self._writers: dict[TaskId, dict[str, ChangelogWriter]] = {}

    def assign(self, places: Iterable[Partition]) -> list[StreamTask]:
        """Take what is assigned: tasks that were suspended go on, the others are made. Returns the ones made."""
        wanted: dict[TaskId, list[Partition]] = {}
        for topic, partition in places:
            sub = self._environment.layout.sub_topology_of(topic)
            wanted.setdefault(TaskId(sub.id, partition), []).append((topic, partition))
        for task_id in list(self.suspended):
            task = self.suspended.pop(task_id)
            if task_id in wanted:
                self.tasks[task_id] = task
            else:
                self._close(task)
        made = [self._make(task_id) for task_id in sorted(wanted) if task_id not in self.tasks]
        self._by_place = {place: self.tasks[task_id] for task_id, owned in wanted.items() for place in owned}
        return made

    def _make(self, task_id: TaskId) -> StreamTask:
        environment = self._environment
        sub = next(sub for sub in environment.layout.sub_topologies if sub.id == task_id.sub_topology)
        settings = environment.settings
        database = self._open_database(task_id) if environment.is_on_disk(sub.stores) else None
        parts = TaskParts(
            environment.topology,
            settings.application_id,
            environment.clock,
            open_in_memory if database is None else opener(database, kept_entries(settings)),
            self._collector.emitter(environment.on_cluster),
            settings.deserialization_exception_handler,
            settings.processing_exception_handler,
            settings.production_exception_handler,
            self._dead_letter,
            settings.max_task_idle_ms,
            database,
            environment.global_stores,
            settings.emit_interval_ms,
            settings.metrics_recording_level == DEBUG_METRICS,
            self._known_end,
            self._cache,
        )
        try:
            task = self.tasks[task_id] = StreamTask(task_id, sub, parts)
        except BaseException:
            if database is not None:
                database.close()
            raise
        self._counts.tasks_created += 1
        self._writers[task_id] = {
            store: self._collector.changelog(
                environment.layout.changelogs[store],
                task_id.partition,
                environment.topology.stores[store].changelog_headers,
            )
            for store in sub.stores
            if store in environment.layout.changelogs
        }
        return task

    def _open_database(self, task_id: TaskId) -> TaskDatabase:
        """The task's database; another thread of this process may still have to close it."""
        deadline = time.monotonic() + self._environment.settings.task_timeout_ms / 1000
        while True:
            try:
                return TaskDatabase(self._environment.settings.application_dir / str(task_id) / "rocksdb")
            except DatabaseInUseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_AGAIN_S)

    def _dead_letter(self, failure: Failure) -> None:
        topic = self._environment.settings.errors_dead_letter_queue_topic_name
        if topic is not None:
            self._collector.dead_letter(topic, failure)

    def changelogs(self, task: StreamTask) -> list[Changelog]:
        """What a new task has to be restored from."""
        layout = self._environment.layout
        made = []
        for name, store in task.stores.items():
            topic = layout.source_changelogs.get(name) or layout.changelogs.get(name)
            if topic is None:
                continue
            changelog = Changelog(task.id, name, store, topic, task.id.partition, None)
            if name in layout.source_changelogs:
                changelog.limit = max(task.inputs[topic].position, 0)
            table = getattr(store, "table", None)
            if task.database is not None and table is not None:
                changelog.position = task.database.position(name)
                changelog.keep = partial(_keep, task.database, name)
                changelog.wipe = partial(_wipe, task.database, store)
            made.append(changelog)
        return made

    def suspend_all(self) -> None:
        """Everything was committed and is taken away, perhaps to come back."""
        for task in self.tasks.values():
            task.suspend()
        self.suspended.update(self.tasks)
        self.tasks.clear()
        self._by_place.clear()

    def drop(self, task_id: TaskId) -> None:
        """Close one task that is not in a state to be kept."""
        task = self.tasks.pop(task_id, None)
        if task is not None:
            self._close(task)

    def close_all(self) -> None:
        """Close every task; what was not committed is gone."""
        for task in [*self.tasks.values(), *self.suspended.values()]:
            self._close(task)
        self.tasks.clear()
        self.suspended.clear()
        self._by_place.clear()

    def _close(self, task: StreamTask) -> None:
        self._writers.pop(task.id, None)
        self._counts.tasks_closed += 1
        task.close()

    def distribute(self, messages: list[Message], *, rebalanced: bool) -> None:
        """Put records into the queues of their tasks, and note which inputs were read to their end.

        `rebalanced` says that some of them may have been fetched before partitions were assigned, and come once more.
        """
        by_place: dict[Partition, list[Message]] = {}
        for message in messages:
            place = message.topic(), message.partition()
            if message.error() is not None:
                task = self._by_place.get(place)
                if task is not None:
                    task.add(place[0], by_place.pop(place, ()), rebalanced=rebalanced)
                    task.at_end(place[0])
                continue
            run = by_place.get(place)
            if run is None:
                by_place[place] = [message]
            else:
                run.append(message)
        for place, run in by_place.items():
            task = self._by_place.get(place)
            # What was fetched before a rebalance may come after it.
            if task is not None:
                task.add(place[0], run, rebalanced=rebalanced)

    def full_inputs(self) -> set[Partition]:
        """Inputs with more records waiting than may wait: they wait for the task's other inputs."""
        limit = self._environment.settings.buffered_records_per_partition
        return {
            (source.topic, task.id.partition)
            for task in self.tasks.values()
            if len(task.inputs) > 1
            for source in task.inputs.values()
            if len(source.records) > limit
        }

    @property
    def needs_commit(self) -> bool:
        """Whether any task worked since its last commit."""
        return any(task.needs_commit for task in self.tasks.values())

    def flush(self) -> list[TopicPartition]:
        """Write out what changed in the stores; returns the offsets to commit with it."""
        offsets = []
        for task in self.tasks.values():
            if task.needs_commit:
                task.flush(self._writers[task.id])
                offsets += [
                    TopicPartition(topic, task.id.partition, position, encode(time, task.context.closed_windows))
                    for topic, position, time in task.positions()
                ]
        return offsets

    def committed(self) -> None:
        """What `flush` wrote is safe."""
        for task in self.tasks.values():
            if task.needs_commit:
                task.committed(self._contained(task))

    def _contained(self, task: StreamTask) -> dict[str, int]:
        """How far each store contains its changelog."""
        layout, written = self._environment.layout, self._collector.changelog_positions
        places = {
            store: (topic, task.id.partition) for store, topic in layout.changelogs.items() if store in task.stores
        }
        contained = {store: written[place] for store, place in places.items() if place in written}
        for store, topic in layout.source_changelogs.items():
            if store in task.stores and task.inputs[topic].position >= 0:
                contained[store] = task.inputs[topic].position
        return contained

    def purgeable(self) -> list[TopicPartition]:
        """Repartition records that nobody will read again, by the offset before which they are."""
        names = {topic.name for topic in self._environment.layout.repartition_topics}
        return [
            TopicPartition(topic, task.id.partition, position)
            for task in self.tasks.values()
            for topic, position, _ in task.positions()
            if topic in names and not task.needs_commit
        ]


def _keep(database: TaskDatabase, store: str, offset: int) -> None:
    database.write({store: offset})


def _wipe(database: TaskDatabase, store: Any) -> None:
    database.forget(store.name, store.table)
    if hasattr(store, "segments"):
        store.segments.read()
