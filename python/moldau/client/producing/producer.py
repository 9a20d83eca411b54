"""The producer itself: one thread that asks the cluster, one per broker that sends, and what the owner calls."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from moldau.client.producing.coordination import Coordination
from moldau.client.producing.errors import NoRoomError, ProduceError, TooLargeError, UnfinishedError
from moldau.client.producing.machine import Delivered, ProduceMachine, Refused, Request
from moldau.client.producing.settings import ProduceSettings
from moldau.client.producing.transactions import Stage, TransactionMachine
from moldau.client.protocol.asking import ANYBODY, Asking, Question
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.questions import INIT_PRODUCER_ID, METADATA, PRODUCE, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moldau._core import ColumnRun
    from moldau.client.membership.requests import GroupMetadata
    from moldau.client.producing.transaction_requests import Offsets

    Append = Callable[[int, int, bytes | None, bytes | None, int, Sequence[tuple[str, bytes | None]] | None], None]

logger: Final = logging.getLogger("moldau.client")

_TAKEN_WITH_NEWS, _TOO_LARGE, _NO_ROOM = range(1, 4)
"""What becomes of a record that is not simply taken, which is 0."""
_OPEN: Final = Stage.OPEN


class RecordProducer:
    """Writes records from its making to `close`. Belongs to one thread."""

    def __init__(self, brokers: Brokers, settings: ProduceSettings) -> None:
        # Here, for the extension is not loaded by everybody who imports this package.
        from moldau._core import RecordAccumulator

        self._brokers = brokers
        self._settings = settings
        sizes = settings.batch_bytes, settings.batch_records, settings.record_bytes_max, settings.buffer_bytes
        self._accumulator = RecordAccumulator(*sizes, transactional=settings.transactional_id is not None)
        self._transaction = None if settings.transactional_id is None else TransactionMachine(settings)
        self._machine = ProduceMachine(settings, self._accumulator, self._transaction)
        self.append: Append = self._appending()
        """`append(topic, partition, key, value, timestamp_ms, headers)`: take a record, for this partition or, with -1,
        for the one that its key says.

        Raises:
            NoRoomError: not now.
            TooLargeError: never.
            ProduceError: there is no transaction, and this producer writes nothing without one.
        """
        self._commits: bool | None = None
        """What a transaction that is being ended comes to."""
        self._asking = Asking(brokers, "the producer", self._fail)
        self._changed = self._asking.changed
        self._asking.start("metadata", self._look_around)
        if self._transaction is not None:
            machine = self._machine
            coordination = Coordination(brokers, self._transaction, self._changed, lambda: machine.is_empty)
            self._asking.start("transactions", coordination.look)

    def open(self, topic: str, timeout_s: float) -> int:
        """The number by which records are given for a topic.

        Raises:
            ProduceError: it cannot be written to, or nobody says within `timeout_s` how many partitions it has.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            known = self._machine.open(topic, time.monotonic())
            self._changed.notify_all()
            while not known.count:
                if self._machine.failure is not None:
                    raise self._machine.failure
                if known.refusal is not None:
                    raise known.refusal
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise ProduceError(f"cannot write to {topic}: nobody says how many partitions it has")
                self._changed.wait(remaining)
            return known.number

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has that was opened."""
        with self._changed:
            return self._machine.topics[topic].count

    def _appending(self) -> Append:
        """What every record goes through, so it looks nothing up."""
        transaction, take, now = self._transaction, self._accumulator.append, time.monotonic

        def append(
            topic: int,
            partition: int,
            key: bytes | None,
            value: bytes | None,
            timestamp_ms: int,
            headers: Sequence[tuple[str, bytes | None]] | None,
        ) -> None:
            if transaction is not None and transaction.stage is not _OPEN:
                raise _not_open(transaction)
            done = take(topic, partition, key, value, timestamp_ms, headers, now())
            if done:
                self._taken(done, len(key or b"") + len(value or b""))

        return append

    def _taken(self, done: int, size: int) -> None:
        """What is to be said or done of a record that was not simply taken."""
        if done == _TAKEN_WITH_NEWS:
            self._look()
        elif done == _NO_ROOM:
            raise NoRoomError(f"there are {self._accumulator.size_bytes} bytes to be written already")
        else:
            raise TooLargeError(
                f"a record of {size} bytes is larger than max.request.size ({self._settings.record_bytes_max})"
            )

    def append_run(self, topic: int, run: ColumnRun, output: int) -> list[int]:
        """Take all records of an output, each for the partition that its key says; the places of those too large.

        Raises:
            NoRoomError: not now; none was taken.
            ProduceError: as for `append`.
        """
        if self._transaction is not None and self._transaction.stage is not _OPEN:
            raise _not_open(self._transaction)
        if not self._accumulator.has_room:
            raise NoRoomError(f"there are {self._accumulator.size_bytes} bytes to be written already")
        refused = self._accumulator.append_run(topic, run, output, time.monotonic())
        self._look()
        return refused

    def _look(self) -> None:
        with self._changed:
            self._machine.look()
            self._changed.notify_all()

    def wait_for_room(self, timeout_s: float) -> None:
        """Return when records can be taken again, or after that time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._machine.flushing = True
            self._changed.notify_all()
            while not self._accumulator.has_room and not self._machine.reports and self._machine.failure is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            self._machine.flushing = False

    def reports(self) -> list[Delivered | Refused]:
        """What became of what was given, since the last time; of each batch once.

        Raises:
            MoldauError: nothing can be written any more.
        """
        if not self._machine.reports and self._machine.failure is None:
            return []
        with self._changed:
            reports = self._machine.take_reports()
            if not reports and self._machine.failure is not None:
                raise self._machine.failure
            return reports

    def flush(self, timeout_s: float) -> bool:
        """Send everything at once; whether all that was given is reported within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._machine.look()
            self._machine.flushing = True
            self._changed.notify_all()
            try:
                while not self._machine.is_empty and self._machine.failure is None:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        return False
                    self._changed.wait(remaining)
            finally:
                self._machine.flushing = False
            return self._machine.is_empty

    # Transactions.

    def init_transactions(self, timeout_s: float) -> None:
        """Take over the transactional id: whoever had it is fenced, and what they left open is aborted.

        Raises:
            UnfinishedError: not within `timeout_s`; call again.
            FatalError: the cluster refuses it.
        """
        transaction = self._transactional()
        with self._changed:
            transaction.initialise()
            self._changed.notify_all()
        self._wait_for(lambda: transaction.stage is not Stage.INITIALISING, timeout_s, "nobody says who we are")

    def begin_transaction(self) -> None:
        """Begin a transaction; everything is written in one.

        Raises:
            ProduceError: there is one, or it is not known who we are.
            FatalError: this producer cannot go on.
        """
        transaction = self._transactional()
        with self._changed:
            transaction.begin()
            self._commits = None

    def send_offsets_to_transaction(self, offsets: Offsets, group: GroupMetadata, timeout_s: float) -> None:
        """Have these offsets committed with the transaction, in the name of a member of their group.

        Raises:
            UnfinishedError: not within `timeout_s`; call again.
            AbortableError: the group refuses it: the member is none any more, or has no part in these.
            FatalError: this producer cannot go on.
        """
        transaction = self._transactional()
        with self._changed:
            transaction.send_offsets(group, offsets)
            self._changed.notify_all()
        self._wait_for(lambda: transaction.has_sent_offsets, timeout_s, "offsets were not taken")

    def commit_transaction(self, timeout_s: float) -> None:
        """Deliver everything that was given, and commit it with the offsets.

        Raises:
            UnfinishedError: not within `timeout_s`; call again. Only the cluster knows whether it is committed.
            AbortableError: something was refused: abort.
            FatalError: this producer cannot go on. If it was fenced the transaction may be committed all the same.
        """
        self._end(commit=True, timeout_s=timeout_s)

    def abort_transaction(self, timeout_s: float) -> None:
        """Drop what was given and wait until it is undone. What is dropped is reported to nobody.

        Raises:
            UnfinishedError: not within `timeout_s`; call again.
            FatalError: this producer cannot go on; what it had open the cluster aborts in its time.
        """
        self._end(commit=False, timeout_s=timeout_s)

    def _transactional(self) -> TransactionMachine:
        if self._transaction is None:
            raise ProduceError("there are no transactions without a transactional.id")
        return self._transaction

    def _end(self, *, commit: bool, timeout_s: float) -> None:
        transaction = self._transactional()
        deadline = time.monotonic() + timeout_s
        if self._commits is not commit:
            if commit and not self.flush(timeout_s):
                with self._changed:
                    raise self._machine.failure or UnfinishedError(f"not everything was written in {timeout_s:g} s")
            with self._changed:
                transaction.end(commit=commit)
                self._commits = commit
                if not commit:
                    self._machine.abandon()
                self._changed.notify_all()
        what = "committed" if commit else "aborted"
        remaining_s = max(0.0, deadline - time.monotonic())
        self._wait_for(lambda: transaction.stage is Stage.READY, remaining_s, f"nobody says that it is {what}")
        with self._changed:
            self._commits = None
            if not commit:
                self._machine.take_reports()

    def _wait_for(self, is_done: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait for the coordinators, or for the reason why there is nothing to be waited for."""
        transaction = self._transactional()
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if transaction.error is not None and transaction.stage in {Stage.OPEN, Stage.ENDED}:
                    self._commits = None
                    raise transaction.error
                if self._machine.broken is not None:
                    raise self._machine.broken
                if is_done():
                    return
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise UnfinishedError(f"{what} within {timeout_s:g} s")
                self._changed.wait(remaining)

    def close(self) -> None:
        """End all connections and threads. What was not delivered is perhaps written, perhaps not."""
        self._asking.close()

    # What the threads ask, and what comes of it.

    def _look_around(self, now: float) -> Question[Any] | float | None:
        """What the cluster is asked: where topics are, or who we are."""
        machine = self._machine
        machine.expire(now)
        if machine.reports:
            self._changed.notify_all()
        stale = machine.unknown(now)
        if stale:
            topics, may_create = machine.together(stale)
            what = f"what it knows of {', '.join(topics)}"
            ask, answered = partial(self._ask_for, topics, may_create), partial(self._learned, topics)
            return Question(what, ANYBODY, ask, answered, machine.not_learned)
        if machine.may_ask_who_we_are(now):
            return Question("a producer id", ANYBODY, self._ask_who_we_are, machine.identified, machine.not_learned)
        wait_s = machine.ask_in_s(now)
        return None if wait_s == float("inf") else max(wait_s, 0.001)

    def _ask_for(self, topics: list[str], may_create: bool, line: BrokerConnection) -> Any:
        values: Values = {
            "topics": [{"name": topic} for topic in topics],
            "allow_auto_topic_creation": may_create,
        }
        return line.ask(METADATA, lambda _: values, self._brokers.request_timeout_s)

    def _learned(self, topics: list[str], answer: Any, now: float) -> None:
        self._machine.learned(topics, answer, now)
        # A thread for each broker of the cluster; those of brokers that lead nothing that is written here sleep.
        for broker in self._machine.brokers:
            self._asking.start(f"broker-{broker}", partial(self._look_at, broker))

    def _ask_who_we_are(self, line: BrokerConnection) -> Any:
        nobody: Values = {
            "transactional_id": None,
            "transaction_timeout": self._settings.request_timeout_ms,
            "producer_id": -1,
            "producer_epoch": -1,
        }
        return line.ask(INIT_PRODUCER_ID, lambda _: nobody, self._brokers.request_timeout_s)

    def _look_at(self, broker: int, now: float) -> Question[Any] | float | None:
        """What is to be sent to a broker."""
        machine = self._machine
        address = machine.brokers.get(broker)
        if address is None:
            return None
        request = machine.next(broker, now)
        if request is None:
            return machine.wait_s(broker, now)
        send, answered = partial(self._send, request), partial(machine.answered, request)
        return Question("an acknowledgement", address, send, answered, partial(machine.failed, request))

    def _send(self, request: Request, line: BrokerConnection) -> Any:
        # A leader answers when its replicas have it, or when the time for that is over.
        timeout_s = self._brokers.request_timeout_s
        return line.ask(PRODUCE, lambda _: request.values(self._settings), timeout_s, among=request.versions)

    def _fail(self, error: BaseException) -> None:
        """A mistake of ours, or a panic (which is no `Exception`): without this nobody would know what is missing."""
        logger.error("a thread of the producer of %s has failed", self._brokers.client_id, exc_info=error)
        failure = ProduceError(f"nothing can be written any more: {error!r}")
        failure.__cause__ = error
        with self._changed:
            self._machine.broken = failure
            self._changed.notify_all()


def _not_open(transaction: TransactionMachine) -> Exception:
    return transaction.error or ProduceError("there is no transaction")
