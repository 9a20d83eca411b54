"""What is checked when the shop has closed: every order, once, at every place, and the same money everywhere.

SQL is what is right; topics, stores and files are held against it, order by order and hour by hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from moldau.cli.demo.processed import Finding

COMPLETED: Final = "COMPLETED"
COUNT_SQL: Final = "SELECT count(*) FROM orders"
NUMBERS_SQL: Final = "SELECT id FROM orders"
REVENUE_SQL: Final = (
    "SELECT (extract(epoch FROM date_trunc('hour', event_ts)) * 1000)::bigint, sum(amount) FROM orders "
    "WHERE status = 'COMPLETED' GROUP BY 1 ORDER BY 1"
)
OUTBOX_SQL: Final = "SELECT count(*) FROM outbox"
CUSTOMERS_SQL: Final = "SELECT ssn, ccnum FROM customers"


@dataclass(frozen=True)
class Facts:
    """What each place holds in the end."""

    written: Counter[int]
    """The numbers of the orders that PostgreSQL has."""
    places: Mapping[str, Iterable[int]]
    """Where the numbers of orders were read, and which."""
    told: tuple[int, int]
    """Rows of the outbox, and records of its topic."""
    counted: int
    """How many orders the store of the application counts."""
    stock: tuple[int, int]
    """Rows of the lake about stock, and how many there have to be."""
    revenue: Mapping[str, Mapping[int, Decimal]]
    """Of each hour, by the place that says so; that of SQL is right."""
    leaked: int
    """Records that hold what has to stay in the database."""


def check(facts: Facts) -> list[Finding]:
    """All findings."""
    total = sum(facts.written.values())
    findings = [check_numbers(where, facts.written, Counter(numbers)) for where, numbers in facts.places.items()]
    rows, records = facts.told
    findings += [
        Finding(facts.counted == total, f"counted: {facts.counted:,} of {total:,} orders in orders-per-customer"),
        Finding(rows == records == total, f"outbox: {records:,} events of {rows:,} rows"),
        Finding(
            facts.stock[0] == facts.stock[1], f"stock: {facts.stock[0]:,} of {facts.stock[1]:,} changes in the lake"
        ),
        *check_revenue(facts.revenue),
        Finding(facts.leaked == 0, f"secrets: {facts.leaked:,} records with a customer's ssn or ccnum"),
    ]
    return findings


def check_numbers(where: str, written: Counter[int], found: Counter[int]) -> Finding:
    """Whether a place has each order once; an order that is missing and one that came twice do not cancel out."""
    missing = sum((written - found).values())
    extra = sum((found - written).values())
    said = f"{where}: {sum(found.values()):,} orders, {missing:,} missing, {extra:,} too many"
    return Finding(missing == extra == 0, said)


def check_revenue(revenue: Mapping[str, Mapping[int, Decimal]]) -> list[Finding]:
    """Whether every place has what SQL has, hour by hour: sums that are equal may hide two mistakes."""
    right = revenue["SQL"]
    total = sum(right.values(), Decimal(0))
    findings = []
    for where, hours in revenue.items():
        if where == "SQL":
            continue
        wrong = sum(right.get(hour) != hours.get(hour) for hour in {*right, *hours})
        said = f"revenue: {total:,.2f} in SQL and in {where}, equal hour by hour"
        if wrong:
            said = (
                f"revenue: {sum(hours.values(), Decimal(0)):,.2f} in {where}, {total:,.2f} in SQL, {wrong} hours differ"
            )
        findings.append(Finding(not wrong, said))
    return findings


def revenue_of(table: Any) -> dict[int, Decimal]:
    """The revenue of each hour in an Arrow table of orders; hours are those of its folders."""
    import pyarrow.compute as pc

    completed = table.filter(pc.equal(table["status"], COMPLETED))
    sums = completed.group_by(["year", "month", "day", "hour"]).aggregate([("amount", "sum")]).to_pylist()
    found = {
        int(datetime(one["year"], one["month"], one["day"], one["hour"], tzinfo=UTC).timestamp() * 1000): one[
            "amount_sum"
        ]
        for one in sums
    }
    return dict(sorted(found.items()))
