"""Lag of a group per partition: the end of the log less what the group has committed."""

import sys

from confluent_kafka import Consumer, TopicPartition

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
# A lag belongs to a group: this is the group that is looked at, not one of the monitor's own.
GROUP = sys.argv[2] if len(sys.argv) > 2 else "order-processor-v3"

c = Consumer({"group.id": GROUP, "bootstrap.servers": BOOTSTRAP_SERVERS})

md = c.list_topics("orders")
partitions = [TopicPartition("orders", p) for p in md.topics["orders"].partitions]
committed = c.committed(partitions)
for tp in committed:
    _, hw = c.get_watermark_offsets(tp)
    lag = hw - (max(tp.offset, 0))
    print(f"Partition {tp.partition}: lag={lag}")
c.close()
