"""Records that are written in runs make the same objects, to the byte, as records that are written one by one."""

from __future__ import annotations

import decimal
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.connect.connectors.s3.lake import PARTITION, TIMED, Lake, Reporter, drive, failing, structured, version

from moldau.connect.connectors.s3.formats.parquet import ParquetRecordWriter
from moldau.connect.connectors.s3.rotation import PartitionWriter
from moldau.connect.data import Decimal, Schema, SchemaBuilder, Struct
from moldau.connect.errors import ConnectError
from moldau.connect.records import SinkRecord

PARQUET = {"format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat"}
FIELD = "io.confluent.connect.storage.partitioner.FieldPartitioner"
SETTINGS: dict[str, dict[str, str]] = {
    "by number": {},
    "by time": {**TIMED, "rotate.interval.ms": "5000"},
    "by the hour": {**TIMED, "timestamp.extractor": "Record"},
    "hours side by side": {**TIMED, "rotate.interval.ms": "9000", "rotate.file.on.partition.change": "false"},
    "by field": {"partitioner.class": FIELD, "partition.field.name": "note"},
    "few files": {"partitioner.class": FIELD, "partition.field.name": "note", "partitioner.max.open.files": "2"},
    "by size": {"rotate.size.bytes": "3000"},
    "on schedule": {**TIMED, "rotate.schedule.interval.ms": "50"},
    "compatible": {"schema.compatibility": "BACKWARD"},
    "the time is a field": {**TIMED, "timestamp.extractor": "RecordField", "timestamp.field": "at"},
    "tombstones": {"behavior.on.null.values": "write", "store.kafka.keys": "true", "keys.format.class": "JsonFormat"},
}
SCHEMAS = [version(1, "note", "at"), version(2, "note", "at", "more")]


def records(chance: random.Random, *, tombstones: bool) -> list[SinkRecord]:
    """A quiet stream: mostly like the record before, as streams are, so that there are runs; then something changes."""
    found, at, schema, topic, note = [], 0, SCHEMAS[0], "orders", "a"
    for offset in range(150):
        if chance.random() < 0.08:
            schema = chance.choice(SCHEMAS)
        if chance.random() < 0.05:
            note = chance.choice("abc")
        if chance.random() < 0.05:
            at += chance.choice((-2_000_000, 4_000_000, 6000))
        if chance.random() < 0.04:
            topic = chance.choice(("orders", "renamed"))
        at += chance.randrange(300)
        text = "no time" if chance.random() < 0.03 else str(max(at, 0))
        record = structured(schema, offset, max(at, 0), note=note, at=text)
        record.topic = topic
        if tombstones and chance.random() < 0.05:
            record = record.with_value(None, None)
        record.key = f"k{offset}"
        found.append(record)
    return found


def written(settings: dict[str, str], given: list[SinkRecord], lot: int, fails: list[str]) -> Any:
    reporter = Reporter()
    lake = Lake(reporter, **{"flush.size": "40", **PARQUET, **settings})
    lake.storage.before = failing(*fails)
    drive(lake, given, lot)
    return lake.storage.objects, lake.committed, sorted({offset for offset, _ in reporter.reported})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", SETTINGS)
def test_runs_end_where_single_records_would(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    settings = SETTINGS[name]
    given = records(chance, tombstones=name == "tombstones")
    lot = chance.choice((1, 7, 60, 150))
    fails = ["commit"] if chance.random() < 0.5 else []
    lengths: list[int] = []
    run = ParquetRecordWriter.write_run
    monkeypatch.setattr(ParquetRecordWriter, "write_run", lambda self, lot: lengths.append(len(lot)) or run(self, lot))
    in_runs = written(settings, given, lot, fails)
    monkeypatch.setattr(PartitionWriter, "_write_run", lambda *_: False)
    assert in_runs == written(settings, given, lot, fails)
    if name not in ("by size", "tombstones") and lot > 1:
        assert max(lengths, default=0) > 1, "there are runs"


def test_where_nothing_is_replaced_the_names_of_records_in_runs_are_looked_for_too() -> None:
    lake = Lake(**PARQUET, **TIMED, **{"rotate.schedule.interval.ms": "60000", "flush.size": "40"})
    for offset in range(8):
        lake.storage.objects[f"topics/orders/hour=00/orders+0+{offset:010d}.snappy.parquet"] = b"another's"
    lake.put(*(structured(SCHEMAS[0], offset, note="a", at="0") for offset in range(40)))
    assert lake.context.rewound == {PARTITION: 8}


PRICED = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).field("price", Decimal.builder(2).build()).build()


def priced(offset: int, price: str) -> SinkRecord:
    struct = Struct(PRICED, id=offset, price=decimal.Decimal("1.00"))
    # Converters do not look at how long a number is.
    struct.values[1] = decimal.Decimal(price)
    return SinkRecord("orders", 0, None, None, PRICED, struct, offset, 0)


@pytest.mark.parametrize("bad", [{0}, {5, 6}, {299}, {255, 256, 299}, set(range(300))])
def test_values_that_are_found_late_to_have_no_place_are_reported_and_the_others_written(bad: set[int]) -> None:
    reporter = Reporter()
    lake = Lake(reporter, **PARQUET, **{"flush.size": "300"})
    lake.put(*(priced(offset, "9" * 50 if offset in bad else "1.00") for offset in range(300)))
    assert [offset for offset, _ in reporter.reported] == sorted(bad)
    (content,) = lake.storage.objects.values()
    written_ids = pq.read_table(pa.BufferReader(content)).column("id").to_pylist()
    assert written_ids == [offset for offset in range(300) if offset not in bad]
    assert lake.commit() == 300


def test_without_a_reporter_a_value_that_has_no_place_ends_the_task_before_the_object_is_there() -> None:
    lake = Lake(**PARQUET, **{"flush.size": "3"})
    with pytest.raises(ConnectError, match="offset 1"):
        lake.put(priced(0, "1.00"), priced(1, "9" * 50), priced(2, "1.00"))
    assert not lake.storage.objects


def test_beside_objects_of_keys_a_value_that_has_no_place_ends_the_task() -> None:
    lake = Lake(
        Reporter(), **PARQUET, **{"flush.size": "2", "store.kafka.keys": "true", "keys.format.class": "JsonFormat"}
    )
    records = [priced(0, "1.00"), priced(1, "9" * 50)]
    for record in records:
        record.key = "k"
    with pytest.raises(ConnectError, match=r"store\.kafka\.keys"):
        lake.put(*records)
    assert not lake.storage.objects
