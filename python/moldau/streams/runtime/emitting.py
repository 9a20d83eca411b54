"""The way of runs of columns out of a sink, and how one that takes a record at a time takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moldau._core import ColumnRun
from moldau.streams.task import Emit

EmitColumns = Callable[[Sequence[str], ColumnRun], None]
"""`emit_columns(topics, run)`: the records of each output of a run out of its sink, by the topology's names."""


def one_by_one(emit: Emit) -> EmitColumns:
    """Runs of columns out of sinks that take a record at a time."""

    def emit_columns(topics: Sequence[str], run: ColumnRun) -> None:
        for output, topic in enumerate(topics):
            for key, value, timestamp, headers in run.records(output):
                emit(topic, key, value, timestamp, headers, None, None, None)

    return emit_columns
