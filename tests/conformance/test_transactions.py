"""Transactions of librdkafka and of the Java client, read by the other, and Kafka's own transactional tools."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Callable

import pytest
from bench.versus.apache_kafka import java
from bench.versus.jars import MissingToolError
from confluent_kafka import KafkaException, Producer
from tests.conformance.clients import Record
from tests.conformance.clients.confluent import ConfluentKafka
from tests.conformance.committed import committed

TIMEOUT_S = 120
COPIER = "org.apache.kafka.tools.TransactionalMessageCopier"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
JVM_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]


def run_java(main_class: str, *arguments: str) -> str:
    try:
        command = java(main_class, *arguments, jvm_options=JVM_OPTIONS)
    except MissingToolError as missing:
        pytest.skip(str(missing))
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{main_class} {arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("aborts", [(), ("--enable-random-aborts",)], ids=["commits", "with aborts"])
def test_kafkas_own_copier_copies_every_record_once(
    bootstrap_servers: str, admin: ConfluentKafka, new_topic: Callable[..., str], aborts: tuple[str, ...]
):
    source, target = new_topic(1), new_topic(3)
    admin.produce(source, [Record(value=str(number), key=f"k{number}", partition=0) for number in range(600)])
    arguments = {
        "--broker-list": bootstrap_servers,
        "--input-topic": source,
        "--output-topic": target,
        "--input-partition": "0",
        "--transactional-id": f"copier-{uuid.uuid4().hex[:8]}",
        "--consumer-group": f"copiers-{uuid.uuid4().hex[:8]}",
        "--transaction-size": "40",
        "--max-messages": "600",
    }
    options = [part for pair in arguments.items() for part in pair]
    printed = run_java(COPIER, *options, "--use-group-metadata", *aborts)
    assert json.loads(printed.splitlines()[-1])["remaining"] == 0
    values = committed(bootstrap_servers, target, 600)
    assert sorted(map(int, values)) == list(range(600))


def test_kafka_transactions_lists_describes_and_aborts(bootstrap_servers: str, new_topic: Callable[..., str]):
    topic, transactional_id = new_topic(1), f"tools-{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": transactional_id})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    assert producer.flush(30) == 0

    def tool(*arguments: str) -> str:
        return run_java(TRANSACTIONS, "--bootstrap-server", bootstrap_servers, *arguments)

    assert re.search(rf"{transactional_id}\s+\d+\s+\d+\s+Ongoing", tool("list"))
    described = tool("describe", "--transactional-id", transactional_id)
    assert f"{topic}-0" in described
    assert "Ongoing" in described
    producers = tool("describe-producers", "--topic", topic, "--partition", "0")
    assert re.search(r"^\d+\s+\d+\s+\S+\s+0\s+\d+\s+0\s*$", producers, re.MULTILINE), producers
    tool("abort", "--topic", topic, "--partition", "0", "--start-offset", "0")
    assert committed(bootstrap_servers, topic, 0) == []
    producers = tool("describe-producers", "--topic", topic, "--partition", "0")
    assert re.search(r"^\d+\s+\d+\s+\S+\s+\S+\s+\d+\s+None\s*$", producers, re.MULTILINE), producers


def test_librdkafka_is_fenced_by_a_producer_of_the_same_name(bootstrap_servers: str, new_topic: Callable[..., str]):
    topic, transactional_id = new_topic(2), f"fenced-{uuid.uuid4().hex[:8]}"

    def producer() -> Producer:
        made = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": transactional_id})
        made.init_transactions(30)
        return made

    zombie = producer()
    zombie.begin_transaction()
    zombie.produce(topic, "from the zombie", partition=0)
    assert zombie.flush(30) == 0
    other = producer()
    with pytest.raises(KafkaException) as fenced:
        zombie.commit_transaction(30)
    assert fenced.value.args[0].fatal()
    other.begin_transaction()
    other.produce(topic, "from the other", partition=1)
    other.commit_transaction(30)
    assert committed(bootstrap_servers, topic, 1) == ["from the other"]
