"""Stores on disk are the stores in memory that survive: the same answers, before and after a commit and a crash."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.streams.context import TaskContext
from moldau.streams.persistent import DatabaseInUseError, Room, TaskDatabase, opener
from moldau.streams.serdes import Serdes
from moldau.streams.state import open_in_memory
from moldau.streams.topology.nodes import StoreSpec

PLAIN = StoreSpec("plain", "key_value", Serdes.String(), Serdes.json(dict))
PAIRS = StoreSpec("pairs", "timestamped", Serdes.String(), Serdes.Long())
WINDOWS = StoreSpec("windows", "window", Serdes.String(), Serdes.Long(), retention_ms=200_000, window_size_ms=10_000)
FEW = 4


def context():
    return TaskContext("app", "0_0", lambda: 0)


def opened(path, *specs):
    database, room = TaskDatabase(path), Room(FEW)
    return database, [opener(database, room)(spec, context()) for spec in specs]


def commit(database, store, offset):
    written = []
    store.flush(lambda *record: written.append(record))
    database.write({store.name: offset})
    return written


def test_what_was_committed_is_there_again_with_its_offset_and_the_rest_is_not(tmp_path):
    database, (store,) = opened(tmp_path / "db", PAIRS)
    assert database.position("pairs") is None
    store.put("a", (1, 10))
    store.put("b", (2, 11))
    assert commit(database, store, 7) == [(b"a", b"\0" * 7 + b"\1", 10), (b"b", b"\0" * 7 + b"\2", 11)]
    store.put("a", (99, 99))
    store.delete("b")
    # Flushed for a commit that never came.
    store.flush(lambda *record: None)
    store.close()
    database.close()
    database, (store,) = opened(tmp_path / "db", PAIRS)
    assert database.position("pairs") == 7
    assert list(store.all()) == [("a", (1, 10)), ("b", (2, 11))]
    database.close()


def test_two_stores_of_a_task_do_not_see_each_other(tmp_path):
    other = StoreSpec("pairs2", "timestamped", Serdes.String(), Serdes.Long())
    database, (one, two) = opened(tmp_path / "db", PAIRS, other)
    one.put("k", (1, 1))
    two.put("k", (2, 2))
    commit(database, one, 1)
    commit(database, two, 5)
    database.forget("pairs", one.table)
    one.close()
    assert (one.get("k"), two.get("k")) == (None, (2, 2))
    assert (database.position("pairs"), database.position("pairs2")) == (None, 5)
    database.close()


def test_an_aggregate_that_is_changed_in_place_is_not_changed_in_the_store(tmp_path):
    database, (store,) = opened(tmp_path / "db", PLAIN)
    value = {"n": 1}
    store.put("k", value)
    value["n"] = 2
    assert store.get("k") == {"n": 1}
    database.close()


def test_a_database_that_is_open_is_not_opened_again(tmp_path):
    database = TaskDatabase(tmp_path / "db")
    with pytest.raises(DatabaseInUseError):
        TaskDatabase(tmp_path / "db")
    database.close()
    TaskDatabase(tmp_path / "db").close()


def test_a_database_that_is_damaged_begins_anew(tmp_path):
    database, (store,) = opened(tmp_path / "db", PAIRS)
    store.put("a", (1, 1))
    commit(database, store, 3)
    database.close()
    (tmp_path / "db" / "CURRENT").write_text("no manifest\n")
    database, (store,) = opened(tmp_path / "db", PAIRS)
    assert database.position("pairs") is None
    assert store.get("a") is None
    database.close()


def test_a_damaged_database_is_not_taken_for_one_in_use_because_of_its_name(tmp_path, caplog):
    path = tmp_path / "blocks" / "db"
    TaskDatabase(path).close()
    (manifest,) = path.glob("MANIFEST-*")
    manifest.write_bytes(b"damaged" + manifest.read_bytes()[7:])
    TaskDatabase(path).close()
    assert f"the database {path} is made anew from the changelogs, it cannot be read: Corruption" in caplog.text


keys = st.sampled_from(["", "a", "aa", "ab", "b", "é"])
changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(0, 9)),
        st.tuples(st.just("delete"), keys, st.just(0)),
        st.tuples(st.just("commit"), st.just(""), st.just(0)),
        st.tuples(st.just("reopen"), st.just(""), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(changes, keys, keys)
def test_any_history_gives_what_the_store_in_memory_gives(tmp_path_factory, history, low, high):
    path = tmp_path_factory.mktemp("history") / "db"
    model = open_in_memory(PAIRS, context())
    database, (store,) = opened(path, PAIRS)
    for kind, key, number in history:
        if kind == "put":
            store.put(key, (number, number))
            model.put(key, (number, number))
        elif kind == "delete":
            assert store.delete(key) == model.delete(key)
        else:
            expected = []
            model.flush(lambda *record, expected=expected: expected.append(record))
            assert sorted(commit(database, store, 1), key=str) == sorted(expected, key=str)
            if kind == "reopen":
                database.close()
                database, (store,) = opened(path, PAIRS)
    assert [store.get(key) for key in ("", "a", "b")] == [model.get(key) for key in ("", "a", "b")]
    assert list(store.all()) == list(model.all())
    assert list(store.reverse_all()) == list(model.reverse_all())
    assert list(store.range(low, high)) == list(model.range(low, high))
    assert list(store.prefix_scan(low.encode())) == list(model.prefix_scan(low.encode()))
    database.close()
    shutil.rmtree(path)


starts = st.integers(0, 90).map(lambda n: n * 10_000)
window_changes = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "remove", "commit", "reopen"]), keys, starts, st.integers(0, 9)),
    max_size=30,
)


@settings(max_examples=80)
@given(window_changes, keys, starts, starts)
def test_any_history_of_windows_gives_what_the_store_in_memory_gives(tmp_path_factory, history, key, low, high):
    path = tmp_path_factory.mktemp("history") / "db"
    model = open_in_memory(WINDOWS, context())
    database, (store,) = opened(path, WINDOWS)
    for kind, name, start, number in history:
        if kind in {"put", "remove"}:
            value = (number, start) if kind == "put" else None
            store.put(name, value, start)
            model.put(name, value, start)
        else:
            expected = []
            model.flush(lambda *record, expected=expected: expected.append(record))
            written = {record[0]: record for record in commit(database, store, 1)}
            assert {record[0]: record for record in expected}.items() <= written.items()
            if kind == "reopen":
                database.close()
                database, (store,) = opened(path, WINDOWS)
    assert store.fetch(key, low) == model.fetch(key, low)
    assert list(store.fetch_range(key, low, high)) == list(model.fetch_range(key, low, high))
    assert list(store.backward_fetch_range(key, low, high)) == list(model.backward_fetch_range(key, low, high))
    assert list(store.fetch_all(low, high)) == list(model.fetch_all(low, high))
    assert list(store.all()) == list(model.all())
    database.close()
    shutil.rmtree(path)


def test_what_is_restored_is_what_was_written(tmp_path):
    database, (store, windows) = opened(tmp_path / "a", PAIRS, WINDOWS)
    store.put("a", (1, 10))
    windows.put("a", (3, 30), 20_000)
    records, window_records = [], []
    store.flush(lambda *record: records.append(record))
    windows.flush(lambda *record: window_records.append(record))
    database.close()
    database, (store, windows) = opened(tmp_path / "b", PAIRS, WINDOWS)
    for record in records:
        store.restore(*record)
    for record in window_records:
        windows.restore(*record)
    database.write({"pairs": 1, "windows": 1})
    assert store.get("a") == (1, 10)
    assert windows.fetch("a", 20_000) == (3, 30)
    assert not commit(database, store, 1), "what was restored is not a change"
    database.close()
