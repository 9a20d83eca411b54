"""The client of Pathway: tables that change, in expressions; what it has read is persisted to a folder every second.

A result that changes is written twice, the old one with `diff` -1 and the new one with 1, and only as it is at the end
of each of its transactions: every second too.
"""

# ruff: noqa: SLF001 (names that its API gives)

import json
import sys
from collections.abc import Callable
from typing import Any

import pathway as pw

HOUR_MS = 3_600_000
COMMIT_MS = 1000


class Order(pw.Schema):
    order_id: str
    customer_id: str
    amount: float
    status: str


class Payment(pw.Schema):
    order_id: str
    paid: float
    method: str


class Client:
    """The tables that are read and the one that is written."""

    def __init__(self, bootstrap: str, suffix: str) -> None:
        self.suffix = suffix
        self.settings = {
            "bootstrap.servers": bootstrap,
            "group.id": f"pathway-{suffix}",
            "auto.offset.reset": "earliest",
        }

    def read(self, topic: str, schema: type[pw.Schema], *, timed: bool = False) -> pw.Table:
        table = pw.io.kafka.read(
            self.settings,
            topic=f"{topic}-{self.suffix}",
            format="json",
            schema=schema,
            autocommit_duration_ms=COMMIT_MS,
            with_metadata=timed,
            name=topic,
        )
        return table.with_columns(moment=pw.unwrap(pw.this._metadata["timestamp_millis"].as_int())) if timed else table

    def read_text(self, topic: str) -> pw.Table:
        """Keys and values as they are; a later record of a key takes the place of an earlier one."""
        return pw.io.kafka.read(
            self.settings,
            topic=f"{topic}-{self.suffix}",
            format="plaintext",
            autocommit_duration_ms=COMMIT_MS,
            name=topic,
        )

    def write(self, table: pw.Table, **options: Any) -> None:
        pw.io.kafka.write(table, self.settings, topic_name=f"out-{self.suffix}", format="json", **options)


def stateless(client: Client) -> None:
    orders = client.read("orders", Order)
    kept = orders.filter(pw.this.status == "COMPLETED")
    client.write(kept.select(amount=pw.this.amount * 1.2, text=pw.this.order_id))


def hourly_revenue(client: Client) -> None:
    orders = client.read("orders", Order, timed=True)
    revenue = (
        orders.filter(pw.this.status == "COMPLETED")
        .windowby(pw.this.moment, window=pw.temporal.tumbling(duration=HOUR_MS), instance=pw.this.customer_id)
        .reduce(customer=pw.this._pw_instance, start=pw.this._pw_window_start, value=pw.reducers.sum(pw.this.amount))
    )
    client.write(revenue)


def enriched(client: Client) -> None:
    """Each order with the row of its customer as it is then; the key of a row is the key of its record."""
    orders = client.read("orders", Order)
    rows = client.read_text("customers")
    customers = rows.select(
        key=pw.this.key, name=pw.apply_with_type(lambda text: json.loads(text)["name"], str, pw.this.data)
    )
    joined = orders.asof_now_join(customers, orders.customer_id == customers.key)
    client.write(joined.select(amount=orders.amount, text=customers.name))


def paid(client: Client) -> None:
    """By the order's number: its reader of JSON does not give the key of a record, which is the customer's."""
    orders = client.read("orders", Order, timed=True)
    payments = client.read("payments", Payment, timed=True)
    joined = orders.interval_join(
        payments,
        orders.moment,
        payments.moment,
        pw.temporal.interval(-1000, 1000),
        orders.order_id == payments.order_id,
    ).select(amount=payments.paid, text=orders.order_id)
    client.write(joined)


def sessions(client: Client) -> None:
    orders = client.read("orders", Order, timed=True)
    counted = orders.windowby(
        pw.this.moment, window=pw.temporal.session(max_gap=HOUR_MS + 1), instance=pw.this.customer_id
    ).reduce(customer=pw.this._pw_instance, start=pw.this._pw_window_start, value=pw.reducers.count())
    client.write(counted)


ROWS: dict[str, Callable[[Client], None]] = {
    "stateless": stateless,
    "expressions": stateless,
    "hourly-revenue": hourly_revenue,
    "hourly-expressions": hourly_revenue,
    "many-keys": hourly_revenue,
    "enriched": enriched,
    "paid": paid,
    "sessions": sessions,
}


def main() -> None:
    bootstrap, row, _, suffix, folder = sys.argv[1:6]
    client = Client(bootstrap, suffix)
    ROWS[row](client)
    # What it has read is persisted: to persist the state of its operators wants a licence key.
    persistence = pw.persistence.Config(pw.persistence.Backend.filesystem(folder), snapshot_interval_ms=COMMIT_MS)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persistence)


if __name__ == "__main__":
    main()
