"""The shop's side: customers, goods, and a thread that writes orders to PostgreSQL as they are placed.

An order is one transaction, as in any shop: its row, one thing less in stock, and an event in the outbox. When things
were ordered is the shop's time, which runs faster than ours: a day of some hours passes while the demo runs.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

SEED: Final = 20260131
CUSTOMERS: Final = 300
PRODUCTS: Final = 40
STOCK: Final = 1_000_000
HOURS: Final = 6
"""How long the shop is open, in its own time."""
CITIES: Final = ("Praha", "Písek", "Mělník", "Krumlov", "Lipno", "Týn")
CITY_WEIGHTS: Final = (40, 15, 15, 12, 10, 8)
STATUSES: Final = ("COMPLETED", "PROCESSING", "REFUNDED", "CANCELLED")
STATUS_WEIGHTS: Final = (80, 10, 6, 4)
FIRST_NAMES: Final = ("Ada", "Emil", "Hana", "Ivo", "Jana", "Karel", "Lea", "Otto", "Rosa", "Vít")
LAST_NAMES: Final = ("Beneš", "Dvořák", "Horák", "Král", "Lukeš", "Marek", "Novák", "Pokorný", "Veselý", "Zeman")

LOOK_S: Final = 0.02
BATCH: Final = 50
"""Orders that wait for one round trip together at most; each is a transaction of its own."""

INSERT_ORDER: Final = "INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s)"
TAKE_FROM_STOCK: Final = "UPDATE inventory SET stock = stock - 1, event_ts = %s WHERE sku = %s"
TELL_OTHERS: Final = (
    "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) "
    "VALUES ('order', %s, 'OrderPlaced', jsonb_build_object('order', %s::bigint, 'customer', %s::text))"
)

Order = tuple[int, str, str, Decimal, str, datetime]
"""A row of the table orders."""


@dataclass(frozen=True, slots=True)
class Day:
    """The shop's day: it ends with the hour that is over, so no broker takes its orders for those of tomorrow."""

    opens: datetime
    hours: int = HOURS

    @staticmethod
    def before(now: datetime) -> Day:
        """The last whole hours before a moment."""
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)
        return Day(hour - timedelta(hours=HOURS))

    def at(self, part: float) -> datetime:
        """The moment when a part of the day is over, in whole milliseconds."""
        return self.opens + timedelta(milliseconds=int(part * self.hours * 3_600_000))


def customers(day: Day, seed: int = SEED) -> list[tuple[str, str, str, str, str, datetime]]:
    """Rows of the table customers, with two columns that are nobody's business."""
    chance = random.Random(seed)
    names = itertools.cycle(itertools.product(FIRST_NAMES, LAST_NAMES))
    return [
        (
            f"customer-{number}",
            " ".join(next(names)),
            chance.choices(CITIES, CITY_WEIGHTS)[0],
            f"{chance.randrange(10**9):09}",
            f"{chance.randrange(10**16):016}",
            day.opens - timedelta(days=1),
        )
        for number in range(1, CUSTOMERS + 1)
    ]


def goods(day: Day) -> list[tuple[str, int, datetime]]:
    """Rows of the table inventory."""
    return [(f"sku-{number}", STOCK, day.opens) for number in range(1, PRODUCTS + 1)]


def orders(count: int, day: Day, seed: int = SEED) -> list[Order]:
    """Rows of the table orders, in the order of their time: the same for the same seed and day."""
    chance = random.Random(seed)
    return [
        (
            number,
            # One in five comes from the ten best customers.
            f"customer-{chance.randrange(10 if chance.random() < 0.2 else CUSTOMERS) + 1}",
            f"sku-{chance.randrange(PRODUCTS) + 1}",
            Decimal(int(chance.lognormvariate(7.5, 0.8)) + 1).scaleb(-2),
            chance.choices(STATUSES, STATUS_WEIGHTS)[0],
            day.at(number / count),
        )
        for number in range(count)
    ]


class Till(threading.Thread):
    """Writes orders, spread evenly over some seconds."""

    def __init__(self, connect: Callable[[], Any], rows: Sequence[Order], seconds: float) -> None:
        super().__init__(name="till", daemon=True)
        self._connect = connect
        self._rows = rows
        self._seconds = seconds
        self._closing = threading.Event()
        self.placed = 0
        self.written_at = array("d", bytes(8 * len(rows)))
        """When each order was about to be written, by its number: what comes out later is late since then."""
        self.failure: BaseException | None = None

    def run(self) -> None:
        """The thread."""
        try:
            with self._connect() as connection:
                self._write(connection)
        except BaseException as error:  # noqa: BLE001 (it is raised in the thread that watches)
            self.failure = error

    def _write(self, connection: Any) -> None:
        started, total = time.monotonic(), len(self._rows)
        while self.placed < total and not self._closing.is_set():
            passed = (time.monotonic() - started) / self._seconds if self._seconds > 0 else 1.0
            due = min(int(passed * total), total, self.placed + BATCH)
            if due == self.placed:
                self._closing.wait(LOOK_S)
                continue
            now = time.time()
            with connection.pipeline():
                for row in self._rows[self.placed : due]:
                    self.written_at[row[0]] = now
                    self._place(connection, row)
            self.placed = due

    @staticmethod
    def _place(connection: Any, row: Order) -> None:
        number, customer, sku, _, _, moment = row
        with connection.transaction():
            connection.execute(INSERT_ORDER, row)
            connection.execute(TAKE_FROM_STOCK, (moment, sku))
            connection.execute(TELL_OTHERS, (str(number), number, customer))

    def close(self) -> None:
        """Stop between two orders, and wait for it."""
        self._closing.set()
        if self.is_alive():
            self.join()
