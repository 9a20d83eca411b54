"""`TopologyTestDriver`: a topology without a broker, in simulated time, one record at a time.

As in Kafka's driver every record goes all the way before the call returns: through repartition topics and topics that
the topology itself reads, stores flushed after each. All nodes are one task, so stream time is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, Self, TypeVar

from moldau.streams.context import EMIT_INTERVAL_MS, TaskContext
from moldau.streams.durations import Duration, milliseconds
from moldau.streams.operators.contract import Header, Headers
from moldau.streams.operators.record_cache import CacheBudget, RecordCaches
from moldau.streams.punctuation import PunctuationType
from moldau.streams.serdes import SerdeLike, serde_of
from moldau.streams.serdes.primitive import STRING
from moldau.streams.state.open import open_in_memory
from moldau.streams.task import Task
from moldau.streams.testing.topics import TestInputTopic, TestOutputTopic
from moldau.streams.topology.nodes import Partitioner
from moldau.streams.topology.topology import Topology

K = TypeVar("K")
V = TypeVar("V")
_CACHED_MAX: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Produced:
    """One record as it left a sink, in bytes."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[Header, ...]


class TopologyTestDriver:
    """Runs a topology; use it as a context manager, or call `close`.

    `wall_clock` is where simulated time begins, a datetime or ms since 1970. `changelogs` has what a real application
    would have written to its changelog topics. With `caches` updates that one record makes of one key are merged, as
    in an application whose `statestore.cache.max.bytes` is not 0: the driver commits after each record.
    `watch(store, key, value, timestamp)` is told of every change of a store, in the bytes of its changelog.
    """

    def __init__(
        self,
        topology: Topology,
        application_id: str = "test-application",
        wall_clock: datetime | int = 0,
        *,
        emit_interval_ms: int = EMIT_INTERVAL_MS,
        caches: bool = False,
        watch: Callable[[str, bytes, bytes | None, int], Any] | None = None,
    ) -> None:
        self.topology = topology
        self._watch = watch
        self.application_id = application_id
        self._now = int(wall_clock.timestamp() * 1000) if isinstance(wall_clock, datetime) else wall_clock
        self.context = TaskContext(application_id, "0_0", lambda: self._now, emit_interval_ms)
        if caches:
            self.context.caches = RecordCaches(self.context, CacheBudget(_CACHED_MAX), _raise)
        self._task = Task(
            topology.nodes.values(), topology.stores, context=self.context, open_store=open_in_memory, emit=self._emit
        )
        self._waiting: dict[str, deque[Produced]] = {}
        self._offsets: dict[str, int] = {}
        self._outputs: dict[str, deque[Produced]] = {}
        self.changelogs: dict[str, list[tuple[bytes, bytes | None, int]]] = {}
        self._patterns = [source for source in topology.sources() if source.pattern is not None]
        self._punctuate()

    def create_input_topic(
        self,
        topic: str,
        key: SerdeLike[K] | Any = str,
        value: SerdeLike[V] | Any = str,
        start: datetime | int | None = None,
        advance: Duration = 0,
    ) -> TestInputTopic[Any, Any]:
        """A topic to pipe records into.

        With `start` each record is stamped `advance` after the one before; without, with the driver's wall clock.
        """
        first = int(start.timestamp() * 1000) if isinstance(start, datetime) else start
        return TestInputTopic(
            self, topic, serde_of(key) or STRING, serde_of(value) or STRING, first, milliseconds(advance, "advance")
        )

    def create_output_topic(
        self, topic: str, key: SerdeLike[K] | Any = str, value: SerdeLike[V] | Any = str
    ) -> TestOutputTopic[Any, Any]:
        """A topic to read what the topology wrote."""
        return TestOutputTopic(self, topic, serde_of(key) or STRING, serde_of(value) or STRING)

    @property
    def now(self) -> int:
        """The simulated wall clock in ms since 1970."""
        return self._now

    def pipe(self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = ()) -> None:
        """One record in bytes, all the way through; raises ValueError for a topic that nobody reads."""
        if topic not in self._task.feeds and not self._open_pattern(topic):
            raise ValueError(f"no source reads topic {topic!r}; there are: {sorted(self._task.feeds)}")
        self._enqueue(Produced(topic, key, value, timestamp, tuple(headers)))
        self._run()

    def advance_wall_clock_time(self, by: timedelta | str | int) -> None:
        """Move the wall clock and run the punctuators that are due by then."""
        self._now += milliseconds(by, "by")
        self._task.punctuate(PunctuationType.WALL_CLOCK_TIME, self._now)
        self._commit()
        self._run()

    def get_state_store(self, name: str) -> Any:
        """A store by its name, as the operators see it."""
        return self.context.store(name)

    get_key_value_store = get_timestamped_key_value_store = get_window_store = get_session_store = get_state_store
    get_timestamped_window_store = get_versioned_key_value_store = get_state_store

    @property
    def dropped_records(self) -> int:
        """How many records were dropped so far, by all nodes (Kafka's dropped-records-total)."""
        return sum(self.context.dropped_records.values())

    def produced(self, topic: str) -> deque[Produced]:
        """What was written to a topic and not read yet."""
        return self._outputs.setdefault(topic, deque())

    @property
    def produced_topic_names(self) -> set[str]:
        """The topics that were written to, internal ones by their names on a cluster."""
        return set(self._outputs)

    def close(self) -> None:
        """Close the task and its stores."""
        self._task.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _emit(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers,
        key_object: Any,
        value_object: Any,
        partitioner: Partitioner | None,
    ) -> None:
        record = Produced(topic, key, value, timestamp, tuple(headers))
        self.produced(self.topology.internal_topic(self.application_id, topic)).append(record)
        if topic in self._task.feeds:
            self._enqueue(record)

    def _enqueue(self, record: Produced) -> None:
        self._waiting.setdefault(record.topic, deque()).append(record)

    def _run(self) -> None:
        """Take the record with the earliest timestamp among the heads of all topics until none is left."""
        context = self.context
        while True:
            heads = [queue for queue in self._waiting.values() if queue]
            if not heads:
                return
            record = min(heads, key=lambda queue: queue[0].timestamp).popleft()
            context.topic, context.partition = record.topic, 0
            context.offset = self._offsets.get(record.topic, 0)
            self._offsets[record.topic] = context.offset + 1
            self._task.feeds[record.topic](record.key, record.value, record.timestamp, record.headers)
            self._punctuate()
            self._commit()

    def _punctuate(self) -> None:
        if self.context.stream_time >= 0:
            self._task.punctuate(PunctuationType.STREAM_TIME, self.context.stream_time)

    def _commit(self) -> None:
        def write(store: str, key: bytes, value: bytes | None, timestamp: int) -> None:
            if self._watch is not None:
                self._watch(store, key, value, timestamp)
            spec = self.topology.stores[store]
            topic = self.topology.changelog_topic(self.application_id, store)
            if spec.logged and topic is not None and store not in self.topology.source_changelogs:
                self.changelogs.setdefault(topic, []).append((key, value, timestamp))

        if self.context.caches is not None:
            self.context.caches.flush()
        self._task.flush(write)

    def _open_pattern(self, topic: str) -> bool:
        for source in self._patterns:
            assert source.pattern is not None
            if source.pattern.fullmatch(topic):
                self._task.open_topic(source.name, topic)
                return True
        return False


def _raise(error: Exception) -> NoReturn:
    raise error
