"""The connections of somebody who asks many brokers, and what is the same about all who do.

Each connection belongs to the thread that asks over it; all of them are ended at once from another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable

from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.ending import Ending
from moldau.client.protocol.errors import ConnectionLostError, ForeignAnswerError
from moldau.errors import MoldauError


class Lines:
    """Connections by whatever name their owner has for them, opened when they are first wanted."""

    def __init__(self, brokers: Brokers, owner: str) -> None:
        """`owner` is who is said to be closed: "the producer"."""
        self.ending = Ending()
        """Comes with `close`."""
        self._brokers = brokers
        self._owner = owner
        self._lock = threading.Lock()
        self._lines: dict[Hashable, BrokerConnection] = {}
        self._closed = False

    def has(self, name: Hashable) -> bool:
        """Whether there is one already."""
        return name in self._lines

    def to(self, name: Hashable, address: Address) -> BrokerConnection:
        """The connection there is, or a new one.

        Raises:
            ProtocolError: nobody is there, one side does not trust the other, or the owner was closed.
        """
        line = self._lines.get(name)
        if line is None:
            line = self._brokers.open(address, self.ending)
            with self._lock:
                if self._closed:
                    line.close()
                    raise ConnectionLostError(f"{self._owner} was closed")
                self._lines[name] = line
        return line

    def hang_up(self, name: Hashable) -> None:
        """End one, if there is one."""
        with self._lock:
            line = self._lines.pop(name, None)
        if line is not None:
            line.close()

    def hang_up_all(self) -> None:
        """End those that there are."""
        for name in list(self._lines):
            self.hang_up(name)

    def close(self) -> None:
        """Have whoever waits for an answer be told that it is lost, and whoever opens a connection as well."""
        with self._lock:
            self._closed = True
            for line in self._lines.values():
                line.abort()
        self.ending.now()


def passes(failure: Exception) -> bool:
    """Whether another try may do better."""
    return isinstance(failure, (ConnectionLostError, ForeignAnswerError, OSError)) or not isinstance(
        failure, MoldauError
    )
