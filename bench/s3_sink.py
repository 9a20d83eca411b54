"""What the S3 sink writes per second, beside pyarrow alone writing the same Parquet: `python -m bench.s3_sink`.

Both get rows as Python has them, 500,000 of ten columns, and write zstd Parquet to a folder. The sink does all that a
worker asks of it with records; pyarrow turns lists of columns into a table and writes it: the limit of what a sink in
Python can reach. `the whole way` is JSON in a topic of a node in this process, read by a worker (consumer, converter,
sink) from its first file to the end of its last. Best of `RUNS`, by time and by CPU of this process.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

import moldau
from moldau.connect.connectors.s3.formats.arrow import arrow_schema
from moldau.connect.connectors.s3.sink import S3SinkTask
from moldau.connect.converters.json import JsonConverter
from moldau.connect.converters.json_schemas import to_json_schema
from moldau.connect.data import Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.records import SinkRecord
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.runtime.sink_context import SinkContext
from moldau.connect.service import ConnectThread

ROWS = 500_000
RUNS = 3
PUT_ROWS = 500
FILE_ROWS = 100_000
SCHEMA = (
    SchemaBuilder.struct()
    .name("Order")
    .field("order_id", Schema.INT64_SCHEMA)
    .field("customer_id", Schema.INT32_SCHEMA)
    .field("amount_cents", Schema.INT64_SCHEMA)
    .field("price", Schema.FLOAT64_SCHEMA)
    .field("paid", Schema.BOOLEAN_SCHEMA)
    .field("status", Schema.STRING_SCHEMA)
    .field("email", Schema.OPTIONAL_STRING_SCHEMA)
    .field("note", Schema.OPTIONAL_STRING_SCHEMA)
    .field("region", Schema.STRING_SCHEMA)
    .field("event_ts", Timestamp.SCHEMA)
    .build()
)
SETTINGS = {
    "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat",
    "parquet.codec": "zstd",
    "flush.size": str(FILE_ROWS),
    "partitioner.class": "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
    "path.format": "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
    "locale": "en-US",
    "timezone": "UTC",
    "timestamp.extractor": "RecordField",
    "timestamp.field": "event_ts",
}


def rows(count: int = ROWS) -> list[list[object]]:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    statuses, regions = ("PENDING", "PAID", "SHIPPED"), ("eu", "us", "asia")
    return [
        [at, at % 9973, at * 7 % 100_000, at / 8, at % 3 == 0, statuses[at % 3], f"customer{at % 9973}@shop.test",
         None if at % 4 else f"leave order {at} at the door", regions[at % 3], start + dt.timedelta(milliseconds=at)]
        for at in range(count)
    ]  # fmt: skip


class Taken(NamedTuple):
    """What something took."""

    time_s: float
    cpu_s: float


class Watch:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def taken(self) -> Taken:
        return Taken(time.perf_counter() - self._started[0], time.process_time() - self._started[1])


Run = Callable[[list[list[object]], Path], Taken]


def by_the_sink(values: list[list[object]], folder: Path) -> Taken:
    records = [SinkRecord("orders", 0, None, None, SCHEMA, Struct.of(SCHEMA, row), at) for at, row in enumerate(values)]
    task = S3SinkTask()
    context = SinkContext(dict, keeps_originals=False)
    context.assigned.add(("orders", 0))
    task.initialize(context)
    task.start({**SETTINGS, "store.url": folder.as_uri()})
    watch = Watch()
    for at in range(0, len(values), PUT_ROWS):
        task.put(records[at : at + PUT_ROWS])
    taken = watch.taken()
    assert task.pre_commit({}) == {("orders", 0): len(values)}, "everything is in complete files"
    return taken


def by_pyarrow(values: list[list[object]], folder: Path) -> Taken:
    schema = arrow_schema(SCHEMA)
    watch = Watch()
    for at in range(0, len(values), FILE_ROWS):
        columns = zip(*values[at : at + FILE_ROWS], strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=schema)
        pq.write_table(table, folder / f"{at}.parquet", compression="zstd", data_page_size=64 * 1024)
    return watch.taken()


class Topic:
    """The rows as JSON in a topic, and workers that bring them into a folder."""

    def __init__(self, bootstrap_servers: str, values: list[list[object]]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._workers = 0
        converter = JsonConverter()
        converter.configure({"schemas.enable": "false"}, is_key=False)
        producer = moldau.Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 50})
        for row in values:
            value = converter.from_connect_data("orders", SCHEMA, Struct.of(SCHEMA, row))
            while True:
                try:
                    producer.produce("orders", value)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(120) == 0

    def by_a_worker(self, _values: list[list[object]], folder: Path) -> Taken:
        self._workers += 1
        config = {
            **SETTINGS,
            "name": f"lake-{self._workers}",
            "connector.class": "io.confluent.connect.s3.S3SinkConnector",
            "topics": "orders",
            "store.url": folder.as_uri(),
            "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schema.content": json.dumps(to_json_schema(SCHEMA, numeric=False, replace_null=True)),
        }
        settings = WorkerSettings(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "listeners": "http://127.0.0.1:0",
                "offset.storage.file.filename": str(folder / "offsets"),
            }
        )
        with ConnectThread(settings, [config]):
            wait_for(lambda: any((folder / ".incomplete").glob("*")))
            watch = Watch()
            wait_for(lambda: sum(1 for _ in (folder / "topics").rglob("*.parquet")) == ROWS // FILE_ROWS)
            return watch.taken()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "the worker writes nothing"
        time.sleep(0.02)


def best(run: Run, values: list[list[object]]) -> tuple[Taken, int]:
    taken, size = [], 0
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            taken.append(run(values, Path(folder)))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    return Taken(min(each.time_s for each in taken), min(each.cpu_s for each in taken)), size


def main() -> None:
    values = rows()
    logical = sum(pa.array(column).nbytes for column in zip(*values, strict=True))
    print(f"{ROWS:,} rows, {logical / 1e6:.0f} MB as Arrow")
    found: dict[str, Taken] = {}
    with moldau.Broker() as broker:
        topic = Topic(broker.bootstrap_servers, values)
        for name, run in (
            ("pyarrow alone", by_pyarrow),
            ("the sink", by_the_sink),
            ("the whole way", topic.by_a_worker),
        ):
            taken, size = best(run, values)
            found[name] = taken
            rates = f"{logical / taken.time_s / 1e6:6.1f} MB/s  {ROWS / taken.time_s:10,.0f} rows/s"
            print(f"{name:14} {taken.time_s:6.2f} s  {taken.cpu_s:6.2f} s of CPU  {rates}  {size / 1e6:.1f} MB written")
    alone, sink = found["pyarrow alone"], found["the sink"]
    print(f"the sink reaches {alone.time_s / sink.time_s:.0%} of pyarrow, {alone.cpu_s / sink.cpu_s:.0%} by CPU")


if __name__ == "__main__":
    main()
