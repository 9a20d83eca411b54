"""The records: encoded to whole batches before any clock starts, so that writing them costs next to nothing.

A lot is a number of orders of `HOURS` hours and their payments, each a millisecond after its order. A later lot is of
the next day. Amounts are whole numbers: sums are exact.
"""

from __future__ import annotations

import io
import json
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import fastavro

from bench.versus.load.batches import batch_of, varint
from bench.versus.load.frames import connect
from bench.versus.load.wire import REQUESTS_IN_FLIGHT, Reader, check_produced, produce_frame, wait_for_leaders

HOUR_MS = 3_600_000
HOURS = 6
DAY_MS = 24 * HOUR_MS
BEGIN_MS = int(time.time() * 1000) // DAY_MS * DAY_MS - 3 * DAY_MS
"""Not long ago: brokers delete what is older than a week, by its own time."""
SESSION_GAP_MS = HOUR_MS
STATUSES = ("COMPLETED", "COMPLETED", "COMPLETED", "CANCELLED")
BATCH_RECORDS = 400

Record = tuple[bytes, bytes, int]
"""Key, value, timestamp."""

ORDER_SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "moldau.bench",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "customer_id", "type": "string"},
        {"name": "amount", "type": "double"},
        {"name": "status", "type": "string"},
        {
            "name": "items",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Item",
                    "fields": [{"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"}],
                },
            },
        },
    ],
}
_PARSED = fastavro.parse_schema(ORDER_SCHEMA)


@dataclass(slots=True)
class Lot:
    """Batches by topic, and how many orders they have."""

    number: int
    records: int
    keys: int
    schema_id: int | None = None
    """With it, orders are Avro behind a registry's frame; without, JSON."""
    batches: dict[str, list[bytes]] = field(default_factory=dict)

    @property
    def begin_ms(self) -> int:
        return BEGIN_MS + self.number * DAY_MS

    def orders(self) -> Iterator[tuple[str, float, str, int]]:
        """Customer, amount, status and time of each order, in the order of their times."""
        for number in range(self.records):
            moment = self.begin_ms + number * HOURS * HOUR_MS // self.records
            yield f"c{number * 7919 % self.keys}", float(number % 100), STATUSES[number % 4], moment

    def encode(self, topic: str) -> list[bytes]:
        """The batches of one topic: orders, customers or payments."""
        if topic not in self.batches:
            self.batches[topic] = list(_batches({"orders": self._orders, "payments": self._payments}[topic]()))
        return self.batches[topic]

    def _orders(self) -> Iterator[Record]:
        for number, (customer, amount, status, moment) in enumerate(self.orders()):
            order = {
                "order_id": f"order-{self.number}-{number:09}",
                "customer_id": customer,
                "amount": amount,
                "status": status,
                "items": [{"sku": f"sku-{number % 500}", "quantity": 1}],
            }
            yield customer.encode(), self._encode(order), moment

    def _encode(self, order: dict[str, Any]) -> bytes:
        if self.schema_id is None:
            return json.dumps(order).encode()
        out = io.BytesIO(struct.pack(">bi", 0, self.schema_id))
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, _PARSED, order)
        return out.getvalue()

    def _payments(self) -> Iterator[Record]:
        for number, (customer, amount, _, moment) in enumerate(self.orders()):
            payment = {"order_id": f"order-{self.number}-{number:09}", "paid": amount, "method": "card"}
            yield customer.encode(), json.dumps(payment).encode(), moment + 1


def customers(keys: int) -> list[bytes]:
    """The batches of the table of customers, older than every order."""
    return list(
        _batches(
            (f"c{number}".encode(), json.dumps({"name": f"customer {number}"}).encode(), BEGIN_MS - 1)
            for number in range(keys)
        )
    )


def _batches(records: Iterator[Record]) -> Iterator[bytes]:
    lot: list[Record] = []
    for record in records:
        lot.append(record)
        if len(lot) == BATCH_RECORDS:
            yield encode_batch(lot)
            lot = []
    if lot:
        yield encode_batch(lot)


def encode_batch(records: Sequence[Record]) -> bytes:
    """One batch."""
    first = records[0][2]
    body = bytearray()
    for number, (key, value, moment) in enumerate(records):
        times = varint(moment - first) + varint(number)
        record = b"\x00" + times + varint(len(key)) + key + varint(len(value)) + value + b"\x00"
        body += varint(len(record)) + record
    return batch_of(body, len(records), first, max(moment for _, _, moment in records))


def send(bootstrap_servers: str, batches: dict[str, list[bytes]]) -> None:
    """Write batches to partition 0 of their topics, some of each topic in turn."""
    with connect(bootstrap_servers) as connection:
        reader = Reader(connection)
        waiting: deque[None] = deque()
        left = {}
        for topic, first in ((topic, lot[0]) for topic, lot in batches.items() if lot):
            wait_for_leaders(reader, topic, 1, first)
            left[topic] = deque(batches[topic][1:])
        while any(left.values()) or waiting:
            for topic, lot in left.items():
                if lot:
                    connection.sendall(produce_frame(topic, range(1), lot.popleft()))
                    waiting.append(None)
            while len(waiting) >= REQUESTS_IN_FLIGHT or (waiting and not any(left.values())):
                check_produced(reader.answer())
                waiting.popleft()
