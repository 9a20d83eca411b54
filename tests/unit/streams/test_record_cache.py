"""Updates of one key between two commits go downstream once: against Kafka Streams' caches, and by themselves.

Kafka's driver commits after every record, so its recordings say what becomes of several updates by one record; the rest
is said here with a budget and flushes of our own.
"""

from __future__ import annotations

import gc
import gzip
import json
from functools import cache
from typing import Any

import pytest
from tests.unit.streams.scenarios import GOLDEN_CACHED, cached_scenarios
from tests.unit.streams.test_against_kafka import _as_compared, run

from moldau.streams import (
    Grouped,
    KTable,
    Materialized,
    Produced,
    SessionWindows,
    StreamsBuilder,
    TimeWindows,
    TopologyTestDriver,
)
from moldau.streams.context import TaskContext
from moldau.streams.errors import UnwritableError
from moldau.streams.operators.record_cache import AROUND_BYTES, CacheBudget, RecordCaches
from moldau.streams.serdes import Serde, Windowed
from moldau.streams.state import open_in_memory
from moldau.streams.task import Task


@cache
def recorded() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(gzip.decompress(GOLDEN_CACHED.read_bytes()))
    return answer


def test_kafka_was_asked_about_all_that_should_be_compared():
    assert set(recorded()) == set(cached_scenarios())


@pytest.mark.parametrize("name", list(cached_scenarios()))
def test_a_topology_with_caches_writes_what_kafka_streams_writes(name: str):
    topology, steps = cached_scenarios()[name]
    produced, _ = run({"topology": topology, "inputs": steps}, caches=True)
    for number, (step, expected) in enumerate(zip(produced, recorded()[name], strict=True)):
        ours, kafkas = _as_compared(step), _as_compared(expected)
        for topic in [topic for topic in ours if topic.endswith("-changelog")]:
            # Kafka's caches do not tell the store of a row that never was there; ours writes it a tombstone.
            ours[topic] = {
                key: rest for key, rest in ours[topic].items() if rest[0] is not None or key in kafkas.get(topic, ())
            }
        ours = {topic: records for topic, records in ours.items() if records}
        assert ours == kafkas, f"after step {number}: {steps[number]}"


class Application:
    """A task with caches, without a commit until one is asked for."""

    def __init__(self, build_into: Any, limit: int = 100_000, budget: CacheBudget | None = None) -> None:
        builder = StreamsBuilder()
        build_into(builder)
        topology = builder.build()
        self.written: list[tuple[str, Any, Any, int]] = []
        self.context = TaskContext("app", "0_0", lambda: 0)
        self.failures: list[Exception] = []
        self.places: list[int] = []
        self.budget = budget or CacheBudget(limit)
        self.context.caches = RecordCaches(self.context, self.budget, self.fail)
        self.task = Task(
            topology.nodes.values(), topology.stores, context=self.context, open_store=open_in_memory, emit=self.emit
        )
        self._offset = 0

    def fail(self, error: Exception) -> None:
        self.failures.append(error)

    def emit(self, topic: str, key: Any, value: Any, timestamp: int, *rest: Any) -> None:
        self.written.append((key.decode(), None if value is None else value.decode(), timestamp, self.context.offset))

    def feed(self, *records: tuple[str, str | None, int], topic: str = "in") -> Application:
        self.context.topic = topic
        for key, value, timestamp in records:
            self.context.offset = self._offset
            self._offset += 1
            self.task.feeds[topic](key.encode(), None if value is None else value.encode(), timestamp, ())
        return self

    def commit(self) -> list[tuple[str, Any, Any, int]]:
        assert self.context.caches is not None
        self.context.caches.flush()
        self.task.flush(lambda *_: None)
        taken, self.written = self.written, []
        return taken


def joined(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).group_by_key().reduce(lambda one, other: one + other).to_stream().to("out")


def table(builder: StreamsBuilder) -> None:
    builder.table("in", key=str, value=str, store="rows").to_stream().to("out")


def test_of_several_updates_of_a_key_the_last_goes_downstream_in_the_order_of_the_last_ones():
    app = Application(joined).feed(("a", "1", 10), ("b", "2", 11), ("a", "3", 5))
    assert app.written == []
    assert app.commit() == [("b", "2", 11, 1), ("a", "13", 10, 2)]
    assert app.commit() == []


def test_a_row_that_came_and_went_between_two_commits_is_not_spoken_of():
    app = Application(table).feed(("a", "1", 1), ("a", None, 2), ("b", "1", 3))
    assert app.commit() == [("b", "1", 3, 2)]
    assert app.feed(("b", "2", 4), ("b", None, 5)).commit() == [("b", None, 5, 4)]


def test_the_streams_of_a_cogroup_have_one_cache_as_they_have_one_store():
    def cogrouped(builder: StreamsBuilder) -> None:
        first, second = (builder.stream(topic, key=str, value=str).group_by_key() for topic in ("in", "other"))
        both = first.cogroup(lambda value, held: held + value).cogroup(second, lambda value, held: held + value)
        both.aggregate(lambda: "", Materialized.with_(str, str)).to_stream().to("out")

    app = Application(cogrouped).feed(("k", "1", 1), topic="other")
    taken = app.budget.held
    assert app.feed(("k", "2", 2)).budget.held == taken + 1
    assert app.commit() == [("k", "12", 2, 1)]


def test_a_session_that_another_stream_of_its_cogroup_has_merged_away_does_not_stay_downstream():
    def cogrouped(builder: StreamsBuilder) -> None:
        first, second = (builder.stream(topic, key=str, value=str).group_by_key() for topic in ("in", "other"))
        both = first.cogroup(lambda value, held: held + value).cogroup(second, lambda value, held: held + value)
        windowed = both.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace(10))
        sessions = windowed.aggregate(lambda: "", lambda one, other: one + other, Materialized.with_(str, str))
        sessions.to_stream(lambda session, _: f"{session.start}-{session.end}").to("out", key=str, value=str)

    app = Application(cogrouped).feed(("k", "1", 1), topic="other").feed(("k", "2", 5))
    assert app.commit() == [("1-5", "12", 5, 1)]
    app.feed(("k", "3", 7), topic="other").feed(("k", "4", 9))
    assert app.commit() == [("1-5", None, 5, 2), ("1-9", "1234", 9, 3)]


def test_the_old_value_is_that_of_the_last_commit():
    changes: list[Any] = []

    def built(builder: StreamsBuilder) -> None:
        rows = builder.table("in", key=str, value=str, store="rows")
        grouped = rows.group_by(lambda key, value: ("all", value), Grouped.with_(str, str))
        grouped.aggregate(
            lambda: "",
            lambda _, value, held: changes.append(("add", value)) or held + value,
            lambda _, value, held: changes.append(("take", value)) or held.replace(value, ""),
            Materialized.with_(str, str).with_caching_disabled(),
        ).to_stream().to("out")

    class Rerouted(Application):
        """What goes into the repartition topic comes back at once."""

        def emit(self, topic: str, key: Any, value: Any, timestamp: int, *rest: Any) -> None:
            if topic == "out":
                super().emit(topic, key, value, timestamp, *rest)
            else:
                self.task.feeds[topic](key, value, timestamp, ())

    app = Rerouted(built).feed(("k", "x", 1), ("k", "y", 2))
    app.commit()
    assert changes == [("add", "y")]
    app.feed(("k", "z", 3), ("k", "w", 4)).commit()
    assert changes[1:] == [("take", "y"), ("add", "w")]


def test_a_cache_that_is_full_sends_on_what_it_holds():
    app = Application(joined, 2 * (AROUND_BYTES + 3)).feed(("a", "1", 1), ("b", "1", 2))
    assert app.written == []
    assert app.budget.held == 2 * (AROUND_BYTES + 2)
    app.feed(("a", "2", 3), ("c", "1", 4))
    assert [one[0] for one in app.written] == ["b", "a", "c"]
    assert app.budget.held == 0
    assert app.commit()[3:] == []


def test_what_a_cache_holds_is_counted_by_the_bytes_of_keys_and_values():
    app = Application(table).feed(("key", "x" * 1000, 1))
    assert app.budget.held == AROUND_BYTES + 3 + 1000
    # The last update takes the place of the one before it.
    app.feed(("key", "xy", 2))
    assert app.budget.held == AROUND_BYTES + 3 + 2
    app.commit()
    assert app.budget.held == 0
    # What was there at the last commit is held too, also of a row that goes.
    app.feed(("key", "x" * 500, 4)).commit()
    app.feed(("key", "y", 5))
    assert app.budget.held == AROUND_BYTES + 3 + 500 + 1
    app.feed(("key", None, 6))
    assert app.budget.held == AROUND_BYTES + 3 + 500
    app.commit()
    assert app.budget.held == 0


def test_a_row_that_came_and_went_takes_no_room():
    app = Application(table).feed(("key", "x", 1), ("key", None, 2))
    assert app.budget.held == 0
    assert app.feed(("key", "y", 3)).commit() == [("key", "y", 3, 2)]
    assert app.budget.held == 0


@pytest.mark.parametrize("value", [str, dict])
def test_a_session_that_grows_takes_the_room_of_one(value: Any):
    """Each record makes another one of it; those in between nobody has to hear of."""

    def of_sessions(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        sessions = grouped.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace(10))
        first: Any = value()
        totals = sessions.aggregate(lambda: first, lambda *_: first, lambda *_: first, store="kept", value=value)
        totals.to_stream(lambda session, _: session[0]).map_values(lambda _: "").to("out", key=str, value=str)

    app = Application(of_sessions).feed(*(("key", "x", time) for time in range(100)))
    assert app.budget.held == AROUND_BYTES + 3 + len(json.dumps(value()) if value is dict else "")
    assert [(key, time) for key, _, time, _ in app.commit()] == [("key", 99)]
    assert app.budget.held == 0


def test_what_waits_is_nothing_for_the_garbage_collector():
    def counted(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        windowed = grouped.windowed_by(TimeWindows.of_size_with_no_grace(10))
        windowed.count().to_stream(lambda window, _: window[0]).to("out", key=str, value=int)

    app = Application(counted, 10_000_000)
    gc.collect()
    before = len(gc.get_objects())
    app.feed(*((f"k{number}", "x", 1) for number in range(5000)))
    assert app.budget.held > 5000 * AROUND_BYTES
    # The collector stops looking at a tuple when it sees that there is nothing in it that it would look at.
    gc.collect()
    gc.collect()
    assert len(gc.get_objects()) - before < 500


def test_headers_are_counted_too():
    app = Application(table)
    app.feed(("key", "x", 1))
    app.task.feeds["in"](b"key", b"x", 2, [("trace", b"12"), ("none", None)])
    assert app.budget.held == AROUND_BYTES + 3 + 1 + 5 + 2 + 4


def test_a_few_large_values_fill_a_cache():
    app = Application(table, 10_000).feed(("a", "x" * 4000, 1), ("b", "y" * 4000, 2))
    assert app.written == []
    app.feed(("c", "z" * 4000, 3))
    assert [one[0] for one in app.written] == ["a", "b", "c"]


def test_the_tables_of_a_thread_share_what_their_caches_may_hold():
    def two(builder: StreamsBuilder) -> None:
        table(builder)
        grouped = builder.stream("other", key=str, value=str).group_by_key()
        grouped.reduce(lambda one, other: one + other).to_stream().to("out")

    app = Application(two, 4 * (AROUND_BYTES + 2)).feed(("a", "1", 1), ("b", "1", 2), ("c", "1", 3))
    # Another task of the thread, and another table.
    second = Application(two, budget=app.budget)
    second.context.topic = "other"
    second.task.feeds["other"](b"x", b"1", 4, ())
    assert app.budget.held == 4 * (AROUND_BYTES + 2)
    assert not app.written
    assert not second.written
    # The one that is put into is emptied, all of it, as `ThreadCache` and `NamedCache` do; the others wait.
    second.task.feeds["other"](b"y", b"1", 5, ())
    assert [one[0] for one in second.written] == ["x", "y"]
    assert not app.written
    assert app.budget.held == 3 * (AROUND_BYTES + 2)
    assert [one[0] for one in app.commit()] == ["a", "b", "c"]
    assert app.budget.held == 0


def test_windows_and_sessions_are_counted_by_their_keys():
    def windowed(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        grouped.windowed_by(TimeWindows.of_size_with_no_grace(10)).count().to_stream(lambda window, _: window[0]).to(
            "out", key=str, value=str
        )

    def of_sessions(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        grouped.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace(10)).count().to_stream(
            lambda session, _: session[0]
        ).to("out", key=str, value=str)

    for built in (windowed, of_sessions):
        assert Application(built).feed(("key", "x", 1)).budget.held == AROUND_BYTES + 3 + 8


def test_a_key_that_can_be_changed_is_known_by_its_bytes():
    def counted(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=dict, value=str)
        stream.group_by_key().reduce(lambda one, other: one + other).to_stream().to("out", key=dict, value=str)

    app = Application(counted).feed(('{"n":1}', "a", 1), ('{"n":2}', "b", 2), ('{"n":1}', "c", 3))
    assert app.commit() == [('{"n":2}', "b", 2, 1), ('{"n":1}', "ac", 3, 2)]


def test_a_table_can_be_left_out():
    def built(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        stored = Materialized.with_(str, str).with_caching_disabled()
        grouped.reduce(lambda one, other: one + other, stored).to_stream().to("out")

    app = Application(built).feed(("a", "1", 1), ("a", "2", 2))
    assert [one[1] for one in app.written] == ["1", "12"]


def test_after_one_that_fails_behind_a_cache_the_others_go_on():
    def failing(builder: StreamsBuilder) -> None:
        def check(value: str) -> str:
            if value == "bad":
                raise ValueError(value)
            return value

        builder.table("in", key=str, value=str, store="rows").to_stream().map_values(check).to("out")

    app = Application(failing).feed(("a", "1", 1), ("b", "bad", 2), ("c", "3", 3))
    assert [one[0] for one in app.commit()] == ["a", "c"]
    assert [str(one) for one in app.failures] == ["bad"]


def test_what_cannot_be_written_behind_a_cache_is_told_with_the_place_of_its_record():
    class Told(Application):
        def fail(self, error: Exception) -> None:
            assert isinstance(error, UnwritableError)
            self.failures.append(error)
            self.places.append(self.context.offset)

    def written(builder: StreamsBuilder) -> None:
        def checked(value: str) -> bytes:
            if value == "bad":
                raise ValueError(value)
            return value.encode()

        picky = Serde("picky", checked, bytes.decode, immutable=True)
        builder.table("in", key=str, value=str, store="rows").to_stream().to("out", value=picky)

    app = Told(written).feed(("a", "1", 1), ("b", "bad", 2), ("c", "3", 3), ("d", "4", 4))
    app.commit()
    assert app.places == [1]
    app.feed(("a", None, 5), ("c", "5", 6))
    assert app.commit() == [("a", None, 5, 4), ("c", "5", 6, 5)]


def picky() -> Serde[Any]:
    """Values that are kept as they are; that one cannot be written is found when its size is asked for."""

    def checked(value: str) -> bytes:
        if value == "bad":
            raise ValueError(value)
        return value.encode()

    return Serde("picky", checked, bytes.decode, immutable=True)


def picky_reduced(builder: StreamsBuilder) -> KTable[str, str]:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    return grouped.reduce(lambda _, other: other, Materialized.with_(str, picky()))


def picky_table(builder: StreamsBuilder) -> KTable[str, str]:
    return builder.table("in", key=str, value=picky(), store="rows")


@pytest.mark.parametrize("rows", [picky_reduced, picky_table])
def test_after_an_update_that_cannot_be_written_the_one_before_it_still_goes_on(rows: Any):
    app = Application(lambda builder: rows(builder).to_stream().to("out", value=str)).feed(("a", "1", 1))
    with pytest.raises(ValueError, match="bad"):
        app.feed(("a", "bad", 2))
    assert app.context.caches is not None
    app.context.caches.flush()
    assert app.written == [("a", "1", 1, 0)]
    assert app.budget.held == 0


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize("rows", [picky_reduced, picky_table])
def test_an_update_that_cannot_be_written_is_no_old_value(rows: Any, evicted: bool):
    told: list[tuple[str, str]] = []

    def take(key: str, value: str) -> bool:
        told.append((key, value))
        return value != "2"

    app = Application(lambda builder: rows(builder).filter(take).to_stream().to("out", value=str), 1 << 20)
    app.feed(("a", "1", 1)).commit()
    if evicted:
        # It waits when the bad one comes, and is sent on before the next.
        app.feed(("a", "2", 2), ("a", "3", 3))
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            app.feed(("a", "bad", 4))
    if evicted:
        app.feed(("b", "x" * (1 << 20), 5))
        assert [one[:2] for one in app.written] == [("a", "3"), ("b", "x" * (1 << 20))]
    told.clear()
    app.feed(("a", "2", 6)).commit()
    assert told == [("a", "2"), ("a", "3" if evicted else "1")]


def test_a_serde_of_ones_own_need_not_have_a_hash():
    class Written:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Written)

        def __call__(self, value: str) -> bytes:
            return value.encode()

    own = Serde("own", Written(), bytes.decode, immutable=True)
    app = Application(lambda builder: builder.table("in", key=str, value=own, store="rows").to_stream().to("out"))
    assert app.feed(("a", "123", 1)).budget.held == AROUND_BYTES + 1 + 3
    assert app.commit() == [("a", "123", 1, 0)]


def test_after_an_error_that_nobody_decides_about_the_place_is_that_of_the_record_in_work():
    class Failing(Application):
        def fail(self, error: Exception) -> None:
            raise error

    def failing(builder: StreamsBuilder) -> None:
        builder.table("in", key=str, value=str, store="rows").to_stream().map_values(int).to("out", value=int)

    app = Failing(failing, AROUND_BYTES + 4).feed(("a", "bad", 1))
    with pytest.raises(ValueError, match="bad"):
        app.feed(("b", "2", 2))
    assert (app.context.offset, app.context.timestamp) == (1, 2)


def test_a_topic_that_does_not_take_a_record_fails_with_the_place_of_that_one():
    class Full(Application):
        def emit(self, topic: str, key: Any, value: Any, timestamp: int, *rest: Any) -> None:
            if value == b"2":
                raise ValueError("full")
            super().emit(topic, key, value, timestamp, *rest)

        def fail(self, error: Exception) -> None:
            self.places.append(self.context.offset)

    app = Full(table).feed(("a", "1", 1), ("b", "2", 2), ("c", "3", 3))
    assert [one[0] for one in app.commit()] == ["a", "c"]
    assert app.places == [1]
    assert app.context.offset == 2


def test_a_partitioner_behind_a_cache_is_given_objects():
    given: list[Any] = []

    class Partitioned(Application):
        def emit(self, topic: str, *rest: Any) -> None:
            *_, key, value, partitioner = rest
            given.append((key, value, partitioner(topic, key, value, 4)))

    def built(builder: StreamsBuilder) -> None:
        rows = builder.table("in", key=str, value=str, store="rows").to_stream()
        rows.to("out", Produced.with_(partitioner=lambda topic, key, value, count: len(value) % count))

    Partitioned(built).feed(("a", "123", 1)).commit()
    assert given == [("a", "123", 3)]


@pytest.mark.parametrize("key", [str, dict])
def test_a_serde_of_windows_of_ones_own_is_given_windows(key: Any):
    def text(window: Windowed[Any]) -> bytes:
        assert isinstance(window, Windowed)
        return f"{window.key} {window.start}-{window.end}".encode()

    def built(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=key, value=str).group_by_key()
        counted = grouped.windowed_by(TimeWindows.of_size_with_no_grace(10)).count()
        own = Serde("own", text, lambda data: pytest.fail("it is not read"))
        counted.map_values(str).to_stream().to("out", key=own, value=str)
        counted.to_stream().map_values(str).to("again", key=own, value=str)

    def straight(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=key, value=str).group_by_key()
        reduced = grouped.windowed_by(TimeWindows.of_size_with_no_grace(10)).reduce(lambda one, other: one + other)
        own = Serde("own", text, lambda data: pytest.fail("it is not read"))
        reduced.to_stream().to("out", key=own, value=str)

    name = '{"n":1}' if key is dict else "n"
    shown = "{'n': 1} 10-20" if key is dict else "n 10-20"
    assert {one[:2] for one in Application(built).feed((name, "x", 12), (name, "y", 13)).commit()} == {(shown, "2")}
    assert [one[:2] for one in Application(straight).feed((name, "x", 12), (name, "y", 13)).commit()] == [(shown, "xy")]


def test_the_driver_merges_what_one_record_did():
    builder = StreamsBuilder()
    words = builder.stream("in", key=str, value=str).flat_map_values(str.split)
    words.group_by_key(value=str).count(store="words").to_stream().to("totals", value=int)
    with TopologyTestDriver(builder.build(), caches=True) as driver:
        totals = driver.create_output_topic("totals", value=int)
        driver.create_input_topic("in").pipe_input("line", "a b a")
        assert totals.read_key_values_to_list() == [("line", 3)]
        assert driver.get_state_store("words").get("line")[0] == 3
