"""A sink task: consume as a member of the group `connect-NAME`, convert, transform, hand over; commit what is flushed.

Everything happens in the task's thread, in the order of Kafka's `WorkerSinkTask`: commit when it is time, poll,
convert, `put`. `put` is called without records, too, so that a connector can do what the clock asks for. A
RetriableError of `put` keeps the records and pauses the consumer until they are taken. A flush that fails sends the
consumer back to what was committed last. Before partitions are given away they are committed and closed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from moldau.client import Consumer, TopicPartition
from moldau.connect.errors import ConnectError, RetriableError
from moldau.connect.plugin import SinkTask
from moldau.connect.records import SinkRecord
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.pipeline import Converters, FromBytes, Transforms
from moldau.connect.runtime.sink_context import SinkContext
from moldau.connect.runtime.task import TaskListener, WorkerTask
from moldau.connect.runtime.tolerance import Skipped, Tolerance

logger: Final = logging.getLogger("moldau.connect.task")

POLL_S: Final = 0.25
BACK_OFF_MIN_S: Final = 0.3
BACK_OFF_MAX_S: Final = 60.0
ASK_TIMEOUT_S: Final = 10.0
PASSING: Final = frozenset(
    {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError._NO_OFFSET,  # noqa: SLF001 (that is its name)
    }
)

Place = tuple[str, int]
Offsets = dict[Place, int]
"""The next offset to read, by topic and partition."""


@dataclass(slots=True)
class SinkParts:
    """What a sink task is put together from."""

    task: SinkTask
    config: Mapping[str, str]
    context: SinkContext
    consumer: Consumer
    topics: list[str]
    converters: Converters
    transforms: Transforms
    tolerance: Tolerance
    uses_topic: Callable[[str], None]
    max_poll_records: int = 500
    commit_interval_s: float = 60.0


class WorkerSinkTask(WorkerTask):
    """At least once: offsets are committed after the connector has flushed what is before them."""

    def __init__(
        self, task_id: TaskId, target: TargetState, listener: TaskListener, version: str | None, parts: SinkParts
    ) -> None:
        super().__init__(task_id, target, listener, version)
        self.parts = parts
        self._from_bytes = FromBytes(parts.converters, parts.tolerance)
        self._batch: list[SinkRecord] = []
        self._consumed: Offsets = {}
        """Where the batch ends."""
        self._current: Offsets = {}
        """What the connector has taken."""
        self._committed: Offsets = {}
        self._gone: set[Place] = set()
        """Partitions that were taken away lately."""
        self._topics: set[str] = set()
        self._next_commit = time.monotonic() + parts.commit_interval_s
        self._paused_for_redelivery = False
        self._pausing = False
        self._retries = 0
        self._retry_at = 0.0
        self._closing = False
        self._failure_in_callback: BaseException | None = None

    def stop(self) -> None:
        """Ask it to end, between two puts."""
        super().stop()
        self.parts.tolerance.stop()

    def execute(self) -> None:
        """Work until it shall stop; then commit, and close the partitions."""
        parts = self.parts
        self.begun = True
        parts.task.initialize(parts.context)
        parts.task.start(dict(parts.config))
        self.task_started = True
        parts.consumer.subscribe(
            parts.topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not self.stopping:
                self._iterate()
        finally:
            self._close_partitions(list(self._assigned()), lost=False)

    def close(self) -> None:
        """Stop the connector's task, leave the group."""
        parts = self.parts
        if self.begun:
            try:
                parts.task.stop()
            except Exception:
                logger.warning("the stop of task %s failed", self.id, exc_info=True)
        self._closing = True
        parts.consumer.close()
        parts.tolerance.close()
        parts.transforms.close()
        parts.converters.close()

    def _iterate(self) -> None:
        parts = self.parts
        if parts.context.take_commit_request() or time.monotonic() >= self._next_commit:
            self._commit(self._assigned(), closing=False)
            self._next_commit = time.monotonic() + parts.commit_interval_s
        self._follow_target()
        self._rewind_as_asked()
        messages = self._read()
        self._raise_failure_in_callback()
        if messages:
            self._take(messages)
        if not self.shall_pause or self._batch:
            self._deliver()

    def _read(self) -> list[Any]:
        """The next records.

        A rebalance between the first and the others may take away what was read. librdkafka forgets of the others what
        is from before an assignment, but not what is from before a partition went to somebody else.
        """
        consumer = self.parts.consumer
        first = consumer.poll(POLL_S)
        if first is None:
            return []
        self._gone.clear()
        others = consumer.consume(self.parts.max_poll_records - 1, timeout=0)
        if self._gone:
            others = [each for each in others if each.error() is not None or _place(each) in self._assigned()]
        return others if _place(first) in self._gone else [first, *others]

    def _raise_failure_in_callback(self) -> None:
        failure, self._failure_in_callback = self._failure_in_callback, None
        if failure is not None:
            raise failure

    def _follow_target(self) -> None:
        if self.shall_pause == self._pausing:
            return
        self._pausing = self.shall_pause
        self._let_flow()
        if self._pausing:
            self.say_paused()
        else:
            self.say_running()

    def _let_flow(self) -> None:
        """Pause or resume partitions, as target, redelivery and the connector want it."""
        assignment = self.parts.consumer.assignment()
        if not assignment:
            return
        all_of_them = self._pausing or self._paused_for_redelivery
        asked = self.parts.context.paused
        paused = [each for each in assignment if all_of_them or (each.topic, each.partition) in asked]
        flowing = [each for each in assignment if not all_of_them and (each.topic, each.partition) not in asked]
        if paused:
            self.parts.consumer.pause(paused)
        if flowing:
            self.parts.consumer.resume(flowing)

    def _rewind_as_asked(self) -> None:
        if self.parts.context.take_flow_request():
            self._let_flow()
        self._rewind()

    def _rewind(self) -> None:
        for place, offset in self.parts.context.take_offsets().items():
            if place in self._assigned():
                self._seek(place, offset)
                self._committed[place] = self._current[place] = self._consumed[place] = offset

    def _seek(self, place: Place, offset: int) -> None:
        self.parts.consumer.seek(TopicPartition(*place, offset))
        self._drop_from_batch([place])

    def _drop_from_batch(self, places: Collection[Place]) -> None:
        # A transform may have given the record another topic: where it was read counts.
        read = ((each, (each.original_topic, each.original_kafka_partition)) for each in self._batch)
        self._batch = [record for record, place in read if place not in places]

    def _take(self, messages: Iterable[Any]) -> None:
        parts, consumed, batch, taken = self.parts, self._consumed, self._batch, 0
        for message in messages:
            error = message.error()
            if error is not None:
                self._judge(error)
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            place = (topic, partition)
            if place not in self._committed:
                self._committed[place] = offset
            if topic not in self._topics:
                self._topics.add(topic)
                parts.uses_topic(topic)
            consumed[place] = offset + 1
            taken += 1
            try:
                record = parts.transforms.apply(self._from_bytes.convert(message), message)
            except Skipped:
                continue
            if record is not None:
                parts.context.remember(record, message)
                batch.append(record)
        self.metrics.taken += taken

    def _judge(self, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (that is its name)
            return
        if error.fatal() or (not error.retriable() and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise ConnectError(f"the consumer of task {self.id} cannot go on: {error.str()}")
        logger.warning("the consumer of task %s: %s", self.id, error.str())

    def _deliver(self) -> None:
        if self._paused_for_redelivery and time.monotonic() < self._retry_at:
            return
        metrics, began = self.metrics, self.metrics.clock()
        try:
            self.parts.task.put(list(self._batch))
        except RetriableError as error:
            self._try_again(error)
            return
        except Exception as error:
            raise ConnectError("Exiting WorkerSinkTask due to unrecoverable exception.") from error
        if self._batch:
            metrics.given += len(self._batch)
            metrics.batches.note(len(self._batch))
            metrics.batch_ms.note((metrics.clock() - began) * 1000)
        self._retries = 0
        self._current.update(self._consumed)
        self._consumed.clear()
        self._batch.clear()
        if self._paused_for_redelivery:
            self._paused_for_redelivery = False
            self._let_flow()

    def _try_again(self, error: RetriableError) -> None:
        asked_s = self.parts.context.take_timeout_s()
        delay_s = min(BACK_OFF_MIN_S * 2 ** min(self._retries, 20), BACK_OFF_MAX_S) if asked_s is None else asked_s
        logger.warning("task %s could not take its records, they are put again in %.1f s: %s", self.id, delay_s, error)
        self._retries += 1
        self._retry_at = time.monotonic() + delay_s
        if not self._paused_for_redelivery:
            self._paused_for_redelivery = True
            self._let_flow()

    # Offsets.

    def not_committed(self) -> int:
        """Records that were consumed and whose offsets are not committed; by any thread."""
        read = {**self._current, **self._consumed}
        return sum(max(0, offset - self._committed.get(place, offset)) for place, offset in read.items())

    def _assigned(self) -> set[Place]:
        return self.parts.context.assigned

    def _commit(self, places: Iterable[Place], *, closing: bool) -> None:
        """Flush, and commit what the connector says; when it cannot flush, go back to what is committed."""
        if self.cancelled:
            return
        mine = set(places)
        current = {place: offset for place, offset in self._current.items() if place in mine}
        if not current:
            return
        began = self.metrics.clock()
        try:
            self.parts.tolerance.flush()
            wanted = self.parts.task.pre_commit(dict(current))
        except Exception:
            self.metrics.committed(began, ok=False)
            if closing:
                logger.warning(
                    "task %s could not flush while it was closed; it will read again", self.id, exc_info=True
                )
                return
            logger.exception("task %s could not flush; it goes back to the last commit", self.id)
            self._go_back(mine)
            return
        offsets = {
            place: min(offset, current[place])
            for place, offset in (wanted or {}).items()
            if place in current and offset is not None
        }
        changed = {place: offset for place, offset in offsets.items() if self._committed.get(place) != offset}
        if changed:
            self.metrics.committed(began, ok=self._commit_to_group(changed))

    def _commit_to_group(self, offsets: Offsets) -> bool:
        try:
            given = [TopicPartition(*place, offset) for place, offset in offsets.items()]
            for each in self.parts.consumer.commit(offsets=given, asynchronous=False) or ():
                if each.error is not None:
                    raise KafkaException(each.error)
        except KafkaException as error:
            reason = error.args[0]
            level = logging.INFO if reason.code() in PASSING else logging.WARNING
            logger.log(level, "the offsets of task %s were not committed: %s", self.id, reason.str())
            return False
        self._committed.update(offsets)
        self.parts.context.forget(offsets)
        return True

    def _go_back(self, places: set[Place]) -> None:
        for place in places:
            offset = self._committed.get(place)
            if offset is not None:
                self._seek(place, offset)
                self._current[place] = offset
                self._consumed.pop(place, None)

    # Rebalances, called inside of `poll` and `close` of the consumer. confluent-kafka drops what they raise.

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            # An answer of the group that was on its way: a consumer that is closed answers no questions about it.
            return
        try:
            found = consumer.committed(partitions, timeout=ASK_TIMEOUT_S)
            for each in found:
                if each.error is None and each.offset >= 0:
                    self._committed[each.topic, each.partition] = each.offset
            places = [(each.topic, each.partition) for each in partitions]
            context = self.parts.context
            context.take_over(places)
            if places:
                self.parts.task.open(places)
                # A sink that knows itself how far it has come is given nothing from before that: partitions that are
                # sought before they are assigned are assigned where they were sought.
                self._rewind()
            consumer.assign(partitions)
            if context.take_flow_request() or self._pausing or self._paused_for_redelivery or context.paused:
                self._let_flow()
        except BaseException as error:  # noqa: BLE001 (raised again by the loop)
            self._failure_in_callback = error

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_away(partitions, lost=False)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_away(partitions, lost=True)

    def _give_away(self, partitions: list[TopicPartition], *, lost: bool) -> None:
        try:
            self._close_partitions([(each.topic, each.partition) for each in partitions], lost=lost)
        except BaseException as error:  # noqa: BLE001 (raised again by the loop)
            self._failure_in_callback = error

    def _close_partitions(self, places: list[Place], *, lost: bool) -> None:
        mine = [place for place in places if place in self._assigned()]
        if not mine:
            return
        try:
            if not lost:
                self._commit(mine, closing=True)
        finally:
            try:
                self.parts.task.close(mine)
            finally:
                self.parts.context.give_away(mine)
                self._gone.update(mine)
                for place in mine:
                    for offsets in (self._current, self._consumed, self._committed):
                        offsets.pop(place, None)
                self._drop_from_batch(mine)
                if not self._batch:
                    # Nothing is put again: what comes next need not wait.
                    self._paused_for_redelivery, self._retries = False, 0


def _place(message: Any) -> Place:
    return message.topic(), message.partition()
