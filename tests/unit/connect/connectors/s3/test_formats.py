"""What is in the objects: Parquet of every type, JSON and bytes, compressed or not, keys and headers beside values."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
from typing import Any

import fastavro
import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.unit.connect.connectors.s3.lake import Lake, MemoryStorage, failing, plain, structured, version

from moldau.connect.connectors.s3.formats.arrow import arrow_schema
from moldau.connect.connectors.s3.formats.avro import AvroFormat
from moldau.connect.connectors.s3.formats.avro_schema import AvroSchemas
from moldau.connect.connectors.s3.formats.parquet import EXTENSIONS, ParquetFormat
from moldau.connect.connectors.s3.formats.writer import Format, View
from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp
from moldau.connect.errors import ConfigError, ConnectError, DataError, RetriableError
from moldau.connect.records import Header, SinkRecord

S3 = "io.confluent.connect.s3.format."
PLACE = SchemaBuilder.struct().field("city", Schema.STRING_SCHEMA).field("zip", Schema.OPTIONAL_INT16_SCHEMA).build()
OPTIONAL_PLACE = SchemaBuilder.struct().field("city", Schema.STRING_SCHEMA).optional().build()
EVERYTHING = (
    SchemaBuilder.struct()
    .name("Everything")
    .field("int8", Schema.INT8_SCHEMA)
    .field("int64", Schema.OPTIONAL_INT64_SCHEMA)
    .field("float32", Schema.FLOAT32_SCHEMA)
    .field("text", Schema.OPTIONAL_STRING_SCHEMA)
    .field("bytes", Schema.BYTES_SCHEMA)
    .field("flag", Schema.BOOLEAN_SCHEMA)
    .field("price", Decimal.builder(2).parameter("connect.decimal.precision", "9").build())
    .field("total", Decimal.builder(3).optional().build())
    .field("day", Date.SCHEMA)
    .field("time", Time.SCHEMA)
    .field("at", Timestamp.SCHEMA)
    .field("tags", SchemaBuilder.array(Schema.STRING_SCHEMA).build())
    .field("places", SchemaBuilder.array(PLACE).optional().build())
    .field("by_name", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.OPTIONAL_INT32_SCHEMA).build())
    .field("by_number", SchemaBuilder.map(Schema.INT32_SCHEMA, PLACE).optional().build())
    .field("place", OPTIONAL_PLACE)
    .field("with_default", SchemaBuilder.string().default_value("none").build())
    .build()
)
FULL: dict[str, Any] = {
    "int8": -128,
    "int64": 2**63 - 1,
    "float32": 0.5,
    "text": "Škoda",
    "bytes": b"\x00\xff",
    "flag": True,
    "price": decimal.Decimal("1234567.89"),
    "total": decimal.Decimal("-0.001"),
    "day": dt.date(1969, 12, 31),
    "time": dt.time(23, 59, 59, 999_000),
    "at": dt.datetime(2024, 3, 1, 12, 34, 56, 789_000, tzinfo=dt.UTC),
    "tags": ["a", "b"],
    "places": [Struct(PLACE, city="Brno", zip=602), Struct(PLACE, city="Praha")],
    "by_name": {"one": 1, "none": None},
    "by_number": {7: Struct(PLACE, city="Brno")},
    "place": Struct(OPTIONAL_PLACE, city="Brno"),
    "with_default": "given",
}
EMPTY: dict[str, Any] = FULL | {
    "int64": None, "text": None, "total": None, "tags": [], "places": None, "by_name": {}, "by_number": None,
    "place": None,
}  # fmt: skip


def everything(fields: dict[str, Any]) -> Struct:
    given = {name: value for name, value in fields.items() if value is not None and name != "with_default"}
    struct = Struct(EVERYTHING, **given)
    if fields is FULL:
        struct.put("with_default", "given")
    return struct


def written(form: Format, values: list[Struct]) -> bytes:
    storage = MemoryStorage()
    writer = form.open(storage.create("x"), View())
    for offset, value in enumerate(values):
        writer.write(SinkRecord("t", 0, None, None, value.schema, value, offset))
    writer.commit()
    return storage.objects["x"]


def expected(fields: dict[str, Any]) -> dict[str, Any]:
    def simple(value: Any) -> Any:
        if isinstance(value, Struct):
            return {name: simple(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [simple(inner) for inner in value]
        if isinstance(value, dict):
            if any(isinstance(key, int) for key in value):
                return [{"key": key, "value": simple(inner)} for key, inner in value.items()]
            return list(value.items())
        return value

    return {name: simple(value) for name, value in fields.items()}


def test_every_type_comes_back_from_parquet_as_it_was() -> None:
    rows = [FULL, EMPTY, FULL, EMPTY, EMPTY]
    data = written(ParquetFormat("zstd"), [everything(row) for row in rows])
    found = pq.read_table(io.BytesIO(data)).to_pylist()
    assert found == [expected(row if row is FULL else row | {"with_default": "none"}) for row in rows]


def test_only_nulls_in_an_optional_struct_with_required_fields_can_be_written() -> None:
    data = written(ParquetFormat(), [everything(EMPTY)] * 3)
    assert pq.read_table(io.BytesIO(data)).column("place").null_count == 3


def test_columns_are_named_and_typed_as_confluents_are() -> None:
    data = written(ParquetFormat("none"), [everything(FULL)])
    schema = pq.read_metadata(io.BytesIO(data)).schema
    columns = {schema.column(at).path: schema.column(at) for at in range(len(schema))}
    said = {path: (column.physical_type, str(column.logical_type).split("(")[0]) for path, column in columns.items()}
    assert said["int8"] == ("INT32", "None")
    assert said["at"] == ("INT64", "Timestamp")
    assert "isAdjustedToUTC=true, timeUnit=milliseconds" in str(columns["at"].logical_type)
    assert "isAdjustedToUTC=true, timeUnit=milliseconds" in str(columns["time"].logical_type)
    assert said["day"] == ("INT32", "Date")
    assert "precision=9, scale=2" in str(columns["price"].logical_type)
    assert "precision=38, scale=3" in str(columns["total"].logical_type)
    assert said["by_name.key_value.key"] == ("BYTE_ARRAY", "String")
    assert columns["int8"].max_definition_level == 0, "what is required is required"
    assert columns["int64"].max_definition_level == 1


def test_polars_reads_what_was_written() -> None:
    frame = pl.read_parquet(io.BytesIO(written(ParquetFormat("snappy"), [everything(FULL), everything(EMPTY)])))
    assert frame["price"].to_list() == [decimal.Decimal("1234567.89")] * 2
    assert frame["at"].dtype == pl.Datetime("ms", "UTC")


@pytest.mark.parametrize("codec", [codec for codec in EXTENSIONS if codec != "none"])
def test_the_codec_is_in_the_name_and_in_the_file(codec: str) -> None:
    form = ParquetFormat(codec)
    metadata = pq.read_metadata(io.BytesIO(written(form, [everything(FULL)])))
    assert form.extension == f"{EXTENSIONS[codec]}.parquet"
    assert metadata.row_group(0).column(0).compression == codec.upper().replace("LZ4_RAW", "LZ4")


@pytest.mark.parametrize("codec", ["lzo", "lz4", "zip"])
def test_a_codec_that_cannot_be_written_is_refused(codec: str) -> None:
    with pytest.raises(ConfigError, match=codec):
        ParquetFormat(codec)


def test_row_groups_are_bounded_and_the_same_records_make_the_same_bytes() -> None:
    schema = version(1, "note")
    values = [structured(schema, at, note="x" * 2000).value for at in range(3000)]
    form = ParquetFormat("none", row_group_bytes=1 << 20)
    first = written(form, values)
    assert pq.read_metadata(io.BytesIO(first)).num_row_groups > 3
    assert pq.read_metadata(io.BytesIO(first)).num_rows == 3000
    assert written(form, values) == first


def test_a_record_that_does_not_fit_is_named_by_its_offset() -> None:
    good, bad = everything(FULL), everything(FULL)
    bad.values[EVERYTHING.by_name["price"].index] = decimal.Decimal("12345678901.5")
    # No DataError: whoever tolerates those would leave out the record at hand, which is another one by now.
    with pytest.raises(ConnectError, match=r"offset 1.*'price'") as stopped:
        written(ParquetFormat(), [good, bad, good])
    assert not isinstance(stopped.value, DataError)
    missing = everything(FULL)
    missing.values[EVERYTHING.by_name["places"].index] = [Struct(PLACE)]
    with pytest.raises(ConnectError, match=r"'places\[\]\.city' is required but is null"):
        written(ParquetFormat(), [missing])


def test_parquet_without_columns_is_refused() -> None:
    with pytest.raises(DataError, match="no schema"):
        Lake(format_class=f"{S3}parquet.ParquetFormat").put(plain(0))
    with pytest.raises(DataError, match="no fields"):
        arrow_schema(Schema.STRING_SCHEMA)


def test_a_store_that_fails_while_parquet_is_written_is_still_a_store_that_fails() -> None:
    storage = MemoryStorage()
    storage.before = failing("write")
    writer = ParquetFormat().open(storage.create("x"), View())
    value = everything(FULL)
    with pytest.raises(RetriableError, match="503"):
        writer.write(SinkRecord("t", 0, None, None, EVERYTHING, value, 0))
    writer.close()
    assert (storage.objects, storage.open) == ({}, set())


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "bzip2"])
def test_every_type_comes_back_from_avro_as_it_was(codec: str) -> None:
    rows = [FULL, EMPTY] * 400
    data = written(AvroFormat(codec), [everything(row) for row in rows])
    reader = fastavro.reader(io.BytesIO(data))
    assert reader.codec == codec
    found = list(reader)
    wanted = [expected(row if row is FULL else row | {"with_default": "none"}) for row in (FULL, EMPTY)]
    for row in wanted:
        row["by_name"] = dict(row["by_name"])
    assert found == wanted * 400
    assert written(AvroFormat(codec), [everything(row) for row in rows]) == data


def test_a_schema_of_avro_keeps_what_connect_knows() -> None:
    schema = AvroSchemas().make(EVERYTHING)
    fields = {field["name"]: field for field in schema["fields"]}
    assert (schema["name"], schema["connect.name"]) == ("Everything", "Everything")
    assert fields["int8"]["type"] == {"type": "int", "connect.type": "int8"}
    assert fields["int64"] == {"name": "int64", "type": ["null", "long"], "default": None}
    assert fields["at"]["type"]["logicalType"] == "timestamp-millis"
    assert fields["by_number"]["type"][1]["items"]["name"] == "MapEntry"
    assert AvroSchemas(remarks=False).make(EVERYTHING)["fields"][0]["type"] == "int"


def test_avro_stores_values_without_a_struct_and_keys_and_headers_by_default() -> None:
    lake = Lake(flush_size="1", store_kafka_keys="true", store_kafka_headers="true")
    headers = [Header("trace", 7, Schema.INT32_SCHEMA)]
    lake.put(SinkRecord("orders", 0, Schema.STRING_SCHEMA, "k", None, b"v", 0, headers=headers))
    found = {name.partition(".")[2]: data for name, data in lake.storage.objects.items()}
    assert list(fastavro.reader(io.BytesIO(found["keys.avro"]))) == ["k"]
    assert list(fastavro.reader(io.BytesIO(found["headers.avro"]))) == [[{"key": "trace", "value": "7"}]]


def test_json_has_a_line_a_record_with_a_schema_or_without() -> None:
    lake = Lake(format_class=f"{S3}json.JsonFormat", flush_size="2")
    lake.put(plain(0, value={"a": [1, None, "é"]}), plain(1, value=["x"]))  # type: ignore[arg-type]
    (data,) = lake.storage.objects.values()
    assert data == '{"a":[1,null,"é"]}\n["x"]\n'.encode()


def test_gzip_is_in_the_name_and_has_no_time_in_it() -> None:
    lake = Lake(s3_compression_type="gzip", format_bytearray_separator="|")
    lake.put(plain(0), plain(1), plain(2))
    ((name, data),) = lake.storage.objects.items()
    assert name.endswith("+0000000000.bin.gz")
    assert gzip.decompress(data) == b"0|1|2|"
    assert data[4:8] == bytes(4)


def test_keys_and_headers_have_files_of_their_own() -> None:
    parquet, json = f"{S3}parquet.ParquetFormat", f"{S3}json.JsonFormat"
    lake = Lake(flush_size="1", store_kafka_keys="true", store_kafka_headers="true",
                keys_format_class=parquet, headers_format_class=json)  # fmt: skip
    headers = [Header("trace", 7, Schema.INT32_SCHEMA)]
    lake.put(SinkRecord("orders", 0, Schema.STRING_SCHEMA, "k", None, b"v", 0, headers=headers))
    base = "topics/orders/partition=0/orders+0+0000000000"
    assert sorted(lake.names) == [f"{base}.bin", f"{base}.headers.json", f"{base}.keys.snappy.parquet"]
    assert lake.storage.objects[f"{base}.headers.json"] == b'{"headers":[{"key":"trace","value":"7"}]}\n'
    assert pl.read_parquet(lake.storage.objects[f"{base}.keys.snappy.parquet"]).to_dicts() == [{"key": "k"}]


def test_a_record_without_a_key_is_not_written_in_part() -> None:
    lake = Lake(flush_size="1", store_kafka_keys="true", keys_format_class=f"{S3}bytearray.ByteArrayFormat")
    with pytest.raises(DataError, match="no key"):
        lake.put(SinkRecord("orders", 0, None, None, None, b"v", 0))
    assert lake.names == []
