"""The guide's transaction: three topics and the consumer's offsets, all of it or nothing."""

import sys

from confluent_kafka import Consumer, KafkaException, Producer

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"

consumer = Consumer(
    {
        "bootstrap.servers": BOOTSTRAP_SERVERS,
        "group.id": "checkout",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
p = Producer(
    {
        "bootstrap.servers": BOOTSTRAP_SERVERS,
        "transactional.id": "checkout-producer-1",  # unique per instance
        "enable.idempotence": True,
    }
)
p.init_transactions()
consumer.subscribe(["carts"])
done = 0
while done < 100:
    msgs = consumer.consume(num_messages=10, timeout=1.0)
    if not msgs:
        continue
    try:
        p.begin_transaction()
        for msg in msgs:
            # Write to multiple topics in one atomic batch:
            k = msg.key()
            p.produce("orders", key=k, value=b"order " + msg.value())
            p.produce("inventory", key=k, value=b"reserve " + msg.value())
            p.produce("notifications", key=k, value=b"email " + msg.value())
        # Commit the consumer's offsets with the transaction:
        p.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
        p.commit_transaction()
        done += len(msgs)
    except KafkaException:
        p.abort_transaction()  # all three writes rolled back
        raise
consumer.close()
print(f"checked out {done}")
