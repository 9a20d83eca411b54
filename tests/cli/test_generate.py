"""The files that `moldau generate` prints, held against the programs that read them."""

import configparser
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import moldau


def test_the_unit_tells_systemd_when_it_is_ready_and_is_restarted_when_it_fails():
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string(moldau("generate", "systemd-unit", "--executable", "/opt/moldau/bin/moldau").out)
    service = dict(unit["Service"])
    assert service["Type"] == "notify"
    assert service["ExecStart"] == "/opt/moldau/bin/moldau up --data /var/lib/moldau"
    assert (service["StateDirectory"], service["Restart"]) == ("moldau", "on-failure")
    assert int(service["LimitNOFILE"]) >= 100_000
    assert service["NoNewPrivileges"] == "yes"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze to ask")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "moldau.service"
    unit.write_text(moldau("generate", "systemd-unit", "--executable", sys.executable).out)
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "moldau.service" in line]
    assert complaints == []


def test_a_unit_for_a_file_runs_the_broker_with_it():
    out = moldau("generate", "systemd-unit", "--file", "/etc/moldau/server.properties", "--executable", "/m").out
    assert "ExecStart=/m broker /etc/moldau/server.properties\n" in out
    refused = moldau("generate", "systemd-unit", "--file", "server.properties")
    assert (refused.code, refused.out) == (2, "")
    assert "absolute" in refused.err


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    joined = dockerfile.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], re.sub(r"\s+", " ", line.split(None, 1)[1])) for line in lines]


def test_the_image_is_slim_not_root_checks_its_health_and_keeps_its_data():
    found = instructions(moldau("generate", "dockerfile").out)
    assert found[0][0] == "FROM"
    by_name = dict(found)
    assert by_name["USER"] == "moldau"
    assert by_name["VOLUME"] == "/data"
    assert by_name["STOPSIGNAL"] == "SIGTERM"
    assert '"moldau", "cluster", "describe"' in by_name["HEALTHCHECK"]
    assert by_name["CMD"] == '["moldau", "up", "--data", "/data"]'
    for name, argument in found:
        if name == "FROM":
            # Not whatever is newest on the day of the build.
            assert re.search(r":[0-9]+\.[0-9]+-slim", argument), argument
        assert name in {"FROM", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
        assert "sudo" not in argument
        assert "apt-get" not in argument
    users = [index for index, (name, _) in enumerate(found) if name == "USER"]
    assert not any(name == "RUN" for name, _ in found[users[-1] :])


def test_what_the_image_runs_works_with_kafkas_variables(tmp_path):
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "KAFKA_LISTENERS": "PLAINTEXT://127.0.0.1:0",
        "KAFKA_NUM_PARTITIONS": "7",
        "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qg",
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "HOME": str(tmp_path),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(environment["NOTIFY_SOCKET"])
        manager.settimeout(60)
        node = subprocess.Popen(
            ["moldau", "up", "--data", str(tmp_path / "data")],
            env=environment,
            executable=Path(sys.executable).with_name("moldau"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert manager.recv(100) == b"READY=1"
            address = node.stdout.readline().split()[1]
            healthy = moldau("cluster", "describe", "-b", address, "-o", "json")
            assert healthy.code == 0
            assert healthy.json["cluster_id"] == environment["CLUSTER_ID"]
            assert moldau("produce", "orders", "-b", address, text="a\n").code == 0
            topic = moldau("topic", "describe", "orders", "-b", address, "-o", "json").json
            assert len(topic["partitions"]) == 7
            node.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert node.wait(60) == 0
        finally:
            node.kill()
            node.communicate()
