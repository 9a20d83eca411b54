"""The reader over sockets: brokers that move, lie, hang up and come back; and a node with aborted transactions."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from confluent_kafka import Producer
from tests.record_batches import batch
from tests.unit.client.fake_broker import HANG_UP, SAY_NOTHING, FakeBroker

import moldau
from moldau.client.fetching import EARLIEST, FetchError, FetchSettings, RecordReader, Start, fetch_settings
from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.errors import AnswerTooLargeError, UnservedError
from moldau.client.protocol.questions import FETCH, OFFSET_FOR_LEADER_EPOCH

PATIENCE_S = 30.0
PLACE = ("t", 0)
FENCED_LEADER_EPOCH = 74


class Leader:
    """The leader of one partition with the records of `log`; `instead` has answers to FETCH to give first."""

    def __init__(self, log, **broker):
        self.log = log
        self.instead = []
        self.epoch = 0
        self.ends = {}
        self.broker = FakeBroker(self.answer, metadata=self.metadata, **broker)
        self.leader_port = self.broker.port

    def metadata(self, request):
        partition = {
            "error_code": 0,
            "partition_index": 0,
            "leader_id": 1,
            "leader_epoch": self.epoch,
            "replica_nodes": (),
            "isr_nodes": (),
        }
        return {
            "brokers": [{"node_id": 1, "host": "127.0.0.1", "port": self.leader_port}],
            "topics": [{"name": "t", "error_code": 0, "partitions": [partition]}] if request.topics else [],
        }

    def answer(self, api_key, version, request):
        if api_key == OFFSET_FOR_LEADER_EPOCH:
            asked = request.topics[0].partitions[0].leader_epoch
            part = {"error_code": 0, "partition": 0, "leader_epoch": asked, "end_offset": self.ends[asked]}
            return {"throttle_time": 0, "topics": [{"topic": "t", "partitions": [part]}]}
        assert api_key == FETCH
        if self.instead:
            said = self.instead.pop(0)
            if not isinstance(said, int):
                return said
            return self.fetched(b"", error_code=said)
        part = request.topics[0].partitions[0]
        if part.current_leader_epoch < self.epoch:
            return self.fetched(b"", error_code=FENCED_LEADER_EPOCH)
        offset = part.fetch_offset
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


def test_after_an_unclean_election_what_was_written_instead_is_read(leader, caplog):
    reader = reader_of(leader)
    assert read(reader, 3) == [b"a", b"b", b"c"]
    # The new leader had the first record only, and has written two others behind it.
    leader.ends = {0: 1}
    leader.log = {**log_of(b"a"), 1: batch(1, [(1, None, b"B")], epoch=1), 2: batch(2, [(1, None, b"C")], epoch=1)}
    leader.epoch = 1
    assert read(reader, 2) == [b"B", b"C"]
    assert "t-0 was cut: what was read from offset 1 up to offset 3 is not in the log of its leader" in caplog.text
    reader.close()


def test_a_broker_that_cannot_compare_logs_is_read_on():
    old = Leader(log_of(b"a", b"b", b"c"), versions={OFFSET_FOR_LEADER_EPOCH: (0, 2)})
    reader = RecordReader(Brokers({"bootstrap.servers": old.broker.address}), FetchSettings(retry_backoff_ms=10))
    reader.assign({PLACE: Start(1, "earliest", 100, leader_epoch=0)})
    assert read(reader, 2) == [b"b", b"c"]
    reader.close()
    old.broker.close()


def test_a_damaged_batch_is_an_error_for_whoever_polls(leader):
    damaged = bytearray(leader.log[1])
    damaged[-1] ^= 1
    leader.log[1] = bytes(damaged)
    reader = reader_of(leader)
    with pytest.raises(FetchError, match="t-0 cannot be read on: the checksum of the batch at offset 1 is wrong"):
        read(reader, 3)
    reader.close()


def test_what_is_whole_before_a_damaged_batch_is_read(leader):
    damaged = bytearray(leader.log[1])
    damaged[-1] ^= 1
    leader.log[0] += damaged
    leader.log[1] = bytes(damaged)
    reader = reader_of(leader)
    assert read(reader, 1) == [b"a"]
    with pytest.raises(FetchError, match="the checksum of the batch at offset 1 is wrong"):
        read(reader, 1)
    reader.close()


def test_an_answer_that_is_larger_than_what_is_taken_is_an_error_that_names_the_setting(leader):
    leader.log[0] = batch(0, [(1, None, bytes(5000))])
    reader = RecordReader(Brokers({"bootstrap.servers": leader.broker.address}), FetchSettings(answer_bytes_max=4000))
    reader.assign({PLACE: Start(0, "earliest", 100)})
    with pytest.raises(AnswerTooLargeError, match=r"the 4000 that are taken\nhint: receive\.message\.max\.bytes"):
        read(reader, 1)
    reader.close()


class PanicLike(BaseException):
    """As PyO3's `PanicException`: no `Exception`, so that nobody takes it for an error that passes."""


def test_a_panic_of_the_decoder_reaches_whoever_polls(leader, monkeypatch):
    def panic(*_):
        raise PanicLike("index out of bounds")

    monkeypatch.setattr("moldau._core.RecordBlock", panic)
    reader = reader_of(leader)
    with pytest.raises(FetchError, match="index out of bounds") as failure:
        read(reader, 1)
    assert isinstance(failure.value.__cause__, PanicLike)
    reader.close()


def test_what_a_broker_cannot_say_is_in_the_log(leader, caplog):
    leader.instead = [-1]
    reader = reader_of(leader)
    assert read(reader, 3) == [b"a", b"b", b"c"]
    assert "t-0 cannot be read from offset 0 on" in caplog.text
    reader.close()


def test_closing_ends_the_search_for_leaders():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It accepts connections and never says a word: without an end from outside that takes two minutes.
        servers = f"127.0.0.1:{silent.getsockname()[1]}"
        brokers = Brokers({"bootstrap.servers": servers, "socket.connection.setup.timeout.ms": 120_000})
        reader = RecordReader(brokers, FetchSettings())
        reader.assign({PLACE: Start(0, "earliest", 100)})
        silent.accept()[0].close()
        connection, _ = silent.accept()
        reader.close()
        assert not any(thread.is_alive() for thread in reader._asking.threads.values())
        connection.close()


def test_closing_ends_a_question_for_leaders_that_is_not_answered(leader):
    asked = threading.Event()

    def metadata(request):
        if not request.topics:
            return Leader.metadata(leader, request)
        asked.set()
        return SAY_NOTHING

    leader.broker.metadata = metadata
    reader = reader_of(leader)
    assert asked.wait(PATIENCE_S)
    reader.close()
    assert not any(thread.is_alive() for thread in reader._asking.threads.values())


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
    assert not any(thread.is_alive() for thread in reader._asking.threads.values())
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


def test_a_node_is_told_once_what_is_read_of_it(kafka_broker):
    settings = {"bootstrap.servers": kafka_broker.bootstrap_servers}
    producer = Producer(settings)
    reader = RecordReader(Brokers(settings), fetch_settings(settings))
    for number in range(3):
        producer.produce("fetching-session", b"%d" % number, None, 0)
        assert producer.flush(PATIENCE_S) == 0
        if number == 0:
            reader.assign({("fetching-session", 0): Start(EARLIEST, "earliest", 10)})
        assert read(reader, 1) == [b"%d" % number]
    (session,) = reader._machine._sessions.values()
    assert not session.is_full
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
