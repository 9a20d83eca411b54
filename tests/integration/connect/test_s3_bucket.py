"""A bucket as the place for objects, on moto's server: parts, what is thrown away, and what failures are said to be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen

import obstore
import polars as pl
import pytest
from tests.moto_under_test import moto_under_test
from tests.unit.connect.connectors.s3.lake import TIMED, Context, structured, version

from moldau.connect.connectors.s3.bucket import BucketSettings, BucketStorage
from moldau.connect.connectors.s3.sink import S3SinkTask
from moldau.connect.connectors.s3.storage import ObjectExistsError
from moldau.connect.errors import ConnectError, DataError, RetriableError

PART = 5 * 1024 * 1024
PARQUET = "io.confluent.connect.s3.format.parquet.ParquetFormat"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_under_test("lake") as url:
        yield url


def storage(endpoint: str, **changes: Any) -> BucketStorage:
    facts: dict[str, Any] = {
        "name": "lake",
        "region": "us-east-1",
        "endpoint": endpoint,
        "part_bytes": PART,
        "access_key_id": "key",
        "secret_access_key": "secret",
        "retries": 1,
        "backoff_ms": 10,
    }
    return BucketStorage(BucketSettings(**facts | changes))


def uploads(endpoint: str) -> int:
    with urlopen(f"{endpoint}/lake?uploads", timeout=30) as answer:
        return int(answer.read().count(b"<Upload>"))


def test_a_small_object_and_one_of_many_parts_are_there_when_they_are_complete(endpoint: str) -> None:
    lake = storage(endpoint)
    lake.check()
    for key, size in (("small/a+b=c d.bin", 10), ("large", 3 * PART + 7)):
        upload = lake.create(key)
        for start in range(0, size, 1 << 20):
            upload.write(bytes([start >> 20]) * min(1 << 20, size - start))
        assert not lake.exists(key)
        upload.commit()
        assert lake.exists(key)
        assert len(obstore.get(lake.store, key).bytes()) == size


def test_an_upload_that_is_thrown_away_leaves_no_parts(endpoint: str) -> None:
    lake = storage(endpoint)
    upload = lake.create("gone")
    for _ in range(12):
        upload.write(bytes(1 << 20))
    assert uploads(endpoint) == 1
    upload.abort()
    assert uploads(endpoint) == 0
    assert not lake.exists("gone")


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_an_object_that_is_there_is_kept_when_replacing_is_forbidden(endpoint: str, size: int) -> None:
    lake = storage(endpoint)
    for content in (b"1", b"2"):
        upload = lake.create(f"once-{size}", replace=False)
        upload.write(content * size)
        if content == b"1":
            upload.commit()
        else:
            with pytest.raises(ObjectExistsError):
                upload.commit()
    assert bytes(obstore.get(lake.store, f"once-{size}").bytes()) == b"1" * size
    assert uploads(endpoint) == 0


def test_a_bucket_that_is_not_there_is_named(endpoint: str) -> None:
    with pytest.raises(ConnectError, match=r"NoSuchBucket(.|\n)*hint: make the bucket") as refused:
        storage(endpoint, name="nowhere").check()
    assert not isinstance(refused.value, RetriableError)


@pytest.mark.parametrize("key", ["a//b", "../a", "a/./b", "a\nb"])
def test_a_key_that_no_object_can_have_is_a_bad_record(endpoint: str, key: str) -> None:
    with pytest.raises(DataError):
        storage(endpoint).create(key)


@pytest.mark.parametrize(
    ("status", "code", "retriable", "said"),
    [
        (503, "SlowDown", True, "SlowDown"),
        (500, "InternalError", True, "InternalError"),
        (403, "SignatureDoesNotMatch", False, "aws.secret.access.key"),
        (403, "InvalidAccessKeyId", False, "aws.access.key.id"),
        (403, "AccessDenied", False, "s3:PutObject"),
        (400, "ExpiredToken", False, "get new ones"),
        (301, "PermanentRedirect", False, "s3.region"),
    ],
)
def test_what_a_store_refuses_is_said_with_what_to_do(status: int, code: str, retriable: bool, said: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            body = f"<Error><Code>{code}</Code><Message>as it says</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        upload = storage(f"http://127.0.0.1:{server.server_port}").create("x")
        upload.write(b"1")
        with pytest.raises(ConnectError, match=code) as refused:
            upload.commit()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert isinstance(refused.value, RetriableError) is retriable
    assert said in str(refused.value)


def test_a_store_that_is_not_there_may_come_back() -> None:
    upload = storage("http://127.0.0.1:9").create("x")
    upload.write(b"1")
    with pytest.raises(RetriableError):
        upload.commit()


def test_a_task_writes_a_table_that_polars_reads_as_hive_partitions(endpoint: str) -> None:
    settings = TIMED | {
        "store.url": endpoint,
        "s3.bucket.name": "lake",
        "s3.region": "us-east-1",
        "aws.access.key.id": "key",
        "aws.secret.access.key": "secret",
        "format.class": PARQUET,
        "parquet.codec": "zstd",
        "path.format": "'year'=YYYY/'hour'=HH",
        "flush.size": "100",
    }
    task = S3SinkTask()
    context = Context()
    task.initialize(context)
    task.start(settings)
    schema = version(1, "note")
    task.put([structured(schema, at, at * 100_000, note=f"n{at}") for at in range(250)])
    assert task.pre_commit({}) == {("orders", 0): 200}
    task.stop()
    options = {"aws_endpoint_url": endpoint, "aws_access_key_id": "key", "aws_secret_access_key": "secret",
               "aws_region": "us-east-1", "aws_allow_http": "true"}  # fmt: skip
    frame = pl.scan_parquet("s3://lake/topics/orders/", hive_partitioning=True, storage_options=options).collect()
    assert sorted(frame["id"]) == list(range(200))
    assert set(frame["year"]) == {1970}
    assert uploads(endpoint) == 0
