"""Which folder a record goes to, and where its time comes from."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.connectors.s3.partitioners import (
    DailyPartitioner,
    DefaultPartitioner,
    FieldPartitioner,
    HourlyPartitioner,
    Partitioner,
    SchemaPartitioner,
    TimeBasedPartitioner,
)
from moldau.connect.connectors.s3.timestamps import (
    PartitionError,
    RecordFieldTimestampExtractor,
    RecordTimestampExtractor,
    TimestampExtractor,
)
from moldau.connect.data import Date, Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import SinkRecord

NOW_MS = 1_700_000_000_000
PLACE = SchemaBuilder.struct().field("city", Schema.OPTIONAL_STRING_SCHEMA).build()
ORDER = (
    SchemaBuilder.struct()
    .name("Order")
    .field("id", Schema.INT64_SCHEMA)
    .field("region", Schema.OPTIONAL_STRING_SCHEMA)
    .field("paid", Schema.BOOLEAN_SCHEMA)
    .field("price", Schema.FLOAT64_SCHEMA)
    .field("day", Date.SCHEMA)
    .field("place", SchemaBuilder.struct().field("city", Schema.OPTIONAL_STRING_SCHEMA).optional().build())
    .field("at", Timestamp.builder().optional().build())
    .field("at_text", Schema.OPTIONAL_STRING_SCHEMA)
    .field("at_ms", Schema.OPTIONAL_INT64_SCHEMA)
    .build()
)


def order(**fields: Any) -> Struct:
    given_fields = {"id": 7, "paid": True, "price": 1.5, "day": dt.date(2024, 5, 1)} | fields
    return Struct(ORDER, **given_fields)


def record(value: Any, timestamp: int | None = NOW_MS, partition: int = 3) -> SinkRecord:
    schema = value.schema if isinstance(value, Struct) else None
    return SinkRecord("orders", partition, None, None, schema, value, 42, timestamp)


def made(partitioner: Partitioner, **settings: Any) -> Partitioner:
    partitioner.configure({name.replace("_", "."): value for name, value in settings.items()})
    return partitioner


def timed(extractor: TimestampExtractor | None = None, path: str = "'hour'=HH", **settings: Any) -> Partitioner:
    return made(
        TimeBasedPartitioner(),
        **{"path.format": path, "locale": "en-US", "timezone": "UTC", "timestamp.extractor.instance": extractor}
        | settings,
    )


def test_the_default_partitioner_keeps_the_partitions_of_kafka() -> None:
    partitioner = made(DefaultPartitioner())
    encoded = partitioner.encode_partition(record(None), NOW_MS)
    assert partitioner.generate_partitioned_path("orders", encoded) == "orders/partition=3"


def test_a_field_partitioner_writes_each_field_with_its_value() -> None:
    partitioner = made(FieldPartitioner(), partition_field_name=["region", "paid", "id", "place.city"])
    place = Struct(ORDER.by_name["place"].schema, city="Brno")
    assert partitioner.encode_partition(record(order(region="eu", place=place)), NOW_MS) == (
        "region=eu/paid=true/id=7/place.city=Brno"
    )
    assert partitioner.encode_partition(record(order()), NOW_MS) == "region=null/paid=true/id=7/place.city=null"


@pytest.mark.parametrize("field", ["price", "day", "place"])
def test_a_field_partitioner_refuses_types_that_make_no_path(field: str) -> None:
    with pytest.raises(PartitionError, match="integers, strings and booleans"):
        made(FieldPartitioner(), partition_field_name=[field]).encode_partition(record(order()), NOW_MS)


def test_a_field_partitioner_names_the_fields_there_are() -> None:
    with pytest.raises(DataError, match=r"regoin.*no such field(.|\n)*id, region"):
        made(FieldPartitioner(), partition_field_name=["regoin"]).encode_partition(record(order()), NOW_MS)
    with pytest.raises(PartitionError, match="schema"):
        made(FieldPartitioner(), partition_field_name=["id"]).encode_partition(record({"id": 1}), NOW_MS)
    with pytest.raises(ConfigError):
        made(FieldPartitioner())


def test_daily_and_hourly_partitioners_have_the_paths_of_hive() -> None:
    zone = {"locale": "en-US", "timezone": "Europe/Prague"}
    at = 1_704_063_600_000  # 2023-12-31T23:00Z, midnight in Prague
    for partitioner, path in (
        (DailyPartitioner(), "year=2024/month=01/day=01"),
        (HourlyPartitioner(), "year=2024/month=01/day=01/hour=00"),
    ):
        assert made(partitioner, **zone).encode_partition(record(None), at) == path


def test_the_format_of_the_guide_needs_no_duration() -> None:
    path = "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH"
    for duration in (None, -1, 3_600_000):
        partitioner = timed(RecordTimestampExtractor(), path, **{"partition.duration.ms": duration})
        assert partitioner.encode_partition(record(None), 0) == "year=2023/month=11/day=14/hour=22"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path.format", ""),
        ("path.format", "/"),
        ("path.format", "YYYY-b"),
        ("locale", " "),
        ("timezone", ""),
        ("timezone", "Prague"),
        ("partition.duration.ms", 0),
        ("partition.duration.ms", -2),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        timed(**{name: value})
    assert refused.value.name == name


@given(
    st.sampled_from(["UTC", "Europe/Prague", "Australia/Lord_Howe", "America/Sao_Paulo", "-03:30"]),
    st.sampled_from([1_000, 900_000, 3_600_000, 86_400_000]),
    st.lists(st.integers(-(10**11), 2 * 10**12) | st.integers(1_729_980_000_000, 1_730_000_000_000), min_size=2),
)
def test_a_path_does_not_depend_on_the_records_before(zone: str, duration_ms: int, instants: list[int]) -> None:
    settings = {"timezone": zone, "partition.duration.ms": duration_ms}
    path = "YYYY-MM-dd HH:mm:ss Z"
    shared = timed(path=path, **settings)
    for instant in instants:
        fresh = timed(path=path, **settings)
        assert shared.encode_partition(record(None), instant) == fresh.encode_partition(record(None), instant)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", dt.datetime(2024, 3, 1, 12, 34, 56, 789_000, tzinfo=dt.UTC)),
        ("at_ms", 1_709_296_496_789),
        ("at_text", "1709296496789"),
        ("at_text", "2024-03-01T13:34:56.789+01:00"),
    ],
)
def test_a_time_is_read_from_a_field_with_a_schema_and_without(field: str, value: Any) -> None:
    extractor = RecordFieldTimestampExtractor()
    extractor.configure({"timestamp.field": field})
    assert extractor.extract(record(order(**{field: value})), NOW_MS) == 1_709_296_496_789
    assert extractor.extract(record({field: value}), NOW_MS) == 1_709_296_496_789


def test_a_time_is_read_from_a_field_inside_of_fields() -> None:
    extractor = RecordFieldTimestampExtractor()
    extractor.configure({"timestamp.field": "after.at_ms"})
    envelope = SchemaBuilder.struct().field("after", ORDER).build()
    assert extractor.extract(record(Struct(envelope, after=order(at_ms=5))), NOW_MS) == 5
    assert extractor.extract(record({"after": {"at_ms": 6}}), NOW_MS) == 6


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at_ms", order()),
        ("nowhere", order()),
        ("price", order()),
        ("day", order()),
        ("at_text", order(at_text="yesterday")),
        ("at", {"at": True}),
        ("at", {"at": None}),
        ("at", {}),
        ("at", "text"),
        ("at", None),
    ],
)
def test_a_record_without_a_readable_time_is_a_bad_record(field: str, value: Any) -> None:
    extractor = RecordFieldTimestampExtractor()
    extractor.configure({"timestamp.field": field})
    with pytest.raises(PartitionError):
        extractor.extract(record(value), NOW_MS)


def test_a_record_without_a_timestamp_has_no_path() -> None:
    with pytest.raises(PartitionError, match="offset 42 of orders-3"):
        timed(RecordTimestampExtractor()).encode_partition(record(None, timestamp=None), NOW_MS)


def test_the_name_of_the_schema_can_stand_before_or_behind_the_path() -> None:
    before = made(SchemaPartitioner(DefaultPartitioner(), "PREFIX"))
    behind = made(SchemaPartitioner(DefaultPartitioner(), "SUFFIX"))
    assert before.encode_partition(record(order()), NOW_MS) == "schema_name=Order/partition=3"
    assert behind.encode_partition(record({}), NOW_MS) == "partition=3/schema_name=null"
    assert before.generate_partitioned_path("orders", "x") == "orders/x"
