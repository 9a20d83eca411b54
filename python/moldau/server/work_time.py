"""How long the event loop works for one request, the waiting left out: what a quota of time counts (KIP-124).

Only used while such a quota exists. Work that a request leaves to a machine is not in it, as in Kafka, where a quota
counts the threads of the broker and not those of coordinators and controllers.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from time import perf_counter_ns
from typing import Any, TypeVar

T = TypeVar("T")


class WorkTime:
    """A stopwatch that runs while a coroutine runs, and stands while it waits."""

    def __init__(self) -> None:
        self.busy_ns = 0

    @types.coroutine
    def measure(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run `coroutine` to its end, counting its steps. What is thrown in, a cancellation for one, goes to it."""
        step: Callable[[], Any] = partial(coroutine.send, None)
        while True:
            started = perf_counter_ns()
            try:
                awaited = step()
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.busy_ns += perf_counter_ns() - started
            try:
                sent = yield awaited
            except BaseException as thrown:  # noqa: BLE001 - it is handed on to the coroutine, whatever it is
                step = partial(coroutine.throw, thrown)
            else:
                step = partial(coroutine.send, sent)
