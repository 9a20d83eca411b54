"""A real PostgreSQL for tests: the demo's embedded one (the wheel's 16 and 18, Debian's 15), and what tests say."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from moldau.cli.demo.postgres import START_TIMEOUT_S, USER, EmbeddedPostgres, embedded, programs

__all__ = ["PASSWORD", "USER", "Postgres", "postgres_under_test", "programs"]

PASSWORD = "vltava"


@dataclass
class Postgres(EmbeddedPostgres):
    """A server; `connect` and `execute` are what a test says to it."""

    password: str = PASSWORD

    def kill_everything(self) -> None:
        """kill -9 of the server and of all its children at once, as if the machine were gone; waits for their end."""
        process, self.process = self.process, None
        if process is None:
            return
        family = [process.pid, *_children(process.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + START_TIMEOUT_S
        # Children of the dead belong to init, which buries them.
        while any(_is_alive(pid) for pid in family[1:]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes of PostgreSQL are left: {family}")
            time.sleep(0.005)

    def execute(self, *statements: str, dbname: str = "postgres") -> list[Any]:
        """Runs statements, each committed by itself; the rows of the last one that gives rows."""
        rows: list[Any] = []
        with self.connect(dbname) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                if cursor.description is not None:
                    rows = cursor.fetchall()
        return rows

    def drop_slot(self, name: str) -> None:
        """Drop a replication slot, once its reader's end has come to the server; nothing when it is gone."""
        find = f"SELECT active FROM pg_replication_slots WHERE slot_name = '{name}'"
        deadline = time.monotonic() + START_TIMEOUT_S
        while (found := self.execute(find)) and found[0][0]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the slot {name} is still read from")
            time.sleep(0.02)
        if found:
            self.execute(f"SELECT pg_drop_replication_slot('{name}')")

    def create_database(self, name: str) -> dict[str, str]:
        """A fresh database, and the connector's settings that lead to it."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.connector_settings(name)

    def connector_settings(self, dbname: str) -> dict[str, str]:
        return {
            "database.hostname": "127.0.0.1",
            "database.port": str(self.port),
            "database.user": USER,
            "database.password": PASSWORD,
            "database.dbname": dbname,
        }


@contextmanager
def postgres_under_test(
    major: int | None = None, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Postgres]:
    """A running server of a major version (default: the newest there is), gone with its folder after the block."""
    with embedded(Postgres, major, settings) as server:
        yield server


def _children(parent: int) -> list[int]:
    """Processes whose parent it is, from /proc."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if _stat(pid)[1:2] == [str(parent)]]


def _is_alive(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])


def _stat(pid: int) -> list[str]:
    """The state of a process, its parent and more; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return []
