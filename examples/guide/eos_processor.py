"""The guide's read-process-write: a record is processed exactly once, whatever dies in between.

`seek_to_committed` is the one word of the guide that confluent-kafka does not have; `moldau.client` adds it.
"""

import signal
import sys

from moldau.client import Consumer, Producer

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"

consumer = Consumer(
    {
        "bootstrap.servers": BOOTSTRAP_SERVERS,
        "group.id": "eos-processor",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "enable.auto.commit": False,
        # Without this it would read what was aborted, and what may be.
        "isolation.level": "read_committed",
    }
)
producer = Producer(
    {
        "bootstrap.servers": BOOTSTRAP_SERVERS,
        "transactional.id": "eos-proc-instance-1",
        "enable.idempotence": True,
    }
)

running = True
processed = 0


def stop(*_):
    global running  # noqa: PLW0603
    running = False


def transform(msg):
    return msg.value().upper()


signal.signal(signal.SIGTERM, stop)
producer.init_transactions()
consumer.subscribe(["raw-orders"])
while running:
    msgs = consumer.consume(100, timeout=1.0)
    if not msgs:
        continue
    producer.begin_transaction()
    try:
        for msg in msgs:
            result = transform(msg)
            producer.produce("processed-orders", value=result)
        # The offsets are committed with the output, or not at all.
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
        processed += len(msgs)
        print(f"processed {processed}", flush=True)
    except Exception as error:  # noqa: BLE001 (as the guide does)
        print(f"aborting: {error}", file=sys.stderr, flush=True)
        producer.abort_transaction()
        # Back to the last committed position
        consumer.seek_to_committed()
consumer.close()
