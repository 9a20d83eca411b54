"""A wheel and an sdist as `uv build` makes them, and environments that have nothing but what they ask for.

`MOLDAU_PACKAGE_PROFILE=release` builds what a user gets; without it the profile `fast` spares minutes. Rust's own
intermediate files stay in target/package between runs; the sources are compiled anew each time, from the sdist.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROFILE = os.environ.get("MOLDAU_PACKAGE_PROFILE", "fast")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """Stdout of a command that must succeed; nothing of the developer's environment but what is given."""
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@dataclasses.dataclass(frozen=True)
class Uv:
    """The uv of this checkout, with the caches of this user."""

    program: str
    environment: dict[str, str]

    def __call__(self, *arguments: str | Path, cwd: Path) -> str:
        return run([self.program, *arguments], cwd, **self.environment)


@dataclasses.dataclass(frozen=True)
class Packages:
    sdist: Path
    wheel: Path
    unpacked: Path
    """What is in the sdist, where the wheel was compiled."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment, and an empty folder to work in that is not inside of any checkout."""

    path: Path
    uv: Uv

    @property
    def home(self) -> Path:
        return self.path.parent

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment of a program in it: no variable that would lead back to the checkout."""
        return {"PATH": f"{self.path / 'bin'}:{SYSTEM_PATH}", "HOME": str(self.home)}

    def install(self, *what: str | Path) -> None:
        self.uv("pip", "install", "--quiet", "--python", self.python, *what, *SETTINGS, cwd=self.home)

    def moldau(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path / "bin" / "moldau", *arguments],
            cwd=self.home,
            env=self.variables,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def program(self, source: str) -> str:
        """Stdout of a Python program that must succeed."""
        return run([self.python, "-c", source], self.home, **self.variables)

    def size_bytes(self) -> int:
        (packages,) = self.path.glob("lib/python*/site-packages")
        return sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())


SETTINGS = ("--config-setting", f"build-args=--profile {PROFILE} --locked")


@pytest.fixture(scope="session")
def uv() -> Uv:
    program = subprocess.run([ROOT / "tools" / "ensure-uv.sh"], capture_output=True, text=True, check=True)
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    path = f"{kept['PATH']}:{Path.home() / '.cargo' / 'bin'}"
    return Uv(program.stdout.strip(), kept | {"PATH": path, "CARGO_TARGET_DIR": str(ROOT / "target" / "package")})


@pytest.fixture(scope="session")
def packages(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("packages")
    uv("build", "--sdist", "--out-dir", folder, ROOT, cwd=folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    uv("build", "--wheel", "--out-dir", folder, unpacked, *SETTINGS, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return Packages(sdist, wheel, unpacked)


@pytest.fixture(scope="session")
def new_environment(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    def make(*what: str | Path) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("elsewhere") / "venv", uv)
        uv("venv", "--quiet", "--python", ">=3.11", environment.path, cwd=environment.home)
        environment.install(*what)
        return environment

    return make


@pytest.fixture(scope="session")
def base(new_environment, packages: Packages) -> Environment:
    """The wheel and what it depends on, nothing else."""
    return new_environment(packages.wheel)


@pytest.fixture(scope="session", params=["wheel", "sdist"])
def installed(request: pytest.FixtureRequest, new_environment, packages: Packages) -> Environment:
    if request.param == "wheel":
        return request.getfixturevalue("base")
    return new_environment(packages.unpacked)


@pytest.fixture(scope="session")
def with_extras(new_environment, packages: Packages) -> Environment:
    return new_environment(f"{packages.wheel}[all]")
