"""One membership of a thread in its group, from joining to leaving: read, work, commit, again.

Whatever goes wrong with the membership or with a transaction ends the session: its tasks are closed without a commit,
their state is what it was at the last one, and the thread begins another. So there is one way back for all errors.

Tasks are touched only while the gate is held. It is open while the thread waits for records: then queries look in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from moldau.streams.errors import StreamsError
from moldau.streams.runtime.collector import LeftOut, RecordCollector
from moldau.streams.runtime.environment import Environment, ThreadCounts
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.offset_metadata import decode
from moldau.streams.runtime.outcomes import TaskMigratedError, is_migration
from moldau.streams.runtime.restorer import Restorer
from moldau.streams.runtime.stream_task import Message, StreamTask
from moldau.streams.runtime.task_manager import TaskManager
from moldau.streams.topology.nodes import SourceNode

logger: Final = logging.getLogger("moldau.streams")

MICRO_BATCH: Final = 2000
_ASK_TIMEOUT_S: Final = 30.0
_RESTORE_WAIT_S: Final = 0.02

Partition = tuple[str, int]


class MissingOffsetError(StreamsError):
    """There is no committed offset, and the source has `offset_reset="none"`."""


class Session:
    """The clients and tasks of a thread between two joins. Belongs to the thread."""

    def __init__(
        self, environment: Environment, index: int, gate: Gate, counts: ThreadCounts, left_out: LeftOut
    ) -> None:
        settings = environment.settings
        self._environment = environment
        self._settings = settings
        self._gate = gate
        self._counts = counts
        self._patience_s = settings.task_timeout_ms / 1000
        instance = None if settings.group_instance_id is None else f"{settings.group_instance_id}-{index}"
        self._producer = confluent_kafka.Producer(
            {
                **settings.producer(environment.client_id(index, "producer"), environment.transactional_id(index)),
                "error_cb": lambda error: self.collector.client_failed(error),  # noqa: PLW0108 (made below)
            }
        )
        self.collector: RecordCollector = RecordCollector(
            self._producer,
            exactly_once=settings.exactly_once,
            handler=settings.production_exception_handler,
            left_out=left_out,
            patience_s=self._patience_s,
        )
        self.tasks = TaskManager(environment, self.collector, counts, self._known_end)
        self._consumer = confluent_kafka.Consumer(settings.consumer(environment.client_id(index, "consumer"), instance))
        self._restorer = Restorer(
            confluent_kafka.Consumer(settings.restore_consumer(environment.client_id(index, "restore-consumer"))),
            environment.admin,
        )
        self._resets = _offset_resets(environment)
        self._leaving = False
        self._callback_error: Exception | None = None
        self._rebalanced = False
        """Whether partitions were assigned while the records in work were read."""
        self._full: set[Partition] = set()
        self._next_commit = 0.0
        self._next_purge = 0.0
        self._purging: list[Any] = []
        self.is_assigned = False

    @property
    def is_running(self) -> bool:
        """Whether tasks were assigned and all of them work."""
        return self.is_assigned and not self._restorer.is_busy

    def restoring(self) -> dict[str, int]:
        """What is still to be restored."""
        return self._restorer.remaining()

    def ready_tasks(self) -> list[StreamTask]:
        """The tasks that are assigned and restored."""
        waiting = self._restorer.waiting_for()
        return [task for task_id, task in self.tasks.tasks.items() if task_id not in waiting]

    def run(self, stopping: Callable[[], bool], changed: Callable[[], None]) -> None:
        """Work until `stopping()`; `changed` is called when the session may have become, or ceased to be, running.

        Raises:
            TaskMigratedError: begin another session.
        """
        if self._settings.exactly_once:
            self._patiently(self._producer.init_transactions)
        self._consumer.subscribe(
            self._environment.layout.input_topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        now = time.monotonic()
        self._next_commit = now + self._settings.commit_interval_ms / 1000
        self._next_purge = now + self._settings.repartition_purge_interval_ms / 1000
        was_running = False
        while not stopping():
            messages = self._read()
            if self._callback_error is not None:
                raise self._callback_error
            with self._gate:
                self._work(messages)
            if self.is_running != was_running:
                was_running = self.is_running
                changed()

    def _read(self) -> list[Message]:
        """What is there, without waiting for more; waits only if there is nothing at all."""
        self._rebalanced = False
        messages = self._consumer.consume(MICRO_BATCH, 0)
        if not messages:
            wait_s = 0.0 if self._restorer.is_busy else self._idle_s()
            first = self._consumer.poll(wait_s)
            if first is None:
                return []
            messages = [first, *self._consumer.consume(MICRO_BATCH - 1, 0)]
        return messages

    def _idle_s(self) -> float:
        wait = self._settings.poll_ms / 1000
        if self.tasks.needs_commit:
            wait = min(wait, max(0.0, self._next_commit - time.monotonic()))
        return wait

    def _work(self, messages: list[Message]) -> None:
        counts = self._counts
        counts.polls += 1
        self._judge(messages)
        self.tasks.distribute(messages, rebalanced=self._rebalanced)
        if self._restorer.is_busy:
            self._restore()
        started = time.monotonic()
        waiting = self._restorer.waiting_for()
        now = self._environment.clock()
        for task in self.tasks.tasks.values():
            if task.id not in waiting:
                if task.buffered:
                    self.collector.begin()
                    counts.records += task.process(now)
                if task.context.punctuators:
                    self.collector.begin()
                    task.punctuate_wall_clock(now)
        self.collector.serve()
        counts.sent = self.collector.sent
        ended = time.monotonic()
        counts.process_s += ended - started
        self._hold_back()
        if ended >= self._next_commit:
            self.commit()
            for task in self.tasks.tasks.values():
                task.note_ends()
            self._purge(ended)

    def _judge(self, messages: list[Message]) -> None:
        """Raise for events that are errors, and for nothing that passes by itself."""
        for message in messages:
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its name)
                continue
            if error.fatal() or is_migration(error):
                raise TaskMigratedError(error.str())
            if error.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}:
                raise KafkaException(error)
            if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise StreamsError(f"{error.str()}\nhint: an input topic was deleted while the application was running")
            logger.warning("reading: %s", error.str())

    def _known_end(self, topic: str, partition: int) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)[1])

    def _restore(self) -> None:
        ready = self._restorer.step(
            _RESTORE_WAIT_S if not self.tasks.tasks.keys() - self._restorer.waiting_for() else 0
        )
        self._counts.restored = self._restorer.records
        if ready:
            self._consumer.resume([TopicPartition(*place) for place in self._places(ready)])

    def _hold_back(self) -> None:
        """Stop reading inputs that have too much waiting, go on with those that do not any more."""
        full = self.tasks.full_inputs()
        if full != self._full:
            ready = self._full - full
            self._full, newly = full, full - self._full
            if newly:
                self._consumer.pause([TopicPartition(*place) for place in newly])
            owned = {place for task in self.tasks.tasks for place in self._places({task})}
            if ready & owned:
                self._consumer.resume([TopicPartition(*place) for place in ready & owned])

    def _places(self, tasks: set[Any]) -> list[Partition]:
        return [
            (source.topic, task.id.partition)
            for task in self.tasks.tasks.values()
            if task.id in tasks
            for source in task.inputs.values()
        ]

    def commit(self) -> None:
        """Make everything up to here safe: changelogs, outputs, offsets, in one transaction under exactly-once."""
        started = time.monotonic()
        self._next_commit = started + self._settings.commit_interval_ms / 1000
        if not self.tasks.needs_commit:
            return
        self.collector.begin()
        offsets = self.tasks.flush()
        self.collector.flush()
        if self._settings.exactly_once:
            self.collector.commit(offsets, self._consumer.consumer_group_metadata())
        elif offsets and not self._commit_offsets(offsets):
            return
        self.tasks.committed()
        self._counts.commits += 1
        self._counts.commit_s += time.monotonic() - started

    def _commit_offsets(self, offsets: list[TopicPartition]) -> bool:
        """Commit without a transaction; False if the group has to be joined again first."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                done = self._consumer.commit(offsets=offsets, asynchronous=False)
                # It raises what is said of all partitions, not what is said of one.
                refused = next((one.error for one in done or () if one.error is not None), None)
                if refused is not None:
                    raise KafkaException(refused)
            except KafkaException as error:
                kafka_error = error.args[0]
                if is_migration(kafka_error):
                    raise TaskMigratedError(kafka_error.str()) from error
                if kafka_error.code() == KafkaError.REBALANCE_IN_PROGRESS:
                    # The group takes the partitions away; the commit of that moment has these offsets too.
                    return False
                if not _may_pass(kafka_error) or time.monotonic() > deadline:
                    raise
                logger.info("committing again: %s", kafka_error.str())
                time.sleep(0.05)
            else:
                return True

    def _purge(self, now: float) -> None:
        """Delete repartition records that were read by everybody who reads them."""
        if now < self._next_purge or not all(future.done() for future in self._purging):
            return
        self._next_purge = now + self._settings.repartition_purge_interval_ms / 1000
        for future in self._purging:
            if future.exception() is not None:
                logger.info("repartition records could not be deleted: %s", future.exception())
        before = self.tasks.purgeable()
        self._purging = list(self._environment.admin.delete_records(before).values()) if before else []

    # The group's callbacks: inside of `consume` and `poll`, so the gate is open.

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if self._leaving:
            # An answer of the group that was on its way: a consumer that is closed answers no questions about it.
            return
        with self._gate:
            self._guarded(lambda: self._assign(partitions))

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        with self._gate:
            self._guarded(self._revoke)

    def _on_lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        with self._gate:
            self._guarded(self._lose)

    def _guarded(self, call: Callable[[], None]) -> None:
        """An error must not go through librdkafka: it is raised when the thread is back from there."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 (raised again by `run`)
            self._callback_error = self._callback_error or error

    def _assign(self, partitions: list[TopicPartition]) -> None:
        places = [(one.topic, one.partition) for one in partitions]
        self._counts.rebalances += 1
        self._rebalanced = True
        made = self.tasks.assign(places)
        started = self._starting_points(partitions)
        for one in started:
            task = next(
                task
                for task in self.tasks.tasks.values()
                if one.topic in task.inputs and task.id.partition == one.partition
            )
            task.start_at(one.topic, one.offset, *decode(one.metadata))
        self._consumer.assign(started)
        # A partition that was paused when it went away is so still when it comes back.
        self._consumer.resume(started)
        self._full = set()
        self._restorer.add(
            changelog for task in self.tasks.tasks.values() if task in made for changelog in self.tasks.changelogs(task)
        )
        paused = self._places(self._restorer.waiting_for())
        if paused:
            self._consumer.pause([TopicPartition(*place) for place in paused])
        self.is_assigned = True
        logger.info("tasks: %s", ", ".join(str(task) for task in self.tasks.tasks) or "none")

    def _revoke(self) -> None:
        self.is_assigned = False
        self.commit()
        for task_id in self._restorer.waiting_for():
            # Half restored is not restored: what comes back goes on from what is kept on disk.
            self._restorer.remove(task_id)
            self.tasks.drop(task_id)
        self.tasks.suspend_all()

    def _lose(self) -> None:
        self.is_assigned = False
        logger.warning(
            "the tasks were given to others, without a word: they are closed as they were at the last commit"
        )
        raise TaskMigratedError("the partitions were lost")

    def _starting_points(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """The committed offsets, or where the source begins to read when there is none."""
        if not partitions:
            return []
        committed: list[TopicPartition] = []

        def ask(timeout: float) -> None:
            committed[:] = self._consumer.committed(partitions, timeout=timeout)

        self._patiently(ask)
        for one in committed:
            if one.error is not None:
                raise KafkaException(one.error)
            if one.offset == OFFSET_INVALID:
                reset = self._resets[one.topic]
                if reset == "none":
                    raise MissingOffsetError(f"there is no committed offset of {one.topic}-{one.partition}")
                if reset is not None:
                    one.offset = OFFSET_BEGINNING if reset == "earliest" else OFFSET_END
        return committed

    def _patiently(self, call: Callable[[float], None]) -> None:
        """Ask the cluster again for as long as that may help."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                call(_ASK_TIMEOUT_S)
            except KafkaException as error:
                if not _may_pass(error.args[0]) or time.monotonic() > deadline:
                    raise
                logger.info("asking again: %s", error.args[0].str())
            else:
                return

    def close(self, *, clean: bool) -> None:
        """Leave the group; `clean` commits before, otherwise nothing since the last commit counts."""
        try:
            with self._gate:
                self._end_work(clean=clean)
        finally:
            self._leaving = True
            self._restorer.close()
            self._consumer.unsubscribe()
            self._consumer.close()

    def _end_work(self, *, clean: bool) -> None:
        try:
            if clean and self.is_assigned:
                self.commit()
        finally:
            # Nothing is open after a commit that went well.
            self.collector.abort()
            self.is_assigned = False
            self.tasks.close_all()


def _may_pass(error: KafkaError) -> bool:
    """Whether the same call may succeed later."""
    return bool(
        error.retriable()
        or error.code()
        in {
            KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 (its names)
            KafkaError._TIMED_OUT,  # noqa: SLF001
            KafkaError._TRANSPORT,  # noqa: SLF001
            KafkaError._WAIT_COORD,  # noqa: SLF001
            KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
            KafkaError.COORDINATOR_NOT_AVAILABLE,
            KafkaError.NOT_COORDINATOR,
            KafkaError.REQUEST_TIMED_OUT,
        }
    )


def _offset_resets(environment: Environment) -> dict[str, str | None]:
    """Where each input topic begins for a new application, if its source says so."""
    resets: dict[str, str | None] = {}
    for sub in environment.layout.sub_topologies:
        by_topic = {topic: node for node in sub.nodes if isinstance(node, SourceNode) for topic in node.topics}
        for name, topic in sub.topics.items():
            internal = topic in environment.topology.repartition_topics
            resets[name] = "earliest" if internal else by_topic[topic].offset_reset
    return resets
