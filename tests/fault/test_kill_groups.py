"""kill -9 while a group commits: no acknowledged commit is lost, and a static member goes on in its generation."""

from __future__ import annotations

import contextlib
import random
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.fault.conftest import NodeFactory
from tests.fault.records import create_topic

TOPIC = "orders"
GROUP = "billing"
KILLS = 3


def member_of(bootstrap_servers: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": GROUP,
            "group.instance.id": "one",
            "enable.auto.commit": False,
            "session.timeout.ms": 45_000,
            "reconnect.backoff.max.ms": 200,
        }
    )
    consumer.subscribe([TOPIC])
    return consumer


def wait_for_assignment(consumer: Consumer) -> None:
    deadline = time.monotonic() + 30
    while len(consumer.assignment()) < 2:
        assert time.monotonic() < deadline, "the member has no partitions"
        consumer.poll(0.1)


def committed(bootstrap_servers: str) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    asked = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(TOPIC, 0)])
    deadline = time.monotonic() + 30
    while True:
        try:
            return admin.list_consumer_group_offsets([asked])[GROUP].result().topic_partitions[0].offset
        except KafkaException:
            assert time.monotonic() < deadline, "the offsets cannot be read"
            time.sleep(0.1)


def test_no_acknowledged_commit_is_lost_over_kills_and_the_static_member_goes_on(new_node: NodeFactory):
    chance = random.Random(KILLS)
    node = new_node()
    node.start()
    create_topic(node.bootstrap_servers, TOPIC, 2)
    consumer = member_of(node.bootstrap_servers)
    revocations: list[object] = []
    consumer.subscribe([TOPIC], on_revoke=lambda _, partitions: revocations.append(partitions))
    wait_for_assignment(consumer)
    sent = acknowledged = 0
    for _ in range(KILLS):
        kill_at = sent + chance.randint(20, 200)
        while sent < kill_at:
            sent += 1
            consumer.commit(offsets=[TopicPartition(TOPIC, 0, sent)], asynchronous=False)
            acknowledged = sent
        sent += 1
        consumer.commit(offsets=[TopicPartition(TOPIC, 0, sent)], asynchronous=True)
        node.kill()
        node.start()
        # The last one was on its way when the node died: it is there or it is not.
        assert committed(node.bootstrap_servers) in (acknowledged, sent)
        wait_until_commits_work(consumer, sent)
    assert not revocations, "the group was rebalanced"
    consumer.close()


def wait_until_commits_work(consumer: Consumer, offset: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        consumer.poll(0.1)
        with contextlib.suppress(KafkaException):
            consumer.commit(offsets=[TopicPartition(TOPIC, 0, offset)], asynchronous=False)
            return
        assert time.monotonic() < deadline, "the member cannot commit any more"
