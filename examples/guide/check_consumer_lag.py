"""Alert when a partition is further behind than a threshold (the third argument). Exits with 1 when there is one."""

import sys

from confluent_kafka import Consumer, TopicPartition


def check_consumer_lag(bootstrap_servers, group_id, topic, threshold=10000):
    # committed() answers for the consumer's own group: it has to be the group that is looked at.
    c = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group_id})
    tps = [TopicPartition(topic, p) for p in c.list_topics(topic).topics[topic].partitions]
    committed = c.committed(tps, timeout=5)
    alerts = []
    for tp in committed:
        _, hw = c.get_watermark_offsets(tp, timeout=5)
        lag = hw - max(tp.offset, 0)
        if lag > threshold:
            alerts.append({"partition": tp.partition, "lag": lag})
    c.close()
    return alerts


if __name__ == "__main__":
    servers = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
    group = sys.argv[2] if len(sys.argv) > 2 else "order-processor-v3"
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
    alerts = check_consumer_lag(servers, group, "orders", limit)
    for alert in alerts:
        print(alert)
    sys.exit(1 if alerts else 0)
