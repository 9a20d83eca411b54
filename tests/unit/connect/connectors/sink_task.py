"""A sink task driven by hand: given records, with a reporter that keeps what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Self

from moldau.connect.data import Schema
from moldau.connect.plugin import SinkConnector
from moldau.connect.records import SinkRecord


class Reporter:
    """What a sink could not use."""

    def __init__(self) -> None:
        self.reported: list[tuple[SinkRecord, BaseException]] = []

    def report(self, record: SinkRecord, error: BaseException) -> Future[None]:
        self.reported.append((record, error))
        done: Future[None] = Future()
        done.set_result(None)
        return done


class Context:
    def __init__(self, reporter: Reporter | None, max_poll_interval_ms: int) -> None:
        self.reporter = reporter
        self.max_poll_interval_ms = lambda: max_poll_interval_ms
        self.waits: list[int] = []

    def errant_record_reporter(self) -> Reporter | None:
        return self.reporter

    def timeout(self, timeout_ms: int) -> None:
        self.waits.append(timeout_ms)

    def assignment(self) -> set[tuple[str, int]]:
        return set()


class Sink:
    """Runs a task; `put` gives it records with offsets that go up."""

    def __init__(
        self,
        connector: SinkConnector,
        props: Mapping[str, str],
        *,
        reports: bool = False,
        max_poll_interval_ms: int = 300_000,
    ) -> None:
        connector.start(props)
        self.context = Context(Reporter() if reports else None, max_poll_interval_ms)
        self.task: Any = connector.task_class()()
        self.task.initialize(self.context)
        self.task.start(connector.task_configs(1)[0])
        self.offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.task.stop()

    def record(
        self, topic: str, schema: Schema | None, value: Any, key: Any = None, key_schema: Any = None
    ) -> SinkRecord:
        self.offset += 1
        return SinkRecord(topic, 0, key_schema, key, schema, value, self.offset - 1)

    def put(self, topic: str, schema: Schema | None, *values: Any, key_schema: Any = None, keys: Any = None) -> None:
        given = keys or [None] * len(values)
        self.task.put(
            [self.record(topic, schema, value, key, key_schema) for value, key in zip(values, given, strict=True)]
        )
