"""The tasks of one thread: made when they are given, fed, committed, closed when they are somebody else's.

A rebalance touches only what it moves. Beside its tasks a thread keeps standbys: tasks with the same stores that read
no input, whose changelogs are followed. One that is given the task itself goes on with what it has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from confluent_kafka import TopicPartition

from moldau.client.fetching import Fetched
from moldau.client.protocol.partitions import Partition
from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.columns import Columns, compile_columns
from moldau.streams.operators.record_cache import CacheBudget
from moldau.streams.persistent import ENTRY_BYTES, KEPT_BYTES, DatabaseInUseError, Room, TaskDatabase, opener
from moldau.streams.runtime.environment import Environment, ThreadCounts
from moldau.streams.runtime.layout import SubTopologyLayout, TaskId
from moldau.streams.runtime.offset_metadata import encode
from moldau.streams.runtime.outlet import Collector
from moldau.streams.runtime.restorer import Changelog
from moldau.streams.runtime.settings import DEBUG_METRICS, StreamsSettings
from moldau.streams.runtime.stream_task import StreamTask, TaskParts
from moldau.streams.runtime.whereabouts import contained_of
from moldau.streams.state import open_in_memory
from moldau.streams.state.contract import ChangelogWriter

logger: Final = logging.getLogger("moldau.streams")


def room_of(settings: StreamsSettings) -> Room:
    """What a thread's stores on disk may keep in memory beside what changed."""
    return Room(max(KEPT_BYTES, settings.statestore_cache_max_bytes // settings.num_stream_threads) // ENTRY_BYTES)


class TaskManager:
    """The tasks of one thread. Belongs to that thread; queries look in while it does not work."""

    def __init__(
        self,
        environment: Environment,
        collector: Collector,
        counts: ThreadCounts,
        known_end: Callable[[str, int], int],
    ) -> None:
        self._environment = environment
        self._collector = collector
        self._counts = counts
        self._known_end = known_end
        settings = environment.settings
        cache_bytes = settings.statestore_cache_max_bytes // settings.num_stream_threads
        self._cache = CacheBudget(cache_bytes) if cache_bytes else None
        self._room = room_of(settings)
        self.tasks: dict[TaskId, StreamTask] = {}
        self.standbys: dict[TaskId, StreamTask] = {}
        self._by_place: dict[Partition, StreamTask] = {}
        self._writers: dict[TaskId, dict[str, ChangelogWriter]] = {}
        self._in_use: dict[TaskId, float] = {}
        """Since when tasks that were given wait for their databases."""
        self._columns: dict[int, Columns | None] = {}

    def take(self, task_id: TaskId) -> StreamTask | None:
        """Have this task from now on: the one whose state was followed, or a new one.

        None if another thread of this process still has to close its database: try again later.
        """
        task = self.standbys.pop(task_id, None) or self._make(task_id)
        if task is None:
            return None
        self.tasks[task_id] = task
        self._by_place.update({(topic, task_id.partition): task for topic in task.inputs})
        return task

    def grow(self) -> list[Partition]:
        """Open topics that have come for the tasks that are here; what is to be read by those of our own."""
        subs = {sub.id: sub for sub in self._environment.layout.sub_topologies}
        opened = []
        for task in (*self.tasks.values(), *self.standbys.values()):
            sub = subs[task.id.sub_topology]
            for topic in sub.inputs(task.id.partition):
                if topic not in task.inputs:
                    task.open_input(topic, sub)
                    if task.id in self.tasks:
                        self._by_place[topic, task.id.partition] = task
                        opened.append((topic, task.id.partition))
        return opened

    def shrink(self) -> list[Partition]:
        """Close topics that are gone; what was read of them for tasks of our own."""
        subs = {sub.id: sub for sub in self._environment.layout.sub_topologies}
        closed = []
        for task in (*self.tasks.values(), *self.standbys.values()):
            for topic in task.inputs.keys() - set(subs[task.id.sub_topology].inputs(task.id.partition)):
                task.close_input(topic)
                if self._by_place.pop((topic, task.id.partition), None) is not None:
                    closed.append((topic, task.id.partition))
        return closed

    def follow(self, task_id: TaskId) -> StreamTask | None:
        """Keep a copy of the state of a task that runs elsewhere; None as of `take`."""
        task = self._make(task_id)
        if task is not None:
            self.standbys[task_id] = task
        return task

    def _make(self, task_id: TaskId) -> StreamTask | None:
        environment = self._environment
        sub = next(sub for sub in environment.layout.sub_topologies if sub.id == task_id.sub_topology)
        settings = environment.settings
        database = None
        if environment.is_on_disk(sub.stores):
            database = self._open_database(task_id)
            if database is None:
                return None
        parts = TaskParts(
            environment.topology,
            settings.application_id,
            environment.clock,
            open_in_memory if database is None else opener(database, self._room),
            self._collector.emitter(environment.on_cluster),
            settings.deserialization_exception_handler,
            settings.processing_exception_handler,
            settings.production_exception_handler,
            self._collector.dead_letter,
            settings.max_task_idle_ms,
            database,
            environment.global_stores,
            settings.emit_interval_ms,
            settings.metrics_recording_level == DEBUG_METRICS,
            self._known_end,
            self._columns_of(sub),
            self._cache,
            self._room,
            self._collector.columns_emitter(environment.on_cluster),
        )
        try:
            task = StreamTask(task_id, sub, parts)
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

    def _columns_of(self, sub: SubTopologyLayout) -> Columns | None:
        """A sub-topology compiled, None if its records are taken one by one; what decides that is said once."""
        if sub.id not in self._columns:
            settings = self._environment.settings
            compiled: Columns | None = None
            try:
                if not settings.columns_enabled or settings.metrics_recording_level == DEBUG_METRICS:
                    raise NotColumnarError("columns.enabled is false, or metrics.recording.level counts each record")
                compiled = compile_columns(sub.nodes, caches=self._cache is not None)
            except NotColumnarError as why:
                logger.info("sub-topology %d takes one record after the other: %s", sub.id, why)
            else:
                logger.info("sub-topology %d is compiled for columns", sub.id)
            self._columns[sub.id] = compiled
        return self._columns[sub.id]

    def _open_database(self, task_id: TaskId) -> TaskDatabase | None:
        """The task's database; None while another thread of this process has it, which may take `task.timeout.ms`."""
        settings, now = self._environment.settings, time.monotonic()
        try:
            database = TaskDatabase(settings.application_dir / str(task_id) / "rocksdb")
        except DatabaseInUseError as error:
            since = self._in_use.setdefault(task_id, now)
            if now - since >= settings.task_timeout_ms / 1000:
                raise
            if since == now:
                logger.info("task %s waits for its database: %s", task_id, error)
            return None
        self._in_use.pop(task_id, None)
        return database

    def changelogs(self, task: StreamTask, *, standby: bool = False) -> list[Changelog]:
        """What a new task has to be restored from; a copy leaves stores out that are restored from an input."""
        layout = self._environment.layout
        made = []
        for name, store in task.stores.items():
            topic = layout.source_changelogs.get(name) or layout.changelogs.get(name)
            if topic is None or (standby and name in layout.source_changelogs):
                continue
            changelog = Changelog(task.id, name, store, topic, task.id.partition, None, standby=standby)
            if name in layout.source_changelogs:
                changelog.limit = max(task.inputs[topic].position, 0)
            table = getattr(store, "table", None)
            if task.database is not None and table is not None:
                changelog.position = task.database.position(name)
                changelog.keep = partial(_keep, task.database, store)
                changelog.wipe = partial(_wipe, task.database, store)
            made.append(changelog)
        return made

    def forget_waiting(self) -> None:
        """What is given now is waited for anew."""
        self._in_use.clear()

    def drop(self, task_id: TaskId) -> None:
        """Close a task, or a copy; what was not committed is gone."""
        for kept in (self.tasks, self.standbys):
            task = kept.pop(task_id, None)
            if task is not None:
                self._by_place = {place: one for place, one in self._by_place.items() if one is not task}
                self._close(task)

    def close_all(self) -> None:
        """Close every task; what was not committed is gone."""
        for task_id in [*self.tasks, *self.standbys]:
            self.drop(task_id)

    def _close(self, task: StreamTask) -> None:
        self._writers.pop(task.id, None)
        self._counts.tasks_closed += 1
        # What is on disk stays in this process and makes it the first choice for the task.
        layout, database = self._environment.layout, task.database
        left = None if database is None else contained_of(database, task.stores, layout)
        task.close()
        self._environment.whereabouts.note(task.id, left)

    def distribute(self, fetched: list[Fetched]) -> None:
        """Put records into the queues of their tasks, and note which inputs were read to their end."""
        for part in fetched:
            self._by_place[part.topic, part.partition].take(part)

    def full_inputs(self) -> set[Partition]:
        """Inputs with more records waiting than may wait: they wait for the task's other inputs."""
        limit = self._environment.settings.buffered_records_per_partition
        return {
            (source.topic, task.id.partition)
            for task in self.tasks.values()
            if len(task.inputs) > 1
            for source in task.inputs.values()
            if source.waiting > limit
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
                    TopicPartition(
                        topic,
                        task.id.partition,
                        position,
                        encode(time, task.context.closed_windows),
                        task.inputs[topic].leader_epoch,
                    )
                    for topic, position, time in task.positions()
                ]
        return offsets

    def written(self) -> None:
        """What `flush` wrote is in the changelogs, but its offsets are not committed: it may be done again."""
        for task in self.tasks.values():
            if task.needs_commit:
                task.written(self._contained(task))

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


def _keep(database: TaskDatabase, store: Any, offset: int) -> None:
    """Make safe what was restored. What queries have read of it meanwhile is not true any more."""
    if hasattr(store, "settle"):
        store.settle()
    database.write({store.name: offset})
    store.close()


def _wipe(database: TaskDatabase, store: Any) -> None:
    database.forget(store.name, store.table)
    if hasattr(store, "segments"):
        store.segments.read()
    elif hasattr(store, "read_again"):
        store.read_again()
