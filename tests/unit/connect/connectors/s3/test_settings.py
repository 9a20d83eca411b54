"""The settings of the sink: the guide's as they are written, and what is said about wrong ones."""

from __future__ import annotations

import pytest
from tests.unit.connect.connectors.s3.lake import Lake, plain

from moldau.connect.connectors.s3.partitioners import Partitioner
from moldau.connect.connectors.s3.settings import CONFIG
from moldau.connect.connectors.s3.sink import S3SinkConnector
from moldau.connect.connectors.s3.timestamps import TimestampExtractor
from moldau.connect.plugins import Kind, Plugins
from moldau.connect.records import ConnectRecord, SinkRecord

GUIDE = {
    "connector.class": "io.confluent.connect.s3.S3SinkConnector",
    "tasks.max": "8",
    "topics": "orders,inventory",
    "s3.region": "us-east-1",
    "s3.bucket.name": "my-data-lake",
    "s3.part.size": "67108864",
    "storage.class": "io.confluent.connect.s3.storage.S3Storage",
    "partitioner.class": "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
    "path.format": "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
    "locale": "en-US",
    "timezone": "UTC",
    "timestamp.extractor": "RecordField",
    "timestamp.field": "event_ts",
    "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat",
    "parquet.codec": "zstd",
    "schema.compatibility": "FULL_TRANSITIVE",
    "rotate.interval.ms": "600000",
    "flush.size": "50000",
}


def errors(**changes: str | None) -> dict[str, list[str]]:
    props = {**GUIDE, **{name.replace("_", "."): value for name, value in changes.items()}}
    found = S3SinkConnector().validate({name: value for name, value in props.items() if value is not None})
    return {value.name: value.errors for value in found if value.errors}


def test_the_guides_configuration_is_accepted_as_it_is_written() -> None:
    assert errors() == {}
    connector = Plugins().find("io.confluent.connect.s3.S3SinkConnector", Kind.SINK)()
    connector.start(GUIDE)
    assert len(connector.task_configs(8)) == 8


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("flush.size", None, "Missing required configuration"),
        ("flush.size", "0", "at least 1"),
        ("s3.bucket.name", None, "Missing required configuration"),
        ("s3.part.size", "1000", "at least: 5242880 bytes"),
        ("format.class", "io.confluent.connect.s3.format.orc.OrcFormat", "ParquetFormat"),
        ("parquet.codec", "lz4", "lz4_raw"),
        ("partitioner.class", "TimePartitioner", "TimeBasedPartitioner"),
        ("timezone", "Europe/Pragu", "not recognised"),
        ("path.format", "YYYY/b", "Illegal pattern component: b"),
        ("locale", None, "needs a locale"),
        ("store.url", "s3://lake", "begins with http://"),
        ("s3.acl.canned", "public-read", "policy"),
        ("s3.object.tagging", "true", "cannot be tagged"),
        ("s3.wan.mode", "true", "store.url"),
        ("s3.compression.type", "gzip", "not valid for data format class"),
        ("behavior.on.null.values", "write", "mandatory"),
        ("s3.credentials.provider.class", "com.example.Provider", "is not here"),
        ("timestamp.extractor", "Recrod", "Wallclock"),
    ],
)
def test_a_wrong_setting_is_said_beside_its_name(name: str, value: str | None, said: str) -> None:
    found = errors(**{name: value})
    assert said in " ".join(found[name])


def test_a_folder_needs_no_bucket() -> None:
    assert errors(**{"store.url": "file:///tmp/lake", "s3.bucket.name": None}) == {}


def test_secrets_are_not_shown() -> None:
    props = GUIDE | {"aws.secret.access.key": "hush"}
    shown = [value.info(CONFIG.keys[value.name].type) for value in S3SinkConnector().validate(props)]
    assert "hush" not in str(shown)


class ByKey(Partitioner):
    def encode_partition(self, record: SinkRecord, now_ms: int) -> str:
        return f"key={bytes(record.key).decode()}"


class Later(TimestampExtractor):
    def extract(self, record: ConnectRecord, now_ms: int) -> int:
        return 7_200_000


def test_classes_of_python_are_partitioners_and_extractors_too() -> None:
    here = __name__
    lake = Lake(flush_size="1", partitioner_class=f"{here}:ByKey")
    lake.put(plain(0))
    assert lake.names == ["topics/orders/key=k0/orders+0+0000000000.bin"]
    timed = Lake(flush_size="1", partitioner_class="TimeBasedPartitioner", path_format="HH", locale="en",
                 timezone="UTC", timestamp_extractor=f"{here}:Later")  # fmt: skip
    timed.put(plain(0))
    assert timed.names == ["topics/orders/02/orders+0+0000000000.bin"]
