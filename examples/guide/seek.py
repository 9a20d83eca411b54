"""Replay: from an offset, and from a point in time (milliseconds, the second argument; an hour ago without it)."""

import sys
import time

from confluent_kafka import Consumer, TopicPartition

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
ts_ms = int(sys.argv[2]) if len(sys.argv) > 2 else int((time.time() - 3600) * 1000)
OFFSET = 5

c = Consumer({"group.id": "replay", "bootstrap.servers": BOOTSTRAP_SERVERS, "enable.auto.commit": False})
# A partition can be sought in once it is assigned and librdkafka has begun to fetch it: a first poll sees to that.
c.assign([TopicPartition("orders", 0, 0)])
first = c.poll(10)
assert first is not None, "partition 0 of orders is empty"

# To an offset.
c.seek(TopicPartition("orders", 0, OFFSET))
msg = c.poll(10)
print(f"offset {msg.offset()}: {msg.value().decode()}")

# To a timestamp: the first offset at or after it; the end of the log (offset -1) when there is none.
offsets_for_ts = c.offsets_for_times([TopicPartition("orders", 0, ts_ms)])
print(f"first offset since {ts_ms}: {offsets_for_ts[0].offset}")
c.seek(offsets_for_ts[0])
msg = c.poll(10)
print(f"replaying from offset {msg.offset()}" if msg is not None else "nothing to replay")
c.close()
