"""A bucket of Ceph's gateway, which checks what moto takes on trust: signatures, conditions, parts, listings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import boto3
import obstore
import polars as pl
import pytest
from botocore.config import Config
from tests.ceph_under_test import ACCESS_KEY, SECRET_KEY, Ceph, ceph_under_test, missing_programs
from tests.unit.connect.connectors.s3.lake import TIMED, Context, structured, version

from moldau.connect.connectors.s3.bucket import BucketSettings, BucketStorage
from moldau.connect.connectors.s3.sink import S3SinkTask
from moldau.connect.connectors.s3.storage import ObjectExistsError
from moldau.connect.errors import ConnectError, RetriableError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def ceph() -> Iterator[Ceph]:
    if missing := missing_programs():
        pytest.skip(f"Ceph is not installed ({', '.join(missing)}): tools/ensure-system.sh ceph")
    with ceph_under_test() as running:
        client(running).create_bucket(Bucket="lake")
        yield running


def client(ceph: Ceph) -> Any:
    """Amazon's own client, to make the bucket and to look at it from another side."""
    return boto3.client(
        "s3",
        endpoint_url=ceph.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


def storage(ceph: Ceph, **changes: Any) -> BucketStorage:
    facts: dict[str, Any] = {
        "name": "lake",
        "region": "us-east-1",
        "endpoint": ceph.endpoint,
        "part_bytes": PART,
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "retries": 1,
        "backoff_ms": 10,
    }
    return BucketStorage(BucketSettings(**facts | changes))


@pytest.mark.parametrize(
    ("changes", "code", "hint"),
    [
        ({"secret_access_key": "of-another"}, "SignatureDoesNotMatch", "aws.secret.access.key"),
        ({"access_key_id": "nobody"}, "InvalidAccessKeyId", "aws.access.key.id"),
        ({"name": "nowhere"}, "NoSuchBucket", "make the bucket"),
    ],
)
def test_what_the_gateway_refuses_is_said_with_what_to_do(ceph: Ceph, changes: dict[str, str], code: str, hint: str):
    wrong = storage(ceph, **changes)
    upload = wrong.create("never")
    upload.write(b"1")
    for refused in (wrong.check, upload.commit):
        with pytest.raises(ConnectError, match=code) as said:
            refused()
        assert not isinstance(said.value, RetriableError)
        assert hint in str(said.value)
    assert not storage(ceph).exists("never")


@pytest.mark.parametrize("key", ["plain", "a+b=c d&e%f~(g)'h'*.bin", "jahr=2026/größe/ř", "many"])
def test_what_is_signed_and_sent_is_what_another_client_finds(ceph: Ceph, key: str):
    lake = storage(ceph)
    content = os.urandom(3 * PART + 7 if key == "many" else 1000)
    upload = lake.create(key)
    for start in range(0, len(content), 1 << 20):
        upload.write(content[start : start + (1 << 20)])
    assert not lake.exists(key)
    upload.commit()
    assert lake.exists(key)
    found = client(ceph).get_object(Bucket="lake", Key=key)
    assert found["Body"].read() == content
    assert ("-4" in found["ETag"]) is (key == "many"), "four parts"


def test_an_upload_that_is_thrown_away_leaves_no_parts(ceph: Ceph):
    upload = storage(ceph).create("gone")
    for _ in range(12):
        upload.write(bytes(1 << 20))
    upload.abort()
    assert "Uploads" not in client(ceph).list_multipart_uploads(Bucket="lake")
    assert not storage(ceph).exists("gone")


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_an_object_that_is_there_is_kept_when_replacing_is_forbidden(ceph: Ceph, size: int):
    lake = storage(ceph)
    for content in (b"1", b"2"):
        upload = lake.create(f"once-{size}", replace=False)
        upload.write(content * size)
        if content == b"1":
            upload.commit()
        else:
            with pytest.raises(ObjectExistsError):
                upload.commit()
    assert bytes(obstore.get(lake.store, f"once-{size}").bytes()) == b"1" * size


def test_a_gateway_that_is_killed_under_a_task_costs_no_record_and_doubles_none(ceph: Ceph):
    settings = TIMED | {
        "store.url": ceph.endpoint,
        "s3.bucket.name": "lake",
        "s3.region": "us-east-1",
        "s3.part.retries": "1",
        "s3.retry.backoff.ms": "10",
        "retry.backoff.ms": "10",
        "aws.access.key.id": ACCESS_KEY,
        "aws.secret.access.key": SECRET_KEY,
        "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat",
        "path.format": "'hour'=HH",
        "flush.size": "100",
    }
    schema = version(1, "note")
    records = [structured(schema, at, at * 100_000, note=f"n{at}") for at in range(300)]
    task, context = S3SinkTask(), Context()
    task.initialize(context)
    task.start(settings)
    at, felt = 0, False
    while at < len(records):
        if at == 150 and not felt:
            ceph.kill_gateway()
        task.put(records[at : at + 50])
        at += 50
        if context.rewound:
            felt = True
            ceph.start_gateway()
            at = context.rewound.pop(("orders", 0))
        while context.paused:
            # A worker puts nothing until the task lets the partition flow again.
            task.put([])
    assert felt, "the kill was felt"
    assert task.pre_commit({}) == {("orders", 0): 300}
    task.stop()
    options = {"aws_endpoint_url": ceph.endpoint, "aws_access_key_id": ACCESS_KEY, "aws_region": "us-east-1",
               "aws_secret_access_key": SECRET_KEY, "aws_allow_http": "true"}  # fmt: skip
    frame = pl.scan_parquet("s3://lake/topics/orders/", hive_partitioning=True, storage_options=options).collect()
    assert sorted(frame["id"]) == list(range(300))
