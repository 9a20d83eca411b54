"""The guide's two transactional programs run, as a reader would run them."""

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.examples.test_guide_programs import ended, lines_until, started, stopped


def create(servers, *topics):
    admin = AdminClient({"bootstrap.servers": servers})
    known = admin.list_topics(timeout=30).topics
    missing = [NewTopic(topic, 2, 1) for topic in topics if topic not in known]
    for created in admin.create_topics(missing).values() if missing else ():
        created.result(30)


def fill(servers, topic, count):
    producer = Producer({"bootstrap.servers": servers})
    for number in range(count):
        producer.produce(topic, key=f"k{number % 7}", value=f"order-{number:04d}")
    assert producer.flush(30) == 0


def committed_values(servers, topic, count, prefix=b""):
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found = []
    while len(found) < count:
        batch = [message for message in consumer.consume(1000, 10) if message.error() is None]
        assert batch, f"{len(found)} of {count} in {topic}"
        found += [message.value() for message in batch if message.value().startswith(prefix)]
    consumer.close()
    return sorted(found)


def test_the_checkout_writes_to_three_topics_and_commits_its_offsets(servers):
    create(servers, "carts", "orders", "inventory", "notifications")
    fill(servers, "carts", 100)
    run = ended("checkout.py", servers)
    assert (run.stdout, run.returncode) == ("checked out 100\n", 0), run.stderr
    for topic, what in (("orders", b"order "), ("inventory", b"reserve "), ("notifications", b"email ")):
        assert committed_values(servers, topic, 100, what) == [what + b"order-%04d" % number for number in range(100)]


def test_the_processor_handles_each_record_exactly_once_over_a_restart(servers):
    create(servers, "raw-orders", "processed-orders")
    fill(servers, "raw-orders", 300)
    processor = started("eos_processor.py", servers)
    lines_until(processor, "processed 300")
    stopped(processor)
    again = started("eos_processor.py", servers)
    fill(servers, "raw-orders", 1)
    lines_until(again, "processed 1")
    stopped(again)
    values = committed_values(servers, "processed-orders", 301)
    assert values == sorted([b"ORDER-%04d" % number for number in range(300)] + [b"ORDER-0000"])
