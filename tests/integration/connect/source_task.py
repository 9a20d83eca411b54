"""A PostgreSQL source task driven by hand: polled, acknowledged, stopped and started again as a worker would."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from moldau.connect.connectors.postgres.source import PostgresConnector
from moldau.connect.connectors.postgres.task import PostgresSourceTask
from moldau.connect.ready import DirectConverters, ReadyRecords, stretches_of
from moldau.connect.records import SourceRecord

PATIENCE_S = 30


class Offsets:
    """What a worker has stored: the last offset of the source's one partition."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None

    def offset(self, partition: Mapping[str, Any]) -> dict[str, Any] | None:
        return self.stored

    def offsets(self, partitions):
        return [self.stored for _ in partitions]


class Context:
    def __init__(
        self, offsets: Offsets, direct: DirectConverters | None = None, given_up: Callable[[], bool] = bool
    ) -> None:
        self._offsets = offsets
        self._direct = direct
        self.given_up = given_up

    def offset_storage_reader(self) -> Offsets:
        return self._offsets

    def direct_converters(self) -> DirectConverters | None:
        return self._direct


class Source:
    """Runs a task. `records` are all that came; `acknowledge` says whether each is stored at once."""

    def __init__(
        self,
        props: Mapping[str, str],
        offsets: Offsets | None = None,
        *,
        acknowledge: bool = True,
        direct: DirectConverters | None = None,
        given_up: Callable[[], bool] = bool,
    ) -> None:
        self.offsets = offsets or Offsets()
        self.acknowledge = acknowledge
        self.records: list[SourceRecord] = []
        connector = PostgresConnector()
        connector.start(props)
        (self.props,) = connector.task_configs(4)
        self.task = PostgresSourceTask()
        self.task.initialize(Context(self.offsets, direct, given_up))
        self.task.start(self.props)

    def poll(self) -> list[SourceRecord]:
        found = self.task.poll() or ()
        polled = list(found)
        self.records += polled
        for part in stretches_of(found):
            if isinstance(part, ReadyRecords):
                self.look(part)
        if self.acknowledge:
            self.store(found)
        return polled

    def look(self, ready: ReadyRecords) -> None:
        """At what came the short way."""

    def store(self, records: Sequence[SourceRecord]) -> None:
        for part in stretches_of(records):
            if isinstance(part, ReadyRecords):
                part.arrived()
                self.offsets.stored = dict(part.source_offset)
                continue
            for record in part:
                self.task.commit_record(record, None)
                self.offsets.stored = dict(record.source_offset)
        self.task.commit()

    def until(self, done: Callable[[SourceRecord], bool]) -> list[SourceRecord]:
        """Polls until a record comes for which `done` is true; the records since the call."""
        found: list[SourceRecord] = []
        deadline = time.monotonic() + PATIENCE_S
        while True:
            polled = self.poll()
            found += polled
            if any(map(done, polled)):
                return found
            assert time.monotonic() < deadline, f"it did not come; what came: {found[-5:]}"

    def until_count(self, count: int) -> list[SourceRecord]:
        """Polls until so many records have come since the start."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.records) < count:
            self.poll()
            assert time.monotonic() < deadline, f"{len(self.records)} of {count}: {self.records[-3:]}"
        return self.records

    def stop(self) -> None:
        self.task.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def op(record: SourceRecord) -> str | None:
    """The operation of an event; None for a tombstone, and for what is no event."""
    value = record.value
    return None if value is None or "op" not in value.schema.by_name else value.get("op")


def after(record: SourceRecord) -> dict[str, Any] | None:
    value = record.value
    return None if value is None or value.get("after") is None else dict(value.get("after").items())
