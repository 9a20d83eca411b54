"""Snapshots that signals ask for, and what notifications tell of them: recorded from Debezium and compared with ours.

Each step waits for what ends it, since the snapshot is another thread's in Debezium.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.golden.debezium.scenarios import MARKER, Scenario

TOPIC = "told"
SIGNALS = "public.signals"
INITIAL, INCREMENTAL = "Initial Snapshot", "Incremental Snapshot"


@dataclass(frozen=True)
class Step:
    """A statement, and the notification that ends what it begins; without one the marker does."""

    statement: str
    told: tuple[str, str] | None = None


def execute(id_: str, kind: str, tables: list[str], conditions: dict[str, str] | None = None) -> str:
    """The signal that asks for a snapshot."""
    told = [{"data-collection": table, "filter": text} for table, text in (conditions or {}).items()]
    data = {"data-collections": tables, "type": kind, "additional-conditions": told}
    literal = json.dumps(data).replace("'", "''")
    return f"INSERT INTO signals VALUES ('{id_}', 'execute-snapshot', '{literal}')"


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


def statement_of(step: Step, number: int) -> str:
    return step.statement.replace("{number}", str(number))


def is_told(payload: dict[str, Any], told: tuple[str, str]) -> bool:
    """Whether the value of a record is this notification."""
    return (payload.get("aggregate_type"), payload.get("type")) == told
