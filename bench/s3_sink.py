"""What the S3 sink writes per second, beside pyarrow alone writing the same Parquet: `python -m bench.s3_sink`.

Both get rows as Python has them, 500,000 of ten columns, and write zstd Parquet to a folder. The sink does all that a
worker asks of it with records; pyarrow turns lists of columns into a table and writes it: the limit of what a sink in
Python can reach. Best of `RUNS`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from moldau.connect.connectors.s3.formats.arrow import arrow_schema
from moldau.connect.connectors.s3.sink import S3SinkTask
from moldau.connect.data import Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.records import SinkRecord
from moldau.connect.runtime.sink_context import SinkContext

ROWS = 500_000
RUNS = 3
PUT_ROWS = 500
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
    "flush.size": "100000",
    "partitioner.class": "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
    "path.format": "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
    "locale": "en-US",
    "timezone": "UTC",
    "timestamp.extractor": "RecordField",
    "timestamp.field": "event_ts",
}


def rows() -> list[list[object]]:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    statuses, regions = ("PENDING", "PAID", "SHIPPED"), ("eu", "us", "asia")
    return [
        [at, at % 9973, at * 7 % 100_000, at / 8, at % 3 == 0, statuses[at % 3], f"customer{at % 9973}@shop.test",
         None if at % 4 else f"leave order {at} at the door", regions[at % 3], start + dt.timedelta(milliseconds=at)]
        for at in range(ROWS)
    ]  # fmt: skip


def by_the_sink(values: list[list[object]], folder: Path) -> float:
    records = [SinkRecord("orders", 0, None, None, SCHEMA, Struct.of(SCHEMA, row), at) for at, row in enumerate(values)]
    task = S3SinkTask()
    context = SinkContext(dict, keeps_originals=False)
    context.assigned.add(("orders", 0))
    task.initialize(context)
    task.start({**SETTINGS, "store.url": folder.as_uri()})
    started = time.perf_counter()
    for at in range(0, ROWS, PUT_ROWS):
        task.put(records[at : at + PUT_ROWS])
    taken = time.perf_counter() - started
    assert task.pre_commit({}) == {("orders", 0): ROWS}, "everything is in complete files"
    return taken


def by_pyarrow(values: list[list[object]], folder: Path) -> float:
    schema = arrow_schema(SCHEMA)
    started = time.perf_counter()
    for at in range(0, ROWS, 100_000):
        columns = zip(*values[at : at + 100_000], strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=schema)
        pq.write_table(table, folder / f"{at}.parquet", compression="zstd", data_page_size=64 * 1024)
    return time.perf_counter() - started


def best(run: Callable[[list[list[object]], Path], float], values: list[list[object]]) -> tuple[float, int]:
    taken, size = [], 0
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            taken.append(run(values, Path(folder)))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    return min(taken), size


def main() -> None:
    values = rows()
    logical = sum(pa.array(column).nbytes for column in zip(*values, strict=True))
    print(f"{ROWS:,} rows, {logical / 1e6:.0f} MB as Arrow")
    rates = {}
    for name, run in (("pyarrow alone", by_pyarrow), ("the sink", by_the_sink)):
        taken, size = best(run, values)
        rates[name] = logical / taken / 1e6
        said = f"{taken:6.2f} s  {rates[name]:6.1f} MB/s  {ROWS / taken:10,.0f} rows/s  {size / 1e6:.1f} MB written"
        print(f"{name:14} {said}")
    print(f"the sink reaches {rates['the sink'] / rates['pyarrow alone']:.0%} of pyarrow")


if __name__ == "__main__":
    main()
