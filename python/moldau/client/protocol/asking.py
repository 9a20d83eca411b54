"""Threads that ask brokers, each one question after the other.

A thread looks what its owner wants to know, asks it over a connection of its own, and has the owner take what came of
it. Looking and taking are done with the lock that all of an owner's threads share with the owner; asking is not. What
is asked, and what an answer means, is decided elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.errors import ProtocolError, passes
from moldau.client.protocol.lines import Lines

logger: Final = logging.getLogger("moldau.client")

CLOSE_TIMEOUT_S: Final = 10.0
ANYBODY: Final = None
Answer = TypeVar("Answer")


class Failed(Protocol):
    """Is told that there was no answer."""

    def __call__(self, failure: Exception, now: float, *, passes: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """What is asked next, and who is told what comes of it. The times that they get are of `time.monotonic`."""

    what: str
    """As people call it."""
    address: Address | None
    """`ANYBODY` is whoever of the cluster answers first."""
    ask: Callable[[BrokerConnection], Answer]
    """Is called without the lock."""
    answered: Callable[[Answer, float], None]
    """Is called with the lock, as `failed` is."""
    failed: Failed
    line: Hashable = None
    """A name for the connection, where a thread has several; one that went to another address is replaced."""
    keeps: bool = True
    """Whether the connection is for the next question, too."""


Look = Callable[[float], "Question[Any] | float | None"]
"""What to ask at a time; else how long there will be nothing unless something changes, None for as long as it likes."""


class Asking:
    """The threads of one owner, from their start to `close`."""

    def __init__(self, brokers: Brokers, owner: str, fail: Callable[[BaseException], None]) -> None:
        """`owner` is who is said to be closed, "the producer"; `fail` is told of what must not happen."""
        self.changed = threading.Condition()
        """The lock; whoever changes what there is to be asked notifies it."""
        self.threads: dict[str, threading.Thread] = {}
        self._brokers = brokers
        self._owner = owner
        self._fail = fail
        self._closed = False
        self._lines: list[Lines] = []

    def start(self, name: str, look: Look) -> None:
        """Have a thread of this name ask what `look` wants to know, if there is none yet."""
        with self.changed:
            if self._closed or name in self.threads:
                return
            lines = Lines(self._brokers, self._owner)
            self._lines.append(lines)
            thread = threading.Thread(
                target=self._run, args=(lines, look), name=f"{self._brokers.client_id}-{name}", daemon=True
            )
            thread.start()
            self.threads[name] = thread

    def close(self) -> None:
        """End all connections and threads."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        for lines in self._lines:
            lines.close()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for thread in self.threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, lines: Lines, look: Look) -> None:
        try:
            while (question := self._wait_for(look)) is not None:
                self._carry_out(lines, question)
                # While this waits for the next one nobody needs what was in the last.
                del question
        except BaseException as error:  # noqa: BLE001 (the owner is told of it)
            self._fail(error)
        finally:
            lines.hang_up_all()

    def _wait_for(self, look: Look) -> Question[Any] | None:
        with self.changed:
            while not self._closed:
                found = look(time.monotonic())
                if isinstance(found, Question):
                    return found
                self.changed.wait(found)
            return None

    def _carry_out(self, lines: Lines, question: Question[Any]) -> None:
        try:
            answer = lines.ask(question.line, question.address, question.ask)
        except (ProtocolError, OSError) as error:
            with self.changed:
                if not self._closed:
                    said = (self._brokers.client_id, question.address or "the cluster", question.what, error)
                    logger.info("%s asks %s again for %s: %s", *said)
                question.failed(error, time.monotonic(), passes=self._closed or passes(error))
                self.changed.notify_all()
            return
        if not question.keeps:
            lines.hang_up(question.line)
        with self.changed:
            question.answered(answer, time.monotonic())
            self.changed.notify_all()
