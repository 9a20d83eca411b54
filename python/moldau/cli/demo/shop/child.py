"""A process of the demo: what it says goes to a file, and it is stopped by its own handle."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from moldau.cli.outcome import RefusedError, TimedOutError

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
LOOK_S: Final = 0.02


class Child:
    """`moldau …`, as a user would start it in another terminal."""

    def __init__(
        self, name: str, arguments: Sequence[str], log: Path, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._log = log
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Return at once."""
        with self._log.open("ab") as out:
            # In a session of its own: Ctrl-C at the terminal is for the demo, which stops its parts in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moldau", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._variables},
                start_new_session=True,
            )
        return self

    def wait_for(self, *words: str) -> tuple[str, ...]:
        """What it says behind each of these words, one line each. Raises RefusedError, TimedOutError."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            said = self._log.read_text()
            found = [re.search(rf"^{word} +(\S+)$", said, re.MULTILINE) for word in words]
            if all(found):
                return tuple(match[1] for match in found if match is not None)
            self.check()
            if time.monotonic() > deadline:
                missing = words[found.index(None)]
                raise TimedOutError(f"{self.name} has told no {missing} within {START_TIMEOUT_S:.0f} s", self._hint())
            time.sleep(LOOK_S)

    def check(self) -> None:
        """Raise RefusedError if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise RefusedError(f"{self.name} has ended by itself", self._hint())

    def _hint(self) -> str:
        said = self._log.read_text()
        lines = [line for line in said[max(said.rfind("\nerror: "), 0) :].splitlines() if line.strip()]
        return "its last words were: " + ("\n".join(lines[-5:]) or "none")

    def stop(self) -> None:
        """Ask it to end, and wait until it has; does nothing the second time."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
        except BaseException as reason:
            # Whoever is interrupted while waiting leaves nothing behind either.
            process.kill()
            process.wait()
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise

    def kill(self) -> None:
        """End it as `kill -9` does: in the middle of whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
