"""A disk that is full and a directory that cannot be written: a clear error, no loss, and the rest goes on."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fault.conftest import NodeFactory
from tests.fault.records import create_topic, numbered, produce, read
from tests.fault.small_disk import small_disk as mounted_small_disk

SMALL_BYTES = 24 << 20
LIMIT_BYTES = 2 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs that holds 24 MiB."""
    with mounted_small_disk(tmp_path / "small", SMALL_BYTES) as folder:
        if folder is None:
            pytest.skip("mounting a tmpfs needs root; the limit on the size of files below needs nothing")
        yield folder


def big(count: int) -> list[str]:
    return [value + "y" * 10_000 for value in numbered(count)]


def test_a_full_disk_refuses_records_and_keeps_what_it_acknowledged(small_disk: Path, new_node: NodeFactory):
    sound = small_disk.parent / "sound"
    node = new_node(log_dirs=f"{sound},{small_disk / 'data'}")
    node.start()
    # Two partitions in each directory, because a new one goes where there are fewest.
    create_topic(node.bootstrap_servers, "filling", 4)
    on_small = [number for number in range(4) if (small_disk / "data" / f"filling-{number}").is_dir()]
    on_sound = [number for number in range(4) if (sound / f"filling-{number}").is_dir()]
    assert on_small
    assert on_sound
    acknowledged, errors = produce(node.bootstrap_servers, "filling", big(4000), on_small[0], timeout_ms=8_000)
    assert errors, "a disk of 24 MiB does not take 40 MB"
    assert acknowledged
    assert node.is_running(), "the node does not end because one directory is full"
    assert any(word in node.log_file.read_text().lower() for word in ("no space", "no room"))

    values = numbered(50)
    assert produce(node.bootstrap_servers, "filling", values, on_sound[0]) == (values, [])
    node.stop()
    # Somebody makes room.
    subprocess.run(["mount", "-o", f"remount,size={4 * SMALL_BYTES}", str(small_disk)], check=True)
    node.start()
    found = read(node.bootstrap_servers, "filling", 4)
    assert found[on_small[0]][: len(acknowledged)] == acknowledged
    assert found[on_sound[0]] == values
    more = numbered(20, first=9000)
    assert produce(node.bootstrap_servers, "filling", more, on_small[0]) == (more, [])


def test_a_limit_on_file_sizes_refuses_records_and_keeps_what_it_acknowledged(new_node: NodeFactory):
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed (Debian package: util-linux)")
    node = new_node(prefix=("prlimit", f"--fsize={LIMIT_BYTES}"), log_index_size_max_bytes="65536")
    node.start()
    create_topic(node.bootstrap_servers, "filling", 1)
    acknowledged, errors = produce(node.bootstrap_servers, "filling", big(1000), timeout_ms=6_000)
    assert errors
    assert len(acknowledged) >= 100
    if node.is_running():
        node.kill()
    # The same node without the limit.
    node.command[:2] = []
    node.start()
    found = read(node.bootstrap_servers, "filling")[0]
    assert found[: len(acknowledged)] == acknowledged
    more = numbered(20, first=9000)
    assert produce(node.bootstrap_servers, "filling", more) == (more, [])


def test_a_data_directory_that_cannot_be_made_is_said_and_the_node_ends(new_node: NodeFactory, tmp_path: Path):
    file = tmp_path / "a-file"
    file.write_text("not a folder")
    node = new_node(log_dirs=str(file / "data"))
    with pytest.raises(RuntimeError, match="ended with"):
        node.start(timeout_s=30)
    said = node.log_file.read_text()
    assert str(file) in said
    assert "Traceback" not in said, "a user is told what is wrong, not where in the program"


def test_two_nodes_do_not_share_a_data_directory(new_node: NodeFactory, tmp_path: Path):
    first = new_node("first", log_dirs=str(tmp_path / "shared"))
    second = new_node("second", log_dirs=str(tmp_path / "shared"))
    first.start()
    with pytest.raises(RuntimeError, match="ended with"):
        second.start(timeout_s=30)
    assert str(tmp_path / "shared") in second.log_file.read_text()
    create_topic(first.bootstrap_servers, "alone", 1)


def test_running_out_of_file_descriptors_refuses_connections_and_keeps_the_log(new_node: NodeFactory):
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed (Debian package: util-linux)")
    import socket

    node = new_node(prefix=("prlimit", "--nofile=512"))
    node.start()
    create_topic(node.bootstrap_servers, "kept", 1)
    values = numbered(50)
    assert produce(node.bootstrap_servers, "kept", values) == (values, [])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    crowd = []
    try:
        for _ in range(800):
            connection = socket.create_connection(("127.0.0.1", node.port), 5)
            crowd.append(connection)
    except OSError:
        pass
    finally:
        for connection in crowd:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert node.is_running()
    more = numbered(50, first=500)
    assert produce(node.bootstrap_servers, "kept", more) == (more, [])
    assert read(node.bootstrap_servers, "kept")[0] == values + more
