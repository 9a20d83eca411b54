"""What stores on disk keep in memory: never anything old, and no more than the stores of a thread may have together."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.streams.persistent.overlay import Overlay, Room

MISSING = object()
ENTRIES = 6

steps = st.lists(
    st.tuples(st.sampled_from(["get", "get", "put", "put", "commit"]), st.integers(0, 2), st.integers(0, 9)),
    max_size=60,
)


class Store:
    """A table and the overlay above it, as stores use them."""

    def __init__(self, room):
        self.overlay = Overlay(room)
        self.table = {}
        self.asked = 0

    def get(self, key):
        entry = self.overlay.get(key, MISSING)
        if entry is MISSING:
            self.asked += 1
            entry = self.table.get(key)
            self.overlay.remember(key, entry)
        return entry

    def commit(self):
        self.table.update(self.overlay.take_dirty())


def held(stores):
    return sum(len(store.overlay._young) + len(store.overlay._old) for store in stores)


@settings(max_examples=300)
@given(steps)
def test_stores_that_share_a_room_find_what_they_have_and_hold_no_more_than_it_has(history):
    room = Room(ENTRIES)
    stores, models = [Store(room) for _ in range(3)], [{} for _ in range(3)]
    for number, (what, index, key) in enumerate(history):
        store, model = stores[index], models[index]
        if what == "put":
            store.overlay.put(key, number)
            model[key] = number
        elif what == "commit":
            store.commit()
            assert store.overlay.is_clean
        assert store.get(key) == model.get(key)
        assert held(stores) <= ENTRIES
        assert room.young == sum(len(one.overlay._young) for one in stores)


def test_of_many_changes_the_last_are_kept_and_none_of_before():
    store = Store(Room(ENTRIES))
    for key in range(3):
        assert store.get(key) is None
    for key in range(10):
        store.overlay.put(key, key)
    store.commit()
    assert [store.get(key) for key in (9, 8, 7)] == [9, 8, 7]
    assert store.asked == 3
    assert [store.get(key) for key in range(10)] == list(range(10))


def test_a_store_that_is_asked_has_the_room_of_one_that_rests():
    room = Room(ENTRIES)
    rests, works = Store(room), Store(room)
    for key in range(ENTRIES):
        rests.get(key)
    for _ in range(3):
        for key in range(ENTRIES // 2):
            works.get(key)
    # All of it was asked for once, however much the other had had.
    assert works.asked == ENTRIES // 2


def test_a_store_that_is_closed_takes_no_room():
    room = Room(ENTRIES)
    one, other = Store(room), Store(room)
    one.get("a")
    other.get("b")
    one.overlay.clear()
    assert room.young == 1
    del one
    assert [*room.overlays] == [other.overlay]
