"""A broker, and the command line as a user runs it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from tests.broker_under_test import broker_under_test

from moldau.cli import run


@dataclass(frozen=True)
class Ended:
    """One command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def moldau(*arguments: str, text: str = "", servers: str | None = None, **environment: str) -> Ended:
    """Run `moldau …` to its end, in this process: a hundred interpreters would take minutes to start."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MOLDAU_", "KAFKA_"))}
    # Not the profiles of whoever runs the tests.
    variables["MOLDAU_PROFILES"] = "/nonexistent/profiles.toml"
    if servers is not None:
        variables["MOLDAU_BOOTSTRAP_SERVERS"] = servers
    stdin, stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(3))
    stdin.buffer.write(text.encode())
    stdin.seek(0)
    with (
        mock.patch.dict(os.environ, {**variables, **environment}, clear=True),
        mock.patch.multiple(sys, stdin=stdin, stdout=stdout, stderr=stderr),
    ):
        code = run(arguments)
    out, err = (_text_of(stream) for stream in (stdout, stderr))
    assert "Traceback" not in err, err
    return Ended(code, out, err)


def _text_of(stream: io.TextIOWrapper) -> str:
    stream.flush()
    content = stream.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode()


def moldau_process(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `moldau …` as a user does: a process of its own, with pipes."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MOLDAU_", "KAFKA_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "moldau", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**variables, **environment},
        # Tests that run in the background of a shell inherit an ignored SIGINT; a user's terminal ignores nothing.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - touches nothing shared
    )


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker_under_test(tmp_path_factory.mktemp("broker")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def topic() -> str:
    return f"cli-{uuid.uuid4().hex[:8]}"
