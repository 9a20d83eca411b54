"""Versioned stores on disk: any history gives what the store in memory gives, also after it was opened again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.streams.persistent.test_session_and_join_stores import Pair, context

from moldau.streams.persistent import Room, TaskDatabase, opener
from moldau.streams.serdes import Serdes
from moldau.streams.topology.nodes import StoreSpec

HISTORY = 50
SPEC = StoreSpec("history", "versioned", Serdes.String(), Serdes.Long(), retention_ms=HISTORY)
KEYS = ("", "a", "aa", "ab", "é")
steps = st.tuples(
    st.sampled_from(["put", "put", "put", "delete", "commit", "reopen"]),
    st.sampled_from(KEYS),
    st.integers(0, 200),
    st.integers(0, 9),
)


def same(pair, low, high, times=range(0, 201, 7)):
    for key in KEYS:
        assert pair.store.get(key) == pair.model.get(key)
        assert [pair.store.get_at(key, time) for time in times] == [pair.model.get_at(key, time) for time in times]
    pair.same("all")
    pair.same("range", *sorted((low, high)))


@settings(max_examples=150)
@given(st.lists(steps, max_size=40), st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_any_history_of_rows(tmp_path_factory, history, low, high):
    pair = Pair(tmp_path_factory.mktemp("history") / "db", SPEC)
    for kind, key, timestamp, number in history:
        if kind in {"put", "delete"}:
            pair.both("put", key, (number if kind == "put" else None, timestamp))
            assert pair.store.outcome == pair.model.outcome
        elif kind == "commit":
            written, expected = pair.commit()
            assert written == expected
        else:
            pair.step(kind)
    same(pair, low, high)
    pair.commit()
    same(pair, low, high)
    pair.close()


def test_rows_that_ended_before_the_history_leave_nothing_behind(tmp_path):
    pair = Pair(tmp_path / "db", SPEC)
    for number in range(20):
        pair.store.put(f"k{number}", (number, number))
        pair.store.put(f"k{number}", (None, number + 1))
    pair.step("reopen")
    pair.store.put("now", (1, 1000))
    pair.commit()
    rows = [key for key, _ in pair.store.table.scan(b"\x02", None)]
    assert rows == [b"\x02now"]
    assert not list(pair.store.table.scan(b"\x01", b"\x02"))
    pair.database.close()


def test_what_is_restored_in_several_writes_is_what_was_put_in_one(tmp_path):
    records = [(b"a", str(time).encode().rjust(8, b"\0"), time) for time in (5, 9, 7, 60)]
    records += [(b"a", None, 70), (b"b", b"\0" * 8, 8), (b"late", b"\0" * 8, 1)]
    pair = Pair(tmp_path / "db", SPEC)
    for number, record in enumerate(records):
        pair.store.restore(*record)
        pair.model.restore(*record)
        if number % 2:
            pair.store.settle()
            pair.database.write({"history": number})
    same(pair, "a", "b", range(0, 90, 3))
    pair.store.settle()
    pair.database.write({})
    pair.database.close()
    pair.reopen()
    same(pair, "a", "b", range(0, 90, 3))
    pair.database.forget("history", pair.store.table)
    pair.store.read_again()
    assert not list(pair.store.all())
    assert pair.store.put("a", (1, 0)) is None
    assert pair.store.outcome is True, "its time begins again too"
    pair.database.close()


def test_what_was_not_committed_is_not_there_after_a_crash(tmp_path):
    pair = Pair(tmp_path / "db", SPEC)
    pair.store.put("a", (1, 10))
    pair.commit()
    pair.store.put("a", (2, 20))
    pair.store.put("b", (2, 20))
    pair.database.close()
    store = opener(TaskDatabase(tmp_path / "db"), Room(4))(SPEC, context())
    assert dict(store.all()) == {"a": (1, 10)}
