"""Threads that nobody waits for at the end of the process.

`ThreadPoolExecutor` has the interpreter wait for its threads before it ends, so a request that another machine does not
answer would hold up a worker that was asked to stop for as long as it may take.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads(Executor):
    """So many at most; each is started when all others are busy."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._waiting: set[Future[Any]] = set()
        self._closed = False

    def submit(self, call: Callable[..., T], /, *arguments: Any, **more: Any) -> Future[T]:
        """Have it called. Raises RuntimeError behind `shutdown`."""
        done: Future[T] = Future()

        def carry_out() -> None:
            with self._lock:
                self._waiting.discard(done)
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(call(*arguments, **more))
            except BaseException as error:  # noqa: BLE001 (whatever it is, it belongs to whoever asked)
                done.set_exception(error)

        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} takes no more calls")
            self._waiting.add(done)
            self._calls.put(carry_out)
            if not self._idle.acquire(blocking=False) and self._threads < self._count:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. `wait` is not for these threads."""
        del wait
        with self._lock:
            if self._closed:
                return
            self._closed = True
            waiting = list(self._waiting) if cancel_futures else []
        for each in waiting:
            each.cancel()
        for _ in range(self._threads):
            self._calls.put(None)

    def _run(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            call()
            self._idle.release()
