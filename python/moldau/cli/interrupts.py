"""Ctrl-C, also where somebody swallows it.

A signal handler runs wherever the interpreter looks for signals, inside of an extension's C code as well, and code that
does not expect an exception there puts one of its own in the place of KeyboardInterrupt: confluent-kafka, asked for a
client at that moment, says that its configuration is no string. So it is noted that there was an interrupt.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether this process was interrupted since `noted` began."""

    def __init__(self) -> None:
        self.arrived = False

    def interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        """A signal handler: what follows from `arrived` is that whatever is raised next is the user's wish."""
        self.arrived = True
        raise KeyboardInterrupt

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note SIGINT while the block lasts; another handler that somebody installed is left alone."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        self.arrived = False
        signal.signal(signal.SIGINT, self.interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)


INTERRUPTS = Interrupts()
"""Those of the command that runs."""
