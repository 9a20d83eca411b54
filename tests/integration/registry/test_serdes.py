"""Our Avro serializers and confluent-kafka's, each reading what the other wrote, through a registry and a topic."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from confluent_kafka import DeserializingConsumer, SerializingProducer
from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
    record_subject_name_strategy,
)
from confluent_kafka.schema_registry import avro as theirs
from confluent_kafka.schema_registry._async import avro as async_theirs
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from moldau.client import serdes

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "com.myco.ecommerce",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "amount_cents", "type": "long"},
        {"name": "status", "type": {"type": "enum", "name": "OrderStatus", "symbols": ["PENDING", "COMPLETED"]}},
        {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {
            "name": "metadata",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Meta",
                    "fields": [
                        {"name": "ip", "type": "string"},
                        {"name": "ua", "type": ["null", "string"], "default": None},
                    ],
                },
            ],
            "default": None,
        },
    ],
}
TEXT = json.dumps(ORDER)
VALUE = {
    "order_id": "o-1",
    "amount_cents": 2**62 + 1,
    "status": "PENDING",
    "created_at": dt.datetime(2026, 11, 25, 12, 30, 45, 123000, tzinfo=dt.UTC),
    "total": Decimal("-1234567890.01"),
    "tags": ["a", "ä"],
    "metadata": {"ip": "10.0.0.1", "ua": None},
}


class Status(enum.Enum):
    PENDING = "PENDING"
    COMPLETED = "COMPLETED"


@dataclasses.dataclass
class Meta:
    ip: str
    ua: str | None = None


class Order(msgspec.Struct):
    order_id: str
    amount_cents: int
    status: Status
    created_at: dt.datetime
    total: Decimal
    tags: list[str]
    metadata: Meta | None = None


@pytest.fixture
def client(registry) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": registry.url})


@pytest.fixture
def context(request) -> SerializationContext:
    return SerializationContext(request.node.name.replace("[", "-").strip("]"), MessageField.VALUE, headers=[])


def struct(kind: type = Order) -> Any:
    return kind(**{**VALUE, "status": Status.PENDING, "metadata": Meta("10.0.0.1")})


def test_theirs_reads_what_ours_wrote_and_ours_what_theirs_wrote(client, context):
    ours, other = serdes.AvroSerializer(client, TEXT), theirs.AvroSerializer(client, TEXT)
    assert ours(VALUE, context) == other(VALUE, context)
    assert theirs.AvroDeserializer(client)(ours(VALUE, context), context) == VALUE
    assert serdes.AvroDeserializer(client)(other(VALUE, context), context) == VALUE


def test_the_guid_goes_in_a_header_both_ways(client, context):
    conf = {"schema.id.serializer": header_schema_id_serializer}
    content = serdes.AvroSerializer(client, TEXT, conf=conf)(VALUE, context)
    assert [name for name, _ in context.headers] == ["__value_schema_id"]
    assert theirs.AvroDeserializer(client)(content, context) == VALUE
    assert serdes.AvroDeserializer(client)(content, context) == VALUE


def test_records_are_classes_at_both_ends(client, context):
    order = struct()
    content = serdes.AvroSerializer(client, TEXT)(order, context)
    assert content == theirs.AvroSerializer(client, TEXT)(VALUE, context)
    assert serdes.AvroDeserializer(client, into=Order)(content, context) == order


def test_a_class_with_more_than_the_writer_knows_takes_its_own_defaults(client, context):
    class Later(Order):
        region: str = "EU"

    content = serdes.AvroSerializer(client, TEXT)(VALUE, context)
    read = serdes.AvroDeserializer(client, into=Later)(content, context)
    assert (read.region, read.order_id, read.metadata) == ("EU", "o-1", Meta("10.0.0.1"))


def test_a_reader_schema_sees_its_own_fields(client, context):
    reader = {
        "type": "record",
        "name": "Order",
        "namespace": "com.myco.ecommerce",
        "fields": [
            {"name": "id", "aliases": ["order_id"], "type": "string"},
            {"name": "amount_cents", "type": "double"},
            {"name": "region", "type": "string", "default": "EU"},
        ],
    }
    content = theirs.AvroSerializer(client, TEXT)(VALUE, context)
    expected = {"id": "o-1", "amount_cents": float(2**62 + 1), "region": "EU"}
    assert serdes.AvroDeserializer(client, json.dumps(reader))(content, context) == expected
    assert theirs.AvroDeserializer(client, json.dumps(reader))(content, context) == expected


def test_references_are_followed_and_each_fetched_once(client, registry, context):
    def record(name: str, *types: str) -> dict[str, Any]:
        fields = [{"name": f"f{index}", "type": kind} for index, kind in enumerate(types)]
        return {"type": "record", "name": name, "namespace": "net", "fields": fields}

    topic = context.topic
    registry.register(f"{topic}-base", record("Base", "int"))
    base = SchemaReference("net.Base", f"{topic}-base", 1)
    references = [base]
    for side in ("Left", "Right"):
        more = [{"name": base.name, "subject": base.subject, "version": base.version}]
        registry.register(f"{topic}-{side}", record(side, "net.Base"), references=more)
        references.append(SchemaReference(f"net.{side}", f"{topic}-{side}", 1))
    schema = Schema(json.dumps(record("Whole", "net.Left", "net.Right", "net.Base")), "AVRO", references)
    value = {"f0": {"f0": {"f0": 1}}, "f1": {"f0": {"f0": 2}}, "f2": {"f0": 3}}
    content = serdes.AvroSerializer(client, schema)(value, context)
    assert serdes.AvroDeserializer(client)(content, context) == value
    assert theirs.AvroDeserializer(client)(content, context) == value


def test_the_latest_version_is_written_without_a_schema_of_ones_own(client, registry, context):
    registry.register(f"{context.topic}-value", ORDER)
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    content = serdes.AvroSerializer(client, None, conf=conf)(VALUE, context)
    assert serdes.AvroDeserializer(client, conf={"use.latest.version": True})(content, context) == VALUE


def test_a_schema_that_nobody_registered_is_refused_when_none_shall_be(client, context):
    serializer = serdes.AvroSerializer(client, TEXT, conf={"auto.register.schemas": False})
    with pytest.raises(SchemaRegistryError):
        serializer(VALUE, context)


def test_subjects_are_named_by_the_strategy_that_was_asked_for(client, registry, context):
    conf = {"subject.name.strategy": record_subject_name_strategy}
    serdes.AvroSerializer(client, TEXT, conf=conf)(VALUE, context)
    assert "com.myco.ecommerce.Order" in registry.get("/subjects")


def test_rules_of_a_schema_are_left_to_their_serializer(client, context):
    registered = client.register_schema_full_response(
        f"{context.topic}-value",
        Schema.from_dict({"schema": TEXT, "schemaType": "AVRO", "ruleSet": {"domainRules": [_RULE]}}),
    )
    assert registered.schema_id
    conf = {"auto.register.schemas": False, "use.latest.version": True}
    for kind in (theirs.AvroSerializer, serdes.AvroSerializer):
        with pytest.raises(SerializationError) as caught:
            kind(client, None, conf=conf)(VALUE, context)
        assert "NOBODY" in repr(caught.value.__cause__)


_RULE = {"name": "unknown", "kind": "CONDITION", "mode": "WRITE", "type": "NOBODY", "expr": "true"}


def test_bytes_and_primitive_schemas_are_written_as_theirs_are(client, context):
    cases = ('"bytes"', b"\0\1"), ('"string"', "ä"), ('{"type": "long"}', 2**40)
    for number, (text, value) in enumerate(cases):
        place = SerializationContext(f"{context.topic}-{number}", MessageField.KEY)
        written = serdes.AvroSerializer(client, text)(value, place)
        assert written == theirs.AvroSerializer(client, text)(value, place)
        assert serdes.AvroDeserializer(client)(written, place) == value


def test_null_stays_null(client, context):
    assert serdes.AvroSerializer(client, TEXT)(None, context) is None
    assert serdes.AvroDeserializer(client)(None, context) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes are too few"),
        (b"\0\0\0", "3 bytes are too few"),
        (b'{"order_id": "o-1"}', "begins with byte 123"),
    ],
)
def test_what_was_written_without_a_registry_is_told(client, context, content, said):
    with pytest.raises(SerializationError, match=said):
        serdes.AvroDeserializer(client)(content, context)


def test_a_schema_that_the_registry_does_not_know_is_told(client, context):
    with pytest.raises(SchemaRegistryError, match="404"):
        serdes.AvroDeserializer(client)(b"\0\x7f\0\0\0abc", context)


def test_a_value_that_does_not_fit_is_told_with_its_path(client, context):
    with pytest.raises(serdes.AvroError, match=r"metadata\.ip: 5 \(int\) is no string") as caught:
        serdes.AvroSerializer(client, TEXT)({**VALUE, "metadata": {"ip": 5}}, context)
    assert caught.value.path == "metadata.ip"
    whole = serdes.AvroSerializer(client, TEXT)(VALUE, context)
    with pytest.raises(serdes.AvroError, match="tags") as caught:
        serdes.AvroDeserializer(client)(whole[:-16], context)
    assert caught.value.offset is not None


@pytest.mark.parametrize(
    "conf", [{"auto.register": True}, {"auto.register.schemas": "yes"}, {"use.latest.version": True}]
)
def test_settings_are_checked_as_theirs_are(client, conf):
    for kind in (serdes.AvroSerializer, theirs.AvroSerializer):
        with pytest.raises(ValueError, match=r"auto\.register"):
            kind(client, TEXT, conf=conf)


def test_they_go_into_producers_and_consumers_of_confluent_kafka(client, registry_broker):
    topic = f"serdes-{uuid.uuid4()}"
    bootstrap = {"bootstrap.servers": registry_broker.bootstrap_servers}
    producer = SerializingProducer(
        {
            **bootstrap,
            "key.serializer": serdes.AvroSerializer(client, '"string"'),
            "value.serializer": serdes.AvroSerializer(client, TEXT),
        }
    )
    producer.produce(topic, key="o-1", value=struct())
    assert producer.flush(30) == 0
    consumer = DeserializingConsumer(
        {
            **bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "key.deserializer": serdes.AvroDeserializer(client),
            "value.deserializer": serdes.AvroDeserializer(client, into=Order),
        }
    )
    consumer.subscribe([topic])
    message = None
    for _ in range(60):
        message = consumer.poll(0.5) if message is None else message
    consumer.close()
    assert (message.key(), message.value()) == ("o-1", struct())


def test_the_asyncio_twins_do_the_same(registry, client, context):
    async def there_and_back() -> tuple[Any, Any]:
        registry_client = AsyncSchemaRegistryClient({"url": registry.url})
        content = await (await serdes.AsyncAvroSerializer(registry_client, TEXT))(VALUE, context)
        read = await serdes.AsyncAvroDeserializer(registry_client, into=Order)(content, context)
        other = await async_theirs.AsyncAvroDeserializer(registry_client)
        assert await other(content, context) == VALUE
        return content, read

    content, read = asyncio.run(there_and_back())
    assert read == struct()
    assert serdes.AvroDeserializer(client)(content, context) == VALUE
