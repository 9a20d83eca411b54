"""The client of Bytewax: one worker, its state snapshotted to SQLite every second.

Its sums over windows come when a window closes. The logic of a window is the program's own (`window`), though, and may
say what it has after each value, as the other clients do.
"""

import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import windowing as win
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SNAPSHOT_INTERVAL = timedelta(seconds=1)
Timed = tuple[datetime, Any]
Message = KafkaSourceMessage[bytes, bytes]


class Total(win.WindowLogic[Timed, tuple[int, float], tuple[int, float]]):
    """A sum with the time at which its window began, said after each value."""

    def __init__(self, state: tuple[int, float] | None, begins: Callable[[datetime], datetime]) -> None:
        self.start, self.total = state or (0, 0.0)
        self.begins = begins

    def on_value(self, value: Timed) -> Iterable[tuple[int, float]]:
        moment, amount = value
        if not self.start:
            self.start = int(self.begins(moment).timestamp() * 1000)
        self.total += amount
        yield self.start, self.total

    def on_merge(self, original: "Total") -> Iterable[tuple[int, float]]:
        self.total += original.total
        yield self.start, self.total

    def on_close(self) -> Iterable[tuple[int, float]]:
        return ()

    def snapshot(self) -> tuple[int, float]:
        return self.start, self.total


class Client:
    """One flow and its topics."""

    def __init__(self, bootstrap: str, suffix: str) -> None:
        self.brokers = [bootstrap]
        self.suffix = suffix
        self.flow = Dataflow("bench")

    def read(self, topic: str) -> Stream[Message]:
        return kop.input(topic, self.flow, brokers=self.brokers, topics=[f"{topic}-{self.suffix}"]).oks

    def write(self, up: Stream[KafkaSinkMessage[bytes, bytes]]) -> None:
        kop.output("out", up, brokers=self.brokers, topic=f"out-{self.suffix}")

    def write_windows(self, totals: win.WindowOut[Timed, tuple[int, float]]) -> None:
        def message(item: tuple[str, tuple[int, tuple[int, float]]]) -> KafkaSinkMessage[bytes, bytes]:
            key, (_, (start, total)) = item
            return KafkaSinkMessage(key.encode(), orjson.dumps({"start": start, "value": total}))

        self.write(op.map("encode", totals.down, message))


def moment_of(message: Message) -> datetime:
    return datetime.fromtimestamp(message.timestamp[1] / 1000, UTC)


# These hours are past: windows close by the records that come, not by the time of day.
CLOCK = win.EventClock(
    ts_getter=lambda timed: timed[0],
    wait_for_system_duration=timedelta(seconds=10),
    to_system_utc=lambda _: None,
)


def stateless(client: Client) -> None:
    def made(message: Message) -> KafkaSinkMessage[bytes, bytes] | None:
        order = orjson.loads(message.value)
        if order["status"] != "COMPLETED":
            return None
        total = {"amount": order["amount"] * 1.2, "text": order["order_id"]}
        return KafkaSinkMessage(message.key, orjson.dumps(total))

    client.write(op.filter_map("made", client.read("orders"), made))


def completed(message: Message) -> tuple[str, Timed] | None:
    order = orjson.loads(message.value)
    if order["status"] != "COMPLETED":
        return None
    return order["customer_id"], (moment_of(message), order["amount"])


def hourly(client: Client, amounts: Stream[tuple[str, Timed]]) -> None:
    begins = lambda moment: EPOCH + (moment - EPOCH) // HOUR * HOUR  # noqa: E731
    windower = win.TumblingWindower(length=HOUR, align_to=EPOCH)
    client.write_windows(
        win.window("revenue", amounts, CLOCK, windower, lambda state: Total(state, begins), ordered=False)
    )


def hourly_revenue(client: Client) -> None:
    hourly(client, op.filter_map("completed", client.read("orders"), completed))


def hourly_avro(client: Client) -> None:
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer

    def completed_order(message: KafkaSourceMessage[bytes, dict[str, Any]]) -> tuple[str, Timed] | None:
        order = message.value
        if order["status"] != "COMPLETED":
            return None
        return order["customer_id"], (moment_of(message), order["amount"])

    registry = SchemaRegistryClient({"url": os.environ["BENCH_REGISTRY_URL"]})
    orders = kop.deserialize_value("decode", client.read("orders"), AvroDeserializer(registry)).oks
    hourly(client, op.filter_map("completed", orders, completed_order))


def enriched(client: Client) -> None:
    """A running join: each side's last row, said again whenever either changes."""
    orders = op.map("orders_by_key", client.read("orders"), lambda one: (one.key.decode(), orjson.loads(one.value)))
    customers = op.map("rows_by_key", client.read("customers"), lambda one: (one.key.decode(), orjson.loads(one.value)))
    joined = op.join("enriched", orders, customers, insert_mode="last", emit_mode="running")

    def made(item: tuple[str, tuple[dict[str, Any] | None, dict[str, Any] | None]]) -> Any:
        key, (order, customer) = item
        if order is None or customer is None:
            return None
        total = {"amount": order["amount"], "text": customer["name"]}
        return KafkaSinkMessage(key.encode(), orjson.dumps(total))

    client.write(op.filter_map("made", joined, made))


def sessions(client: Client) -> None:
    def one(message: Message) -> tuple[str, Timed]:
        order = orjson.loads(message.value)
        return order["customer_id"], (moment_of(message), 1.0)

    orders = op.map("orders_by_key", client.read("orders"), one)
    windower = win.SessionWindower(gap=HOUR)
    client.write_windows(
        win.window(
            "sessions", orders, CLOCK, windower, lambda state: Total(state, lambda moment: moment), ordered=False
        )
    )


ROWS = {
    "stateless": stateless,
    "hourly-revenue": hourly_revenue,
    "hourly-avro": hourly_avro,
    "many-keys": hourly_revenue,
    "enriched": enriched,
    "sessions": sessions,
}


def main() -> None:
    bootstrap, row, _, suffix, folder = sys.argv[1:6]
    Path(folder).mkdir(parents=True)
    init_db_dir(folder, 1)
    client = Client(bootstrap, suffix)
    ROWS[row](client)
    recovery = RecoveryConfig(folder, timedelta(0))
    cli_main(client.flow, epoch_interval=SNAPSHOT_INTERVAL, recovery_config=recovery)


if __name__ == "__main__":
    main()
