"""Requests to change how far a connector has come.

Clusters and the connector itself are asked, in the thread of whoever asks for the change, as Kafka does it outside of
its herder: what does not answer holds up nothing else. While a connector is changed nobody gives it tasks: it may be
resumed meanwhile, and other workers might run them. That is over when the change is made, or given up: a connector's
own code that does not answer in time is left behind, and nothing is written of what it was asked about.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from moldau.connect.runtime import deadlines
from moldau.connect.runtime.config_records import Config
from moldau.connect.runtime.fencing import Fencing
from moldau.connect.runtime.names import ConnectorType
from moldau.connect.runtime.refusals import RebalancingError, RefusedError
from moldau.connect.runtime.worker import Worker

logger: Final = logging.getLogger("moldau.connect.herder")

TIMEOUT_S: Final = deadlines.WORK_S

T = TypeVar("T")
Offsets = Sequence[tuple[Mapping[str, Any], Any]] | None
"""Partitions of a source or a sink and how far each has come; None for all of them from the start."""


class OffsetRequests:
    """For any thread but the herder's, apart from `are_changing` and `unchanged`.

    `stopped` says the configuration of a connector that may be changed, or refuses. `done` is called when tasks may
    begin again.
    """

    def __init__(
        self, worker: Worker, fencing: Fencing, stopped: Callable[[str], Config], done: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._fencing = fencing
        self._stopped = stopped
        self._done = done
        self._changing: set[str] = set()
        self._dividing: set[str] = set()
        self._changed = threading.Condition()

    def are_changing(self, name: str) -> bool:
        """Whether somebody changes how far a connector has come."""
        return name in self._changing

    @contextmanager
    def unchanged(self, name: str) -> Iterator[None]:
        """Nobody changes how far a connector has come while this holds, which is not for long.

        Raises:
            RebalancingError: somebody does; it may be tried again.
        """
        with self._changed:
            if name in self._changing or name in self._dividing:
                raise RebalancingError(f"Cannot complete request because the offsets of connector {name} are changing")
            self._dividing.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._dividing.discard(name)
                self._changed.notify_all()

    def begin_at(
        self, name: str, config: Config, offsets: Offsets, is_new: Callable[[], None], create: Callable[[], T]
    ) -> T:
        """Write how far a connector shall have come, and create it.

        Raises:
            ConnectError: a cluster does not answer, or the connector says no, or nothing; and what `is_new` raises,
                which is asked while nobody else creates or changes it.
        """
        with self._alone(name) as deadline:
            is_new()
            self._worker.alter_offsets(name, config, offsets, deadline - time.monotonic())
            return create()

    def alter(self, name: str, offsets: Offsets) -> str:
        """Change or reset (None) how far a stopped connector has come; a message for whoever asked.

        Raises:
            RefusedError: it does not stand still, or another worker has to be asked.
            ConnectError: a cluster does not answer, or the connector says no, or nothing.
        """
        with self._alone(name) as deadline:
            config = self._stopped(name)
            if self._worker.settings.exactly_once and self._worker.type_of(config) is ConnectorType.SOURCE:
                self._fencing.fence(name)
            return self._worker.alter_offsets(name, config, offsets, deadline - time.monotonic())

    @contextmanager
    def _alone(self, name: str) -> Iterator[float]:
        """One request for a connector at a time; until when it has to be done."""
        deadline = time.monotonic() + TIMEOUT_S
        with self._changed:
            if not self._changed.wait_for(
                lambda: name not in self._changing and name not in self._dividing, deadline - time.monotonic()
            ):
                raise RefusedError(
                    f"Request timed out. The worker is currently changing the offsets of connector {name} for another "
                    "request"
                )
            self._changing.add(name)
        try:
            yield deadline
        finally:
            with self._changed:
                self._changing.discard(name)
                self._changed.notify_all()
            self._done()
