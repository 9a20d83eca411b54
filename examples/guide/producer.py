"""The guide's producer: durable, ordered per customer, compressed. Sends 1,000 orders."""

import json
import sys

from confluent_kafka import Producer

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
ORDERS = 1000

p = Producer(
    {
        # Durability
        "acks": "all",
        "enable.idempotence": True,  # requires acks=all and retries>0
        # Throughput against latency
        "linger.ms": 20,  # wait 20 ms to batch more messages
        "batch.size": 1048576,  # 1 MB batch
        "queue.buffering.max.kbytes": 65536,  # the guide's buffer.memory: 64 MB
        # Compression
        "compression.type": "zstd",
        # Retries
        "retries": 2147483647,
        "retry.backoff.ms": 100,
        "delivery.timeout.ms": 120000,  # 2 minutes at most for any one message
        "request.timeout.ms": 30000,
        # Ordering within a partition
        "max.in.flight.requests.per.connection": 5,
        "bootstrap.servers": BOOTSTRAP_SERVERS,
    }
)

delivered = 0


def on_delivery(err, msg):
    global delivered  # noqa: PLW0603 (as the guide counts)
    if err:
        print(f"not delivered: {err}", file=sys.stderr)
    else:
        delivered += 1


for number in range(ORDERS):
    customer_id = f"customer-{number % 100:03}"
    order = {"id": f"order-{number:06}", "customer_id": customer_id, "amount_cents": 100 + number, "status": "PENDING"}
    p.produce(
        topic="orders",
        key=customer_id.encode(),  # orders of one customer stay in sequence
        value=json.dumps(order).encode(),
        headers={"source": b"checkout"},
        callback=on_delivery,
    )
    p.poll(0)  # trigger callbacks without blocking

# Flush before shutdown: what is still in the buffer would be lost.
p.flush(timeout=30)
print(f"delivered {delivered} of {ORDERS}")
sys.exit(0 if delivered == ORDERS else 1)
