"""The guide's Debezium JSON as it stands, through a worker's REST interface: rows of PostgreSQL in topics."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import confluent_kafka
import httpx
import pytest
from tests.postgres_under_test import PASSWORD, USER

import moldau

PATIENCE_S = 60
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "cdc.md"


def guide_json() -> str:
    return re.search(r"```json\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1]


@pytest.fixture
def broker(tmp_path):
    with moldau.Broker(tmp_path / "node") as node:
        yield node.bootstrap_servers


@pytest.fixture
def worker(broker, tmp_path):
    """A worker of its own process, as people run it; its address."""
    command = [sys.executable, "-m", "moldau", "connect", "run", "--bootstrap-servers", broker, "--port", "0"]
    settings = {
        "group.id": "connect",
        "offset.flush.interval.ms": "500",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "config.storage.topic": "connect-configs",
        "offset.storage.topic": "connect-offsets",
        "status.storage.topic": "connect-status",
        "config.providers": "file",
        "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
    }
    properties = tmp_path / "worker.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    log = tmp_path / "worker.log"
    with log.open("w") as out:
        process = subprocess.Popen([*command, str(properties)], stdout=out, stderr=out, start_new_session=True)
    try:
        yield wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), log)[0]
    finally:
        process.terminate()
        process.wait(30)


def wait_for(look, log=None):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, log.read_text()[-3000:] if log else "it did not come"
        time.sleep(0.1)
    return found


def make_shop(newest, name):
    newest.create_database(name)
    newest.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(9,2) NOT NULL)",
        "CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, ccnum text)",
        "CREATE TABLE inventory (sku text PRIMARY KEY, stock int)",
        "INSERT INTO orders VALUES (1, 9.50)",
        "INSERT INTO customers VALUES (1, 'Anna', '123', '456')",
        "INSERT INTO inventory VALUES ('a', 3)",
        dbname=name,
    )


def test_the_guides_configuration_brings_rows_and_changes_into_topics(newest, name, broker, worker, tmp_path):
    make_shop(newest, name)
    secrets = tmp_path / "db.properties"
    secrets.write_text(f"password={PASSWORD}\n")
    text = guide_json().replace("prod-db.internal", "127.0.0.1").replace('"5432"', f'"{newest.port}"')
    text = (
        text.replace("debezium_ro", USER)
        .replace('"ecommerce"', f'"{name}"')
        .replace("/secrets/db.properties", str(secrets))
    )
    file = tmp_path / "orders-cdc.json"
    file.write_text(text)
    command = [sys.executable, "-m", "moldau", "connect", "create", "-f", str(file), "--url", worker]
    created = subprocess.run(command, capture_output=True, text=True, check=False)
    assert created.returncode == 0, created.stderr

    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 500,
        }
    )
    consumer.subscribe(["^ecommerce-prod.*"])
    found = []

    def events(count):
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < count:
            status = httpx.get(f"{worker}/connectors/postgres-orders-cdc/status").json()
            assert time.monotonic() < deadline, f"{found} {status}"
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                value = message.value()
                found.append(
                    (message.topic(), json.loads(message.key())["payload"], value and json.loads(value)["payload"])
                )
        return found

    events(3)
    newest.execute("UPDATE orders SET amount = 10", "DELETE FROM customers", dbname=name)
    events(6)
    consumer.close()
    by_topic = {}
    for topic, key, value in found:
        by_topic.setdefault(topic.rpartition(".")[2], []).append((key, value and (value["op"], value["after"])))
    assert by_topic["customers"] == [
        ({"id": 1}, ("r", {"id": 1, "name": "Anna"})),
        ({"id": 1}, ("d", None)),
        ({"id": 1}, None),
    ]
    assert [entry[1][0] for entry in by_topic["orders"]] == ["r", "u"]
    assert by_topic["inventory"] == [({"sku": "a"}, ("r", {"sku": "a", "stock": 3}))]

    # What Kafka has is confirmed to the server, and kept as the connector's offset; the password is shown nowhere.
    lag = "SELECT confirmed_flush_lsn >= '0/1'::pg_lsn FROM pg_replication_slots WHERE slot_name = 'debezium'"
    assert newest.execute(lag) == [(True,)]
    stored = wait_for(lambda: httpx.get(f"{worker}/connectors/postgres-orders-cdc/offsets").json()["offsets"])
    assert stored[0]["partition"] == {"server": "ecommerce-prod"}
    assert PASSWORD not in httpx.get(f"{worker}/connectors/postgres-orders-cdc").text
    assert httpx.delete(f"{worker}/connectors/postgres-orders-cdc").status_code == 204
    idle = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'debezium' AND NOT active"
    wait_for(lambda: newest.execute(idle))
    newest.execute("SELECT pg_drop_replication_slot('debezium')")
