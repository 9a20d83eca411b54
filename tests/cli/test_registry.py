"""`moldau registry`, and the registry of `moldau up`."""

from __future__ import annotations

import signal
import socket
from importlib import util

import httpx
import pytest
from tests.cli.conftest import moldau, moldau_process

from moldau.cli import registry as command
from moldau.cli.output import say


def line_with(process, word: str) -> str:
    for line in process.stdout:
        if line.startswith(word):
            return line.split()[1]
    raise AssertionError(process.stderr.read())


def stopped(process) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=60)
    return process.returncode, err


def test_up_runs_a_registry_beside_the_node_and_stops_it_first():
    process = moldau_process("up", "--port", "0", "--registry-port", "0")
    try:
        servers = line_with(process, "kafka ")
        url = line_with(process, "registry ")
        answer = httpx.post(f"{url}/subjects/s/versions", json={"schema": '"string"'}, timeout=60)
        assert answer.json()["id"] == 1
        for noun, name in (("topic", "_schemas"), ("group", "schema-registry")):
            # Nobody's data and nobody's application: there, and not in the way.
            assert moldau(noun, "list", "-o", "name", "-b", servers).out == ""
            assert name in moldau(noun, "list", "-o", "name", "--internal", "-b", servers).out.split()
        assert moldau("lag", "--over", "0", "-o", "json", "-b", servers).json == []
        code, err = stopped(process)
        assert code == 0
        assert "Traceback" not in err
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_costs_up_its_registry_and_not_the_node():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = moldau_process("up", "--port", "0", "--registry-port", str(port))
        try:
            servers = line_with(process, "kafka ")
            assert moldau("topic", "list", "-b", servers).code == 0
            for line in process.stderr:
                if line.startswith("registry not started"):
                    assert str(port) in line
                    break
            assert stopped(process)[0] == 0
        finally:
            process.kill()
            process.wait()


def test_a_registry_runs_alone_against_any_cluster(servers):
    process = moldau_process("registry", "-b", servers, "--port", "0", "--topic", "_alone", "--group", "alone")
    try:
        url = line_with(process, "registry ")
        assert httpx.get(f"{url}/schemas/types").json() == ["JSON", "PROTOBUF", "AVRO"]
        code, err = stopped(process)
        assert (code, "Traceback" in err) == (0, False)
        assert "_alone" in err
    finally:
        process.kill()
        process.wait()


def test_without_a_cluster_it_says_so():
    ended = moldau("registry", "-b", "127.0.0.1:1", "--port", "0")
    assert ended.code == 3


@pytest.fixture
def without_the_extra(monkeypatch):
    real = util.find_spec
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None if name == "httpx" else real(name))


def test_without_the_extra_it_says_what_to_install(without_the_extra):
    ended = moldau("registry", "-b", "127.0.0.1:1")
    assert (ended.code, "httpx" in ended.err, "moldau[registry]" in ended.err) == (2, True, True)


def test_without_the_extra_up_says_it_in_one_line_and_goes_on(without_the_extra, capsys):
    beside = command.RegistryBeside("127.0.0.1", 0)
    beside.start("127.0.0.1:1", then=lambda: say("stop"))
    beside.close()
    assert capsys.readouterr().err == "registry not started: it needs httpx; pip install 'moldau[registry]'\nstop\n"
