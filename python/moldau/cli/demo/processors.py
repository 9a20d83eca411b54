"""The group of processors as the demo sees it: starting them, restarting them one by one, and what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from moldau.cli.demo.processed import ENTRY_BYTES
from moldau.cli.outcome import RefusedError, TimedOutError

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Restart:
    """How the restart of one processor went."""

    instance: str
    seconds: float
    before: tuple[int, ...]
    after: tuple[int, ...]
    generation_before: int | None
    generation_after: int | None


class ProcessorProcess:
    """One process; a thread of ours reads what it tells."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.instance = settings["instance"]
        self.partitions: tuple[int, ...] = ()
        self.generation: int | None = None
        self.changes = 0
        """How often partitions came or went."""
        self._told = threading.Condition()
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "moldau.cli.demo.processor", json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            fact: dict[str, Any] = json.loads(line)
            with self._told:
                self.generation = fact.get("generation", self.generation)
                if "partitions" in fact:
                    self.partitions = tuple(fact["partitions"])
                    self.changes += 1
                self._told.notify_all()
        with self._told:
            self._told.notify_all()

    def wait_for(self, condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until what the process told fulfils `condition`.

        Raises:
            RefusedError: the process ended instead.
            TimedOutError: it does not.
        """
        deadline = time.monotonic() + timeout_s
        with self._told:
            while not condition():
                if self._process.poll() is not None:
                    raise RefusedError(f"{self.instance} ended before it {what}: {self._last_words()}")
                if not self._told.wait(min(0.2, max(deadline - time.monotonic(), 0))) and time.monotonic() > deadline:
                    raise TimedOutError(f"{self.instance} has not {what} within {timeout_s:.0f} s")

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to stop between two batches, and wait until it has.

        Raises:
            RefusedError: it ended with an error.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimedOutError(f"{self.instance} did not stop within {STOP_TIMEOUT_S:.0f} s") from None
        self._reader.join(STOP_TIMEOUT_S)
        if self._process.returncode != 0:
            raise RefusedError(f"{self.instance} ended with {self._process.returncode}: {self._last_words()}")

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        lines = self._process.stderr.read().strip().splitlines() if not self.is_running() else []
        return lines[-1] if lines else "without a word"


class ProcessorGroup:
    """Three processors, or however many, as static members of one group."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, size: int, folder: Path) -> None:
        self.folder = folder
        self.ledgers = [folder / f"processor-{number}.ledger" for number in range(1, size + 1)]
        self.members = [
            ProcessorProcess(
                {
                    "bootstrap_servers": bootstrap_servers,
                    "topic": topic,
                    "group": group,
                    "instance": ledger.stem,
                    "ledger": str(ledger),
                }
            )
            for ledger in self.ledgers
        ]

    def wait_until_shared(self, partitions: int) -> None:
        """Wait until every partition has one owner, everybody has some, and all know the same generation."""
        for member in self.members:
            member.wait_for(lambda: self._is_shared(partitions), "got its partitions")

    def _is_shared(self, partitions: int) -> bool:
        owned = [partition for member in self.members for partition in member.partitions]
        return (
            sorted(owned) == list(range(partitions))
            and all(member.partitions for member in self.members)
            and max(map(len, (member.partitions for member in self.members)))
            <= min(map(len, (member.partitions for member in self.members))) + 1
        )

    def processed(self) -> int:
        """How many orders all of them have processed so far."""
        return sum(ledger.stat().st_size // ENTRY_BYTES for ledger in self.ledgers if ledger.exists())

    def restart(self, index: int, while_away: Callable[[], None]) -> Restart:
        """Stop one processor and start another in its place, under the same `group.instance.id`."""
        old = self.members[index]
        started = time.monotonic()
        old.stop()
        before = old.partitions
        new = self.members[index] = ProcessorProcess(old.settings)
        while_away()
        new.wait_for(lambda: bool(new.partitions), "got its partitions")
        seconds = time.monotonic() - started
        return Restart(old.instance, seconds, before, new.partitions, old.generation, new.generation)

    def changes(self) -> list[int]:
        """How often partitions of each member came or went since it started."""
        return [member.changes for member in self.members]

    def stop(self) -> None:
        """Stop all of them in order."""
        for member in self.members:
            member.stop()

    def kill(self) -> None:
        """End whatever still runs."""
        for member in self.members:
            if member.is_running():
                member.kill()
