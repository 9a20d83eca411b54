"""Transactions through seeded schedules of lost and late requests, moves, crashes, kills and takeovers.

Invariants: of what readers of committed records see, each input is there once, in order; nothing aborted is; and when
the trouble is over, whoever is left goes on.
"""

from __future__ import annotations

from collections import Counter

import pytest
from tests.unit.client.producing.transaction_cluster import World

FIRST, SECOND = 1, 2


def through(seed, steps=6000, **more):
    world = World(seed, **more)
    for _ in range(steps):
        world.step()
    world.settle()
    world.check()
    return world.happened


@pytest.mark.parametrize("shares_id", [True, False])
@pytest.mark.parametrize("version", [FIRST, SECOND])
@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_everything_is_committed_once_and_in_order(seed, version, shares_id):
    through(seed, version=version, shares_id=shares_id)


def test_the_schedules_have_in_them_what_they_are_for():
    happened: Counter[str] = Counter()
    for seed in range(1000, 1006):
        for version in (SECOND, FIRST):
            happened.update(through(seed, version=version, shares_id=seed % 2 == 0))
    assert {
        "aborted",
        "answer lost",
        "committed",
        "coordinator refused",
        "killed",
        "late",
        "replaced",
    } <= happened.keys()
    assert any(name.startswith("ended") for name in happened)
    assert any(name.startswith("spoilt") for name in happened)
