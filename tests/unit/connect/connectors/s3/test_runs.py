"""Records that are written in runs make the same objects, to the byte, as records that are written one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.unit.connect.connectors.s3.lake import TIMED, Lake, Reporter, drive, failing, structured, version

from moldau.connect.connectors.s3.formats.parquet import ParquetRecordWriter
from moldau.connect.connectors.s3.rotation import PartitionWriter
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
