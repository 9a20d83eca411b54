"""Who may touch the tasks of a thread: the thread while it works, others while it waits.

A plain lock would do, but a busy thread takes it again before anybody else wakes up. So the thread lets those pass who
already wait.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final

_LET_PASS_S: Final = 0.0005


class Gate:
    """A lock of one thread that works in turns and of many that look in. The owner may enter again."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._counting = threading.Lock()
        self._guests = 0

    def __enter__(self) -> None:
        if self._guests:
            time.sleep(_LET_PASS_S)
        self.lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lock.release()

    def announce(self, guests: int) -> None:
        """Somebody waits, or waits no more."""
        with self._counting:
            self._guests += guests

    def visit(self) -> Visit:
        """A `with` block in which the thread does not work."""
        return Visit(self)


class Visit:
    """The turn of somebody else."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        self._gate.announce(1)
        self._gate.lock.acquire()
        self._gate.announce(-1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._gate.lock.release()
