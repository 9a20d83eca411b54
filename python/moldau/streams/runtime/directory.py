"""Where an application keeps state on this machine, and who it is: one process at a time owns a folder.

The id of the process outlives it in Kafka's file `kafka-streams-process-metadata`: an instance that comes back under
exactly-once ends the transactions that it left open, at once and not when they time out.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from pathlib import Path
from typing import Final

from moldau.streams.errors import StreamsError

_LOCK: Final = ".lock"
_IDENTITY: Final = "kafka-streams-process-metadata"


class StateDirectoryError(StreamsError):
    """The folder for state cannot be used."""


class StateDirectory:
    """The folder of one application, held by one instance for as long as it runs."""

    def __init__(self, path: Path, *, needed: bool) -> None:
        """Take the folder.

        Args:
            path: the folder; it is made.
            needed: whether there is state to keep in it; without, an instance that finds it taken does without it.

        Raises:
            StateDirectoryError: another instance has it, or it cannot be written.
        """
        self.path = path
        self._lock: int | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirectoryError(f"the folder for state {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            if needed:
                raise StateDirectoryError(
                    f"another instance of the application keeps its state in {path}\n"
                    "hint: give each instance on one machine its own state.dir"
                ) from None
            self.process_id = str(uuid.uuid4())
            return
        self._lock = lock
        try:
            self.process_id = self._identity()
        except OSError as error:
            self.close()
            raise StateDirectoryError(f"the folder for state {path} cannot be written: {error.strerror}") from error

    def _identity(self) -> str:
        """The id that was written here first."""
        file = self.path / _IDENTITY
        try:
            return str(uuid.UUID(json.loads(file.read_text())["processId"]))
        except (OSError, ValueError, KeyError, TypeError):
            new = str(uuid.uuid4())
            temporary = file.with_suffix(".tmp")
            temporary.write_text(json.dumps({"processId": new, "version": 1}))
            temporary.replace(file)
            return new

    def close(self) -> None:
        """Give the folder up."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
