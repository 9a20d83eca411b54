"""The Processor API: a class of your own as a node, with stores, schedules and any number of results.

    class Counting(Processor):
        def init(self, context): super().init(context); self.seen = context.get_state_store("seen")
        def process(self, record): self.context.forward(record.with_value(...))

One object is made per task. `process_values` takes the same, but a processor there may not change keys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from moldau.streams.durations import Duration, milliseconds
from moldau.streams.errors import StreamsError
from moldau.streams.operators.contract import Headers, NodeContext, Process
from moldau.streams.punctuation import PunctuationType, Punctuator

K = TypeVar("K")
V = TypeVar("V")


class Record(NamedTuple, Generic[K, V]):
    """One record; the timestamp is in ms since 1970."""

    key: K
    value: V
    timestamp: int
    headers: Headers = ()

    def with_key(self, key: Any) -> Record[Any, V]:
        """The same under another key."""
        return Record(key, self.value, self.timestamp, self.headers)

    def with_value(self, value: Any) -> Record[K, Any]:
        """The same with another value."""
        return Record(self.key, value, self.timestamp, self.headers)

    def with_timestamp(self, timestamp: int) -> Record[K, V]:
        """The same at another time."""
        return Record(self.key, self.value, timestamp, self.headers)


class ProcessorContext:
    """What a processor may ask and do. Times are in ms since 1970."""

    def __init__(self, node: NodeContext, forward: Process) -> None:
        self._node = node
        self._forward = forward

    def forward(self, record: Record[Any, Any]) -> None:
        """Hand a record to what comes after this node."""
        self._forward(*record)

    def get_state_store(self, name: str) -> Any:
        """A store that this node was connected to."""
        return self._node.task.store(name)

    def schedule(self, interval: Duration, kind: PunctuationType, call: Callable[[int], None]) -> Punctuator:
        """Call `call(now)` every `interval` of stream time or of the wall clock, until it is cancelled."""
        step = milliseconds(interval, "interval")
        if step < 1:
            raise ValueError(f"interval: at least 1 ms, not {interval!r}")
        task = self._node.task
        first = 0 if kind is PunctuationType.STREAM_TIME else task.clock() + step
        punctuator = Punctuator(kind, first, step, call)
        task.punctuators.append(punctuator)
        return punctuator

    def when_closed(self, call: Callable[[], None]) -> None:
        """Have `call()` called when the task is closed."""
        self._node.task.closing.append(call)

    @property
    def stream_time(self) -> int:
        """The greatest timestamp that the task has seen, -1 before the first."""
        return self._node.task.stream_time

    @property
    def wall_clock_time(self) -> int:
        """The clock of whoever drives the task."""
        return self._node.task.clock()

    @property
    def task_id(self) -> str:
        """Sub-topology and partition, such as `0_3`."""
        return self._node.task.task_id

    @property
    def record_metadata(self) -> tuple[str | None, int, int]:
        """Topic, partition and offset of the record in work."""
        task = self._node.task
        return task.topic, task.partition, task.offset


class Processor(ABC):
    """Base of processors; only `process` has to be written."""

    context: ProcessorContext

    def init(self, context: ProcessorContext) -> None:
        """Called once, before the first record."""
        self.context = context

    @abstractmethod
    def process(self, record: Record[Any, Any]) -> None:
        """Called for each record."""

    def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """Called when the task is closed: what was opened in `init` ends here."""


class ValueTransformer(ABC):
    """Base of what `KTable.transform_values` makes rows with. (`ValueTransformerWithKey`)"""

    context: ProcessorContext

    def init(self, context: ProcessorContext) -> None:
        """Called once, before the first row."""
        self.context = context

    @abstractmethod
    def transform(self, key: Any, value: Any) -> Any:
        """The new value of a row; `value` is None for a row that is deleted."""

    def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """Called when the task is closed."""


def start(work: Any, context: ProcessorContext) -> None:
    """Give an object of the user's its context, and have it closed with its task if it wants to be."""
    work.init(context)
    close = getattr(work, "close", None)
    if close is not None:
        context.when_closed(close)


@dataclass(frozen=True, slots=True)
class CustomOperator:
    """A node whose work is a processor of the user's; with `keeps_keys` a changed key is refused."""

    supplier: Callable[[], Any]
    keeps_keys: bool

    def bind(self, node: NodeContext, forward: Process) -> Process:
        processor = self.supplier()
        work = processor.process
        if self.keeps_keys:
            same_key = _SameKey(node.name, forward)
            start(processor, ProcessorContext(node, same_key.forward))

            def process_values(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
                same_key.key = key
                work(Record(key, value, timestamp, headers))

            return process_values
        start(processor, ProcessorContext(node, forward))

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            work(Record(key, value, timestamp, headers))

        return process


class _SameKey:
    """The way out of a node that may not change the key of the record in work."""

    def __init__(self, node: str, forward: Process) -> None:
        self.key: Any = None
        self._node = node
        self._forward = forward

    def forward(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key != self.key:
            raise StreamsError(f"{self._node} changed a key\nhint: process(...) may, process_values(...) may not")
        self._forward(key, value, timestamp, headers)
