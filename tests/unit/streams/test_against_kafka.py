"""Every operator against what Kafka Streams 4.3.1 did with the same records: results, internal topics, changelogs.

`scenarios.py` says how `recorded.json.gz` was made. Compared are the bytes and timestamps of every record of every
topic, step by step (of a changelog the last one per key and step); the text of `describe`; and how many records were
dropped.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import Any

import pytest
from tests.unit.streams.every_topology import ALL, OPTIMIZED, build
from tests.unit.streams.scenarios import GOLDEN, scenarios

from moldau.streams import TopologyTestDriver


@cache
def recorded() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(gzip.decompress(GOLDEN.read_bytes()))
    return answer


def names() -> list[str]:
    return list(recorded()["scenarios"])


SAYS_AN_ADDRESS = {"chosen_topic"}
"""Kafka describes a topic chooser as an object of Java, with its address."""


@pytest.mark.parametrize("name", [name for name in recorded()["described"] if name not in SAYS_AN_ADDRESS])
def test_a_topology_describes_itself_in_the_words_of_kafka(name: str):
    assert str(build(name).describe()) == recorded()["described"][name]


@pytest.mark.parametrize("name", names())
def test_a_topology_writes_what_kafka_streams_writes(name: str):
    scenario = recorded()["scenarios"][name]
    produced, dropped = run(scenario)
    for number, (step, expected) in enumerate(zip(produced, scenario["steps"], strict=True)):
        assert _as_compared(step) == _as_compared(expected), f"after step {number}: {scenario['inputs'][number]}"
    assert dropped == scenario["dropped"]


def test_every_topology_that_kafka_was_asked_about_is_there_and_no_other():
    assert {name.removesuffix(OPTIMIZED) for name in recorded()["described"]} == set(ALL)


def test_kafka_was_given_the_steps_that_the_scenarios_have_now():
    asked = {name: (one["topology"], one["inputs"]) for name, one in recorded()["scenarios"].items()}
    assert asked == scenarios()


def run(scenario: dict[str, Any], *, caches: bool = False) -> tuple[list[dict[str, Any]], int]:
    with TopologyTestDriver(build(scenario["topology"]), "app", emit_interval_ms=0, caches=caches) as driver:
        steps = []
        for step in scenario["inputs"]:
            if isinstance(step, int):
                driver.advance_wall_clock_time(step)
            else:
                topic, key, value, timestamp = step
                driver.pipe(topic, _bytes(key), _bytes(value), timestamp)
            steps.append(_taken(driver))
        return steps, driver.dropped_records


def _as_compared(step: dict[str, Any]) -> dict[str, Any]:
    """Of a changelog the last record per key counts: a dirty set writes an entry once per flush, Kafka every put."""
    return {
        topic: {key: rest for key, *rest in records} if topic.endswith("-changelog") else records
        for topic, records in step.items()
    }


def _taken(driver: TopologyTestDriver) -> dict[str, Any]:
    taken = {}
    for topic in sorted(driver.produced_topic_names):
        records = driver.produced(topic)
        if records:
            taken[topic] = [[_shown(one.key), _shown(one.value), one.timestamp] for one in records]
            records.clear()
    for topic in sorted(driver.changelogs):
        records = driver.changelogs[topic]
        if records:
            taken[topic] = [
                [_shown(key), _shown(value), None if timestamp == -1 else timestamp]
                for key, value, timestamp in records
            ]
            records.clear()
    return taken


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _shown(data: bytes | None) -> str | None:
    return None if data is None else data.decode("latin-1")
