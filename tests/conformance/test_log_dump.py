"""`moldau log dump` on a directory that Apache Kafka wrote, beside what kafka-dump-log says about the same files."""

from __future__ import annotations

import re
import subprocess

import pytest
from bench.versus.apache_kafka import java, prepare
from bench.versus.jars import MissingToolError
from confluent_kafka import Consumer, Producer
from tests.cli.conftest import moldau
from tests.integration.clients import consume, create_topic, produce

from moldau.control.transactions.transaction import TransactionState

pytestmark = pytest.mark.timeout(400)
DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments"
DECODERS = {
    "__cluster_metadata-0": "--cluster-metadata-decoder",
    "__consumer_offsets-0": "--offsets-decoder",
    "__transaction_state-0": "--transaction-log-decoder",
    "orders-0": "--print-data-log",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """What Kafka leaves after records in each codec, a commit, an abort, and groups of both protocols."""
    try:
        java("kafka.Kafka")
    except MissingToolError as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("kafka")
    one = {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1"}
    kafka = prepare(folder, settings=one)
    try:
        kafka.start(timeout_s=240)
        fill(kafka)
    finally:
        kafka.stop()
    return folder / "data"


def fill(kafka):
    create_topic(kafka, "orders", 1)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        produce(kafka, "orders", [codec.encode() * 50] * 3, **{"compression.type": codec})
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": "copier"})
    producer.init_transactions(60)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce("orders", b"in doubt")
        producer.flush(60)
        end(60)
    for protocol in ("classic", "consumer"):
        about = {"group.id": protocol, "group.protocol": protocol, "auto.offset.reset": "earliest"}
        reader = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "enable.auto.commit": False, **about})
        reader.subscribe(["orders"])
        consume(reader, 16, within_s=120)
        reader.commit(asynchronous=False)
        reader.close()


def of_kafka(file, decoder):
    done = subprocess.run(java(DUMP_LOG, "--files", str(file), decoder), capture_output=True, text=True, check=True)
    return done.stdout


def of_ours(file):
    ended = moldau("log", "dump", str(file), "-r", "-o", "jsonl")
    assert ended.code == 0, ended.err
    return ended.lines


@pytest.mark.parametrize("name", DECODERS)
def test_batches_and_records_are_those_that_kafka_finds(directory, name):
    (file,) = (directory / name).glob("*.log")
    theirs, ours = of_kafka(file, DECODERS[name]), of_ours(file)
    batch_line = r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .* position: (\d+) "
    batches = [row for row in ours if row["kind"] == "batch"]
    assert [(row["base_offset"], row["last_offset"], row["record_count"], row["position"]) for row in batches] == [
        tuple(map(int, found)) for found in re.findall(batch_line, theirs, re.MULTILINE)
    ]
    records = [row for row in ours if row["kind"] == "record"]
    assert [row["offset"] for row in records] == [
        int(offset) for offset in re.findall(r"^\| offset: (\d+) ", theirs, re.MULTILINE)
    ]
    assert not [row for row in records if "note" in row or row.get("type") == "OtherRecord"]


def test_states_of_transactions_are_those_that_kafka_reads(directory):
    (file,) = (directory / "__transaction_state-0").glob("*.log")
    printed = of_kafka(file, "--transaction-log-decoder")
    theirs = [TransactionState(int(number)).told for number in re.findall(r'"transactionStatus":(\d+)', printed)]
    ours = [row["data"]["transaction"]["state"] for row in of_ours(file) if row["kind"] == "record"]
    assert {"Ongoing", "CompleteCommit", "CompleteAbort"} <= set(theirs), printed
    assert ours == theirs


def test_control_records_of_the_quorum_are_read_from_log_and_snapshots(directory):
    (file,) = (directory / "__cluster_metadata-0").glob("*.log")
    assert "leader change" in {row.get("control") for row in of_ours(file)}
    snapshots = sorted((directory / "__cluster_metadata-0").glob("*.checkpoint"))
    assert snapshots
    found = {row.get("control") for row in of_ours(snapshots[0])}
    assert {"snapshot header", "kraft version", "kraft voters", "snapshot footer"} <= found


def test_the_index_of_aborted_transactions_is_what_kafka_reads(directory):
    (file,) = (directory / "orders-0").glob("*.txnindex")
    found = re.findall(r"producerId: (\d+).*firstOffset: (\d+).*lastOffset: (\d+)", of_kafka(file, "--print-data-log"))
    ours = [(row["producer_id"], row["first_offset"], row["last_offset"]) for row in of_ours(file)]
    assert len(ours) == 1
    assert not found or ours == [tuple(map(int, one)) for one in found]
