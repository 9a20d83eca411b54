"""Three consumer groups of Apache Kafka, and what it writes about them.

`kafka-4.3.1-consumer.jsonl` is what `python -m tests.golden.groups.record_consumer_groups` prints, from a node of that
version: a member with a regular expression and a rack, a static member that is away twice, and a group that moves from
the classic to the consumer protocol and back.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from bench.versus import apache_kafka
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 50
QUICK = {
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.consumer.assignment.interval.ms": "0",
}


class Scenario:
    def __init__(self, servers):
        self.settings = {"bootstrap.servers": servers, "enable.auto.commit": False, "client.id": "billing"}
        admin = AdminClient({"bootstrap.servers": servers})
        topics = [NewTopic("orders", 3, 1), NewTopic("order-returns", 2, 1)]
        for created in admin.create_topics(topics).values():
            created.result()

    def member(self, group, topic="orders", protocol="consumer", **settings):
        named = {name.replace("_", "."): value for name, value in settings.items()}
        consumer = Consumer({**self.settings, "group.id": group, "group.protocol": protocol, **named})
        consumer.subscribe([topic])
        return consumer

    def until(self, partitions, *members):
        deadline = time.monotonic() + 60
        while sum(len(member.assignment()) for member in members) != partitions or not members[-1].assignment():
            assert time.monotonic() < deadline, "the partitions were not shared out"
            for member in members:
                member.poll(0.1)

    def play(self):
        by_expression = self.member("regex", "^order.*", client_rack="rack-1")
        self.until(5, by_expression)
        by_expression.close()
        for _ in range(2):
            static = self.member("away", group_instance_id="one", group_remote_assignor="range")
            self.until(3, static)
            static.close()
        old = self.member("moving", protocol="classic")
        self.until(3, old)
        new = self.member("moving")
        self.until(3, old, new)
        new.close()
        self.until(3, old)
        old.close()

    def written(self, idle_s=8):
        """Every record of `__consumer_offsets`, when none has come for a while."""
        reader = Consumer({**self.settings, "group.id": "reader"})
        reader.assign([TopicPartition("__consumer_offsets", partition, 0) for partition in range(PARTITIONS)])
        messages = []
        while batch := reader.consume(500, idle_s):
            messages += [message for message in batch if message.error() is None]
        reader.close()
        for message in sorted(messages, key=lambda each: (each.partition(), each.offset())):
            value = None if message.value() is None else message.value().hex()
            place = {"partition": message.partition(), "partitions": PARTITIONS, "offset": message.offset()}
            yield {**place, "key": message.key().hex(), "value": value}


def main():
    with tempfile.TemporaryDirectory() as folder, apache_kafka.prepare(Path(folder), settings=QUICK) as node:
        scenario = Scenario(node.bootstrap_servers)
        scenario.play()
        for row in scenario.written():
            sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
