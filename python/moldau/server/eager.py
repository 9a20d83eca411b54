"""Coroutines that seldom wait, run without a task until they do.

Most requests are decided and answered without waiting for anything. A task of their own would cost more than the
decision: an object, a turn of the event loop, a context. So the first step is taken at once, by the caller, and only
what has to wait becomes a task, which goes on where that step ended.

The first step has no `asyncio.current_task()`: it must not begin with `asyncio.timeout` or `asyncio.wait_for`.

What waits for a `Promise` becomes no task either, when `Running` has begun it: it is taken up again where it stands,
and the step that follows has no current task, as the first one. Members of groups wait like that by the thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
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


class Promise(asyncio.Future[T]):
    """A future that is waited for by a coroutine which has little left to do when it is kept."""

    __slots__ = ()


class Running:
    """Coroutines that were begun and have not ended. It belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._promised: dict[Promise[Any], Coroutine[Any, Any, Any]] = {}

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run `coroutine` until it waits or ends, and when what it waits for is there, the rest of it.

        Raises:
            BaseException: what the coroutine raised before it waited for the first time.
        """
        try:
            awaited = coroutine.send(None)
        except StopIteration:
            return
        if type(awaited) is Promise:
            # What a task says to a future that it is given: it has been seen.
            awaited._asyncio_future_blocking = False  # noqa: SLF001
            self._promised[awaited] = coroutine
            awaited.add_done_callback(self._kept)
        else:
            self._go_on_as_a_task(coroutine, awaited)

    async def drain(self, grace_s: float) -> None:
        """Wait for all of them, then give the rest up: they are cancelled."""
        promised, self._promised = self._promised, {}
        for promise, coroutine in promised.items():
            promise.remove_done_callback(self._kept)
            promise._asyncio_future_blocking = True  # noqa: SLF001
            self._go_on_as_a_task(coroutine, promise)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            for task in late:
                task.cancel()

    def _kept(self, promise: Promise[Any]) -> None:
        coroutine = self._promised.pop(promise, None)
        if coroutine is None:
            # It goes on as a task.
            return
        with suppress(asyncio.CancelledError):
            self.begin(coroutine)

    def _go_on_as_a_task(self, coroutine: Coroutine[Any, Any, Any], awaited: object) -> None:
        task = asyncio.get_running_loop().create_task(_Rest(coroutine, awaited))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
