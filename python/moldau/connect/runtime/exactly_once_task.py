"""A source task that writes its records and how far it has come in one transaction (KIP-618).

One thread. A transaction begins with its first record and ends where the boundary says (`transaction_boundaries`); the
newest offset of each source partition goes into the offsets topic with it. Whoever reads committed records sees both or
neither, so a task that begins where the offsets are repeats nothing and leaves nothing out, whenever its worker was
killed. Only when the transaction is committed does the connector hear of its records (`commit_record`, `commit`).

Before it begins, no older task may write any more: see `fencing`. A transaction that fails is not tried again, since a
source cannot be asked for the same records again: the task fails, and a restart begins where the last commit was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from moldau.connect.errors import ConnectError
from moldau.connect.records import SourceRecord
from moldau.connect.runtime.fenced_writer import patiently
from moldau.connect.runtime.fencing import Gate, TakenOverError
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.offsets import Entry
from moldau.connect.runtime.pipeline import Outgoing
from moldau.connect.runtime.source_task import PURGED, SourceParts, SourceTaskRunner
from moldau.connect.runtime.submitted import place_of
from moldau.connect.runtime.task import TaskListener
from moldau.connect.runtime.topic_creation import why_not_sent
from moldau.connect.runtime.transaction_boundaries import EachPoll, Verdict

logger: Final = logging.getLogger("moldau.connect.task")

ABORT_TIMEOUT_S: Final = 5.0
FENCED: Final = (
    KafkaError._FENCED,  # noqa: SLF001 (librdkafka's name for it)
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)


class _Sent:
    """A record of the transaction, and what was written of it; nothing if it was left out."""

    __slots__ = ("message", "original")

    def __init__(self, original: SourceRecord) -> None:
        self.original = original
        self.message: Any = None


class ExactlyOnceSourceTask(SourceTaskRunner):
    """See above. `generation` is that of the task's configuration."""

    def __init__(
        self,
        task_id: TaskId,
        target: TargetState,
        listener: TaskListener,
        version: str | None,
        parts: SourceParts,
        boundary: EachPoll,
        gate: Gate,
        generation: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(task_id, target, listener, version, parts)
        self._boundary = boundary
        self._gate = gate
        self._generation = generation
        self._now = now
        self._open_since: float | None = None
        self._sent: list[_Sent] = []
        self._offsets: dict[Hashable, Entry] = {}
        self._failure: KafkaError | None = None
        self._offsets_topic = parts.offsets.topic
        self._written = 0

    # The beginning and the end.

    def _prepare(self) -> bool:
        self._gate.let_in(self.id, self._generation, lambda: self.stopping)
        # Whoever takes the id shuts out who had it: not any more when this task was stopped meanwhile.
        if self.stopping:
            return False
        try:
            patiently(self.parts.producer.init_transactions, None, lambda: self.stopping)
        except KafkaException as error:
            if self.stopping:
                return False
            raise ConnectError(f"task {self.id} cannot begin to write in transactions: {_text(error)}") from error
        reason = self._gate.why_not(self.id, self._generation, lambda: self.stopping)
        if reason is not None:
            # Apache Kafka's task fails here; but nothing has: whoever has it now begins it.
            logger.info("task %s does not begin: %s", self.id, reason)
        return reason is None

    @property
    def written(self) -> int:
        return self._written

    def _begin(self) -> None:
        self._boundary.begin(self._now())

    def _pausing(self) -> None:
        # What is open would hold up its readers, and be aborted some time.
        self._obey(self._boundary.at_end())

    def _going_on(self) -> None:
        self._boundary.begin(self._now())

    def _end(self, *, failed: bool) -> None:
        if not failed and not self.cancelled:
            self._obey(self._boundary.at_end())

    def close(self) -> None:
        """Abort what is open, and close clients and plugins."""
        if self._open_since is not None and not self.cancelled:
            try:
                self.parts.producer.abort_transaction(ABORT_TIMEOUT_S)
            except KafkaException as error:
                # The next task of this id ends it, or else its timeout.
                logger.info("the transaction of task %s is left open: %s", self.id, _text(error))
        super().close()

    # Records.

    def _dispatch(self, original: SourceRecord, outgoing: Outgoing) -> None:
        if outgoing.topic == self._offsets_topic:
            # It would wait for ever for its own transaction when it asks for an offset.
            raise ConnectError(
                "Source tasks may not produce to their own offsets topics when exactly-once support is enabled"
            )
        self._open()
        sent = _Sent(original)

        def report(error: KafkaError | None, message: Any) -> None:
            if error is None:
                sent.message = message
            elif self._failure is None and error.code() not in PURGED:
                self._failure = error

        try:
            self._produce(outgoing, report)
        except KafkaException as error:
            raise self._failed("Unrecoverable exception trying to send", error) from error
        self._sent.append(sent)
        partition = original.source_partition
        if partition:
            self._offsets[place_of(partition)] = (partition, original.source_offset)
        self._obey(self._boundary.after_record(original))

    def _leave_out(self, original: SourceRecord) -> None:
        self._sent.append(_Sent(original))
        self._obey(self._boundary.after_record(original))

    def _batch_sent(self) -> None:
        self._obey(self._boundary.after_batch(self._now()))
        self.parts.producer.poll(0)
        if self._failure is not None:
            raise self._failed("Unrecoverable exception from producer send callback", KafkaException(self._failure))

    # Transactions.

    def _obey(self, verdict: Verdict) -> None:
        if verdict is Verdict.GO_ON:
            return
        if verdict is Verdict.ABORT:
            self._abort()
        self._commit()

    def _open(self) -> None:
        if self._open_since is None:
            try:
                self.parts.producer.begin_transaction()
            except KafkaException as error:
                raise self._failed("Unrecoverable exception trying to begin a transaction", error) from error
            self._open_since = self._now()

    def _abort(self) -> None:
        if self._open_since is None:
            logger.warning("Ignoring request by task to abort transaction as the current transaction is empty")
            return
        logger.info("task %s drops %d records, as its connector asks", self.id, len(self._sent))
        try:
            patiently(self.parts.producer.abort_transaction, None, lambda: self.cancelled)
        except KafkaException as error:
            raise self._failed("Unrecoverable exception trying to abort a transaction", error) from error
        self._open_since = None
        # They are done with, as records are that were left out.
        self._sent = [_Sent(each.original) for each in self._sent]

    def _commit(self) -> None:
        entries = list(self._offsets.values())
        if self._open_since is None and not entries:
            self._tell()
            return
        self._go_on_unless_cancelled()
        began = self.metrics.clock()
        parts, name = self.parts, self.id.connector
        parts.offsets.before(name, entries, parts.flush_timeout_s)
        pairs = parts.offsets.records(name, entries)
        self._open()
        try:
            for key, value in pairs:
                self._produce(Outgoing(self._offsets_topic or "", None, key, value, [], None), self._offset_reported)
            patiently(parts.producer.commit_transaction, None, lambda: self.cancelled)
        except KafkaException as error:
            raise self._failed(f"Failed to flush offsets and/or records for task {self.id}", error) from error
        self._open_since = None
        self._offsets.clear()
        # Who was left to itself may have a successor, whose offsets are newer.
        self._go_on_unless_cancelled()
        parts.offsets.after(name, entries, parts.flush_timeout_s)
        self.metrics.committed(began, ok=True)
        self._tell()

    def _offset_reported(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = error

    def _tell(self) -> None:
        """What was sent is committed: the connector may forget it."""
        sent, self._sent = self._sent, []
        for each in sent:
            self._written += each.message is not None
            self._tell_committed(each.original, each.message)
        try:
            self.parts.task.commit()
        except Exception:
            logger.exception("commit of task %s failed", self.id)

    def _failed(self, doing: str, error: KafkaException) -> ConnectError:
        reason = self._reason(error)
        if reason.code() in FENCED or (self._failure is not None and self._failure.code() in FENCED):
            lasted_s = 0.0 if self._open_since is None else self._now() - self._open_since
            if lasted_s * 1000 >= self.parts.transaction_timeout_ms:
                return ConnectError(
                    f"The task {self.id} was unable to finish writing records to Kafka before its producer transaction "
                    "expired. It may be necessary to reconfigure this connector in order for it to run healthily with "
                    "exactly-once support. Options for this include: tune the connector's producer configuration for "
                    "higher throughput, increase the transaction timeout for the connector's producers, decrease the "
                    "offset commit interval (if using interval-based transaction boundaries), or use the 'poll' "
                    "transaction boundary (if the connector is not already configured to use it)."
                )
            return TakenOverError(
                f"{doing}: another one has taken over the work of task {self.id}, which writes no more; nothing of its "
                f"last transaction is seen by readers of committed records ({reason.str()})"
            )
        if self._failure is not None and self._failure is not reason:
            return ConnectError(f"{doing}: {reason.str()}: {why_not_sent(self._failure)}")
        return ConnectError(f"{doing}: {why_not_sent(reason)}")

    def _reason(self, error: KafkaException) -> KafkaError:
        """What is behind the error of a producer that is of no more use: every other call says it."""
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError._FATAL:  # noqa: SLF001 (librdkafka's name for it)
            try:
                self.parts.producer.flush(0)
            except KafkaException as behind:
                return behind.args[0]  # type: ignore[no-any-return]
        return reason


def _text(error: KafkaException) -> str:
    return str(error.args[0].str())
