"""What the doctor finds, and what it prescribes."""

import socket

import pytest
from tests.cli.conftest import moldau
from tests.cli.test_serve import running

from moldau.cli.doctor import _kind_of_disk


def found(ended):
    return {one["check"]: one for one in ended.json}


def test_a_healthy_node_is_healthy(servers):
    ended = moldau("doctor", "-o", "json", servers=servers)
    checks = found(ended)
    assert ended.code == 0, ended.json
    assert set(checks) >= {
        "versions", "open files", "address", "protocol", "advertised", "partitions", "clock", "disk",
    }  # fmt: skip
    assert all(one["state"] != "failed" and (one["state"] == "ok" or one["fix"]) for one in ended.json)


def test_an_advertised_address_that_refuses_is_found_with_the_setting():
    with running("up", "--port", "0", "--override", "advertised.listeners=PLAINTEXT://127.0.0.1:1") as (_node, servers):
        ended = moldau("doctor", "-o", "json", servers=servers)
    advertised = found(ended)["advertised"]
    assert (ended.code, advertised["state"]) == (1, "failed")
    assert "127.0.0.1:1" in advertised["finding"]
    assert "advertised.listeners=PLAINTEXT://HOST:1" in advertised["fix"]


def test_nobody_there_is_found_at_the_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    ended = moldau("doctor", servers=address)
    assert ended.code == 1
    assert f"FAILED   address      {address}: Connection refused" in ended.out
    assert "fix: is the broker running there?" in ended.out


def test_a_registry_that_is_not_there_is_found(servers):
    ended = moldau("doctor", "--registry", "http://127.0.0.1:1", "-o", "json", servers=servers)
    assert found(ended)["registry"]["state"] == "failed"
    wrong = moldau("doctor", "-o", "json", servers=servers, MOLDAU_REGISTRY_URL="localhost:8081")
    assert found(wrong)["registry"]["fix"] == "write http://host:8081"


@pytest.mark.parametrize(("folder", "kind"), [("data", "ext4"), ("data/fast", "tmpfs"), ("database", "xfs")])
def test_the_kind_of_a_disk_is_that_of_the_innermost_mount(tmp_path, folder, kind):
    path = tmp_path / folder
    path.mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / xfs rw 0 0\nb {tmp_path}/data ext4 rw 0 0\nc {tmp_path}/data/fast tmpfs rw 0 0\n")
    assert _kind_of_disk(path, mounts) == kind
