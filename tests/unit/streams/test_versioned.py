"""Versioned stores: what was true when, what is forgotten, and that both come back from the changelog."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.streams import Joined, Materialized, Serdes, StreamsBuilder, Suppressed, TopologyError
from moldau.streams.context import TaskContext
from moldau.streams.dsl.suppressed import BufferConfig
from moldau.streams.operators.origin import Origin
from moldau.streams.state.versioned import MemoryVersionedStore
from moldau.streams.state.waiting import MemoryWaitingRecords
from moldau.streams.topology.nodes import StoreSpec

HISTORY = 50
PUTS = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 200), st.one_of(st.none(), st.integers(0, 9))), max_size=30
)


def store() -> MemoryVersionedStore:
    spec = StoreSpec("history", "versioned", Serdes.String(), Serdes.json(Any), retention_ms=HISTORY)
    return MemoryVersionedStore(spec, TaskContext("app", "0_0", lambda: 0))


def flushed(one: Any) -> list[Any]:
    records: list[Any] = []
    one.flush(lambda *record: records.append(record))
    return records


@given(PUTS)
def test_a_row_at_a_time_is_the_newest_version_until_then_within_the_history(puts: list[Any]):
    kept, plain, newest = store(), dict[str, dict[int, Any]](), -1
    for key, timestamp, value in puts:
        kept.put(key, (value, timestamp))
        if timestamp < newest - HISTORY:
            assert kept.outcome is None
            continue
        newest = max(newest, timestamp)
        row = plain.setdefault(key, {})
        row[timestamp] = value
        assert kept.outcome is (timestamp == max(row))
    for key, row in plain.items():
        latest = row[max(row)]
        assert kept.get(key) == (None if latest is None else (latest, max(row)))
        for as_of in range(0, 201, 7):
            until = [timestamp for timestamp in row if timestamp <= as_of]
            known = bool(until) and (as_of >= newest - HISTORY or max(row) <= as_of)
            value = row[max(until)] if known else None
            assert kept.get_at(key, as_of) == (None if value is None else (value, max(until)))


@given(PUTS)
def test_a_changelog_gives_the_versions_back(puts: list[Any]):
    kept, restored = store(), store()
    for key, timestamp, value in puts:
        kept.put(key, (value, timestamp))
        for record in flushed(kept):
            restored.restore(*record)
    for key in "AB":
        for as_of in range(0, 201, 5):
            assert restored.get_at(key, as_of) == kept.get_at(key, as_of)
    assert list(restored.all()) == list(kept.all())


def test_a_version_that_was_dropped_does_not_take_the_place_of_one_that_was_kept():
    one, again = store(), store()
    one.put("A", ("kept", 100))
    one.put("B", ("later", 200))
    one.put("A", ("too late", 100))
    for record in flushed(one):
        again.restore(*record)
    assert one.get("A") == again.get("A") == ("kept", 100)


def test_rows_that_are_long_deleted_take_no_memory():
    kept = store()
    for number in range(1000):
        kept.put(f"row {number}", (1, number))
        kept.put(f"row {number}", (None, number + 1))
    assert kept.approximate_num_entries() <= HISTORY + 2


def test_what_waits_for_a_join_comes_back_from_the_changelog_and_goes_in_order():
    spec = StoreSpec("waiting", "waiting", Serdes.String(), Serdes.String(), retention_ms=10)
    context = TaskContext("app", "0_0", lambda: 0)
    waiting, restored = MemoryWaitingRecords(spec, context), MemoryWaitingRecords(spec, context)
    for number, timestamp in enumerate((5, 3, 12)):
        assert waiting.put("A", str(number), Origin(timestamp, number, "in", 0, ()))
    assert not waiting.put("A", "late", Origin(1, 3, "in", 0, ()))
    for record in flushed(waiting):
        restored.restore(*record)
    assert restored.put("A", "3", Origin(15, 4, "in", 0, ()))
    out: list[Any] = []
    restored.evict(lambda key, value, origin: out.append((key, value, origin.timestamp)))
    assert out == [("A", "1", 3), ("A", "0", 5)]
    assert [value for _, value, _ in flushed(restored)].count(None) == 2


def test_a_join_with_grace_needs_a_versioned_table():
    builder = StreamsBuilder()
    stream, table = builder.stream("in", value=str), builder.table("rows", value=str)
    with pytest.raises(TopologyError, match="needs a versioned table"):
        stream.join(table, lambda one, other: one, Joined.with_(str, str, str, grace="1s"))


def test_a_versioned_table_cannot_be_suppressed():
    history = Materialized.as_("history").with_history_retention("1h")
    table = StreamsBuilder().table("rows", value=str, materialized=history).filter(bool)
    with pytest.raises(TopologyError, match="cannot be suppressed"):
        table.suppress(Suppressed.until_time_limit(1, BufferConfig.unbounded()))
