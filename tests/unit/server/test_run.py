"""A broker in the foreground, seen from outside of its process."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from moldau.server.run import notify_service_manager

SERVE = """
import sys
from moldau.config.settings import EMBEDDED, Given, Origin, load
from moldau.server.boot import NodeOptions
from moldau.server.run import serve

given = [
    Given("log.dirs", sys.argv[1], Origin("flag")),
    Given("listeners", "PLAINTEXT://127.0.0.1:0", Origin("flag")),
]
serve(
    load(overrides=given, base=EMBEDDED),
    NodeOptions(format_new=True),
    lambda node: print(node.endpoints[0].port, flush=True),
)
print("stopped", flush=True)
"""


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_broker_cleanly(tmp_path, which):
    with subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        port = int(child.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            child.send_signal(which)
            assert child.wait(30) == 0
        assert child.stdout.read() == "stopped\n"
    assert (tmp_path / ".kafka_cleanshutdown").exists()


def test_the_service_manager_is_told_when_the_broker_is_ready_and_when_it_stops(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path / "data")], stdout=subprocess.PIPE, env=environment
        ) as child:
            assert manager.recv(100) == b"READY=1"
            child.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert child.wait(30) == 0


def test_without_a_service_manager_nobody_is_told(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_service_manager("READY=1")


def test_a_service_manager_that_is_gone_is_no_reason_to_stop(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify_service_manager("READY=1")
    assert "cannot tell the service manager" in caplog.text
