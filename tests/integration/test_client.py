"""The clients against a broker: the guide's programs, and the edges that confluent-kafka alone falls over.

The broker is the plugin's: a Moldau node, or whatever `MOLDAU_TEST_BOOTSTRAP` names.
"""

import signal
import threading
import time
import uuid
from importlib.util import find_spec

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

import moldau
from moldau.testing import KafkaClient
from moldau.testing.plugin import ExternalBroker

PROTOCOLS = {
    "eager": {"partition.assignment.strategy": "range"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "consumer": {"group.protocol": "consumer"},
}
BY_HAND = {"enable.auto.commit": False, "auto.offset.reset": "earliest"}


@pytest.fixture
def protocol(request, kafka_broker) -> dict[str, str]:
    if request.param == "consumer" and lacks(kafka_broker, "k68_consumer_group_heartbeat"):
        pytest.skip("the node does not speak the consumer protocol (KIP-848) yet")
    return PROTOCOLS[request.param]


@pytest.fixture
def transactions(kafka_broker) -> None:
    if lacks(kafka_broker, "k26_end_txn"):
        pytest.skip("the node has no transactions yet")


def lacks(broker: object, handler: str) -> bool:
    return not isinstance(broker, ExternalBroker) and find_spec(f"moldau.server.handlers.{handler}") is None


def group() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


def make(client: KafkaClient, settings: dict[str, object], topic: str, **callbacks: object) -> moldau.Consumer:
    consumer = client.consumer(**{"group.id": group(), **BY_HAND, **settings})
    consumer.subscribe([topic], **callbacks)
    return consumer


def values(messages: list[Message]) -> list[bytes]:
    return [message.value() for message in messages]


def until_assigned(consumer: moldau.Consumer, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not consumer.assignment():
        assert time.monotonic() < deadline, "nothing was assigned"
        assert consumer.consume(1, timeout=0.1) == []


# Producing.


def test_the_producer_of_the_guide_delivers(bootstrap_servers: str, kafka_topic: str, kafka_client: KafkaClient):
    delivered = []
    producer = moldau.Producer({
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 20,
        "batch.size": 1048576,
        "buffer.memory": 67108864,
        "compression.type": "zstd",
        "retries": 2147483647,
        "retry.backoff.ms": 100,
        "delivery.timeout.ms": 120000,
        "request.timeout.ms": 30000,
        "max.in.flight.requests.per.connection": 5,
        "bootstrap.servers": bootstrap_servers,
    })  # fmt: skip
    producer.produce(
        topic=kafka_topic,
        key=b"customer-uuid",
        value=b'{"id":1}',
        headers={"source": b"checkout"},
        callback=lambda error, message: delivered.append((error, message.key())),
    )
    producer.poll(0)
    assert producer.flush(timeout=30) == 0
    assert delivered == [(None, b"customer-uuid")]
    (message,) = kafka_client.read(kafka_topic, 1)
    assert (message.key(), message.value(), message.headers()) == (
        b"customer-uuid",
        b'{"id":1}',
        [("source", b"checkout")],
    )


@pytest.mark.kafka_topic(partitions=3)
def test_the_partitioner_of_the_guide_decides(kafka_client: KafkaClient, kafka_topic: str):
    def geography_partitioner(key_bytes, all_partitions, available):
        region_map = {b"us": 0, b"eu": 1, b"ap": 2}
        region = key_bytes[:2]
        if region in region_map:
            idx = region_map[region] % len(all_partitions)
            return all_partitions[idx]
        return all_partitions[hash(key_bytes) % len(all_partitions)]

    sent = kafka_client.send(
        kafka_topic, ("us-1", "a"), ("eu-1", "b"), ("ap-1", "c"), ("eu-2", "d"), partitioner=geography_partitioner
    )
    assert [message.partition() for message in sent] == [0, 1, 2, 1]


def test_a_topic_that_does_not_exist_cannot_be_partitioned(kafka_client: KafkaClient):
    producer = kafka_client.producer(partitioner=lambda key, every, available: every[0], max_block_ms=300)
    with pytest.raises(KafkaException):
        producer.produce("no/such/topic", b"value", b"key")


# Consuming.


def test_the_consumer_of_the_guide_reads_commits_and_closes(
    bootstrap_servers: str, kafka_client: KafkaClient, kafka_topic: str
):
    kafka_client.send(kafka_topic, *(f"order-{i}" for i in range(20)))
    name = group()
    consumer = moldau.Consumer({
        "bootstrap.servers": bootstrap_servers,
        "group.id": name,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 45000,
        "heartbeat.interval.ms": 3000,
        "max.poll.interval.ms": 300000,
        "fetch.min.bytes": 1,
        "fetch.max.wait.ms": 500,
        "max.partition.fetch.bytes": 1048576,
        "max.poll.records": 500,
    })  # fmt: skip
    revoked = []

    def on_assign(consumer, partitions):
        consumer.assign(partitions)

    def on_revoke(consumer, partitions):
        consumer.commit(asynchronous=False)
        revoked.extend(partitions)

    consumer.subscribe([kafka_topic], on_assign=on_assign, on_revoke=on_revoke)
    seen: list[bytes] = []
    deadline = time.monotonic() + 20
    try:
        while len(seen) < 20 and time.monotonic() < deadline:
            msgs = consumer.consume(timeout=1.0)
            seen += values(msgs)
            consumer.commit(asynchronous=False)
    finally:
        consumer.close()
    assert seen == [b"order-%d" % i for i in range(20)]
    assert [partition.topic for partition in revoked] == [kafka_topic]
    with kafka_client.consumer(group_id=name) as later:
        assert later.committed([TopicPartition(kafka_topic, 0)], timeout=5)[0].offset == 20


@pytest.mark.parametrize("protocol", PROTOCOLS, indirect=True)
@pytest.mark.kafka_topic(partitions=3)
def test_assign_in_on_assign_works_in_every_protocol(kafka_client: KafkaClient, kafka_topic: str, protocol):
    kafka_client.send(kafka_topic, *((str(i), str(i)) for i in range(30)))
    consumer = make(kafka_client, protocol, kafka_topic, on_assign=lambda consumer, given: consumer.assign(given))
    assert len(consumer.consume(30, timeout=15)) == 30
    assert len(consumer.assignment()) == 3


@pytest.mark.parametrize("when", ["before assign", "after assign", "without assign"])
@pytest.mark.parametrize("protocol", PROTOCOLS, indirect=True)
def test_seek_in_on_assign_decides_where_reading_begins(kafka_client: KafkaClient, kafka_topic: str, protocol, when):
    kafka_client.send(kafka_topic, *(str(i) for i in range(10)))

    def on_assign(consumer, partitions):
        if when == "after assign":
            consumer.assign(partitions)
        consumer.seek(TopicPartition(kafka_topic, 0, 7))
        if when == "before assign":
            consumer.assign(partitions)

    consumer = make(kafka_client, protocol, kafka_topic, on_assign=on_assign)
    assert values(consumer.consume(3, timeout=15)) == [b"7", b"8", b"9"]
    # Assigning twice in a row does this: a late answer about the first position sends the partition back.
    assert consumer.consume(1, timeout=0.5) == []


@pytest.mark.parametrize("protocol", PROTOCOLS, indirect=True)
def test_commit_with_nothing_read_is_no_error(kafka_client: KafkaClient, kafka_topic: str, protocol):
    consumer = make(kafka_client, protocol, kafka_topic)
    assert consumer.commit(asynchronous=False) == []
    until_assigned(consumer)
    assert consumer.commit(asynchronous=False) == []
    assert consumer.commit() is None


def test_commit_twice_commits_the_same_again(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, "a", "b")
    consumer = make(kafka_client, {}, kafka_topic)
    assert len(consumer.consume(2, timeout=15)) == 2
    assert [each.offset for each in consumer.commit(asynchronous=False)] == [2]
    assert [each.offset for each in consumer.commit(asynchronous=False)] == [2]


@pytest.mark.parametrize("protocol", PROTOCOLS, indirect=True)
def test_seek_to_committed_brings_the_same_messages_again(kafka_client: KafkaClient, kafka_topic: str, protocol):
    kafka_client.send(kafka_topic, *(str(i) for i in range(10)))
    consumer = make(kafka_client, protocol, kafka_topic)
    assert len(consumer.consume(4, timeout=15)) == 4
    consumer.commit(asynchronous=False)
    assert values(consumer.consume(4, timeout=15)) == [b"4", b"5", b"6", b"7"]
    consumer.seek_to_committed()
    assert values(consumer.consume(6, timeout=15)) == [b"4", b"5", b"6", b"7", b"8", b"9"]


def test_a_commit_after_going_back_does_not_commit_what_was_read_before(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, *(str(i) for i in range(10)))
    consumer = make(kafka_client, {}, kafka_topic)
    assert len(consumer.consume(10, timeout=15)) == 10
    consumer.seek_to_committed()
    assert consumer.commit(asynchronous=False) == []
    assert values(consumer.consume(2, timeout=15)) == [b"0", b"1"]
    assert [each.offset for each in consumer.commit(asynchronous=False)] == [2]


def test_going_back_resets_offsets_that_are_stored_by_hand(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, *(str(i) for i in range(4)))
    consumer = make(kafka_client, {"enable.auto.offset.store": False}, kafka_topic)
    messages = consumer.consume(4, timeout=15)
    consumer.commit(offsets=[TopicPartition(kafka_topic, 0, 1)], asynchronous=False)
    consumer.store_offsets(message=messages[-1])
    consumer.seek_to_committed()
    consumer.commit(asynchronous=False)
    assert consumer.committed([TopicPartition(kafka_topic, 0)], timeout=5)[0].offset == 1


def test_a_group_that_begins_at_the_end_returns_to_where_it_began(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, "before")
    consumer = make(kafka_client, {"auto.offset.reset": "latest"}, kafka_topic)
    until_assigned(consumer)
    kafka_client.send(kafka_topic, "first", "second")
    assert values(consumer.consume(2, timeout=15)) == [b"first", b"second"]
    consumer.seek_to_committed()
    assert values(consumer.consume(2, timeout=15)) == [b"first", b"second"]


def test_seek_takes_a_partition_that_nobody_assigned(kafka_client: KafkaClient, kafka_topic: str):
    sent = kafka_client.send(kafka_topic, *(str(i) for i in range(10)))
    consumer = kafka_client.consumer()
    consumer.seek(TopicPartition(kafka_topic, partition=0, offset=8))
    assert values(consumer.consume(2, timeout=15)) == [b"8", b"9"]
    found = consumer.offsets_for_times([TopicPartition(kafka_topic, 0, sent[0].timestamp()[1])], timeout=5)
    consumer.seek(found[0])
    assert values(consumer.consume(1, timeout=15)) == [b"0"]


def test_seek_takes_a_partition_whose_offsets_were_asked_before(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, *(str(i) for i in range(10)))
    consumer = kafka_client.consumer()
    partition = TopicPartition(kafka_topic, 0)
    consumer.committed([partition], timeout=10)
    assert consumer.get_watermark_offsets(partition, timeout=10) == (0, 10)
    consumer.seek(TopicPartition(kafka_topic, partition=0, offset=8))
    assert values(consumer.consume(2, timeout=15)) == [b"8", b"9"]


@pytest.mark.parametrize("make_client", [moldau.Producer, moldau.Consumer, moldau.AdminClient])
def test_a_client_without_an_address_takes_the_one_of_the_environment(
    bootstrap_servers: str, kafka_topic: str, monkeypatch, make_client
):
    monkeypatch.setenv("MOLDAU_BOOTSTRAP_SERVERS", bootstrap_servers)
    group = {"group.id": "g"} if make_client is moldau.Consumer else {}
    assert kafka_topic in make_client(group).list_topics(timeout=10).topics


def test_seek_right_after_assign_waits_for_the_partition(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, *(str(i) for i in range(5)))
    consumer = kafka_client.consumer()
    consumer.assign([TopicPartition(kafka_topic, 0)])
    consumer.seek(TopicPartition(kafka_topic, 0, 3))
    assert values(consumer.consume(2, timeout=15)) == [b"3", b"4"]


def test_a_partition_of_another_member_cannot_be_sought(kafka_client: KafkaClient, kafka_topic: str):
    consumer = make(kafka_client, {}, kafka_topic)
    until_assigned(consumer)
    with pytest.raises(KafkaException) as refused:
        consumer.seek(TopicPartition(kafka_topic, 99, 0))
    assert refused.value.args[0].code() in {KafkaError._UNKNOWN_PARTITION, KafkaError._STATE}


@pytest.mark.kafka_topic(partitions=2)
def test_the_lag_of_the_guide_is_computed(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, *((str(i), str(i)) for i in range(20)))
    consumer = kafka_client.consumer()
    partitions = [
        TopicPartition(kafka_topic, p) for p in consumer.list_topics(kafka_topic).topics[kafka_topic].partitions
    ]
    lag = 0
    for tp in consumer.committed(partitions, timeout=5):
        _, high = consumer.get_watermark_offsets(tp, timeout=5)
        lag += high - max(tp.offset, 0)
    assert lag == 20


def test_an_interrupt_is_heard_while_consume_waits_and_loses_nothing(kafka_client: KafkaClient, kafka_topic: str):
    class PausedError(Exception):
        pass

    def interrupt(*_):
        raise PausedError

    kafka_client.send(kafka_topic, "a", "b")
    consumer = make(kafka_client, {}, kafka_topic)
    until = signal.signal(signal.SIGUSR1, interrupt)
    try:
        timer = threading.Timer(4.0, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
        timer.start()
        began = time.monotonic()
        with pytest.raises(PausedError):
            consumer.consume(3, timeout=60)
        assert time.monotonic() - began < 6
    finally:
        signal.signal(signal.SIGUSR1, until)
    assert values(consumer.consume(2, timeout=5)) == [b"a", b"b"]


def test_consume_waits_no_longer_than_it_may(kafka_client: KafkaClient, kafka_topic: str):
    consumer = make(kafka_client, {}, kafka_topic)
    until_assigned(consumer)
    began = time.monotonic()
    assert consumer.consume(10, timeout=0.5) == []
    assert 0.45 <= time.monotonic() - began < 1.5


# Transactions.


@pytest.mark.usefixtures("transactions")
def test_a_transaction_commits_all_or_nothing(kafka_client: KafkaClient, kafka_topic: str):
    producer = kafka_client.producer(transactional_id=f"tx-{uuid.uuid4().hex}")
    with producer.transaction():
        producer.produce(kafka_topic, b"kept")
    with pytest.raises(ZeroDivisionError), producer.transaction():  # noqa: PT012 -- the block is the transaction
        producer.produce(kafka_topic, b"dropped")
        producer.flush()
        raise ZeroDivisionError
    with producer.transaction():
        producer.produce(kafka_topic, b"kept too")
    read = kafka_client.read(kafka_topic, 2, isolation_level="read_committed")
    assert values(read) == [b"kept", b"kept too"]


@pytest.mark.usefixtures("transactions")
@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_a_step_that_fails_is_done_again_and_counts_once(kafka_client: KafkaClient, kafka_topic: str, reset: str):
    """The guide's read-process-write loop, with a transform that fails on its first try."""
    output = kafka_topic + "-out"
    kafka_client.send(output, "begin")
    consumer = make(kafka_client, {"auto.offset.reset": reset, "isolation.level": "read_committed"}, kafka_topic)
    producer = kafka_client.producer(transactional_id=f"eos-{uuid.uuid4().hex}")
    until_assigned(consumer)
    kafka_client.send(kafka_topic, *(str(i) for i in range(6)))
    failures = iter([True, False, True])
    done, deadline = 0, time.monotonic() + 40
    while done < 6:
        assert time.monotonic() < deadline
        messages = consumer.consume(3, timeout=1.0)
        if not messages:
            continue
        try:
            with producer.transaction(offsets_from=consumer):
                for message in messages:
                    producer.produce(output, b"done " + message.value())
                if next(failures, False):
                    raise RuntimeError("transform failed")
        except RuntimeError:
            continue
        done += len(messages)
    read = kafka_client.read(output, 7, isolation_level="read_committed")
    assert values(read) == [b"begin", *(b"done %d" % i for i in range(6))]
    assert consumer.committed([TopicPartition(kafka_topic, 0)], timeout=5)[0].offset == 6


@pytest.mark.usefixtures("transactions")
def test_the_loop_of_the_guide_works_word_by_word(kafka_client: KafkaClient, kafka_topic: str):
    kafka_client.send(kafka_topic, "a")
    output = kafka_topic + "-out"
    consumer = make(kafka_client, {"isolation.level": "read_committed"}, kafka_topic)
    producer = kafka_client.producer(**{"transactional.id": f"g-{uuid.uuid4().hex}", "enable.idempotence": True})
    producer.init_transactions()
    attempts = 0
    while attempts < 2:
        msgs = consumer.consume(100, timeout=1.0)
        if not msgs:
            continue
        attempts += 1
        producer.begin_transaction()
        try:
            for msg in msgs:
                producer.produce(output, value=msg.value())
            if attempts == 1:
                raise RuntimeError
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
            )
            producer.commit_transaction()
        except Exception:  # noqa: BLE001 -- as the guide has it
            producer.abort_transaction()
            consumer.seek_to_committed()
    assert values(kafka_client.read(output, 1, isolation_level="read_committed")) == [b"a"]


@pytest.mark.usefixtures("transactions")
def test_a_producer_that_was_fenced_says_so(kafka_client: KafkaClient, kafka_topic: str):
    identity = f"tx-{uuid.uuid4().hex}"
    first = kafka_client.producer(transactional_id=identity)
    first.init_transactions()
    kafka_client.producer(transactional_id=identity).init_transactions()
    with pytest.raises(KafkaException) as refused, first.transaction():
        first.produce(kafka_topic, b"late")
    assert refused.value.args[0].code() in {KafkaError._FENCED, KafkaError.PRODUCER_FENCED}
    assert any("could not be aborted" in note for note in refused.value.__notes__)
