"""A group member on a thread of its own, for Python clients whose consumer must be polled by one thread only."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod

from tests.conformance.clients import MemberState

ANSWER_TIMEOUT_S = 40.0


class PollingMember(ABC):
    """Polls until it is told to commit or to leave. Subclasses say how their library does each."""

    def __init__(self) -> None:
        self.partitions: frozenset[int] = frozenset()
        self.rebalances = 0
        self.records = 0
        self._orders: queue.Queue[str] = queue.Queue()
        self._answers: queue.Queue[BaseException | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def order(self, what: str) -> None:
        """Hand "commit" or "leave" to the polling thread and wait until it is done; raises what it raised."""
        self._orders.put(what)
        error = self._answers.get(timeout=ANSWER_TIMEOUT_S)
        if error is not None:
            raise error

    def state(self) -> MemberState:
        return MemberState(self.partitions, self.rebalances, self.records)

    def _run(self) -> None:
        self.open()
        while True:
            self.records += self.poll()
            if self._orders.empty():
                continue
            what = self._orders.get()
            try:
                self.commit() if what == "commit" else self.leave()
            except Exception as error:  # noqa: BLE001 - handed to the thread that waits for it
                self._answers.put(error)
            else:
                self._answers.put(None)
            if what == "leave":
                return

    @abstractmethod
    def open(self) -> None: ...

    @abstractmethod
    def poll(self) -> int:
        """Wait briefly for records and return how many came."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def leave(self) -> None: ...
