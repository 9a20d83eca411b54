"""A topology over records that are there already: from files, frames and lists, step by step, forwards and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl
import pytest

from moldau.notebook.records import Record
from moldau.streams import (
    PunctuationType,
    Rows,
    SessionWindows,
    StreamsBuilder,
    TestRecord,
    TimeTravel,
    TimeWindows,
    Topology,
    Windowed,
)
from moldau.streams.testing.given import GivenError
from moldau.streams.testing.time_travel import Change, Written

HOUR = 3_600_000


class Order(msgspec.Struct, frozen=True):
    amount: float
    customer: str = ""


def revenue() -> Topology:
    builder = StreamsBuilder()
    (
        builder.stream("orders", key=str, value=Order)
        .group_by_key()
        .windowed_by(TimeWindows.of_size_with_no_grace("1h"))
        .aggregate(lambda: 0.0, lambda _, order, total: total + order.amount, store="revenue", value=float)
        .to_stream()
        .to("hourly", value=float)
    )
    return builder.build()


ORDERS = [
    ("ann", {"amount": 1.0}, 5),
    ("bob", {"amount": 2.0}, 6),
    ("ann", {"amount": 3.0}, HOUR),
    ("ann", Order(4), 7),
]
ANN, BOB, LATER = Windowed("ann", 0, HOUR), Windowed("bob", 0, HOUR), Windowed("ann", HOUR, 2 * HOUR)


def test_each_step_says_what_it_led_to():
    with TimeTravel(revenue(), {"orders": ORDERS}) as travel:
        steps = list(travel)
    assert [(step.position, step.key, step.value, step.timestamp, step.dropped) for step in steps] == [
        (1, "ann", Order(1), 5, 0),
        (2, "bob", Order(2), 6, 0),
        (3, "ann", Order(3), HOUR, 0),
        (4, "ann", Order(4), 7, 1),
    ]
    assert [step.written for step in steps] == [
        (Written("hourly", ANN, 1.0, 5),),
        (Written("hourly", BOB, 2.0, 6),),
        (Written("hourly", LATER, 3.0, HOUR),),
        (),
    ]
    assert steps[0].changed == (Change("revenue", ANN, 1.0, 5),)


def test_a_store_is_seen_as_it_was_at_any_position():
    travel = TimeTravel(revenue(), {"orders": ORDERS})
    seen = [travel.to(position).store("revenue") for position in range(5)]
    assert seen[2] == [(ANN, (1.0, 5)), (BOB, (2.0, 6))]
    # The windows of the hour before are over with the first record of the next.
    assert seen[4] == [(LATER, (3.0, HOUR))]
    assert [travel.to(position).store("revenue") for position in (4, 1, 3, 0, 2)] == [seen[n] for n in (4, 1, 3, 0, 2)]
    assert (travel.back().position, travel.step and travel.step.key) == (1, "ann")
    assert travel.stores() == {"revenue": [(ANN, (1.0, 5))]}
    assert (travel.back(9).position, travel.step, travel.written("hourly")) == (0, None, [])
    assert [one.value for one in travel.end().written("hourly")] == [1.0, 2.0, 3.0]
    assert (len(travel), travel.topics) == (4, ["hourly"])
    with pytest.raises(ValueError, match="there are 4 records"):
        travel.to(5)
    travel.close()


def test_one_can_go_on_until_something_happens():
    with TimeTravel(revenue(), {"orders": ORDERS}) as travel:
        found = travel.until(lambda step: step.key == "bob")
        assert found is not None
        assert (found.position, travel.position) == (2, 2)
        assert travel.until(lambda step: step.key == "bob") is None
        assert travel.position == 4


def test_files_frames_and_records_of_topics_are_the_same_to_it(tmp_path):
    rows = [{"who": key, "amount": 1.0, "at": time} for key, _, time in ORDERS]
    frame = pl.DataFrame(rows)
    lines, table, text = tmp_path / "orders.jsonl", tmp_path / "orders.parquet", tmp_path / "orders.csv"
    lines.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
    frame.write_parquet(table)
    frame.write_csv(text)
    of_topic = [
        Record("orders", 0, n, datetime.fromtimestamp(time / 1000, UTC), key.encode(), b'{"amount":1.0}', ())
        for n, (key, _, time) in enumerate(ORDERS)
    ]
    shaped = pl.DataFrame([{"key": key, "timestamp": time, "value": {"amount": 1.0}} for key, _, time in ORDERS])
    dated = frame.with_columns(pl.from_epoch("at", time_unit="ms"))
    sources: list[Any] = [
        Rows(frame, key="who", timestamp="at"),
        Rows(dated, key="who", timestamp="at"),
        Rows(frame.to_arrow(), key="who", timestamp="at"),
        Rows(rows, key="who", timestamp="at"),
        *(Rows(path, key="who", timestamp="at") for path in (lines, str(table), text)),
        of_topic,
        [TestRecord(key, Order(1.0), time) for key, _, time in ORDERS],
        shaped,
    ]
    told = [TimeTravel(revenue(), {"orders": source}).end().written("hourly") for source in sources]
    assert told[0] == [
        Written("hourly", ANN, 1.0, 5),
        Written("hourly", BOB, 1.0, 6),
        Written("hourly", LATER, 1.0, HOUR),
    ]
    assert all(one == told[0] for one in told)


def test_records_of_several_topics_are_taken_by_their_times():
    builder = StreamsBuilder()
    names = builder.table("names", key=str, value=str, store="names")
    builder.stream("orders", key=str, value=str).join(names, lambda order, name: f"{name}: {order}").to(
        "out", value=str
    )
    given = {"orders": [("a", "1", 10), ("a", "2", 30)], "names": [("a", "Ann", 5), ("a", "Anna", 20)]}
    with TimeTravel(builder.build(), given) as travel:
        assert [step.topic for step in travel] == ["names", "orders", "names", "orders"]
        assert [one.value for one in travel.written("out")] == ["Ann: 1", "Anna: 2"]
        assert travel.to(2).store("names") == [("a", ("Ann", 5))]


def test_the_wall_clock_is_that_of_the_records():
    rung: list[int] = []

    class Rings:
        def init(self, context: Any) -> None:
            context.schedule("1h", PunctuationType.WALL_CLOCK_TIME, rung.append)

        def process(self, record: Any) -> None:
            pass

        def close(self) -> None:
            pass

    builder = StreamsBuilder()
    builder.stream("in", key=str, value=str).process(Rings)
    TimeTravel(builder.build(), {"in": [("k", "v", 1000), ("k", "v", 1000 + HOUR)]}).end()
    assert rung == [1000 + HOUR]


def test_sessions_that_grow_are_seen_to_go_and_come():
    builder = StreamsBuilder()
    clicks = builder.stream("clicks", key=str, value=str).group_by_key()
    clicks.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace(100)).count(store="sessions")
    travel = TimeTravel(builder.build(), {"clicks": [("k", "x", 1), ("k", "x", 50)]})
    travel.to(2)
    assert travel.step is not None
    assert travel.step.changed == (
        Change("sessions", Windowed("k", 1, 1), None, 50),
        Change("sessions", Windowed("k", 1, 50), 2, 50),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nowhere": []}, "no source reads topic 'nowhere'; there are: orders"),
        ({"orders": 7}, "int is nothing that has records of orders"),
        ({"orders": [("ann", {"amount": 1})]}, "record 0 of orders has no timestamp"),
        ({"orders": [("ann", {"amount": 1}, "soon")]}, "the timestamp of record 0 of orders is 'soon'"),
        ({"orders": [("ann", {"amount": 1}, 1.5)]}, "the timestamp of record 0 of orders is 1.5"),
        (
            {"orders": [(7, {"amount": 1}, 1)]},
            r"the key of record 0 of orders is not what its source reads \(String\): 7",
        ),
        ({"orders": [{"amount": 1, "at": 1}]}, "has the columns amount, at, and none says"),
        ({"orders": Rows([{"amount": 1}], timestamp="at")}, "record 0 of orders has no column 'at'"),
        ({"orders": [object()]}, "record 0 of orders is no record"),
    ],
)
def test_what_is_no_record_is_named(given: Any, said: str):
    with pytest.raises(GivenError, match=said):
        TimeTravel(revenue(), given)


def test_files_that_cannot_be_read_are_named(tmp_path):
    broken = tmp_path / "orders.jsonl"
    broken.write_text(json.dumps({"key": "a", "value": {"amount": 1}, "timestamp": 1}) + "\n{")
    with pytest.raises(GivenError, match=r"line 2 of .*orders\.jsonl is no JSON"):
        TimeTravel(revenue(), {"orders": broken})
    with pytest.raises(GivenError, match=r"orders\.xls, with records of orders, is none of"):
        TimeTravel(revenue(), {"orders": tmp_path / "orders.xls"})
