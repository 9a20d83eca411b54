"""`kill -9` of the registry that writes: no answered schema is lost, and no id is given twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import httpx
import pytest

import moldau
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

CHILD = """
import sys
from moldau.registry.service import run
from moldau.registry.settings import RegistrySettings
settings = RegistrySettings(sys.argv[1], port=0, session_timeout_ms=6000, leader_timeout_s=60)
run(settings, lambda url: print(url, flush=True))
"""


def schema(number: int) -> str:
    return json.dumps({"type": "record", "name": f"R{number}", "fields": []})


def start(bootstrap_servers: str) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, bootstrap_servers], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


def register_until_it_dies(url: str, first: int, answered: dict[int, int], kill_after: int, child) -> None:
    """One after the other; the kill falls into whatever is going on."""
    killer = threading.Event()
    before = len(answered)

    def kill() -> None:
        killer.wait(60)
        child.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with httpx.Client(base_url=url, timeout=90) as client:
        for number in range(first, first + 10_000):
            try:
                answer = client.post(f"/subjects/s{number}/versions", json={"schema": schema(number)})
            except httpx.HTTPError:
                break
            if answer.status_code == 200:
                answered[number] = answer.json()["id"]
            if len(answered) - before >= kill_after:
                killer.set()
    thread.join()
    child.wait()


@pytest.mark.timeout(300)
def test_no_answered_schema_is_lost_and_no_id_is_given_twice():
    answered: dict[int, int] = {}
    with moldau.Broker() as broker:
        for turn in range(3):
            child, url = start(broker.bootstrap_servers)
            register_until_it_dies(url, turn * 10_000, answered, kill_after=20, child=child)
        with RegistryThread(RegistrySettings(broker.bootstrap_servers, port=0, leader_timeout_s=60)) as last:
            by_id = {
                version["id"]: (version["subject"], version["schema"])
                for version in httpx.get(f"{last.url}/schemas", timeout=60).json()
            }
            for number, schema_id in answered.items():
                assert by_id[schema_id][0] == f"s{number}"
                assert json.loads(by_id[schema_id][1])["name"] == f"R{number}"
            fresh = httpx.post(f"{last.url}/subjects/new/versions", json={"schema": '"int"'}, timeout=120).json()
            assert fresh["id"] == max(by_id) + 1
    assert len(set(answered.values())) == len(answered) >= 60
