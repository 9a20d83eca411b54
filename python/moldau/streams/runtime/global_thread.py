"""Global tables: one thread per instance reads all partitions of their topics into stores that every task looks into.

The tables are read to their end, as it was when the application started, before any task works; from then on they are
kept up to date. What is on disk has the offsets in the same write, so a restart reads only what came since. There is no
group and nothing is committed: each instance has all of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from moldau.client.protocol.partitions import Partition
from moldau.streams.context import TaskContext
from moldau.streams.errors import RecordError, StreamsError, TimestampError
from moldau.streams.persistent import TaskDatabase, opener
from moldau.streams.runtime.changelog_ends import ends_of
from moldau.streams.runtime.environment import Environment
from moldau.streams.runtime.exception_handlers import Failure, Response
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.shared_store import SharedStore
from moldau.streams.runtime.task_manager import room_of
from moldau.streams.state import open_in_memory
from moldau.streams.state.contract import Store
from moldau.streams.task import Task

logger: Final = logging.getLogger("moldau.streams")

_BATCH: Final = 10_000
_WAIT_S: Final = 0.1
_TELL_EVERY_S: Final = 10.0
_FOLDER: Final = "global"


class GlobalThread(threading.Thread):
    """Keeps the global stores of one instance. `caught_up` is set when they are what the cluster had at the start."""

    def __init__(self, environment: Environment, ended: Callable[[Exception | None], None]) -> None:
        settings = environment.settings
        super().__init__(name=f"{settings.application_id}-GlobalStreamThread", daemon=True)
        self.gate = Gate()
        self.caught_up = threading.Event()
        self.records = 0
        self.skipped = 0
        self._environment = environment
        self._ended = ended
        self._stopping = threading.Event()
        self._database: TaskDatabase | None = None
        subs = environment.layout.global_sub_topologies
        names = [store for sub in subs for store in sub.stores]
        if environment.is_on_disk(names):
            self._database = TaskDatabase(settings.application_dir / _FOLDER / "rocksdb")
        self.context = TaskContext(settings.application_id, _FOLDER, environment.clock)
        self._room = room_of(settings)
        self._lock = threading.RLock()
        self._task = Task(
            [node for sub in subs for node in sub.nodes],
            {name: environment.topology.stores[name] for name in names},
            context=self.context,
            open_store=self._open_store,
            emit=_nothing,
        )
        self.places: dict[Partition, str] = {
            (name, partition): topic
            for sub in subs
            for name, topic in sub.topics.items()
            for partition in range(sub.partitions[name])
        }
        self._positions: dict[Partition, int] = {}

    @property
    def stores(self) -> dict[str, Any]:
        """The global stores by name, for the tasks that look into them and for queries."""
        return self._task.stores

    def _open_store(self, spec: Any, context: TaskContext) -> Store:
        database = self._database
        if database is None:
            return SharedStore(open_in_memory(spec, context), self._lock)
        return SharedStore(opener(database, self._room)(spec, context), self._lock)

    def stop(self) -> None:
        """Make safe what was read, and end."""
        self._stopping.set()

    def run(self) -> None:
        """Until told to stop."""
        failure: Exception | None = None
        try:
            self._read_on()
        except Exception as error:  # noqa: BLE001 (the application decides about it)
            failure = error
        finally:
            self._close()
            self._ended(failure)

    def _read_on(self) -> None:
        environment = self._environment
        ends = ends_of(environment.admin, self.places)
        consumer = confluent_kafka.Consumer(environment.settings.global_consumer(environment.global_client_id))
        try:
            self._take_up(ends)
            consumer.assign(self._starts(topic for topic, _ in self.places))
            begun = told = time.monotonic()
            commit_s = environment.settings.commit_interval_ms / 1000
            committed = begun
            open_ones = {place for place in self.places if self._positions.get(place, 0) < ends[place]}
            while not self._stopping.is_set():
                if not open_ones and not self.caught_up.is_set():
                    with self.gate:
                        self._commit()
                    logger.info("global tables: %d records in %.1f s", self.records, time.monotonic() - begun)
                    self.caught_up.set()
                messages = consumer.consume(_BATCH, _WAIT_S)
                with self.gate:
                    self._take(messages, consumer)
                    now = time.monotonic()
                    if now - committed >= commit_s:
                        committed = now
                        self._commit()
                open_ones = {place for place in open_ones if self._positions.get(place, 0) < ends[place]}
                if open_ones and now - told >= _TELL_EVERY_S:
                    told = now
                    logger.info("global tables: %d records so far, %d partitions to go", self.records, len(open_ones))
            with self.gate:
                self._commit()
        finally:
            consumer.close()

    def _take_up(self, ends: dict[Partition, int]) -> None:
        """Go on from what is on disk; a topic that is shorter than that is another one."""
        if self._database is None:
            return
        for place in self.places:
            self._positions[place] = self._database.position(_name(place)) or 0
        for topic in {topic for topic, _ in self.places}:
            if any(self._positions[place] > end for place, end in ends.items() if place[0] == topic):
                self._start_over(topic, "the topic is shorter than what was stored")

    def _starts(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Where to read the partitions of topics from."""
        wanted = set(topics)
        return [
            TopicPartition(*place, self._positions.get(place, 0) or OFFSET_BEGINNING)
            for place in self.places
            if place[0] in wanted
        ]

    def _start_over(self, topic: str, why: str) -> None:
        """Empty what was made of a topic: nobody knows which rows are still there."""
        logger.warning("the global table of %s is read from the start: %s", topic, why)
        for sub in self._environment.layout.global_sub_topologies:
            for store in (self.stores[name] for name in sub.stores if topic in sub.topics):
                store.close()
                if self._database is not None and hasattr(store, "table"):
                    with self._lock:
                        self._database.forget(store.name, store.table)
        self._positions.update((place, 0) for place in self.places if place[0] == topic)

    def _take(self, messages: Iterable[Any], consumer: confluent_kafka.Consumer) -> None:
        context, feeds = self.context, self._task.feeds
        for message in messages:
            place = message.topic(), message.partition()
            error = message.error()
            if error is not None:
                self._judge(error, place, message, consumer)
                continue
            context.topic, context.partition, context.offset = place[0], place[1], message.offset()
            try:
                feeds[self.places[place]](
                    message.key(), message.value(), message.timestamp()[1], message.headers() or ()
                )
            except TimestampError:
                raise
            except Exception as failure:  # noqa: BLE001 (the handler decides, and raises it again unless it goes on)
                self._handle(failure, message)
            self._positions[place] = message.offset() + 1
            self.records += 1

    def _judge(self, error: KafkaError, place: Partition, message: Any, consumer: confluent_kafka.Consumer) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its name)
            self._positions[place] = max(self._positions.get(place, 0), message.offset())
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 (its name)
            self._start_over(place[0], "its offsets are not those that were stored")
            starts = self._starts([place[0]])
            consumer.incremental_unassign([TopicPartition(one.topic, one.partition) for one in starts])
            consumer.incremental_assign(starts)
        elif not error.retriable() and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise StreamsError(f"the topic of a global table is gone: {error.str()}")
        else:
            logger.warning("global table of %s-%d: %s", *place, error.str())

    def _handle(self, error: Exception, message: Any) -> None:
        unreadable = isinstance(error, RecordError) and error.__cause__ is not None
        cause = error.__cause__ if unreadable and error.__cause__ is not None else error
        settings = self._environment.settings
        handler = settings.deserialization_exception_handler if unreadable else settings.processing_exception_handler
        failure = Failure(
            cause,
            _FOLDER,
            message.topic(),
            message.partition(),
            message.offset(),
            message.key(),
            message.value(),
            message.timestamp()[1],
            message.headers() or (),
        )
        if handler(failure) is Response.FAIL:
            raise error
        self.skipped += 1

    def _commit(self) -> None:
        """Make safe what was read, where there is a disk for it."""
        for store in self.stores.values():
            store.flush(_nobody)
        if self._database is not None:
            with self._lock:
                self._database.write({_name(place): offset for place, offset in self._positions.items()})

    def _close(self) -> None:
        self._task.close()
        if self._database is not None:
            self._database.close()


def _name(place: Partition) -> str:
    """Under which name the database keeps a partition's offset; no store has a slash in its name."""
    return f"{place[0]}/{place[1]}"


def _nothing(*record: Any) -> None:
    raise AssertionError("a global table writes to no topic")


def _nobody(key: bytes, value: bytes | None, timestamp: int) -> None:
    pass
