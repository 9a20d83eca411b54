"""`JsonSchemaConverter` against our registry: what it registers is JSON Schema, and others read and write with it."""

from __future__ import annotations

import json

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.unit.connect.converters.test_json_schema import OTHERS, POINT, TEXTS

from moldau.connect.converters.json_schema import JsonSchemaConverter
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.errors import DataError

OWN = {
    name: schema for name, schema in OTHERS.items() if name != "properties"
} | {"properties": {name: each for name, each in OTHERS["properties"].items() if name != "lines"}}  # fmt: skip


@pytest.fixture
def converter(registry):
    made = JsonSchemaConverter()
    made.configure({"schema.registry.url": registry.url})
    yield made
    made.close()


def test_others_read_what_it_writes_and_it_reads_what_they_write(registry, converter):
    client = SchemaRegistryClient({"url": registry.url})
    written = converter.from_connect_data("json-points", POINT, Struct(POINT, x=1, y=-2))
    reader = JSONDeserializer(None, schema_registry_client=client)
    assert reader(written, SerializationContext("json-points", MessageField.VALUE)) == {"x": 1, "y": -2}
    value = {"id": 7, "price": 1.5, "color": "red", "at": {"x": 1}}
    theirs = JSONSerializer(json.dumps(OWN), client)(value, SerializationContext("theirs-json", MessageField.VALUE))
    found = converter.to_connect_data("theirs-json", theirs)
    assert (found.value["id"], found.value["color"], found.value["at"]["x"]) == (7, "red", 1)
    assert found.schema.version == 1


@pytest.mark.parametrize("name", TEXTS)
def test_the_registry_keeps_every_schema_to_the_letter(registry, converter, name):
    schema, text = TEXTS[name]
    declared = converter._declared(schema)
    registered = converter._registered(f"json-texts-{list(TEXTS).index(name)}-value", declared, schema)
    assert registry.get(f"/schemas/ids/{registered.id}")["schema"] == text


def test_a_schema_that_is_not_compatible_is_refused(converter):
    converter.from_connect_data("json-evolving", POINT, Struct(POINT, x=1, y=2))
    other = SchemaBuilder.struct().name("geo.Point").field("x", Schema.STRING_SCHEMA).build()
    with pytest.raises(DataError, match="409"):
        converter.from_connect_data("json-evolving", other, Struct(other, x="1"))
