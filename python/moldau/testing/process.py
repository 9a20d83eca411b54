"""A broker in a process of its own, with the faults of `moldau.Broker`: for tests in which it must really be killed.

`kill()` is SIGKILL and `pause()` SIGSTOP, so nothing of Python runs at that moment, and the clocks of the broker stand
still while it is paused. It starts in half a second instead of ten milliseconds. This module is the parent; run as a
program it is the child, which takes one line of JSON for each request on stdin and answers with one on stdout. The
child ends when its stdin does, also when the parent was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from moldau.server.embedded import Broker, NotRunningError
from moldau.server.faults import After, Fault, drop_kind, error_code

CLOSE_TIMEOUT_S: Final = 30.0
CALLS: Final = ("add_fault", "remove_fault", "fault_met")


class Child:
    """One process with a broker in it. For a `Fault` it is what a core is; one that has ended raises RuntimeError."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moldau.testing.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.paused = False
        self._asking = threading.Lock()

    def stop(self) -> None:
        """End it in order: it leaves when its stdin ends."""
        self.go_on()
        try:
            self.process.communicate(timeout=CLOSE_TIMEOUT_S)
        finally:
            self.process.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def add_fault(self, api_key: int, kind: str, value: int, times: int | None) -> int:
        return int(self.ask(["add_fault", api_key, kind, int(value), times]))

    def remove_fault(self, fault: int) -> None:
        self.ask(["remove_fault", fault])

    def fault_met(self, fault: int) -> int | None:
        met = self.ask(["fault_met", fault])
        return None if met is None else int(met)

    def ask(self, request: object) -> Any:
        """One line there, one line back. Raises RuntimeError with what went wrong over there."""
        if self.paused:
            raise RuntimeError("the broker is paused: it hears nothing until resume()")
        if self.process.poll() is not None:
            raise RuntimeError("the broker does not run any more")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self._asking:
            # If it has just ended, that is seen in the next line.
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(json.dumps(request) + "\n")
                self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the broker's process ended with {self.process.wait()}; its words are on stderr")
        outcome = json.loads(answer)
        if "error" in outcome:
            raise RuntimeError(outcome["error"])
        return outcome["result"]


class BrokerProcess:
    """A broker of one node in a child process, for as long as the `with` block lasts.

    Arguments are those of `moldau.Broker`; so are the methods that make things go wrong.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, port: int = 0, **settings: object) -> None:
        self._temporary = path is None
        self._path = None if path is None else Path(path)
        self._port = port
        self._settings = settings
        self._child: Child | None = None
        self._bootstrap_servers = ""
        # What is wrong with the settings is said here and not by the child.
        Broker(path, port, **settings)

    @property
    def pid(self) -> int:
        """The process that runs it. Raises RuntimeError if there is none."""
        return self._running().process.pid

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for any client. Raises RuntimeError before the start."""
        if not self._bootstrap_servers:
            raise NotRunningError
        return self._bootstrap_servers

    def get_bootstrap_server(self) -> str:
        """`host:port` for any client. Raises RuntimeError before the start."""
        return self.bootstrap_servers

    def start(self) -> Self:
        """Start it and return when clients may connect. Raises RuntimeError with what it said if it cannot start."""
        if self._child is not None:
            raise RuntimeError("the broker runs already")
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="moldau-"))
        request = {"path": str(self._path), "port": self._port, "durable": not self._temporary, **self._settings}
        self._child = Child()
        try:
            self._bootstrap_servers = self._child.ask(request)
        except BaseException:
            self.close()
            raise
        self._port = int(self._bootstrap_servers.rsplit(":", 1)[1])
        return self

    def close(self) -> None:
        """Stop it in order; a temporary folder goes with it. Does nothing when it does not run."""
        self._stop()
        if self._temporary and self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    def kill(self) -> None:
        """End it with SIGKILL. Data and port stay as they are, for `restart()`. Does nothing when it does not run."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def restart(self) -> Self:
        """Start it again where it was, with the data it had; one that still runs is stopped in order first."""
        if not self._bootstrap_servers:
            raise RuntimeError("the broker was not started yet: call start()")
        self._stop()
        return self.start()

    def pause(self) -> Fault:
        """Stop the process where it stands until `resume()` or the end of the `with` block."""
        child = self._running()
        child.pause()

        def undo() -> int:
            child.go_on()
            return 0

        return Fault("pause", undo)

    def resume(self) -> None:
        """Let it go on."""
        self._running().go_on()

    def refuse(self, api: str | int, error: str | int, times: int | None = None) -> Fault:
        """See `moldau.Broker.refuse`."""
        return Fault.added(self._running(), api, "refuse", error_code(error), times)

    def delay(self, api: str | int, ms: int, times: int | None = None) -> Fault:
        """See `moldau.Broker.delay`."""
        return Fault.added(self._running(), api, "delay", ms, times)

    def drop(self, api: str | int, after: After = "request", times: int | None = None) -> Fault:
        """See `moldau.Broker.drop`."""
        return Fault.added(self._running(), api, drop_kind(after), 0, times)

    def _running(self) -> Child:
        if self._child is None:
            raise NotRunningError
        return self._child

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """The child: run a broker as the first line says, carry out the others, end with the last."""
    # Ctrl-C goes to the whole group of processes; when the broker ends is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = json.loads(requests.readline())
    settings = {"moldau_fsync_enable": first.pop("durable"), **first}
    with Broker(**settings) as broker:
        answer(answers, broker.bootstrap_servers)
        for line in requests:
            name, *arguments = json.loads(line)
            assert name in CALLS, name
            answer(answers, getattr(broker.core, name)(*arguments))


def answer(answers: IO[str], result: object) -> None:
    print(json.dumps({"result": result}), file=answers, flush=True)


if __name__ == "__main__":
    try:
        serve(sys.stdin, sys.stdout)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
        raise
