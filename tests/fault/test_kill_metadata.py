"""kill -9 while topics are made and snapshots of the metadata are written: what was acknowledged is there."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from bench.versus.broker_process import BrokerProcess
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from tests.fault.conftest import NodeFactory

from moldau.server.snapshot_files import snapshots_in

LIVES = 4
LIMIT_S = 60
PARTITIONS = 30
"""Of each topic, so that there is something to write."""


def make_topics(node: BrokerProcess, life: int, made: set[str], stop: threading.Event) -> None:
    """One after the other, until the node is gone; `made` are those that were acknowledged."""
    admin = AdminClient({"bootstrap.servers": node.bootstrap_servers, "log_level": 0})
    number = 0
    while not stop.is_set():
        name = f"topic-{life}-{number}"
        number += 1
        try:
            admin.create_topics([NewTopic(name, PARTITIONS, 1)], request_timeout=10)[name].result(15)
        except KafkaException:
            return
        made.add(name)


def topics_of(node: BrokerProcess) -> dict[str, int]:
    metadata = AdminClient({"bootstrap.servers": node.bootstrap_servers}).list_topics(timeout=30)
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def test_every_topic_that_was_acknowledged_is_there_whenever_the_node_was_killed(new_node: NodeFactory, tmp_path: Path):
    # After each change a snapshot is due.
    node = new_node(metadata_log_max_record_bytes_between_snapshots="1")
    made: set[str] = set()
    chance = random.Random(5)
    for life in range(LIVES):
        node.start()
        there = topics_of(node)
        assert all(there.get(name) == PARTITIONS for name in made)
        (folder,) = tmp_path.rglob("__cluster_metadata-0")
        newest = max((file.end_offset for file in snapshots_in(folder)), default=0)
        stop = threading.Event()
        making = threading.Thread(target=make_topics, args=(node, life, made, stop))
        making.start()
        deadline = time.monotonic() + LIMIT_S
        while max((file.end_offset for file in snapshots_in(folder)), default=0) <= newest:
            assert time.monotonic() < deadline, "no snapshot was written"
            time.sleep(0.01)
        time.sleep(chance.random() * 1.5)
        node.kill()
        stop.set()
        making.join(LIMIT_S)
    node.start()
    there = topics_of(node)
    assert made
    assert all(there.get(name) == PARTITIONS for name in made)
