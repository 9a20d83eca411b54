"""Where the transactions of a source task end: with each poll, after a time, or where its connector says (KIP-618).

Pure: no client, no clock. The task asks after each record and each batch, and does what it is told.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping
from typing import Final

from moldau.connect.errors import ConnectError
from moldau.connect.records import SourceRecord


class Verdict(enum.Enum):
    """What becomes of the transaction now."""

    GO_ON = "go on"
    COMMIT = "commit"
    ABORT = "abort"
    """Drop the records, and commit their offsets all the same, so that they do not come again."""


class ConnectorTransactionContext:
    """What a task of a connector with boundaries of its own speaks to; from any of its threads.

    Records are told apart by being the same object: two that are equal are two.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[int, tuple[SourceRecord, set[Verdict]]] = {}
        self._batch: set[Verdict] = set()

    def commit_transaction(self, record: SourceRecord | None = None) -> None:
        """Commit after the batch that is polled next, or after a record of it."""
        self._ask(record, Verdict.COMMIT)

    def abort_transaction(self, record: SourceRecord | None = None) -> None:
        """Drop what was written since the last commit, up to the end of the next batch or a record of it."""
        self._ask(record, Verdict.ABORT)

    def _ask(self, record: SourceRecord | None, verdict: Verdict) -> None:
        with self._lock:
            if record is None:
                self._batch.add(verdict)
            else:
                self._asked.setdefault(id(record), (record, set()))[1].add(verdict)

    def for_record(self, record: SourceRecord) -> Verdict:
        """What was asked for after a record. Raises ConnectError for both."""
        with self._lock:
            _, asked = self._asked.pop(id(record), (record, set()))
        if len(asked) > 1:
            raise ConnectError(
                "Connector requested both commit and abort of same record against topic/partition "
                f"{record.topic}/{'null' if record.kafka_partition is None else record.kafka_partition}"
            )
        return asked.pop() if asked else Verdict.GO_ON

    def for_batch(self) -> Verdict:
        """What was asked for after a batch. Raises ConnectError for both."""
        with self._lock:
            asked, self._batch = self._batch, set()
        if len(asked) > 1:
            raise ConnectError("Connector requested both commit and abort of same transaction")
        return asked.pop() if asked else Verdict.GO_ON


class EachPoll:
    """`poll`: every batch is a transaction. The others extend it. One for each task."""

    context: ConnectorTransactionContext | None = None
    """What the connector's task speaks to; None: it has no say."""

    def begin(self, now: float) -> None:
        """The task begins, or goes on after a pause. `now` in seconds."""

    def after_record(self, record: SourceRecord) -> Verdict:
        """After a record was sent, or left out."""
        del record
        return Verdict.GO_ON

    def after_batch(self, now: float) -> Verdict:
        """After a poll, also after one that gave nothing."""
        del now
        return Verdict.COMMIT

    def at_end(self) -> Verdict:
        """The task is paused, or ends."""
        return Verdict.COMMIT


class AfterInterval(EachPoll):
    """`interval`: the first batch that ends after the interval ends the transaction."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._since = 0.0

    def begin(self, now: float) -> None:
        """The interval begins."""
        self._since = now

    def after_batch(self, now: float) -> Verdict:
        """Whether it is over."""
        if now < self._since + self._interval_s:
            return Verdict.GO_ON
        self._since = now
        return Verdict.COMMIT


class ByConnector(EachPoll):
    """`connector`: only where it says so; what it has not said at the end is not kept."""

    def __init__(self) -> None:
        self.context = self._said = ConnectorTransactionContext()

    def after_record(self, record: SourceRecord) -> Verdict:
        """What was said about the record."""
        return self._said.for_record(record)

    def after_batch(self, now: float) -> Verdict:
        """What was said about the batch."""
        del now
        return self._said.for_batch()

    def at_end(self) -> Verdict:
        """What was said about the batch, too."""
        return self._said.for_batch()


POLL: Final = "poll"
INTERVAL: Final = "interval"
CONNECTOR: Final = "connector"


def boundary_of(config: Mapping[str, str | None], flush_interval_s: float) -> EachPoll:
    """The one that `transaction.boundary` asks for; `flush_interval_s` holds where no interval is given."""
    chosen = (config.get("transaction.boundary") or POLL).lower()
    if chosen == CONNECTOR:
        return ByConnector()
    if chosen == INTERVAL:
        given = config.get("transaction.boundary.interval.ms")
        return AfterInterval(int(given) / 1000 if given else flush_interval_s)
    return EachPoll()
