"""The reader itself: one thread that finds leaders, one per broker that asks it, and `poll` for the owner."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moldau.client.fetching.machine import Block, FetchMachine
from moldau.client.fetching.questions import Request, parts_of
from moldau.client.fetching.reading import Fetched, FetchError, Partition, Start
from moldau.client.fetching.settings import FetchSettings
from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.errors import ProtocolError, UnservedError
from moldau.client.protocol.lines import Lines, passes
from moldau.client.protocol.questions import FETCH, METADATA, OFFSET_FOR_LEADER_EPOCH, Values

logger: Final = logging.getLogger("moldau.client")

CLOSE_TIMEOUT_S: Final = 10.0
EPOCHS_SINCE: Final = 9
"""The version of Metadata whose leader epochs can be trusted: before it a broker may tell an old one. (KAFKA-9212)"""


class RecordReader:
    """Reads partitions from its making to `close`. All but `close` belongs to one thread."""

    def __init__(self, brokers: Brokers, settings: FetchSettings) -> None:
        self._brokers = brokers
        self._changed = threading.Condition()
        self._machine = FetchMachine(settings)
        self._closed = False
        self._lines = Lines(brokers, "the reader")
        self._threads: dict[int, threading.Thread] = {}
        self._finder = threading.Thread(target=self._find, name=f"{brokers.client_id}-leaders", daemon=True)
        self._finder.start()

    def assign(self, starts: Mapping[Partition, Start]) -> None:
        """Read these partitions too."""
        with self._changed:
            self._machine.assign(starts)
            self._changed.notify_all()

    def unassign(self, places: Iterable[Partition]) -> None:
        """Read these no more; nothing of them comes after this call."""
        with self._changed:
            self._machine.unassign(places)
            # There may be room again.
            self._changed.notify_all()

    def pause(self, places: Iterable[Partition]) -> None:
        """Hand out nothing of these, until they are resumed."""
        with self._changed:
            self._machine.pause(places, paused=True)

    def resume(self, places: Iterable[Partition]) -> None:
        """Go on with these."""
        with self._changed:
            self._machine.pause(places, paused=False)
            self._changed.notify_all()

    def poll(self, timeout_s: float) -> list[Fetched]:
        """What has come, about one run of it; waits up to `timeout_s` for anything at all.

        Raises:
            FetchError: a partition cannot be read on. What was whole before what is damaged or gone has come then, and
                it is not read again until it is resumed or assigned.
            ProtocolError: the cluster and we do not understand each other.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                taken = self._machine.take()
                if taken:
                    # There may be room again.
                    self._changed.notify_all()
                    return taken
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return []
                self._changed.wait(remaining)

    def end_of(self, place: Partition) -> int:
        """The end of a partition as the last answer told it, -1 before there was one."""
        with self._changed:
            reading = self._machine.readings.get(place)
            return -1 if reading is None else reading.end

    def missing(self) -> dict[Partition, float]:
        """Partitions that the cluster does not know, and for how many seconds it has said so each time."""
        with self._changed:
            return self._machine.missing

    def close(self) -> None:
        """End all connections and threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = [self._finder, *self._threads.values()]
        self._lines.close()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # The finder's thread.

    def _find(self) -> None:
        line: BrokerConnection | None = None
        try:
            while topics := self._wait_for_leaderless():
                failure: Exception | None = None
                answer: Any = None
                with_epochs = False
                try:
                    line = line or self._brokers.open_any(self._lines.ending)
                    with self._lines.ending.ends(line.abort):
                        answer = line.ask(METADATA, _metadata_of(topics), self._brokers.request_timeout_s)
                    with_epochs = line.version_of(METADATA) >= EPOCHS_SINCE
                except (ProtocolError, OSError) as error:
                    failure = error
                    if line is not None:
                        line.close()
                        line = None
                with self._changed:
                    now = time.monotonic()
                    if failure is None:
                        self._machine.learned(answer, now, with_epochs=with_epochs)
                        self._start_threads()
                    else:
                        logger.info("asking for the leaders of %s again: %s", ", ".join(topics), failure)
                        self._machine.not_learned(failure, now, passes=self._closed or passes(failure))
                    self._settle()
        except BaseException as error:  # noqa: BLE001 (whoever polls is told of it)
            self._fail(error)
        finally:
            if line is not None:
                line.close()

    def _wait_for_leaderless(self) -> list[str]:
        """Topics to ask for; none when the reader was closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                topics = self._machine.leaderless(now)
                if topics:
                    return topics
                self._changed.wait(self._machine.ask_leaders_in_s(now))
            return []

    def _start_threads(self) -> None:
        """One for each broker of the cluster; those who lead nothing that is read here sleep."""
        for broker in self._machine.brokers.keys() - self._threads.keys():
            name = f"{self._brokers.client_id}-broker-{broker}"
            self._threads[broker] = threading.Thread(target=self._ask, args=(broker,), name=name, daemon=True)
            self._threads[broker].start()

    # A broker's thread.

    def _ask(self, broker: int) -> None:
        address: Address | None = None
        try:
            while (wanted := self._wait_for_request(broker)) is not None:
                request, now_at = wanted
                if now_at != address:
                    self._lines.hang_up(broker)
                    address = now_at
                self._carry_out(broker, address, request)
        except BaseException as error:  # noqa: BLE001 (whoever polls is told of it)
            self._fail(error)
        finally:
            self._lines.hang_up(broker)

    def _wait_for_request(self, broker: int) -> tuple[Request, Address] | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                address = self._machine.brokers.get(broker)
                request = None if address is None else self._machine.next(broker, now)
                if request is not None and address is not None:
                    return request, address
                self._changed.wait(self._machine.wait_s(broker, now))
            return None

    def _carry_out(self, broker: int, address: Address, request: Request) -> None:
        try:
            line = self._lines.to(broker, address)
            answer = line.ask(
                request.api_key,
                lambda _: request.values,
                self._brokers.request_timeout_s,
                self._machine.settings.answer_bytes_max,
            )
            blocks = self._blocks(request, answer)
        except (ProtocolError, OSError) as error:
            if isinstance(error, UnservedError) and request.api_key == OFFSET_FOR_LEADER_EPOCH:
                with self._changed:
                    self._machine.unserved(request)
                return
            self._lines.hang_up(broker)
            with self._changed:
                if not self._closed:
                    logger.info("asking broker %d at %s again: %s", broker, address, error)
                self._machine.failed(request, error, time.monotonic(), passes=self._closed or passes(error))
                self._settle()
            return
        with self._changed:
            self._machine.answered(request, answer, blocks, time.monotonic())
            self._settle()

    def _settle(self) -> None:
        """After something has come: say what should be read in the log, and wake those who wait; with the lock."""
        for remark in self._machine.remarks:
            logger.warning("%s: %s", self._brokers.client_id, remark)
        self._machine.remarks.clear()
        self._changed.notify_all()

    def _blocks(self, request: Request, answer: Any) -> dict[Partition, Block]:
        """The records of an answer, without the lock: this is where the work is."""
        if request.api_key != FETCH:
            return {}
        positions = {reading.place: reading.asked for reading in request.readings}
        return {
            place: self._block(part, positions[place])
            for place, part in parts_of(request, answer).items()
            if part.records and place in positions
        }

    def _block(self, part: Any, position: int) -> Block:
        # Here, for the extension is not loaded by everybody who imports this package.
        from moldau._core import RecordBlock

        aborted = None
        if self._machine.settings.read_committed:
            aborted = [(int(one.producer_id), int(one.first_offset)) for one in part.aborted_transactions or ()]
        try:
            return Block(RecordBlock(part.records, position, aborted), None)
        except ValueError as error:
            return Block(None, str(error))

    def _fail(self, error: BaseException) -> None:
        """A mistake of ours, or a panic (which is no `Exception`): without this nobody would know why nothing comes."""
        logger.error("a thread of the reader of %s has failed", self._brokers.client_id, exc_info=error)
        failure = FetchError(f"nothing can be read any more: {error!r}")
        failure.__cause__ = error
        with self._changed:
            self._machine.failure = failure
            self._changed.notify_all()


def _metadata_of(topics: list[str]) -> Any:
    def build(version: int) -> Values:
        return {"topics": [{"name": topic} for topic in topics], "allow_auto_topic_creation": False}

    return build
