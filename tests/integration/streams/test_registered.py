"""Values of streams as Avro with schemas in a registry: what is written, under which subject, what a store keeps."""

import json
from dataclasses import dataclass
from decimal import Decimal

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import moldau
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings
from moldau.streams import Consumed, Serdes, StreamsBuilder, TopologyTestDriver
from moldau.streams.errors import StreamsError

ORDER = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "fields": [
            {"name": "order_id", "type": "long"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
            {"name": "note", "type": ["null", "string"], "default": None},
        ],
    }
)


@dataclass(frozen=True, slots=True)
class Order:
    order_id: int
    amount: Decimal


@pytest.fixture(scope="module")
def registry():
    with moldau.Broker() as broker, RegistryThread(RegistrySettings(broker.bootstrap_servers, port=0)) as running:
        yield running.url


def test_records_of_a_topic_are_confluents_and_fields_that_a_class_lacks_are_left_out(registry):
    theirs = AvroSerializer(SchemaRegistryClient({"url": registry}), ORDER)
    written = theirs(
        {"order_id": 7, "amount": Decimal("12.50"), "note": "fragile"},
        SerializationContext("in", MessageField.VALUE),
    )
    serde = Serdes.avro(Order, registry=registry, schema=ORDER)
    assert serde.bind("in", "value").deserialize(written) == Order(7, Decimal("12.50"))
    ours = serde.bind("other", "value").serialize(Order(7, Decimal("12.50")))
    again = {"order_id": 7, "amount": Decimal("12.50"), "note": None}
    assert ours == theirs(again, SerializationContext("other", MessageField.VALUE))
    subjects = SchemaRegistryClient({"url": registry}).get_subjects()
    assert {"in-value", "other-value"} <= set(subjects)


def test_a_table_keeps_them_and_registers_them_under_the_name_of_the_record(registry):
    serde = Serdes.avro(Order, registry=registry, schema=ORDER)
    builder = StreamsBuilder()
    builder.table("orders", Consumed.with_(key=str, value=serde), store="kept").to_stream().to("copy")
    with TopologyTestDriver(builder.build()) as driver:
        order = Order(1, Decimal("0.01"))
        driver.create_input_topic("orders", key=str, value=serde).pipe_input("a", order)
        assert driver.create_output_topic("copy", key=str, value=serde).read_key_value() == ("a", order)
        assert driver.get_key_value_store("kept").get("a")[0] == order
    assert serde.deserialize(serde.serialize(order)) == order
    assert "shop.Order" in SchemaRegistryClient({"url": registry}).get_subjects()


def test_without_a_schema_it_only_reads(registry):
    serde = Serdes.avro(dict, registry=registry)
    written = (
        Serdes.avro(dict, registry=registry, schema=ORDER)
        .bind("dicts", "value")
        .serialize({"order_id": 1, "amount": Decimal("1.00")})
    )
    assert serde.bind("dicts", "value").deserialize(written) == {"order_id": 1, "amount": Decimal("1.00"), "note": None}
    with pytest.raises(StreamsError, match="only reads\nhint: "):
        serde.bind("dicts", "value").serialize({"order_id": 1})
