"""What a record cache sends on is what would have gone on without one, of each key the last between two commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.streams import Grouped, Materialized, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows
from moldau.streams.context import TaskContext
from moldau.streams.operators.record_cache import CacheBudget, RecordCaches
from moldau.streams.state import open_in_memory
from moldau.streams.task import Task

ENOUGH = 1 << 30
Written = tuple[bytes, bytes | None, int, Any, int]
"""Key, value, time, headers, and the offset of the record that it came of."""


def table(builder: StreamsBuilder) -> None:
    builder.table("in", key=str, value=str, store="rows").to_stream().to("out")


def reduced(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).group_by_key().reduce(lambda one, other: one + other).to_stream().to("out")


def listed(builder: StreamsBuilder) -> None:
    """A value that is changed in place."""
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    stored = Materialized.with_(str, list)
    grouped.aggregate(list, lambda _, value, held: held.append(value) or held, stored).to_stream().to("out", value=list)


def keyed_by_objects(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str).group_by(lambda key, _: {"key": key}, Grouped.with_(dict, str))
    stream.windowed_by(TimeWindows.of_size_with_no_grace(5)).count().to_stream().to("out", value=int)


def tumbling(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    grouped.windowed_by(TimeWindows.of_size_and_grace(5, 10)).count().to_stream().to("out", value=int)


def hopping(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    windows = TimeWindows.of_size_and_grace(6, 10).advance_by(2)
    grouped.windowed_by(windows).reduce(lambda one, other: one + (other or "")).to_stream().to("out")


def sliding(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    windows = SlidingWindows.of_time_difference_and_grace(4, 10)
    grouped.windowed_by(windows).count().to_stream().to("out", value=int)


def sessions(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    grouped.windowed_by(SessionWindows.of_inactivity_gap_and_grace(3, 10)).count().to_stream().to("out", value=int)


def sessions_of_lists(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    grouped.windowed_by(SessionWindows.of_inactivity_gap_and_grace(3, 10)).aggregate(
        list,
        lambda _, value, held: held.append(value) or held,
        lambda _, one, other: one + other,
        Materialized.with_(str, list),
    ).to_stream().to("out", value=list)


class Application:
    """A task with or without caches, which is told when to commit."""

    def __init__(self, build_into: Callable[[StreamsBuilder], None], limit: int | None) -> None:
        builder = StreamsBuilder()
        build_into(builder)
        topology = builder.build()
        self.written: list[Written] = []
        self.context = TaskContext("app", "0_0", lambda: 0)
        self.context.topic, self.context.partition = "in", 0
        self.budget = None if limit is None else CacheBudget(limit)
        if self.budget is not None:
            self.context.caches = RecordCaches(self.context, self.budget, self.fail)
        self.task = Task(
            topology.nodes.values(), topology.stores, context=self.context, open_store=open_in_memory, emit=self.emit
        )

    def fail(self, error: Exception) -> None:
        raise error

    def emit(self, topic: str, key: Any, value: Any, timestamp: int, headers: Any, *rest: Any) -> None:
        if topic == "out":
            self.written.append((key, value, timestamp, headers, self.context.offset))
        else:
            self.task.feeds[topic](key, value, timestamp, headers)

    def feed(self, offset: int, key: str, value: str | None, timestamp: int, headers: Any) -> None:
        self.context.offset = offset
        self.task.feeds["in"](key.encode(), None if value is None else value.encode(), timestamp, headers)

    def commit(self) -> list[Written]:
        if self.context.caches is not None:
            self.context.caches.flush()
        self.task.flush(lambda *_: None)
        taken, self.written = self.written, []
        return taken


TOPOLOGIES = [
    table,
    reduced,
    listed,
    keyed_by_objects,
    tumbling,
    hopping,
    sliding,
    sessions,
    sessions_of_lists,
]
RECORDS = st.tuples(
    st.sampled_from("abc"),
    st.one_of(st.none(), st.text("xyz", max_size=4)),
    st.integers(0, 25),
    st.sampled_from([(), [("trace", b"1")], [("none", None)]]),
)
BETWEEN_COMMITS = st.lists(RECORDS, max_size=12)


def last_of_each(written: list[Written], there: set[bytes]) -> list[Written]:
    """The last of each key in the order of these, without rows that were not and are not."""
    last: dict[bytes, Written] = {}
    for one in written:
        last.pop(one[0], None)
        last[one[0]] = one
    return [one for one in last.values() if one[1] is not None or one[0] in there]


@pytest.mark.parametrize("build_into", TOPOLOGIES)
@settings(max_examples=40)
@given(st.lists(BETWEEN_COMMITS, max_size=5))
def test_of_the_updates_between_two_commits_the_last_of_each_key_goes_on(
    build_into: Callable[[StreamsBuilder], None], commits: list[list[Any]]
):
    cached, plain = Application(build_into, ENOUGH), Application(build_into, None)
    there: set[bytes] = set()
    offset = 0
    for records in commits:
        for record in records:
            cached.feed(offset, *record)
            plain.feed(offset, *record)
            offset += 1
        assert cached.written == []
        told = last_of_each(plain.commit(), there)
        assert cached.commit() == told
        assert cached.budget is not None
        assert cached.budget.held == 0
        there |= {key for key, value, *_ in told if value is not None}
        there -= {key for key, value, *_ in told if value is None}


@pytest.mark.parametrize("build_into", TOPOLOGIES)
@settings(max_examples=40)
@given(st.lists(RECORDS, max_size=40), st.integers(0, 3000))
def test_a_cache_that_is_often_full_ends_with_the_same_rows_and_holds_no_more_than_it_may(
    build_into: Callable[[StreamsBuilder], None], records: list[Any], limit: int
):
    cached, plain = Application(build_into, limit), Application(build_into, None)
    assert cached.budget is not None
    for offset, record in enumerate(records):
        cached.feed(offset, *record)
        plain.feed(offset, *record)
        assert 0 <= cached.budget.held <= limit
    told, all_of_them = cached.commit(), plain.commit()
    assert cached.budget.held == 0
    assert set_of(told) == set_of(all_of_them)
    assert len(told) <= len(all_of_them)


def set_of(written: list[Written]) -> dict[bytes, tuple[bytes, int]]:
    """What is true in the end."""
    rows: dict[bytes, tuple[bytes, int]] = {}
    for key, value, timestamp, *_ in written:
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value, timestamp
    return rows
