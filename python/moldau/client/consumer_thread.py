"""The thread on which an AsyncConsumer makes every call of its consumer.

One thread, because a consumer must not be used from two, and because a call may block for as long as it likes there.
A rebalance callback that is a coroutine runs on the event loop while the call that triggered it waits; what the
coroutine asks of the consumer is then done by the waiting thread, inside that call, as librdkafka requires. So the
thread, while it waits, serves a queue of its own for that coroutine alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

Work = tuple[Future[Any], Callable[[], Any]]
WorkQueue = queue.SimpleQueue[Work | None]

_queue_of_callback: contextvars.ContextVar[WorkQueue | None] = contextvars.ContextVar("queue_of_callback", default=None)


class ConsumerThread:
    """Runs functions one after the other on one thread; a coroutine can call back into it from within one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: WorkQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=serve, args=(self._work,), name="moldau-async-consumer", daemon=True)
        self._thread.start()

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The result of a function called on the thread. Cancelled, the caller stops waiting; the call goes on."""
        result: Future[T] = Future()
        work = _queue_of_callback.get() or self._work
        work.put((result, lambda: function(*args, **kwargs)))
        return await asyncio.wrap_future(result)

    def wait_for(self, coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """On the thread: run a coroutine on the event loop, and until it ends do what it asks of the thread."""
        work: WorkQueue = queue.SimpleQueue()
        result: Future[T] = Future()

        async def run() -> None:
            _queue_of_callback.set(work)
            try:
                result.set_result(await coroutine())
            except BaseException as error:  # noqa: BLE001 -- raised again on the thread that waits
                result.set_exception(error)
            finally:
                work.put(None)

        asyncio.run_coroutine_threadsafe(run(), self._loop)
        serve(work)
        return result.result()

    async def stop(self) -> None:
        """End the thread after what it still has to do."""
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)


def serve(work: WorkQueue) -> None:
    """Do the work of a queue until None comes."""
    while (item := work.get()) is not None:
        result, function = item
        if not result.set_running_or_notify_cancel():
            continue
        try:
            result.set_result(function())
        except BaseException as error:  # noqa: BLE001 -- raised again where the result is awaited
            result.set_exception(error)
