"""Test runs side by side: programs are built once for all of them, and none takes the port of another."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench.versus.jars import made_once
from bench.versus.ports import PORTS, PORTS_PER_PROCESS, free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_who_comes_while_a_folder_is_made_waits_for_it_and_makes_none():
    makers: list[Path] = []
    everyone_came = threading.Barrier(5)

    def make(folder: Path) -> None:
        makers.append(folder)
        (folder / "half").write_text("")
        assert not folder.with_name("client").exists(), "a half-made folder stands under its name"
        (folder / "client").write_text("whole")

    def come(_number: int) -> str:
        everyone_came.wait()
        return (made_once("client", make) / "client").read_text()

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(come, range(5))) == ["whole"] * 5
    assert len(makers) == 1


def test_a_folder_that_could_not_be_made_is_made_anew():
    def fail(folder: Path) -> None:
        (folder / "rubbish").write_text("")
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        made_once("client", fail)
    folder = made_once("client", lambda folder: (folder / "client").write_text("whole"))
    assert [file.name for file in folder.iterdir()] == ["client"]


def test_a_port_is_not_given_twice_and_is_none_that_the_kernel_gives_to_connections():
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert set(ports) <= set(PORTS)


def test_a_process_beside_this_one_has_ports_of_its_own():
    ours = {free_port() for _ in range(PORTS_PER_PROCESS)}
    script = "from bench.versus.ports import free_port; print(free_port())"
    theirs = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert int(theirs.stdout) not in ours
