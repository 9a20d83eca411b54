"""Who does what: the part of a worker that knows which connectors and tasks are its own, and who leads.

`Alone` is the membership of a worker that shares with nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from moldau.connect.runtime.config_records import ConfigState
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.work import Work, configured


class Membership(Protocol):
    """What the herder asks; by its thread, but the properties, which anybody may read."""

    @property
    def leads(self) -> bool: ...
    @property
    def leader_url(self) -> str | None: ...
    @property
    def generation(self) -> int: ...
    @property
    def signs(self) -> bool:
        """Whether workers sign what they ask of each other."""

    @property
    def unreachable_s(self) -> float:
        """For how long the group has not answered, or has refused this worker."""

    def start(self, changed: Callable[[], None], released: Callable[[], None]) -> None:
        """Take part; `changed` is called when something is assigned, `released` to stop what is not any more."""

    def stop(self) -> None:
        """Give everything away, and leave."""

    def settle(self, state: ConfigState) -> bool:
        """See that what is configured is divided; False before the first time."""

    def assignment(self, state: ConfigState) -> Work:
        """What this worker has of what is configured."""

    def owner_of(self, subject: str | TaskId) -> str | None:
        """The URL of the worker that has a connector or a task, or else of one that knows."""


class Alone:
    """Everything is this worker's."""

    def __init__(self, url: str = "") -> None:
        self._url = url

    @property
    def leads(self) -> bool:
        """Who else."""
        return True

    @property
    def leader_url(self) -> str | None:
        """This worker's."""
        return self._url

    @property
    def generation(self) -> int:
        """There is one only."""
        return 0

    @property
    def signs(self) -> bool:
        """Nobody asks."""
        return True

    @property
    def unreachable_s(self) -> float:
        """Nobody to ask."""
        return 0.0

    def start(self, changed: Callable[[], None], released: Callable[[], None]) -> None:
        """Nobody to meet."""

    def stop(self) -> None:
        """Nobody to leave."""

    def settle(self, state: ConfigState) -> bool:
        """It always holds."""
        return True

    def assignment(self, state: ConfigState) -> Work:
        """All connectors, and all tasks of sets that are whole."""
        return configured(state)

    def owner_of(self, subject: str | TaskId) -> str | None:
        """This worker."""
        return self._url
