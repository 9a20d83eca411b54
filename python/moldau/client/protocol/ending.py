"""How one thread ends what another one waits for on its way to a broker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moldau.client.protocol.errors import ConnectionLostError


class Ending:
    """Once it has come, what waits under it ends, and nothing new is begun. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ways: list[Callable[[], None]] = []
        self._has_come = False

    @contextmanager
    def ends(self, end: Callable[[], None]) -> Iterator[None]:
        """While this lasts, the ending calls `end`, from its own thread.

        Raises:
            ConnectionLostError: the ending has come already.
        """
        with self._lock:
            if self._has_come:
                raise ConnectionLostError("whoever asked was closed")
            self._ways.append(end)
        try:
            yield
        finally:
            with self._lock:
                self._ways.remove(end)

    def now(self) -> None:
        """End it all."""
        with self._lock:
            self._has_come = True
            for end in self._ways:
                end()
