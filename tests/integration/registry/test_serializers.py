"""confluent-kafka's serializers in their default configuration, against our registry, through a topic."""

from __future__ import annotations

import asyncio
import json

import pytest
from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry._async.avro import AsyncAvroDeserializer, AsyncAvroSerializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "string"}, {"name": "cents", "type": "long"}],
}
VALUE = {"id": "a", "cents": 2**62}


@pytest.fixture
def client(registry) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": registry.url})


def value_of(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE, headers=[])


def test_avro_goes_there_and_back_with_the_id_before_the_payload(client, registry):
    context = value_of("avro-topic")
    content = AvroSerializer(client, json.dumps(ORDER))(VALUE, context)
    (version,) = registry.get("/subjects/avro-topic-value/versions")
    schema_id = registry.get(f"/subjects/avro-topic-value/versions/{version}")["id"]
    assert content[:5] == b"\0" + schema_id.to_bytes(4, "big")
    assert AvroDeserializer(client)(content, context) == VALUE


def test_json_goes_there_and_back(client):
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Order",
        "type": "object",
        "properties": {"id": {"type": "string"}, "cents": {"type": "integer"}},
        "required": ["id"],
    }
    context = value_of("json-topic")
    content = JSONSerializer(json.dumps(schema), client)(VALUE, context)
    assert JSONDeserializer(None, schema_registry_client=client)(content, context) == VALUE


def test_the_guid_goes_in_a_header(client):
    context = value_of("header-topic")
    serialize = AvroSerializer(client, json.dumps(ORDER), conf={"schema.id.serializer": header_schema_id_serializer})
    content = serialize(VALUE, context)
    assert context.headers[0][0] == "__value_schema_id"
    assert len(context.headers[0][1]) == 17
    assert AvroDeserializer(client)(content, context) == VALUE


def test_the_asynchronous_client_does_the_same(registry):
    async def scenario() -> None:
        client = AsyncSchemaRegistryClient({"url": registry.url})
        context = value_of("async-topic")
        serialize = await AsyncAvroSerializer(client, json.dumps(ORDER))
        deserialize = await AsyncAvroDeserializer(client)
        assert await deserialize(await serialize(VALUE, context), context) == VALUE

    asyncio.run(scenario())


def test_without_automatic_registration_the_schema_must_be_there(client, registry):
    settings = {"auto.register.schemas": False}
    with pytest.raises(SchemaRegistryError) as refusal:
        AvroSerializer(client, json.dumps(ORDER), conf=settings)(VALUE, value_of("unregistered"))
    assert refusal.value.error_code == 40401
    client.register_schema("unregistered-value", Schema(json.dumps(ORDER), "AVRO"))
    assert AvroSerializer(SchemaRegistryClient({"url": registry.url}), json.dumps(ORDER), conf=settings)(
        VALUE, value_of("unregistered")
    )


def test_the_latest_version_is_used_if_asked_for(client):
    client.register_schema("latest-value", Schema(json.dumps(ORDER), "AVRO"))
    newer = {**ORDER, "fields": [*ORDER["fields"], {"name": "region", "type": "string", "default": "US"}]}
    client.register_schema("latest-value", Schema(json.dumps(newer), "AVRO"))
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    content = AvroSerializer(client, json.dumps(ORDER), conf=settings)(VALUE, value_of("latest"))
    assert AvroDeserializer(client)(content, value_of("latest")) == {**VALUE, "region": "US"}


def test_references_are_followed(client):
    customer = {"type": "record", "name": "Customer", "fields": [{"name": "id", "type": "long"}]}
    order = {"type": "record", "name": "Order", "fields": [{"name": "by", "type": "Customer"}]}
    client.register_schema("customer", Schema(json.dumps(customer), "AVRO"))
    schema = Schema(json.dumps(order), "AVRO", [SchemaReference("Customer", "customer", 1)])
    content = AvroSerializer(client, schema)({"by": {"id": 7}}, value_of("referring"))
    assert AvroDeserializer(client)(content, value_of("referring")) == {"by": {"id": 7}}


def test_an_incompatible_schema_is_refused_and_the_client_says_why(client):
    AvroSerializer(client, json.dumps(ORDER))(VALUE, value_of("evolving"))
    broken = {**ORDER, "fields": [*ORDER["fields"], {"name": "region", "type": "string"}]}
    with pytest.raises(SchemaRegistryError) as refusal:
        AvroSerializer(client, json.dumps(broken))({**VALUE, "region": "EU"}, value_of("evolving"))
    assert (refusal.value.http_status_code, refusal.value.error_code) == (409, 40901)
    assert "region" in refusal.value.error_message
    assert not client.test_compatibility("evolving-value", Schema(json.dumps(broken), "AVRO"))


def test_every_call_of_the_client_is_answered(client):
    schema = Schema(json.dumps(ORDER), "AVRO")
    schema_id = client.register_schema("calls", schema)
    registered = client.register_schema_full_response("calls", schema)
    assert (registered.schema_id, registered.version) == (schema_id, 1)
    assert client.get_schema(schema_id).schema_str == client.get_schema_by_guid(registered.guid).schema_str
    assert client.get_schema_types() == ["JSON", "PROTOBUF", "AVRO"]
    assert "calls" in client.get_subjects()
    assert "calls" in client.get_subjects_by_schema_id(schema_id)
    assert any(each.subject == "calls" for each in client.get_schema_versions(schema_id))
    assert client.lookup_schema("calls", schema).version == 1
    assert client.get_latest_version("calls").version == client.get_version("calls", 1).version == 1
    assert client.get_versions("calls") == [1]
    assert client.get_referenced_by("calls", 1) == []
    assert client.set_compatibility("calls", "FULL") == {"compatibility": "FULL"}
    assert client.get_compatibility("calls") == "FULL"
    assert client.get_contexts()[0] == "."
    assert client.delete_version("calls", 1) == 1
    assert client.delete_subject("calls", permanent=True) == [1]
