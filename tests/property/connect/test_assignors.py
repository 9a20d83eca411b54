"""Laws of the division of work among workers, whatever comes and goes, and whenever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.connect.runtime.worlds import World

from moldau.connect.runtime.work import held_twice, together

MEMBERS = "abcdefgh"
EVENTS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("leave"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("connector"), st.tuples(st.sampled_from("uvwxyz"), st.integers(0, 7))),
    st.tuples(st.just("wait"), st.integers(1, 20_000)),
)


def happen(world: World, events) -> None:
    for what, detail in events:
        if what == "join" and detail not in world.held:
            world.join(detail)
        elif what == "leave" and detail in world.held and len(world.held) > 1:
            world.leave(detail)
        elif what == "connector":
            name, tasks = detail
            world.connectors[name] = tasks
            if not tasks:
                del world.connectors[name]
        elif what == "wait":
            world.wait(detail)
            continue
        world.round()
        assert not held_twice(world.held)


WORLDS = st.builds(World, delay_ms=st.sampled_from([0, 1, 1_000, 300_000]))


@settings(max_examples=300, deadline=None)
@given(WORLDS, st.lists(EVENTS, max_size=25))
def test_nothing_runs_twice_and_in_the_end_everything_runs_and_everybody_has_a_share(world, events):
    world.join("a")
    happen(world, events)
    world.settle()
    # Whoever joins last, or the next change, sees what the last one left undone.
    world.settle()
    assert not held_twice(world.held)
    assert together(world.held.values()) == world.what
    tasks = [len(each.tasks) for each in world.held.values()]
    connectors = [len(each.connectors) for each in world.held.values()]
    assert max(tasks) - min(tasks) <= 1
    assert max(connectors) - min(connectors) <= 1


@settings(max_examples=200, deadline=None)
@given(WORLDS, st.lists(EVENTS, max_size=15), st.integers(1, 4))
def test_whoever_joins_makes_as_little_move_as_its_share_is(world, events, joining):
    world.join("a")
    happen(world, events)
    world.settle()
    world.settle()
    before = dict(world.held)
    newcomers = [member for member in MEMBERS if member not in world.held][:joining]
    world.join(*newcomers)
    world.settle()
    for member, had in before.items():
        assert world.held[member].tasks <= had.tasks
        assert world.held[member].connectors <= had.connectors


@settings(max_examples=200, deadline=None)
@given(st.integers(6, 20), st.integers(2, 6), st.integers(1, 9_999))
def test_who_comes_back_in_time_finds_what_it_had_and_nobody_else_stops_anything(tasks, members, away_ms):
    # Everybody has something: what waits for who comes back goes to all that have nothing.
    world = World(10_000, {"x": tasks, "y": tasks})
    world.join(*MEMBERS[:members])
    world.settle()
    before = dict(world.held)
    world.leave("b")
    world.rebalance()
    world.wait(away_ms)
    assert together(world.held.values()) == together(has for member, has in before.items() if member != "b")
    world.join("b2")
    world.rebalance()
    world.wait(10_000)
    assert world.held == {("b2" if member == "b" else member): has for member, has in before.items()}
