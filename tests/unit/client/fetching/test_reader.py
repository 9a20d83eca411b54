"""The reader over sockets: brokers that move, lie, hang up and come back; and a node with aborted transactions."""

from __future__ import annotations

import threading
import time

import pytest
from confluent_kafka import Producer
from tests.record_batches import batch
from tests.unit.client.fake_broker import HANG_UP, FakeBroker

import moldau
from moldau.client.fetching import EARLIEST, FetchError, FetchSettings, RecordReader, Start, fetch_settings
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.errors import UnservedError
from moldau.client.protocol.questions import FETCH

PATIENCE_S = 30.0
PLACE = ("t", 0)


class Leader:
    """The leader of one partition with the records of `log`; `instead` has answers to FETCH to give first."""

    def __init__(self, log, **broker):
        self.log = log
        self.instead = []
        self.broker = FakeBroker(self.answer, metadata=self.metadata, **broker)
        self.leader_port = self.broker.port

    def metadata(self, request):
        partition = {"error_code": 0, "partition_index": 0, "leader_id": 1, "replica_nodes": (), "isr_nodes": ()}
        return {
            "brokers": [{"node_id": 1, "host": "127.0.0.1", "port": self.leader_port}],
            "topics": [{"name": "t", "error_code": 0, "partitions": [partition]}] if request.topics else [],
        }

    def answer(self, api_key, version, request):
        assert api_key == FETCH
        if self.instead:
            said = self.instead.pop(0)
            if not isinstance(said, int):
                return said
            return self.fetched(b"", error_code=said)
        offset = request.topics[0].partitions[0].fetch_offset
        return self.fetched(self.log.get(offset, b""))

    def fetched(self, records, error_code=0):
        part = {
            "partition_index": 0,
            "error_code": error_code,
            "high_watermark": 3,
            "last_stable_offset": 3,
            "aborted_transactions": None,
            "records": records,
        }
        return {"throttle_time": 0, "responses": [{"topic": "t", "partitions": [part]}]}


def log_of(*values):
    return {number: batch(number, [(1, None, value)]) for number, value in enumerate(values)}


@pytest.fixture
def leader():
    made = Leader(log_of(b"a", b"b", b"c"))
    yield made
    made.broker.close()


@pytest.fixture
def reading(leader):
    reader = reader_of(leader)
    yield reader
    reader.close()


def reader_of(leader):
    reader = RecordReader(Brokers({"bootstrap.servers": leader.broker.address}), FetchSettings(retry_backoff_ms=10))
    reader.assign({PLACE: Start(0, "earliest", 100)})
    return reader


def read(reader, count):
    deadline, values = time.monotonic() + PATIENCE_S, []
    while len(values) < count:
        assert time.monotonic() < deadline, values
        for part in reader.poll(1.0):
            values += [] if part.block is None else [one[3] for one in part.block.records(part.start, part.stop)]
    return values


def test_records_come_in_their_order(reading):
    assert read(reading, 3) == [b"a", b"b", b"c"]
    assert reading.end_of(PLACE) == 3


# UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT, UNKNOWN_SERVER_ERROR
@pytest.mark.parametrize("refusal", [HANG_UP, 3, 6, 7, -1, b"", b"rubbish"])
def test_what_passes_is_asked_for_again(leader, refusal):
    leader.instead = [refusal, refusal]
    reader = reader_of(leader)
    assert read(reader, 3) == [b"a", b"b", b"c"]
    reader.close()


def test_a_leader_on_another_port_is_found(leader):
    other = Leader(log_of(b"a", b"b", b"c"))
    leader.instead = [6]
    leader.leader_port = other.broker.port
    other.leader_port = other.broker.port
    reader = reader_of(leader)
    assert read(reader, 3) == [b"a", b"b", b"c"]
    assert other.broker.of(FETCH)
    reader.close()
    other.broker.close()


def test_a_damaged_batch_is_an_error_for_whoever_polls(leader):
    damaged = bytearray(leader.log[1])
    damaged[-1] ^= 1
    leader.log[1] = bytes(damaged)
    reader = reader_of(leader)
    with pytest.raises(FetchError, match="t-0 cannot be read on: the checksum of the batch at offset 1 is wrong"):
        read(reader, 3)
    reader.close()


def test_a_broker_that_is_too_old_is_an_error_for_whoever_polls():
    old = Leader({}, versions={FETCH: (0, 3)})
    reader = reader_of(old)
    with pytest.raises(UnservedError, match="serves Fetch in the versions 0 to 3"):
        read(reader, 1)
    reader.close()
    old.broker.close()


def test_closing_ends_a_request_that_waits(leader):
    waiting = threading.Event()
    release = threading.Event()

    def answer(api_key, version, request):
        waiting.set()
        release.wait(PATIENCE_S)
        return Leader.answer(leader, api_key, version, request)

    leader.broker.answers = answer
    reader = reader_of(leader)
    assert waiting.wait(PATIENCE_S)
    reader.close()
    assert not any(thread.is_alive() for thread in reader._threads.values())
    release.set()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_node_is_read_whatever_its_records_are_compressed_with(kafka_broker, codec):
    topic = f"fetching-{codec}"
    sent = [b"value %d" % number for number in range(1000)]
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers, "compression.type": codec})
    for value in sent:
        producer.produce(topic, value, b"key", 0)
    assert producer.flush(PATIENCE_S) == 0
    settings = {"bootstrap.servers": kafka_broker.bootstrap_servers}
    reader = RecordReader(Brokers(settings), fetch_settings(settings))
    reader.assign({(topic, 0): Start(EARLIEST, "earliest", 300)})
    assert read(reader, len(sent)) == sent
    reader.close()


def test_aborted_records_of_a_node_are_seen_by_those_only_who_ask_for_them(kafka_broker):
    settings = {"bootstrap.servers": kafka_broker.bootstrap_servers}
    producer = Producer({**settings, "transactional.id": "fetching", "linger.ms": 0})
    producer.init_transactions(PATIENCE_S)
    for number in range(6):
        producer.begin_transaction()
        for _ in range(50):
            producer.produce("fetching-aborted", b"%d" % number, None, 0)
        assert producer.flush(PATIENCE_S) == 0
        if number % 2:
            producer.abort_transaction(PATIENCE_S)
        else:
            producer.commit_transaction(PATIENCE_S)
    for isolation, seen in (("read_committed", b"024"), ("read_uncommitted", b"012345")):
        reader = RecordReader(Brokers(settings), fetch_settings({"isolation.level": isolation}))
        reader.assign({("fetching-aborted", 0): Start(EARLIEST, "earliest", 30)})
        assert b"".join(read(reader, 50 * len(seen)))[::50] == seen
        reader.close()


def test_a_node_that_was_restarted_is_read_on():
    with moldau.Broker() as broker:
        settings = {"bootstrap.servers": broker.bootstrap_servers}
        producer = Producer(settings)
        producer.produce("restarted", b"before")
        assert producer.flush(PATIENCE_S) == 0
        reader = RecordReader(Brokers(settings), fetch_settings(settings))
        reader.assign({("restarted", 0): Start(EARLIEST, "earliest", 10)})
        assert read(reader, 1) == [b"before"]
        broker.restart()
        producer.produce("restarted", b"after")
        assert producer.flush(PATIENCE_S) == 0
        assert read(reader, 1) == [b"after"]
        reader.close()
