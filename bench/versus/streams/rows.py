"""The rows: what each topology reads, and how its output is held against what must come of a lot.

Peers write their results in forms of their own (Kafka Streams' window keys, Quix's objects), so an output record is
first told as `(what it is about, a number)`; a later record about the same thing takes the place of an earlier one.
Rows that are not about anything (each record is one result) count every record. Pathway says of each result when it
comes and when it goes (`diff` of 1 and of -1): these are counted too, the latter down.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.versus.streams.load import HOUR_MS, SESSION_GAP_MS, Lot


class Told(NamedTuple):
    """What a record is about (None: only about itself) and its number; no number is a tombstone."""

    about: Any
    number: float | None
    times: int = 1
    """-1 takes back what an earlier record said; only of what is about itself."""


Tell = Callable[[bytes | None, bytes | None], Told]
Outcome = tuple[int, float]
"""How many results there are, and the sum of their numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One topology."""

    name: str
    about: str
    inputs: tuple[str, ...]
    expect: Callable[[Lot], Outcome]
    tell: Tell
    keys: int = 10_000
    avro: bool = False
    """Orders are Avro, framed by a registry, instead of JSON."""


def _number(value: bytes) -> float:
    """Eight bytes are a double or, from a count, a long; anything else is JSON."""
    if len(value) == 8 and value[:1] != b"{":
        (whole,) = struct.unpack(">q", value)
        return float(whole) if 0 <= whole < 1 << 40 else float(struct.unpack(">d", value)[0])
    read = json.loads(value)
    return _field(read) if isinstance(read, dict) else float(read)


def _field(read: dict[str, Any]) -> float:
    return float(next(read[name] for name in ("amount", "revenue", "value", "orders") if name in read))


def _changed(value: bytes | None) -> Told | None:
    """A result that comes or goes, of a client that says so."""
    if value is None or value[:1] != b"{" or b'"diff"' not in value:
        return None
    read = json.loads(value)
    return Told(None, _field(read), read["diff"])


def _each(key: bytes | None, value: bytes | None) -> Told:
    return _changed(value) or Told(None, None if value is None else _number(value))


def _windowed(key: bytes | None, value: bytes | None) -> Told:
    """Kafka's key with the start of the window behind it, or a plain key and an object with `start`."""
    if (changed := _changed(value)) is not None:
        return changed
    assert key is not None
    if value is not None and value[:1] == b"{" and b'"start"' in value:
        return Told((key, json.loads(value)["start"]), _number(value))
    return Told((key[:-8], struct.unpack(">q", key[-8:])[0]), None if value is None else _number(value))


def _session(key: bytes | None, value: bytes | None) -> Told:
    """The same with an end and a start. A session that grew is another one; Kafka's are told when they are gone."""
    if (changed := _changed(value)) is not None:
        return changed
    assert key is not None
    if value is not None and value[:1] == b"{" and b'"start"' in value:
        return Told((key, json.loads(value)["start"]), _number(value))
    return Told((key[:-16], key[-16:]), None if value is None else _number(value))


def _all_completed(lot: Lot) -> Outcome:
    amounts = [amount * 1.2 for _, amount, status, _ in lot.orders() if status == "COMPLETED"]
    return len(amounts), sum(amounts)


def _hourly(lot: Lot) -> Outcome:
    revenue: dict[tuple[str, int], float] = {}
    for customer, amount, status, moment in lot.orders():
        if status == "COMPLETED":
            window = customer, moment // HOUR_MS
            revenue[window] = revenue.get(window, 0.0) + amount
    return len(revenue), sum(revenue.values())


def _every_order(lot: Lot) -> Outcome:
    return lot.records, sum(amount for _, amount, _, _ in lot.orders())


def _pairs(lot: Lot) -> Outcome:
    """Each order meets its own payment, and those of its customer within five minutes: here only its own."""
    return _every_order(lot)


def _sessions(lot: Lot) -> Outcome:
    latest: dict[str, int] = {}
    sessions = 0
    for customer, _, _, moment in lot.orders():
        before = latest.get(customer)
        if before is None or moment - before > SESSION_GAP_MS:
            sessions += 1
        latest[customer] = moment
    return sessions, float(lot.records)


ROWS = {
    row.name: row
    for row in (
        Row(
            "stateless",
            "JSON orders, three in four kept by a filter, each made into a smaller object, written as JSON",
            ("orders",),
            _all_completed,
            _each,
        ),
        Row(
            "expressions",
            "the same, said in expressions over fields where the client has such; Kafka Streams has none",
            ("orders",),
            _all_completed,
            _each,
        ),
        Row(
            "hourly-revenue",
            "the guide's: a filter, then revenue per customer and hour, state on disk and on a changelog",
            ("orders",),
            _hourly,
            _windowed,
        ),
        Row(
            "hourly-expressions",
            "the same, its filter and sum said in expressions where the client has such; peers do as before",
            ("orders",),
            _hourly,
            _windowed,
        ),
        Row(
            "hourly-avro",
            "hourly revenue from orders in Avro, their schema in a registry",
            ("orders",),
            _hourly,
            _windowed,
            avro=True,
        ),
        Row(
            "many-keys",
            "hourly revenue with a million customers",
            ("orders",),
            _hourly,
            _windowed,
            1_000_000,
        ),
        Row(
            "enriched",
            "each order with the row of its customer in a table of 10,000",
            ("orders",),
            _every_order,
            _each,
        ),
        Row(
            "paid",
            "orders and payments of one customer within a second of each other, joined; a record counts on both sides, "
            "an input waits up to half a second for the other (`max.task.idle.ms`), and there are ten minutes of grace",
            ("orders", "payments"),
            _pairs,
            _each,
        ),
        Row(
            "sessions",
            "orders per customer and session, which ends after an hour without: each order makes one longer",
            ("orders",),
            _sessions,
            _session,
        ),
    )
}


class Check:
    """Output records, told one after the other."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._held: dict[Any, float] = {}
        self._count = 0
        self._sum = 0.0

    def take(self, key: bytes | None, value: bytes | None) -> None:
        about, number, times = self._tell(key, value)
        if about is None:
            self._count += times if number is not None else 0
            self._sum += times * (number or 0.0)
        elif number is None:
            self._held.pop(about, None)
        else:
            self._held[about] = number

    def outcome(self) -> Outcome:
        return self._count + len(self._held), self._sum + sum(self._held.values())


def is_the_same(one: Outcome, other: Outcome) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) <= 1e-6 * max(1.0, abs(one[1]))
