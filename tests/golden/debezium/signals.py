"""Snapshots that signals ask for, and what notifications tell of them: recorded from Debezium and compared with ours.

Each step waits for what ends it, since the snapshot is another thread's in Debezium.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from tests.golden.debezium.scenarios import MARKER, Scenario

TOPIC = "told"
SIGNALS = "public.signals"
INITIAL, INCREMENTAL = "Initial Snapshot", "Incremental Snapshot"


@dataclass(frozen=True)
class Step:
    """A statement, and the notification that ends what it begins; without one, and for `MARK`, a marker does."""

    statement: str
    told: tuple[str, str] | None = None


def send(*signals: tuple[str, str, dict[str, Any]]) -> str:
    """The statement that sends signals, one right behind the other."""
    rows = ["('{}', '{}', '{}')".format(id_, kind, json.dumps(data).replace("'", "''")) for id_, kind, data in signals]
    return f"INSERT INTO signals VALUES {', '.join(rows)}"


def snapshot(
    id_: str, kind: str, tables: list[str], conditions: dict[str, str] | None = None
) -> tuple[str, str, dict[str, Any]]:
    """The signal that asks for a snapshot."""
    told = [{"data-collection": table, "filter": text} for table, text in (conditions or {}).items()]
    return id_, "execute-snapshot", {"data-collections": tables, "type": kind, "additional-conditions": told}


def execute(id_: str, kind: str, tables: list[str], conditions: dict[str, str] | None = None) -> str:
    """The statement that asks for one."""
    return send(snapshot(id_, kind, tables, conditions))


CUSTOMERS, ORDERS, NOTHING, KEYLESS = "public.customers", "public.orders", "public.nothing", "public.keyless"
SCENARIO = Scenario(
    "signals",
    before=(
        "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 7) i",
        "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL)",
        "INSERT INTO orders SELECT i, i % 7 + 1 FROM generate_series(1, 4) i",
        "CREATE TABLE nothing (id int PRIMARY KEY)",
        "CREATE TABLE keyless (n int)",
        "INSERT INTO keyless VALUES (1)",
        "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
    ),
    during=(),
    settings={
        "table.include.list": f"{CUSTOMERS},{ORDERS},{NOTHING},{KEYLESS}",
        "signal.data.collection": SIGNALS,
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": TOPIC,
        "incremental.snapshot.chunk.size": "3",
        "signal.poll.interval.ms": "100",
    },
)
MARK = Step(f"INSERT INTO {MARKER} VALUES ({{number}})")
STEPS = (
    Step(execute("b1", "BLOCKING", [CUSTOMERS]), (INITIAL, "COMPLETED")),
    MARK,
    Step(
        execute(
            "b2",
            "blocking",
            [ORDERS, CUSTOMERS, NOTHING],
            {CUSTOMERS: "SELECT * FROM public.customers WHERE id IN (2, 3)"},
        ),
        (INITIAL, "COMPLETED"),
    ),
    MARK,
    Step(execute("i1", "INCREMENTAL", [CUSTOMERS, ORDERS]), (INCREMENTAL, "COMPLETED")),
    MARK,
    Step(execute("i2", "incremental", [NOTHING]), (INCREMENTAL, "COMPLETED")),
    MARK,
    Step(execute("i3", "incremental", [KEYLESS]), (INCREMENTAL, "COMPLETED")),
    MARK,
    Step(execute("i4", "incremental", [CUSTOMERS], {CUSTOMERS: "id > 5"}), (INCREMENTAL, "COMPLETED")),
    MARK,
)

# Signals of one statement come one right behind the other: what is asked first has begun, and has not got far.
PAUSES = replace(SCENARIO, name="pauses")
PAUSE, RESUME, STOP = "pause-snapshot", "resume-snapshot", "stop-snapshot"
KIND = {"type": "INCREMENTAL"}
PAUSE_STEPS = (
    Step(send(("p0", PAUSE, KIND), ("r0", RESUME, KIND), ("s0", STOP, KIND))),
    MARK,
    Step(send(snapshot("i1", "INCREMENTAL", [CUSTOMERS]), ("p1", PAUSE, KIND)), (INCREMENTAL, "PAUSED")),
    MARK,
    Step(send(("r1", RESUME, KIND)), (INCREMENTAL, "COMPLETED")),
    MARK,
    Step(
        send(
            snapshot("i2", "INCREMENTAL", [CUSTOMERS, ORDERS]),
            ("s2", STOP, {**KIND, "data-collections": [CUSTOMERS]}),
        ),
        (INCREMENTAL, "COMPLETED"),
    ),
    MARK,
    Step(
        send(
            snapshot("i3", "INCREMENTAL", [CUSTOMERS, ORDERS]),
            ("s3", STOP, {**KIND, "data-collections": [ORDERS]}),
        ),
        (INCREMENTAL, "COMPLETED"),
    ),
    MARK,
    Step(send(snapshot("i4", "INCREMENTAL", [CUSTOMERS, ORDERS]), ("s4", STOP, KIND)), (INCREMENTAL, "ABORTED")),
    MARK,
    Step(
        send(snapshot("i5", "INCREMENTAL", [CUSTOMERS]), ("p5", PAUSE, KIND), ("s5", STOP, KIND)),
        (INCREMENTAL, "ABORTED"),
    ),
    MARK,
    # Debezium would stay paused, and read nothing of what is asked next.
)
RECORDED = ((SCENARIO, STEPS), (PAUSES, PAUSE_STEPS))


def statement_of(step: Step, number: int) -> str:
    return step.statement.replace("{number}", str(number))


def is_told(payload: dict[str, Any], told: tuple[str, str]) -> bool:
    """Whether the value of a record is this notification."""
    return (payload.get("aggregate_type"), payload.get("type")) == told
