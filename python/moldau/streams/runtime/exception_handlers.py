"""What is done with a record that cannot be read, processed or written: fail, go on, and a copy for the dead letters.

A handler is a function `handler(failure) -> Response`, or one of Kafka's names. Fail is the default everywhere. With
`errors.dead.letter.queue.topic.name` a record that is left behind is written there, with the headers of KIP-1034.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from moldau.streams.operators.contract import Header, Headers

logger: Final = logging.getLogger("moldau.streams")


class Response(Enum):
    """What a handler decides."""

    FAIL = "fail"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that could not be worked on, as it came off the wire, and why.

    An update that waited in a record cache has the place of the record that made it, whose key and value are gone: both
    are None, and there are no headers.
    """

    error: BaseException
    task: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers

    def __str__(self) -> str:
        return f"record {self.topic}-{self.partition} at offset {self.offset} in task {self.task}: {self.error!r}"


Handler = Callable[[Failure], Response]


def log_and_fail(failure: Failure) -> Response:
    """Say where it was, and stop. (`LogAndFailExceptionHandler`, `LogAndFailProcessingExceptionHandler`)"""
    logger.error("failing at %s", failure, exc_info=failure.error)
    return Response.FAIL


def log_and_continue(failure: Failure) -> Response:
    """Say where it was, and leave the record out. (`LogAndContinueExceptionHandler`, …)"""
    logger.warning("leaving out %s", failure)
    return Response.CONTINUE


_BY_NAME: Final = {
    "DefaultProductionExceptionHandler": log_and_fail,
    "LogAndContinueExceptionHandler": log_and_continue,
    "LogAndContinueProcessingExceptionHandler": log_and_continue,
    "LogAndFailExceptionHandler": log_and_fail,
    "LogAndFailProcessingExceptionHandler": log_and_fail,
    "continue": log_and_continue,
    "fail": log_and_fail,
}


def handler_of(given: Any) -> Handler:
    """The handler that a setting names: a function, Kafka's class name, or `fail` or `continue`; or ValueError."""
    if callable(given):
        function: Handler = given
        return function
    known = _BY_NAME.get(str(given).rsplit(".", 1)[-1])
    if known is None:
        raise ValueError(f"there is no handler {given!r}: give a function, or one of {', '.join(_BY_NAME)}")
    return known


def dead_letter_headers(failure: Failure) -> list[Header]:
    """The record's own headers and Kafka's about the error."""
    error = failure.error
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return [
        *failure.headers,
        ("__streams.errors.exception", name.encode()),
        ("__streams.errors.message", str(error).encode()),
        ("__streams.errors.stacktrace", "".join(traceback.format_exception(error)).encode()),
        ("__streams.errors.topic", failure.topic.encode()),
        ("__streams.errors.partition", str(failure.partition).encode()),
        ("__streams.errors.offset", str(failure.offset).encode()),
    ]
