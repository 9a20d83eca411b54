"""Protobuf from end to end: confluent-kafka's serializers, texts as Java's send them, and what a change is told."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry._async.protobuf import AsyncProtobufDeserializer, AsyncProtobufSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from moldau.registry.languages import LANGUAGES, ResolvedReference

CUSTOMER = 'syntax = "proto3"; package people; message Customer { string name = 1; }'
ORDER = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "customer.proto";
message Order {
  string id = 1;
  map<string, Line> lines = 2;
  google.protobuf.Timestamp at = 3;
  people.Customer by = 4;
  oneof paid { string card = 5; Cash cash = 6; }
  optional int32 discount = 7;
  message Line { int64 cents = 1; }
}
message Cash { bool exact = 1; }
"""
PLAIN = 'syntax = "proto3"; package shop; message Order { string id = 1; int32 cents = 2; }'


@pytest.fixture
def client(registry) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": registry.url})


def value_of(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE, headers=[])


def compiled(text: str, name: str, **references: str) -> Any:
    """The class of a message, as protoc's output would give it."""
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    known: list[ResolvedReference] = []
    for path, source in [*references.items(), ("main", text)]:
        parsed = LANGUAGES["PROTOBUF"].parse(source, known, strict=True)
        file = FileDescriptorProto.FromString(base64.b64decode(parsed.formatted("serialized")))
        file.name = f"{path}.proto"
        pool.Add(file)
        known.append(ResolvedReference(file.name, source))
    return GetMessageClass(pool.FindMessageTypeByName(name))


def order() -> Any:
    kind = compiled(ORDER, "shop.Order", customer=CUSTOMER)
    value = kind(id="a", discount=0, card="visa")
    value.lines["tea"].cents = 2**62
    value.at.seconds = 7
    value.by.name = "Ann"
    return value


def test_the_default_serializer_registers_its_imports_and_reads_itself_back(client, registry):
    value, context = order(), value_of("orders-default")
    content = ProtobufSerializer(type(value), client)(value, context)
    assert ProtobufDeserializer(type(value), {}, client)(content, context) == value
    stored = registry.get("/subjects/orders-default-value/versions/1")
    assert stored["references"] == [{"name": "customer.proto", "subject": "customer.proto", "version": 1}]
    assert stored["schema"].startswith('syntax = "proto3";\npackage shop;\n\nimport "google/protobuf/timestamp.proto";')


def test_known_types_can_be_registered_as_well(client, registry):
    value, context = order(), value_of("orders-known")
    content = ProtobufSerializer(type(value), client, {"skip.known.types": False})(value, context)
    assert ProtobufDeserializer(type(value), {}, client)(content, context) == value
    names = [each["name"] for each in registry.get("/subjects/orders-known-value/versions/1")["references"]]
    assert names == ["google/protobuf/timestamp.proto", "customer.proto"]


def test_the_second_message_and_a_nested_one_are_found_by_their_place(client):
    for name, topic in (("shop.Cash", "second"), ("shop.Order.Line", "nested")):
        kind = compiled(ORDER, name, customer=CUSTOMER)
        value = kind(**({"exact": True} if name == "shop.Cash" else {"cents": 5}))
        content = ProtobufSerializer(kind, client)(value, value_of(topic))
        assert ProtobufDeserializer(kind, {}, client)(content, value_of(topic)) == value


def test_without_automatic_registration_the_text_of_java_is_found(client, registry):
    client.register_schema("customer-by-hand", Schema(CUSTOMER, "PROTOBUF"))
    reference = SchemaReference("customer.proto", "customer-by-hand", 1)
    schema_id = client.register_schema("by-hand-value", Schema(ORDER, "PROTOBUF", [reference]))
    value, context = order(), value_of("by-hand")
    settings = {
        "auto.register.schemas": False,
        "reference.subject.name.strategy": lambda context, file: "customer-by-hand",
    }
    content = ProtobufSerializer(type(value), client, settings)(value, context)
    assert int.from_bytes(content[1:5], "big") == schema_id
    assert ProtobufDeserializer(type(value), {}, client)(content, context) == value


def test_a_text_and_a_descriptor_are_one_version_with_one_id(client, registry):
    text_id = client.register_schema("both-value", Schema(PLAIN, "PROTOBUF"))
    kind = compiled(PLAIN, "shop.Order")
    content = ProtobufSerializer(kind, client)(kind(id="x"), value_of("both"))
    assert int.from_bytes(content[1:5], "big") == text_id
    assert registry.get("/subjects/both-value/versions") == [1]
    normal = {"normalize.schemas": True}
    ids = set()
    for topic, schema in (("normal-text", PLAIN), ("normal-descriptor", None)):
        if schema is not None:
            ids.add(client.register_schema(f"{topic}-value", Schema(schema, "PROTOBUF"), normalize_schemas=True))
        else:
            content = ProtobufSerializer(kind, client, normal)(kind(id="x"), value_of(topic))
            ids.add(int.from_bytes(content[1:5], "big"))
    assert len(ids) == 1


def test_the_latest_version_is_used_if_asked_for(client, registry):
    newer = PLAIN.replace("int32 cents = 2;", "int32 cents = 2; string region = 3;")
    registry.register("latest-order-value", PLAIN, schemaType="PROTOBUF")
    latest = registry.register("latest-order-value", newer, schemaType="PROTOBUF")
    kind = compiled(PLAIN, "shop.Order")
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    content = ProtobufSerializer(kind, client, settings)(kind(id="x"), value_of("latest-order"))
    assert int.from_bytes(content[1:5], "big") == latest
    reader = compiled(newer, "shop.Order")
    read = ProtobufDeserializer(reader, {"use.latest.version": True}, client)(content, value_of("latest-order"))
    assert read == reader(id="x")


def test_the_asynchronous_client_does_the_same(registry):
    async def scenario() -> None:
        client = AsyncSchemaRegistryClient({"url": registry.url})
        value, context = order(), value_of("orders-async")
        serialize = await AsyncProtobufSerializer(type(value), client)
        deserialize = await AsyncProtobufDeserializer(type(value), {}, client)
        assert await deserialize(await serialize(value, context), context) == value

    asyncio.run(scenario())


def test_the_guid_goes_in_a_header(client):
    kind, context = compiled(PLAIN, "shop.Order"), value_of("header-order")
    serialize = ProtobufSerializer(kind, client, {"schema.id.serializer": header_schema_id_serializer})
    content = serialize(kind(id="long enough"), context)
    # Type, 16 bytes, and where in the file the message is.
    assert context.headers[0][0] == "__value_schema_id"
    assert ProtobufDeserializer(kind, {}, client)(content, context) == kind(id="long enough")


def test_a_change_is_allowed_or_refused_with_its_reason(client):
    subject = "evolving-order-value"
    client.register_schema(subject, Schema(PLAIN, "PROTOBUF"))
    client.register_schema(subject, Schema(PLAIN.replace("int32", "int64"), "PROTOBUF"))
    with pytest.raises(SchemaRegistryError) as refusal:
        client.register_schema(subject, Schema(PLAIN.replace("int32", "string"), "PROTOBUF"))
    assert (refusal.value.http_status_code, refusal.value.error_code) == (409, 40901)
    assert "FIELD_SCALAR_KIND_CHANGED" in refusal.value.error_message
    assert "the field 'cents' was written as int64" in refusal.value.error_message
    assert not client.test_compatibility(subject, Schema(PLAIN.replace("Order", "Sale"), "PROTOBUF"))


def test_a_changed_import_is_compared_too(client):
    client.register_schema("imported", Schema(CUSTOMER, "PROTOBUF"))
    client.set_compatibility("imported", "NONE")
    client.register_schema("imported", Schema(CUSTOMER.replace("string", "int32"), "PROTOBUF"))
    text = 'syntax = "proto3"; import "customer.proto"; message Order { people.Customer by = 1; }'
    versions = [Schema(text, "PROTOBUF", [SchemaReference("customer.proto", "imported", each)]) for each in (1, 2)]
    client.register_schema("importing", versions[0])
    assert not client.test_compatibility("importing", versions[1])


def test_what_is_no_schema_is_refused_with_its_place(registry):
    body = {"schema": 'syntax = "proto3";\nmessage A {\n  string a = 1\n}', "schemaType": "PROTOBUF"}
    answer = registry.ask("POST", "/subjects/broken/versions", body)
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42201)
    assert "line 4, column 1: expected ';'" in answer.json()["message"]


def test_every_form_of_a_schema_can_be_asked_for(registry):
    schema_id = registry.register("forms", PLAIN, schemaType="PROTOBUF")
    text = registry.get(f"/schemas/ids/{schema_id}")["schema"]
    assert text.splitlines()[:2] == ['syntax = "proto3";', "package shop;"]
    serialized = registry.get(f"/schemas/ids/{schema_id}?format=serialized")["schema"]
    assert FileDescriptorProto.FromString(base64.b64decode(serialized)).message_type[0].name == "Order"
    looked_up = registry.ask("POST", "/subjects/forms", {"schema": serialized, "schemaType": "PROTOBUF"})
    assert looked_up.json()["id"] == schema_id
