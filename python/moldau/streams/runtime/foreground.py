"""A process that is nothing but an application: it ends when it is told to, and its collector looks seldom."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moldau.collector import looking_seldom


@contextmanager
def in_foreground(stop: Callable[[], object]) -> Iterator[None]:
    """Have `stop()` called, in a thread of its own, when SIGINT or SIGTERM comes while the block lasts.

    The second one does what it would do without us: somebody is tired of waiting. Signals are for the main thread; in
    another one nobody is told. Afterwards the process is as it was.
    """
    told, is_over = threading.Event(), threading.Event()
    is_main = threading.current_thread() is threading.main_thread()
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)} if is_main else {}

    def as_before() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    def tell(*_: object) -> None:
        as_before()
        told.set()

    def watch() -> None:
        told.wait()
        if not is_over.is_set():
            stop()

    watcher = threading.Thread(target=watch, name="moldau-signals", daemon=True)
    watcher.start()
    for one in before:
        signal.signal(one, tell)
    try:
        with looking_seldom():
            yield
    finally:
        as_before()
        is_over.set()
        told.set()
        watcher.join()
