"""What goes wrong in one test and is right again in the next: the faults of a broker, gathered and undone."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from moldau.server.embedded import Broker
from moldau.server.faults import After, Fault


class KafkaFaults:
    """The faults of `moldau.Broker`, for the time of a test. Each can be undone earlier, as there."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()
        if not self._broker.is_running:
            self._broker.restart()

    def refuse(self, api: str | int, error: str | int, times: int | None = None) -> Fault:
        """See `moldau.Broker.refuse`."""
        return self._open.enter_context(self._broker.refuse(api, error, times))

    def delay(self, api: str | int, ms: int, times: int | None = None) -> Fault:
        """See `moldau.Broker.delay`."""
        return self._open.enter_context(self._broker.delay(api, ms, times))

    def drop(self, api: str | int, after: After = "request", times: int | None = None) -> Fault:
        """See `moldau.Broker.drop`."""
        return self._open.enter_context(self._broker.drop(api, after, times))

    def pause(self) -> Fault:
        """See `moldau.Broker.pause`."""
        return self._open.enter_context(self._broker.pause())

    def resume(self) -> None:
        """See `moldau.Broker.resume`."""
        self._broker.resume()

    def kill(self) -> None:
        """See `moldau.Broker.kill`."""
        self._broker.kill()

    def restart(self) -> None:
        """See `moldau.Broker.restart`."""
        self._broker.restart()
