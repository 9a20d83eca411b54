"""The programs of the guides run as they stand there."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import moldau
from moldau.testing import KafkaClient
from moldau.testing.plugin import ExternalBroker

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
PLUGIN = "moldau.testing.plugin"


def programs(guide: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (GUIDES / guide).read_text(), re.DOTALL | re.MULTILINE)


def test_the_guide_on_the_client_runs(bootstrap_servers: str, kafka_broker):
    transactions = isinstance(kafka_broker, ExternalBroker) or find_spec("moldau.server.handlers.k26_end_txn")
    names: dict[str, object] = {"moldau": moldau}
    ran = 0
    for program in programs("client.md"):
        if "transaction" in program and not transactions:
            continue
        exec(compile(program.replace("127.0.0.1:9092", bootstrap_servers), "client.md", "exec"), names)
        ran += 1
    assert ran >= 4


def test_the_guide_on_groups_runs():
    # Members that wait five seconds for each heartbeat are what the guide describes, and too slow for a test.
    quick = {"group.consumer.min.heartbeat.interval.ms": 500, "group.consumer.heartbeat.interval.ms": 500}
    with moldau.Broker(**quick) as broker:
        names: dict[str, object] = {}
        for program in programs("groups.md"):
            exec(compile(program.replace("127.0.0.1:9092", broker.bootstrap_servers), "groups.md", "exec"), names)
        # Clients that outlive their broker complain.
        names.clear()


def test_the_guide_on_transactions_runs():
    # A broker of its own: the guide on the client has orders too.
    with moldau.Broker() as broker, KafkaClient(broker.bootstrap_servers) as client:
        names: dict[str, object] = {}
        for program in programs("transactions.md"):
            exec(compile(program.replace("127.0.0.1:9092", broker.bootstrap_servers), "transactions.md", "exec"), names)
        (shipment,) = client.read("shipments", 1, isolation_level="read_committed")
        assert shipment.value() == b"ORDER 1"
        names.clear()


@pytest.mark.parametrize("guide", ["producers.md", "consumers.md", "compaction.md", "notebooks.md"])
def test_a_guide_runs(guide: str):
    with moldau.Broker() as broker:
        names: dict[str, object] = {}
        for program in programs(guide):
            exec(compile(program.replace("127.0.0.1:9092", broker.bootstrap_servers), guide, "exec"), names)
        names.clear()


def test_the_program_of_the_readme_runs(capsys):
    exec(compile(programs("../../README.md")[0], "README.md", "exec"), {})
    assert capsys.readouterr().out == "b'customer-1' {'amount': 12}\n"


def test_the_program_of_the_five_minutes_reads_what_was_typed(capsys):
    with moldau.Broker() as broker, moldau.Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        for key, amount in ("customer-1", 12), ("customer-2", 7), ("customer-1", 30):
            producer.produce("orders", key=key, value=f'{{"amount": {amount}}}')
        assert producer.flush(30) == 0
        exec(
            compile(programs("../start.md")[0].replace("127.0.0.1:9092", broker.bootstrap_servers), "start.md", "exec")
        )
    assert sorted(line.split()[2] for line in capsys.readouterr().out.splitlines()) == [
        "b'customer-1'",
        "b'customer-1'",
        "b'customer-2'",
    ]


@pytest.mark.parametrize("program", programs("testing.md"), ids=lambda program: program.split("(")[0].split()[-1])
def test_the_guide_on_testing_passes(program: str, tmp_path: Path):
    (tmp_path / "test_it.py").write_text(program)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", PLUGIN],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # 5: there is no test in it, only a program that ran while the module was imported.
    assert outcome.returncode == (0 if "def test" in program else 5), outcome.stdout + outcome.stderr
