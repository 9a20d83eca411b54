"""Create the guide's topic. On a single node three replicas are refused; `moldau up` lowers them to one."""

import sys

from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP_SERVERS = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"

admin = AdminClient({"bootstrap.servers": BOOTSTRAP_SERVERS})
futures = admin.create_topics(
    [
        NewTopic(
            topic="orders",
            num_partitions=24,
            replication_factor=3,
            config={
                "retention.ms": "604800000",  # 7 days
                "retention.bytes": "53687091200",  # 50 GB per partition
                "compression.type": "zstd",
                "min.insync.replicas": "2",
                "cleanup.policy": "delete",  # or 'compact' for a table
                "message.timestamp.type": "CreateTime",
            },
        )
    ]
)
for topic, future in futures.items():
    future.result()  # raises what the broker refused
    print(f"created {topic}")
