"""`ProtobufConverter` against our registry: what it registers is Protobuf, and others read and write with it."""

from __future__ import annotations

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.message_factory import GetMessageClass
from google.type.date_pb2 import Date
from tests.unit.connect.converters.test_protobuf import POINT, TEXTS, lines

from moldau.client.serdes.protobuf_files import linked
from moldau.connect.converters.protobuf import ProtobufConverter
from moldau.connect.converters.protobuf_from_connect import file_of
from moldau.connect.converters.protobuf_names import ProtobufSettings
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.errors import DataError


@pytest.fixture
def converter(registry):
    made = ProtobufConverter()
    made.configure({"schema.registry.url": registry.url})
    yield made
    made.close()


def test_others_read_what_it_writes_and_it_reads_what_they_write(registry, converter):
    client = SchemaRegistryClient({"url": registry.url})
    written = converter.from_connect_data("proto-points", POINT, Struct(POINT, x=1, y=-2))
    point = GetMessageClass(linked([file_of(POINT, ProtobufSettings())[0]]).message_types_by_name["Point"])
    reader = ProtobufDeserializer(point, {"use.deprecated.format": False}, client)
    assert reader(written, SerializationContext("proto-points", MessageField.VALUE)) == point(x=1, y=-2)
    serializer = ProtobufSerializer(Date, client, {"use.deprecated.format": False})
    theirs = serializer(Date(year=2024, month=2, day=29), SerializationContext("theirs-proto", MessageField.VALUE))
    found = converter.to_connect_data("theirs-proto", theirs)
    assert dict(found.value.items()) == {"year": 2024, "month": 2, "day": 29}
    assert (found.schema.name, found.schema.version) == ("Date", 1)


@pytest.mark.parametrize("name", TEXTS)
def test_the_registry_keeps_every_schema_as_its_text(registry, converter, name):
    schema, text = TEXTS[name]
    declared = converter._declared(schema)
    registered = converter._registered(f"proto-texts-{list(TEXTS).index(name)}-value", declared, schema)
    assert lines(registry.get(f"/schemas/ids/{registered.id}")["schema"]) == lines(text)


def test_small_integers_come_back_through_the_registry(converter):
    schema = TEXTS["small integers"][0]
    written = converter.from_connect_data("proto-small", schema, Struct(schema, a=5))
    found = converter.to_connect_data("proto-small", written)
    assert found.schema.field("a").schema.type is Schema.INT8_SCHEMA.type
    assert found.value["a"] == 5


def test_a_schema_that_is_not_compatible_is_refused(converter):
    converter.from_connect_data("proto-evolving", POINT, Struct(POINT, x=1, y=2))
    other = SchemaBuilder.struct().name("geo.Point").field("x", Schema.STRING_SCHEMA).build()
    with pytest.raises(DataError, match="409"):
        converter.from_connect_data("proto-evolving", other, Struct(other, x="1"))
