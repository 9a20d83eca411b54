"""The guide's Avro program: one schema, registered by itself, orders in a few bytes; then it reads them back."""

import sys
import time
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
REGISTRY = sys.argv[2] if len(sys.argv) > 2 else "http://localhost:8081"
ORDERS = 100

# Schema defined once in the registry
ORDER_SCHEMA_STR = """
{
  "type": "record",
  "name": "Order",
  "namespace": "com.myco.ecommerce",
  "fields": [
    {"name": "order_id", "type": "string"},
    {"name": "customer_id", "type": "string"},
    {"name": "amount_cents", "type": "long"},
    {"name": "status", "type": {"type": "enum", "name": "OrderStatus",
      "symbols": ["PENDING","PROCESSING","COMPLETED","CANCELLED"]}},
    {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "metadata", "type": ["null", {
      "type": "record", "name": "Meta", "fields": [
        {"name": "ip", "type": "string"},
        {"name": "ua", "type": ["null","string"], "default": null}
      ]
    }], "default": null}
  ]
}
"""

sr_client = SchemaRegistryClient({"url": REGISTRY})
avro_serializer = AvroSerializer(sr_client, ORDER_SCHEMA_STR, conf={"auto.register.schemas": True})

# Wire format: [0x00][4-byte schema ID][avro bytes]. The schema ID is looked up in the registry by the consumer.

orders = [
    {
        "order_id": str(uuid.UUID(int=number)),
        "customer_id": f"customer-{number % 10}",
        "amount_cents": 100 + number,
        "status": "PENDING",
        "created_at": int(time.time() * 1000),
        "metadata": {"ip": "192.0.2.1", "ua": None} if number % 2 else None,
    }
    for number in range(ORDERS)
]

p = Producer({"bootstrap.servers": BOOTSTRAP_SERVERS})
size = 0
for order in orders:
    value = avro_serializer(order, SerializationContext("orders", MessageField.VALUE))
    size += len(value)
    p.produce(topic="orders", key=order["customer_id"].encode(), value=value)
if p.flush(timeout=30):
    sys.exit("not everything was delivered")
print(f"produced {ORDERS} orders, {size // ORDERS} bytes each")

avro_deserializer = AvroDeserializer(sr_client)
c = Consumer({"bootstrap.servers": BOOTSTRAP_SERVERS, "group.id": "avro-orders", "auto.offset.reset": "earliest"})
c.subscribe(["orders"])
amount_cents = read = 0
while read < ORDERS:
    message = c.poll(30)
    if message is None or message.error():
        sys.exit(f"nothing to read: {message and message.error()}")
    if not message.value().startswith(b"\0"):
        continue  # what producer.py left in the topic: JSON
    order = avro_deserializer(message.value(), SerializationContext("orders", MessageField.VALUE))
    amount_cents += order["amount_cents"]
    read += 1
c.close()
print(f"read {read} orders, {amount_cents} cents")
