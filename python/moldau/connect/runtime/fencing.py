"""Shutting out the tasks of an earlier generation before those of the next one begin (KIP-618).

A task that writes in transactions may not begin while one that was started with older configurations may still write:
that one may have had another share of the source. So for each set of task configurations there is one round: the leader
takes over the transactional ids of as many tasks as were let in by the last round, which ends their transactions and
makes their producers useless, and writes how many there may be now (`tasks-fencing-NAME`). A task asks for it, takes
its own id, and looks once more: if there is a newer set by then, the round of that one may not have concerned it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from moldau.connect.errors import ConnectError
from moldau.connect.runtime.config_records import Config, ConfigState
from moldau.connect.runtime.config_stores import ConfigStore
from moldau.connect.runtime.leader_requests import LeaderRequests, NotNowError
from moldau.connect.runtime.membership import Membership
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.refusals import ElsewhereError, NotFoundError, RebalancingError

logger: Final = logging.getLogger("moldau.connect.herder")

PATIENCE_S: Final = 90.0
LOOK_AGAIN_S: Final = 0.2

FenceProducers = Callable[[str, Config, int], None]
"""Take over the transactional ids of a connector's first so many tasks: its name, its configuration, how many."""


class TakenOverError(ConnectError):
    """Another one has taken the transactional id of a task: what this one writes counts no more."""


class Gate(Protocol):
    """What a task has to pass."""

    def let_in(self, task: TaskId, generation: int, given_up: Callable[[], bool]) -> None:
        """Before it takes its transactional id. Raises ConnectError."""

    def why_not(self, task: TaskId, generation: int, given_up: Callable[[], bool]) -> str | None:
        """After it has: what came in between, so that it may not begin after all; None if it may."""


class Fencing:
    """One for each worker. Its methods wait, in the threads of tasks and of requests."""

    def __init__(
        self, configs: ConfigStore, membership: Membership, leader: LeaderRequests, fence_producers: FenceProducers
    ) -> None:
        self._configs = configs
        self._membership = membership
        self._leader = leader
        self._fence_producers = fence_producers
        self._locks: dict[str, threading.Lock] = {}

    def let_in(self, task: TaskId, generation: int, given_up: Callable[[], bool]) -> None:
        """Return when no older task of the connector writes any more, or the task is stopped. Raises ConnectError."""
        del generation
        deadline = time.monotonic() + PATIENCE_S
        while not given_up():
            try:
                if self._membership.leads:
                    self.fence(task.connector)
                else:
                    self._leader.fence(task.connector)
                return
            except (NotNowError, ElsewhereError, RebalancingError) as error:
                if time.monotonic() > deadline:
                    raise ConnectError(f"Failed to perform round of zombie fencing: {error}") from error
                logger.info("task %s waits for a round of fencing: %s", task, error)
            time.sleep(LOOK_AGAIN_S)

    def why_not(self, task: TaskId, generation: int, given_up: Callable[[], bool]) -> str | None:
        """See that there is no newer set of tasks, and that the task is this worker's.

        If it is not, it is about to be stopped, or begun anew, by the herder.
        """
        self._configs.refresh(given_up)
        if given_up():
            return "it was asked to stop"
        state = self._configs.snapshot()
        if state.generations.get(task.connector) != generation:
            return "there is a newer set of tasks of its connector"
        if task not in self._membership.assignment(state).tasks:
            return "it was revoked from this worker; another one runs it, or will"
        return None

    def fence(self, name: str) -> None:
        """A round for the newest set of tasks, if there was none. Raises ElsewhereError, ConnectError."""
        if not self._membership.leads:
            raise ElsewhereError("Only the leader may perform zombie fencing.", self._membership.leader_url)
        with self._locks.setdefault(name, threading.Lock()):
            self._configs.lead()
            self._configs.refresh()
            state = self._configs.snapshot()
            if name not in state.connectors:
                raise NotFoundError(f"Connector {name} not found")
            if name not in state.pending_fencing:
                return
            older, count = state.fenced_counts.get(name), state.task_counts.get(name, 0)
            # One task after one task has the same id: it fences by beginning.
            if older is not None and (older, count) != (1, 1):
                logger.info("shutting out %d older tasks of connector %s", older, name)
                self._fence_producers(name, state.connectors[name], older)
            self._write(name, state)

    def _write(self, name: str, seen: ConfigState) -> None:
        def judge(state: ConfigState) -> int | None:
            if state.generations.get(name) != seen.generations.get(name):
                raise RebalancingError(
                    "Fencing failed because new task configurations were generated for the connector"
                )
            return state.task_counts.get(name, 0) if name in state.pending_fencing else None

        self._configs.put_fencing(name, judge)
