"""What can be seen of the pipeline while it runs, each figure where it is true: a client, a query, the files."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from array import array
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from moldau.cli.connection import Connection
from moldau.cli.outcome import RefusedError

TIMEOUT_S: Final = 30.0
LATENCIES: Final = 2_000
"""Over how many of the last orders percentiles are taken."""
BATCH: Final = 2_000


class _Row(msgspec.Struct):
    id: int


class Change(msgspec.Struct):
    """A change of an order's row, as Debezium writes it."""

    after: _Row

    @property
    def order_id(self) -> int:
        """The number of the order."""
        return self.after.id


class Order(msgspec.Struct):
    """An order of the topic `orders`."""

    order_id: int


class EnrichedOrder(msgspec.Struct):
    """An order with its customer's city."""

    order_id: int
    city: str
    amount: Decimal
    status: str


class Reader(threading.Thread):
    """Reads topics from their start, only what is committed, and keeps which orders came by in each."""

    def __init__(
        self, connection: Connection, registry: str, topics: Mapping[str, type | None], written_at: Sequence[float]
    ) -> None:
        """`topics` says what the records of each are; None for those that are counted only."""
        super().__init__(name="reader", daemon=True)
        self._connection = connection
        self._registry = registry
        self._topics = topics
        self._written_at = written_at
        self._closing = threading.Event()
        self.counts: Counter[str] = Counter()
        self.numbers: dict[str, array[int]] = {topic: array("q") for topic in topics}
        self.latencies: deque[float] = deque(maxlen=LATENCIES)
        """Of the last enriched orders: seconds since they were about to be written to PostgreSQL."""
        self.by_city: dict[str, Decimal] = {}
        self.failure: BaseException | None = None

    def run(self) -> None:
        """The thread."""
        try:
            self._read()
        except BaseException as error:  # noqa: BLE001 (it is raised in the thread that watches)
            self.failure = error

    def _read(self) -> None:
        from confluent_kafka import TopicPartition

        from moldau.client.serdes import AvroDeserializer, SchemaRegistryClient

        registry = SchemaRegistryClient({"url": self._registry, "timeout": TIMEOUT_S})
        decoders = {
            topic: None if kind is None else AvroDeserializer(registry, into=kind)
            for topic, kind in self._topics.items()
        }
        settings = {"isolation.level": "read_committed", "fetch.wait.max.ms": 50}
        consumer = self._connection.consumer("shop-screen", **settings)
        try:
            known = consumer.list_topics(timeout=TIMEOUT_S).topics
            consumer.assign([TopicPartition(topic, one, 0) for topic in decoders for one in known[topic].partitions])
            while not self._closing.is_set():
                for message in consumer.consume(BATCH, 0.1):
                    error, topic = message.error(), message.topic()
                    if error is not None:
                        raise self._connection.explained(error)
                    assert topic is not None
                    self.counts[topic] += 1
                    decode = decoders[topic]
                    if decode is not None:
                        self._take(topic, decode(message.value()))
        finally:
            consumer.close()

    def _take(self, topic: str, record: Any) -> None:
        self.numbers[topic].append(record.order_id)
        if isinstance(record, EnrichedOrder):
            self.latencies.append(time.time() - self._written_at[record.order_id])
            if record.status == "COMPLETED":
                self.by_city[record.city] = self.by_city.get(record.city, Decimal(0)) + record.amount

    def latency_ms(self, part: float) -> float | None:
        """A percentile of how late the last orders were, None before there are any."""
        known = sorted(self.latencies)
        return known[min(int(part * len(known)), len(known) - 1)] * 1000 if known else None

    def close(self) -> None:
        """Stop reading, and wait for it."""
        self._closing.set()
        if self.is_alive():
            self.join()


class Stores:
    """The stores of the streams application, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    def entries(self, store: str, key: str | None = None) -> list[dict[str, Any]]:
        """All entries of a store, or of a key.

        Raises:
            RefusedError: nobody answers, or a part of the store is on its way.
        """
        try:
            with urllib.request.urlopen(self.address(store, key), timeout=TIMEOUT_S) as answer:  # noqa: S310 (our own)
                found: list[dict[str, Any]] = json.loads(answer.read())["entries"]
                return found
        except (OSError, urllib.error.HTTPError) as error:
            raise RefusedError(f"the streams application does not answer for {store}: {error}") from error

    def address(self, store: str, key: str | None = None) -> str:
        """Where a browser finds it."""
        return "/".join([self.url, store, *([urllib.parse.quote(key)] if key is not None else [])])

    def counted(self) -> int:
        """How many orders the application has seen."""
        return sum(entry["value"] for entry in self.entries("orders-per-customer"))

    def revenue(self) -> dict[int, Decimal]:
        """The revenue of each hour, by its start in ms."""
        hours: dict[int, Decimal] = {}
        for entry in self.entries("hourly-revenue-store"):
            hours[entry["window_start"]] = hours.get(entry["window_start"], Decimal(0)) + Decimal(entry["value"])
        return dict(sorted(hours.items()))


class Lake:
    """A folder of Parquet. Files are whole or not there, so each is looked into once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, dict[Path, int]] = {}

    def look(self, *topics: str) -> None:
        """Take note of files that are new."""
        from pyarrow import parquet

        for topic in topics:
            known = self._rows.setdefault(topic, {})
            for file in (self.folder / "topics" / topic).rglob("*.parquet"):
                if file not in known:
                    known[file] = parquet.read_metadata(file).num_rows

    def files(self, topic: str) -> int:
        """How many files a topic has."""
        return len(self._rows.get(topic, ()))

    def rows(self, topic: str) -> int:
        """How many records of a topic are in them."""
        return sum(self._rows.get(topic, {}).values())

    def table(self, topic: str) -> Any:
        """All of a topic as one Arrow table, its folders as columns."""
        from pyarrow import dataset

        return dataset.dataset(self.folder / "topics" / topic, partitioning="hive").to_table()
