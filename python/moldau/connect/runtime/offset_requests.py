"""Requests to change how far a connector has come.

Clusters and the connector itself are asked, in the thread of whoever asks for the change, as Kafka does it outside of
its herder: what does not answer holds up nothing else. Tasks of the connector that could begin here meanwhile begin
when the change is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from moldau.connect.runtime.config_records import Config
from moldau.connect.runtime.fencing import Fencing
from moldau.connect.runtime.names import ConnectorType
from moldau.connect.runtime.refusals import RefusedError
from moldau.connect.runtime.worker import Worker

TIMEOUT_S: Final = 90.0

T = TypeVar("T")
Offsets = Sequence[tuple[Mapping[str, Any], Any]] | None
"""Partitions of a source or a sink and how far each has come; None for all of them from the start."""


class OffsetRequests:
    """For any thread but the herder's. `stopped` says the configuration of a connector that may be changed, or refuses.

    `done` is called when tasks may begin again.
    """

    def __init__(
        self, worker: Worker, fencing: Fencing, stopped: Callable[[str], Config], done: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._fencing = fencing
        self._stopped = stopped
        self._done = done
        self._changing: set[str] = set()
        self._changed = threading.Condition()

    def are_changing(self, name: str) -> bool:
        """Whether somebody changes how far a connector has come."""
        return name in self._changing

    def begin_at(
        self, name: str, config: Config, offsets: Offsets, is_new: Callable[[], None], create: Callable[[], T]
    ) -> T:
        """Write how far a connector shall have come, and create it.

        Raises:
            ConnectError: a cluster does not answer, or the connector says no; and what `is_new` raises, which is asked
                while nobody else creates or changes it.
        """
        with self._alone(name):
            is_new()
            self._worker.alter_offsets(name, config, offsets)
            return create()

    def alter(self, name: str, offsets: Offsets) -> str:
        """Change or reset (None) how far a stopped connector has come; a message for whoever asked.

        Raises:
            RefusedError: it does not stand still, or another worker has to be asked.
            ConnectError: a cluster does not answer, or the connector says no.
        """
        with self._alone(name):
            config = self._stopped(name)
            if self._worker.settings.exactly_once and self._worker.type_of(config) is ConnectorType.SOURCE:
                self._fencing.fence(name)
            return self._worker.alter_offsets(name, config, offsets)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """One request for a connector at a time."""
        with self._changed:
            if not self._changed.wait_for(lambda: name not in self._changing, TIMEOUT_S):
                raise RefusedError("Request timed out")
            self._changing.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._changing.discard(name)
                self._changed.notify_all()
            self._done()
