"""A connector in its thread. It reads no records; it says how its work is divided into tasks, and when that changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

from moldau.connect.runtime.names import TargetState

logger: Final = logging.getLogger("moldau.connect.connector")


class ConnectorListener(Protocol):
    """Hears what becomes of a connector; called in the connector's thread."""

    def on_connector_running(self, name: str, version: str | None) -> None: ...
    def on_connector_paused(self, name: str, version: str | None) -> None: ...
    def on_connector_stopped(self, name: str, version: str | None) -> None: ...
    def on_connector_failure(self, name: str, error: BaseException) -> None: ...
    def on_connector_shutdown(self, name: str) -> None: ...
    def on_tasks_wanted(self, name: str) -> None:
        """The connector runs, or its work is divided anew: its tasks have to be asked for."""


class WorkerConnector:
    """`start`, `stop`, `wait`, `cancel` and `set_target` belong to the herder."""

    def __init__(
        self,
        name: str,
        connector: Any,
        config: Mapping[str, str],
        target: TargetState,
        listener: ConnectorListener,
    ) -> None:
        self.name = name
        self.connector = connector
        self.config = config
        self.running = False
        self.failure: BaseException | None = None
        self._listener = listener
        self._target = target
        self._changed = threading.Condition()
        self._stopping = False
        self._cancelled = False
        self._started = False
        self._thread = threading.Thread(target=self._run, name=f"connector-{name}", daemon=True)

    @property
    def version(self) -> str | None:
        """The connector's own."""
        try:
            return str(self.connector.version())
        except Exception:  # noqa: BLE001 (only for show)
            return None

    def start(self, context: Any) -> None:
        """Begin; `context` is handed to the connector."""
        self._context = context
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Leave it to itself."""
        self._cancelled = True

    def set_target(self, target: TargetState) -> None:
        """Start, pause or stop it."""
        with self._changed:
            self._target = target
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """The connector itself says that it cannot go on."""
        self.failure = error
        self.running = False
        if not self._cancelled:
            self._listener.on_connector_failure(self.name, error)

    def _run(self) -> None:
        reached: TargetState | None = None
        try:
            self.connector.initialize(self._context)
        except BaseException as error:  # noqa: BLE001 (a plugin raises what it likes)
            self._failed(error)
        while True:
            with self._changed:
                while not self._stopping and (self._target is reached or self.failure is not None):
                    self._changed.wait()
                if self._stopping:
                    break
                reached = self._target
            try:
                self._go_to(reached)
            except BaseException as error:  # noqa: BLE001
                self._failed(error)
        self.running = False
        try:
            if self._started:
                self.connector.stop()
        except BaseException:
            logger.exception("the stop of connector %s failed", self.name)
        if not self._cancelled:
            self._listener.on_connector_shutdown(self.name)

    def _failed(self, error: BaseException) -> None:
        logger.error("connector %s failed", self.name, exc_info=error)
        self.fail(error)

    def _go_to(self, target: TargetState) -> None:
        if target is TargetState.STARTED:
            # A `start` that fails may have opened something.
            self._started = True
            self.connector.start(dict(self.config))
            self.running = True
            self._listener.on_connector_running(self.name, self.version)
            self._listener.on_tasks_wanted(self.name)
            return
        self.running = False
        if self._started:
            self._started = False
            self.connector.stop()
        if target is TargetState.PAUSED:
            self._listener.on_connector_paused(self.name, self.version)
        else:
            self._listener.on_connector_stopped(self.name, self.version)
