"""Records that wait for a versioned table, on disk: any history gives what the buffer in memory gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.streams.persistent.test_session_and_join_stores import Pair

from moldau.streams import Joined, Materialized, StreamsBuilder
from moldau.streams.operators.origin import Origin
from moldau.streams.persistent import is_on_disk
from moldau.streams.persistent import waiting as on_disk
from moldau.streams.serdes import Serdes
from moldau.streams.topology.nodes import StoreSpec

SPEC = StoreSpec("waiting", "waiting", Serdes.String(), Serdes.String(), retention_ms=10)


def put(pair, key, time, number=0, headers=()):
    """Whether it waits, the same in both."""
    origin = Origin(time, number, "in", 0, headers)
    taken = [store.put(key, f"{key} {number}", origin) for store in (pair.store, pair.model)]
    assert taken[0] == taken[1]
    return taken[0]


def evict(pair):
    """What waited long enough, the same from both."""
    out = [[], []]
    for store, found in zip((pair.store, pair.model), out, strict=True):
        store.evict(lambda *record, found=found: found.append(record))
    assert out[0] == out[1]
    return out[0]


steps = st.tuples(
    st.sampled_from(["put", "put", "put", "evict", "commit", "reopen"]),
    st.sampled_from(["", "a", "aa", "é"]),
    st.integers(0, 40),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, max_size=30))
def test_any_history_of_waiting_records(tmp_path_factory, history):
    pair = Pair(tmp_path_factory.mktemp("history") / "db", SPEC)
    for number, (kind, key, time) in enumerate(history):
        if kind == "put":
            put(pair, key, time, number, (("h", None), ("g", b"x")))
        elif kind == "evict":
            evict(pair)
        else:
            pair.step(kind)
    put(pair, "last", 1000, 99)
    evict(pair)
    written, expected = pair.commit()
    assert written == expected
    pair.close()


def test_more_than_is_read_at_once_comes_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(on_disk, "_AHEAD_MAX", 3)
    pair = Pair(tmp_path / "db", SPEC)
    for number in range(10):
        put(pair, "a", number, number)
    pair.step("reopen")
    # Of what comes now one is between those on disk.
    put(pair, "b", 5, 10)
    put(pair, "b", 100, 11)
    assert [record[2].timestamp for record in evict(pair)] == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    pair.close()


def test_what_could_not_be_handed_on_to_the_end_goes_on_where_it_was(tmp_path):
    pair = Pair(tmp_path / "db", SPEC)
    for number in range(4):
        put(pair, "a", number, number)
    pair.step("commit")
    put(pair, "z", 100, 4)

    def stop_at_the_second(key, value, origin):
        if origin.timestamp == 1:
            raise ValueError(key)

    for store in (pair.store, pair.model):
        with pytest.raises(ValueError, match="a"):
            store.evict(stop_at_the_second)
    pair.step("commit")
    assert [record[2].timestamp for record in evict(pair)] == [2, 3]
    pair.close()


def test_a_restart_is_as_late_as_it_was(tmp_path):
    pair = Pair(tmp_path / "db", SPEC)
    put(pair, "a", 50)
    put(pair, "a", 100)
    evict(pair)
    pair.step("reopen")
    assert not put(pair, "a", 60)
    pair.close()


def test_what_is_restored_waits_and_is_no_change(tmp_path):
    written = []
    first = Pair(tmp_path / "a", SPEC)
    for time in (3, 5, 12, 30):
        put(first, "a", time)
    evict(first)
    first.store.flush(lambda *record: written.append(record))
    first.close()
    second = Pair(tmp_path / "b", SPEC)
    for record in written:
        second.both("restore", *record)
    second.store.settle()
    second.database.write({SPEC.name: len(written)})
    second.store.close()
    assert second.commit() == ({}, {})
    assert not put(second, "a", 19)
    put(second, "b", 60)
    assert [record[2].timestamp for record in evict(second)] == [30]
    second.close()


def test_records_wait_where_the_table_is():
    for store, expected in (
        (Materialized.as_("rows"), True),
        (Materialized.as_("rows").with_store_type("in_memory"), False),
    ):
        builder = StreamsBuilder()
        table = builder.table("rows", value=str, materialized=store.with_history_retention("1m"))
        stream = builder.stream("in", value=str)
        stream.join(table, lambda one, other: one + other, Joined.with_(str, str, str, grace="1s")).to("out")
        (buffer,) = [spec for spec in builder.build().stores.values() if spec.kind == "waiting"]
        assert is_on_disk(buffer) is expected
