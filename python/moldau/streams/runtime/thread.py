"""A stream thread: sessions one after the other until it is stopped or something fails that no new session mends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from moldau.streams.errors import CallbackExitError
from moldau.streams.runtime.environment import Environment, ThreadCounts
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.outcomes import TaskMigratedError
from moldau.streams.runtime.session import Session
from moldau.streams.runtime.stream_task import StreamTask

logger: Final = logging.getLogger("moldau.streams")


class StreamThread(threading.Thread):
    """One member of the group with its tasks; it talks to the application through two functions."""

    def __init__(
        self,
        environment: Environment,
        index: int,
        changed: Callable[[], None],
        ended: Callable[[StreamThread, Exception | None], None],
    ) -> None:
        """`changed` is called when the thread has begun or ceased to run all its tasks, `ended` at its end."""
        super().__init__(name=f"{environment.settings.application_id}-StreamThread-{index}", daemon=True)
        self.index = index
        self.counts = ThreadCounts()
        self.gate = Gate()
        self.is_running = False
        self._environment = environment
        self._changed = changed
        self._ended = ended
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._left_out = LeftOut()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    @property
    def tasks(self) -> dict[str, StreamTask]:
        """Its tasks by id; look at what is in them only inside of `gate.visit()`."""
        session = self._session
        return {} if session is None else {str(task_id): task for task_id, task in dict(session.tasks.tasks).items()}

    def ready_tasks(self, *, stale: bool = False) -> list[StreamTask]:
        """The tasks that are restored and at work, with `stale` all whose stores are here; inside of `gate.visit()`."""
        session = self._session
        return [] if session is None else session.ready_tasks(stale=stale)

    def restoring(self) -> dict[str, int]:
        """What is still to be restored; to be used inside of `gate.visit()`."""
        session = self._session
        return {} if session is None else session.restoring()

    def stop(self) -> None:
        """Commit, leave the group, end."""
        self._stopping.set()

    def run(self) -> None:
        """Until told to stop."""
        failure: Exception | None = None
        try:
            while not self._stopping.is_set():
                self._one_session()
        except Exception as error:  # noqa: BLE001 (the application's handler decides about it)
            failure = error
        except BaseException as error:  # noqa: BLE001 (as above: in a thread it would end nothing else)
            failure = CallbackExitError(error)
            failure.__cause__ = error
        finally:
            self._set_running(running=False)
            self._ended(self, failure)

    def _one_session(self) -> None:
        session = self._session = Session(self._environment, self.index, self.gate, self.counts, self._left_out)
        clean = False
        try:
            session.run(self._stopping.is_set, lambda: self._set_running(running=session.is_running))
            clean = True
        except TaskMigratedError as migrated:
            logger.warning("%s: %s; joining the group again", self.name, migrated)
            self._set_running(running=False)
        finally:
            self._leave(session, clean=clean)

    def _leave(self, session: Session, *, clean: bool) -> None:
        try:
            session.close(clean=clean)
        except TaskMigratedError as migrated:
            logger.warning("%s: the last commit was refused: %s", self.name, migrated)
        finally:
            self._session = None

    def _set_running(self, *, running: bool) -> None:
        if running != self.is_running:
            self.is_running = running
            self._changed()
