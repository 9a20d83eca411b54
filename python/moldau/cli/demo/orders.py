"""The stream of orders: read from a file that somebody gives, or generated from a seed.

A file is JSON lines or CSV. What the pipeline needs of an order is its key, the column by which orders of one customer
stay in sequence; everything else is passed on as it stands. An order's place in the stream, counted from 0, is its
sequence number: the checks at the end are about those.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from moldau.cli.outcome import UsageError

SAMPLE_SIZE: Final = 200_000
SEED: Final = 20260131
CUSTOMERS: Final = 20_000
STATUSES: Final = ("PENDING", "PROCESSING", "COMPLETED", "CANCELLED")
STATUS_WEIGHTS: Final = (15, 20, 60, 5)
COUNTRIES: Final = ("de", "fr", "us", "br", "jp", "in", "cz", "pl")
KEY_COLUMNS: Final = ("customer_id", "customer", "customer_uuid", "user_id", "key", "id", "order_id")
"""Where the key is looked for when nobody names its column."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it is sent."""

    key: bytes
    value: bytes


def generate(count: int = SAMPLE_SIZE, seed: int = SEED) -> list[Order]:
    """The same `count` orders for the same seed, from customers of whom some buy much more than others."""
    chance = random.Random(seed)
    customers = [f"customer-{chance.getrandbits(32):08x}" for _ in range(CUSTOMERS)]
    # One in five orders comes from the hundred best customers: real keys are not spread evenly.
    buyers = [
        customers[chance.randrange(100 if chance.random() < 0.2 else CUSTOMERS)]  # the index alone is random
        for _ in range(count)
    ]
    amounts = [int(chance.lognormvariate(8.3, 0.8)) for _ in range(count)]
    statuses = chance.choices(STATUSES, STATUS_WEIGHTS, k=count)
    countries = chance.choices(COUNTRIES, k=count)
    return [
        Order(
            buyer.encode(),
            f'{{"order_id":"order-{number:08}","customer_id":"{buyer}","amount_cents":{amount},'
            f'"status":"{status}","country":"{country}"}}'.encode(),
        )
        for number, (buyer, amount, status, country) in enumerate(
            zip(buyers, amounts, statuses, countries, strict=True)
        )
    ]


def read(file: Path, key_column: str | None) -> tuple[list[Order], str]:
    """Every order of a file, and the column that was taken for the key.

    Raises:
        UsageError: the file cannot be read, is neither JSON lines nor CSV, or has no such column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = _json_rows(lines, file) if _is_json(file) else _csv_rows(lines, file)
            first = next(rows, None)
            if first is None:
                raise UsageError(f"{file} has no orders")
            column = _key_column(list(first[0]), key_column, file)
            orders = [_order(first, column, file, 1)]
            orders += [_order(row, column, file, number) for number, row in enumerate(rows, start=2)]
            return orders, column
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {file}: {error}") from error


Row = tuple[dict[str, object], bytes]
"""The columns, and the order as it is sent."""


def _is_json(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def _json_rows(lines: Iterator[str], file: Path) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        try:
            columns = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{file}:{number}: no JSON: {error}") from error
        if not isinstance(columns, dict):
            raise UsageError(f"{file}:{number}: an order is a JSON object")
        # The text goes out as it came in: numbers keep all of their digits.
        yield columns, text.encode()


def _csv_rows(lines: Iterator[str], file: Path) -> Iterator[Row]:
    for columns in csv.DictReader(lines):
        if None in columns or None in columns.values():
            raise UsageError(f"{file}: a line has more or fewer columns than the first one: {columns}")
        yield dict(columns), json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()


def _key_column(columns: Sequence[str], wanted: str | None, file: Path) -> str:
    if wanted is not None:
        if wanted not in columns:
            raise UsageError(f"{file} has no column {wanted}", f"its columns are {', '.join(columns)}")
        return wanted
    return next((name for name in KEY_COLUMNS if name in columns), columns[0])


def _order(row: Row, column: str, file: Path, number: int) -> Order:
    columns, value = row
    if column not in columns:
        raise UsageError(f"{file}: order {number} has no {column}")
    return Order(str(columns[column]).encode(), value)
