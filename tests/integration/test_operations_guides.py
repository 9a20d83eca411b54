"""What the guides on sizing and lag show is what the commands print, and their programs run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import moldau

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"


def blocks(guide: str, language: str) -> list[str]:
    # Also those that are indented below an entry of a list.
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", (GUIDES / guide).read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def run(command: str) -> subprocess.CompletedProcess[str]:
    assert command.startswith("moldau ")
    words = [sys.executable, "-m", *shlex.split(command)]
    # The width of the captures in the docs.
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"}, check=False)


def test_the_plan_of_the_guide_is_printed_as_it_stands_there():
    first = blocks("sizing.md", "console")[0]
    command, _, shown = first.partition("\n")
    ended = run(command.removeprefix("$ "))
    assert ended.stdout == shown
    assert ended.stderr == blocks("sizing.md", "text")[0]


@pytest.mark.parametrize("program", blocks("sizing.md", "python"))
def test_the_program_on_sizing_runs(program):
    exec(compile(program, "sizing.md", "exec"), {})


def test_the_program_on_lag_counts_from_the_log_start(capsys):
    with moldau.Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("orders", 1)])["orders"].result(30)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for _ in range(100):
            producer.produce("orders", b"x")
        assert producer.flush(30) == 0
        for future in admin.delete_records([TopicPartition("orders", 0, 70)]).values():
            future.result(30)
        for program in blocks("lag.md", "python"):
            exec(compile(program.replace("127.0.0.1:9092", broker.bootstrap_servers), "lag.md", "exec"), {})
    assert capsys.readouterr().out == "30\n"
