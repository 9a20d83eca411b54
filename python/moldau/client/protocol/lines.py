"""The connections of one thread that asks many brokers. All of them are ended at once from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.ending import Ending
from moldau.client.protocol.errors import ConnectionLostError, ProtocolError

Answer = TypeVar("Answer")


class Lines:
    """Connections by whatever name their owner has for them, opened when they are first wanted."""

    def __init__(self, brokers: Brokers, owner: str) -> None:
        """`owner` is who is said to be closed: "the producer"."""
        self._ending = Ending()
        self._brokers = brokers
        self._owner = owner
        self._lock = threading.Lock()
        self._lines: dict[Hashable, tuple[Address | None, BrokerConnection]] = {}
        self._closed = False

    def ask(self, name: Hashable, address: Address | None, question: Callable[[BrokerConnection], Answer]) -> Answer:
        """What `question` gets over the connection of this name; one that fails is ended.

        It goes to this address, None for whoever of the cluster answers first.

        Raises:
            ProtocolError: nobody is there, one side does not trust the other, or the owner was closed; or as `question`
                does.
            OSError: as `question` does.
        """
        try:
            return question(self._to(name, address))
        except (ProtocolError, OSError):
            self.hang_up(name)
            raise

    def _to(self, name: Hashable, address: Address | None) -> BrokerConnection:
        known = self._lines.get(name)
        if known is not None and known[0] == address:
            return known[1]
        self.hang_up(name)
        brokers, ending = self._brokers, self._ending
        line = brokers.open_any(ending) if address is None else brokers.open(address, ending)
        with self._lock:
            if self._closed:
                line.close()
                raise ConnectionLostError(f"{self._owner} was closed")
            self._lines[name] = address, line
        return line

    def hang_up(self, name: Hashable) -> None:
        """End one, if there is one."""
        with self._lock:
            _, line = self._lines.pop(name, (None, None))
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
            for _, line in self._lines.values():
                line.abort()
        self._ending.now()
