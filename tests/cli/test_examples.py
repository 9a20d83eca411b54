"""The examples below the help of the commands are run as they stand."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import moldau

from moldau.cli.examples import EXAMPLES

RUNNABLE = [
    (command, line)
    for command, lines in EXAMPLES.items()
    for line in lines
    if "kafka:9092" not in line and "kafka-data" not in line
]


@pytest.fixture(scope="module")
def prepared(servers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    script = folder / "moldau"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m moldau "$@"\n')
    script.chmod(0o755)
    moldau("topic", "create", "orders", "users", "copy", "--if-absent", "-p", "1", servers=servers)
    moldau("produce", "orders", "-K", ":", text='customer-1:{"amount": 12}\n' * 3, servers=servers)
    moldau("group", "seek", "billing", "--to", "0", "-t", "orders", "--execute", servers=servers)
    (folder / "before.csv").write_text("orders,0,0\n")
    shutil.copy(Path(__file__).with_name("revenue.py"), folder)
    return folder


@pytest.mark.parametrize(("command", "line"), RUNNABLE, ids=[line for _command, line in RUNNABLE])
def test_an_example_does_what_it_says(servers, prepared, command, line):
    environment = {
        **os.environ,
        "MOLDAU_BOOTSTRAP_SERVERS": servers,
        "MOLDAU_PROFILES": "/nonexistent",
        "PATH": f"{prepared}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        line, shell=True, cwd=prepared, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    exists = command == "topic create" and "TOPIC_ALREADY_EXISTS" in done.stderr
    assert done.returncode == 0 or exists, done.stderr
    assert line in moldau(*command.split(), "--help").out


def test_every_example_is_of_a_command_that_there_is():
    for command in EXAMPLES:
        assert moldau(*command.split(), "--help").code == 0
