"""How stores come back: their changelogs are read to the end, as it was when the task came, before the task works.

The end is the one of all records, also of those in open transactions: a committed offset may be known before the
marker of the same transaction has reached the changelog. Under exactly-once the consumer then reads only what is
committed, and a changelog counts as read when the consumer reports its end at or after that offset.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from moldau.client.protocol.partitions import Partition
from moldau.streams.runtime.changelog_ends import RestoreError, ends_of
from moldau.streams.runtime.layout import TaskId
from moldau.streams.state.contract import Store

logger: Final = logging.getLogger("moldau.streams")

BATCH: Final = 10_000
_TELL_EVERY_S: Final = 10.0


@dataclass(slots=True)
class Changelog:
    """One store that is being restored. `position` is where its own copy ends, None for nothing or for memory."""

    task: TaskId
    store_name: str
    store: Store
    topic: str
    partition: int
    position: int | None
    wipe: Callable[[], None] | None = None
    keep: Callable[[int], None] | None = None
    """Makes safe what was restored up to an offset; None for a store in memory."""
    standby: bool = False
    """Whether it is followed for ever, for a task that runs elsewhere."""
    limit: int | None = None
    """Where to stop before the topic's end: of an input topic, before what the task still has to work on."""
    end: int = -1
    next_offset: int = 0
    kept: int = 0
    """Up to where a copy was made safe."""
    restored: int = 0
    begun: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    @property
    def place(self) -> Partition:
        """Topic and partition."""
        return self.topic, self.partition


class Restorer:
    """The changelogs that one thread is reading. Belongs to that thread."""

    def __init__(self, consumer: confluent_kafka.Consumer, admin: AdminClient) -> None:
        self._consumer = consumer
        self._admin = admin
        self._open: dict[Partition, list[Changelog]] = {}
        self._read: dict[TaskId, int] = {}
        """How many records the stores of each task contain that are not read any more."""
        self.records = 0

    @property
    def is_busy(self) -> bool:
        """Whether a task waits for its state."""
        return bool(self.waiting_for())

    @property
    def has_work(self) -> bool:
        """Whether anything is read, be it for a copy."""
        return bool(self._open)

    def waiting_for(self) -> set[TaskId]:
        """The tasks that cannot work yet."""
        return {
            changelog.task for changelogs in self._open.values() for changelog in changelogs if not changelog.standby
        }

    def remaining(self) -> dict[str, int]:
        """Per task and store, as `0_1 counts`, how many offsets are still to be read."""
        return {
            f"{changelog.task} {changelog.store_name}": max(changelog.end - changelog.next_offset, 0)
            for changelogs in self._open.values()
            for changelog in changelogs
            if not changelog.standby
        }

    def contained(self, task: TaskId) -> int:
        """How many records of its changelogs a task has that is being restored or followed; inputs do not count."""
        return self._read.get(task, 0) + sum(
            changelog.next_offset
            for changelogs in self._open.values()
            for changelog in changelogs
            if changelog.task == task and changelog.limit is None
        )

    def promote(self, task: TaskId) -> set[str]:
        """What was followed is to be a task of our own, as soon as the rest is read; returns the stores it has."""
        places = {place: one for place, ones in self._open.items() for one in ones if one.task == task}
        if not places:
            return set()
        ends = ends_of(self._admin, places)
        for place, changelog in places.items():
            changelog.standby = False
            changelog.end = ends[place]
            changelog.begun = changelog.told = time.monotonic()
            changelog.restored = 0
            if changelog.next_offset >= changelog.end:
                self._finish(place)
        return {changelog.store_name for changelog in places.values()}

    def keep_standbys(self) -> None:
        """Make safe what was read for copies."""
        for changelogs in self._open.values():
            for changelog in changelogs:
                if changelog.standby and changelog.keep is not None and changelog.next_offset != changelog.kept:
                    changelog.kept = changelog.next_offset
                    changelog.keep(changelog.next_offset)

    def add(self, changelogs: Iterable[Changelog]) -> None:
        """Begin to restore; where there is nothing newer than what the store has, nothing is read."""
        added = list(changelogs)
        if not added:
            return
        ends = ends_of(self._admin, {changelog.place for changelog in added})
        assign: dict[Partition, TopicPartition] = {}
        for changelog in added:
            end = ends[changelog.place]
            changelog.end = end if changelog.limit is None else min(changelog.limit, end)
            if changelog.position is not None and changelog.position > changelog.end:
                _start_over(changelog, "it contains more than there was")
            changelog.next_offset = changelog.position or 0
            if not changelog.standby and changelog.next_offset >= changelog.end:
                self._note_read(changelog)
                continue
            self._open.setdefault(changelog.place, []).append(changelog)
            start = OFFSET_BEGINNING if changelog.position is None else changelog.position
            assign[changelog.place] = TopicPartition(*changelog.place, start)
        if assign:
            self._consumer.incremental_assign(list(assign.values()))

    def remove(self, task: TaskId) -> None:
        """The task is going; what was restored so far is kept where it can be."""
        for place, changelogs in list(self._open.items()):
            if any(changelog.task == task for changelog in changelogs):
                self._finish(place)
        self._read.pop(task, None)

    def step(self, timeout_s: float) -> set[TaskId]:
        """Read some more; the tasks that became ready."""
        before = self.waiting_for()
        messages: list[Any] = self._consumer.consume(BATCH, timeout_s)
        for message in messages:
            place = message.topic(), message.partition()
            changelogs = self._open.get(place)
            if changelogs is None:
                continue
            error = message.error()
            if error is None:
                self._take(changelogs, message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its name)
                for changelog in changelogs:
                    changelog.next_offset = max(changelog.next_offset, message.offset())
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 (its name)
                self._from_the_start(place, changelogs)
                continue
            elif error.retriable():
                logger.warning("restoring %s-%d: %s", *place, error.str())
            else:
                raise RestoreError(f"changelog {place[0]}-{place[1]} cannot be read: {error.str()}")
            if all(not one.standby and one.next_offset >= one.end for one in changelogs):
                self._finish(place)
        self._tell()
        return before - self.waiting_for()

    def _take(self, changelogs: list[Changelog], message: Any) -> None:
        offset, key, value, timestamp = message.offset(), message.key(), message.value(), message.timestamp()[1]
        for changelog in changelogs:
            if offset >= changelog.end and not changelog.standby:
                changelog.next_offset = changelog.end
                continue
            changelog.next_offset = offset + 1
            if key is not None:
                changelog.store.restore(key, value, timestamp)
            changelog.restored += 1
            if changelog.keep is not None and changelog.restored % BATCH == 0:
                changelog.keep(offset + 1)
        self.records += 1

    def _from_the_start(self, place: Partition, changelogs: list[Changelog]) -> None:
        """What the store has ends before the topic begins: what was deleted in between is not known any more."""
        for changelog in changelogs:
            _start_over(changelog, "the topic begins after what was stored")
            changelog.next_offset = 0
        self._consumer.incremental_unassign([TopicPartition(*place)])
        self._consumer.incremental_assign([TopicPartition(*place, OFFSET_BEGINNING)])

    def _finish(self, place: Partition) -> None:
        for changelog in self._open.pop(place):
            if changelog.keep is not None and changelog.next_offset:
                changelog.keep(changelog.next_offset)
            self._note_read(changelog)
            if changelog.restored:
                logger.info(
                    "store %s of task %s: restored, %d records in %.1f s",
                    changelog.store_name,
                    changelog.task,
                    changelog.restored,
                    time.monotonic() - changelog.begun,
                )
        self._consumer.incremental_unassign([TopicPartition(*place)])

    def _note_read(self, changelog: Changelog) -> None:
        if changelog.limit is None:
            self._read[changelog.task] = self._read.get(changelog.task, 0) + changelog.next_offset

    def _tell(self) -> None:
        now = time.monotonic()
        for changelogs in self._open.values():
            for changelog in changelogs:
                if now - changelog.told >= _TELL_EVERY_S and not changelog.standby:
                    changelog.told = now
                    logger.info(
                        "store %s of task %s: restoring, offset %d of %d, %d records/s",
                        changelog.store_name,
                        changelog.task,
                        changelog.next_offset,
                        changelog.end,
                        changelog.restored / (now - changelog.begun),
                    )

    def close(self) -> None:
        """Leave everything."""
        self._open.clear()
        self._consumer.close()


def _start_over(changelog: Changelog, why: str) -> None:
    logger.warning("store %s of task %s is restored from the start: %s", changelog.store_name, changelog.task, why)
    changelog.position = None
    if changelog.wipe is not None:
        changelog.wipe()
