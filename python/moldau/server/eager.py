"""Coroutines that seldom wait, run without a task until they do.

Most requests are decided and answered without waiting for anything. A task of their own would cost more than the
decision: an object, a turn of the event loop, a context. So the first step is taken at once, by the caller, and only
what has to wait becomes a task, which goes on where that step ended.

The first step has no `asyncio.current_task()`: it must not begin with `asyncio.timeout` or `asyncio.wait_for`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Finished(Generic[T]):
    """What a coroutine gave back that did not have to wait."""

    value: T


def begin(coroutine: Coroutine[Any, Any, T]) -> Finished[T] | asyncio.Task[T]:
    """Run `coroutine` until it waits or ends. What waits goes on as the task that is returned.

    Raises:
        BaseException: what the coroutine raised before it waited for the first time.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        return Finished(end.value)
    return asyncio.get_running_loop().create_task(_Rest(coroutine, awaited))


async def give_way() -> None:
    """Let what is waiting for the event loop have a turn."""
    await asyncio.sleep(0)


class _Rest(Coroutine[Any, Any, T]):
    """A coroutine that waits for `awaited` already. An object and not an `async def`: a task that is cancelled before
    its first step never enters a function, and what is suspended in here has to learn of the cancellation.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: object) -> None:
        self._coroutine = coroutine
        self._awaited = awaited
        self._told = False

    def send(self, value: Any, /) -> Any:
        if self._told:
            return self._coroutine.send(value)
        self._told = True
        return self._awaited

    def throw(self, *thrown: Any) -> Any:
        self._told = True
        return self._coroutine.throw(*thrown)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        raise TypeError("only the task that was made for it goes on with it")
