"""What the guide on Connect shows works as it stands there."""

import json
import re
import time
from pathlib import Path

import httpx
import pytest

import moldau
from moldau.cli.connect_client import read_connector
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.service import ConnectThread
from moldau.testing import KafkaClient

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "connect.md"


def blocks(language):
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def broker():
    """One of its own: the guide on the client has orders too."""
    with moldau.Broker() as running:
        yield running


@pytest.fixture
def client(broker):
    with KafkaClient(broker.bootstrap_servers) as made:
        yield made


@pytest.fixture
def worker(broker, tmp_path):
    (tmp_path / "clock.py").write_text(blocks("python")[0])
    settings = WorkerSettings(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "listeners": "http://127.0.0.1:0",
            "plugin.path": str(tmp_path),
            "offset.storage.file.filename": str(tmp_path / "offsets.dat"),
        }
    )
    with ConnectThread(settings) as running, httpx.Client(base_url=running.url, timeout=60) as http:
        yield http


def eventually(look):
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_first_pipeline_copies_its_file(worker, client, tmp_path):
    (tmp_path / "orders.txt").write_text("one\ntwo\n")
    # What else is JSON in the guide is lines for a configuration.
    for number, block in enumerate(block for block in blocks("json") if block.startswith("{")):
        file = tmp_path / f"{number}.json"
        file.write_text(block.replace("/tmp/", f"{tmp_path}/"))
        connector = read_connector(file)
        answer = worker.post("/connectors", json={"name": connector.name, "config": connector.config})
        assert answer.status_code == 201, answer.text
    eventually(lambda: "lines" in client.admin.list_topics(timeout=10).topics)
    assert [each.value() for each in client.read("lines", 2)] == [b"one", b"two"]

    copy = tmp_path / "copy.txt"
    eventually(lambda: copy.exists() and copy.read_text() == "one\ntwo\n")


def test_the_connector_of_ones_own_ticks(worker, client):
    config = {"connector.class": "clock:Clock", "topic": "ticks"}
    answer = worker.post("/connectors", json={"name": "clock", "config": config})
    assert answer.status_code == 201, answer.text

    eventually(lambda: "ticks" in client.admin.list_topics(timeout=10).topics)
    first, second = (json.loads(each.value())["payload"] for each in client.read("ticks", 2))
    assert 0 < first < second
