"""The guide's consumer: commits by hand after each processed batch, stops cleanly on SIGTERM and Ctrl-C."""

import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"

c = Consumer(
    {
        "bootstrap.servers": BOOTSTRAP_SERVERS,
        "group.id": "order-processor-v3",
        "auto.offset.reset": "earliest",  # 'latest' for new groups
        # Automatic commits are made by a timer, not after the work: they can commit what was not processed.
        "enable.auto.commit": False,
        # Session and heartbeat
        "session.timeout.ms": 45000,
        "heartbeat.interval.ms": 3000,
        "max.poll.interval.ms": 300000,
        # Fetching
        "fetch.min.bytes": 1024,  # wait for 1 KB before an answer …
        "fetch.wait.max.ms": 500,  # … for half a second at most (the guide's fetch.max.wait.ms)
        "max.partition.fetch.bytes": 1048576,
        # The guide's max.poll.records is the argument of consume() below.
    }
)

running = True
processed = 0


def stop(*_):
    global running  # noqa: PLW0603 (as the guide stops)
    running = False


def on_assign(consumer, partitions):
    print(f"assigned {len(partitions)} partitions", flush=True)


def on_revoke(consumer, partitions):
    print(f"revoked {len(partitions)} partitions", flush=True)


def process(msg):
    global processed  # noqa: PLW0603
    processed += 1


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
c.subscribe(["orders"], on_assign=on_assign, on_revoke=on_revoke)
try:
    while running:
        msgs = c.consume(num_messages=500, timeout=1.0)
        if not msgs:
            continue
        for msg in msgs:
            if msg.error():
                if msg.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    continue  # end of partition, not an error
                raise KafkaException(msg.error())
            process(msg)
        # After the work: at least once, and nothing is skipped.
        c.commit(asynchronous=False)
        print(f"processed {processed}", flush=True)
finally:
    c.close()  # leaves the group, so that its partitions move at once
