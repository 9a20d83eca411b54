"""A task on a cluster: a `Task` with queues before it, offsets beside it and changelogs behind it.

Records of several inputs are taken in the order of their timestamps, as far as records are there. What is waited for
when an input has none is `max.task.idle.ms` of KIP-695: an input that is known to be read to its end is waited for
that long, one that has more on the cluster until it comes; -1 waits for nothing.
"""

from __future__ import annotations

import dataclasses
import heapq
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from moldau._core import ColumnRun, RecordBlock
from moldau.client.fetching import Fetched
from moldau.streams.columns import Columns
from moldau.streams.context import EMIT_INTERVAL_MS, TaskContext
from moldau.streams.errors import RecordError, TimestampError, UnwritableError
from moldau.streams.operators.record_cache import CacheBudget, RecordCaches
from moldau.streams.persistent import Room, TaskDatabase
from moldau.streams.punctuation import PunctuationType
from moldau.streams.runtime.column_work import ColumnWork
from moldau.streams.runtime.emitting import one_by_one
from moldau.streams.runtime.exception_handlers import Failure, Handler, Response
from moldau.streams.runtime.layout import SubTopologyLayout, TaskId
from moldau.streams.runtime.outcomes import ProductionError, TaskMigratedError
from moldau.streams.runtime.task_input import Input, Message
from moldau.streams.state.contract import ChangelogWriter, OpenStore, Store
from moldau.streams.task import Emit, Entry, Feed, Task, negative_timestamp
from moldau.streams.topology.nodes import SourceNode, StoreSpec
from moldau.streams.topology.topology import Topology

logger: Final = logging.getLogger("moldau.streams")

RUN_MIN: Final = 4
"""Fewer records that are older than the next of another input are taken by functions, which takes less time."""
NO_HEADERS: Final = ()
NO_IDLING: Final = -1


class HeldBackError(RecordError):
    """An update that waited in a record cache cannot be processed; the record that made it was done with before."""


NOT_OF_THE_RECORD: Final = (HeldBackError, ProductionError, TaskMigratedError, TimestampError, UnwritableError)
"""Errors of what was written before the record in work, and those that no handler of records decides."""


@dataclasses.dataclass(frozen=True, slots=True)
class TaskParts:
    """What a task is made with, the same for all tasks of a thread."""

    topology: Topology
    application_id: str
    clock: Callable[[], int]
    open_store: OpenStore
    emit: Emit
    on_unreadable: Handler
    on_unprocessable: Handler
    on_unwritable: Handler
    dead_letter: Callable[[Failure], None]
    max_idle_ms: int
    database: TaskDatabase | None = None
    global_stores: Mapping[str, Store] = dataclasses.field(default_factory=dict)
    emit_interval_ms: int = EMIT_INTERVAL_MS
    counts_nodes: bool = False
    known_end: Callable[[str, int], int] = lambda *_: -1
    """The end of a partition as the client's last fetch saw it, -1 if it has not yet."""
    columns: Columns | None = None
    """The sub-topology compiled, if all of it could be."""
    cache: CacheBudget | None = None
    """How much the thread's record caches may hold; None where every update goes downstream."""
    room: Room = dataclasses.field(default_factory=Room)
    """How much the thread's stores, and columns above them, keep in memory beside what changed."""
    emit_columns: Callable[[Sequence[str], ColumnRun], None] | None = None
    """Writes what columns made, if that need not go through `emit`."""


class StreamTask:
    """One partition of a sub-topology. Belongs to one thread."""

    def __init__(self, task_id: TaskId, sub: SubTopologyLayout, parts: TaskParts) -> None:
        self.id = task_id
        self.context = TaskContext(parts.application_id, str(task_id), parts.clock, parts.emit_interval_ms)
        self.context.partition = task_id.partition
        self.context.stores.update(parts.global_stores)
        if parts.counts_nodes:
            self.context.node_counts = Counter()
        if parts.cache is not None:
            self.context.caches = RecordCaches(self.context, parts.cache, self._handle_held_back)
        self.database = parts.database
        self._parts = parts
        specs: dict[str, StoreSpec] = {name: parts.topology.stores[name] for name in sub.stores}
        self.task = Task(
            sub.nodes,
            specs,
            context=self.context,
            open_store=parts.open_store,
            emit=parts.emit,
            leave_out=self._leave_out,
        )
        self.inputs: dict[str, Input] = {}
        for topic in sub.inputs(task_id.partition):
            self.open_input(topic, sub)
        self._columns: ColumnWork | None = None
        self._columnar_source: str | None = None
        if parts.columns is not None:
            self._columns = ColumnWork(parts.columns, self.context, parts.emit, parts.room)
            self._columnar_source = parts.columns.source
        self._emit_columns = parts.emit_columns or one_by_one(parts.emit)
        self._dirty = False
        self._run: Sequence[Message] = ()
        """The records that are in work."""
        self._run_of = ""
        self.processed = 0
        self.columnar = 0
        """How many of them went through columns."""
        self.record_age_ms: int | None = None
        """How old the latest record was when it had been worked on, ms; None before the first."""
        self.skipped = 0

    def open_input(self, topic: str, sub: SubTopologyLayout) -> None:
        """Read a topic; one that a pattern matches may come later than the task."""
        self._topics = sub.topics
        name = sub.topics[topic]
        node = next(node for node in sub.nodes if isinstance(node, SourceNode) and name in node.topics)
        if name not in self.task.feeds:
            self.task.open_topic(node.name, name)
        self.inputs[topic] = Input(topic, self.task.feeds[name], self.task.entries.get(name), node)

    def close_input(self, topic: str) -> None:
        """Read a topic no more that is gone; what waits of it is dropped, as in Kafka."""
        del self.inputs[topic]

    @property
    def stores(self) -> dict[str, Any]:
        """The task's own stores by name."""
        return self.task.stores

    def asked(self, store: str) -> Any:
        """A store as somebody sees it who looks in from outside, while the task does not work.

        Nothing is sent on from here: what goes wrong with that is for the task's own thread to know.
        """
        if self._columns is not None:
            self._columns.hand_over(asked=True)
        return self.stores[store]

    def takes_blocks(self, topic: str) -> bool:
        """Whether records of an input go through columns."""
        return self._topics[topic] == self._columnar_source

    @property
    def buffered(self) -> int:
        """How many records wait."""
        return sum(source.waiting for source in self.inputs.values())

    def lag(self) -> dict[str, int]:
        """Per input, how many records the last fetch knew of that were not worked on."""
        return {
            topic: max(source.end - max(source.position, 0), 0)
            for topic, source in self.inputs.items()
            if source.end >= 0
        }

    def note_ends(self) -> None:
        """Ask the client how far its inputs go; for its own thread, the client hangs when another one asks."""
        for source in self.inputs.values():
            source.end = self._parts.known_end(source.topic, self.id.partition)

    @property
    def needs_commit(self) -> bool:
        """Whether anything happened since the last commit."""
        return self._dirty

    def start_at(
        self, topic: str, offset: int, partition_time: int, closed: Mapping[str, int], leader_epoch: int = -1
    ) -> None:
        """Take over where the last owner was; a negative offset is none."""
        source = self.inputs[topic]
        source.start_at(offset, leader_epoch)
        source.time = partition_time
        if source.extracts:
            self.task.partition_times[self._topics[topic]] = partition_time
        self.context.stream_time = max(self.context.stream_time, partition_time)
        for store, time in closed.items():
            self.context.closed_windows[store] = max(time, self.context.closed_windows.get(store, time))

    def add(self, topic: str, messages: Sequence[Message]) -> None:
        """Queue records of one input."""
        source = self.inputs[topic]
        if messages:
            self._begin_at(source, messages[0][0])
            source.records.extend(messages)
            source.next_offset = messages[-1][0] + 1
        source.read_to_the_end = False
        source.idle_since = None

    def _begin_at(self, source: Input, offset: int) -> None:
        """An offset goes back only when the topic was made anew or is reset."""
        if offset < source.next_offset:
            logger.warning(
                "%s-%d goes on at offset %d, before %d: its records are not those that were there before",
                source.topic,
                self.id.partition,
                offset,
                source.next_offset,
            )

    def at_end(self, topic: str) -> None:
        """The input has no more records on the cluster."""
        self.inputs[topic].read_to_the_end = True

    def take(self, fetched: Fetched) -> None:
        """Queue what was fetched of one input."""
        source, block = self.inputs[fetched.topic], fetched.block
        if block is not None and fetched.stop > fetched.start:
            if self.takes_blocks(fetched.topic):
                self._begin_at(source, block.offset(fetched.start))
                source.blocks.append(fetched)
                source.read_to_the_end, source.idle_since = False, None
            else:
                self.add(fetched.topic, block.records(fetched.start, fetched.stop))
        if block is not None:
            source.note_leader_epochs(block.leader_epochs)
        source.next_offset = fetched.next_offset
        if block is not None and not source.records and not source.blocks and source.position != source.next_offset:
            # Markers, aborted records, what was compacted away: done with, and to be committed like what was worked on.
            source.position = source.next_offset
            self._dirty = True
        if fetched.at_end:
            self.at_end(fetched.topic)

    def process(self, now: int) -> int:
        """Work on what is there; returns how many records that were.

        Raises:
            RecordError: a record cannot be worked on and its handler does not go on.
        """
        if len(self.inputs) == 1:
            (source,) = self.inputs.values()
            done = len(source.records)
            if done:
                self._process_run(source, source.take_all())
            if self._columns is not None:
                done += self._process_blocks(source, self._columns)
        else:
            done = self._process_in_order(now)
        if done:
            self.processed += done
            self.record_age_ms = max(now - self.context.timestamp, 0)
        return done

    def _process_blocks(self, source: Input, columns: ColumnWork, before: int | None = None) -> int:
        """Take what was fetched through columns, and what is unusual in it by itself; all, or what is older than that.

        Fewer than `RUN_MIN` that are older are not worth a run.
        """
        done = 0
        while source.blocks:
            part = source.blocks[0]
            block, start, stop = part.block, part.start, part.stop
            assert block is not None
            if before is not None:
                stop = block.until(start, stop, before)
                if stop == start:
                    break
            self._dirty = True
            if before is None or stop - start >= RUN_MIN:
                self._process_block(source, block, start, stop, columns)
            else:
                self._process_apart(source, block.records(start, stop), columns)
            done += stop - start
            if stop < part.stop:
                source.blocks[0] = part._replace(start=stop)
                source.position = block.offset(stop - 1) + 1
                return done
            source.blocks.popleft()
            source.position = part.next_offset
        if done and not source.blocks:
            # Behind the last record there may be markers, which nobody has to see again.
            source.position = source.next_offset
        return done

    def _process_apart(self, source: Input, records: Sequence[Message], columns: ColumnWork) -> None:
        """Take records of an input of columns through functions."""
        self.context.topic = source.topic
        columns.hand_over()
        self._process_records(source, records)
        columns.forget(records)

    def _process_block(self, source: Input, block: RecordBlock, start: int, stop: int, columns: ColumnWork) -> None:
        context = self.context
        context.topic = source.topic
        unusual = 1
        while start < stop:
            run = columns.run(block, start, stop)
            if run.stop > start:
                self._emit_columns(columns.topics, run)
                self.columnar += run.stop - start
                context.timestamp = run.latest_ms
                context.stream_time = max(context.stream_time, run.latest_ms)
                source.time = max(source.time, run.latest_ms)
                start, unusual = run.stop, 1
            if run.full:
                columns.make_room()
            elif start < stop:
                # Where one record is unusual the next may be, too: they are taken in more and more at once.
                behind = min(start + unusual, stop)
                self._process_apart(source, block.records(start, behind), columns)
                start, unusual = behind, unusual * 2

    def _process_in_order(self, now: int) -> int:
        done = 0
        inputs = list(self.inputs.values())
        while self._is_ready(inputs, now):
            # Whether one is waited for is another question only when one is empty.
            done += self._process_until_one_is_empty([source for source in inputs if source.has_records])
        return done

    def _process_until_one_is_empty(self, inputs: Sequence[Input]) -> int:
        """Take the records of these by their times, of equal ones those of the first first; returns how many."""
        if len(inputs) == 1:
            return self._process_older(inputs[0], None)
        heads = [(source.head_time(), index) for index, source in enumerate(inputs)]
        heapq.heapify(heads)
        if self._columns is None and all(source.entry is not None for source in inputs):
            return self._process_in_step(inputs, heads)
        done = 0
        while True:
            _, index = heapq.heappop(heads)
            source, (time, other) = inputs[index], heads[0]
            done += self._process_older(source, time + (index < other))
            if not source.has_records:
                return done
            heapq.heappush(heads, (source.head_time(), index))

    def _process_in_step(self, inputs: Sequence[Input], heads: list[tuple[int, int]]) -> int:
        """The same for functions: in one loop, for where inputs are in step a run has one record.

        What there is per record is that of `_take_straight`.
        """
        context, punctuators = self.context, self.context.punctuators
        lanes = [(source, source.records, source.entry) for source in inputs]
        waited = sum(len(source.records) for source in inputs)
        self._dirty = True
        _, index = heapq.heappop(heads)
        while True:
            source, records, entry = lanes[index]
            assert entry is not None
            place, read_key, read_value, forward = entry
            time, other = heads[0]
            before = time + (index < other)
            context.topic = self._run_of = source.topic
            self._run = records
            while True:
                message = records[0]
                context.offset, timestamp, key, value, headers = message
                try:
                    if key is not None:
                        key = read_key(key)
                    if value is not None:
                        value = read_value(value)
                except Exception as error:  # noqa: BLE001 (as in `_take_straight`)
                    self._handle_unreadable(error, message)
                else:
                    if timestamp < 0:
                        raise negative_timestamp(place, timestamp, context)
                    context.timestamp = timestamp
                    if timestamp > source.time:
                        source.time = timestamp
                        if timestamp > context.stream_time:
                            context.stream_time = timestamp
                    try:
                        forward(key, value, timestamp, headers)
                    except NOT_OF_THE_RECORD:
                        raise
                    except Exception as error:  # noqa: BLE001 (as above)
                        self._handle(error, message)
                    if punctuators:
                        self.task.punctuate(PunctuationType.STREAM_TIME, context.stream_time)
                records.popleft()
                if not records or records[0][1] >= before:
                    break
            if not records:
                source.position = source.next_offset
                self._run = ()
                return waited - sum(len(source.records) for source in inputs)
            source.position = message[0] + 1
            _, index = heapq.heappushpop(heads, (records[0][1], index))

    def _process_older(self, source: Input, before: int | None) -> int:
        """Take the next record of an input, and those behind it that are older than that, or all; returns how many."""
        columns = self._columns
        if source.blocks:
            assert columns is not None
            return self._process_blocks(source, columns, before)
        records = source.take_all() if before is None else source.take_before(before)
        if columns is not None:
            columns.others_work()
        self._process_run(source, records)
        if columns is not None:
            columns.others_worked(records)
        return len(records)

    def _is_ready(self, inputs: list[Input], now: int) -> bool:
        empty = [source for source in inputs if not source.has_records]
        if len(empty) == len(inputs):
            return False
        if self._parts.max_idle_ms == NO_IDLING:
            return True
        for source in empty:
            if not source.read_to_the_end and not self._is_read_to_the_end(source):
                return False
            if source.idle_since is None:
                source.idle_since = now
            if now - source.idle_since < self._parts.max_idle_ms:
                return False
        return True

    def _is_read_to_the_end(self, source: Input) -> bool:
        """Whether the last fetch saw no more; the client's event for that comes only with the fetch after it."""
        source.end = self._parts.known_end(source.topic, self.id.partition)
        source.read_to_the_end = 0 <= source.end <= source.next_offset
        return source.read_to_the_end

    def _process_run(self, source: Input, records: Sequence[Message]) -> None:
        """Take the first records of one input, which it has given, through the topology."""
        self.context.topic = source.topic
        self._dirty = True
        self._process_records(source, records)
        # Behind the last record there may be markers, which nobody has to see again.
        source.position = records[-1][0] + 1 if source.records else source.next_offset

    def _process_records(self, source: Input, records: Sequence[Message]) -> None:
        self._run, self._run_of = records, source.topic
        if source.entry is None:
            self._take_through(records, source.feed)
            source.time = max(source.time, self.task.partition_times.get(self._topics[source.topic], -1))
        else:
            source.time = max(source.time, self._take_straight(records, source.entry))
        self._run = ()

    def _take_straight(self, records: Sequence[Message], entry: Entry) -> int:
        """The loop that nearly all records go through; returns their greatest timestamp."""
        context, latest = self.context, -1
        punctuators = context.punctuators
        place, read_key, read_value, forward = entry
        for message in records:
            context.offset, timestamp, key, value, headers = message
            try:
                if key is not None:
                    key = read_key(key)
                if value is not None:
                    value = read_value(value)
            except Exception as error:  # noqa: BLE001 (the handler decides, and raises it again unless it goes on)
                self._handle_unreadable(error, message)
                continue
            if timestamp < 0:
                raise negative_timestamp(place, timestamp, context)
            context.timestamp = timestamp
            if timestamp > latest:
                latest = timestamp
                if timestamp > context.stream_time:
                    context.stream_time = timestamp
            try:
                forward(key, value, timestamp, headers)
            except NOT_OF_THE_RECORD:
                raise
            except Exception as error:  # noqa: BLE001 (as above)
                self._handle(error, message)
            if punctuators:
                self.task.punctuate(PunctuationType.STREAM_TIME, context.stream_time)
        return latest

    def _take_through(self, records: Sequence[Message], feed: Feed) -> None:
        """The same for a source that extracts timestamps."""
        context = self.context
        for message in records:
            context.offset, timestamp, key, value, headers = message
            try:
                feed(key, value, timestamp, headers)
            except NOT_OF_THE_RECORD:
                raise
            except RecordError as error:
                self._handle_unreadable(error.__cause__ or error, message)
            except Exception as error:  # noqa: BLE001 (as above)
                self._handle(error, message)
            if context.punctuators:
                self.task.punctuate(PunctuationType.STREAM_TIME, context.stream_time)

    def _failure(self, cause: BaseException, message: Message) -> Failure:
        assert self.context.topic is not None
        offset, timestamp, key, value, headers = message
        return Failure(
            cause, str(self.id), self.context.topic, self.id.partition, offset, key, value, timestamp, headers
        )

    def _leave_out(self, error: UnwritableError) -> bool:
        """Whether to go on without what a sink cannot serialise: the handler is shown the record it was made from."""
        run = self._run if self.context.topic == self._run_of else ()
        message = next((one for one in run if one[0] == self.context.offset), None)
        if message is None:
            # Of a punctuator, or of a record that was done with before: there is none to show.
            return False
        return self._goes_on(self._parts.on_unwritable, self._failure(error, message))

    def _handle_unreadable(self, error: BaseException, message: Message) -> None:
        failure = self._failure(error, message)
        if not self._goes_on(self._parts.on_unreadable, failure):
            raise RecordError("cannot be read", failure.topic, failure.partition, failure.offset) from error

    def _handle(self, error: Exception, message: Message) -> None:
        failure = self._failure(error, message)
        if not self._goes_on(self._parts.on_unprocessable, failure):
            raise RecordError("cannot be processed", failure.topic, failure.partition, failure.offset) from error

    def _handle_held_back(self, error: Exception) -> None:
        """The same for an update out of a record cache: there is no record to show, as in Kafka."""
        if isinstance(error, NOT_OF_THE_RECORD):
            raise error
        context = self.context
        assert context.topic is not None
        place = context.topic, self.id.partition, context.offset
        failure = Failure(error, str(self.id), *place, None, None, context.timestamp, NO_HEADERS)
        try:
            goes_on = self._goes_on(self._parts.on_unprocessable, failure)
        except NOT_OF_THE_RECORD:
            raise
        except Exception as raised:
            # As it is it would be taken for an error of the record in work, and what waits behind this update be lost.
            raise HeldBackError("cannot be processed, and its handler has failed", *place) from raised
        if not goes_on:
            raise HeldBackError("cannot be processed", *place) from error

    def _goes_on(self, handler: Handler, failure: Failure) -> bool:
        decision = handler(failure)
        self._parts.dead_letter(failure)
        if decision is Response.FAIL:
            return False
        self.skipped += 1
        return True

    def punctuate_wall_clock(self, now: int) -> None:
        """Run the wall-clock punctuators that are due."""
        if self.context.punctuators and self.task.punctuate(PunctuationType.WALL_CLOCK_TIME, now):
            self._dirty = True

    def flush(self, writers: dict[str, ChangelogWriter]) -> None:
        """Send on what the record caches hold, then hand out what changed in the stores.

        A store without a writer only forgets that it changed.
        """
        if self._columns is not None:
            self._columns.flush(writers)
        if self.context.caches is not None:
            self.context.caches.flush()
        for name, store in self.stores.items():
            store.flush(writers.get(name, _nobody))

    def committed(self, changelogs: Mapping[str, int]) -> None:
        """Everything up to here is safe; so is now what is on disk."""
        self._dirty = False
        self.written(changelogs)

    def written(self, changelogs: Mapping[str, int]) -> None:
        """Put on disk what was handed out by `flush`."""
        if self.database is not None:
            self.database.write(changelogs)

    def positions(self) -> list[tuple[str, int, int]]:
        """Topic, next offset and partition time of each input that anything was processed of."""
        return [(source.topic, source.position, source.time) for source in self.inputs.values() if source.position >= 0]

    def close(self) -> None:
        """Close the stores; nothing is flushed."""
        try:
            self.task.close()
        finally:
            if self.database is not None:
                self.database.close()


def _nobody(key: bytes, value: bytes | None, timestamp: int) -> None:
    pass
