"""The states of an application, and which may follow which. (`KafkaStreams.State`)"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum
from typing import Final

from moldau.streams.errors import StreamsError

logger: Final = logging.getLogger("moldau.streams")


class State(Enum):
    """What an application is doing. A value is Kafka's name."""

    CREATED = "CREATED"
    REBALANCING = "REBALANCING"
    RUNNING = "RUNNING"
    PENDING_SHUTDOWN = "PENDING_SHUTDOWN"
    NOT_RUNNING = "NOT_RUNNING"
    PENDING_ERROR = "PENDING_ERROR"
    ERROR = "ERROR"

    @property
    def is_running_or_rebalancing(self) -> bool:
        """Whether its threads are at work."""
        return self in {State.REBALANCING, State.RUNNING}

    @property
    def has_ended(self) -> bool:
        """Whether nothing will happen any more."""
        return self in {State.NOT_RUNNING, State.ERROR}


_FOLLOWING: Final = {
    State.CREATED: {State.REBALANCING, State.PENDING_SHUTDOWN, State.PENDING_ERROR},
    State.REBALANCING: {State.RUNNING, State.PENDING_SHUTDOWN, State.PENDING_ERROR},
    State.RUNNING: {State.REBALANCING, State.PENDING_SHUTDOWN, State.PENDING_ERROR},
    State.PENDING_SHUTDOWN: {State.NOT_RUNNING},
    State.PENDING_ERROR: {State.ERROR},
    State.NOT_RUNNING: set(),
    State.ERROR: set(),
}

StateListener = Callable[[State, State], None]
"""`listener(new, old)`, called in the thread that changed the state."""


class StateMachine:
    """The state of one application, changed by many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._state = State.CREATED
        self.listener: StateListener | None = None

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    def begin(self) -> None:
        """From CREATED to REBALANCING, once; raises StreamsError for an application that was started before."""
        if not self.move(State.REBALANCING, only_from={State.CREATED}):
            raise StreamsError(f"the application is {self._state.value}: it can be started once\nhint: make a new one")

    def move(self, new: State, only_from: set[State] | None = None) -> bool:
        """Change the state if the new one may follow; whether it did. The listener hears of it first."""
        with self._changed:
            old = self._state
            if new not in _FOLLOWING[old] or (only_from is not None and old not in only_from):
                return False
            self._state = new
            self._changed.notify_all()
            self._tell(new, old)
            return True

    def settle(self, wanted: Callable[[], State]) -> bool:
        """Change to what `wanted()` finds; nobody else changes the state in between."""
        with self._changed:
            return self.move(wanted())

    def _tell(self, new: State, old: State) -> None:
        if self.listener is None:
            return
        try:
            self.listener(new, old)
        except Exception:
            # Who looks on does not stop what is looked at.
            logger.exception("the state listener has failed at %s after %s", new.value, old.value)

    def wait(self, wanted: Callable[[State], bool], timeout_s: float | None) -> bool:
        """Wait until the state is a wanted one; whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: wanted(self._state), timeout_s)
