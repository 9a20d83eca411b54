"""A source task: poll, transform, convert, send. What sending means is said by what extends `SourceTaskRunner`.

`WorkerSourceTask` is at least once. It has two threads: the task's own polls its connector and sends; a second one
takes in acknowledgements, tells the connector of them, and every `offset.flush.interval.ms` keeps the offsets of what
has arrived, in order. So a connector that polls for minutes does not hold up what is on its way.
`exactly_once_task` writes in transactions.
"""

from __future__ import annotations

import abc
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from moldau.client import Producer
from moldau.connect.errors import ConnectError, RetriableError
from moldau.connect.plugin import RecordMetadata, SourceTask
from moldau.connect.plugins import java_name
from moldau.connect.ready import ReadyRecords, stretches_of
from moldau.connect.records import SourceRecord
from moldau.connect.runtime.connector_offsets import ConnectorOffsets
from moldau.connect.runtime.contexts import RunningSourceTaskContext
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.pipeline import Converters, Outgoing, ToBytes, Transforms
from moldau.connect.runtime.submitted import Submitted, SubmittedRecords
from moldau.connect.runtime.task import TaskListener, WorkerTask
from moldau.connect.runtime.tolerance import Failure, Skipped, Stage, Tolerance
from moldau.connect.runtime.topic_creation import TopicCreation, why_not_sent

logger: Final = logging.getLogger("moldau.connect.task")

Report = Callable[[KafkaError | None, Any], None]

PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 (there is no other name)
"""What a record is told that the producer gave up at its end."""
DELIVERY_POLL_S: Final = 0.1
QUEUE_FULL_POLL_S: Final = 0.05


def finds_no_room(topic: str, key: bytes | None, value: bytes | None) -> KafkaException:
    """What to say of a record that is larger than everything that the producer may hold, as Java says it."""
    size = len(key or b"") + len(value or b"")
    said = (
        f"a record of {size} bytes for {topic} is larger than all that the producer may hold: raise buffer.memory "
        "(and max.request.size, the largest a record may be), as producer.override.buffer.memory on the connector"
    )
    return KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, said))


class LeftToItselfError(ConnectError):
    """A task that did not end in time finds that nobody waits for what it sends."""


@dataclass(slots=True)
class SourceParts:
    """What a source task is put together from."""

    task: SourceTask
    config: Mapping[str, str]
    context: RunningSourceTaskContext
    producer: Producer
    converters: Converters
    transforms: Transforms
    tolerance: Tolerance
    offsets: ConnectorOffsets
    topics: TopicCreation
    uses_topic: Callable[[str], None]
    flush_interval_s: float = 60.0
    flush_timeout_s: float = 5.0
    stop_timeout_s: float = 5.0
    transaction_timeout_ms: int = 60_000


class _Report:
    """What happened to the records of a stretch; called for each, by whatever thread polls the producer."""

    __slots__ = ("_arrived", "_last", "_ready", "_submitted", "_task")

    def __init__(self, task: WorkerSourceTask, ready: ReadyRecords, submitted: Submitted) -> None:
        self._task = task
        self._ready = ready
        self._submitted = submitted
        # Two threads may count at once: `next` is one step of the interpreter.
        self._arrived = itertools.count(1)
        self._last = ready.size

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._task.cannot_send(error)
        elif next(self._arrived) == self._last:
            self._submitted.acknowledge()
            self._ready.arrived()


class SourceTaskRunner(WorkerTask):
    """From `poll` of the connector to bytes."""

    def __init__(
        self, task_id: TaskId, target: TargetState, listener: TaskListener, version: str | None, parts: SourceParts
    ) -> None:
        super().__init__(task_id, target, listener, version)
        self.parts = parts
        self._to_bytes = ToBytes(parts.converters, parts.tolerance)
        self._known_topics: set[str] = set()
        self._class_name = java_name(type(parts.task))
        self._stop_once = threading.Lock()
        # A `stop` that waits for a `poll` that hangs holds up nobody but itself.
        self._stopper = threading.Thread(target=self._stop_task, name=f"stop-{task_id}", daemon=True)

    def stop(self) -> None:
        """Ask it to end; a poll that listens to `stop` of its task ends at once."""
        super().stop()
        self.parts.tolerance.stop()
        if self.task_started:
            self._stopper.start()

    def _stop_task(self) -> None:
        if not self._stop_once.acquire(blocking=False):
            return
        try:
            self.parts.task.stop()
        except Exception:
            logger.warning("the stop of task %s failed", self.id, exc_info=True)

    def execute(self) -> None:
        """Poll and send until it shall stop, then wait for what is on its way."""
        parts = self.parts
        if not self._prepare():
            return
        if not parts.offsets.start(lambda: self.stopping):
            return
        parts.context.given_up = lambda: self.stopping
        self.begun = True
        parts.task.initialize(parts.context)
        parts.task.start(dict(parts.config))
        self.task_started = True
        if self.stopping:
            self._stop_task()
        self._begin()
        failed = True
        try:
            self._poll_and_send()
            failed = False
        finally:
            self._end(failed=failed)

    def _poll_and_send(self) -> None:
        while not self.stopping:
            if self.shall_pause:
                self._pausing()
                self.say_paused()
                if not self.wait_while_paused():
                    return
                self._going_on()
                self.say_running()
            records = self._poll()
            for part in stretches_of(records or ()):
                if isinstance(part, ReadyRecords):
                    self._send_ready(part)
                elif not self._send_each(part):
                    return
            self._batch_sent()

    def _send_each(self, records: Sequence[SourceRecord]) -> bool:
        """False when nobody waits for them any more."""
        for record in records:
            if self.stopping and self.cancelled:
                return False
            self._send(record)
        return True

    def _poll(self) -> Sequence[SourceRecord] | None:
        metrics = self.metrics
        began = metrics.clock()
        try:
            records = self.parts.task.poll()
            if records:
                metrics.taken += len(records)
                metrics.batches.note(len(records))
                metrics.batch_ms.note((metrics.clock() - began) * 1000)
            return records
        except RetriableError as error:
            logger.warning("the task %s could not be polled; it is polled again: %s", self.id, error)
            self._stopping.wait(DELIVERY_POLL_S)
            return None

    def _make_sure_of(self, topic: str) -> None:
        if topic not in self._known_topics:
            self.parts.topics.make_sure_of(topic)
            self._known_topics.add(topic)
            self.parts.uses_topic(topic)

    def _send(self, original: SourceRecord) -> None:
        try:
            record = self.parts.transforms.apply(original, original)
            outgoing = None if record is None else self._to_bytes.convert(record, original)
        except Skipped:
            outgoing = None
        if outgoing is None:
            self.metrics.left_out += 1
            self._leave_out(original)
            return
        self._make_sure_of(outgoing.topic)
        self._dispatch(original, outgoing)

    def _produce(self, outgoing: Outgoing, report: Report) -> None:
        """Hand a record to the producer, waiting while its queue is full. Raises KafkaException."""
        producer = self.parts.producer
        partition = -1 if outgoing.partition is None else outgoing.partition
        emptied = False
        while True:
            try:
                producer.produce(
                    outgoing.topic,
                    outgoing.value,
                    outgoing.key,
                    partition,
                    on_delivery=report,
                    timestamp=outgoing.timestamp or 0,
                    headers=outgoing.headers or None,
                )
                return
            except BufferError:
                if emptied:
                    raise finds_no_room(outgoing.topic, outgoing.key, outgoing.value) from None
                emptied = self._wait_for_room()

    def _wait_for_room(self) -> bool:
        """The producer's queue is full. Whether it is empty after a while: what finds no room then never will."""
        self._go_on_unless_cancelled()
        self.parts.producer.poll(QUEUE_FULL_POLL_S)
        return not len(self.parts.producer)

    def _go_on_unless_cancelled(self) -> None:
        if self.cancelled:
            raise LeftToItselfError(f"task {self.id} was left to itself, and sends nothing any more")

    def _tell_committed(self, original: SourceRecord, message: Any) -> None:
        """`message` is what was written, None if the record was left out."""
        metadata = None
        if message is not None:
            metadata = RecordMetadata(message.topic(), message.partition(), message.offset(), message.timestamp()[1])
        try:
            self.parts.task.commit_record(original, metadata)
        except Exception:
            logger.exception("commit_record of task %s failed", self.id)

    def close(self) -> None:
        """Close the task's clients and plugins."""
        parts = self.parts
        if self.begun:
            # It may have failed, in its `start` already, and nobody has asked it to stop yet.
            self._stop_task()
        if self._stopper.is_alive():
            self._stopper.join(parts.stop_timeout_s)
        try:
            parts.producer.purge()
            parts.producer.flush(0)
        except KafkaException as error:
            # One that was taken over from says so at every call.
            logger.debug("the producer of task %s is left: %s", self.id, error.args[0].str())
        parts.offsets.stop()
        parts.tolerance.close()
        parts.transforms.close()
        parts.converters.close()

    # What sending means.

    @property
    @abc.abstractmethod
    def written(self) -> int:
        """How many records are in Kafka for certain; read by any thread."""

    def _prepare(self) -> bool:
        """Before the connector's task starts; False: it shall not."""
        return True

    @abc.abstractmethod
    def _begin(self) -> None:
        """The connector's task has started."""

    @abc.abstractmethod
    def _dispatch(self, original: SourceRecord, outgoing: Outgoing) -> None:
        """Send a record."""

    def _send_ready(self, ready: ReadyRecords) -> None:
        """Send what the source has written itself; only one that was offered the converters does."""
        raise NotImplementedError

    @abc.abstractmethod
    def _leave_out(self, original: SourceRecord) -> None:
        """A record that is not sent, on purpose."""

    @abc.abstractmethod
    def _batch_sent(self) -> None:
        """All records of a poll are handed on, which may be none."""

    def _pausing(self) -> None:
        """The task is paused from here."""

    def _going_on(self) -> None:
        """The pause is over."""

    @abc.abstractmethod
    def _end(self, *, failed: bool) -> None:
        """Nothing is polled any more; `failed`: an error is on its way up."""


class WorkerSourceTask(SourceTaskRunner):
    """At least once: after a crash what was sent since the last flush of offsets is sent again."""

    def __init__(
        self, task_id: TaskId, target: TargetState, listener: TaskListener, version: str | None, parts: SourceParts
    ) -> None:
        super().__init__(task_id, target, listener, version, parts)
        self._submitted = SubmittedRecords()
        self._send_failure: ConnectError | None = None
        self._committing = threading.Lock()
        self._deliveries_end = threading.Event()
        self._deliveries = threading.Thread(target=self._deliver, name=f"deliveries-{task_id}", daemon=True)

    @property
    def written(self) -> int:
        return self._submitted.arrived

    def cancel(self) -> None:
        """Leave it to itself: what is queued is not sent any more, for another one may have its place."""
        super().cancel()
        try:
            self.parts.producer.purge(blocking=False)
        except KafkaException as error:
            # One that has failed for good says so at every call.
            logger.debug("the producer of task %s is left: %s", self.id, error.args[0].str())

    def _begin(self) -> None:
        self._deliveries.start()

    def _dispatch(self, original: SourceRecord, outgoing: Outgoing) -> None:
        self._go_on_unless_cancelled()
        submitted = self._submitted.submit(original.source_partition or {}, original.source_offset)
        try:
            self._produce(outgoing, partial(self._delivered, original, submitted))
        except KafkaException as error:
            self._not_sent(original, submitted, error.args[0])
        self._raise_send_failure()

    def _batch_sent(self) -> None:
        self._raise_send_failure()

    def _end(self, *, failed: bool) -> None:
        self._end_deliveries()
        if not failed:
            self._raise_send_failure()

    def _send_ready(self, ready: ReadyRecords) -> None:
        submitted = self._submitted.submit(ready.source_partition, ready.source_offset, ready.size)
        report = _Report(self, ready, submitted)
        for topic, messages in ready.messages.items():
            self._make_sure_of(topic)
            headers = ready.headers.get(topic)
            if headers:
                self._produce_each(topic, messages, headers, report)
            else:
                self._produce_all(topic, messages, report)
        ready.sent()

    def _produce_all(self, topic: str, messages: list[dict[str, Any]], report: _Report) -> None:
        emptied = False
        while messages:
            self._go_on_unless_cancelled()
            given = len(messages)
            self.parts.producer.produce_batch(topic, messages, on_delivery=report)
            # Behind the first that found no room, none did.
            messages = [message for message in messages if "_error" in message]
            for message in messages:
                error = message.pop("_error")
                if error.code() != KafkaError._QUEUE_FULL:  # noqa: SLF001
                    self.cannot_send(error)
            if emptied and len(messages) == given:
                self.cannot_send(finds_no_room(topic, messages[0].get("key"), messages[0]["value"]).args[0])
            self._raise_send_failure()
            emptied = bool(messages) and self._wait_for_room()

    def _produce_each(
        self, topic: str, messages: list[dict[str, Any]], headers: list[tuple[str, str | bytes | None]], report: _Report
    ) -> None:
        produce = self.parts.producer.produce
        for message in messages:
            emptied = False
            while True:
                self._go_on_unless_cancelled()
                try:
                    produce(topic, message["value"], message.get("key"), -1, on_delivery=report, headers=headers)
                    break
                except BufferError:
                    if emptied:
                        self.cannot_send(finds_no_room(topic, message.get("key"), message["value"]).args[0])
                    emptied = self._wait_for_room()
                    self._raise_send_failure()
                except KafkaException as error:
                    self.cannot_send(error.args[0])
                    self._raise_send_failure()

    def _leave_out(self, original: SourceRecord) -> None:
        self._tell_committed(original, None)

    def _delivered(self, original: SourceRecord, submitted: Submitted, error: KafkaError | None, message: Any) -> None:
        """In whatever thread polls the producer."""
        if error is not None:
            self._not_sent(original, submitted, error)
            return
        submitted.acknowledge()
        self._tell_committed(original, message)

    def _not_sent(self, original: SourceRecord, submitted: Submitted, error: KafkaError) -> None:
        if error.code() in PURGED:
            # The task ends before it was sent: it comes again after the restart, and nobody may call it done.
            return
        if self.parts.tolerance.tolerate_all:
            for reporter in self.parts.tolerance.reporters:
                reporter.report(Failure(original, Stage.KAFKA_PRODUCE, self._class_name, KafkaException(error)))
            submitted.acknowledge()
            self._tell_committed(original, None)
            return
        self.cannot_send(error)

    def cannot_send(self, error: KafkaError) -> None:
        """The task ends: a record did not arrive and will not."""
        if self._send_failure is None:
            failure = ConnectError(f"Unrecoverable exception from producer send callback: {why_not_sent(error)}")
            failure.__cause__ = KafkaException(error)
            self._send_failure = failure

    def _raise_send_failure(self) -> None:
        if self._send_failure is not None:
            raise self._send_failure

    # The second thread, and the end.

    def _deliver(self) -> None:
        try:
            self._deliver_until_the_end()
        except Exception as error:
            logger.exception("task %s takes in no acknowledgements any more", self.id)
            if self._send_failure is None:
                self._send_failure = ConnectError(f"acknowledgements are not taken in any more: {error}")

    def _deliver_until_the_end(self) -> None:
        next_flush = time.monotonic() + self.parts.flush_interval_s
        while not self._deliveries_end.is_set():
            self.parts.producer.poll(DELIVERY_POLL_S)
            if time.monotonic() >= next_flush:
                self.commit_offsets()
                next_flush = time.monotonic() + self.parts.flush_interval_s

    def commit_offsets(self) -> bool:
        """Keep the offsets of what has arrived. Whether that was done; what was not is kept with the next ones."""
        with self._committing:
            if self.cancelled:
                return False
            began = self.metrics.clock()
            ok = self._commit_what_arrived()
            self.metrics.committed(began, ok=ok)
            return ok

    def _commit_what_arrived(self) -> bool:
        taken = self._submitted.take_committable()
        entries = [(partition, offset) for partition, offset in taken if partition]
        if entries:
            try:
                self.parts.offsets.put(self.id.connector, entries, self.parts.flush_timeout_s)
            except (ConnectError, KafkaException) as error:
                logger.warning("the offsets of task %s were not kept, they are tried again: %s", self.id, error)
                self._submitted.give_back(taken)
                return False
        try:
            self.parts.task.commit()
        except Exception:
            logger.exception("commit of task %s failed", self.id)
            return False
        return True

    def _end_deliveries(self) -> None:
        deadline = time.monotonic() + self.parts.flush_timeout_s
        while self._submitted.on_their_way and time.monotonic() < deadline and self._send_failure is None:
            self._submitted.wait_for_all(DELIVERY_POLL_S)
        self._deliveries_end.set()
        self._deliveries.join()
        self.commit_offsets()
