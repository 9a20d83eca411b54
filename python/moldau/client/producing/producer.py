"""The producer itself: one thread that asks the cluster, one per broker that sends, and what the owner calls."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from moldau.client.producing.machine import Delivered, ProduceError, ProduceMachine, Refused, Request
from moldau.client.producing.settings import ProduceSettings
from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.ending import Ending
from moldau.client.protocol.errors import ConnectionLostError, ForeignAnswerError, ProtocolError
from moldau.client.protocol.questions import INIT_PRODUCER_ID, METADATA, PRODUCE, Values
from moldau.errors import MoldauError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moldau._core import ColumnRun

logger: Final = logging.getLogger("moldau.client")

CLOSE_TIMEOUT_S: Final = 10.0
_TAKEN, _TAKEN_WITH_NEWS, _TOO_LARGE, _NO_ROOM = range(4)


class NoRoomError(ProduceError):
    """There is more here than there may be; wait with `wait_for_room`."""


class TooLargeError(ProduceError):
    """A record is larger than a record may be."""


class RecordProducer:
    """Writes records from its making to `close`. Belongs to one thread."""

    def __init__(self, brokers: Brokers, settings: ProduceSettings) -> None:
        # Here, for the extension is not loaded by everybody who imports this package.
        from moldau._core import RecordAccumulator

        self._brokers = brokers
        self._settings = settings
        self._accumulator = RecordAccumulator(
            settings.batch_bytes, settings.batch_records, settings.record_bytes_max, settings.buffer_bytes
        )
        self._changed = threading.Condition()
        self._machine = ProduceMachine(settings, self._accumulator)
        self._closed = False
        self._ending = Ending()
        self._lines: dict[int, BrokerConnection] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._asker = threading.Thread(target=self._ask_around, name=f"{brokers.client_id}-metadata", daemon=True)
        self._asker.start()

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

    def append(
        self,
        topic: int,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes | None]] | None,
    ) -> None:
        """Take a record, for this partition or, with -1, for the one that its key says.

        Raises:
            NoRoomError: not now.
            TooLargeError: never.
        """
        done = self._accumulator.append(topic, partition, key, value, timestamp_ms, headers, time.monotonic())
        if done == _TAKEN:
            return
        if done == _TAKEN_WITH_NEWS:
            self._look()
        elif done == _NO_ROOM:
            raise NoRoomError(f"there are {self._accumulator.size_bytes} bytes to be written already")
        else:
            raise TooLargeError(
                f"a record of {len(key or b'') + len(value or b'')} bytes is larger than max.request.size "
                f"({self._settings.record_bytes_max})"
            )

    def append_run(self, topic: int, run: ColumnRun, output: int) -> list[int]:
        """Take all records of an output, each for the partition that its key says; the places of those too large.

        Raises:
            NoRoomError: not now; none was taken.
        """
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

    def close(self) -> None:
        """End all connections and threads. What was not delivered is perhaps written, perhaps not."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for line in self._lines.values():
                line.abort()
            threads = [self._asker, *self._threads.values()]
        self._ending.now()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # The asker's thread.

    def _ask_around(self) -> None:
        line: BrokerConnection | None = None
        try:
            while (asked := self._wait_for_question()) is not None:
                try:
                    line = line or self._brokers.open_any(self._ending)
                    with self._ending.ends(line.abort):
                        self._ask(line, asked)
                except (ProtocolError, OSError) as error:
                    if line is not None:
                        line.close()
                        line = None
                    with self._changed:
                        if not self._closed:
                            logger.info("%s asks the cluster again: %s", self._brokers.client_id, error)
                        passes = self._closed or _passes(error)
                        self._machine.not_learned(error, time.monotonic(), passes=passes)
                        self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 (the owner is told of it)
            self._fail(error)
        finally:
            if line is not None:
                line.close()

    def _wait_for_question(self) -> list[str] | None:
        """Topics to ask for, none of them to ask who we are; None when the producer was closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                self._machine.expire(now)
                if self._machine.reports:
                    self._changed.notify_all()
                topics = self._machine.unknown(now)
                if topics or self._machine.may_ask_who_we_are(now):
                    return topics
                wait_s = self._machine.ask_in_s(now)
                self._changed.wait(None if wait_s == float("inf") else max(wait_s, 0.001))
            return None

    def _ask(self, line: BrokerConnection, topics: list[str]) -> None:
        timeout_s = self._brokers.request_timeout_s
        if topics:
            values: Values = {
                "topics": [{"name": topic} for topic in topics],
                "allow_auto_topic_creation": self._settings.auto_create,
            }
            answer = line.ask(METADATA, lambda _: values, timeout_s)
            with self._changed:
                self._machine.learned(topics, answer, time.monotonic())
                self._start_threads()
                self._changed.notify_all()
            return
        nobody: Values = {
            "transactional_id": None,
            "transaction_timeout": self._settings.request_timeout_ms,
            "producer_id": -1,
            "producer_epoch": -1,
        }
        answer = line.ask(INIT_PRODUCER_ID, lambda _: nobody, timeout_s)
        with self._changed:
            self._machine.identified(answer, time.monotonic())
            self._changed.notify_all()

    def _start_threads(self) -> None:
        """One for each broker of the cluster; those who lead nothing that is written here sleep."""
        for broker in self._machine.brokers.keys() - self._threads.keys():
            name = f"{self._brokers.client_id}-broker-{broker}"
            self._threads[broker] = threading.Thread(target=self._send, args=(broker,), name=name, daemon=True)
            self._threads[broker].start()

    # A broker's thread.

    def _send(self, broker: int) -> None:
        address: Address | None = None
        try:
            while (wanted := self._wait_for_request(broker)) is not None:
                request, now_at = wanted
                if now_at != address:
                    self._hang_up(broker)
                    address = now_at
                self._carry_out(broker, address, request)
                # While this waits for the next one nobody needs the batches of the last.
                del wanted, request
        except BaseException as error:  # noqa: BLE001 (the owner is told of it)
            self._fail(error)
        finally:
            self._hang_up(broker)

    def _wait_for_request(self, broker: int) -> tuple[Request, Address] | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                address = self._machine.brokers.get(broker)
                request = None if address is None else self._machine.next(broker, now)
                if request is not None and address is not None:
                    return request, address
                self._changed.wait(None if address is None else self._machine.wait_s(broker, now))
            return None

    def _carry_out(self, broker: int, address: Address, request: Request) -> None:
        try:
            line = self._line_to(broker, address)
            # A leader answers when its replicas have it, or when the time for that is over.
            timeout_s = self._brokers.request_timeout_s
            answer = line.ask(PRODUCE, lambda _: request.values(self._settings), timeout_s)
        except (ProtocolError, OSError) as error:
            self._hang_up(broker)
            with self._changed:
                if not self._closed:
                    logger.info("sending again what broker %d at %s did not answer: %s", broker, address, error)
                self._machine.failed(request, error, time.monotonic(), passes=self._closed or _passes(error))
                self._changed.notify_all()
            return
        with self._changed:
            self._machine.answered(request, answer, time.monotonic())
            self._changed.notify_all()

    def _line_to(self, broker: int, address: Address) -> BrokerConnection:
        line = self._lines.get(broker)
        if line is None:
            line = self._brokers.open(address, self._ending)
            with self._changed:
                if self._closed:
                    line.close()
                    raise ConnectionLostError("the producer was closed")
                self._lines[broker] = line
        return line

    def _hang_up(self, broker: int) -> None:
        with self._changed:
            line = self._lines.pop(broker, None)
        if line is not None:
            line.close()

    def _fail(self, error: BaseException) -> None:
        """A mistake of ours, or a panic (which is no `Exception`): without this nobody would know what is missing."""
        logger.error("a thread of the producer of %s has failed", self._brokers.client_id, exc_info=error)
        failure = ProduceError(f"nothing can be written any more: {error!r}")
        failure.__cause__ = error
        with self._changed:
            self._machine.failure = failure
            self._changed.notify_all()


def _passes(failure: Exception) -> bool:
    """Whether another try may do better."""
    return isinstance(failure, (ConnectionLostError, ForeignAnswerError, OSError)) or not isinstance(
        failure, MoldauError
    )
