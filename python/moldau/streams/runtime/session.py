"""One membership of a thread in its group, from joining to leaving: read, work, commit, again.

The group is joined by a member of our own, which moves tasks, and records come from a reader of our own, of what it is
told to read. A rebalance stops only what it takes away: that is committed and closed, and the group is asked to divide
again.

Whatever goes wrong with the membership or with a transaction ends the session: its tasks are closed without a commit,
their state is what it was at the last one, and the thread begins another. So there is one way back for all errors.

Tasks are touched only while the gate is held. It is open while the thread waits for records: then queries look in.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

import confluent_kafka
from confluent_kafka import TopicPartition

from moldau.client.fetching import EARLIEST, LATEST, Fetched, FetchError, RecordReader, Start, fetch_settings
from moldau.client.membership import (
    Brokers,
    Commit,
    CommitRefusedError,
    FencedMemberError,
    GroupError,
    GroupMember,
    GroupMetadata,
    RebalanceInProgressError,
)
from moldau.client.protocol.partitions import Partition
from moldau.errors import ErrorCode, MoldauError
from moldau.streams.errors import StreamsError
from moldau.streams.runtime.environment import GONE_AFTER_MS, Environment, ThreadCounts
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.layout import TaskId
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.offset_metadata import decode, ended
from moldau.streams.runtime.outcomes import FencedInstanceError, TaskMigratedError
from moldau.streams.runtime.outlet import collector_for
from moldau.streams.runtime.restorer import Restorer
from moldau.streams.runtime.stream_task import StreamTask
from moldau.streams.runtime.subscription import Given
from moldau.streams.runtime.task_listener import TaskListener, group_settings
from moldau.streams.runtime.task_manager import TaskManager
from moldau.streams.topology.nodes import OffsetReset, SourceNode

logger: Final = logging.getLogger("moldau.streams")

MICRO_BATCH: Final = 2000
"""How many records a task is given at once."""
COLUMN_BATCH: Final = 50_000
"""Of records that are taken through columns, which take less time than the round."""
_RESTORE_WAIT_S: Final = 0.02
_METADATA_MAX_AGE_MS: Final = 300_000
"""How often to look for topics that a pattern matches, if `metadata.max.age.ms` says nothing else; as in Kafka."""
_TRY_AGAIN_S: Final = 0.05
"""How often to look whether a task's database is free."""
_REBALANCE_WAIT_S: Final = 0.01
"""How long to wait for records while the group has something to say soon, or a commit waits for what is missing."""
_UNREADABLE: Final = frozenset({None, ErrorCode.CORRUPT_MESSAGE, ErrorCode.OFFSET_OUT_OF_RANGE})
"""Why a partition cannot be read on of which all else can be done."""
NOWHERE: Final = Commit(-1)
"""Where the group is in a partition of which it has committed nothing."""


class MissingOffsetError(StreamsError):
    """There is no committed offset, and the source has `offset_reset="none"`."""


class Session:
    """The clients and tasks of a thread between two joins. Belongs to the thread."""

    def __init__(
        self, environment: Environment, index: int, gate: Gate, counts: ThreadCounts, left_out: LeftOut
    ) -> None:
        settings = environment.settings
        self._environment = environment
        self._settings = settings
        self._gate = gate
        self._counts = counts
        self._patience_s = settings.task_timeout_ms / 1000
        native = settings.consumer(environment.client_id(index, "consumer"))
        self._brokers = Brokers(native)
        self._fetching = fetch_settings(native)
        self._group = group_settings(environment, native, index)
        with ExitStack() as undo:
            # Their threads would run on if one of the others cannot be made.
            self.collector = collector_for(environment, index, left_out)
            undo.callback(self.collector.close)
            self.tasks = TaskManager(environment, self.collector, counts, self._known_end)
            self._restorer = Restorer(
                confluent_kafka.Consumer(settings.restore_consumer(environment.client_id(index, "restore-consumer"))),
                environment.admin,
            )
            undo.callback(self._restorer.close)
            self._listener = TaskListener(environment, self.tasks, self._restorer, self._take)
            self._reader = RecordReader(self._brokers, self._fetching)
            undo.pop_all()
        self._member: GroupMember | None = None
        self._resets = _offset_resets(environment)
        self._full: set[Partition] = set()
        self._next_commit = 0.0
        self._next_purge = 0.0
        self._next_look = math.inf
        self._topics_every_s = int(native.get("metadata.max.age.ms", _METADATA_MAX_AGE_MS)) / 1000
        self._next_topics = time.monotonic() + self._topics_every_s if environment.has_patterns else math.inf
        self._next_try = 0.0
        self._active: frozenset[TaskId] = frozenset()
        self._copies: frozenset[TaskId] = frozenset()
        """What the group gave us, begun or not."""
        self._is_new = True
        """Whether nothing was given to us yet."""
        self._purging: list[Any] = []
        self.is_assigned = False

    @property
    def is_running(self) -> bool:
        """Whether tasks were assigned and all of them work."""
        return self.is_assigned and not self._restorer.is_busy and self.tasks.tasks.keys() >= self._active

    def restoring(self) -> dict[str, int]:
        """What is still to be restored."""
        return self._restorer.remaining()

    def ready_tasks(self, *, stale: bool) -> list[StreamTask]:
        """The tasks that are assigned and restored; with `stale` also what is being restored, and copies."""
        waiting = set() if stale else self._restorer.waiting_for()
        ready = [task for task_id, task in self.tasks.tasks.items() if task_id not in waiting]
        return [*self.tasks.standbys.values(), *ready] if stale else ready

    def run(self, stopping: Callable[[], bool], changed: Callable[[], None]) -> None:
        """Work until `stopping()`; `changed` is called when the session may have become, or ceased to be, running.

        Raises:
            TaskMigratedError: begin another session.
        """
        self.collector.initialise()
        self._member = GroupMember(self._brokers, self._group, self._listener)
        now = time.monotonic()
        self._next_commit = now + self._settings.commit_interval_ms / 1000
        self._next_purge = now + self._settings.repartition_purge_interval_ms / 1000
        was_running = False
        while not stopping():
            with self._gate:
                self._take_part(self._member)
            fetched = self._read(self._member)
            with self._gate:
                self._work(fetched)
            if self.is_running != was_running:
                was_running = self.is_running
                changed()

    def _take_part(self, member: GroupMember) -> None:
        """Do what the group wants, which is nearly always nothing. It does not wait."""
        if time.monotonic() >= self._next_look:
            self._next_look = math.inf
            # Once more, if the next generation is on its way, would be one generation too many.
            if not member.is_rebalancing:
                member.rejoin("copies of state may have caught up, or tasks be with nobody")
        if time.monotonic() >= self._next_topics:
            self._next_topics = time.monotonic() + self._topics_every_s
            if self._environment.look_for_topics():
                member.rejoin("topics have come or gone that a pattern matches")
            elif self._environment.may_miss_topics:
                self._next_topics = time.monotonic() + GONE_AFTER_MS / 1000
        self._begin_given(_TRY_AGAIN_S)
        try:
            member.poll(0)
        except FencedMemberError as error:
            raise FencedInstanceError(str(error)) from error
        except GroupError as error:
            raise StreamsError(str(error)) from error

    def _read(self, member: GroupMember) -> list[Fetched]:
        """What is there, without waiting for more; waits only if there is nothing at all."""
        try:
            return self._reader.poll(0) or self._reader.poll(0.0 if self._restorer.is_busy else self._idle_s(member))
        except FetchError as error:
            if error.code in _UNREADABLE:
                self._finish()
            hint = "\nhint: an input topic was deleted while the application was running"
            missing = error.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            raise StreamsError(f"{error}{hint if missing else ''}") from error
        except MoldauError as error:
            raise StreamsError(str(error)) from error

    def _finish(self) -> None:
        """Do and commit what was read: whoever sets the group behind what cannot be read would lose it otherwise."""
        with self._gate:
            before = -1
            while before != self._counts.records:
                before = self._counts.records
                self._work([])
            self.commit(last=True)

    def _idle_s(self, member: GroupMember) -> float:
        wait = self._settings.poll_ms / 1000
        if not member.is_stable:
            return min(wait, _REBALANCE_WAIT_S)
        if self.tasks.needs_commit:
            wait = min(wait, max(_REBALANCE_WAIT_S, self._next_commit - time.monotonic()))
        return wait

    def _work(self, fetched: list[Fetched]) -> None:
        counts = self._counts
        counts.polls += 1
        self.tasks.distribute(fetched)
        if self._restorer.has_work:
            self._restore()
        started = time.monotonic()
        waiting = self._restorer.waiting_for()
        now = self._environment.clock()
        for task in self.tasks.tasks.values():
            if task.id not in waiting:
                if task.buffered:
                    self.collector.begin()
                    counts.records += task.process(now)
                if task.context.punctuators:
                    self.collector.begin()
                    task.punctuate_wall_clock(now)
        self.collector.serve()
        counts.sent = self.collector.sent
        ended = time.monotonic()
        counts.process_s += ended - started
        self._hold_back()
        if ended >= self._next_commit or self.collector.wants_commit:
            self.commit()
            self._restorer.keep_standbys()
            for task in self.tasks.tasks.values():
                task.note_ends()
            self._purge(ended)

    def _known_end(self, topic: str, partition: int) -> int:
        return self._reader.end_of((topic, partition))

    def _restore(self) -> None:
        waiting = self._restorer.waiting_for()
        ready = self._restorer.step(_RESTORE_WAIT_S if waiting and not self.tasks.tasks.keys() - waiting else 0)
        self._counts.restored = self._restorer.records
        if ready:
            self._reader.resume(self._places(ready))

    def _hold_back(self) -> None:
        """Stop reading inputs that have too much waiting, go on with those that do not any more."""
        full = self.tasks.full_inputs()
        if full != self._full:
            ready = self._full - full
            self._full, newly = full, full - self._full
            if newly:
                self._reader.pause(newly)
            owned = {place for task in self.tasks.tasks for place in self._places({task})}
            if ready & owned:
                self._reader.resume(ready & owned)

    def _places(self, tasks: set[Any]) -> list[Partition]:
        return [
            (source.topic, task.id.partition)
            for task in self.tasks.tasks.values()
            if task.id in tasks
            for source in task.inputs.values()
        ]

    def commit(self, *, last: bool = False) -> None:
        """Make everything up to here safe: changelogs, outputs, offsets, in one transaction under exactly-once.

        While the next generation is on its way it waits, as in Kafka Streams: what is said in the name of this one may
        be refused. The `last` commit is tried all the same, and so is one without which the cluster would soon end the
        transaction. It waits also while a topic is missing that may come back: without its offsets its records would
        come again, and with them the group may refuse all. The last one is left out then, as in a crash.
        """
        started = time.monotonic()
        if self._member is None or (self._member.is_rebalancing and not last and not self._is_overdue(started)):
            return
        if self.tasks.needs_commit and self._may_be_gone():
            if self._is_overdue(started):
                raise TaskMigratedError("the transaction would end before it is known whether a topic was deleted")
            return
        self._next_commit = started + self._settings.commit_interval_ms / 1000
        if not self.tasks.needs_commit:
            return
        self.collector.begin()
        offsets = {(one.topic, one.partition): _commit(one) for one in self._of_what_is_there(self.tasks.flush())}
        self.collector.flush()
        if self._settings.exactly_once:
            self.collector.commit(offsets, self._name_in_the_group(self._member))
        elif offsets and not self._commit_offsets(self._member, offsets):
            # The changelogs have it, and the stores have handed it out: it must be found in them.
            self.tasks.written()
            return
        self.tasks.committed()
        self._counts.commits += 1
        self._counts.commit_s += time.monotonic() - started

    def _of_what_is_there(self, offsets: list[TopicPartition]) -> list[TopicPartition]:
        """Without topics that were deleted: the group would refuse their offsets, and has nobody to give them to."""
        missing = self._missing_for()
        return [one for one in offsets if missing.get((one.topic, one.partition), 0.0) * 1000 < GONE_AFTER_MS]

    def _may_be_gone(self) -> bool:
        """Whether something is missing, but not for so long that it must have been deleted: nodes start again."""
        return any(missing_s * 1000 < GONE_AFTER_MS for missing_s in self._missing_for().values())

    def _missing_for(self) -> dict[Partition, float]:
        """What is missing of that which may go, and for how many seconds; all else is an error of the reader's."""
        environment = self._environment
        if not environment.has_patterns:
            return {}
        return {
            place: missing_s
            for place, missing_s in self._reader.missing().items()
            if environment.is_by_pattern(place[0])
        }

    def _is_overdue(self, now: float) -> bool:
        settings = self._settings
        return settings.exactly_once and now > self._next_commit + settings.transaction_timeout_ms / 2000

    def _name_in_the_group(self, member: GroupMember) -> GroupMetadata:
        try:
            return member.group_metadata()
        except FencedMemberError as error:
            raise FencedInstanceError(str(error)) from error
        except CommitRefusedError as error:
            raise TaskMigratedError(str(error)) from error

    def _commit_offsets(self, member: GroupMember, offsets: Mapping[Partition, Commit]) -> bool:
        """Commit without a transaction; False if the group has to be joined again first."""
        try:
            member.commit(offsets, self._patience_s)
        except RebalanceInProgressError:
            return False
        except FencedMemberError as error:
            raise FencedInstanceError(str(error)) from error
        except CommitRefusedError as error:
            raise TaskMigratedError(str(error)) from error
        except MoldauError as error:
            code = error.code if isinstance(error, GroupError) else None
            if code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and self._environment.has_patterns:
                # The reader will see it, too: then the rest is committed.
                logger.warning("committing again: %s", error)
                return False
            raise StreamsError(str(error)) from error
        return True

    def _purge(self, now: float) -> None:
        """Delete repartition records that were read by everybody who reads them."""
        if now < self._next_purge or not all(future.done() for future in self._purging):
            return
        self._next_purge = now + self._settings.repartition_purge_interval_ms / 1000
        for future in self._purging:
            if future.exception() is not None:
                logger.info("repartition records could not be deleted: %s", future.exception())
        before = self.tasks.purgeable()
        self._purging = list(self._environment.admin.delete_records(before).values()) if before else []

    def _take(self, active: frozenset[TaskId], standby: frozenset[TaskId], given: Given) -> None:
        """The group has divided its tasks: give up what is not ours any more, begin with what is."""
        member = self._member
        assert member is not None
        self._counts.rebalances += 1
        gone = self.tasks.tasks.keys() - active
        if gone:
            self._give_up(gone)
            member.rejoin("tasks were given up for others")
        for task_id in self.tasks.standbys.keys() - standby - active:
            self._restorer.remove(task_id)
            self.tasks.drop(task_id)
        self._active, self._copies = active, standby
        self.tasks.forget_waiting()
        self._read_what_matches()
        self._begin_given()
        self._next_look = time.monotonic() + self._look_again_s(given)
        self._is_new = False
        self.is_assigned = given.settled
        names = ", ".join(str(task) for task in self.tasks.tasks) or "none"
        copies = ", ".join(str(task) for task in self.tasks.standbys)
        logger.info("tasks: %s%s", names, f"; copies of {copies}" if copies else "")

    def _look_again_s(self, given: Given) -> float:
        """After what time the group shall divide again, if it has not by then.

        In a generation in which tasks move their owners ask for the next one. A static member that was one, and has
        come back before it did, is told of the same generation again, and nobody else asks.
        """
        if self._is_new and not given.settled:
            return self._group.heartbeat_interval_ms / 1000
        return self._settings.probing_rebalance_interval_ms / 1000 if given.look_again else math.inf

    def _read_what_matches(self) -> None:
        closed = self.tasks.shrink()
        if closed:
            self._reader.unassign(closed)
            self._full -= set(closed)
        opened = self.tasks.grow()
        if opened:
            self._resets = _offset_resets(self._environment)
            self._read_from(self._locate(opened))

    def _begin_given(self, not_again_for_s: float = 0.0) -> None:
        """Begin with what is ours and not here yet; what another thread still has to close comes with the next turn."""
        active, copies = self._active - self.tasks.tasks.keys(), self._copies - self.tasks.standbys.keys()
        now = time.monotonic()
        if not (active or copies) or (not_again_for_s and now < self._next_try):
            return
        self._next_try = now + not_again_for_s
        self._begin(sorted(active))
        for task_id in sorted(copies):
            copy = self.tasks.follow(task_id)
            if copy is not None:
                self._restorer.add(self.tasks.changelogs(copy, standby=True))

    def _give_up(self, gone: set[TaskId]) -> None:
        """Commit what others will go on with, and close it."""
        self.commit()
        if any(self.tasks.tasks[task_id].needs_commit for task_id in gone):
            raise TaskMigratedError("tasks were taken away before they could be committed")
        places = self._places(gone)
        self._reader.unassign(places)
        self._full -= set(places)
        for task_id in gone:
            # Half restored is not restored: what comes back goes on from what is kept on disk.
            self._restorer.remove(task_id)
            self.tasks.drop(task_id)

    def _begin(self, new: list[TaskId]) -> None:
        """Take tasks over, where their last owner was; those whose state was followed need but the rest of it."""
        if not new:
            return
        made = [task for task_id in new if (task := self.tasks.take(task_id)) is not None]
        if not made:
            return
        started = self._locate(self._places({task.id for task in made}))
        for task in made:
            followed = self._restorer.promote(task.id)
            self._restorer.add(
                changelog for changelog in self.tasks.changelogs(task) if changelog.store_name not in followed
            )
        self._read_from(started)

    def _read_from(self, started: dict[Partition, Commit]) -> None:
        """Read these partitions too, as soon as their tasks have their state."""
        tasks = self._task_by_place()
        self._reader.assign(
            {
                place: Start(
                    one.offset,
                    self._reset_of(place[0]),
                    COLUMN_BATCH if tasks[place].takes_blocks(place[0]) else MICRO_BATCH,
                    may_go=self._environment.is_by_pattern(place[0]),
                    leader_epoch=one.leader_epoch,
                )
                for place, one in started.items()
            }
        )
        self._reader.pause(started.keys() & set(self._places(self._restorer.waiting_for())))

    def _task_by_place(self) -> dict[Partition, StreamTask]:
        return {(topic, task.id.partition): task for task in self.tasks.tasks.values() for topic in task.inputs}

    def _reset_of(self, topic: str) -> OffsetReset:
        if topic not in self._resets:
            # Another thread of the application has taken it up.
            self._resets = _offset_resets(self._environment)
        return self._resets.get(topic) or self._fetching.reset

    def _locate(self, places: list[Partition]) -> dict[Partition, Commit]:
        """Tell tasks where their inputs begin."""
        started = self._starting_points(places)
        tasks = self._task_by_place()
        for (topic, partition), one in started.items():
            tasks[topic, partition].start_at(topic, one.offset, *decode(one.metadata), one.leader_epoch)
        return started

    def _starting_points(self, places: list[Partition]) -> dict[Partition, Commit]:
        """The committed offsets, or where the source begins to read when there is none."""
        if not places:
            return {}
        assert self._member is not None
        try:
            committed = self._member.committed(places, self._patience_s, self._environment.is_by_pattern)
        except MoldauError as error:
            raise StreamsError(str(error)) from error
        return {place: self._started(place, committed.get(place, NOWHERE)) for place in places}

    def _started(self, place: Partition, committed: Commit) -> Commit:
        if committed.offset >= 0:
            return committed
        topic, partition = place
        reset = self._reset_of(topic)
        if reset == "none":
            raise MissingOffsetError(f"there is no committed offset of {topic}-{partition}")
        return committed._replace(offset=EARLIEST if reset == "earliest" else LATEST)

    def close(self, *, clean: bool) -> None:
        """Leave the group; `clean` commits before, otherwise nothing since the last commit counts."""
        with ExitStack() as last:
            # Whatever one of them raises, all of it is closed; the group hears of it before clients are waited for.
            last.callback(self._reader.close)
            last.callback(self._restorer.close)
            last.callback(self.collector.close)
            if self._member is not None:
                last.callback(self._member.close)
            with self._gate:
                self._end_work(clean=clean)

    def _end_work(self, *, clean: bool) -> None:
        try:
            if clean:
                self.commit(last=True)
        finally:
            # Nothing is open after a commit that went well.
            try:
                self.collector.abort()
            finally:
                self.is_assigned = False
                self.tasks.close_all()


def _commit(one: TopicPartition) -> Commit:
    return Commit(one.offset, ended(one.metadata or ""), -1 if one.leader_epoch is None else one.leader_epoch)


def _offset_resets(environment: Environment) -> dict[str, OffsetReset | None]:
    """Where each input topic begins for a new application, if its source says so."""
    resets: dict[str, OffsetReset | None] = {}
    for sub in environment.layout.sub_topologies:
        by_topic = {topic: node for node in sub.nodes if isinstance(node, SourceNode) for topic in node.topics}
        for name, topic in sub.topics.items():
            internal = topic in environment.topology.repartition_topics
            resets[name] = "earliest" if internal else by_topic[topic].offset_reset
    return resets
