"""A user's program type-checks in strict mode against the package as it is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

PROGRAM = """
from __future__ import annotations

from collections.abc import Sequence

import polars as pl

import moldau
from moldau.client import KafkaError, KafkaException, Message, NewTopic, TopicPartition
from moldau.testing import KafkaClient, KafkaContainer


def by_region(key: bytes, every: Sequence[int], available: Sequence[int]) -> int:
    return every[0] if key.startswith(b"eu") else every[-1]


def delivered(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        raise KafkaException(error)
    print(message.topic(), message.partition(), message.offset())


def assigned(consumer: moldau.Consumer, partitions: list[TopicPartition]) -> None:
    consumer.assign(partitions)


def pipeline(broker: moldau.Broker) -> int:
    where: str = broker.bootstrap_servers
    admin = moldau.AdminClient(bootstrap_servers=where)
    for future in admin.create_topics([NewTopic("orders", 3), NewTopic("processed", 3)]).values():
        future.result(30)
    producer = moldau.Producer({"bootstrap.servers": where, "transactional.id": "t"}, partitioner=by_region)
    consumer = moldau.Consumer({"bootstrap.servers": where, "group.id": "g", "max.poll.records": 100})
    consumer.subscribe("orders", on_assign=assigned)
    with producer.transaction(offsets_from=consumer, timeout=30) as same:
        same.produce("processed", value=b"v", key=b"k", headers={"source": b"x"}, on_delivery=delivered)
    messages: list[Message] = consumer.consume(timeout=1.0)
    consumer.seek_to_committed()
    consumer.seek(TopicPartition("orders", 0, 0))
    committed: list[TopicPartition] = consumer.commit(asynchronous=False)
    consumer.close()
    return len(messages) + len(committed)


async def coroutines() -> None:
    async with moldau.AsyncProducer(bootstrap_servers="localhost:9092") as producer:
        message: Message = await producer.send("orders", b"v")
        print(message.offset())


def frame(broker: moldau.Broker) -> pl.DataFrame:
    print([topic.name for topic in moldau.topics(broker)], [group.lag for group in moldau.groups(broker)])
    for record in moldau.consume("orders", bootstrap_servers=broker, limit=3):
        print(record.partition + record.offset, record.timestamp)
    return moldau.consume("orders", bootstrap_servers=broker, value="json").to_polars()


def test_it(kafka_client: KafkaClient, kafka_topic: str) -> None:
    kafka_client.send(kafka_topic, "a", ("key", b"b"))
    with KafkaContainer() as kafka, kafka.refuse("Produce", error="NOT_ENOUGH_REPLICAS", times=1) as fault:
        print(kafka.get_bootstrap_server(), fault.met)


with moldau.Broker(num_partitions=3) as broker:
    print(pipeline(broker), frame(broker))
"""

MISTAKES = {
    'moldau.Producer({}).produce("orders", value=17)': "arg-type",
    'moldau.Consumer({}).subscribe("orders", on_assign=print, on_asign=print)': "call-arg",
    'moldau.consume("orders", value="yaml")': "arg-type",
    "moldau.Broker().bootstrap_server": "attr-defined",
    "moldau.Produser": "attr-defined",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With what mypy learns of polars once."""
    return tmp_path_factory.mktemp("types")


def checked(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_a_program_that_uses_everything_is_right_in_strict_mode(folder: Path):
    found = checked(PROGRAM, folder)
    assert found.returncode == 0, found.stdout + found.stderr


def test_mistakes_are_found(folder: Path):
    found = checked("import moldau\n\n" + "\n".join(MISTAKES), folder)
    for number, code in enumerate(MISTAKES.values(), start=3):
        assert any(
            line.startswith(f"program.py:{number}:") and line.endswith(f"[{code}]")
            for line in found.stdout.splitlines()
        ), found.stdout
