"""`AvroConverter` against our registry: what it registers is Avro, and others read and write with it."""

from __future__ import annotations

import json

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.unit.connect.converters.test_avro import POINT, TEXTS

from moldau.connect.converters.avro import AvroConverter
from moldau.connect.data import Decimal, Schema, SchemaBuilder, Struct
from moldau.connect.errors import DataError, RetriableError


def converter_of(url: str, **settings: str) -> AvroConverter:
    made = AvroConverter()
    made.configure({"schema.registry.url": url, **{name.replace("_", "."): value for name, value in settings.items()}})
    return made


def test_others_read_what_it_writes_and_it_reads_what_they_write(registry):
    client, context = SchemaRegistryClient({"url": registry.url}), SerializationContext("points", MessageField.VALUE)
    converter = converter_of(registry.url)
    written = converter.from_connect_data("points", POINT, Struct(POINT, x=1, y=-2))
    assert AvroDeserializer(client)(written, context) == {"x": 1, "y": -2}
    text = {"type": "record", "name": "P", "fields": [{"name": "x", "type": ["int", "string"]}]}
    theirs = AvroSerializer(client, json.dumps(text))({"x": "a"}, SerializationContext("theirs", MessageField.VALUE))
    found = converter.to_connect_data("theirs", theirs)
    assert found.value["x"]["string"] == "a"
    assert found.schema.version == 1
    converter.close()


@pytest.mark.parametrize("name", TEXTS)
def test_the_registry_takes_every_schema(registry, name):
    converter = converter_of(registry.url)
    topic = f"texts-{list(TEXTS).index(name)}"
    registered = converter._registered(f"{topic}-value", converter._declared(TEXTS[name][0]), TEXTS[name][0])
    assert registry.get(f"/schemas/ids/{registered.id}")["schema"]
    converter.close()


def test_schemas_evolve_and_what_is_not_compatible_is_refused(registry):
    converter = converter_of(registry.url)
    more = SchemaBuilder.struct().name("geo.Point").field("x", Schema.INT32_SCHEMA).field("y", Schema.INT32_SCHEMA)
    wider = more.field("z", Schema.OPTIONAL_STRING_SCHEMA).build()
    one = converter.from_connect_data("evolving-points", POINT, Struct(POINT, x=1, y=2))
    two = converter.from_connect_data("evolving-points", wider, Struct(wider, x=1, y=2, z="up"))
    assert [converter.to_connect_data("evolving-points", each).schema.version for each in (one, two)] == [1, 2]
    other = SchemaBuilder.struct().name("geo.Point").field("x", Schema.STRING_SCHEMA).build()
    with pytest.raises(DataError, match="409"):
        converter.from_connect_data("evolving-points", other, Struct(other, x="1"))
    bad = SchemaBuilder.struct().name("not a name").field("x", Schema.INT32_SCHEMA).build()
    with pytest.raises(DataError, match="422"):
        converter.from_connect_data("bad", bad, Struct(bad, x=1))
    with pytest.raises(DataError, match="404"):
        converter.to_connect_data("evolving-points", b"\0\0\xff\xff\xff\0")
    converter.close()


def test_a_decimal_of_negative_scale_is_registered(registry):
    converter = converter_of(registry.url)
    schema = SchemaBuilder.struct().name("n").field("d", Decimal.schema(-2)).build()
    declared = converter._declared(schema)
    assert converter._registered("negative-value", declared, schema).id > 0
    converter.close()


def test_a_registry_that_is_not_there_is_worth_another_try():
    converter = converter_of("http://127.0.0.1:9", max_retries="0")
    with pytest.raises(RetriableError, match=r"127\.0\.0\.1:9"):
        converter.from_connect_data("t", POINT, Struct(POINT, x=1, y=2))
    converter.close()
