"""A process that is nothing but an application: it ends when it is told to, and its collector looks seldom."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final, Protocol

from moldau.collector import looking_seldom
from moldau.streams.runtime.states import State

logger: Final = logging.getLogger("moldau.streams")


class Application(Protocol):
    """What is closed: `KafkaStreams`."""

    @property
    def state(self) -> State:
        """What it is doing."""

    def close(self) -> bool:
        """End it; whether that was done in time."""


@contextmanager
def in_foreground(app: Application) -> Iterator[None]:
    """Have `app` closed, by a thread of its own, when SIGINT or SIGTERM comes while the block lasts.

    The second one does what it would do without us: somebody is tired of waiting. Signals are for the main thread; in
    another one nobody is told. Afterwards the process is as it was.
    """
    # Not an Event: an interrupt in the middle of its set() may leave it locked for ever.
    is_wanted: SimpleQueue[bool] = SimpleQueue()
    before = _handlers()

    def as_before() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    def tell(*_: object) -> None:
        as_before()
        is_wanted.put(True)

    def watch() -> None:
        if is_wanted.get() and not app.close():
            logger.warning("the application is still %s; another signal ends it without waiting", app.state.value)

    watcher = threading.Thread(target=watch, name="moldau-signals", daemon=True)
    watcher.start()
    for one in before:
        signal.signal(one, tell)
    try:
        with looking_seldom():
            yield
    finally:
        as_before()
        is_wanted.put(False)
    # Not after an exception: the second interrupt is one, and whoever sent it does not wait for the close.
    watcher.join()


def _handlers() -> dict[signal.Signals, Any]:
    """Those that a signal to end has now, without a signal that is ignored, or whose handler is none of Python's."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    return {one: handler for one, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}
