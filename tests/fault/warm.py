"""Processes that are forked from an interpreter which has imported everything already: they begin at once.

Each is a process of its own, with its own memory, files and connections, and can be killed like any other; only the
seconds of CPU that imports cost are spared. Whoever forks (multiprocessing's fork server) has imported and done nothing
else: it has no thread, no client and no node.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.versus.broker_process import BrokerProcess

IMPORTED = ("moldau.cli.serve", "moldau.server.run", "moldau.server.eager", "moldau.client", "tests.fault.warm")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", *IMPORTED])


class WarmProcess:
    """`call(*arguments)` in a process of its own, its output appended to `log`. Has what is used of a `Popen`."""

    def __init__(self, log: Path, call: Callable[..., object], *arguments: Any) -> None:
        # A daemon of multiprocessing: it does not outlive this process.
        self._process = CONTEXT.Process(target=_run, args=(log, call, arguments), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit status, minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        self._process.join(timeout_s)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("a forked process", timeout_s or 0)
        return status

    def send_signal(self, which: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, which)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _run(log: Path, call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(output, standard)
    call(*arguments)


class WarmNode(BrokerProcess):
    """A node of Moldau that is forked; `bug` is one of `tests.fault.planted`."""

    def __init__(self, cold: BrokerProcess, bug: str | None = None) -> None:
        super().__init__(cold.command, cold.port, cold.log_file, cold.environment)
        self._bug = bug

    def spawn(self) -> Any:
        # Behind the interpreter, `-m` and the module, the command is what a user would type.
        return WarmProcess(self.log_file, moldau, self.command[3:], self._bug)


def moldau(arguments: list[str], bug: str | None) -> None:
    """The command line, in this process."""
    from moldau.cli import main

    if bug is not None:
        from tests.fault.planted import BUGS

        BUGS[bug]()
    sys.argv = ["moldau", *arguments]
    main()
