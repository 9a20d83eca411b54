"""What a tab offers."""

import shutil
import socket
import subprocess
import time

import pytest
from tests.cli.conftest import moldau


def offered(*words, servers=None, **environment):
    ended = moldau("__complete", *words, servers=servers, **environment)
    assert (ended.code, ended.err) == (0, "")
    return ended.out.split()


def test_commands_options_and_choices_are_offered():
    assert "topic" in offered("")
    assert offered("top") == ["topic"]
    assert "describe" in offered("topic", "")
    assert offered("topic", "trim", "--ex") == ["--execute"]
    assert offered("topic", "list", "-o", "j") == ["json", "jsonl"]
    assert offered("config", "show", "") == ["broker", "group", "topic"]
    assert "retention.ms" in offered("config", "explain", "reten")
    assert offered("completion", "") == ["bash", "fish", "zsh"]
    assert "kafka-topics" in offered("kafka-t")
    assert offered("nonsense", "") == []


def test_names_come_from_the_cluster(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    moldau("group", "seek", topic, "--to", "0", "-t", topic, "--execute", servers=servers)
    deadline = time.monotonic() + 30
    # On a busy machine a tab may find nothing within its 300 ms: the user presses it again.
    for words in (["topic", "describe", topic[:6]], ["consume", topic[:6]], ["group", "seek", "g", "-t", topic[:6]]):
        while topic not in offered(*words, servers=servers):
            assert time.monotonic() < deadline
    while topic not in offered("group", "describe", topic[:6], servers=servers):
        assert time.monotonic() < deadline


def test_a_cluster_that_is_silent_or_gone_offers_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert offered("topic", "describe", "", servers=f"127.0.0.1:{silent.getsockname()[1]}") == []
    assert offered("topic", "describe", "", servers="127.0.0.1:1") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_one_its_shell_can_read(shell):
    script = moldau("completion", shell).out
    assert moldau("generate", "completion", shell).out == script
    assert "moldau __complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=30)
