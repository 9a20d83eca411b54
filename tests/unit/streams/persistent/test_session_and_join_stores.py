"""Sessions and the stores of stream joins on disk: any history gives what the stores in memory give."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.streams.context import TaskContext
from moldau.streams.persistent import Room, TaskDatabase, is_on_disk, opener
from moldau.streams.serdes import Serdes, Windowed
from moldau.streams.state import open_in_memory
from moldau.streams.state.join_window import next_number
from moldau.streams.topology.nodes import StoreSpec

TEXT = Serdes.String()
SESSIONS = StoreSpec("sessions", "session", TEXT, Serdes.Long(), retention_ms=200_000)
JOIN = StoreSpec("join", "join_window", TEXT, TEXT, retention_ms=200_000, window_size_ms=1000)
BUFFER = StoreSpec("buffer", "join_buffer", TEXT, TEXT, Serdes.Long())
FEW = 4


def context():
    return TaskContext("app", "0_0", lambda: 0)


class Pair:
    """A store on disk, opened again and again, and the one in memory beside it."""

    def __init__(self, path, spec):
        self.path, self.spec = path, spec
        assert is_on_disk(spec)
        self.model = open_in_memory(spec, context())
        self.reopen()

    def reopen(self):
        self.database = TaskDatabase(self.path)
        self.store = opener(self.database, Room(FEW))(self.spec, context())

    def both(self, method, *arguments):
        getattr(self.store, method)(*arguments)
        getattr(self.model, method)(*arguments)

    def commit(self):
        """The changelog of both, each key's last record."""
        written = []
        self.store.flush(lambda *record: written.append(record))
        self.database.write({self.spec.name: 1})
        expected = []
        self.model.flush(lambda *record: expected.append(record))
        return {record[0]: record for record in written}, {record[0]: record for record in expected}

    def step(self, kind):
        if kind == "commit":
            self.commit()
        elif kind == "reopen":
            self.commit()
            self.database.close()
            self.reopen()

    def same(self, method, *arguments):
        assert list(getattr(self.store, method)(*arguments)) == list(getattr(self.model, method)(*arguments))

    def close(self):
        self.database.close()
        shutil.rmtree(self.path)


keys = st.sampled_from(["", "a", "aa", "ab", "é"])
times = st.integers(0, 60).map(lambda n: n * 10_000)
lengths = st.integers(0, 3).map(lambda n: n * 7000)
kinds = st.sampled_from(["put", "put", "put", "remove", "commit", "reopen"])


@settings(max_examples=100)
@given(
    st.lists(st.tuples(kinds, keys, times, lengths, st.integers(0, 9)), max_size=30), keys, times, times, st.booleans()
)
def test_any_history_of_sessions(tmp_path_factory, history, key, low, high, emits_on_close):
    spec = dataclasses.replace(SESSIONS, emits_on_close=emits_on_close)
    pair = Pair(tmp_path_factory.mktemp("history") / "db", spec)
    for kind, name, start, length, number in history:
        if kind in {"put", "remove"}:
            session = Windowed(name, start, start + length)
            pair.both("put", session, number if kind == "put" else None)
            assert pair.store.fetch_session(*session) == pair.model.fetch_session(*session)
        else:
            pair.step(kind)
    pair.same("find_sessions", key, low, high)
    pair.same("fetch", key)
    pair.same("find_all_sessions", low, high)
    pair.close()


@settings(max_examples=100)
@given(st.lists(st.tuples(kinds, keys, times, st.integers(0, 9)), max_size=30), keys, times, times)
def test_any_history_of_a_join_window(tmp_path_factory, history, key, low, high):
    pair = Pair(tmp_path_factory.mktemp("history") / "db", JOIN)
    for kind, name, time, number in history:
        if kind in {"put", "remove"}:
            pair.both("put", name, str(number) if kind == "put" else None, time)
        else:
            pair.step(kind)
    pair.same("fetch", key, low, high)
    pair.same("fetch", "a", 0, 10**9)
    written, expected = pair.commit()
    assert written == expected
    pair.close()


@settings(max_examples=100)
@given(st.lists(st.tuples(kinds, keys, times, st.booleans(), st.integers(0, 9)), max_size=30))
def test_any_history_of_a_join_buffer(tmp_path_factory, history):
    pair = Pair(tmp_path_factory.mktemp("history") / "db", BUFFER)
    for kind, name, time, is_left, number in history:
        if kind == "put":
            pair.both("add", time, is_left, name, str(number) if is_left else number)
        elif kind == "remove":
            pair.both("remove", time, is_left, name)
        else:
            pair.step(kind)
        pair.same("in_order")
    written, expected = pair.commit()
    assert written == expected
    pair.close()


def test_records_of_one_key_and_time_are_kept_apart_after_a_restart(tmp_path):
    pair = Pair(tmp_path / "db", JOIN)
    pair.both("put", "a", "first", 10)
    pair.step("reopen")
    pair.both("put", "a", "second", 10)
    pair.step("reopen")
    assert pair.store.fetch("a", 0, 100) == [(10, "first"), (10, "second")]
    pair.close()


def test_numbers_stay_in_their_31_bits():
    assert next_number(0x7FFFFFFF) == 0


@pytest.mark.parametrize("spec", [SESSIONS, JOIN, BUFFER], ids=lambda spec: spec.name)
def test_what_is_restored_is_what_was_written(tmp_path, spec):
    written = []
    first = Pair(tmp_path / "a", spec)
    if spec is SESSIONS:
        first.store.put(Windowed("a", 5, 30), 7)
    elif spec is JOIN:
        first.store.put("a", "x", 30)
    else:
        first.store.add(30, True, "a", "x")
    first.store.flush(lambda *record: written.append(record))
    first.close()
    second = Pair(tmp_path / "b", spec)
    for record in written:
        second.both("restore", *record)
    second.database.write({})
    if spec is SESSIONS:
        second.same("fetch", "a")
        assert second.store.fetch_session("a", 5, 30) == 7
    elif spec is JOIN:
        second.same("fetch", "a", 0, 100)
    else:
        second.same("in_order")
        assert second.store.time.earliest_waiting == second.model.time.earliest_waiting == 30
    assert second.commit() == ({}, {}), "what was restored is not a change"
    second.close()


def test_a_buffer_that_is_opened_again_knows_what_waits(tmp_path):
    pair = Pair(tmp_path / "db", BUFFER)
    pair.both("add", 50, False, "a", 1)
    pair.both("add", 40, True, "b", "x")
    pair.step("reopen")
    assert pair.store.time.earliest_waiting == 40
    pair.close()
