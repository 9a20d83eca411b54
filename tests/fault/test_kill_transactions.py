"""kill -9 of the guide's exactly-once processor and of its node: every record is processed once, none is half done.

The processor copies; its output, read committed, must hold each input once. Nothing helps here: the processes begin
cold, and the group waits for the session of a dead member to be over. `test_guide_transactions.py` has the thousands.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from tests.fault.conftest import NodeFactory
from tests.fault.records import PATIENT, create_topic

PROCESSOR = Path(__file__).resolve().parents[2] / "examples" / "guide" / "eos_processor.py"
LIMIT_S = 90.0
LOT = 200


class Processor:
    """The guide's program as a process."""

    def __init__(self, bootstrap_servers: str, errors: Path) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._errors = errors
        self.start()

    def start(self) -> None:
        with self._errors.open("ab") as errors:
            command = [sys.executable, str(PROCESSOR), self._bootstrap_servers]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def revive(self) -> None:
        """Start it again if it gave up: a fatal error of its producer ends the program, as the guide wrote it."""
        if self._process.poll() is not None:
            self.start()


def produce(bootstrap_servers: str, first: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, **PATIENT})
    for number in range(first, first + LOT):
        producer.produce("raw-orders", value=f"order-{number:06d}", partition=number % 2)
    assert producer.flush(30) == 0


def committed_values(bootstrap_servers: str) -> list[str]:
    """What a reader of committed records sees up to the last stable offset."""
    settings = {
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        **PATIENT,
    }
    reader = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reader", **settings})
    reader.assign([TopicPartition("processed-orders", partition, 0) for partition in range(2)])
    found: list[str] = []
    ended: set[int] = set()
    deadline = time.monotonic() + LIMIT_S
    while len(ended) < 2:
        assert time.monotonic() < deadline, "the output cannot be read to its end"
        message = reader.poll(0.5)
        if message is None:
            continue
        if message.error() is None:
            found.append(message.value().decode())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
    reader.close()
    return found


def wait_for_output(bootstrap_servers: str, processor: Processor, count: int) -> list[str]:
    deadline = time.monotonic() + LIMIT_S
    while len(values := committed_values(bootstrap_servers)) < count:
        assert time.monotonic() < deadline, f"{len(values)} of {count} records were processed"
        processor.revive()
        time.sleep(0.2)
    return values


def kill_and_look(new_node: NodeFactory, tmp_path: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    node = new_node(transaction_abort_timed_out_transaction_cleanup_interval_ms="1000")
    node.start()
    create_topic(node.bootstrap_servers, "raw-orders", 2)
    create_topic(node.bootstrap_servers, "processed-orders", 2)
    processor = Processor(node.bootstrap_servers, tmp_path / "processor.log")
    try:
        for number in range(rounds):
            produce(node.bootstrap_servers, number * LOT)
            time.sleep(chance.uniform(0, 0.3))  # somewhere in a transaction: the place is chance, not timing to rely on
            victim = chance.choice(["processor", "node", "both"])
            if victim in ("processor", "both"):
                processor.kill()
            if victim in ("node", "both"):
                node.kill()
                node.start()
            processor.revive()
        values = wait_for_output(node.bootstrap_servers, processor, rounds * LOT)
    finally:
        processor.kill()
    assert sorted(values) == [f"ORDER-{number:06d}" for number in range(rounds * LOT)], "each once, none twice"


def test_each_record_is_processed_once_over_kills_of_the_program_and_the_node(new_node: NodeFactory, tmp_path: Path):
    kill_and_look(new_node, tmp_path, rounds=4, seed=4)
