"""A static member: restart it within five minutes and nobody's partitions move. The second argument names it."""

import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
INSTANCE = sys.argv[2] if len(sys.argv) > 2 else "processor-us-east-1a"

c = Consumer(
    {
        "bootstrap.servers": BOOTSTRAP_SERVERS,
        "group.id": "order-processor",
        "group.instance.id": INSTANCE,  # static
        "session.timeout.ms": 300000,  # 5 minutes: safe rolling restarts
        "max.poll.interval.ms": 300000,  # librdkafka wants it to be at least session.timeout.ms
        # Moves only what has to move; everybody else keeps consuming.
        "partition.assignment.strategy": "cooperative-sticky",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)

running = True


def stop(*_):
    global running  # noqa: PLW0603
    running = False


def commit(consumer):
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as exception:
        # There is nothing to commit before the first record: librdkafka calls that an error.
        if exception.args[0].code() != KafkaError._NO_OFFSET:  # noqa: SLF001
            raise


def on_assign(consumer, partitions):
    # Cooperative: the partitions come on top of those that we have. (With eager strategies: consumer.assign.)
    consumer.incremental_assign(partitions)
    print(f"assigned {sorted(p.partition for p in partitions)}", flush=True)


def on_revoke(consumer, partitions):
    # The last chance to commit what was processed of them.
    commit(consumer)
    consumer.incremental_unassign(partitions)
    print(f"revoked {sorted(p.partition for p in partitions)}", flush=True)


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
c.subscribe(["orders"], on_assign=on_assign, on_revoke=on_revoke)
try:
    while running:
        msg = c.poll(0.5)
        if msg is None:
            continue
        if msg.error():
            raise KafkaException(msg.error())
finally:
    c.close()
