"""A task: the nodes of one sub-topology, bound to stores and to each other, as functions that run.

No thread, no socket, no clock of its own: whoever drives it hands in records, times and a place for what comes out.
The engine makes one task per sub-topology and partition, the test driver one for all of a topology.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from moldau.streams.context import TaskContext
from moldau.streams.errors import RecordError, TimestampError, UnwritableError
from moldau.streams.operators.contract import Headers, NodeContext, Process, Sink, fan_out
from moldau.streams.punctuation import PunctuationType
from moldau.streams.serdes import required
from moldau.streams.state.contract import OpenStore, Store
from moldau.streams.topology.nodes import Node, Partitioner, ProcessorNode, SinkNode, SourceNode, StoreSpec

Emit = Callable[[str, bytes | None, bytes | None, int, Headers, Any, Any, Partitioner | None], None]
"""`emit(topic, key, value, timestamp, headers, key_object, value_object, partitioner)`: one record out of a sink.

The topic is the topology's name for it; an internal one is still without the application id."""

LeaveOut = Callable[[UnwritableError], bool]
"""`leave_out(error)`: whether to go on without a record that a sink cannot serialise."""

Feed = Callable[[bytes | None, bytes | None, int, Headers], None]
"""`feed(key, value, timestamp, headers)`: one record into a source, as it came off the wire."""


class Entry(NamedTuple):
    """A source whose records have their own time, as whoever has many records at once goes in: read, then forward."""

    place: str
    read_key: Callable[[bytes], Any]
    read_value: Callable[[bytes], Any]
    forward: Process


class Task:
    """A running set of nodes. `feeds` has one function per input topic: the whole way of a record through the task."""

    def __init__(
        self,
        nodes: Iterable[Node],
        stores: Mapping[str, StoreSpec],
        *,
        context: TaskContext,
        open_store: OpenStore,
        emit: Emit,
        leave_out: LeaveOut | None = None,
    ) -> None:
        self.context = context
        self.partition_times: dict[str, int] = {}
        """The greatest extracted timestamp per input topic; whoever takes a task over sets them."""
        self._leave_out = leave_out
        self._nodes = {node.name: node for node in nodes}
        self._emit = emit
        self._sources: dict[str, Process] = {}
        self.feeds: dict[str, Feed] = {}
        self.entries: dict[str, Entry] = {}
        used = dict.fromkeys(
            name for node in self._nodes.values() if isinstance(node, ProcessorNode) for name in node.stores
        )
        self.stores: dict[str, Store] = {name: open_store(stores[name], context) for name in used}
        context.stores.update(self.stores)
        self._bind_all()

    def _bind_all(self) -> None:
        """Bind every node after its children, so that what a node forwards to is there already.

        Nodes are added after their parents, so from the last to the first each one's children are bound before it.
        """
        children: dict[str, dict[str, Process]] = {name: {} for name in self._nodes}
        for node in reversed(self._nodes.values()):
            below = dict(reversed(children[node.name].items()))
            forward = fan_out(list(below.values()))
            if isinstance(node, SourceNode):
                self._sources[node.name] = forward
                for topic in node.topics:
                    self._open(node, topic, forward)
                continue
            process = (
                self._sink(node)
                if isinstance(node, SinkNode)
                else node.operator.bind(NodeContext(node.name, self.context, below), forward)
            )
            if self.context.node_counts is not None:
                process = _counted(process, node.name, self.context.node_counts)
            for parent in node.parents:
                children[parent][node.name] = process

    def open_topic(self, source: str, topic: str) -> None:
        """Let a source read one more topic: how a pattern grows."""
        node = self._nodes[source]
        assert isinstance(node, SourceNode)
        self._open(node, topic, self._sources[source])

    def _open(self, node: SourceNode, topic: str, forward: Process) -> None:
        self.feeds[topic] = self._feed(node, topic, forward)
        if node.timestamp_extractor is None:
            self.entries[topic] = _entry(node, topic, forward)

    def _feed(self, node: SourceNode, topic: str, forward: Process) -> Feed:
        context = self.context
        place = f"source {node.name} ({topic})"
        read_key = required(node.key, place, "key").bind(topic, "key").deserialize
        read_value = required(node.value, place, "value").bind(topic, "value").deserialize
        extract, times = node.timestamp_extractor, self.partition_times

        def feed(key: bytes | None, value: bytes | None, timestamp: int, headers: Headers) -> None:
            try:
                read = None if key is None else read_key(key), None if value is None else read_value(value)
            except Exception as error:
                raise RecordError("cannot be read", context.topic, context.partition, context.offset) from error
            if extract is not None:
                before = times.get(topic, -1)
                try:
                    timestamp = extract(timestamp, *read, before)
                except Exception as error:
                    raise TimestampError(
                        f"the timestamp extractor of {place} has failed",
                        context.topic,
                        context.partition,
                        context.offset,
                    ) from error
                times[topic] = max(before, timestamp)
            if timestamp < 0:
                if extract is None:
                    raise negative_timestamp(place, timestamp, context)
                context.dropped(node.name, "the extracted timestamp is negative")
                return
            context.timestamp = timestamp
            if timestamp > context.stream_time:
                context.stream_time = timestamp
            forward(*read, timestamp, headers)

        return feed

    def _sink(self, node: SinkNode) -> Process:
        emit, choose = self._emit, node.topic
        if isinstance(choose, str):
            straight, sink = _into(choose, node, emit, self._leave_out)
            if node.partitioner is None:
                self.context.sinks[straight] = sink
            return straight
        writers: dict[str, Process] = {}

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            topic = choose(key, value, headers)
            write = writers.get(topic)
            if write is None:
                write = writers[topic] = _into(topic, node, emit, self._leave_out)[0]
            write(key, value, timestamp, headers)

        return process

    def punctuate(self, kind: PunctuationType, now: int) -> bool:
        """Run the punctuators of one kind that are due at `now` (stream time or wall clock, ms); whether any ran."""
        ran = False
        punctuators = self.context.punctuators
        for punctuator in list(punctuators):
            if punctuator.cancelled:
                punctuators.remove(punctuator)
            elif punctuator.kind is kind and punctuator.run_if_due(now):
                ran = True
        return ran

    def flush(self, write: Callable[[str, bytes, bytes | None, int], None]) -> None:
        """Hand out what changed in the stores: `write(store, key, value, timestamp)`, in the bytes of the changelog."""
        for name, store in self.stores.items():

            def write_one(key: bytes, value: bytes | None, timestamp: int, name: str = name) -> None:
                write(name, key, value, timestamp)

            store.flush(write_one)

    def close(self) -> None:
        """Close the operators' punctuators, what they have opened themselves, and the stores.

        An error of a `close()` comes out when everything is closed; of several the first.
        """
        self.context.punctuators.clear()
        with ExitStack() as stack:
            for store in self.stores.values():
                stack.callback(store.close)
            for call in reversed(self.context.closing):
                stack.callback(call)


def _entry(node: SourceNode, topic: str, forward: Process) -> Entry:
    place = f"source {node.name} ({topic})"
    return Entry(
        place,
        required(node.key, place, "key").bind(topic, "key").deserialize,
        required(node.value, place, "value").bind(topic, "value").deserialize,
        forward,
    )


def negative_timestamp(place: str, timestamp: int, context: TaskContext) -> TimestampError:
    """What is said of a record whose own time is before 1970."""
    return TimestampError(
        f"the timestamp {timestamp} is negative",
        context.topic,
        context.partition,
        context.offset,
        hint=f"give {place} a timestamp extractor: Consumed.with_(..., timestamp_extractor=...)",
    )


def _counted(process: Process, node: str, counts: Counter[str]) -> Process:
    """A node that counts what it is given."""

    def count(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        counts[node] += 1
        process(key, value, timestamp, headers)

    return count


def _into(topic: str, node: SinkNode, emit: Emit, leave_out: LeaveOut | None) -> tuple[Process, Sink]:
    """What writes into one topic, with the serdes bound to it."""
    place, partitioner = f"sink {node.name} ({topic})", node.partitioner
    key_serde = required(node.key, place, "key").bind(topic, "key")
    value_serde = required(node.value, place, "value").bind(topic, "value")
    write_key, write_value = key_serde.serialize, value_serde.serialize

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            key_bytes = None if key is None else write_key(key)
            value_bytes = None if value is None else write_value(value)
        except Exception as cause:
            error = UnwritableError(topic, node.name, cause)
            if leave_out is None or not leave_out(error):
                raise error from cause
            return
        emit(topic, key_bytes, value_bytes, timestamp, headers, key, value, partitioner)

    return process, Sink(topic, key_serde, value_serde, emit)
