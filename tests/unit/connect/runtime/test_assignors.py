"""Who gets what: the rules of KIP-415, one by one. The laws are in tests/property/connect/test_assignors.py."""

from __future__ import annotations

import pytest
from tests.unit.connect.runtime.worlds import World, work

from moldau.connect.runtime.assignors import IncrementalAssignor, divide_eagerly


@pytest.fixture
def world() -> World:
    """Two members that share two connectors of two tasks each."""
    made = World(connectors={"x": 2, "y": 2})
    made.join("a", "b")
    made.settle()
    return made


def test_connectors_and_tasks_go_round(world):
    assert world.held == {"a": work("x", "x-0 y-0"), "b": work("y", "x-1 y-1")}


def test_a_member_that_joins_gets_its_share_in_a_second_round_and_nothing_else_moves(world):
    before = dict(world.held)
    world.join("c")
    first = world.round()
    assert first.revoked == {"a": work(), "b": work("", "x-1"), "c": work()}
    assert not any(first.assigned.values())
    second = world.round()
    assert second.assigned == {"a": work(), "b": work(), "c": work("", "x-1")}
    assert world.held["a"] == before["a"]


def test_what_is_lost_waits_and_goes_to_who_came_back(world):
    had = world.held["b"]
    world.leave("b")
    world.rebalance()
    assert world.held == {"a": work("x", "x-0 y-0")}
    assert world.divisions[-1].delay_ms == 10_000

    world.wait(4_000)
    world.join("b, again")
    world.rebalance()
    assert world.held["b, again"] == work()
    assert world.divisions[-1].delay_ms == 6_000

    world.wait(6_000)
    assert world.held == {"a": work("x", "x-0 y-0"), "b, again": had}


def test_what_is_lost_goes_to_others_after_the_delay(world):
    world.leave("b")
    world.rebalance()
    world.wait(9_999)
    assert world.held == {"a": work("x", "x-0 y-0")}
    world.wait(1)
    assert world.held == {"a": work("x y", "x-0 x-1 y-0 y-1")}


def test_without_a_delay_what_is_lost_goes_to_others_at_once():
    world = World(0, {"x": 2})
    world.join("a", "b")
    world.settle()
    world.leave("b")
    world.rebalance()
    assert world.held == {"a": work("x", "x-0 x-1")}


def test_an_assignment_that_was_not_heard_of_is_given_again_without_a_delay(world):
    world.connectors["z"] = 2
    before = dict(world.held)
    world.round()
    # The group began another generation before anybody had heard of this one.
    world.held = before
    found = world.round()
    assert found.delay_ms == 0
    assert world.held["a"] | world.held["b"] == world.what


def test_a_revocation_that_was_not_heard_of_is_said_again(world):
    world.join("c")
    before = dict(world.held)
    world.round()
    world.held = before
    world.settle()
    assert world.held["a"] | world.held["b"] | world.held["c"] == world.what
    assert len(world.held["c"].tasks) == 1


def test_what_two_have_is_taken_from_both_and_given_to_one(world):
    world.held["b"] |= work("", "x-0")
    first = world.round()
    assert first.revoked["a"] == first.revoked["b"] == work("", "x-0")
    world.settle()
    assert not world.held["a"] & world.held["b"]
    assert world.held["a"] | world.held["b"] == world.what


def test_what_is_deleted_is_revoked_from_who_still_has_it(world):
    del world.connectors["x"]
    found = world.round()
    assert found.revoked["a"] == work("x", "x-0")
    assert found.revoked["b"] == work("", "x-1")


def test_workers_that_come_one_by_one_do_not_make_everybody_stop_and_start():
    world = World(connectors={"x": 12})
    world.join("a")
    world.settle()
    world.join("b")
    world.round()
    world.join("c")
    # Once more at once would stop what has just been given.
    found = world.round()
    assert not any(found.revoked.values())
    assert found.delay_ms == 40
    world.settle()
    assert sorted(len(each.tasks) for each in world.held.values()) == [4, 4, 4]


def test_a_new_leader_knows_nothing_of_what_is_lost_and_gives_it_out(world):
    world.leave("a")
    world.leader = IncrementalAssignor(world.delay_ms)
    world.rebalance()
    assert world.held == {"b": world.what}


def test_a_leader_that_was_away_for_a_generation_forgets_what_it_knew(world):
    world.leave("b")
    world.generation += 1
    world.rebalance()
    assert world.held == {"a": world.what}


def test_eagerly_all_is_dealt_anew():
    found = divide_eagerly(work("x y", "x-0 x-1 y-0"), ["b", "a"])
    assert found.assigned == {"a": work("x", "x-0 y-0"), "b": work("y", "x-1")}
    assert found.owned == found.assigned
    assert not found.revoked
