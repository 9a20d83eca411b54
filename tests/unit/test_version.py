"""The version is written in three files, which say the same."""

import tomllib
from pathlib import Path

from moldau.version import VERSION


def test_the_version_that_is_said_is_the_one_that_is_built():
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"] == VERSION
    assert tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["package"]["version"] == VERSION
