"""A node as a process of its own, so that it can be killed, starved and lied to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.versus import apache_kafka, peers
from bench.versus.broker_process import BrokerProcess

NodeFactory = Callable[..., BrokerProcess]


@pytest.fixture
def new_node(tmp_path: Path) -> Iterator[NodeFactory]:
    """Prepare a node in a folder of this test; it is stopped when the test is over, however that went."""
    with nodes_in(tmp_path) as prepare:
        yield prepare


@contextmanager
def nodes_in(folder: Path) -> Iterator[NodeFactory]:
    """Prepare nodes in a folder; they are stopped at the end of the block.

    `MOLDAU_TEST_BOOTSTRAP=apache-kafka` takes Apache Kafka instead, which is how the tests themselves are checked.
    """
    nodes: list[BrokerProcess] = []

    def prepare(name: str = "node", prefix: tuple[str, ...] = (), **settings: str) -> BrokerProcess:
        given = {key.replace("_", "."): value for key, value in settings.items()}
        if os.environ.get("MOLDAU_TEST_BOOTSTRAP") == "apache-kafka":
            node = apache_kafka.prepare(folder / name, settings={**peers.SHARED, **given})
        else:
            node = peers.moldau(folder / name, given)
        node.command[:0] = prefix
        nodes.append(node)
        return node

    try:
        yield prepare
    finally:
        for node in nodes:
            if node.is_running():
                node.kill()
            if node.log_file.exists():
                # pytest shows this beside a failure.
                sys.stderr.write(f"--- {node.log_file}\n{node.log_tail()}\n")
