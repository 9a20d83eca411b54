"""Where records leave a thread: its producer, with the errors of deliveries kept until somebody can act on them.

Delivery is asynchronous; `flush` waits for all of it and raises the first error. Under exactly-once a transaction is
begun with the first work after a commit.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from moldau._core import ColumnRun
from moldau.streams.errors import StreamsError
from moldau.streams.operators.contract import Header, Headers
from moldau.streams.runtime.exception_handlers import Failure, Handler, Response, dead_letter_headers
from moldau.streams.runtime.outcomes import FencedInstanceError, TaskMigratedError, is_migration
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.task import Emit
from moldau.streams.topology.nodes import Partitioner

logger: Final = logging.getLogger("moldau.streams")

_WAIT_FOR_ROOM_S: Final = 0.1
_METADATA_TIMEOUT_S: Final = 30.0
_LAST_LETTERS_S: Final = 10.0
_NOW: Final = 0
"""What librdkafka takes for the time of the wall, so that nothing can be written with the timestamp 0."""
_EARLIEST_MS: Final = 1
"""What is written instead: windows, joins and restored rows are a millisecond off, not half a century."""
Partition = tuple[str, int]
_T = TypeVar("_T")
_LEFT_OUT_MAX: Final = 100_000


class LeftOut:
    """Records that the cluster refused and the handler gave up, known again when they come once more.

    A transaction in which a record failed cannot be committed: the work since the last commit is done again, without
    that record. A thread keeps this beyond its sessions, until the record was left out of a transaction that is
    committed; other commits may come before that one, of tasks that were restored earlier.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, BaseException] = {}
        self._came: set[bytes] = set()
        """Those that were left out of the transaction that is open."""

    def add(self, topic: str, key: bytes | None, value: bytes | None, error: BaseException) -> None:
        """Leave this one out from now on, because of that."""
        if len(self.known) >= _LEFT_OUT_MAX:
            raise ProductionError(
                f"{_LEFT_OUT_MAX:,} records of one transaction after the other were refused by {topic}\n"
                "hint: production.exception.handler leaves them out one by one; mend what refuses them all"
            )
        self.known[_fingerprint(topic, key, value)] = error

    def why(self, topic: str, key: bytes | None, value: bytes | None) -> BaseException | None:
        """Why this one, which has come, is left out; None if it is not."""
        fingerprint = _fingerprint(topic, key, value)
        error = self.known.get(fingerprint)
        if error is not None:
            self._came.add(fingerprint)
        return error

    def committed(self) -> None:
        """Forget what does not come again."""
        for fingerprint in self._came:
            self.known.pop(fingerprint, None)
        self._came.clear()

    def aborted(self) -> None:
        """Everything comes again."""
        self._came.clear()


def _let_work(call: Callable[[float], _T], timeout_s: float) -> _T:
    """Call the producer. A fatal error of its own is raised in there; a report of a delivery that comes behind it
    finds it raised already, and then it arrives as the cause of a SystemError.
    """
    try:
        return call(timeout_s)
    except SystemError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KafkaException):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None


def _fingerprint(topic: str, key: bytes | None, value: bytes | None) -> bytes:
    return hashlib.blake2b(repr((topic, key, value)).encode(), digest_size=16).digest()


def _refused(
    error: BaseException,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    timestamp: int,
    headers: Any,
) -> Failure:
    """A record of ours that the cluster, or the client, does not take: its place is the one where it was to go."""
    return Failure(error, "", topic, partition, -1, key, value, timestamp, tuple(headers or ()))


def one_by_one(emit: Emit) -> Callable[[Sequence[str], ColumnRun], None]:
    """Runs of columns out of sinks that take a record at a time."""

    def emit_columns(topics: Sequence[str], run: ColumnRun) -> None:
        for output, topic in enumerate(topics):
            for key, value, timestamp, headers in run.records(output):
                emit(topic, key, value, timestamp, headers, None, None, None)

    return emit_columns


class ProductionError(StreamsError):
    """A record could not be written; the topic and the cluster's error are in the message."""


class RecordCollector:
    """Output of one thread. Belongs to that thread."""

    def __init__(
        self,
        producer: confluent_kafka.Producer,
        *,
        exactly_once: bool,
        handler: Handler,
        left_out: LeftOut,
        patience_s: float,
        dead_letters: str | None = None,
    ) -> None:
        """`dead_letters` is the topic that records which are left behind are copied to, if there is one."""
        self.producer = self._producer = producer
        self._dead_letters = dead_letters
        self._letters: deque[Failure] = deque()
        """Dead letters of delivery reports, which cannot write anything themselves."""
        self._letters_on_their_way = 0
        self._exactly_once = exactly_once
        self._handler = handler
        self._left_out = left_out
        self._patience_s = patience_s
        self._in_transaction = False
        self._failed: Exception | None = None
        self._partition_counts: dict[str, int] = {}
        self.changelog_positions: dict[Partition, int] = {}
        """The offset after the last record that was delivered to a changelog partition."""
        self.sent = 0

    def begin(self) -> None:
        """Begin a transaction, where there are transactions and none is open."""
        if self._exactly_once and not self._in_transaction:
            try:
                self._producer.begin_transaction()
            except KafkaException as error:
                if is_migration(error.args[0]):
                    raise TaskMigratedError(error.args[0].str()) from error
                raise
            self._in_transaction = True

    def emitter(self, on_cluster: Callable[[str], str]) -> Emit:
        """The function that the sinks of a task write with; `on_cluster` gives the cluster's name of a topic."""
        send, delivered, produce = self._send, self._delivered, self._producer.produce
        left_out = self._left_out.known
        names: dict[str, str] = {}

        def emit(
            topic: str,
            key: bytes | None,
            value: bytes | None,
            timestamp: int,
            headers: Headers,
            key_object: Any,
            value_object: Any,
            partitioner: Partitioner | None,
        ) -> None:
            name = names.get(topic)
            if name is None:
                name = names[topic] = on_cluster(topic)
            partition = -1
            if partitioner is not None:
                chosen = partitioner(name, key_object, value_object, self.partition_count(name))
                partition = -1 if chosen is None else chosen
            written: Any = list(headers) if headers else None
            if not left_out:
                try:
                    produce(name, value, key, partition, delivered, None, timestamp or _EARLIEST_MS, written)
                except (BufferError, KafkaException):
                    # Once more on the way that waits, or asks the handler.
                    pass
                else:
                    self.sent += 1
                    return
            send(name, value, key, partition, delivered, timestamp or _EARLIEST_MS, written)

        return emit

    def columns_emitter(self, on_cluster: Callable[[str], str]) -> Callable[[Sequence[str], ColumnRun], None]:
        """The same for whole runs of columns, record by record."""
        return one_by_one(self.emitter(on_cluster))

    def changelog(self, topic: str, partition: int, headers: list[Header]) -> ChangelogWriter:
        """The function that a store's changes are written with."""
        send, produce, positions, place = (
            self._send,
            self._producer.produce,
            self.changelog_positions,
            (topic, partition),
        )
        left_out = self._left_out.known
        written: Any = headers or None

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                positions[place] = message.offset() + 1
            else:
                self._fail_delivery(error, message)

        def write(key: bytes, value: bytes | None, timestamp: int) -> None:
            # A changelog record without a time (nothing was processed yet) gets the time of the wall.
            timestamp = _NOW if timestamp < 0 else timestamp or _EARLIEST_MS
            if not left_out:
                try:
                    produce(topic, value, key, partition, delivered, None, timestamp, written)
                except (BufferError, KafkaException):
                    # Once more on the way that waits, or asks the handler.
                    pass
                else:
                    self.sent += 1
                    return
            send(topic, value, key, partition, delivered, timestamp, written)

        return write

    def dead_letter(self, failure: Failure) -> None:
        """Write a record that is left behind to the dead letters, if there are any. (KIP-1034)"""
        if self._dead_letters is None:
            return
        self.begin()
        timestamp = _NOW if failure.timestamp < 0 else failure.timestamp or _EARLIEST_MS
        headers = dead_letter_headers(failure)
        self._letters_on_their_way += 1
        try:
            refusal = self._produce(
                self._dead_letters, failure.value, failure.key, -1, self._letter_delivered, timestamp, headers
            )
        except BaseException:
            self._letters_on_their_way -= 1
            raise
        if refusal is not None:
            self._letter_delivered(refusal.args[0], None)

    def _letter_delivered(self, error: KafkaError | None, message: Any) -> None:
        """Nobody is asked about a dead letter: it would be gone, and the record with it."""
        self._letters_on_their_way -= 1
        if error is not None:
            self._failed = self._failed or (
                TaskMigratedError(error.str())
                if is_migration(error)
                else ProductionError(f"a dead letter could not be written to {self._dead_letters}: {error.str()}")
            )

    def _write_letters(self) -> bool:
        """Write the dead letters of delivery reports that are there now; whether there were any."""
        count = len(self._letters)
        for _ in range(count):
            # One for which there was no room is tried again in the end.
            self.dead_letter(self._letters[0])
            self._letters.popleft()
        return count > 0

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has; asked once."""
        count = self._partition_counts.get(topic)
        if count is None:
            found = self._producer.list_topics(topic, timeout=_METADATA_TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise ProductionError(f"cannot write to {topic}: {found.error.str()}")
            count = self._partition_counts[topic] = len(found.partitions)
        return count

    def serve(self) -> None:
        """Take delivery reports, and raise what they said."""
        self._wait(self._producer.poll, 0)
        self._write_letters()
        self._raise_failed()

    def flush(self) -> None:
        """Wait until everything is delivered.

        Raises:
            ProductionError: a record was not.
            TaskMigratedError: another instance works on these tasks now.
        """
        deadline = time.monotonic() + self._patience_s
        while self._wait(self._producer.flush, _WAIT_FOR_ROOM_S * 10) or self._write_letters():
            self._raise_failed()
            if time.monotonic() > deadline:
                raise ProductionError(f"{len(self._producer)} records could not be written in {self._patience_s:g} s")
        self._raise_failed()

    def commit(self, offsets: list[confluent_kafka.TopicPartition], group_metadata: Any) -> None:
        """Commit the transaction with these offsets; begin one if nothing was written since the last."""
        self.begin()
        producer = self._producer
        self._persist(lambda timeout: producer.send_offsets_to_transaction(offsets, group_metadata, timeout))
        self._persist(producer.commit_transaction)
        self._in_transaction = False
        self._left_out.committed()

    def abort(self) -> None:
        """Undo what was written since the last commit, as far as that can be said to the cluster."""
        self._failed = None
        if not self._exactly_once:
            self._write_last_letters()
            return
        # Dead letters would be aborted with the rest.
        self._letters.clear()
        self._left_out.aborted()
        self._producer.purge()
        if self._in_transaction:
            self._in_transaction = False
            try:
                self._producer.abort_transaction(self._patience_s)
            except KafkaException as error:
                # A fenced producer has nothing left to abort; else the cluster's transaction timeout will do it.
                logger.info("the transaction could not be aborted: %s", error)
        self._letters.clear()
        self._failed = None

    def close(self) -> None:
        """The client ends when nobody has it any more."""

    def _write_last_letters(self) -> None:
        """Write the dead letters of the record that ended the thread: with the producer they would be gone."""
        try:
            self._write_letters()
            if self._letters_on_their_way:
                self._wait(self._producer.flush, _LAST_LETTERS_S)
            self._raise_failed()
        except (StreamsError, KafkaException) as error:
            logger.warning("the last dead letters could not all be written: %s", error)
        self._failed = None

    def _persist(self, call: Callable[[float], None]) -> None:
        """Call again for as long as that may help."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                _let_work(call, max(1.0, min(30.0, deadline - time.monotonic())))
            except KafkaException as error:
                kafka_error = error.args[0]
                if kafka_error.retriable() and time.monotonic() < deadline:
                    logger.info("committing again: %s", kafka_error.str())
                    continue
                if kafka_error.code() == KafkaError.FENCED_INSTANCE_ID:
                    raise FencedInstanceError(kafka_error.str()) from error
                if is_migration(kafka_error) or kafka_error.txn_requires_abort():
                    raise TaskMigratedError(kafka_error.str()) from error
                raise
            return

    def _send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        delivered: Callable[..., None],
        timestamp: int,
        headers: Any,
    ) -> None:
        why = self._left_out.why(topic, key, value) if self._left_out.known else None
        if why is not None:
            self.dead_letter(_refused(why, topic, partition, key, value, timestamp, headers))
            return
        refusal = self._produce(topic, value, key, partition, delivered, timestamp, headers)
        if refusal is not None:
            self._fail(refusal.args[0], _refused(refusal, topic, partition, key, value, timestamp, headers))

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        delivered: Callable[..., None],
        timestamp: int,
        headers: Any,
    ) -> KafkaException | None:
        """Hand a record to the producer as soon as it has room; why, if it does not take that one."""
        produce = self._producer.produce
        deadline = 0.0
        while True:
            try:
                produce(topic, value, key, partition, delivered, None, timestamp, headers)
            except BufferError:
                now = time.monotonic()
                deadline = deadline or now + self._patience_s
                if now > deadline:
                    raise ProductionError(f"no record could be written in {self._patience_s:g} s") from None
                self._wait(self._producer.poll, _WAIT_FOR_ROOM_S)
                self._raise_failed()
            except KafkaException as error:
                return error
            else:
                self.sent += 1
                return None

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._fail_delivery(error, message)

    def _fail_delivery(self, error: KafkaError, message: Any) -> None:
        place = message.topic(), message.partition()
        bytes_of = message.key(), message.value(), message.timestamp()[1], message.headers()
        self._fail(error, _refused(KafkaException(error), *place, *bytes_of), in_transaction=self._exactly_once)

    def _fail(self, error: KafkaError, failure: Failure, *, in_transaction: bool = False) -> None:
        """Decide about a record that is not written; `in_transaction` is one that the transaction cannot do without."""
        if is_migration(error):
            self._failed = self._failed or TaskMigratedError(error.str())
            return
        if error.code() in {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}:  # noqa: SLF001 (its names)
            return
        name = failure.topic
        if self._handler(failure) is Response.FAIL:
            self._letters.append(failure)
            self._failed = self._failed or ProductionError(f"a record could not be written to {name}: {error.str()}")
        elif not in_transaction:
            self._letters.append(failure)
        else:
            self._left_out.add(name, failure.key, failure.value, failure.error)
            self._failed = self._failed or TaskMigratedError(
                f"{name} refused a record, which is left out: the transaction is begun again without it"
            )

    def client_failed(self, error: Any) -> None:
        """Take an error of the producer itself.

        Without this the client raises a fatal one in the midst of delivery reports, which then run with it pending.
        """
        if error.fatal():
            self._failed = TaskMigratedError(error.str()) if is_migration(error) else KafkaException(error)

    def _wait(self, call: Callable[[float], int], timeout_s: float) -> int:
        """Let the producer work. A fatal error of its own, such as being fenced, is raised in there."""
        try:
            return _let_work(call, timeout_s)
        except KafkaException as error:
            if is_migration(error.args[0]):
                raise TaskMigratedError(error.args[0].str()) from error
            raise

    def _raise_failed(self) -> None:
        if self._failed is not None:
            raise self._failed
