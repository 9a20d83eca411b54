"""What a user's program does with confluent-kafka, in one line each."""

import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def produce(broker, topic, values, *, key=None, **settings):
    """Produce `values` and return their (partition, offset), in order; fails on the first error."""
    acknowledged = []

    def delivered(error, message):
        assert error is None, error
        acknowledged.append((message.partition(), message.offset()))

    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0, **settings})
    for value in values:
        producer.produce(topic, value, key=key, on_delivery=delivered)
    assert producer.flush(20) == 0
    return acknowledged


def consumer(broker, group, **settings):
    return Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            **settings,
        }
    )


def consume(client, count, within_s=20):
    """The next `count` messages."""
    messages = []
    deadline = time.monotonic() + within_s
    while len(messages) < count:
        assert time.monotonic() < deadline, f"{len(messages)} of {count} messages came"
        message = client.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def read_partition(broker, topic, partition=0):
    """Everything that is in a partition, without a group."""
    client = consumer(broker, "reader-without-commits")
    low, high = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    client.assign([TopicPartition(topic, partition, low)])
    messages = consume(client, high - low) if high > low else []
    client.close()
    return messages


def create_topic(broker, name, partitions=1, **settings):
    client = admin(broker)
    client.create_topics([NewTopic(name, partitions, **settings)])[name].result(10)


def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})
