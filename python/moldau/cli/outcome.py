"""How a command ends: its exit code, and what is said when it did not end well.

    0 done   1 refused   2 wrong usage   3 no connection   4 timed out   5 partly done   6 over a threshold
    70 a bug   130 interrupted

A command raises one of these; `moldau.cli.main` prints `error:` and `hint:` and returns the code. The table is part of
the interface: scripts rely on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from moldau.errors import MoldauError

DONE: Final = 0
BUG: Final = 70
INTERRUPTED: Final = 130

AT_THE_END: Final[list[Callable[[int], None]]] = []
"""Called with the exit code when all is said, before the interpreter ends."""


class CommandError(MoldauError):
    """A command that could not do what was asked; `hint` is the next step to take."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class RefusedError(CommandError):
    """The broker, or a rule of ours, said no."""


class UsageError(CommandError):
    """The command line does not say what to do."""

    exit_code = 2


class NoConnectionError(CommandError):
    """Nobody answered at the address."""

    exit_code = 3


class TimedOutError(CommandError):
    """Somebody is there and did not answer in time."""

    exit_code = 4


class PartlyDoneError(CommandError):
    """Of several things some were done and some were not; which ones was printed."""

    exit_code = 5


class ThresholdError(CommandError):
    """Everything was read, and something of it is above the limit that was given: what a monitor wants to hear."""

    exit_code = 6
