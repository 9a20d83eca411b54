"""What happens when a record cannot be converted, transformed or sent: tried again, reported, tolerated, or the end.

`errors.tolerance`, `errors.retry.timeout` and `errors.retry.delay.max.ms` are Kafka's (KIP-298), and so are the stages.
Only errors in converters and transforms are tolerated whatever they are; elsewhere only those that can be retried.
"""

from __future__ import annotations

import enum
import logging
import random
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from moldau.connect.errors import ConfigError, ConnectError, DataError, RetriableError
from moldau.connect.runtime.names import TaskId

logger: Final = logging.getLogger("moldau.connect.errors")

T = TypeVar("T")

RETRY_DELAY_MIN_S: Final = 0.3
FAREST: Final = 2.0**31


class Stage(enum.Enum):
    """Where in its way a record failed, in Kafka's words."""

    TASK_PUT = "TASK_PUT"
    TASK_POLL = "TASK_POLL"
    TRANSFORMATION = "TRANSFORMATION"
    KEY_CONVERTER = "KEY_CONVERTER"
    VALUE_CONVERTER = "VALUE_CONVERTER"
    HEADER_CONVERTER = "HEADER_CONVERTER"
    KAFKA_PRODUCE = "KAFKA_PRODUCE"
    KAFKA_CONSUME = "KAFKA_CONSUME"


ANY_IS_TOLERABLE: Final = frozenset(
    {Stage.TRANSFORMATION, Stage.KEY_CONVERTER, Stage.VALUE_CONVERTER, Stage.HEADER_CONVERTER}
)


class Failure:
    """One record that failed, as reporters read it. `original` is what was consumed, or what a source handed out."""

    __slots__ = ("attempts", "class_name", "error", "original", "stage")

    def __init__(self, original: Any, stage: Stage, class_name: str, error: BaseException, attempts: int = 1) -> None:
        self.original = original
        self.stage = stage
        self.class_name = class_name
        self.error = error
        self.attempts = attempts


class Reporter(Protocol):
    """Somebody who wants to know of a failure."""

    def report(self, failure: Failure) -> None: ...
    def flush(self) -> None:
        """Return when what was reported is kept. Raises ConnectError if it is not."""

    def close(self) -> None: ...


@dataclass(slots=True)
class ErrorCounts:
    """Failures are attempts that failed, errors what failed in the end; what was tolerated of these was skipped."""

    failures: int = 0
    retries: int = 0
    errors: int = 0
    skipped: int = 0
    last_error_ms: int = 0


class Skipped(Exception):  # noqa: N818 (no error: the record is left out, and that was asked for)
    """The record has failed, which is tolerated and reported."""


class Tolerance:
    """One for each task. Its methods belong to the task's thread, but `stop`."""

    def __init__(
        self,
        *,
        tolerate_all: bool = False,
        retry_timeout_s: float = 0.0,
        retry_delay_max_s: float = 60.0,
        reporters: Sequence[Reporter] = (),
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """A negative `retry_timeout_s` tries for ever. `wait` may return early when the task is to stop."""
        self.tolerate_all = tolerate_all
        self.reporters = list(reporters)
        self.counts = ErrorCounts()
        self._retry_timeout_s = retry_timeout_s if retry_timeout_s >= 0 else FAREST
        self._retry_delay_max_s = retry_delay_max_s
        self._stopping = threading.Event()
        self._now = now
        self._wait = wait or self._stopping.wait

    def stop(self) -> None:
        """End the waiting between retries: what is being tried has failed."""
        self._stopping.set()

    def call(self, operation: Callable[..., T], *arguments: Any, original: Any, stage: Stage, class_name: str) -> T:
        """Do it, and return what it returns.

        Raises:
            Skipped: it failed, which was reported and is tolerated.
            ConnectError: it failed, which was reported and is not tolerated.
        """
        try:
            return operation(*arguments)
        except Exception as error:  # noqa: BLE001 (plugins raise what they like; it is judged below)
            return self._again(error, operation, arguments, original, stage, class_name)

    def _again(
        self,
        error: Exception,
        operation: Callable[..., T],
        arguments: Sequence[Any],
        original: Any,
        stage: Stage,
        class_name: str,
    ) -> T:
        deadline = self._now() + self._retry_timeout_s
        attempts = 1
        self.counts.failures += 1
        while isinstance(error, RetriableError) and not self._stopping.is_set() and self._now() < deadline:
            self._back_off(attempts, deadline)
            if self._stopping.is_set():
                break
            attempts += 1
            self.counts.retries += 1
            try:
                return operation(*arguments)
            except Exception as again:  # noqa: BLE001
                self.counts.failures += 1
                error = again
        self.failed(Failure(original, stage, class_name, error, attempts))
        raise Skipped

    def failed(self, failure: Failure) -> None:
        """Count and report a failure.

        Raises:
            ConnectError: it is not tolerated.
        """
        self._count_and_report(failure)
        error = failure.error
        if failure.stage not in ANY_IS_TOLERABLE and not isinstance(error, RetriableError):
            raise ConnectError("Unhandled exception in error handler") from error
        if not self.tolerate_all:
            raise ConnectError("Tolerance exceeded in error handler") from error
        self.counts.skipped += 1

    def report_errant(self, failure: Failure) -> None:
        """Report what a sink could not write. Raises ConnectError unless everything is tolerated."""
        self.counts.failures += 1
        self._count_and_report(failure)
        if not self.tolerate_all:
            raise ConnectError("Error tolerance exceeded") from failure.error
        self.counts.skipped += 1

    def _count_and_report(self, failure: Failure) -> None:
        self.counts.errors += 1
        self.counts.last_error_ms = time.time_ns() // 1_000_000
        for reporter in self.reporters:
            reporter.report(failure)

    def _back_off(self, attempts: int, deadline: float) -> None:
        delay = RETRY_DELAY_MIN_S * 2 ** min(attempts - 1, 30)
        if delay > self._retry_delay_max_s:
            # Not a decision but a way for many tasks not to come back at the same moment.
            delay = random.uniform(0, self._retry_delay_max_s)
        self._wait(max(min(delay, deadline - self._now()), 0))

    def flush(self) -> None:
        """Return when everything that was reported is kept. Raises ConnectError if it is not."""
        for reporter in self.reporters:
            reporter.flush()

    def close(self) -> None:
        """Close the reporters."""
        for reporter in self.reporters:
            reporter.close()


class LogReporter:
    """`errors.log.enable`: a line for each failure, with the record when `errors.log.include.messages` says so."""

    def __init__(self, task: TaskId, *, include_messages: bool) -> None:
        self._task = task
        self._include_messages = include_messages
        self.logged = 0

    def report(self, failure: Failure) -> None:
        """Log it."""
        self.logged += 1
        record = f", where {_described(failure.original)}" if self._include_messages else ""
        logger.error(
            "Error encountered in task %s. Executing stage '%s' with class '%s'%s.",
            self._task,
            failure.stage.value,
            failure.class_name,
            record,
            exc_info=failure.error,
        )

    def flush(self) -> None:
        """A line is written when it is logged."""

    def close(self) -> None:
        """Nothing is open."""


def _described(original: Any) -> str:
    if hasattr(original, "offset") and callable(original.offset):
        return (
            f"consumed record is {{topic='{original.topic()}', partition={original.partition()}, "
            f"offset={original.offset()}, key={original.key()!r}, value={original.value()!r}}}"
        )
    return f"source record is = {original!r}"


JAVA_NAMES: Final = (
    (RetriableError, "org.apache.kafka.connect.errors.RetriableException"),
    (DataError, "org.apache.kafka.connect.errors.DataException"),
    (ConfigError, "org.apache.kafka.common.config.ConfigException"),
    (ConnectError, "org.apache.kafka.connect.errors.ConnectException"),
)


def name_of_error(error: BaseException) -> str:
    """The name of an error's class: Kafka's where ours stands for one of it."""
    for ours, java in JAVA_NAMES:
        if type(error) is ours:
            return java
    return f"{type(error).__module__}.{type(error).__qualname__}"


def trace_of(error: BaseException) -> str:
    """The traceback of an error, as statuses and dead letters have it."""
    return "".join(traceback.format_exception(error))
