"""The guide's three configurations, word for word (examples/guide/connect), given to the Connect of `moldau up`.

Only addresses are replaced: of the database, of its secret, and by the environment that of S3. What the guide gets
wrong is what Kafka Connect would refuse, too, and it is said so.
"""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import polars as pl
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tests.moto_under_test import moto_under_test
from tests.postgres_under_test import PASSWORD, USER

from moldau.cli.connect_client import parse_commented

GUIDE = Path(__file__).parents[3] / "examples" / "guide" / "connect"
PATIENCE_S = 90
HOUR_MS = 3_600_000


def wait_for(look, said=lambda: "it did not come"):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def s3():
    with moto_under_test("my-data-lake") as url:
        yield url


class Node:
    """`moldau up`, and its commands."""

    def __init__(self, said):
        self.servers, self.url = said

    def connect(self, *arguments):
        command = [sys.executable, "-m", "moldau", "connect", *map(str, arguments), "--url", self.url]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def create(self, file):
        ended = self.connect("create", "-f", file)
        assert ended.returncode == 0, ended.stderr

    def status(self, name):
        return self.connect("status", name).stdout

    def produce(self, topic, values, partitions=1):
        admin = AdminClient({"bootstrap.servers": self.servers})
        if topic not in admin.list_topics(timeout=30).topics:
            admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
        producer = Producer({"bootstrap.servers": self.servers})
        for value in values:
            producer.produce(topic, value=json.dumps(value), partition=0)
        assert producer.flush(30) == 0

    def read(self, topic, count, said):
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": f"reader of {topic}",
                             "auto.offset.reset": "earliest", "topic.metadata.refresh.interval.ms": 300})  # fmt: skip
        consumer.subscribe([f"^{re.escape(topic)}$"])
        found = []

        def look():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message)
            return len(found) >= count

        wait_for(look, said)
        consumer.close()
        return found


@pytest.fixture(scope="module")
def node(s3, tmp_path_factory):
    log = tmp_path_factory.mktemp("node") / "log"
    ports = ("--port", "0", "--registry-port", "0", "--connect-port", "0")
    address = {"AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true"}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "moldau", "up", *ports],
            stdout=out, stderr=out, env={**os.environ, **address, **keys}, start_new_session=True,
        )  # fmt: skip
    try:
        said = wait_for(
            lambda: re.search(r"^kafka +(\S+)$.*^connect +(\S+)$", log.read_text(), re.DOTALL | re.MULTILINE)
        )
        yield Node(said.groups())
    finally:
        process.terminate()
        process.wait(60)


def here(newest, name, folder):
    """The guide's Debezium file with the addresses of this machine, in a file."""
    secret = folder / "db.properties"
    secret.write_text(f"password={PASSWORD}\n")
    text = (GUIDE / "postgres-orders-cdc.json").read_text()
    for theirs, ours in (
        ("prod-db.internal", "127.0.0.1"),
        ('"5432"', f'"{newest.port}"'),
        ("debezium_ro", USER),
        ('"ecommerce"', f'"{name}"'),
        ("/secrets/db.properties", str(secret)),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    return text


def test_debeziums_is_refused_only_for_what_is_not_on_this_machine(node):
    ended = node.connect("validate", "-f", GUIDE / "postgres-orders-cdc.json")
    assert ended.returncode == 1
    named = [line.partition(":")[0] for line in ended.stdout.splitlines() if line[:1].isalpha()]
    assert set(named) <= {"database.hostname", "database.password", "database.user", "database.port", "database.dbname"}
    assert "/secrets/db.properties" in ended.stdout + ended.stderr


def test_debeziums_stops_at_rows_that_are_no_outbox_and_with_a_predicate_runs(node, newest, name, tmp_path):
    newest.create_database(name)
    newest.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(9,2) NOT NULL)",
        "CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, ccnum text)",
        "CREATE TABLE inventory (sku text PRIMARY KEY, stock int)",
        "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb)",
        "INSERT INTO orders VALUES (1, 9.50)",
        "INSERT INTO customers VALUES (1, 'Anna', '123', '456')",
        dbname=name,
    )
    text = here(newest, name, tmp_path)
    file = tmp_path / "as-written.json"
    file.write_text(text)
    node.create(file)

    def status():
        return node.status("postgres-orders-cdc")

    # As Debezium's router does: a row of another table has no payload.
    wait_for(
        lambda: "there is no column of the payload 'payload' in ecommerce-prod.public.orders.Value" in status(), status
    )
    assert node.connect("delete", "postgres-orders-cdc", "--yes").returncode == 0
    idle = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'debezium' AND NOT active"
    wait_for(lambda: newest.execute(idle))
    newest.execute("SELECT pg_drop_replication_slot('debezium')")

    config = parse_commented(text)
    config["name"] = "with-a-predicate"
    config["config"] |= {
        "table.include.list": config["config"]["table.include.list"] + ",public.outbox",
        "transforms.outbox.predicate": "isOutbox",
        "predicates": "isOutbox",
        "predicates.isOutbox.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.isOutbox.pattern": ".*[.]outbox",
    }
    file.write_text(json.dumps(config))
    node.create(file)

    def said():
        return node.status("with-a-predicate")

    (order,) = node.read("ecommerce-prod.public.orders", 1, said)
    assert json.loads(order.key())["payload"] == {"id": 1}
    (customer,) = node.read("ecommerce-prod.public.customers", 1, said)
    assert json.loads(customer.value())["payload"]["after"] == {"id": 1, "name": "Anna"}
    newest.execute(
        "INSERT INTO outbox VALUES (gen_random_uuid(), 'order', '1', 'OrderPlaced', '{\"order\": 1}')", dbname=name
    )
    (event,) = node.read("outbox.event.order", 1, said)
    assert dict(event.headers())["eventType"] == b"OrderPlaced"
    assert json.loads(event.key())["payload"] == "1"
    assert json.loads(json.loads(event.value())["payload"]) == {"order": 1}
    assert node.connect("delete", "with-a-predicate", "--yes").returncode == 0
    wait_for(lambda: newest.execute(idle))
    newest.execute("SELECT pg_drop_replication_slot('debezium')")


def ordered(number, at_ms):
    """An order as JsonConverter reads it, with its schema."""
    fields = [
        {"field": "id", "type": "int64"},
        {"field": "event_ts", "type": "int64", "name": "org.apache.kafka.connect.data.Timestamp", "version": 1},
    ]
    return {"schema": {"type": "struct", "fields": fields}, "payload": {"id": number, "event_ts": at_ms}}


def test_the_s3_sink_writes_a_table_by_the_hour_as_it_is_written(node, s3):
    start = int(datetime(2024, 1, 15, 9, tzinfo=UTC).timestamp() * 1000)
    # Every quarter of an hour; the guide's ten minutes end a file with the record that comes after them.
    node.produce("orders", [ordered(number, start + number * HOUR_MS // 4) for number in range(9)])
    node.produce("inventory", [ordered(number, start + number * HOUR_MS) for number in range(2)])
    node.create(GUIDE / "s3-sink-orders.json")
    options = {"aws_endpoint_url": s3, "aws_access_key_id": "key", "aws_secret_access_key": "secret",
               "aws_region": "us-east-1", "aws_allow_http": "true"}  # fmt: skip

    def lake(topic):
        try:
            place = f"s3://my-data-lake/topics/{topic}/"
            return pl.scan_parquet(place, hive_partitioning=True, storage_options=options).collect()
        except (OSError, pl.exceptions.PolarsError):
            return pl.DataFrame({"id": []})

    def listed():
        with urlopen(f"{s3}/my-data-lake?list-type=2", timeout=30) as answer:
            return re.findall("<Key>(.*?)</Key>", answer.read().decode())

    def said():
        return f"{node.status('s3-sink-orders')}\n{listed()}"

    wait_for(lambda: len(lake("orders")) == 8 and len(lake("inventory")) == 1, said)
    orders = lake("orders").sort("id")
    assert orders["id"].to_list() == list(range(8))
    assert orders["hour"].to_list() == [9] * 4 + [10] * 4
    assert set(orders.select("year", "month", "day").rows()) == {(2024, 1, 15)}
    assert "topics/orders/year=2024/month=01/day=15/hour=09/orders+0+0000000000.zstd.parquet" in listed()
    assert sum(key.startswith("topics/orders/") for key in listed()) == 8
    assert node.status("s3-sink-orders").count("RUNNING") == 9


def test_the_chain_of_transforms_runs_as_it_is_written(node, tmp_path):
    # The guide shows lines of a configuration, without braces.
    chain = parse_commented(f"{{{(GUIDE / 'transforms.txt').read_text()}}}")
    order = {
        "region": "eu",
        "customer": {"name": "Anna", "city": "Praha"},
        "ssn": "078051120",
        "credit_card": "4111",
        "email": "anna@example.com",
        "created_at": 1705312800000,
    }
    kinds = {"region": "string", "ssn": "string", "credit_card": "string", "email": "string"}
    fields = [{"field": field, "type": kind} for field, kind in kinds.items()]
    named = [{"field": field, "type": "string"} for field in ("name", "city")]
    fields.append({"field": "customer", "type": "struct", "fields": named})
    moment = {"type": "int64", "name": "org.apache.kafka.connect.data.Timestamp", "version": 1}
    fields.append({"field": "created_at", **moment})
    node.produce("raw", [{"schema": {"type": "struct", "fields": fields}, "payload": order}])
    config = {
        "connector.class": "io.confluent.connect.s3.S3SinkConnector",
        "topics": "raw",
        "store.url": tmp_path.as_uri(),
        "format.class": "io.confluent.connect.s3.format.json.JsonFormat",
        "flush.size": "1",
        "store.kafka.keys": "true",
        "keys.format.class": "io.confluent.connect.s3.format.json.JsonFormat",
        **chain,
    }
    file = tmp_path / "chain.json"
    file.write_text(json.dumps({"name": "chain", "config": config}))
    node.create(file)
    wait_for(lambda: len(list(tmp_path.rglob("raw+0+*.json"))) == 2, lambda: node.status("chain"))
    by_kind = {".keys" in each.name: json.loads(each.read_text()) for each in tmp_path.rglob("raw+0+*.json")}
    # ValueToKey makes a key of the region; it chooses no topic.
    assert by_kind[True] == {"region": "eu"}
    assert by_kind[False] == {
        "region": "eu",
        "ssn": "[REDACTED]",
        "credit_card": "[REDACTED]",
        "email": "[REDACTED]",
        "customer_name": "Anna",
        "customer_city": "Praha",
        "created_at": 1705312800000,
        "_source": "postgres-prod",
    }
