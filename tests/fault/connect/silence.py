"""What is written down while a worker does not answer: where its threads are, and what the database is doing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from tests.postgres_under_test import Postgres

SESSIONS = (
    "SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid) AS blocked_by,"
    " now() - query_start AS since, left(query, 200) AS query FROM pg_stat_activity ORDER BY query_start"
)
WITHIN_S = 5


def database_now(postgres: Postgres) -> str:
    """Its sessions as it tells them, or why it does not, and its processes as the system sees them."""
    return "\n".join([*_sessions(postgres), *_processes(postgres)])


def write_down(file: Path, what: str, postgres: Postgres) -> None:
    """Append it to a file; `what` was asked and is not answered."""
    with file.open("a") as out:
        print(f"{time.strftime('%H:%M:%S')} {what}\n{database_now(postgres)}\n", file=out)


def _sessions(postgres: Postgres) -> Iterator[str]:
    told = f"-c statement_timeout={WITHIN_S * 1000}"
    try:
        with postgres.connect(connect_timeout=WITHIN_S, options=told) as connection:
            for row in connection.execute(SESSIONS):
                yield "  ".join(map(str, row))
    except psycopg.Error as error:
        yield f"the database does not tell its sessions: {error}"


def _processes(postgres: Postgres) -> Iterator[str]:
    process = postgres.process
    if process is None:
        return
    for folder in Path("/proc").iterdir():
        try:
            state, parent = (folder / "stat").read_text().rsplit(") ", 1)[1].split()[:2]
            if str(process.pid) in (folder.name, parent):
                title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                yield f"{folder.name} {state} {(folder / 'wchan').read_text()} {title}"
        except (OSError, IndexError):
            # No process, or one that has ended meanwhile.
            continue
