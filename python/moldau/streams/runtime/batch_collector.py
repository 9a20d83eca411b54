"""Where records leave a thread: a producer of our own, which says of batches what became of them.

Runs of columns go into its batches as they are, without an object per record. Nobody is called back: what was
delivered, and what was refused, is asked for after each round (`serve`) and waited for at a commit (`flush`).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from moldau._core import ColumnRun
from moldau.client.membership import Commit, GroupMetadata
from moldau.client.producing import (
    AbortableError,
    Delivered,
    FatalError,
    NoRoomError,
    ProduceError,
    RecordProducer,
    Refused,
    TooLargeError,
)
from moldau.client.protocol.partitions import Partition
from moldau.errors import ErrorCode, MoldauError
from moldau.streams.errors import StreamsError
from moldau.streams.operators.contract import Header, Headers
from moldau.streams.runtime.emitting import EmitColumns, one_by_one
from moldau.streams.runtime.exception_handlers import Failure, Handler, Response, dead_letter_headers
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.outcomes import ProductionError
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.task import Emit
from moldau.streams.topology.nodes import Partitioner

logger: Final = logging.getLogger("moldau.streams")

_WAIT_FOR_ROOM_S: Final = 0.1
_LAST_LETTERS_S: Final = 10.0
_BY_KEY: Final = -1
_EARLIEST_MS: Final = 1
"""Written instead of 0, which librdkafka took for "now" before records were written by ourselves: what is in topics and
changelogs stays as it is, and windows, joins and restored rows are a millisecond off.
"""
_OF_A_LETTER: Final = "__streams.errors.exception"


class BatchCollector:
    """Output of one thread at-least-once. Belongs to that thread."""

    def __init__(
        self,
        producer: RecordProducer,
        *,
        handler: Handler,
        patience_s: float,
        dead_letters: str | None = None,
        left_out: LeftOut | None = None,
    ) -> None:
        """`dead_letters` is the topic that records which are left behind are copied to, if there is one."""
        self._producer = producer
        self._handler = handler
        self._patience_s = patience_s
        self._dead_letters = dead_letters
        self._letters: deque[Failure] = deque()
        """Dead letters of what was refused, which are written when nothing else is."""
        self._letters_on_their_way = False
        self._failed: StreamsError | None = None
        self._left_out = left_out or LeftOut()
        """Nothing, without transactions."""
        self._numbers: dict[str, int] = {}
        """Of topics by the cluster's names, for the producer."""
        self._changelogs: set[Partition] = set()
        self.changelog_positions: dict[Partition, int] = {}
        self.sent = 0

    def initialise(self) -> None:
        """Nobody has to be fenced who writes at-least-once."""

    def begin(self) -> None:
        """There are no transactions."""

    def emitter(self, on_cluster: Callable[[str], str]) -> Emit:
        """The function that the sinks of a task write with; `on_cluster` gives the cluster's name of a topic."""
        # By the topology's names of topics: the cluster's, and the numbers of those that the producer knows.
        names: dict[str, str] = {}
        numbers: dict[str, int] = {}
        append, left_out = self._producer.append, self._left_out.known

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
            number = numbers.get(topic)
            if number is not None and partitioner is None and not left_out:
                try:
                    append(number, _BY_KEY, key, value, timestamp or _EARLIEST_MS, headers or None)
                except ProduceError:
                    # Once more on the way that waits, or asks the handler.
                    pass
                else:
                    self.sent += 1
                    return
            name = names.get(topic)
            if name is None:
                name = names[topic] = on_cluster(topic)
            self._send(name, key, value, timestamp or _EARLIEST_MS, headers, (key_object, value_object), partitioner)
            if name in self._numbers:
                numbers[topic] = self._numbers[name]

        return emit

    def columns_emitter(self, on_cluster: Callable[[str], str]) -> EmitColumns:
        """The same for whole runs of columns."""
        each, left_out = one_by_one(self.emitter(on_cluster)), self._left_out.known

        def emit_columns(topics: Sequence[str], run: ColumnRun) -> None:
            if left_out:
                each(topics, run)
                return
            for output, topic in enumerate(topics):
                count = run.count(output)
                if count:
                    self._send_run(on_cluster(topic), run, output, count)

        return emit_columns

    def _send_run(self, name: str, run: ColumnRun, output: int, count: int) -> None:
        refused: Sequence[int] = range(count)
        error = ProduceError("larger than max.request.size", ErrorCode.MESSAGE_TOO_LARGE)
        try:
            number = self._number(name)
            refused = self._patiently(lambda: self._producer.append_run(number, run, output))
        except ProduceError as why:
            error = why
        self.sent += count - len(refused)
        if refused:
            records = run.records(output)
            for place in refused:
                key, value, timestamp, headers = records[place]
                self._fail(error, name, _BY_KEY, (timestamp, key, value, headers))

    def changelog(self, topic: str, partition: int, headers: list[Header]) -> ChangelogWriter:
        """The function that a store's changes are written with."""
        self._changelogs.add((topic, partition))
        append, numbers, written = self._producer.append, self._numbers, headers or None
        left_out = self._left_out.known

        def write(key: bytes, value: bytes | None, timestamp: int) -> None:
            # A changelog record without a time (nothing was processed yet) gets the time of the wall.
            moment = time.time_ns() // 1_000_000 if timestamp < 0 else timestamp or _EARLIEST_MS
            number = numbers.get(topic)
            if number is not None and not left_out:
                try:
                    append(number, partition, key, value, moment, written)
                except (ProduceError, IndexError):
                    # Once more on the way that waits, or asks the handler.
                    pass
                else:
                    self.sent += 1
                    return
            self._give(topic, partition, (moment, key, value, written or ()))

        return write

    def dead_letter(self, failure: Failure) -> None:
        """Write a record that is left behind to the dead letters, if there are any. (KIP-1034)"""
        if self._dead_letters is None:
            return
        timestamp = failure.timestamp or _EARLIEST_MS
        moment = time.time_ns() // 1_000_000 if failure.timestamp < 0 else timestamp
        self._letters_on_their_way = True
        self._give(self._dead_letters, _BY_KEY, (moment, failure.key, failure.value, dead_letter_headers(failure)))

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            ProductionError: nobody knows.
        """
        try:
            self._number(topic)
        except ProduceError as error:
            raise self._broken(error) from error
        return self._producer.partition_count(topic)

    def serve(self) -> None:
        """Take what is said of deliveries, and raise what it says."""
        self._take_reports()
        self._write_letters()
        self._raise_failed()

    def flush(self) -> None:
        """Wait until everything is delivered.

        Raises:
            ProductionError: a record was not.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            is_done = self._producer.flush(_WAIT_FOR_ROOM_S * 10)
            self._take_reports()
            is_done = not self._write_letters() and is_done
            self._raise_failed()
            if is_done:
                return
            if time.monotonic() > deadline:
                raise ProductionError(f"not all records could be written in {self._patience_s:g} s")

    @property
    def wants_commit(self) -> bool:
        """There is nothing to be done again without transactions."""
        return False

    def commit(self, offsets: Mapping[Partition, Commit], group: GroupMetadata) -> None:
        """There are no transactions to be committed."""
        raise AssertionError("at-least-once there are no transactions")

    def abort(self) -> None:
        """What was written stays. The dead letters of the record that ended the thread are written."""
        self._failed = None
        try:
            self._take_reports()
            self._write_letters()
            if self._letters_on_their_way:
                self._producer.flush(_LAST_LETTERS_S)
                self._take_reports()
            self._raise_failed()
        except (StreamsError, KafkaException) as error:
            logger.warning("the last dead letters could not all be written: %s", error)
        self._letters.clear()
        self._failed = None

    def close(self) -> None:
        """Let the producer go."""
        self._producer.close()

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = self._producer.open(name, self._patience_s)
        return number

    def _send(
        self,
        name: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers,
        objects: tuple[Any, Any],
        partitioner: Partitioner | None,
    ) -> None:
        partition = _BY_KEY
        if partitioner is not None:
            chosen = partitioner(name, *objects, self.partition_count(name))
            partition = _BY_KEY if chosen is None else chosen
        self._give(name, partition, (timestamp, key, value, headers))

    def _give(self, name: str, partition: int, record: tuple[int, bytes | None, bytes | None, Headers]) -> None:
        """Hand a record to the producer as soon as it has room; decide about one that it does not take."""
        timestamp, key, value, headers = record
        why = self._left_out.why(name, key, value) if self._left_out.known and not _is_letter(headers) else None
        if why is not None:
            self.dead_letter(_refused(why, name, partition, record))
            return
        try:
            number = self._number(name)
            self._patiently(lambda: self._producer.append(number, partition, key, value, timestamp, headers or None))
        except ProduceError as error:
            self._fail(error, name, partition, record)
        except IndexError as error:
            self._fail(ProduceError(str(error), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), name, partition, record)
        else:
            self.sent += 1

    def _patiently(self, call: Callable[[], Any]) -> Any:
        deadline = 0.0
        while True:
            try:
                return call()
            except NoRoomError:
                now = time.monotonic()
                deadline = deadline or now + self._patience_s
                if now > deadline:
                    raise ProductionError(f"no record could be written in {self._patience_s:g} s") from None
                self._producer.wait_for_room(_WAIT_FOR_ROOM_S)
                self._take_reports()
                self._raise_failed()

    def _take_reports(self) -> None:
        try:
            reports = self._producer.reports()
        except MoldauError as error:
            raise self._broken(error) from error
        for report in reports:
            if isinstance(report, Delivered):
                place = report.topic, report.partition
                if report.base_offset >= 0 and place in self._changelogs:
                    self.changelog_positions[place] = report.base_offset + report.records
            else:
                self._take_refused(report)

    def _take_refused(self, report: Refused) -> None:
        for record in report.batch.records():
            self._fail(report.error, report.topic, report.partition, record, was_sent=True)

    def _fail(
        self,
        error: ProduceError,
        topic: str,
        partition: int,
        record: tuple[int, bytes | None, bytes | None, Headers],
        *,
        was_sent: bool = False,
    ) -> None:
        """Decide about a record that is not written. Nobody is asked about a dead letter: it would be gone."""
        if isinstance(error, AbortableError | FatalError):
            # It is not the record's fault.
            self._failed = self._failed or self._broken(error)
            return
        if topic == self._dead_letters and _is_letter(record[3]):
            self._failed = self._failed or ProductionError(f"a dead letter could not be written to {topic}: {error}")
            return
        code = KafkaError._MSG_TIMED_OUT if error.code is None else int(error.code)  # noqa: SLF001 (its name)
        if isinstance(error, TooLargeError):
            code = KafkaError.MSG_SIZE_TOO_LARGE
        failure = _refused(KafkaException(KafkaError(code, str(error))), topic, partition, record)
        if self._handler(failure) is Response.FAIL:
            self._letters.append(failure)
            self._failed = self._failed or ProductionError(f"a record could not be written to {topic}: {error}")
        elif was_sent:
            self._go_on_without(failure)
        else:
            self._letters.append(failure)

    def _go_on_without(self, failure: Failure) -> None:
        """Go on behind a record that was given to the producer and is not written."""
        self._letters.append(failure)

    def _broken(self, error: Exception) -> StreamsError:
        """What it means that the producer cannot go on."""
        return ProductionError(str(error))

    def _write_letters(self) -> bool:
        """Write the dead letters that are there now; whether there were any."""
        count = len(self._letters) if self._dead_letters is not None else 0
        for _ in range(count):
            # One for which there was no room is tried again in the end.
            self.dead_letter(self._letters[0])
            self._letters.popleft()
        if self._dead_letters is None:
            self._letters.clear()
        return count > 0

    def _raise_failed(self) -> None:
        if self._failed is not None:
            raise self._failed


def _is_letter(headers: Headers) -> bool:
    return any(name == _OF_A_LETTER for name, _ in headers)


def _refused(
    error: BaseException, topic: str, partition: int, record: tuple[int, bytes | None, bytes | None, Headers]
) -> Failure:
    """A record of ours that the cluster, or the producer, does not take: its place is the one where it was to go."""
    timestamp, key, value, headers = record
    return Failure(error, "", topic, partition, -1, key, value, timestamp, tuple(headers or ()))
