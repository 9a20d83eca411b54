"""Records that wait in a buffer keep where they came from, and look like then when they are handed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from moldau.streams.context import TaskContext
from moldau.streams.operators.contract import Headers, Process


class Origin(NamedTuple):
    """What the task said of a record when it was put into a buffer."""

    timestamp: int
    offset: int
    topic: str
    partition: int
    headers: Headers


def origin_of(task: TaskContext, timestamp: int, headers: Headers) -> Origin:
    """The origin of the record in work, at the time that it is given."""
    return Origin(timestamp, task.offset, task.topic or "", task.partition, headers)


def as_it_was(task: TaskContext, forward: Process) -> Callable[[Any, Any, Origin], None]:
    """What hands a record on as the one that it was: whoever asks the task meanwhile sees its place."""

    def forward_then(key: Any, value: Any, origin: Origin) -> None:
        now = task.timestamp, task.offset, task.topic, task.partition
        task.timestamp, task.offset, task.topic, task.partition = origin[:4]
        try:
            forward(key, value, origin[0], origin[4])
        finally:
            task.timestamp, task.offset, task.topic, task.partition = now

    return forward_then
