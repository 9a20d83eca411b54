"""The reader itself: one thread that finds leaders, one per broker that asks it, and `poll` for the owner."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from moldau.client.fetching.machine import Block, FetchMachine
from moldau.client.fetching.questions import Request, parts_of
from moldau.client.fetching.reading import Fetched, FetchError, Start
from moldau.client.fetching.settings import FetchSettings
from moldau.client.protocol.asking import ANYBODY, Asking, Question
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.errors import UnservedError
from moldau.client.protocol.partitions import Partition
from moldau.client.protocol.questions import FETCH, METADATA, OFFSET_FOR_LEADER_EPOCH, Values

logger: Final = logging.getLogger("moldau.client")

EPOCHS_SINCE: Final = 9
"""The version of Metadata whose leader epochs can be trusted: before it a broker may tell an old one. (KAFKA-9212)"""
_Told = tuple[Any, Mapping[Partition, Block]] | None


class RecordReader:
    """Reads partitions from its making to `close`. All but `close` belongs to one thread."""

    def __init__(self, brokers: Brokers, settings: FetchSettings) -> None:
        self._brokers = brokers
        self._machine = FetchMachine(settings)
        self._asking = Asking(brokers, "the reader", self._fail)
        self._changed = self._asking.changed
        self._asking.start("leaders", self._look_for_leaders)

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
                used_up = self._machine.used_up
                taken = self._machine.take()
                if taken:
                    if self._machine.used_up != used_up:
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
        self._asking.close()

    # What the threads ask, and what comes of it.

    def _look_for_leaders(self, now: float) -> Question[tuple[Any, bool]] | float | None:
        topics = self._machine.leaderless(now)
        if not topics:
            return self._machine.ask_leaders_in_s(now)
        what = f"the leaders of {', '.join(topics)}"
        return Question(what, ANYBODY, partial(self._ask_for, topics), self._learned, self._machine.not_learned)

    def _ask_for(self, topics: list[str], line: BrokerConnection) -> tuple[Any, bool]:
        """Who leads these, and whether the epochs in the answer can be trusted."""
        values: Values = {"topics": [{"name": topic} for topic in topics], "allow_auto_topic_creation": False}
        answer = line.ask(METADATA, lambda _: values, self._brokers.request_timeout_s)
        return answer, line.version_of(METADATA) >= EPOCHS_SINCE

    def _learned(self, told: tuple[Any, bool], now: float) -> None:
        answer, with_epochs = told
        self._machine.learned(answer, now, with_epochs=with_epochs)
        # A thread for each broker of the cluster; those of brokers that lead nothing that is read here sleep.
        for broker in self._machine.brokers:
            self._asking.start(f"broker-{broker}", partial(self._look_at, broker))
        self._say_remarks()

    def _look_at(self, broker: int, now: float) -> Question[_Told] | float | None:
        address = self._machine.brokers.get(broker)
        request = None if address is None else self._machine.next(broker, now)
        if request is None:
            return self._machine.wait_s(broker, now)
        failed = partial(self._machine.failed, request)
        return Question(request.what, address, partial(self._ask, request), partial(self._take, request), failed)

    def _ask(self, request: Request, line: BrokerConnection) -> _Told:
        """The answer, with its records: this is where the work is. None from a broker that cannot compare logs."""
        timeout_s, bytes_max = self._brokers.request_timeout_s, self._machine.settings.answer_bytes_max
        try:
            answer = line.ask(request.api_key, lambda _: request.values, timeout_s, bytes_max)
        except UnservedError:
            if request.api_key != OFFSET_FOR_LEADER_EPOCH:
                raise
            return None
        return answer, self._blocks(request, answer)

    def _take(self, request: Request, told: _Told, now: float) -> None:
        if told is None:
            self._machine.unserved(request)
        else:
            self._machine.answered(request, *told, now)
            self._say_remarks()

    def _say_remarks(self) -> None:
        for remark in self._machine.remarks:
            logger.warning("%s: %s", self._brokers.client_id, remark)
        self._machine.remarks.clear()

    def _blocks(self, request: Request, answer: Any) -> dict[Partition, Block]:
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
