"""Clients of confluent-kafka that write down what they do, so that a kill -9 takes nothing out of the history.

Every line is in the file before the deed: a send as `unknown` before it is produced, a transaction as `aborted` when it
begins and as `unknown` before the commit is asked for. A later line about the same send or transaction takes the place
of the earlier one (`history.operations.merged`), so what a killed process leaves is exactly what can be known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from tests.fault.history.operations import (
    AnyOperation,
    Assign,
    Isolation,
    Note,
    Poll,
    Record,
    Seek,
    Send,
    Transaction,
    TransactionOutcome,
    partition_name,
)
from tests.fault.records import PATIENT

NEVER_SENT = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._PURGE_QUEUE, KafkaError._QUEUE_FULL}

LINE_BYTES_MAX = 1 << 20

STATISTICS_EVERY_MS = 5000

NEVER_BOOTSTRAPS_AGAIN = {"metadata.recovery.strategy": "none"}
"""A transactional producer of librdkafka 2.16 that has lost every broker and begun from `bootstrap.servers` waits for
the connection that it had to the group coordinator: `send_offsets_to_transaction` never returns. See
docs/internals/faults.md.
"""


def raised_by_the_next_call(_error: KafkaError) -> None:
    """As `error_cb`. Without one, a fatal error is also raised between two delivery reports, and Python is told of it
    in the middle of the second one (SystemError).
    """


class Recorder:
    """Appends the operations of one process to its file, each at once."""

    def __init__(self, file: Path, process: str) -> None:
        self.process = process
        self._statistics = file.parent.with_name("statistics") / f"{process}.json"
        self._statistics.parent.mkdir(exist_ok=True)
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._drop_half_a_line()
        self._last = 0

    def _drop_half_a_line(self) -> None:
        """What the last process with this file was writing when it was killed: nobody has acted upon it."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, LINE_BYTES_MAX, max(0, size - LINE_BYTES_MAX))
        os.ftruncate(self._file, size - len(tail) + tail.rfind(b"\n") + 1)

    def now(self) -> int:
        """CLOCK_MONOTONIC in nanoseconds, never the same twice."""
        self._last = max(time.monotonic_ns(), self._last + 1)
        return self._last

    def write(self, operation: AnyOperation) -> None:
        os.write(self._file, msgspec.json.encode(operation) + b"\n")

    def keep_statistics(self, statistics: str) -> None:
        """What a consumer says of itself, the last time: beside the histories, for who asks why it reads nothing."""
        kept = self._statistics.with_suffix(".new")
        kept.write_text(statistics)
        kept.replace(self._statistics)

    def is_alive(self) -> None:
        """Say so to who watches the file: a client that reads nothing has nothing to write."""
        os.utime(self._file)

    def polled(
        self, reader: str, isolation: Isolation, messages: Iterable[Message], transaction: str | None = None
    ) -> None:
        """Records that a consumer got, in that order, none of them an error."""
        records = tuple(
            Record(partition_name(each.topic(), each.partition()), each.offset(), each.value().decode())
            for each in messages
        )
        poll = Poll(
            at=self.now(),
            process=self.process,
            reader=reader,
            isolation=isolation,
            records=records,
            transaction=transaction,
        )
        self.write(poll)

    def note(self, text: str) -> None:
        self.write(Note(at=self.now(), process=self.process, text=text))


class Journal:
    """What a producer does, a send or a transaction at a time, each written down before the deed."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._transactions = 0
        self.transaction: str | None = None
        """The name of the open transaction."""
        self._committing: int | None = None

    def send(self, partition: str, value: str) -> Callable[[KafkaError | None, Message], None]:
        """A record is about to be produced; returns what has to be called when it was delivered, or was not."""
        began = self._recorder.now()
        send = Send(
            at=began,
            began=began,
            process=self._recorder.process,
            partition=partition,
            value=value,
            outcome="unknown",
            transaction=self.transaction,
        )
        self._recorder.write(send)

        def delivered(error: KafkaError | None, message: Message) -> None:
            changes: dict[str, object] = {"at": self._recorder.now()}
            if error is None:
                offset = message.offset()
                changes |= {"outcome": "ok", "offset": None if offset is None or offset < 0 else offset}
                changes |= {"partition": partition_name(message.topic(), message.partition())}
            else:
                changes |= {"outcome": "failed" if error.code() in NEVER_SENT else "unknown", "reason": error.name()}
            self._recorder.write(msgspec.structs.replace(send, **changes))

        return delivered

    def next_name(self) -> str:
        """The name that the next transaction will have."""
        return f"{self._recorder.process}/{self._transactions + 1}"

    def begins(self) -> None:
        """As long as nobody has asked to commit it, a transaction of which no more is heard was aborted."""
        self.transaction = self.next_name()
        self._transactions += 1
        self._committing = None
        self._is("aborted")

    def asks_to_commit(self) -> None:
        self._committing = self._recorder.now()
        self._is("unknown")

    def is_over(self, outcome: TransactionOutcome) -> None:
        self._is(outcome)
        self.transaction = None

    def _is(self, outcome: TransactionOutcome) -> None:
        assert self.transaction is not None
        self._recorder.write(
            Transaction(
                at=self._recorder.now(),
                process=self._recorder.process,
                name=self.transaction,
                outcome=outcome,
                committing=self._committing,
            )
        )


class RecordedProducer:
    """An idempotent producer, or with `transactional_id` a transactional one."""

    def __init__(self, recorder: Recorder, bootstrap_servers: str, transactional_id: str | None = None) -> None:
        settings = {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 2, **PATIENT}
        settings["error_cb"] = raised_by_the_next_call
        if transactional_id is None:
            settings |= {"delivery.timeout.ms": 120_000}
        else:
            settings |= {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": 6_000,
                **NEVER_BOOTSTRAPS_AGAIN,
            }
        self.client = Producer(settings)
        self._journal = Journal(recorder)

    def send(self, topic: str, partition: int, value: str) -> None:
        delivered = self._journal.send(partition_name(topic, partition), value)
        self.client.produce(topic, value, partition=partition, on_delivery=delivered)

    # Transactions

    @property
    def transaction(self) -> str | None:
        """The name of the open transaction."""
        return self._journal.transaction

    def next_name(self) -> str:
        """The name that the next transaction will have."""
        return self._journal.next_name()

    def begin(self) -> None:
        self.client.begin_transaction()
        self._journal.begins()

    def commit(self) -> None:
        """Raises what the client raises; the transaction is then `unknown` until `abort` has worked."""
        self.client.flush()
        self._journal.asks_to_commit()
        _patiently(self.client.commit_transaction)
        self._journal.is_over("committed")

    def abort(self) -> None:
        _patiently(self.client.abort_transaction)
        self._journal.is_over("aborted")


def _patiently(call: Callable[[], None]) -> None:
    """Again and again while the client says that this may help."""
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


class RecordedConsumer:
    """A consumer that reads on behalf of `reader`; without a group it is its own reader."""

    def __init__(
        self,
        recorder: Recorder,
        bootstrap_servers: str,
        group: str | None = None,
        isolation: Isolation = "read_committed",
        **more: object,
    ) -> None:
        settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group or recorder.process,
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "check.crcs": True,
            "fetch.wait.max.ms": 50,
            "statistics.interval.ms": STATISTICS_EVERY_MS,
            "stats_cb": recorder.keep_statistics,
            **PATIENT,
        }
        self._recorder = recorder
        self._isolation = isolation
        self.reader = group or recorder.process
        self.client = Consumer({**settings, **more})
        self.ends: dict[str, int] = {}
        """By partition, where the consumer has last come to an end; only with `enable.partition.eof`."""

    def subscribe(self, topic: str) -> None:
        self.client.subscribe([topic], on_assign=self._assigned, on_revoke=self._assigned, on_lost=self._assigned)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.client.assign(partitions)
        self._assigned(self.client, partitions)

    def _assigned(self, _client: Consumer, partitions: list[TopicPartition]) -> None:
        names = tuple(partition_name(each.topic, each.partition) for each in partitions)
        self._recorder.write(Assign(at=self._recorder.now(), process=self._recorder.process, partitions=names))

    def poll(self, count: int, timeout_s: float = 0.2, transaction: str | None = None) -> list[Message]:
        """Up to `count` records, written down. Trouble that passes is left to the client."""
        found = []
        for message in self.client.consume(count, timeout_s):
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self.ends[partition_name(message.topic(), message.partition())] = message.offset()
            elif error.fatal():
                raise KafkaException(error)
        if found:
            self._recorder.polled(self.reader, self._isolation, found, transaction)
        return found

    def back_to_committed(self) -> None:
        """After an abort: go on where the group has committed, for each partition that is assigned now."""
        for at in self.client.committed(self.client.assignment(), 20):
            offset = max(at.offset, 0)
            self.client.seek(TopicPartition(at.topic, at.partition, offset))
            seek = Seek(
                at=self._recorder.now(),
                process=self._recorder.process,
                partition=partition_name(at.topic, at.partition),
                offset=offset,
            )
            self._recorder.write(seek)
