"""Every operator of the language on a real node, with stores in memory and on disk, beside the TopologyTestDriver.

The driver's own answers are compared with those of Kafka Streams in tests/unit/streams/test_against_kafka.py. Here each
record goes all the way before the next one is written, as in the driver, so the two must write the same: every record
of every topic in order, and of a changelog the last one per key.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from tests.integration.streams.cluster import WITHIN_S, Cluster, eventually
from tests.integration.streams.topologies import T0
from tests.unit.streams.every_topology import build
from tests.unit.streams.scenarios import Step, scenarios

from moldau.streams import Topology, TopologyTestDriver
from moldau.streams.topology.nodes import SinkNode, SourceNode

# Windows begin at multiples of their size: at a round half of a day they lie as they do at 0. It is less than a day
# ago, and changelogs of windows are kept for little longer.
BASE = T0 // 43_200_000 * 43_200_000
TOGETHER = 12
EVERY = sorted({topology for topology, _ in scenarios().values()})


def in_groups(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), TOGETHER):
        yield names[start : start + TOGETHER]


def records(name: str) -> list[Step]:
    """The records of the topology's first scenario; a real wall clock cannot be moved."""
    steps = next(steps for _, (topology, steps) in scenarios().items() if topology == name)
    return [step for step in steps if not isinstance(step, int)]


def of_its_own(name: str, prefix: str, *, in_memory: bool) -> Topology:
    """The topology with topics that no other has, and with all of its stores in one place."""
    topology = build(name)
    for node in list(topology.nodes.values()):
        if isinstance(node, SourceNode):
            topics = tuple(renamed(topology, topic, prefix) for topic in node.topics)
            pattern = None if node.pattern is None else re.compile(f"{prefix}-{node.pattern.pattern}")
            topology.nodes[node.name] = dataclasses.replace(node, topics=topics, pattern=pattern)
        elif isinstance(node, SinkNode):
            topology.nodes[node.name] = dataclasses.replace(node, topic=_sink_topic(topology, node, prefix))
    for store, spec in topology.stores.items():
        topology.stores[store] = dataclasses.replace(spec, in_memory=in_memory)
    for store, topic in topology.source_changelogs.items():
        topology.source_changelogs[store] = renamed(topology, topic, prefix)
    for store, one in topology.global_stores.items():
        topology.global_stores[store] = dataclasses.replace(one, topic=renamed(topology, one.topic, prefix))
    return topology


def renamed(topology: Topology, topic: str, prefix: str) -> str:
    return topic if topic in topology.repartition_topics else f"{prefix}-{topic}"


def _sink_topic(topology: Topology, node: SinkNode, prefix: str) -> str | Callable[..., str]:
    choose = node.topic
    if isinstance(choose, str):
        return renamed(topology, choose, prefix)
    return lambda *record: renamed(topology, choose(*record), prefix)


class Side:
    """One topology in the driver and on the cluster."""

    def __init__(self, cluster: Cluster, name: str, *, in_memory: bool) -> None:
        self.cluster = cluster
        self.name = f"{name}-{'memory' if in_memory else 'disk'}"
        topology = of_its_own(name, self.name, in_memory=in_memory)
        self.steps = [
            (f"{self.name}-{topic}", _bytes(key), _bytes(value), BASE + timestamp)
            for topic, key, value, timestamp in records(name)
        ]
        self.driver = TopologyTestDriver(topology, self.name, emit_interval_ms=0)
        self.global_topics = {store.topic for store in topology.global_stores.values()}
        self.read_topics = {
            topology.internal_topic(self.name, topic) for source in topology.sources() for topic in source.topics
        } - self.global_topics
        patterns = [source.pattern for source in topology.sources() if source.pattern is not None]
        self.read_topics |= {step[0] for step in self.steps if any(one.fullmatch(step[0]) for one in patterns)}
        external = {topic for source in topology.sources() for topic in source.topics} - set(
            topology.repartition_topics
        )
        cluster.create(1, *sorted({*external, *(step[0] for step in self.steps)}))
        self.app = cluster.app(
            topology,
            self.name,
            self.name,
            # As the driver: every record is committed before the next, and closed windows are looked for each time.
            commit_interval_ms=0,
            emit_interval_ms=0,
            repartition_purge_interval_ms=3_600_000,
            **{"producer.linger.ms": 0},
        )
        self.is_wide = any((topic.partitions or 1) > 1 for topic in topology.repartition_topics.values())
        self.producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0})

    def start(self) -> None:
        self.app.start()

    def step(self, number: int) -> None:
        """Write one record to both; on the cluster it is on its way when this returns."""
        if number < len(self.steps):
            topic, key, value, timestamp = self.steps[number]
            self.driver.pipe(topic, key, value, timestamp)
            self.producer.produce(topic, value, key, timestamp=timestamp)

    def wait(self, number: int) -> None:
        """Until the cluster's side has worked on as many records as the driver's."""
        if number < len(self.steps):
            assert self.producer.flush(WITHIN_S) == 0
            expected = self.expected(number + 1)
            eventually(lambda: self.worked() == expected)

    def expected(self, steps: int) -> tuple[int, int]:
        piped = [topic for topic, *_ in self.steps[:steps]]
        written = sum(len(records) for topic, records in self.written().items() if topic in self.read_topics)
        return (
            written + sum(topic in self.read_topics for topic in piped),
            sum(topic in self.global_topics for topic in piped),
        )

    def worked(self) -> tuple[int, int]:
        metrics = self.app.metrics()
        tasks = [task for thread in metrics["threads"].values() for task in thread["tasks"].values()]
        return sum(task["records"] for task in tasks), metrics["global_records"]

    def written(self) -> dict[str, Any]:
        return {topic: self.driver.produced(topic) for topic in self.driver.produced_topic_names}

    def compare(self) -> None:
        self.app.close()
        for topic, records in self.written().items():
            found = [(one.key(), one.value(), one.timestamp()[1]) for one in self.cluster.read(topic)]
            # What a punctuator of the wall clock wrote is from another wall.
            found = [one for one in found if one[0] != b"wall"]
            own = [step[1:] for step in self.steps if step[0] == topic]
            expected = [(one.key, one.value, one.timestamp) for one in records]
            if own or self.is_wide:
                # Written by two, or to several partitions: the order is nobody's.
                found, expected = sorted(found, key=repr), sorted(own + expected, key=repr)
            assert found == expected, (self.name, topic)
        for topic, changes in self.driver.changelogs.items():
            expected_last = {key: (value, timestamp) for key, value, timestamp in changes}
            found_last = {one.key(): (one.value(), one.timestamp()[1]) for one in self.cluster.read(topic)}
            for key, (_, timestamp) in expected_last.items():
                if timestamp < 0:
                    # A change without a time gets that of the wall.
                    found_last[key] = found_last[key][0], timestamp
            assert found_last == expected_last, (self.name, topic)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "on disk"])
@pytest.mark.parametrize("names", list(in_groups(EVERY)), ids=lambda names: f"{names[0]} to {names[-1]}")
def test_the_engine_writes_what_the_driver_writes(cluster, names, in_memory):
    sides = [Side(cluster, name, in_memory=in_memory) for name in names]
    for side in sides:
        side.start()
    for side in sides:
        side.app.wait_until_running()
    for number in range(max(len(side.steps) for side in sides)):
        for side in sides:
            side.step(number)
        for side in sides:
            side.wait(number)
    for side in sides:
        side.compare()
