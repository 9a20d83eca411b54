"""The jars of Apache Kafka (server, tools, Java client), fetched once per user from Maven Central.

`kafka/pom.xml` pins the versions. The jars are kept under the user's cache directory, in a folder named after the
digest of that file, so a changed version is a new folder and nothing in the repository is written to.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

POM = Path(__file__).parent / "kafka" / "pom.xml"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_TIMEOUT_S = 600


class MissingToolError(RuntimeError):
    """A program that must be installed on the machine is not; the message names it."""


def require_tool(name: str, package: str) -> str:
    """Return the path of an installed program, or say which package brings it."""
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(f"{name} is not installed (Debian package: {package})")
    return path


def cache_directory() -> Path:
    """Where fetched and built client programs are kept, per user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "moldau"


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder `name` of the cache, which `make(folder)` fills when it is not there yet.

    One process makes it while others wait, and a half-made one never stands under its name.
    """
    folder = cache_directory() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = folder.with_name(f"{name}.partial")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def kafka_jars() -> Path:
    """Return the folder with the jars of Apache Kafka; see `jars_of`."""
    return jars_of(POM, "kafka-jars")


def jars_of(pom: Path, name: str) -> Path:
    """Return the folder with all jars that a `pom.xml` asks for; fetches them when they are not there yet.

    Raises `MissingToolError` without Java or Maven, `RuntimeError` with Maven's last lines when the fetch fails.
    """
    require_tool("java", "openjdk-17-jre-headless")
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    return made_once(f"{name}-{digest}", partial(_fetch_jars, pom))


def _fetch_jars(pom: Path, folder: Path) -> None:
    command = [require_tool("mvn", "maven"), "-q", "-B", "-f", str(pom), COPY_GOAL, f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"mvn could not fetch {pom}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def kafka_version() -> str:
    """The pinned version, as in the names of the jars."""
    text = POM.read_text()
    return text.split("<kafka.version>", 1)[1].split("<", 1)[0]
