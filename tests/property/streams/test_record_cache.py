"""What a record cache sends on is what would have gone on without one, of each key the last between two commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.streams import (
    CogroupedKStream,
    Grouped,
    KTable,
    Materialized,
    SessionWindows,
    SlidingWindows,
    StreamsBuilder,
    TimeWindows,
)
from moldau.streams.context import TaskContext
from moldau.streams.operators.record_cache import CacheBudget, RecordCaches
from moldau.streams.serdes import serde_of
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


def cogrouped(builder: StreamsBuilder) -> CogroupedKStream[str, str]:
    """Two streams that add to the same text, each in its own way."""
    first, second = (builder.stream(topic, key=str, value=str).group_by_key() for topic in ("in", "other"))
    both = first.cogroup(lambda value, held: held + (value or "-"))
    return both.cogroup(second, lambda value, held: (value or "+") + held)


def cogroup(builder: StreamsBuilder) -> None:
    cogrouped(builder).aggregate(str, Materialized.with_(str, str)).to_stream().to("out")


def cogroup_of_lists(builder: StreamsBuilder) -> None:
    first, second = (builder.stream(topic, key=str, value=str).group_by_key() for topic in ("in", "other"))
    both = first.cogroup(lambda value, held: held.append(value) or held)
    both = both.cogroup(second, lambda value, held: held.insert(0, value) or held)
    both.aggregate(list, Materialized.with_(str, list)).to_stream().to("out", value=list)


def cogroup_tumbling(builder: StreamsBuilder) -> None:
    windowed = cogrouped(builder).windowed_by(TimeWindows.of_size_and_grace(5, 10))
    windowed.aggregate(str, Materialized.with_(str, str)).to_stream().to("out")


def cogroup_sessions(builder: StreamsBuilder) -> None:
    windowed = cogrouped(builder).windowed_by(SessionWindows.of_inactivity_gap_and_grace(3, 10))
    windowed.aggregate(str, lambda one, other: one + other, Materialized.with_(str, str)).to_stream().to("out")


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

    def feed(self, offset: int, topic: str, key: str, value: str | None, timestamp: int, headers: Any) -> None:
        """One record; a topology without that topic is given it in its only one."""
        feed = self.task.feeds.get(topic, self.task.feeds["in"])
        self.context.offset = offset
        feed(key.encode(), None if value is None else value.encode(), timestamp, headers)

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
    cogroup,
    cogroup_of_lists,
    cogroup_tumbling,
    cogroup_sessions,
]
RECORDS = st.tuples(
    st.sampled_from(["in", "other"]),
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


def reduced_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    return builder.stream("in", key=str, value=str).group_by_key().reduce(lambda one, other: (one + other)[-5:])


def listed_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    listed = grouped.aggregate(list, lambda _, value, held: held.append(value) or held, Materialized.with_(str, list))
    return listed.map_values(lambda values: "".join(values)[-5:], store="joined", value=str)


def source_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    return builder.table("in", key=str, value=str, store="rows")


KEPT = Materialized.with_(str, str).with_retention(1000)
"""A store does not forget a row that downstream has heard of."""


def tumbling_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    return grouped.windowed_by(TimeWindows.of_size_and_grace(5, 10)).reduce(last_letters, KEPT)


def sliding_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    return grouped.windowed_by(SlidingWindows.of_time_difference_and_grace(4, 10)).reduce(last_letters, KEPT)


def session_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    return grouped.windowed_by(SessionWindows.of_inactivity_gap_and_grace(3, 10)).reduce(last_letters, KEPT)


def session_rows_of_lists(builder: StreamsBuilder) -> KTable[Any, Any]:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    windowed = grouped.windowed_by(SessionWindows.of_inactivity_gap_and_grace(3, 10))
    add, merge = (lambda _, value, held: held.append(value) or held), (lambda _, one, other: one + other)
    listed = windowed.aggregate(list, add, merge, Materialized.with_(str, list).with_retention(1000))
    return listed.map_values(lambda values: "".join(value or "-" for value in values))


def cogroup_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    return cogrouped(builder).aggregate(str, Materialized.with_(str, str))


def cogroup_session_rows(builder: StreamsBuilder) -> KTable[Any, Any]:
    windowed = cogrouped(builder).windowed_by(SessionWindows.of_inactivity_gap_and_grace(3, 10))
    return windowed.aggregate(str, lambda one, other: one + other, KEPT)


def last_letters(one: str | None, other: str | None) -> str:
    return ((one or "-") + (other or "-"))[-5:]


def written(rows: KTable[Any, Any]) -> None:
    rows.to_stream().to("out")


def filtered(rows: KTable[Any, Any]) -> None:
    """A row is said to have gone if it was there."""
    rows.filter(lambda value: "x" in value).to_stream().to("out")


def regrouped(rows: KTable[Any, Any]) -> None:
    """The rows that end with each letter; one that was not put in cannot be taken out."""

    def add(_: str, value: str, held: list[str]) -> list[str]:
        return sorted([*held, value])

    def take(_: str, value: str, held: list[str]) -> list[str] | None:
        held.remove(value)
        return held or None

    groups = rows.group_by(lambda _, value: (value[-1:], value), Grouped.with_(str, str))
    groups.aggregate(list, add, take, Materialized.with_(str, list)).to_stream().to("out", value=list)


def filter_of(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What is behind `filtered` when it has heard of these rows."""
    return {key: value for key, value in rows.items() if b"x" in value}


def groups_of(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The same of `regrouped`."""
    groups: dict[bytes, list[str]] = {}
    for value in rows.values():
        groups.setdefault(value[-1:], []).append(value.decode())
    write = serde_of(list).serialize
    return {letter: write(sorted(values)) for letter, values in groups.items()}


ROWS = [
    reduced_rows,
    listed_rows,
    source_rows,
    tumbling_rows,
    sliding_rows,
    session_rows,
    session_rows_of_lists,
    cogroup_rows,
    cogroup_session_rows,
]


@pytest.mark.parametrize(("behind", "expected"), [(filtered, filter_of), (regrouped, groups_of)])
@pytest.mark.parametrize("rows_of", ROWS)
@settings(max_examples=40)
@given(st.lists(BETWEEN_COMMITS, max_size=5), st.sampled_from([0, 1500, ENOUGH]))
def test_the_old_value_of_an_update_is_the_one_that_was_told_before(
    rows_of: Callable[[StreamsBuilder], KTable[Any, Any]],
    behind: Callable[[KTable[Any, Any]], None],
    expected: Callable[[dict[bytes, bytes]], dict[bytes, bytes]],
    commits: list[list[Any]],
    limit: int,
):
    """What follows a table by its old and new values has after each commit what is true of the table's rows."""
    cached = Application(lambda builder: behind(rows_of(builder)), limit)
    plain = Application(lambda builder: written(rows_of(builder)), None)
    rows: dict[bytes, bytes] = {}
    told: dict[bytes, bytes] = {}
    offset = 0
    for records in commits:
        for record in records:
            cached.feed(offset, *record)
            plain.feed(offset, *record)
            offset += 1
        for key, value, *_ in plain.commit():
            put_into(rows, key, value)
        for key, value, *_ in cached.commit():
            assert value is not None or key in told, "what was not there does not go"
            put_into(told, key, value)
        assert told == expected(rows)


def put_into(rows: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        rows.pop(key, None)
    else:
        rows[key] = value


def set_of(written: list[Written]) -> dict[bytes, tuple[bytes, int]]:
    """What is true in the end."""
    rows: dict[bytes, tuple[bytes, int]] = {}
    for key, value, timestamp, *_ in written:
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value, timestamp
    return rows
