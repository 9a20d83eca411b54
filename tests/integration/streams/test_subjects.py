"""Subjects of a schema registry as types of topics: what other clients read and write, in three formats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

import msgspec
import pydantic
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import T0

from moldau.client.serdes import (
    AvroDeserializer,
    AvroSerializer,
    JSONDeserializer,
    JSONSerializer,
    MessageField,
    ProtobufDeserializer,
    ProtobufSerializer,
    Schema,
    SchemaRegistryClient,
    SerializationContext,
)
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings
from moldau.streams import StreamsBuilder, Subject, SubjectError, TopologyTestDriver

AVRO = """
{"type": "record", "name": "Order", "fields": [
  {"name": "customer", "type": "string"}, {"name": "amount", "type": "double"}%s]}
"""
JSON = """
{"type": "object", "title": "Order", "required": ["customer", "amount"],
 "properties": {"customer": {"type": "string"}, "amount": {"type": "number"}}}
"""
PROTOBUF = 'syntax = "proto3"; package shop; message Order { string customer = 1; double amount = 2; }'


@dataclass(frozen=True)
class Data:
    customer: str
    amount: float


class Struct(msgspec.Struct):
    customer: str
    amount: float


class Model(pydantic.BaseModel):
    customer: str
    amount: float


class Row(TypedDict):
    customer: str
    amount: float


@pytest.fixture(scope="module")
def registry(streams_broker):
    with RegistryThread(RegistrySettings(streams_broker.bootstrap_servers, port=0)) as running:
        client = SchemaRegistryClient({"url": running.url})
        client.url = running.url
        yield client


@pytest.fixture
def subject(registry, request):
    """A name for a subject that no other test has."""
    return f"{request.node.name}-value".replace("[", "-").replace("]", "").replace(" ", "-")


def doubled(subject, kind, double, registry):
    """A topology that keeps the newest order per customer in a store, and writes it with twice the amount."""
    of_orders = Subject(subject, kind, registry=registry.url)
    builder = StreamsBuilder()
    table = builder.table("orders", value=of_orders, store="orders-by-key")
    table.map_values(double, value=of_orders, store="doubled").to("doubled")
    return builder.build()


def through(topology, data):
    with TopologyTestDriver(topology, "app") as driver:
        driver.pipe("orders", b"k", data, 0)
        assert [one[1] for one in driver.changelogs["app-orders-by-key-changelog"]] == [data]
        return driver.produced("doubled")[-1].value


def context(topic="orders"):
    return SerializationContext(topic, MessageField.VALUE, headers=[])


def named(subject):
    return {"subject.name.strategy": lambda *_: subject}


def twice(order):
    if isinstance(order, dict):
        return {**order, "amount": order["amount"] * 2}
    if isinstance(order, Model):
        return order.model_copy(update={"amount": order.amount * 2})
    return type(order)(order.customer, order.amount * 2)


@pytest.mark.parametrize("kind", [None, Row, Data, Struct, Model], ids=lambda kind: getattr(kind, "__name__", "dict"))
def test_avro_of_other_clients_comes_in_and_goes_out_as_a_class(registry, subject, kind):
    registry.register_schema(subject, Schema(AVRO % "", "AVRO"))
    sent = AvroSerializer(registry, AVRO % "", conf=named(subject))({"customer": "ada", "amount": 1.5}, context())
    written = through(doubled(subject, kind, twice, registry), sent)
    assert AvroDeserializer(registry)(written, context()) == {"customer": "ada", "amount": 3.0}


@pytest.mark.parametrize("kind", [None, Row, Data, Struct, Model], ids=lambda kind: getattr(kind, "__name__", "dict"))
def test_json_of_other_clients_comes_in_and_goes_out_as_a_class(registry, subject, kind):
    registry.register_schema(subject, Schema(JSON, "JSON"))
    sent = JSONSerializer(JSON, registry, conf=named(subject))({"customer": "ada", "amount": 1.5}, context())
    written = through(doubled(subject, kind, twice, registry), sent)
    read = JSONDeserializer(None, None, registry, named(subject))
    assert read(written, context()) == {"customer": "ada", "amount": 3.0}


def test_protobuf_of_other_clients_comes_in_and_goes_out_as_the_class_of_its_message(registry, subject):
    def double(order):
        return kind(customer=order.customer, amount=order.amount * 2)

    kind = message()
    registry.register_schema(subject, Schema(PROTOBUF, "PROTOBUF"))
    write = ProtobufSerializer(
        kind, registry, {**named(subject), "auto.register.schemas": False, "use.latest.version": True}
    )
    written = through(doubled(subject, kind, double, registry), write(kind(customer="ada", amount=1.5), context()))
    assert ProtobufDeserializer(kind, {}, SchemaRegistryClient({"url": registry.url}))(written, context()) == kind(
        customer="ada", amount=3.0
    )
    with pytest.raises(Exception, match="cannot be read") as failure:
        through(doubled(subject, Data, twice, registry), written)
    assert "is Protobuf, and" in str(failure.value.__cause__)


def message():
    fields = [
        FieldDescriptorProto(name="customer", number=1, type=9, label=1),
        FieldDescriptorProto(name="amount", number=2, type=1, label=1),
    ]
    order = DescriptorProto(name="Order", field=fields)
    file = FileDescriptorProto(name="order.proto", package="shop", syntax="proto3", message_type=[order])
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def test_what_was_written_with_an_older_schema_is_seen_as_the_newest_one(registry, subject):
    old, new = AVRO % "", AVRO % ', {"name": "currency", "type": "string", "default": "EUR"}'
    sent = AvroSerializer(registry, old, conf=named(subject))({"customer": "ada", "amount": 1.5}, context())
    registry.register_schema(subject, Schema(new, "AVRO"))
    seen = []
    builder = StreamsBuilder()
    builder.stream("orders", value=Subject(subject, registry=registry.url)).for_each(seen.append)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe("orders", b"k", sent, 0)
    assert seen == [{"customer": "ada", "amount": 1.5, "currency": "EUR"}]


def test_a_subject_that_nobody_registered_says_what_to_do(registry, subject):
    with pytest.raises(SubjectError, match=rf"subject {subject} cannot be found: .*\nhint: register it"):
        Subject(subject, Data, registry=registry.url).serialize(Data("ada", 1.0))


def test_the_registry_is_the_one_of_the_environment_unless_it_is_named(registry, subject, monkeypatch, streams_broker):
    with RegistryThread(RegistrySettings(streams_broker.bootstrap_servers, port=0)) as running:
        monkeypatch.setenv("MOLDAU_REGISTRY_URL", running.url)
        registry.register_schema(subject, Schema(AVRO % "", "AVRO"))
        for of_orders in (Subject(subject, Data), Subject(subject, Data, registry={"url": running.url})):
            assert of_orders.deserialize(of_orders.serialize(Data("ada", 1.0))) == Data("ada", 1.0)


def test_an_application_goes_on_from_a_changelog_under_the_subject(registry, subject, cluster):
    registry.register_schema(subject, Schema(AVRO % "", "AVRO"))
    cluster.create(1, "avro-orders", "avro-sums")
    write = AvroSerializer(registry, AVRO % "", conf=named(subject))
    sent = write({"customer": "ada", "amount": 1.5}, context("avro-orders"))

    def topology():
        of_orders = Subject(subject, Data, registry=registry.url)
        builder = StreamsBuilder()
        orders = builder.stream("avro-orders", value=of_orders).group_by(lambda order: order.customer)
        sums = orders.reduce(lambda one, other: replace(one, amount=one.amount + other.amount), store="sums")
        sums.to("avro-sums")
        return builder.build()

    read = AvroDeserializer(registry)
    for instance, expected in (("a", 1.5), ("b", 3.0)):
        cluster.write("avro-orders", [(b"k", sent, T0)])
        with cluster.app(topology(), "avro-app", instance) as app:
            app.wait_until_running()
            eventually(
                lambda expected=expected: (
                    [read(one.value(), context()) for one in cluster.read("avro-sums")][-1:]
                    == [{"customer": "ada", "amount": expected}]
                )
            )
            assert app.store("sums").get("ada") == Data("ada", expected)
