"""One data directory, two brokers: Apache Kafka goes on where Moldau stopped, and the other way round.

It is the hardest question that can be asked about what is on disk, because both read everything that the other wrote:
metadata, logs, indexes, producer state, offsets and checkpoints.
"""

from __future__ import annotations

import subprocess
import time

import pytest
from bench.versus.apache_kafka import HEAP, java, prepare
from bench.versus.broker_process import BrokerProcess
from bench.versus.jars import MissingToolError
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource
from tests.conformance.directories import kafka_on
from tests.integration.clients import consume, consumer, create_topic, produce, read_partition
from tests.integration.snapshots import clean, cut_before, folder, take

import moldau
from moldau.server.snapshot_files import snapshots_in

pytestmark = pytest.mark.timeout(400)
TOPIC, GROUP = "orders", "billing"


@pytest.fixture(autouse=True)
def apache_kafka_is_there():
    try:
        java("kafka.Kafka")
    except MissingToolError as missing:
        pytest.skip(str(missing))


def use(broker, values):
    """Write `values`, and read and commit as a group whatever it has not read yet."""
    produce(broker, TOPIC, values, **{"enable.idempotence": True})
    reader = consumer(broker, GROUP)
    reader.subscribe([TOPIC])
    seen = [message.value() for message in consume(reader, len(values), within_s=60)]
    reader.commit(asynchronous=False)
    reader.close()
    assert sorted(seen) == sorted(values)


def everything_in(broker, partitions):
    return sorted(message.value() for index in range(partitions) for message in read_partition(broker, TOPIC, index))


def retention_of(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    (future,) = admin.describe_configs([ConfigResource("topic", TOPIC)]).values()
    return future.result()["retention.ms"].value


def committed(broker, partitions, within_s=60):
    """Sum of the group's offsets. A Kafka that has just come up answers for a while that it coordinates nothing yet."""
    reader = consumer(broker, GROUP)
    asked = [TopicPartition(TOPIC, index) for index in range(partitions)]
    deadline = time.monotonic() + within_s
    while True:
        try:
            offsets = [partition.offset for partition in reader.committed(asked, timeout=20)]
            break
        except KafkaException as error:
            assert error.args[0].retriable() or error.args[0].code() == KafkaError.NOT_COORDINATOR, error
            assert time.monotonic() < deadline, error
            time.sleep(0.2)
    reader.close()
    return sum(offset for offset in offsets if offset > 0)


def test_kafka_goes_on_where_moldau_stopped_and_moldau_where_kafka_did(tmp_path):
    data = tmp_path / "data"
    with moldau.Broker(data) as broker:
        create_topic(broker, TOPIC, 3, config={"retention.ms": "123456789"})
        use(broker, [b"moldau-%d" % number for number in range(60)])
    with kafka_on(tmp_path / "kafka", data) as kafka:
        assert retention_of(kafka) == "123456789"
        assert committed(kafka, 3) == 60
        assert len(everything_in(kafka, 3)) == 60
        use(kafka, [b"kafka-%d" % number for number in range(40)])
        create_topic(kafka, "made-by-kafka", 2)
    with moldau.Broker(data) as broker:
        assert committed(broker, 3) == 100
        written = [b"moldau-%d" % number for number in range(60)] + [b"kafka-%d" % number for number in range(40)]
        assert everything_in(broker, 3) == sorted(written)
        produce(broker, "made-by-kafka", [b"by moldau"])


def test_moldau_goes_on_after_kafka_was_killed_and_kafka_after_moldau(tmp_path):
    kafka = prepare(tmp_path)
    data = tmp_path / "data"
    kafka.start()
    create_topic(kafka, TOPIC, 2, config={"retention.ms": "99999999"})
    use(kafka, [b"before-%d" % number for number in range(50)])
    kafka.kill()
    with moldau.Broker(data) as broker:
        assert retention_of(broker) == "99999999"
        assert len(everything_in(broker, 2)) == 50
        use(broker, [b"between-%d" % number for number in range(30)])
    # Formatted with --standalone, this directory knows its voter, and Kafka takes its own settings again.
    again = BrokerProcess(
        java("kafka.Kafka", str(tmp_path / "server.properties"), jvm_options=HEAP), kafka.port, tmp_path / "again.log"
    )
    with again:
        assert committed(again, 2) == 80
        assert len(everything_in(again, 2)) == 80
        use(again, [b"after"])


NOTHING_OLD = {"metadata_max_retention_bytes": 1}


def test_kafka_starts_from_our_snapshot_when_the_log_before_it_is_gone(tmp_path):
    data = tmp_path / "data"
    with moldau.Broker(data, **NOTHING_OLD) as broker:
        create_topic(broker, TOPIC, 3, config={"retention.ms": "123456789"})
        use(broker, [b"moldau-%d" % number for number in range(60)])
        take(broker)
        for name in ("between", "soon-after"):
            create_topic(broker, name)
            take(broker)
        clean(broker)
        create_topic(broker, "after")
    oldest, newest = snapshots_in(folder(data))
    assert f"__cluster_metadata 0 {oldest.end_offset}" in (data / "log-start-offset-checkpoint").read_text()
    dump = java("org.apache.kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", str(newest.path))
    dumped = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    assert "SnapshotHeader" in dumped
    assert "SnapshotFooter" in dumped
    assert '"type":"TOPIC_RECORD","version":0,"data":{"name":"between"' in dumped
    assert "isvalid: false" not in dumped
    with kafka_on(tmp_path / "kafka", data) as kafka:
        assert retention_of(kafka) == "123456789"
        assert committed(kafka, 3) == 60
        assert len(everything_in(kafka, 3)) == 60
        produce(kafka, "between", [b"x"])
        produce(kafka, "after", [b"x"])
        create_topic(kafka, "made-by-kafka", 2)
    with moldau.Broker(data) as broker:
        assert committed(broker, 3) == 60
        produce(broker, "made-by-kafka", [b"by moldau"])


def test_a_snapshot_of_kafka_is_read_and_kafka_finds_its_voters_in_ours(tmp_path):
    """A quorum that was made with --standalone says in control records who votes; without them Kafka does not start."""
    often = {"metadata.log.max.record.bytes.between.snapshots": "1"}
    kafka = prepare(tmp_path, settings=often)
    data = tmp_path / "data"
    with kafka:
        create_topic(kafka, TOPIC, 2, config={"retention.ms": "99999999"})
        use(kafka, [b"before-%d" % number for number in range(50)])
        deadline = time.monotonic() + 60
        while snapshots_in(folder(data))[-1].end_offset == 0:
            assert time.monotonic() < deadline, "Kafka wrote no snapshot"
            time.sleep(0.2)
    cut_before(data, snapshots_in(folder(data))[-1].end_offset)
    with moldau.Broker(data, **NOTHING_OLD) as broker:
        assert retention_of(broker) == "99999999"
        assert len(everything_in(broker, 2)) == 50
        (of_kafka,) = snapshots_in(folder(data))
        for name in ("made-by-moldau", "and-another"):
            create_topic(broker, name)
            take(broker)
        clean(broker)
    ours = snapshots_in(folder(data))
    assert len(ours) == 2
    assert of_kafka not in ours
    again = BrokerProcess(
        java("kafka.Kafka", str(tmp_path / "server.properties"), jvm_options=HEAP), kafka.port, tmp_path / "again.log"
    )
    with again:
        assert committed(again, 2) == 50
        assert len(everything_in(again, 2)) == 50
        produce(again, "made-by-moldau", [b"x"])
