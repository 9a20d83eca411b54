"""One record at a time: how long an acknowledgement takes, and how long a record is on its way to a waiting consumer.

`wire` sends bare Produce requests with acks=all, so the figure is the broker's and the kernel's. `librdkafka` is
confluent-kafka with `linger.ms=0`: produce, flush, next. `end-to-end` produces one record and polls until a consumer
that waits at the end of the partition was given it.
"""

from __future__ import annotations

import argparse
import json
import time

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from bench.versus.load import wire

WARM_UP = 200


def librdkafka_s(bootstrap_servers: str, topic: str, count: int, record_bytes: int) -> list[float]:
    """Seconds from produce() to the delivery report of each record."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
    value = bytes(record_bytes)
    found = []
    for _ in range(count):
        started = time.perf_counter()
        producer.produce(topic, value, partition=0)
        if producer.flush(30) != 0:
            raise RuntimeError("no acknowledgement within 30 s")
        found.append(time.perf_counter() - started)
    return found


def end_to_end_s(bootstrap_servers: str, topic: str, count: int, record_bytes: int) -> list[float]:
    """Seconds from produce() to the moment the consumer has the record."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
    # The consumer has found its position when it is handed the first of these.
    while True:
        producer.produce(topic, b"ready", partition=0)
        producer.flush(30)
        if consumer.poll(0.5) is not None:
            break
    while consumer.poll(0.5) is not None:
        pass
    value = bytes(record_bytes)
    found = []
    for _ in range(count):
        started = time.perf_counter()
        producer.produce(topic, value, partition=0)
        producer.poll(0)
        message = consumer.poll(30)
        if message is None or message.error() is not None:
            raise RuntimeError("the record did not come back")
        found.append(time.perf_counter() - started)
        producer.flush(30)
    consumer.close()
    return found


KINDS = {"wire": wire.produce_latencies_s, "librdkafka": librdkafka_s, "end-to-end": end_to_end_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(KINDS))
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--record-bytes", type=int, default=100)
    given = parser.parse_args()
    found = KINDS[given.what](given.bootstrap_servers, given.topic, given.count + WARM_UP, given.record_bytes)
    ordered = sorted(found[WARM_UP:])
    print(json.dumps({"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)]}))


if __name__ == "__main__":
    main()
