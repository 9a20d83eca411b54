"""Compacted logs change hands: Apache Kafka reads, serves and compacts further what Moldau compacted, and the reverse.

Three kinds of topics are in it: plain keys with tombstones, transactions with aborted records (one topic that keeps its
markers for a day, one that lets them go at once), and the two internal topics that every cluster compacts.
"""

from __future__ import annotations

import re
import subprocess
import time

import pytest
from bench.versus.apache_kafka import java
from bench.versus.jars import MissingToolError
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from tests.conformance.directories import kafka_on
from tests.integration.clients import admin, consumer, create_topic

import moldau

pytestmark = pytest.mark.timeout(500)
PRICES, PAYMENTS, REFUNDS = "prices", "payments", "refunds"
OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
TOPICS = (PRICES, PAYMENTS, REFUNDS, OFFSETS, TRANSACTIONS)
SETTINGS = {
    "log_cleaner_backoff_ms": 50,
    "offsets_topic_num_partitions": 1,
    "transaction_state_log_num_partitions": 1,
}
EAGER = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "index.interval.bytes": "256"}
A_SEGMENT_FOR_EACH_WRITE = {"segment.ms": "1", "min.cleanable.dirty.ratio": "0"}
KINDS = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
COMPLAINTS = (
    "isvalid: false",
    "Mismatches",
    "mismatch",
    "out of order",
    "not found",
    "should be",
    "Exception",
    "Error",
)
JVM_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Xshare:auto"]


@pytest.fixture(autouse=True)
def apache_kafka_is_there():
    try:
        java("kafka.Kafka")
    except MissingToolError as missing:
        pytest.skip(str(missing))


def create_topics(broker):
    create_topic(broker, PRICES, config={**EAGER, "segment.bytes": "1048576"})
    create_topic(broker, PAYMENTS, config={**EAGER, "segment.ms": "1"})
    create_topic(broker, REFUNDS, config={**EAGER, "segment.ms": "1", "delete.retention.ms": "0"})


def let_internal_topics_roll(broker):
    client = admin(broker)
    for topic in (OFFSETS, TRANSACTIONS):
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in A_SEGMENT_FOR_EACH_WRITE.items()
        ]
        resource = ConfigResource("topic", topic, incremental_configs=entries)
        client.incremental_alter_configs([resource])[resource].result(20)


class Writer:
    """Writes to every topic, and knows what must be left of it."""

    def __init__(self):
        self.last = {topic: {} for topic in (PRICES, PAYMENTS, REFUNDS)}
        self.written = 0

    def write(self, broker, name):
        self._prices(broker, name)
        for topic in (PAYMENTS, REFUNDS):
            self._transactions(broker, topic, name)
        _commits(broker, name)

    def _prices(self, broker, name):
        keys = [b"key-%d" % number for number in range(12)]
        for compression in ("none", "lz4", "zstd"):
            producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "compression.type": compression})
            for number in range(240):
                key = keys[number * 7 % 12]
                value = None if key in keys[:2] and number > 200 else f"{name}-{number}-".encode() + b"x" * 3000
                producer.produce(PRICES, value, key=key)
                self.last[PRICES][key] = value
                self.written += 1
                if number % 10 == 0:
                    producer.flush()
            assert producer.flush(30) == 0

    def _transactions(self, broker, topic, name):
        settings = {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": f"{topic}-{name}"}
        producer = Producer(settings)
        producer.init_transactions(60)
        for number in range(12):
            is_aborted = number % 3 == 1
            producer.begin_transaction()
            for key in (b"a", b"b-%d" % (number % 4), f"only-of-{name}-{number}".encode()):
                value = f"{name}-{number}-{'aborted' if is_aborted else 'paid'}".encode()
                producer.produce(topic, value, key=key)
                if not is_aborted:
                    self.last[topic][key] = value
            producer.flush(30)
            if is_aborted:
                producer.abort_transaction(60)
            else:
                producer.commit_transaction(60)


def _commits(broker, name):
    for group in (f"stays-{name}", f"goes-{name}"):
        client = consumer(broker, group)
        for offset in range(15):
            _commit(client, TopicPartition(PRICES, 0, offset))
        client.close()
    client = admin(broker)
    client.delete_consumer_groups([f"goes-{name}"])[f"goes-{name}"].result(20)


def _commit(client, partition, within_s=60):
    """A Kafka that has just come up answers for a while that it coordinates nothing yet."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return client.commit(offsets=[partition], asynchronous=False)
        except KafkaException as error:
            assert error.args[0].retriable() or error.args[0].code() == KafkaError.NOT_COORDINATOR, error
            assert time.monotonic() < deadline, error
            time.sleep(0.2)


def records_of(broker, topic, isolation="read_uncommitted"):
    """Offset, key, value and timestamp of everything up to the end, however many offsets have no record any more."""
    client = consumer(broker, "reader", **{"enable.partition.eof": True, "isolation.level": isolation})
    client.assign([TopicPartition(topic, 0, 0)])
    records = []
    while True:
        message = client.poll(60)
        assert message is not None, f"{topic}: no end after {len(records)} records"
        if message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            client.close()
            return records
        records.append((message.offset(), message.key(), message.value(), message.timestamp()))


def everything(broker):
    return {topic: records_of(broker, topic) for topic in TOPICS}


def wait_until_compacted(data, within_s=120):
    """Until each log is compacted up to its active segment."""
    deadline = time.monotonic() + within_s
    while True:
        lines = (data / "cleaner-offset-checkpoint").read_text().splitlines()[2:]
        reached = {topic: int(offset) for topic, _, offset in map(str.split, lines)}
        active = {topic: max(int(file.stem) for file in (data / f"{topic}-0").glob("*.log")) for topic in TOPICS}
        if all(reached.get(topic) == active[topic] for topic in TOPICS):
            return
        assert time.monotonic() < deadline, f"compacted to {reached}, and could be to {active}"
        time.sleep(0.1)


def assert_the_last_of_each_key_is_there(broker, expected):
    for topic, last in expected.items():
        records = records_of(broker, topic, "read_committed")
        offsets = [offset for offset, *_ in records]
        assert offsets == sorted(set(offsets))
        left = {key: value for _, key, value, _ in records}
        assert {key: value for key, value in left.items() if value is not None} == {
            key: value for key, value in last.items() if value is not None
        }, topic


def assert_kafka_dumps_it_without_complaint(data):
    for topics, decoder in (
        ((PRICES, PAYMENTS, REFUNDS), ()),
        ((OFFSETS,), ("--offsets-decoder",)),
        ((TRANSACTIONS,), ("--transaction-log-decoder",)),
    ):
        found = [file for name in topics for file in sorted((data / f"{name}-0").iterdir())]
        files = [str(file) for file in found if file.suffix in KINDS]
        command = java(
            "org.apache.kafka.tools.DumpLogSegments",
            "--deep-iteration",
            *decoder,
            "--files",
            ",".join(files),
            jvm_options=JVM_OPTIONS,
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        complaints = [line for line in done.stdout.splitlines() if any(word in line for word in COMPLAINTS)]
        assert complaints == []
        # It says where offsets are missing; in a compacted log they are. They may not go back.
        for line in filter(lambda line: not line.startswith("Non-consecutive offsets in "), done.stderr.splitlines()):
            gap = re.fullmatch(r"\s*(-?\d+) is followed by (\d+)", line)
            assert gap, done.stderr
            assert int(gap[1]) < int(gap[2]), line
        assert re.search(r"baseOffset: \d+ lastOffset: \d+ count: \d+", done.stdout)


def test_logs_that_both_compact_in_turn_keep_the_last_record_of_each_key_and_can_be_read_by_both(tmp_path):
    data, writer = tmp_path / "data", Writer()
    with moldau.Broker(data, **SETTINGS) as broker:
        create_topics(broker)
        writer.write(broker, "warm-up")
        let_internal_topics_roll(broker)
        writer.write(broker, "moldau")
        wait_until_compacted(data)
        by_moldau = everything(broker)
        assert len(by_moldau[PRICES]) < writer.written / 2
        assert_the_last_of_each_key_is_there(broker, writer.last)
    assert_kafka_dumps_it_without_complaint(data)
    with kafka_on(tmp_path / "kafka", data, log_cleaner_backoff_ms=50) as kafka:
        assert everything(kafka) == by_moldau
        writer.write(kafka, "kafka")
        wait_until_compacted(data)
        by_kafka = everything(kafka)
        assert_the_last_of_each_key_is_there(kafka, writer.last)
    with moldau.Broker(data, **SETTINGS) as broker:
        assert everything(broker) == by_kafka
        writer.write(broker, "again")
        wait_until_compacted(data)
        assert_the_last_of_each_key_is_there(broker, writer.last)
    assert_kafka_dumps_it_without_complaint(data)
