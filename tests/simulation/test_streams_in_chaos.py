"""A streams application under exactly-once through seeded schedules of rebalances, kills, restarts and slow commits.

Invariants: no input is lost, no output is there twice or out of order, state equals a replay of its changelog.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tests.simulation.streams_world import Consumer, Producer, Reader, World

STEPS = 400
happened: Counter[str] = Counter()


def through(seed, folder, monkeypatch, steps=STEPS, **more):
    world = World(random.Random(seed), folder, **more)
    monkeypatch.setattr("moldau.streams.runtime.outlet.RecordProducer", lambda _, settings: Producer(world, settings))
    monkeypatch.setattr("confluent_kafka.Consumer", lambda config: Consumer(world))
    monkeypatch.setattr("moldau.streams.runtime.session.RecordReader", lambda brokers, settings: Reader(world))
    try:
        for _ in range(steps):
            world.step()
        world.settle()
        world.check()
    finally:
        world.stop()
        happened.update(world.happened)


@pytest.mark.parametrize("seed", range(20))
def test_every_record_counts_once_in_memory(seed, tmp_path, monkeypatch):
    through(seed, tmp_path, monkeypatch, in_memory=True, standby_replicas=seed % 2, columns=seed % 3 > 0)


@pytest.mark.parametrize("seed", range(100, 106))
def test_every_record_counts_once_on_disk(seed, tmp_path, monkeypatch):
    through(seed, tmp_path, monkeypatch, STEPS // 2, in_memory=False, standby_replicas=seed % 2, columns=seed % 3 > 0)


def test_the_schedules_have_in_them_what_they_are_for(tmp_path, monkeypatch):
    happened.clear()
    for seed in range(1000, 1005):
        through(seed, tmp_path / str(seed), monkeypatch, in_memory=True)
    assert {"killed", "lost", "migrated", "slow"} <= happened.keys()
